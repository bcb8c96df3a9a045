"""DSH: the contrastive pair loss with margin 2b, on outputs that a regulariser draws to -1 and +1."""

from dataclasses import dataclass
from typing import ClassVar, final

from jaxtyping import Float, Int8
from torch import Tensor

from dhaps_core.methods.base import Batch, Labels, Objective

__all__ = ["DSH", "squared_distances"]


def squared_distances(u: Float[Tensor, "n b"]) -> Float[Tensor, "n n"]:
    """Squared Euclidean distance of all pairs of rows, with gradients that are finite where rows are equal.

    Example:
        >>> import torch
        >>> squared_distances(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        tensor([[0., 2.],
                [2., 0.]])
    """
    norms = u.square().sum(1)
    return (norms[:, None] + norms[None] - 2 * u @ u.T).clamp_min(0)


@final
@dataclass(frozen=True)
class DSH(Objective):
    """1/2 mean over pairs of s d^2 + (1 - s) max(0, 2b - d^2), plus alpha mean over items of sum | |z| - 1 |.

    The outputs z are not squashed, as published, and the margin follows the bits. The mean is over the known
    pairs of two different items, all with the same weight: averaging similar and dissimilar pairs separately,
    as the likelihood of DPSH needs it, lost six points of mAP on held-out training items.

    Args:
        alpha: weight of the regulariser, as in the authors' code.

    References:
        Liu, Wang, Shan, Chen: Deep Supervised Hashing for Fast Image Retrieval, CVPR 2016.
    """

    name: ClassVar[str] = "dsh"
    labels: ClassVar[Labels] = "pairs"
    prior: ClassVar[bool] = True
    alpha: float = 0.01

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Contrastive term and regulariser of the supervised rows."""
        z = batch.supervised
        distances = squared_distances(z)
        similar = batch.similarity > 0
        pairs = distances.where(similar, (2 * z.shape[1] - distances).clamp_min(0))
        regulariser = (z.abs() - 1).abs().sum(1)
        return {
            "contrastive": _known_mean(pairs, batch.similarity) / 2,
            "regulariser": self.alpha * (regulariser.mean() if len(z) else z.sum()),
        }


def _known_mean(values: Float[Tensor, "l l"], similarity: Int8[Tensor, "l l"]) -> Float[Tensor, ""]:
    known = (similarity != 0).fill_diagonal_(False)
    return (values * known).sum() / known.sum().clamp_min(1)
