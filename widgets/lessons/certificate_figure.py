"""A certificate over all pairs, drawn: how few pairs are scored until no other can be better."""

import numpy as np
import torch
from matplotlib.figure import Figure

from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.problem import LOG2
from widgets.lessons.material import Material
from widgets.lessons.thumbnails import BAD, GOOD, MAIN, OTHER, clear, colour_of, thumbnail

__all__ = ["certificate_figure"]


def certificate_figure(material: Material, problem: Closed, *, scored_items: int) -> Figure:
    """Costs of the pairs of the first items in the order of h, the bound on all others, and the margin.

    Args:
        material: the items.
        problem: over the same items; of its candidates no pair is known.
        scored_items: of how many of them, in the order of their costs h, all pairs are scored of; at least 2.
    """
    items = problem.candidates.nonzero().flatten()
    share = problem.scale * problem.weights.diversity / (len(problem.labelled_items) + 2)
    near = share * problem.kernels(items, problem.labelled_items).sum(1)
    h = (
        near
        - problem.scale * problem.weights.representativeness * problem.means[items]
        - problem.credit[items]
    )
    h, order = h.sort(stable=True)
    items, n, some = items[order], len(items), scored_items
    costs = h[:, None] + h + share * problem.kernels(items, items)
    costs += problem.weights.uncertainty * problem.uncertainties(items, items)
    above = torch.triu(torch.ones(n, n, dtype=torch.bool), 1)
    scored = above & (torch.arange(n) < some)
    best = float(costs[scored].min())
    floor = problem.weights.uncertainty * LOG2
    bound = float(h[0] + h[some]) + floor

    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    table, line = figure.subplots(1, 2, width_ratios=(1, 1.25))
    clear(table, (-1.7, n - 0.4), (n - 0.4, -1.7))
    shown = costs.where(scored, torch.nan).numpy()
    table.imshow(
        shown,
        cmap="Blues_r",
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
        vmin=costs[above].min(),
        vmax=costs[above].max(),
    )
    rest = (above & ~scored).nonzero()
    table.plot(*rest.T.flip(0).numpy(), "x", color=OTHER, ms=3, mew=0.8)
    row, column = (scored & (costs == best)).nonzero()[0].tolist()
    table.plot(column, row, "o", mfc="none", mec=BAD, ms=11, mew=2)
    for place, item in enumerate(items.tolist()):
        frame, picture = colour_of(material, item), material.pictures[item][::-1]
        thumbnail(table, picture, (-1.1, place), side=0.86, colour=frame)
        thumbnail(table, picture, (place, -1.1), side=0.86, colour=frame)
    table.set_title(f"{int(scored.sum())} of {int(above.sum())} pairs scored (x: not)")

    line.plot(
        costs[scored].numpy(), np.full(int(scored.sum()), 1.0), "o", color=MAIN, alpha=0.6, label="scored"
    )
    line.plot(
        costs[above & ~scored].numpy(),
        np.zeros(len(rest)),
        "x",
        color=OTHER,
        label="not scored, for your eyes only",
    )
    line.axvline(best, ymax=0.62, color=BAD, lw=1.8, label=f"cheapest scored: {best:.4f}")
    line.axvline(bound, ymax=0.62, color=GOOD, lw=1.8, ls="--", label=f"bound on the others: {bound:.4f}")
    line.axvspan(
        min(best, bound), max(best, bound), ymax=0.62, color=GOOD if bound >= best else BAD, alpha=0.2, lw=0
    )
    line.set(yticks=[], xlabel="cost of a pair", ylim=(-0.4, 2.6))
    line.spines[["top", "right", "left"]].set_visible(False)
    line.legend(loc="upper left", fontsize="small")
    verdict = "certified: no pair is cheaper" if bound >= best else "not certified yet"
    line.set_title(f"margin {bound - best:+.4f}: {verdict}", color=GOOD if bound >= best else BAD)
    return figure
