"""Retrieval metrics of a set of codes, by the splits and labels of their items."""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from dhaps_core.data.items import Items
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate, precision_at_k, precision_recall_curve
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["evaluate_codes"]

CUTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # of the precision@k curve
NAMED_CUTS = (100, 1000, 5000)  # reported under their own names as well


def evaluate_codes(items: Items, codes: Float[Tensor, "n b"]) -> dict[str, Any]:
    """Metrics of the query items against the database items, for JSON; empty without labels or queries.

    They are those of :func:`dhaps_core.retrieval.metrics.evaluate`, ``precision_at`` (by cut-off) and
    ``by_radius`` (precision and recall within each). Items are relevant that share a class by their labels.

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
    return {
        **evaluate(histograms, ks=named, radius=min(2, codes.shape[1])),
        "precision_at": dict(zip(map(str, cuts), precision_at_k(histograms, cuts).tolist(), strict=True)),
        "by_radius": {"precision": curve.precision.tolist(), "recall": curve.recall.tolist()},
    }
