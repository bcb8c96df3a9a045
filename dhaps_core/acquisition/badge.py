"""BADGE: items whose gradients are large and differ."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from dhaps_core.acquisition.contract import ItemStrategy, Pool

__all__ = ["Badge"]

NEAR = 1e-9  # squared distance, in that of the longest gradient, of gradients that are equal
EQUAL = 1e-6  # of squared lengths that are equal


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
        if not len(candidates):
            return []
        points, errors = pool.directions()[candidates].double(), pool.probabilities()[candidates].double()
        if errors.shape[1]:
            errors -= one_hot(errors.argmax(1), errors.shape[1])
        else:
            errors = torch.ones_like(points[:, :1])
        squared = points.square().sum(1) * errors.square().sum(1)
        nearest, chosen = torch.full_like(squared, inf), list[int]()
        weights = (squared >= (1 - EQUAL) * squared.max()).double()
        while len(chosen) < count and bool(weights.any()):
            chosen.append(at := _draw(weights, generator))
            products = (points @ points[at]) * (errors @ errors[at])
            nearest = torch.minimum(nearest, squared + squared[at] - 2 * products)
            weights = nearest.masked_fill(nearest <= NEAR * squared.max(), 0)
        return candidates[chosen].tolist()


def _draw(weights: Tensor, generator: torch.Generator) -> int:
    """Position drawn in proportion to weights: on the CPU, so that it is the same on every device."""
    sums = weights.cpu().cumsum(0)
    point = torch.rand((), generator=generator, dtype=torch.float64) * sums[-1]
    return int(torch.searchsorted(sums, point, right=True).clamp_max(len(sums) - 1))
