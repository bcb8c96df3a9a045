"""Figures of compared runs: curves with confidence bands, differences to a baseline; no pyplot."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dhaps_core.results.compare import Difference, Interval, curve, named_groups
from dhaps_core.results.runs import Run
from widgets.curves import COLOURS, plain_label

__all__ = ["band_curves", "difference_curves", "length_bands"]

_CYCLE = ("#1b6ca8", "#c8553d", "#5b8c5a", "#8e6c8a", "#d99a2b", "#3aa6a6")
_STYLES = ("-", "--", ":", "-.")


def band_curves(curves: Mapping[str, Mapping[int, Interval]], *, metric: str, against: str) -> Figure:
    """Mean of each group against the budget, with its confidence interval as a band.

    Args:
        curves: by name, from :func:`dhaps_core.results.compare.curve`.
        metric: label of the y axis.
        against: label of the x axis.
    """
    figure, axes = _panel(metric, against.replace("_", " "))
    for i, (name, points) in enumerate(curves.items()):
        _band(axes, i, name, points)
    _finish(axes)
    return figure


def difference_curves(
    differences: Mapping[str, Sequence[Difference]], *, metric: str, against: str, baseline: str = "random"
) -> Figure:
    """Paired differences to the baseline, with intervals; where the bar crosses 0 there is no gain."""
    figure, axes = _panel(f"{metric} minus {baseline}", against.replace("_", " "))
    axes.axhline(0, color="black", lw=0.8)
    reach = max((one.budget for points in differences.values() for one in points), default=0)
    for i, (name, points) in enumerate(differences.items()):
        shift = i * reach / 100  # bars beside each other, not on each other
        spread = [
            max(0.0, one.interval.high - one.interval.mean) if one.interval.n > 1 else 0.0 for one in points
        ]
        axes.errorbar(
            [one.budget + shift for one in points],
            [one.interval.mean for one in points],
            yerr=spread,
            marker="o",
            ms=4,
            capsize=3,
            color=_colour(i, name),
            label=plain_label(name),
        )
    _finish(axes)
    return figure


def length_bands(runs: Sequence[Run], *, radius: int = 1) -> Figure:
    """The paper's Figure 1: precision within a Hamming radius against code length, after the last round.

    "Hamming distance < 2" is the ball of radius 1; a query whose ball is empty counts as 0.

    Args:
        runs: of several code lengths.
        radius: greatest distance inside the ball, in bits.
    """
    figure, axes = _panel(f"precision at Hamming distance ≤ {radius}", "bits")
    lengths = sorted({run.facts["bits"] for run in runs})
    for i, (name, group) in enumerate(named_groups(runs, without=("bits",)).items()):
        points = {
            bits: _ball([run for run in group if run.facts["bits"] == bits], radius) for bits in lengths
        }
        _band(axes, i, name, {bits: found for bits, found in points.items() if found is not None})
    axes.set(ylim=(0, 1))
    axes.set_xticks(lengths)
    _finish(axes)
    return figure


def _ball(group: Sequence[Run], radius: int) -> Interval | None:
    """Precision within the ball over the seeds, of runs that have it."""
    last = [
        Run(run.name, run.seed, run.facts, ({"ball": run.rounds[-1]["by_radius"]["precision"][radius]},))
        for run in group
        if "by_radius" in run.rounds[-1]
    ]
    return curve(last, "ball")[0] if last else None


def _panel(ylabel: str, xlabel: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=plain_label(xlabel), ylabel=plain_label(ylabel))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _band(axes: Any, i: int, name: str, points: Mapping[int, Interval]) -> None:
    x, found = list(points), list(points.values())
    colour = _colour(i, name)
    seeds = f" ({found[0].n} seeds)" if found and found[0].n > 1 else ""
    mean = [one.mean for one in found]
    style = _STYLES[i // len(_CYCLE) % len(_STYLES)]
    axes.plot(x, mean, marker="o", ms=4, color=colour, ls=style, label=f"{plain_label(name)}{seeds}")
    if all(one.n > 1 for one in found):
        axes.fill_between(
            x, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.15, lw=0
        )


def _colour(i: int, name: str) -> str:
    return COLOURS.get(name, _CYCLE[i % len(_CYCLE)])


def _finish(axes: Any) -> None:
    axes.grid(alpha=0.25, lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize="small")
