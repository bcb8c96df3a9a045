"""DSH: the contrastive pair loss with margin 2b, on outputs that a regulariser draws to -1 and +1."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from dhaps_core.hashing.methods.base import Batch, Objective, mean, pair_mean

__all__ = ["DSH", "squared_distances"]


def squared_distances(u: Float[Tensor, "n b"]) -> Float[Tensor, "n n"]:
    """Squared Euclidean distance of all pairs of rows, with gradients that are finite where rows are equal.

    Example:
        >>> import torch
        >>> squared_distances(torch.eye(2)).tolist()
        [[0.0, 2.0], [2.0, 0.0]]
    """
    norms = u.square().sum(1)
    return (norms[:, None] + norms[None] - 2 * u @ u.T).clamp_min(0)


@final
@dataclass(frozen=True)
class DSH(Objective):
    """Mean over pairs of 1/2 [s d^2 + (1 - s) max(0, 2b - d^2)] + alpha r, r the sum of | |z| - 1 | of both.

    So the regulariser weighs 2 alpha in the mean over items. That is what the authors' code descends: its
    gradient of the pairs is half that of the loss which it prints, its gradient of r is whole.

    The outputs z are not squashed, as published, and the margin follows the bits. The mean is over the known
    pairs of two different items, all with the same weight as published, but similar pairs weigh at least the
    tenth that they are on CIFAR-10, which the loss was designed on: of 100 classes they are a hundredth, and
    held-out mAP on Tiny ImageNet was .12 instead of .25. Half, as the likelihood of DPSH needs it, lost six
    points on CIFAR-10. The loop adds its similarity term on unlabelled rows (ours). See ``docs/readings.md``.

    Args:
        alpha: weight of the regulariser, as in the authors' code.
        least_similar: share of the similar pairs in the mean, at least.

    References:
        Liu, Wang, Shan, Chen: Deep Supervised Hashing for Fast Image Retrieval, CVPR 2016.
    """

    name, labels, prior = "dsh", "pairs", True
    alpha: float = 0.01
    least_similar: float = 0.1

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Contrastive term and regulariser of the supervised rows."""
        z = batch.supervised
        distances = squared_distances(z)
        pairs = distances.where(batch.similarity > 0, (2 * z.shape[1] - distances).clamp_min(0))
        return {
            "contrastive": pair_mean(pairs, batch.similarity, least=self.least_similar, most=1.0) / 2,
            "regulariser": 2 * self.alpha * mean((z.abs() - 1).abs().sum(1)),
        }
