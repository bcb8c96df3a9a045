"""MaxHerding and Uncertainty Herding: items that cover the pool, or its uncertain part, best."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.acquisition.contract import ItemStrategy, Pool
from dhaps_core.acquisition.covered import margin_uncertainty
from dhaps_core.acquisition.facility_location import Coverage, cover
from dhaps_core.pairs import Points, exponents

__all__ = ["MaxHerding", "UncertaintyHerding"]

WHOLE, SAMPLE = 16_384, 5_000  # items whose coverage is measured
BANDWIDTH = 0.5  # on directions, whose distances are at most 2
NARROWEST = 0.02  # with less no two items are near each other, and only digits are lost
SAME = 1e-12  # squared distance of directions that are equal up to rounding
ROWS = 1024


@final
@dataclass(frozen=True)
class MaxHerding(ItemStrategy):
    """The items by which the pool, labelled items included, is covered best: see :class:`Coverage`.

    The kernel is exp(-d^2 / 2 sigma^2) of centred features of length 1, with sigma 0.5; the paper's, in this
    form, has sigma 0.71, on features that are not centred. In a pool of more than 16,384 items the coverage
    is that of a random 5,000 of them, drawn anew in every round; every candidate may be picked.

    References:
        Bae, Noh, Sutherland: Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024.
    """

    name: ClassVar[str] = "maxherding"

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        points = pool.directions()
        weights = points.new_ones(len(points))
        return _herd(pool, points, count, weights=weights, bandwidth=BANDWIDTH, generator=generator)


@final
@dataclass(frozen=True)
class UncertaintyHerding(ItemStrategy):
    """The items by which the uncertain part of the pool is covered best.

    An item weighs 1 - (p_1 - p_2) with its two greatest probabilities, a labelled one nothing. The kernel
    narrows as labels grow: in the paper's form exp(-d^2 / r^2), r is the least distance of two labelled items
    that differ. In the limit this is margin sampling. As long as there are no probabilities, it is
    :class:`MaxHerding`; large pools are sampled as there.

    References:
        Bae, Oliveira, Sutherland: Uncertainty Herding: One Active Learning Method for All Label Budgets,
        ICLR 2025.
    """

    name: ClassVar[str] = "uherding"

    def items(self, pool: Pool, count: int, generator: torch.Generator) -> list[int]:
        """See :meth:`ItemStrategy.items`."""
        points, probabilities = pool.directions(), pool.probabilities()
        weights, bandwidth = points.new_ones(len(points)), BANDWIDTH
        if probabilities.shape[1]:
            uncertain = torch.from_numpy(margin_uncertainty(probabilities.cpu().numpy())).to(points.device)
            weights = uncertain.clamp_min(0).index_fill(0, pool.labelled, 0.0)
            radius = _least_distance(points[pool.labelled])
            bandwidth = BANDWIDTH if radius == inf else max(radius / sqrt(2), NARROWEST)
        return _herd(pool, points, count, weights=weights, bandwidth=bandwidth, generator=generator)


def _herd(
    pool: Pool,
    points: Float[Tensor, "n d"],
    count: int,
    *,
    weights: Float[Tensor, " n"],
    bandwidth: float,
    generator: torch.Generator,
) -> list[int]:
    population = torch.arange(len(points))
    if len(points) > WHOLE:
        population = torch.randperm(len(points), generator=generator)[:SAMPLE].sort().values
    population = population.to(points.device)
    if not bool((weights[population] > 0).any()):
        return []
    coverage = Coverage(
        points,
        bandwidth=bandwidth,
        population=population,
        weights=weights[population],
        chosen=pool.labelled,
    )
    return cover(coverage, pool.candidates.nonzero().flatten(), count)


def _least_distance(points: Float[Tensor, "s d"]) -> float:
    """Least distance of two points that differ; infinite if there are none."""
    scaled, least = Points.of(points, bandwidth=1.0), inf
    for start in range(0, len(points), ROWS):
        squared = -2 * exponents(scaled[start : start + ROWS], scaled)
        least = min(least, float(squared.masked_fill_(squared <= SAME, inf).min()))
    return sqrt(least)
