"""Average precision of Hamming rankings, and the weighted one of graded relevance, exact under ties.

Codes of b bits give at most b + 1 different distances, so most of a ranking is ties, and the order that a
sort happens to leave inside them moves the value by several points. Here it is the expected value over all
orders inside the ties, in closed form from the two histograms of :mod:`dhaps_core.retrieval.histograms`. A
query to which nothing is relevant has the value 0 and stays in every mean.

References:
    McSherry, Najork: Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied
    Scores, ECIR 2008.
    He, Cakir, Bargal, Sclaroff: Hashing as Tie-Aware Learning to Rank, CVPR 2018.
    Zhao, Huang, Wang, Tan: Deep Semantic Ranking Based Hashing for Multi-Label Image Retrieval, CVPR 2015.
"""

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float64, Int64, Num
from torch import Tensor

from dhaps_core.checks import one_of
from dhaps_core.retrieval.histograms import DistanceHistograms

__all__ = [
    "Denominator",
    "PrecisionBounds",
    "average_precision",
    "average_precision_bounds",
    "mean_average_precision",
    "ratio",
    "threshold_average_precision",
    "weighted_average_precision",
]

Denominator = Literal["min", "hits"]

_CELLS = 1 << 21
"""Probabilities held at once when a cut-off divides a tie: 16 MiB of float64 for each intermediate."""


class PrecisionBounds(NamedTuple):
    """Average precision of each query, [q], if every tie were broken for the worst and for the best."""

    pessimistic: Float64[Tensor, " q"]
    optimistic: Float64[Tensor, " q"]


def mean_average_precision(
    h: DistanceHistograms, k: int | None = None, denominator: Denominator = "min"
) -> float:
    """Mean over all queries of :func:`average_precision`, with the same arguments.

    Example:
        >>> from dhaps_core.retrieval.histograms import distance_histograms
        >>> from dhaps_core.retrieval.relevance import Relevance
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> relevance = Relevance.matrix(torch.tensor([[True, False, True]]))
        >>> round(mean_average_precision(distance_histograms(codes[:1], codes, relevance)), 4)
        0.8333
    """
    return float(average_precision(h, k, denominator).mean())


def average_precision(
    h: DistanceHistograms, k: int | None = None, denominator: Denominator = "min"
) -> Float64[Tensor, " q"]:
    """Expected average precision of each query; 0 where nothing is relevant.

    Args:
        h: histograms of the rankings.
        k: cut-off, or None for the whole ranking.
        denominator: what the sum of precisions is divided by. ``min`` = min(R, k), R relevant items in the
            database: missing an item costs. ``hits`` = the relevant items among the first k, the habit of
            published hashing code: retrieving fewer can score higher. Without a cut-off both are R.

    Raises:
        ValueError: if k is below 1 or above the length of a ranking, or the denominator is unknown.
    """
    return _average(h, h.relevant, k, denominator)


def weighted_average_precision(
    h: DistanceHistograms, k: int | None = None, denominator: Denominator = "min"
) -> Float64[Tensor, " q"]:
    """Expected weighted average precision (WAP) of each query; 0 where nothing is relevant.

    At each relevant item stands not the precision but the mean number of classes that the items up to there
    share with the query (ACG; Zhao et al., CVPR 2015, whose code cuts at 5,000 and divides by the hits). With
    one class an item it is the average precision.

    Args:
        h: histograms of the rankings.
        k: cut-off, or None for the whole ranking.
        denominator: as of :func:`average_precision`.

    Raises:
        ValueError: as :func:`average_precision`.
    """
    return _average(h, h.shared, k, denominator)


def average_precision_bounds(h: DistanceHistograms) -> PrecisionBounds:
    """Average precision over the whole ranking with relevant items last, and first, inside every tie."""
    harmonic, r, relevant = _harmonic(h), h.relevant, h.relevant.sum(1)
    # Slots s+1..s+r hold the hits of a group, so their precisions sum to r + (hits - s) (H_{s+r} - H_s).
    last, first = (
        r + (h.relevant_before - s) * (harmonic[s + r] - harmonic[s])
        for s in (h.items_before + h.items - r, h.items_before)
    )
    return PrecisionBounds(ratio(last.sum(1), relevant), ratio(first.sum(1), relevant))


def threshold_average_precision(h: DistanceHistograms) -> Float64[Tensor, " q"]:
    """Average precision of each query over the b + 1 radii, as scikit-learn defines it for tied scores.

    No tie is broken, and the value is *not* the expected average precision: the two are not comparable.
    """
    within = ratio(h.relevant.cumsum(1), h.items.cumsum(1))
    return ratio((h.relevant * within).sum(1), h.relevant.sum(1))


def ratio(a: Num[Tensor, "..."], b: Num[Tensor, "..."]) -> Float64[Tensor, "..."]:
    """Quotient of numbers and counts in float64, and 0 where the count is 0."""
    return torch.where(b > 0, a.double() / b.clamp(min=1), 0.0)


def _harmonic(h: DistanceHistograms) -> Float64[Tensor, " t"]:
    """Harmonic numbers H_0, H_1, ... of all ranks."""
    ranks = torch.arange(1, h.database + 1, dtype=torch.float64, device=h.items.device)
    return torch.cat([ranks.new_zeros(1), ranks.reciprocal().cumsum(0)])


class _Ties(NamedTuple):
    """Ties: N items before each and the sum of their gains; n items, r relevant, the mean gain of these."""

    N: Tensor
    before: Tensor
    n: Tensor
    r: Tensor
    gain: Tensor


def _average(
    h: DistanceHistograms, gains: Int64[Tensor, "q v"], k: int | None, denominator: Denominator
) -> Float64[Tensor, " q"]:
    """Expected average, over the relevant items, of the mean gain up to each; gains are sums by distance."""
    one_of("denominator", denominator, get_args(Denominator))
    kept, harmonic = h.first(k), _harmonic(h)
    before = gains.cumsum(1) - gains
    ties = _Ties(h.items_before, before, h.items, h.relevant, ratio(gains, h.relevant))
    if k is not None and denominator == "hits":
        return _average_by_hits(h, ties, kept, harmonic)
    total = _partial_sums(ties, kept, harmonic).sum(1)
    return ratio(total, h.relevant.sum(1).clamp(max=h.database if k is None else k))


def _partial_sums(ties: _Ties, T: Tensor, harmonic: Float64[Tensor, " t"]) -> Float64[Tensor, "..."]:
    """Expected sum of the mean gains up to each relevant item in the first T slots of each tie.

    Slot t holds a relevant item with probability r / n; given that, each of the t - 1 slots before it does
    with c = (r - 1) / (n - 1). Each may be any of the r, so what is expected of it is their mean gain.
    """
    N, before, n, r, gain = ties
    c = gain * ratio((r - 1).clamp(min=0), n - 1)
    slots = c * T + (before + gain - c * (N + 1)) * (harmonic[N + T] - harmonic[N])
    return ratio(r, n) * slots


def _average_by_hits(
    h: DistanceHistograms, ties: _Ties, kept: Int64[Tensor, "q v"], harmonic: Float64[Tensor, " t"]
) -> Float64[Tensor, " q"]:
    """The average over the hits in the first k; how many the tie that k cuts adds is hypergeometric."""
    full = _partial_sums(ties, h.items, harmonic)
    # The last group of which something is kept: the running count of such groups is greatest there first.
    cut = (kept > 0).long().cumsum(1).argmax(1, keepdim=True)
    of_cut = (*ties, kept, h.relevant_before, full.cumsum(1) - full)
    N, before, n, r, gain, T, hits, earlier = (x.gather(1, cut) for x in of_cut)
    least = (T - (n - r)).clamp(min=0)
    extra = torch.arange(int((torch.minimum(r, T) - least).max()) + 1, device=n.device)
    means, rows = [], max(1, _CELLS // len(extra))
    parts = (x.split(rows) for x in (N, before, n, r, gain, T, hits, earlier, least))
    for N_, before_, n_, r_, gain_, T_, hits_, earlier_, least_ in zip(*parts, strict=True):
        found = least_ + extra
        total = earlier_ + _partial_sums(_Ties(N_, before_, T_, found, gain_), T_, harmonic)
        means.append((_hypergeometric(n_, r_, T_, found) * ratio(total, hits_ + found)).sum(1))
    return torch.cat(means)


def _hypergeometric(
    n: Int64[Tensor, "q 1"], r: Int64[Tensor, "q 1"], T: Int64[Tensor, "q 1"], found: Int64[Tensor, "q s"]
) -> Float64[Tensor, "q s"]:
    """Probability of each number of relevant items, of r, in T drawn from n; ``found`` starts at the least.

    Ratios of neighbours are exact, so summing their logarithms and normalising loses no digits to factorials.
    """
    at, possible = found[:, :-1], found <= torch.minimum(r, T)
    steps = ((r - at).clamp(min=0) * (T - at).clamp(min=0)).double() / ((at + 1) * (n - r - T + at + 1))
    logs = torch.cat([torch.zeros_like(n, dtype=torch.float64), steps.log().cumsum(1)], 1)
    logs = torch.where(possible, logs, -torch.inf)
    return logs.softmax(1)
