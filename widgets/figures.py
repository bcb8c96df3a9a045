"""Figures of finished rounds: curves over budgets, cut-offs and code lengths, and the map of chosen pairs.

A curve is the mean over the seeds of a group; its band is their range, or Student's t interval where a level
of confidence is given, and a single seed has none. There is no pyplot: no global state, nothing to close.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from math import ceil
from statistics import mean
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from dhaps_core.escaping import one_line
from dhaps_core.paper.rows import printed_name
from dhaps_core.paper.table import ROWS
from dhaps_core.results.compare import Difference, Interval, interval

__all__ = [
    "Panel",
    "at_cuts",
    "band_curves",
    "difference_curves",
    "draw",
    "efficiency_curves",
    "efficiency_differences",
    "figure1",
    "figure_png",
    "gathered",
    "learning_curves",
    "pair_figure",
    "panels",
    "plain_label",
    "precision_curves",
]

Row = Mapping[str, Any]
"""Metrics of one round of one run."""
Curves = Mapping[str, Mapping[Any, Interval]]
"""By name, then by what stands on the x axis."""

COLOURS = {"dhaps": "#1b6ca8", "random": "#8c8c8c"}
OTHERS = ("#c8553d", "#5b8c5a", "#8e6c8a", "#d99a2b", "#3aa6a6", "#6a5acd")  # of all other names, in turn
DASHES, MARKERS = ("-", "--", ":", "-."), "os^D"  # of the first six of them, the next six, ...
SPAN = 0.1  # of a metric, that an axis shows at least
CEILING = "at most"
LONGEST = 60  # characters of a name beside a curve


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


def panels(n: int = 1, *, height: float = 3.6, across: int | None = None) -> tuple[Figure, list[Any]]:
    """A figure with n axes beside each other, at most so many across, and these; a row's height in inches."""
    across = min(n, across or n)
    down = ceil(n / across)
    layout = ConstrainedLayoutEngine(w_pad=0.08)
    figure = Figure(figsize=(1 + 4.4 * across, height * down), layout=layout)
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for spare in axes[n:]:
        spare.remove()
    axes = axes[:n]
    for one in axes:
        one.grid(alpha=0.25, lw=0.6)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def learning_curves(
    runs: Mapping[str, Sequence[Row]], *, metrics: Sequence[str] = ("mAP@all", "P@100")
) -> Figure:
    """Each metric against the items labelled, over the rounds that all runs of a group have.

    Args:
        runs: rounds by name; the part of the name before the first slash is the group.
        metrics: names of metrics, one panel each.
    """
    groups: dict[str, list[Sequence[Row]]] = {}
    for name, rounds in runs.items():
        groups.setdefault(name.split("/")[0], []).append(rounds)
    rows = [
        (name, budget, row)
        for name, group in groups.items()
        # Of several rounds with one budget the last counts.
        for budget, seeds in {each[0]["items_labelled"]: each for each in zip(*group, strict=False)}.items()
        for row in seeds
    ]
    shown = []
    for metric in metrics:
        values = ((name, budget, row[metric]) for name, budget, row in rows if metric in row)
        shown.append(Panel(gathered(values), "items labelled", metric, span=SPAN))
    return draw(shown)


def precision_curves(runs: Mapping[str, Sequence[Row]]) -> Figure:
    """Precision at k after the last round that all runs have, named as for :func:`learning_curves`."""
    last = min(map(len, runs.values())) - 1
    rows = [(name.split("/")[0], rounds[last]) for name, rounds in runs.items()]
    return draw([at_cuts(rows, "precision_at", f"precision at k after round {last}")])


def figure1(
    runs: Iterable[tuple[str, int, Row]],
    *,
    names: Sequence[str] = (),
    radii: Sequence[int] = (1, 2),
    bits: int | None = None,
    level: float | None = None,
) -> Figure:
    """The paper's Figure 1: precision within small Hamming balls against code length, and top-k precision.

    The paper's "distance less than 2" is the ball of radius 1, and the axis says both; published code mostly
    takes radius 2. A query whose ball is empty counts as precision 0, as the field has it.

    Args:
        runs: group, code length in bits and metrics of the last round, of every seed.
        names: groups to draw, in this order (rows of the paper without runs, in whatever variety, are left
            out); all if empty.
        radii: greatest distances inside the balls, in bits; one panel each.
        bits: code length of one more panel, with precision at k; none if None.
        level: of confidence of the bands; None makes them ranges.

    Raises:
        ValueError: if a name is neither one of a group nor one of the paper's, or no run has that many bits.
    """
    runs = [run for run in runs if "by_radius" in run[2]]  # else nothing was measured
    known = {*(run[0] for run in runs), *(row.name for row in ROWS)}
    if strange := [name for name in names if not {name, printed_name(name)} & known]:
        raise ValueError(
            f"rows must be among {', '.join(sorted(known))}; got {strange[0]!r}. Write it as there."
        )
    drawn = [run for name in names or dict.fromkeys(run[0] for run in runs) for run in runs if run[0] == name]
    if not drawn or (bits is not None and bits not in {length for _, length, _ in drawn}):
        have = ", ".join(sorted({f"{name} at {length} bits" for name, length, _ in runs}))
        raise ValueError(
            f"rows and bits must be those of some runs; got none at {bits} bits. There are: {have}."
        )
    shown = []
    for radius in radii:
        values = ((name, b, row["by_radius"]["precision"][radius]) for name, b, row in drawn if b >= radius)
        label = f"precision within radius {radius} (distance < {radius + 1})"
        shown.append(Panel(gathered(values, level), "bits", label, share=True, scale="log"))
    if bits is not None:
        rows = [(name, row) for name, length, row in drawn if length == bits]
        shown.append(at_cuts(rows, "precision_at", f"precision at k with {bits} bits", level=level))
    return draw(shown)


def band_curves(curves: Curves, *, metric: str, against: str) -> Figure:
    """Curves that are computed already, by :func:`dhaps_core.results.compare.curve`; labels of the axes."""
    return draw([Panel({name: points for name, points in curves.items() if points}, against, metric)])


def difference_curves(
    differences: Mapping[str, Sequence[Difference]], *, metric: str, against: str, baseline: str = "random"
) -> Figure:
    """Paired differences to the baseline, with intervals; where the bar crosses 0 there is no gain."""
    curves = {name: {one.budget: one.interval for one in points} for name, points in differences.items()}
    return draw([Panel(curves, against, f"{metric} minus {baseline}")], bars=True)


def efficiency_curves(curves: Mapping[str, Curves], *, metric: str, against: str) -> Figure:
    """Learning curves of a study, a panel for each data set by its name; budgets double to the right."""
    shown = [Panel(one, against, metric, title=name, scale="doubling") for name, one in curves.items()]
    return draw(shown, across=3)


def efficiency_differences(
    differences: Mapping[str, Curves], *, metric: str, against: str, baseline: str = "random"
) -> Figure:
    """Paired differences of a study to the baseline, with intervals; panels as :func:`efficiency_curves`."""
    y = f"{metric} minus {baseline}"
    shown = [Panel(one, against, y, title=name, scale="doubling") for name, one in differences.items()]
    return draw(shown, bars=True, across=3)


def pair_figure(
    places: np.ndarray,
    pairs: Sequence[Mapping[str, Any]],
    *,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """Map of items as points and of chosen pairs as lines, coloured by round; for where no widget can be.

    Args:
        places: of the items, [m 2].
        pairs: ``points`` (rows of ``places``) and ``round`` of each; see `PairLayout.pairs`.
        labels: class ids [m] that colour the points.
        class_names: their names.
    """
    figure, [axes] = panels(height=5.8)
    points = [
        axes.scatter(*places[labels == i].T, s=5, alpha=0.6, color=f"C{i % 10}", label=plain_label(name))
        for i, name in enumerate(class_names)
    ]
    last = max((pair["round"] for pair in pairs), default=1)
    for pair in pairs:
        weight = 0.25 + 0.75 * pair["round"] / last  # of the ink, which is white in a dark theme; grey is not
        axes.plot(*places[pair["points"]].T, color="black", alpha=weight, lw=1.3, marker="o", ms=3)
    axes.set(xticks=[], yticks=[], title=f"pairs chosen in rounds 1 to {last}, later ones stronger")
    axes.spines[:].set_visible(False)
    return _with_legend(figure, points, markerscale=3)


class Panel(NamedTuple):
    """Curves, the names of their axes, a title and the scale of x; a share lies between 0 and 1.

    Of a scale that is ``doubling`` x is logarithmic from its first place above 0 on, and has room for 0; of
    ``share`` it is a share itself; otherwise it has whole numbers. The y axis is at least ``span`` high: what
    hardly changes shall not look like a cliff.
    """

    curves: Curves
    x: str
    y: str
    share: bool = False
    title: str = ""
    scale: Literal["linear", "log", "doubling", "share"] = "linear"
    span: float = 0.0


def gathered(values: Iterable[tuple[str, float, float]], level: float | None = None) -> Curves:
    """Curves of values, one for each seed, behind their names and their places on the x axis."""
    found: dict[str, dict[float, list[float]]] = {}
    for name, x, value in values:
        found.setdefault(name, {}).setdefault(x, []).append(value)
    return {name: {x: _band(points[x], level) for x in sorted(points)} for name, points in found.items()}


def _band(values: Sequence[float], level: float | None) -> Interval:
    if level is not None:
        return interval(values, level=level)
    return Interval(mean(values), min(values), max(values), len(values))


def at_cuts(
    rows: Iterable[tuple[str, Row]], metric: str, y: str, *, share: bool = True, level: float | None = None
) -> Panel:
    """Curves of a metric that rows have by cut-off, and of its ceiling, as far as rows have them."""
    rows, kinds = list(rows), [(metric, None), (metric.replace("_at", "_ceiling_at"), CEILING)]
    values = (
        (drawn or name, int(k), value)
        for kind, drawn in kinds
        for name, row in rows
        for k, value in row.get(kind, {}).items()
    )
    return Panel(gathered(values, level), "k", y, share=share, scale="log")


def draw(shown: Sequence[Panel], *, bars: bool = False, across: int | None = None) -> Figure:
    """Panels beside each other; intervals are bands, or bars around a line at 0."""
    figure, beside = panels(len(shown), across=across)
    looks = _looks(shown)
    handles: dict[str, Any] = {}
    for axes, (curves, x, y, share, title, scale, span) in zip(beside, shown, strict=True):
        places = sorted({place for points in curves.values() for place in points})
        for i, (name, points) in enumerate(curves.items()):
            at, look = np.array(list(points)), looks[name]
            means, lows, highs = np.array([(one.mean, one.low, one.high) for one in points.values()]).T
            if bars:  # beside each other, not on each other
                aside = (i - (len(curves) - 1) / 2) / 100
                at = at * 10**aside if scale == "doubling" else at + places[-1] * aside
                line = axes.errorbar(at, means, yerr=highs - means, capsize=3, **look)
            else:
                [line] = axes.plot(at, means, **look)
                axes.fill_between(at, lows, highs, color=look["color"], alpha=0.15, lw=0)
            handles.setdefault(name, line)
        if bars:
            axes.axhline(0, color="black", lw=0.8, zorder=1)
        axes.set(xlabel=plain_label(x.replace("_", " ")), ylabel=plain_label(y), title=plain_label(title))
        if share or scale == "log":
            axes.set_ylim(0, 1.02 if share else None)
        low, high = axes.get_ylim()
        if (lacking := span - (high - low)) > 0:
            axes.set_ylim(low - lacking / 2, high + lacking / 2)
        if scale == "share":
            axes.set_xlim(0, 1.02)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        if scale == "log":
            axes.set_xscale("log")
        if scale == "doubling":
            first = next((at for at in places if at > 0), 1)
            at_zero = {"value": "symlog", "linthresh": first, "linscale": 0.3}
            axes.set_xscale(**at_zero if 0 in places else {"value": "log"})
        if scale in {"log", "doubling"}:
            ticks = (
                places if len(places) <= 8 else [at for at in places if at in (0, 1, 10, 100, 1000, 10_000)]
            )
            axes.set_xticks(ticks, map(str, ticks))
            axes.minorticks_off()
    return _with_legend(figure, list(handles.values()))


def _looks(shown: Sequence[Panel]) -> dict[str, dict[str, Any]]:
    """Label, colour, dashes and marker of each name, the same in all panels; 24 names are told apart."""
    seeds: dict[str, set[int]] = {}
    for panel in shown:
        for name, points in panel.curves.items():
            seeds.setdefault(name, set()).update(point.n for point in points.values())
    others = cycle((colour, *line) for line in zip(DASHES, MARKERS, strict=True) for colour in OTHERS)
    looks: dict[str, dict[str, Any]] = {}
    for name, found in seeds.items():
        if name == CEILING:
            looks[name] = {"label": name, "color": "#b0b0b0", "ls": ":", "marker": ""}
            continue
        colour, dashes, marker = (COLOURS[name], "-", "o") if name in COLOURS else next(others)
        many = " to ".join(str(n) for n in sorted({min(found), max(found)}))
        label = plain_label(name) + (f" ({many} seeds)" if found - {1} else "")
        looks[name] = {"label": label, "color": colour, "ls": dashes, "marker": marker, "ms": 4}
    return looks


def _with_legend(figure: Figure, handles: Sequence[Any], **more: Any) -> Figure:
    """The figure with one legend for all axes: below them, so that it covers nothing and has room to grow."""
    if handles:
        width, height = figure.get_size_inches()
        # Inches of the widest entry, about: a figure is measured only when it is drawn.
        widest = 0.7 + max(sum(0.118 if a.isupper() else 0.065 for a in one.get_label()) for one in handles)
        columns = min(len(handles), max(1, int(width / widest)))
        figure.set_size_inches(max(width, widest), height + 0.2 * ceil(len(handles) / columns))
        look = {"ncols": columns, "frameon": False, "fontsize": "small", "borderaxespad": 0.2, **more}
        figure.legend(handles=handles, loc="outside lower center", **look)
    return figure
