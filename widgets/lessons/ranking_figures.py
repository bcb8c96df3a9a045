"""Rankings with ties, drawn: every order of one query, and what a sort makes of many."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from matplotlib.figure import Figure

from dhaps_core.retrieval.average_precision import (
    average_precision,
    average_precision_bounds,
    threshold_average_precision,
)
from dhaps_core.retrieval.histograms import DistanceHistograms
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import BAD, CLASS_COLOURS, GOOD, MAIN, OTHER, clear, colour_of, thumbnail

__all__ = ["luck_figure", "sorted_average_precision", "ties_figure"]

BELOW: Mapping[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18)}  # covers nothing


def sorted_average_precision(
    distances: Int64[np.ndarray, "q m"], relevant: Bool[np.ndarray, "q m"], order: Int64[np.ndarray, " m"]
) -> Float64[np.ndarray, " q"]:
    """Average precision as a stable sort leaves it, of a database that lies in some order.

    Args:
        distances: of each query to each item; an item that is not ranked has a distance below 0.
        relevant: whether it answers the query; each query has an item that does.
        order: positions of the items as they lie in the database.
    """
    values = []
    for row, answers in zip(distances[:, order], relevant[:, order], strict=True):
        ranked = row >= 0
        hits = answers[ranked][np.argsort(row[ranked], kind="stable")]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        values.append(precision[hits].mean())
    return np.array(values)


def ties_figure(
    material: Material,
    h: DistanceHistograms,
    distances: Int64[np.ndarray, " m"],
    orders: Float64[np.ndarray, " o"],
) -> Figure:
    """One query's ranking in columns of equal distance, and its average precision in every order of them.

    Args:
        material: the items, the first of which is the query.
        h: of that query alone; the other items are the database.
        distances: of the other items to it.
        orders: average precision in every order of the ties.
    """
    figure = Figure(figsize=(9.6, 4.0), layout="constrained")
    ranks, line = figure.subplots(1, 2, width_ratios=(1.1, 1))
    places = np.unique(distances)
    height = max(int((distances == d).sum()) for d in places)
    clear(ranks, (-2.2, len(places) - 0.4), (-1.1, height))
    frame = colour_of(material, 0)
    thumbnail(ranks, material.pictures[0], (-1.6, 0.3), side=0.85, colour=frame, label="query")
    for column, d in enumerate(places):
        for row, i in enumerate(np.flatnonzero(distances == d) + 1):
            good = material.labels[i] == material.labels[0]
            at = (column, row + 0.1)
            thumbnail(ranks, material.pictures[i], at, side=0.74, colour=GOOD if good else OTHER)
        ranks.text(column, -0.8, f"{d}", ha="center")
    ranks.text(-0.6, -0.8, "distance", ha="right")
    ranks.set_title("relevant items are framed in green", fontsize="small")
    values, counts = np.unique(orders.round(9), return_counts=True)
    line.vlines(values, 0, counts, color=OTHER, lw=4, alpha=0.7)
    low, high = (float(bound) for bound in average_precision_bounds(h))
    marks = (
        ("expected", float(average_precision(h)), MAIN, "-"),
        ("worst order", low, BAD, "--"),
        ("best order", high, GOOD, "--"),
        ("by thresholds", float(threshold_average_precision(h)), CLASS_COLOURS[4], ":"),
    )
    for name, value, colour, dashes in marks:
        line.axvline(value, color=colour, ls=dashes, lw=2, label=f"{name}: {value:.4f}")
    line.set(xlabel="average precision", ylabel="orders of the ties", xlim=(0, 1.02))
    line.yaxis.get_major_locator().set_params(integer=True)
    line.spines[["top", "right"]].set_visible(False)
    line.legend(fontsize="small", ncols=2, **BELOW)
    return figure


def luck_figure(
    h: DistanceHistograms,
    shuffled: Float64[np.ndarray, "draws q"],
    by_class: Float64[np.ndarray, " q"],
    labels: Int64[np.ndarray, " q"],
) -> Figure:
    """Mean average precision as a sort leaves it, over many orders of the database, and by class.

    Args:
        h: of the queries.
        shuffled: average precision of each query by a stable sort, for every order of the database.
        by_class: the same for a database that lies in the order of its classes.
        labels: class of each query.
    """
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    expected = average_precision(h)
    left.hist(shuffled.mean(1), bins=40, color=OTHER, alpha=0.5, label=f"a sort, {len(shuffled)} orders")
    low, high = (float(bound.mean()) for bound in average_precision_bounds(h))
    left.axvline(float(expected.mean()), color=MAIN, lw=2, label=f"expected: {float(expected.mean()):.3f}")
    left.axvline(low, color=BAD, ls="--", lw=1.6, label=f"all ties at worst: {low:.3f}")
    left.axvline(high, color=GOOD, ls="--", lw=1.6, label=f"all ties at best: {high:.3f}")
    left.set(xlabel="mAP@all", yticks=[])
    left.spines[["top", "right", "left"]].set_visible(False)
    left.legend(fontsize="small", ncols=2, **BELOW)
    classes = np.unique(labels)
    at = np.arange(len(classes))
    pairs = (("expected", expected.numpy(), MAIN), ("database sorted by class", by_class, CLASS_COLOURS[1]))
    for step, (name, values, colour) in enumerate(pairs):
        means = [values[labels == c].mean() for c in classes]
        right.bar(at + 0.36 * (step - 0.5), means, 0.34, color=colour, label=f"{name}: {values.mean():.3f}")
    right.set_xticks(at, [f"queries of class {c}" for c in classes])
    right.set(ylabel="mAP@all", ylim=(0, 1.02))
    right.spines[["top", "right"]].set_visible(False)
    right.legend(fontsize="small", **BELOW)
    return figure
