"""From items and settings to a trained network and its outputs: one run's model."""

from collections.abc import Callable

import torch
from torch import Tensor

from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.hashing.backbones import FineTuned
from dhaps_core.hashing.inputs import ImageRows, augment, feature_rows, image_rows, pixel_references
from dhaps_core.hashing.methods.base import ClosedForm, WithLayers
from dhaps_core.hashing.network import HashNetwork, Inputs, ResidualCNN, encode
from dhaps_core.hashing.training import Progress, train
from dhaps_core.seeds import derive_generator
from dhaps_core.session.settings import METHODS, Settings

__all__ = ["Model"]


class Model:
    """What networks of a run read, how they are built and trained.

    Args:
        items: with features, or with images when ``settings.side`` is set.
        settings: of the run.
        device: where networks run.

    Raises:
        ValueError: if the method cannot learn from these items: before anything of the run is written.
        ImportError: if the network needs a package that is not installed.

    Attributes:
        references: features whose cosines the similarity term follows, and the space of selection.
    """

    def __init__(self, items: Items, settings: Settings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.pool = torch.from_numpy(items.splits["train"])
        self.inputs: Inputs
        self.augmented: Callable[[torch.Generator], Inputs]
        if settings.side:
            pixels = image_rows(items, side=settings.side)
            self.inputs = ImageRows(pixels)
            self.augmented = lambda generator: ImageRows(pixels, augment(generator))
            self.references = (
                pixel_references(pixels, self.pool)
                if items.features is None
                else feature_rows(items, self.pool)
            )
        else:
            self.references = feature_rows(items, self.pool)
            self.inputs = self.references
            self.augmented = lambda _: self.references
        self.build(0)
        method = METHODS[settings.method]()
        if isinstance(method, ClosedForm):
            method.check(self.references[self.pool], bits=settings.bits)

    def build(self, number: int) -> HashNetwork:
        """Network of a round with its initial weights."""
        generator = derive_generator(self.settings.seed, "weights", number)
        backbone: ResidualCNN | FineTuned | None = None
        if self.settings.side:
            fresh = self.settings.network == "residual_cnn"
            backbone = ResidualCNN(generator=generator) if fresh else FineTuned()
        features = backbone.features if backbone else self.references.shape[1]
        method = METHODS[self.settings.method]()
        own = method.layers(features, self.settings.bits) if isinstance(method, WithLayers) else None
        network = HashNetwork(
            features,
            self.settings.bits,
            backbone=backbone,
            hidden=self.settings.hidden if own is None else own,
            dropout=self.settings.dropout,
            generator=generator,
        )
        return network.to(self.device)

    def fit(
        self, snapshot: Snapshot, number: int, progress: Progress | None
    ) -> tuple[HashNetwork, dict[str, float]]:
        """Network trained from scratch on the answers, and its last losses."""
        network = self.build(number)
        generator = derive_generator(self.settings.seed, "train", number)
        losses = train(
            network,
            METHODS[self.settings.method](),
            self.augmented(derive_generator(self.settings.seed, "augment", number)),
            snapshot,
            pool=self.pool,
            references=self.references,
            settings=self.settings.training,
            generator=generator,
            progress=progress,
            plain=self.inputs,
        )
        return network, losses

    def encode(self, network: HashNetwork) -> Tensor:
        """Outputs z of every item [n b], on the CPU."""
        return encode(network, self.inputs, batch=256 if self.settings.side else 4096)
