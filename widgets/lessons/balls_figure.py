"""Hamming balls against code length, drawn: why long codes empty them."""

from collections.abc import Mapping
from math import comb

import numpy as np
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from torch import Tensor

from dhaps_core.retrieval.histograms import DistanceHistograms, distance_histograms
from dhaps_core.retrieval.metrics import precision_within_radius
from dhaps_core.retrieval.relevance import Relevance
from widgets.lessons.thumbnails import CLASS_COLOURS, MAIN

__all__ = ["among_themselves", "balls_figure"]

RADII = {1: MAIN, 2: CLASS_COLOURS[1]}


def among_themselves(codes: Float[Tensor, "n b"], labels: Int64[np.ndarray, " n"]) -> DistanceHistograms:
    """Histograms of items that each search all others; items of the same class are relevant."""
    keys = list(range(len(labels)))
    relevance = Relevance.classes(labels, labels)
    return distance_histograms(
        codes, codes, relevance, query_keys=keys, database_keys=keys, exclude_self=True
    )


def balls_figure(by_bits: Mapping[int, DistanceHistograms]) -> Figure:
    """By code length: share of all codes in a ball, share of empty balls, and precision within."""
    figure = Figure(figsize=(10.2, 3.5), layout="constrained")
    space, empty, precision = figure.subplots(1, 3)
    bits = np.array(list(by_bits))
    for radius, colour in RADII.items():
        look = {"color": colour, "marker": "o", "ms": 4}
        share = [sum(comb(b, j) for j in range(radius + 1)) / 2.0**b for b in by_bits]
        space.plot(bits, share, label=f"radius {radius}", **look)
        balls = [precision_within_radius(h, radius) for h in by_bits.values()]
        lacking = np.array([ball.empty_balls for ball in balls])
        value = np.array([ball.precision for ball in balls])
        empty.plot(bits, lacking, label=f"radius {radius}", **look)
        precision.plot(bits, value, label=f"radius {radius}", **look)
        filled = np.where(lacking < 1, value / np.maximum(1 - lacking, 1e-12), np.nan)
        precision.plot(
            bits, filled, ls=":", lw=1.4, color=colour, label=f"radius {radius}, of balls with items"
        )
    space.set_yscale("log")
    space.set_title("share of all codes in the ball")
    empty.set_title("share of empty balls")
    precision.set_title("mean precision, empty balls 0")
    for axes in (space, empty, precision):
        axes.set(xlabel="bits", xticks=bits)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize="small")
    for axes in (empty, precision):
        axes.set_ylim(0, 1.02)
    return figure
