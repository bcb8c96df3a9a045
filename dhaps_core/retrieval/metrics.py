"""Retrieval metrics of Hamming rankings, exact under ties, each under a name that says what it is.

As in :mod:`dhaps_core.retrieval.average_precision`, values are expected ones over all orders inside the ties,
and a query to which nothing is relevant counts as 0 and stays in the mean. A cut-off beyond the end of a
ranking is an error; an empty ball has precision 0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from dhaps_core.checks import shown, whole
from dhaps_core.retrieval.average_precision import (
    average_precision_bounds,
    mean_average_precision,
    ratio,
    threshold_average_precision,
)
from dhaps_core.retrieval.histograms import DistanceHistograms

__all__ = [
    "PrecisionRecall",
    "RadiusPrecision",
    "evaluate",
    "expected_hits",
    "precision_at_k",
    "precision_recall_curve",
    "precision_within_radius",
    "precision_ceiling",
    "recall_at_k",
]


class RadiusPrecision(NamedTuple):
    """Mean precision within a Hamming radius, and the share of queries whose ball is empty."""

    precision: float
    empty_balls: float


class PrecisionRecall(NamedTuple):
    """Mean precision and mean recall within each radius 0..b, [b+1]."""

    precision: Float64[Tensor, " v"]
    recall: Float64[Tensor, " v"]


def expected_hits(h: DistanceHistograms, ks: Sequence[int]) -> Float64[Tensor, "q k"]:
    """Expected number of relevant items among the first k, for each query and each cut-off.

    Raises:
        ValueError: if a cut-off is below 1 or above the length of a ranking.
    """
    hits = h.items.new_empty(len(h.items), len(ks), dtype=torch.float64)
    for column, k in zip(hits.T, ks, strict=True):
        # `first` takes None for the whole ranking, where its precision would have no k to divide by.
        column[:] = ratio(h.first(h.cut(k)) * h.relevant, h.items).sum(1)
    return hits


def precision_at_k(h: DistanceHistograms, ks: Sequence[int]) -> Float64[Tensor, " k"]:
    """Mean over the queries of the expected precision among the first k; as :func:`expected_hits`."""
    return expected_hits(h, ks).mean(0) / torch.tensor(ks, device=h.items.device)


def recall_at_k(h: DistanceHistograms, ks: Sequence[int]) -> Float64[Tensor, " k"]:
    """Mean expected share of the relevant items that is among the first k; as :func:`expected_hits`."""
    return ratio(expected_hits(h, ks), h.relevant.sum(1, keepdim=True)).mean(0)


def precision_ceiling(h: DistanceHistograms, ks: Sequence[int]) -> Float64[Tensor, " k"]:
    """Mean precision at k of the best ranking there is, min(R, k) / k for R relevant items.

    Raises:
        ValueError: if a cut-off is below 1 or above the length of a ranking.

    Example:
        >>> from dhaps_core.retrieval.histograms import distance_histograms
        >>> from dhaps_core.retrieval.relevance import Relevance
        >>> query, database = torch.ones(1, 2), torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> relevance = Relevance.classes(torch.tensor([0]), torch.tensor([0, 1, 0]))
        >>> precision_ceiling(distance_histograms(query, database, relevance), [1, 2, 3])
        tensor([1.0000, 1.0000, 0.6667], dtype=torch.float64)
    """
    cuts = torch.tensor([h.cut(k) for k in ks], device=h.relevant.device)
    return ratio(h.relevant.sum(1, keepdim=True).minimum(cuts), cuts).mean(0)


def precision_within_radius(h: DistanceHistograms, radius: int) -> RadiusPrecision:
    """Mean precision within a Hamming ball of a radius in bits; a query with an empty ball counts as 0.

    Raises:
        ValueError: if the radius is no whole number between 0 and b.
    """
    most = whole(radius)
    if most is None or not 0 <= most <= h.bits:
        rule = f"radius must be from 0 to the {h.bits} bits of the codes, and whole"
        raise ValueError(f"{rule}; got {shown(radius)}. Choose one inside.")
    items = h.items[:, : most + 1].sum(1)
    precision = ratio(h.relevant[:, : most + 1].sum(1), items)
    return RadiusPrecision(float(precision.mean()), float((items == 0).double().mean()))


def precision_recall_curve(h: DistanceHistograms) -> PrecisionRecall:
    """Mean precision and recall within every radius: b + 1 points that no tie can move."""
    hits = h.relevant.cumsum(1)
    precision = ratio(hits, h.items.cumsum(1)).mean(0)
    return PrecisionRecall(precision, ratio(hits, h.relevant.sum(1, keepdim=True)).mean(0))


def evaluate(
    h: DistanceHistograms, *, ks: Sequence[int] = (), radius: int = 2
) -> dict[str, float | int | bool | str | None]:
    """Every metric under a name that says its cut-off and denominator, and what the numbers are about.

    Args:
        h: histograms of the rankings.
        ks: cut-offs.
        radius: of the Hamming ball, in bits.

    Returns:
        ``mAP@all`` with its bounds, ``mAP@k (min)``, ``mAP@k (hits)``, ``P@k``, ``R@k``, ``P@r2``,
        ``empty_balls@r2``, ``threshold AP``, ``P@all`` (what chance gives), and the counts that define them;
        ``self`` says whether a query is in its own ranking: ``excluded``, ``no overlap`` (by the keys), or
        ``unknown`` where no keys were given.

    Raises:
        ValueError: if a cut-off or the radius is out of range, or if queries are in the database and were not
            left out of their rankings: each would find itself first.
    """
    if h.overlap and not h.exclude_self:
        raise ValueError(
            f"queries must not be in their own rankings; got {h.overlap} of {len(h.items)} queries in the "
            "database. Set exclude_self."
        )
    bounds = average_precision_bounds(h)
    ball = precision_within_radius(h, radius)
    values: dict[str, float | int | bool | str | None] = {
        "mAP@all": mean_average_precision(h),
        "mAP@all (pessimistic)": float(bounds.pessimistic.mean()),
        "mAP@all (optimistic)": float(bounds.optimistic.mean()),
        "threshold AP": float(threshold_average_precision(h).mean()),
        "P@all": float(ratio(h.relevant.sum(1), h.items.sum(1)).mean()),
    }
    for k in ks:
        values[f"mAP@{k} (min)"] = mean_average_precision(h, k, "min")
        values[f"mAP@{k} (hits)"] = mean_average_precision(h, k, "hits")
        values[f"P@{k}"] = float(precision_at_k(h, [k]))
        values[f"R@{k}"] = float(recall_at_k(h, [k]))
    return values | {
        f"P@r{radius}": ball.precision,
        f"empty_balls@r{radius}": ball.empty_balls,
        "queries": len(h.items),
        "queries_without_relevant": int((h.relevant.sum(1) == 0).sum()),
        "database": h.database,
        "bits": h.bits,
        "self": "excluded" if h.exclude_self else "unknown" if h.overlap is None else "no overlap",
        "exclude_self": h.exclude_self,
        "excluded": h.excluded,
        "overlap": h.overlap,
    }
