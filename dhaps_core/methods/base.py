"""The contract between a hashing method and the training loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int8
from torch import Tensor

__all__ = ["Batch", "Method", "balanced_mean"]


@dataclass(frozen=True)
class Batch:
    """What one training step gives to a loss. The first ``l`` of the ``n`` rows are supervised.

    Attributes:
        outputs: the network's real-valued outputs z.
        similarity: of the supervised rows: +1 similar, -1 dissimilar, 0 unknown; its size is l.
        references: features whose cosines say how alike any two rows are without labels, or None.
        progress: share of the training done, in [0, 1).
        generator: CPU generator for losses that sample.
    """

    outputs: Float[Tensor, "n b"]
    similarity: Int8[Tensor, "l l"]
    references: Float[Tensor, "n d"] | None
    progress: float
    generator: torch.Generator

    @property
    def supervised(self) -> Float[Tensor, "l b"]:
        """Outputs of the supervised rows."""
        return self.outputs[: len(self.similarity)]


class Method(ABC):
    """A published objective. Concrete methods are final: a loss, its settings, and what labels it reads."""

    name: ClassVar[str]
    labels: ClassVar[Literal["none", "pairs", "classes"]]

    @abstractmethod
    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named terms whose sum is minimised."""


def balanced_mean(values: Float[Tensor, "l l"], similarity: Int8[Tensor, "l l"]) -> Float[Tensor, ""]:
    """Mean over the similar pairs and mean over the dissimilar pairs, averaged with equal weight.

    With many classes most pairs are dissimilar; a plain mean would hardly see the others. Self-pairs and
    unknown pairs do not count; where one kind is absent the other stands alone; 0 where both are.
    """
    off_diagonal = ~torch.eye(len(values), dtype=torch.bool, device=values.device)
    kinds = [(similarity == sign) & off_diagonal for sign in (1, -1)]
    means = [values[kind].mean() for kind in kinds if kind.any()]
    return torch.stack(means).mean() if means else values.sum() * 0
