"""Metrics of graded relevance: an item counts by how many classes it shares with the query.

Values are expected ones over all orders inside the ties, as in :mod:`dhaps_core.retrieval.average_precision`,
where the weighted average precision (WAP) is: inside a tie each item has the mean gain of the tie. A query
to which nothing is relevant counts as 0 and stays in every mean. With one class an item, grades are 0 and 1.

References:
    Järvelin, Kekäläinen: Cumulated Gain-Based Evaluation of IR Techniques, ACM TOIS 20(4), 2002.
    Burges et al.: Learning to Rank Using Gradient Descent, ICML 2005 (the gain 2^grade - 1).
    McSherry, Najork: Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied
    Scores, ECIR 2008.
    Zhao, Huang, Wang, Tan: Deep Semantic Ranking Based Hashing for Multi-Label Image Retrieval, CVPR 2015.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from dhaps_core.retrieval.average_precision import ratio, weighted_average_precision
from dhaps_core.retrieval.histograms import DistanceHistograms

__all__ = ["average_cumulative_gain", "evaluate_graded", "ndcg"]


def average_cumulative_gain(h: DistanceHistograms, k: int | None = None) -> Float64[Tensor, " q"]:
    """Expected number of classes that one of the first k items shares with each query (ACG@k): 1/k sum grade.

    Args:
        h: histograms of the rankings.
        k: cut-off, or None for the whole ranking, where the codes play no part.

    Raises:
        ValueError: if k is below 1 or above the length of a ranking.

    Example:
        >>> from dhaps_core.retrieval.histograms import distance_histograms
        >>> from dhaps_core.retrieval.relevance import Relevance
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> labels = torch.tensor([[1, 1], [1, 1], [0, 1]])
        >>> h = distance_histograms(codes[:1], codes[1:], Relevance.labels(labels[:1], labels[1:]))
        >>> average_cumulative_gain(h, 1), average_cumulative_gain(h, 2)
        (tensor([2.], dtype=torch.float64), tensor([1.5000], dtype=torch.float64))
    """
    kept = h.first(k)
    return ratio(ratio(kept * h.shared, h.items).sum(1), kept.sum(1))


def ndcg(h: DistanceHistograms, k: int | None = None) -> Float64[Tensor, " q"]:
    """Expected discounted gain of each query's first k items over that of the best order of all (NDCG@k).

    The item at rank i of grade g gains (2^g - 1) / log2(1 + i). The best order has the items of the whole
    database by falling grades, and is cut at k as well. Where nothing is relevant the value is 0.

    Args:
        h: histograms of the rankings.
        k: cut-off, or None for the whole ranking.

    Raises:
        ValueError: if k is below 1 or above the length of a ranking.
    """
    kept, N = h.first(k), h.items_before
    ranks = torch.arange(1, h.database + 1, dtype=torch.float64, device=N.device)
    discounts = torch.cat([ranks.new_zeros(1), (1 + ranks).log2().reciprocal().cumsum(0)])
    gains = 2.0 ** torch.arange(h.grades.shape[2], dtype=torch.float64, device=N.device) - 1
    found = ratio((h.grades * gains).sum(2), h.items) * (discounts[N + kept] - discounts[N])
    ends = h.grades.sum(1).flip(1).cumsum(1).clamp(max=h.database if k is None else k)
    best = gains.flip(0) * discounts[ends].diff(dim=1, prepend=discounts.new_zeros(len(ends), 1))
    return ratio(found.sum(1), best.sum(1))  # the best is 0 or at least 1, as `ratio` wants it


def evaluate_graded(h: DistanceHistograms, *, ks: Sequence[int] = ()) -> dict[str, float]:
    """Means over the queries under names that say cut-off and denominator, as of ``metrics.evaluate``.

    Args:
        h: histograms of the rankings.
        ks: cut-offs.

    Returns:
        ``NDCG@all``, ``WAP@all``, ``ACG@all`` (what chance gives), and ``NDCG@k``, ``ACG@k``, ``WAP@k (min)``
        and ``WAP@k (hits)`` at each cut-off.

    Raises:
        ValueError: if a cut-off is out of range.
    """
    values = {
        "NDCG@all": ndcg(h),
        "ACG@all": average_cumulative_gain(h),
        "WAP@all": weighted_average_precision(h),
    }
    for k in ks:
        values[f"NDCG@{k}"] = ndcg(h, k)
        values[f"ACG@{k}"] = average_cumulative_gain(h, k)
        values[f"WAP@{k} (min)"] = weighted_average_precision(h, k, "min")
        values[f"WAP@{k} (hits)"] = weighted_average_precision(h, k, "hits")
    return {name: float(value.mean()) for name, value in values.items()}
