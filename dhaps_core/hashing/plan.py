"""What a network is built from: enough to build it again, without the run, the items or the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import torch

from dhaps_core.checks import Range, check_fields, one_of
from dhaps_core.hashing.image_networks import FineTuned, ResidualCNN
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import NO_SIZES
from dhaps_core.hashing.network import HashNetwork

__all__ = ["NetworkPlan"]


@dataclass(frozen=True)
class NetworkPlan:
    """The layers of a hash network, but for sizes that follow from answers.

    Attributes:
        method: one of :data:`dhaps_core.hashing.methods.METHODS`; it may have layers of its own.
        bits: b.
        features: d, of the rows that it reads; 0 where it reads images.
        side: of the images that it reads, pixels; 0 where it reads features.
        network: what reads the images.
        hidden: width of the shared hidden layer.

    Raises:
        ValueError: on a name that is not known, or unless one of features and side is 0.
    """

    method: str
    bits: Annotated[int, Range(1, 4096)]
    features: Annotated[int, Range(0, 10**6)]
    side: Annotated[int, Range(0, 1024)]
    network: Literal["residual_cnn", "efficientnet_lite0"]
    hidden: Annotated[int, Range(0, 65_536)]

    def __post_init__(self) -> None:
        check_fields(self)
        one_of("method", self.method, METHODS)
        if bool(self.side) == bool(self.features):
            rule = "a network must read features or images"
            raise ValueError(f"{rule}; got {self.features} features and side {self.side}. Set one to 0.")

    def build(
        self, *, generator: torch.Generator, dropout: float = 0.0, sizes: Mapping[str, int] = NO_SIZES
    ) -> HashNetwork:
        """The network with its initial weights, on the CPU.

        Args:
            generator: CPU generator of the weights.
            dropout: share dropped after the hidden layer, in training.
            sizes: as the method told them of a trained network (:meth:`Method.sizes`).

        Raises:
            ImportError: if it needs a package that is not installed.
        """
        backbone = None
        if self.side:
            fresh = self.network == "residual_cnn"
            backbone = ResidualCNN(generator=generator) if fresh else FineTuned()
        features = backbone.features if backbone else self.features
        hidden = METHODS[self.method]().layers(
            features, self.bits, hidden=self.hidden, dropout=dropout, sizes=sizes
        )
        return HashNetwork(
            features, self.bits, backbone=backbone, hidden=hidden, dropout=dropout, generator=generator
        )
