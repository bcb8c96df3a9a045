"""Figure 1 of the paper for chosen rows: precision within Hamming distance 2, and top-k precision."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.figure import Figure

from dhaps_core.table1 import Run, gather

__all__ = ["figure1"]


def figure1(runs: Sequence[Run], rows: Sequence[str], *, bits: int = 32) -> Figure:
    """Two panels, means over the seeds: precision within distance 2 at each code length, and precision at k.

    A query whose ball is empty counts as precision 0, as the field has it.

    Args:
        runs: of one data set.
        rows: names of the rows to draw, in this order; rows without runs are left out.
        bits: code length of the second panel.
    """
    figure = Figure(figsize=(9.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    cells = gather([run for run in runs if "P@r2" in run.last], "P@r2")  # one bit has P@r1
    present = [row for row in rows if any(run.row == row for run in runs)]
    for i, row in enumerate(present):
        colour = f"C{i % 10}"
        lengths = sorted(length for name, length in cells if name == row)
        left.plot(
            lengths,
            [cells[row, length].mean for length in lengths],
            marker="o",
            ms=4,
            color=colour,
            label=row,
        )
        tables = [run.last["precision_at"] for run in runs if run.row == row and run.bits == bits]
        if tables:
            ks = [int(k) for k in tables[0]]
            right.plot(ks, [mean(t[str(k)] for t in tables) for k in ks], color=colour, label=row)
    left.set(
        xlabel="bits", ylabel="precision within Hamming distance 2", xticks=sorted({b for _, b in cells})
    )
    right.set(xlabel="k", ylabel=f"precision at k, {bits} bits", xscale="log")
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.25, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    return figure
