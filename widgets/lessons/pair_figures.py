"""Pairs of items, drawn: the swap that wins, and both kernels between pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from dhaps_core.hamming import hamming_distance
from dhaps_core.pairs import Kernel, median_bandwidth, pair_kernel
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import MAIN, OTHER, clear, colour_of, thumbnail

__all__ = ["kernel_figure", "swap_figure"]

Pair = tuple[int, int]


def swap_figure(material: Material, *, x: Pair, t: Pair) -> Figure:
    """Both ways to lay one pair on another, with the distance of each; the shorter one wins."""
    figure = Figure(figsize=(8.6, 3.1), layout="constrained")
    ways = {"as they are": t, "swapped": t[::-1]}
    hamming = hamming_distance(material.codes, material.codes).tolist()
    lengths = {
        name: [2 * hamming[i][j] ** 0.5 for i, j in zip(x, way, strict=True)] for name, way in ways.items()
    }
    least = min(map(sum, lengths.values()))
    for axes, (name, way) in zip(figure.subplots(1, 2), ways.items(), strict=True):
        clear(axes, (-0.8, 4.8), (-0.85, 2.5))
        wins = sum(lengths[name]) == least
        colour, width = (MAIN, 3.0) if wins else (OTHER, 1.2)
        for row, (i, j, length) in enumerate(zip(x, way, lengths[name], strict=True)):
            y = 1.7 - 1.6 * row
            for at, item in ((0.0, i), (4.0, j)):
                frame = colour_of(material, item)
                thumbnail(axes, material.pictures[item], (at, y), side=1.0, colour=frame, label=f"{item}")
            axes.plot([0.6, 3.4], [y, y], color=colour, lw=width)
            told = rf"$2\sqrt{{{hamming[i][j]}}} = {length:.2f}$"
            axes.text(2, y + 0.12, told, ha="center", fontweight="bold" if wins else "normal")
        equal = (
            "both are equal" if len({round(sum(v), 9) for v in lengths.values()}) == 1 else "this one wins"
        )
        axes.set_title(f"{name}: {sum(lengths[name]):.2f}{', ' + equal if wins else ''}", color=colour)
    return figure


def kernel_figure(material: Material, pairs: Sequence[Pair], *, scale: float) -> Figure:
    """Both kernels between the pairs as matrices, beside the pictures; darker is more alike."""
    codes, p = material.codes, len(pairs)
    sigma = median_bandwidth(codes, scale=scale, generator=torch.Generator().manual_seed(0))
    chosen = codes[torch.tensor(pairs)]
    every = codes[torch.combinations(torch.arange(len(codes)), with_replacement=True)]
    figure = Figure(figsize=(9.4, 5.1), layout="constrained")
    kinds: tuple[Kernel, Kernel] = ("matched", "invariant")
    for axes, kind in zip(figure.subplots(1, 2), kinds, strict=True):
        matrix = pair_kernel(chosen, chosen, bandwidth=sigma, kind=kind).numpy()
        clear(axes, (-2.6, p - 0.4), (p + 1.4, -0.6))
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1, extent=(-0.5, p - 0.5, p - 0.5, -0.5))
        _numbers(axes, matrix)
        for row, (i, j) in enumerate(pairs):
            for step, item in enumerate((i, j)):
                frame, picture = colour_of(material, item), material.pictures[item]
                thumbnail(axes, picture[::-1], (-2.1 + step * 0.95, row), side=0.82, colour=frame)
                thumbnail(axes, picture[::-1], (row, p - 0.02 + step * 0.9), side=0.82, colour=frame)
        least = float(np.linalg.eigvalsh(pair_kernel(every, every, bandwidth=sigma, kind=kind).numpy())[0])
        told = f"{least:.2f}" if least < -1e-9 else "0 or more"
        axes.set_title(f"{kind}, sigma {sigma:.2f}\nleast eigenvalue over all {len(every)} pairs: {told}")
    return figure


def _numbers(axes: Any, matrix: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        colour = "#ffffff" if value > 0.55 else "#1f2328"
        axes.text(column, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=7, color=colour)
