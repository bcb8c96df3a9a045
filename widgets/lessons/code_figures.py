"""Codes and Hamming balls, drawn."""

from math import comb

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dhaps_core.hamming import hamming_distance
from widgets.lessons.material import Material
from widgets.lessons.showing import INK
from widgets.lessons.thumbnails import CLASS_COLOURS, MAIN, clear, colour_of, thumbnail

__all__ = ["ball_figure", "codes_figure"]


def codes_figure(material: Material) -> Figure:
    """Each item over its relaxed code, as discs of the size of |u|, and over its code, as squares."""
    n, bits = material.codes.shape
    figure = Figure(figsize=(0.62 * n + 1.6, 0.34 * 2 * bits + 0.9), layout="constrained")
    axes = figure.subplots()
    low = -2.4 - 2 * bits
    clear(axes, (-2.8, n - 0.4), (low, 1.1))
    for i in range(n):
        thumbnail(
            axes, material.pictures[i], (i, 0.2), side=0.86, colour=colour_of(material, i), label=f"{i}"
        )
        for j in range(bits):
            u, h = float(material.relaxed[i, j]), float(material.codes[i, j])
            colour = MAIN if h > 0 else CLASS_COLOURS[1]
            axes.scatter(i, -1.2 - j, s=2 + 130 * abs(u), color=colour, zorder=3, lw=0)
            corner = (i - 0.38, -1.9 - bits - j)
            axes.add_patch(Rectangle(corner, 0.76, 0.8, fc=colour if h > 0 else "none", ec=colour, lw=1.2))
    axes.text(-0.8, -0.7 - bits / 2, "relaxed\ncode u", ha="right", va="center")
    axes.text(-0.8, -1.1 - 1.5 * bits, "code h\n■ +1\n□ -1", ha="right", va="center")
    axes.axhline(-1.0 - bits + 0.05, color=INK, lw=0.4, alpha=0.4)
    return figure


def ball_figure(material: Material, *, query: int, radius: int) -> Figure:
    """Every item in the column of its Hamming distance to a query; the ball is shaded."""
    bits = material.codes.shape[1]
    distances = hamming_distance(material.codes[[query]], material.codes)[0].tolist()
    columns = [[i for i, d in enumerate(distances) if d == v and i != query] for v in range(bits + 1)]
    height = max(map(len, columns))
    inches = min(0.8, 6 / (height + 1.6))  # of one step: a tall column must fit a screen
    figure = Figure(figsize=(inches * (bits + 3), inches * (height + 1.6) + 0.4), layout="constrained")
    axes = figure.subplots()
    clear(axes, (-2.2, bits + 0.6), (-1.25, height + 0.35))
    axes.axvspan(-0.5, radius + 0.5, color=MAIN, alpha=0.16, lw=0)
    thumbnail(axes, material.pictures[query], (-1.5, 0.4), side=0.9, colour=colour_of(material, query))
    axes.text(-1.5, 0.95, "query", ha="center", fontsize="small")
    for v, column in enumerate(columns):
        weight = "bold" if v <= radius else "normal"
        axes.text(v, -0.42, f"{v}", ha="center", fontweight=weight)
        axes.text(v, -0.85, f"{comb(bits, v)}", ha="center", fontsize="small", fontweight=weight)
        for row, i in enumerate(column):
            thumbnail(axes, material.pictures[i], (v, row + 0.4), side=0.76, colour=colour_of(material, i))
    axes.text(-0.7, -0.42, "distance", ha="right")
    axes.text(-0.7, -0.85, "codes there", ha="right", fontsize="small")
    inside = sum(len(column) for column in columns[: radius + 1])
    codes = sum(comb(bits, v) for v in range(radius + 1))
    axes.set_title(
        f"radius {radius}: {inside} of {len(material) - 1} items, in {codes} of {2**bits} codes", loc="left"
    )
    return figure
