"""BADGE: items whose gradients are large and differ."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dhaps_core.acquisition.contract import ItemStrategy, Pool

__all__ = ["Badge"]

TIE = 1e-9


@final
@dataclass(frozen=True)
class Badge(ItemStrategy):
    """k-means++ among the gradients of the last layer, each item labelled as its most probable class.

    The gradient of an item is (p - e) x^T, e that class and x its centred features of length 1: two small
    vectors, whose products give all distances, so no gradient is ever written out. As with the authors, the
    longest one comes first. As long as there are no probabilities, k-means++ among the features.

    References:
        Ash, Zhang, Krishnamurthy, Langford, Agarwal: Deep Batch Active Learning by Diverse, Uncertain
        Gradient Lower Bounds, ICLR 2020.
    """

    name: ClassVar[str] = "badge"

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        candidates = pool.candidates.nonzero().flatten()
        points, errors = pool.directions()[candidates].double(), pool.probabilities()[candidates].double()
        if errors.shape[1]:
            errors -= one_hot(errors.argmax(1), errors.shape[1])
        else:
            errors = torch.ones_like(points[:, :1])
        squared = points.square().sum(1) * errors.square().sum(1)
        # As if a gradient of 0 were chosen before all others.
        nearest, chosen = squared.clone(), list[int]()
        while len(chosen) < count and bool((nearest > TIE * squared.max()).any()):
            nearest[nearest <= TIE * squared.max()] = 0
            longest = (nearest >= (1 - TIE) * nearest.max()).to(nearest.dtype)
            at = _draw(nearest if chosen else longest, generator)
            products = (points @ points[at]) * (errors @ errors[at])
            nearest = torch.minimum(nearest, (squared + squared[at] - 2 * products).clamp_min(0))
            nearest[at] = 0
            chosen.append(at)
        return candidates[chosen].tolist()


def _draw(weights: Tensor, generator: torch.Generator) -> int:
    """Position drawn in proportion to weights: on the CPU, so that it is the same on every device."""
    sums = weights.cpu().cumsum(0)
    point = torch.rand((), generator=generator, dtype=torch.float64) * sums[-1]
    return int(torch.searchsorted(sums, point, right=True).clamp_max(len(sums) - 1))
