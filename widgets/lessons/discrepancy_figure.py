"""The discrepancy of the chosen pairs from all pairs, drawn as pairs are added."""

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib.figure import Figure

from widgets.lessons.material import Material
from widgets.lessons.thumbnails import MAIN, OTHER, clear, colour_of, thumbnail

__all__ = ["discrepancy_figure"]


def discrepancy_figure(
    material: Material,
    picks: Int64[np.ndarray, "q 2"],
    chosen: Float64[np.ndarray, " q"],
    random: Float64[np.ndarray, "draws q"],
    *,
    pairs: int,
) -> Figure:
    """Squared MMD after each pair, beside that of random pairs, and the pairs so far.

    Args:
        material: the items.
        picks: pairs in the order of picking.
        chosen: squared MMD after each of them.
        random: the same of random pairs, for every draw.
        pairs: how many are chosen so far.
    """
    figure = Figure(figsize=(9.4, 3.7), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(1.5, 1))
    at = np.arange(1, len(picks) + 1)
    low, middle, high = np.quantile(random, (0.1, 0.5, 0.9), axis=0)
    axes.fill_between(at, low, high, color=OTHER, alpha=0.25, lw=0, label="random: 8 of 10 draws")
    axes.plot(at, middle, color=OTHER, label="random: median")
    axes.plot(at, chosen, color=MAIN, alpha=0.35)
    axes.plot(at[:pairs], chosen[:pairs], "o-", color=MAIN, label="greedy")
    axes.set(xlabel="pairs chosen", ylabel="squared MMD to all pairs", xticks=at, ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend()
    axes.set_title(f"{pairs} pair{'s' * (pairs > 1)}: {chosen[pairs - 1]:.4f}", loc="left")
    rows = -(-len(picks) // 2)
    clear(beside, (-0.7, 5.2), (-0.9, 1.25 * rows))
    for place, pair in enumerate(picks[:pairs].tolist()):
        x, y = 3.0 * (place % 2), 1.25 * (rows - 1 - place // 2)
        for step, item in enumerate(pair):
            frame = colour_of(material, item)
            thumbnail(
                beside, material.pictures[item], (x + step, y), side=0.95, colour=frame, label=f"{item}"
            )
    return figure
