"""The curves of a whole ranking that people of the field draw, beside the paper's Figure 1."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean

from matplotlib.figure import Figure

from widgets.figures import Panel, Row, at_cuts, draw, gathered

__all__ = ["ranking_figure"]


def ranking_figure(runs: Iterable[tuple[str, Row]], *, bits: int) -> Figure:
    """Recall at k and precision against recall by radius; of items of several classes NDCG, ACG and WAP at k.

    A point of the second curve is a Hamming radius, from 0 to the number of bits: precision and recall within
    it are means over the queries (and seeds), and an empty ball counts as 0 in both. Panels for which no run
    has values are left out: runs of older versions have no recall at k.

    Args:
        runs: group and metrics of the last round, of every seed, all of one code length.
        bits: that code length.

    Raises:
        ValueError: if no run was evaluated.
    """
    rows = [(name, row) for name, row in runs if "by_radius" in row]  # else nothing was measured
    if not rows:
        raise ValueError(f"runs must have metrics with {bits} bits; got none. Give rows of that code length.")
    within, at = f"within radius 0 to {bits}", f"at k with {bits} bits"
    by_radius = gathered(_by_radius(rows))
    shown = [
        at_cuts(rows, "recall_at", f"recall {at}"),
        Panel(by_radius, f"recall {within}", f"precision {within}", share=True, scale="share"),
        at_cuts(rows, "ndcg_at", f"NDCG {at}"),
        at_cuts(rows, "acg_at", f"ACG {at}: classes shared", share=False),
        at_cuts(rows, "wap_at", f"WAP {at} (min)", share=False),
    ]
    return draw([panel for panel in shown if panel.curves], across=3)


def _by_radius(rows: Sequence[tuple[str, Row]]) -> Iterator[tuple[str, float, float]]:
    """Name, mean recall and each seed's precision within every radius, but where recall has not grown."""
    for name in dict.fromkeys(name for name, _ in rows):
        seeds = [row["by_radius"] for other, row in rows if other == name]
        reached = -1.0
        for recalls, precisions in zip(
            zip(*(one["recall"] for one in seeds), strict=True),
            zip(*(one["precision"] for one in seeds), strict=True),
            strict=True,
        ):
            if (recall := mean(recalls)) > reached:
                reached = recall
                yield from ((name, recall, precision) for precision in precisions)
