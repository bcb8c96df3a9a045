"""Figure 1 of the paper for chosen rows: precision within Hamming distance 2, and top-k precision."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.figure import Figure

from dhaps_core.paper.measured import TableRun, gather
from dhaps_core.paper.table import ROWS
from widgets.curves import plain_label

__all__ = ["figure1"]


def figure1(runs: Sequence[TableRun], rows: Sequence[str], *, bits: int = 32) -> Figure:
    """Two panels, means over the seeds: precision within distance 2 at each code length, and precision at k.

    A query whose ball is empty counts as precision 0, as the field has it.

    Args:
        runs: of one data set.
        rows: names of the rows to draw, in this order; rows without runs are left out.
        bits: code length of the second panel.

    Raises:
        ValueError: if a row is neither the paper's nor that of a run, or no run has that many bits.
    """
    known = {run.row for run in runs} | {row.name for row in ROWS}
    if strange := [row for row in rows if row not in known]:
        raise ValueError(
            f"rows must be among {', '.join(sorted(known))}; got {strange[0]!r}. Write it as there."
        )
    drawn = [row for row in rows if any(run.row == row for run in runs)]
    if not drawn or bits not in {run.bits for run in runs if run.row in drawn}:
        have = ", ".join(sorted({f"{run.row} at {run.bits} bits" for run in runs}))
        raise ValueError(
            f"rows and bits must be those of some runs; got none at {bits} bits. There are: {have}."
        )
    figure = Figure(figsize=(10.8, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    cells = gather([run for run in runs if "P@r2" in run.last], "P@r2")  # one bit has P@r1
    for i, row in enumerate(drawn):
        style = {"color": f"C{i % 10}", "ls": ("-", "--")[i // 10 % 2], "label": plain_label(row)}
        lengths = sorted(length for name, length in cells if name == row)
        means = [cells[row, length].mean for length in lengths]
        left.plot(lengths, means, marker="os"[i // 10 % 2], ms=4, **style)
        tables = [run.last["precision_at"] for run in runs if run.row == row and run.bits == bits]
        if tables:
            ks = [int(k) for k in tables[0]]
            right.plot(ks, [mean(t[str(k)] for t in tables) for k in ks], **style)
    left.set(xlabel="bits", ylabel="precision within Hamming distance 2")
    left.set_xticks(sorted({b for _, b in cells}))
    right.set(xlabel="k", ylabel=f"precision at k, {bits} bits", xscale="log")
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.25, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=8)
    return figure
