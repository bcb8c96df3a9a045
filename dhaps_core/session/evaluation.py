"""Retrieval metrics of a set of codes, by the splits and labels of their items."""

from collections.abc import Iterable, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor

from dhaps_core.data.items import Items
from dhaps_core.retrieval.average_precision import weighted_average_precision
from dhaps_core.retrieval.graded import average_cumulative_gain, evaluate_graded, ndcg
from dhaps_core.retrieval.histograms import DistanceHistograms, distance_histograms
from dhaps_core.retrieval.metrics import (
    evaluate,
    precision_at_k,
    precision_ceiling,
    precision_recall_curve,
    recall_at_k,
)
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["evaluate_codes"]

CUTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # of the curves
NAMED_CUTS = (100, 1000, 5000)  # reported under their own names as well


def evaluate_codes(items: Items, codes: Float[Tensor, "n b"]) -> dict[str, Any]:
    """Metrics of the query items against the database items, for JSON; empty without labels or queries.

    They are those of :func:`dhaps_core.retrieval.metrics.evaluate`, by cut-off ``precision_at``, the
    ``precision_ceiling_at`` that no ranking passes, and ``recall_at``, and ``by_radius`` precision and recall
    within each. Items are relevant that share a class by their labels. Where an item may have several, those
    of :func:`dhaps_core.retrieval.graded.evaluate_graded` and ``ndcg_at``, ``acg_at`` and ``wap_at`` (with
    the denominator ``min``) come with them.

    Raises:
        ValueError: if a query is also a database item, or a value is no code.
    """
    query, database = items.splits["query"], items.splits["database"]
    if items.labels is None or not len(query) or not len(database):
        return {}
    kind = Relevance.labels if items.multi_label else Relevance.classes
    histograms = distance_histograms(
        codes[query],
        codes[database],
        kind(items.labels[query], items.labels[database]),
        query_keys=[items.keys[i] for i in query],
        database_keys=[items.keys[i] for i in database],
    )
    cuts = [k for k in CUTS if k <= len(database)]
    named = [k for k in cuts if k in NAMED_CUTS]
    curve = precision_recall_curve(histograms)
    found = {
        **evaluate(histograms, ks=named, radius=min(2, codes.shape[1])),
        "precision_at": _by_cut(cuts, precision_at_k(histograms, cuts)),
        "precision_ceiling_at": _by_cut(cuts, precision_ceiling(histograms, cuts)),
        "recall_at": _by_cut(cuts, recall_at_k(histograms, cuts)),
        "by_radius": {"precision": curve.precision.tolist(), "recall": curve.recall.tolist()},
    }
    return found | _graded(histograms, cuts, named) if items.multi_label else found


def _graded(h: DistanceHistograms, cuts: Sequence[int], named: Sequence[int]) -> dict[str, Any]:
    curves = {"ndcg_at": ndcg, "acg_at": average_cumulative_gain, "wap_at": weighted_average_precision}
    return {
        **evaluate_graded(h, ks=named),
        **{name: _by_cut(cuts, (metric(h, k).mean() for k in cuts)) for name, metric in curves.items()},
    }


def _by_cut(cuts: Sequence[int], values: Iterable[Tensor]) -> dict[str, float]:
    return {str(k): float(value) for k, value in zip(cuts, values, strict=True)}
