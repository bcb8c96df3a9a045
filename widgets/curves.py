"""Figures of finished rounds: learning curves and precision at k, as plain matplotlib figures.

Figures are made without pyplot: no global state, nothing to close.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dhaps_core.escaping import one_line

__all__ = [
    "COLOURS",
    "figure_png",
    "learning_curves",
    "length_curves",
    "pair_figure",
    "plain_label",
    "precision_curves",
]

Runs = Mapping[str, Sequence[Mapping[str, Any]]]
COLOURS = {"dhaps": "#1b6ca8", "random": "#8c8c8c"}
NAMES = {"dhaps": "DH-APS", "random": "random"}


LONGEST = 40  # characters of a name beside a curve


def plain_label(name: str) -> str:
    r"""A name as a figure shows it, letter by letter: ``$`` begins no mathematics, ``_`` hides no curve.

    What the font has no letter for is a box, with matplotlib's warning.

    Example:
        >>> plain_label("$x"), plain_label("_a")
        ('\\$x', ' _a')
    """
    text = one_line(name)
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    escaped = text.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped


def figure_png(figure: Figure, *, dpi: int = 110) -> bytes:
    """The figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def learning_curves(
    runs: Runs, *, metrics: Sequence[str] = ("mAP@all", "P@100"), against: str = "items_labelled"
) -> Figure:
    """Each metric against the labels given: mean over the runs of a group, and their range as a band.

    Args:
        runs: rounds by name; the part of the name before the first slash is the group.
        metrics: names of metrics, one panel each.
        against: the budget on the x axis, ``items_labelled`` or ``answers``.
    """
    figure = Figure(figsize=(4.6 * len(metrics), 3.6), layout="constrained")
    for axes, metric in zip(np.atleast_1d(figure.subplots(1, len(metrics))), metrics, strict=True):
        for group, members in _groups(runs).items():
            x, values = _aligned(members, against, metric)
            if not len(x):
                continue
            colour = COLOURS.get(group)
            line = axes.plot(x, values.mean(0), marker="o", ms=4, color=colour, label=_label(group, members))
            axes.fill_between(x, values.min(0), values.max(0), color=line[0].get_color(), alpha=0.15, lw=0)
        axes.set(xlabel=plain_label(against.replace("_", " ")), ylabel=plain_label(metric))
        _clean(axes)
        if axes.lines:
            axes.legend(frameon=False)
    return figure


def precision_curves(runs: Runs, *, number: int | None = None) -> Figure:
    """Precision at k of one round (the last that all runs have), mean and range over the runs of a group.

    Args:
        runs: rounds by name; the part before the first slash is the group.
        number: the round; None takes the last common one.
    """
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    last = min(len(rounds) for rounds in runs.values()) - 1 if number is None else number
    for group, members in _groups(runs).items():
        tables = [rounds[last]["precision_at"] for rounds in members if "precision_at" in rounds[last]]
        if not tables:
            continue
        k = [int(name) for name in tables[0]]
        values = np.array([list(table.values()) for table in tables])
        line = axes.plot(
            k, values.mean(0), marker="o", ms=3, color=COLOURS.get(group), label=_label(group, members)
        )
        axes.fill_between(k, values.min(0), values.max(0), color=line[0].get_color(), alpha=0.15, lw=0)
    axes.set(xlabel="k", ylabel="precision@k", xscale="log", title=f"after round {last}")
    _clean(axes)
    if axes.lines:
        axes.legend(frameon=False)
    return figure


def _groups(runs: Runs) -> dict[str, list[Sequence[Mapping[str, Any]]]]:
    groups: dict[str, list[Sequence[Mapping[str, Any]]]] = {}
    for name, rounds in runs.items():
        groups.setdefault(name.split("/")[0], []).append(rounds)
    return groups


def _aligned(
    members: Sequence[Sequence[Mapping[str, Any]]], against: str, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """Budget and values [runs, rounds] of the rounds that every run of the group has."""
    common = min(len(rounds) for rounds in members)
    rows = [[row for row in rounds[:common] if metric in row] for rounds in members]
    values = np.array([[row[metric] for row in rounds] for rounds in rows])
    return np.array([row[against] for row in rows[0]]), values


def _label(group: str, members: Sequence[Any]) -> str:
    seeds = f" ({len(members)} seeds)" if len(members) > 1 else ""
    return plain_label(NAMES.get(group, group)) + seeds


def _clean(axes: Any) -> None:
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def pair_figure(
    places: np.ndarray,
    pairs: Sequence[Mapping[str, Any]],
    *,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
) -> Figure:
    """Map of items as points and of chosen pairs as lines, coloured by round; for where no widget can be.

    Args:
        places: of the items, [m 2].
        pairs: ``points`` (rows of ``places``) and ``round`` of each; see `pair_layout.PairLayout.pairs`.
        labels: class ids [m] that colour the points, or None.
        class_names: their names.
    """
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    axes = figure.subplots()
    if labels is None:
        axes.scatter(places[:, 0], places[:, 1], s=5, color="#c3c9d0")
    else:
        for one, name in enumerate(class_names):
            x, y = places[labels == one].T
            axes.scatter(x, y, s=5, alpha=0.6, color=f"C{one % 10}", label=plain_label(name))
        axes.legend(frameon=False, markerscale=3, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    last = max((pair["round"] for pair in pairs), default=1)
    for pair in pairs:
        shade = str(0.75 * (1 - pair["round"] / last))  # later rounds are darker
        axes.plot(*places[pair["points"]].T, color=shade, lw=1.3, marker="o", ms=3)
    axes.set(xticks=[], yticks=[], title=f"pairs chosen in rounds 1 to {last}, later ones darker")
    axes.spines[:].set_visible(False)
    return figure


def length_curves(
    rows: Mapping[str, Mapping[int, Sequence[Mapping[str, Any]]]], *, radii: Sequence[int] = (1, 2)
) -> Figure:
    """Precision within small Hamming balls against the length of the codes (the paper's Figure 1).

    A query with an empty ball counts as 0. "Hamming distance < 2" is the ball of radius 1.

    Args:
        rows: for each group and code length, in bits, the metrics rows of its seeds.
        radii: greatest distances inside the balls, in bits; one panel each.
    """
    figure = Figure(figsize=(4.6 * len(radii), 3.6), layout="constrained")
    for axes, radius in zip(np.atleast_1d(figure.subplots(1, len(radii))), radii, strict=True):
        for group, by_bits in rows.items():
            bits = sorted(by_bits)
            # [lengths, seeds]
            values = np.array([[row["by_radius"]["precision"][radius] for row in by_bits[b]] for b in bits])
            colour, label = COLOURS.get(group), _label(group, by_bits[bits[0]])
            line = axes.plot(bits, values.mean(1), marker="o", ms=4, color=colour, label=label)
            axes.fill_between(bits, values.min(1), values.max(1), color=line[0].get_color(), alpha=0.15, lw=0)
        axes.set(xlabel="bits", ylabel=f"precision at Hamming distance ≤ {radius}", ylim=(0, 1))
        axes.set_xticks(sorted({b for by_bits in rows.values() for b in by_bits}))
        _clean(axes)
        axes.legend(frameon=False)
    return figure
