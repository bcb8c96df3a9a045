"""The choice of pairs, drawn: uncertainty, the three terms pulling apart, greedy beside the best picks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from matplotlib.figure import Figure
from torch import Tensor

from dhaps_core.acquisition.problem import Weights, uncertainty
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.quadratic import QuadraticForm
from dhaps_core.acquisition.select import Selection, select
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import BAD, CLASS_COLOURS, GOOD, MAIN, OTHER, clear, colour_of, thumbnail

__all__ = ["doubt_figure", "picks_figure", "solvers_figure"]

TERMS = {
    "uncertainty": CLASS_COLOURS[4],
    "representativeness": CLASS_COLOURS[2],
    "diversity": CLASS_COLOURS[3],
}


def doubt_figure(theta: Float64[Tensor, " p"]) -> Figure:
    """What an answer would cost the model, for both answers, and every pair at the greater of the two."""
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = figure.subplots()
    end = float(theta.abs().max()) + 0.5
    at = np.linspace(-end, end, 200)
    axes.plot(at, np.logaddexp(0, at) - at, color=GOOD, label='J, if the answer is "same" (y = 1)')
    axes.plot(at, np.logaddexp(0, at), color=BAD, label='J, if the answer is "different" (y = 0)')
    axes.plot(
        theta.numpy(),
        uncertainty(theta).numpy(),
        "o",
        color=MAIN,
        alpha=0.5,
        ms=6,
        label="pairs, at the greater one",
    )
    axes.axhline(np.log(2), color=OTHER, ls=":", lw=1.2)
    axes.annotate("log 2: undecided", (-end, np.log(2)), (2, -12), textcoords="offset points", color=OTHER)
    axes.set(xlabel=r"$\theta$ = half the inner product of the relaxed codes", ylabel="J")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend()
    return figure


def picks_figure(
    material: Material,
    bandwidth: float,
    picks: int,
    *,
    uncertainty: float,
    representativeness: float,
    diversity: float,
) -> Figure:
    """Pairs chosen under three weights, on a map of the relaxed codes, and what each term says of them."""
    weights = Weights(uncertainty, representativeness, diversity)
    problem = Published(material.relaxed, space=material.codes, bandwidth=bandwidth, weights=weights)
    found = select(problem, picks=picks)
    figure = Figure(figsize=(9.4, 4.6), layout="constrained")
    chart, bars = figure.subplots(1, 2, width_ratios=(1.45, 1))
    _map(chart, material, found)
    # The terms as they are with weights of 1: what is pulled at, whatever pulls.
    even = Published(material.relaxed, space=material.codes, bandwidth=bandwidth)
    terms = even.scores(found.pairs, picks)
    for place, (name, colour) in enumerate(TERMS.items()):
        at = np.arange(picks) + (place - 1) * 0.27
        bars.bar(at, terms[name].numpy(), width=0.25, color=colour, label=name)
    bars.axhline(0, color=OTHER, lw=0.8)
    bars.set_xticks(np.arange(picks), [f"pick {i + 1}" for i in range(picks)])
    bars.set_ylim(-0.45, 0.9)
    bars.spines[["top", "right", "bottom"]].set_visible(False)
    bars.tick_params(bottom=False)
    total = "  ".join(f"{float(terms[name].sum()):+.3f}" for name in TERMS)
    bars.set_title(f"costs, without the weights\nsums {total}", fontsize="small")
    bars.legend(loc="lower right", fontsize="small")
    return figure


def _map(axes: Any, material: Material, found: Selection) -> None:
    centred = (material.relaxed - material.relaxed.mean(0)).numpy()
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T
    (left, low), (right, high) = places.min(0) - 0.25, places.max(0) + 0.25
    clear(axes, (left, right), (low, high))
    for i, place in enumerate(places):
        thumbnail(axes, material.pictures[i], (place[0], place[1]), side=0.3, colour=colour_of(material, i))
    for rank, pair in enumerate(found.pairs.tolist(), 1):
        ends = places[pair]
        axes.plot(*ends.T, color=MAIN, lw=2.6, zorder=5, alpha=0.85)
        length = float(np.hypot(*(ends[1] - ends[0])))
        # Beside a line that is shorter than its number is wide.
        middle = ends.mean(0) + (np.array([0.0, 0.28]) if length < 0.5 else 0)
        box = {"boxstyle": "circle", "fc": MAIN, "ec": "none"}
        axes.text(
            *middle, f"{rank}", color="#ffffff", ha="center", va="center", zorder=6, fontsize=8, bbox=box
        )


def solvers_figure(form: QuadraticForm, found: Mapping[str, Selection], sample: Sequence[float]) -> Figure:
    """Objective of the sets that solvers find, among those of random sets; further left is better."""
    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.hist(sample, bins=60, color=OTHER, alpha=0.45, label=f"{len(sample):,} random sets")
    top = axes.get_ylim()[1]
    looks = {
        "greedy": ("o", MAIN, 0.95),
        "relaxed": ("s", CLASS_COLOURS[3], 0.75),
        "exhaustive": ("D", BAD, 0.55),
    }
    for name, one in found.items():
        value = float(one.scores["total"].sum())
        marker, colour, height = looks[name]
        axes.plot([value, value], [0, height * top], color=colour, lw=1.5)
        axes.plot(value, height * top, marker, color=colour, label=f"{name}: {value:.5f}")
        assert one.certificate is not None
        if (bound := one.certificate.lower_bound) is not None:
            axes.axvline(bound, color=GOOD, lw=1.5, ls="--", label=f"no set is below {bound:.5f}")
    axes.set(xlabel=f"objective of {form.picks} disjoint pairs", yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend()
    return figure
