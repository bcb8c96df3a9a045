"""mAP at the cut-off that the field reports on a data set: which metric it is, and whether runs have it.

The cut-offs themselves are chosen in :mod:`dhaps_core.data.protocols`, and nowhere else.
"""

from collections.abc import Sequence

from dhaps_core.data.protocols import PROTOCOLS
from dhaps_core.paper.measured import TableRun

__all__ = ["customary", "left_out"]


def customary(stands_for: str) -> str | None:
    """Name of the metric; None where the field reports the whole ranking, or for no data set.

    Of the two denominators it is that of published hashing code, the relevant items among the first k, so
    that the number can be laid beside others; the other one stands in each run's metrics.

    Example:
        >>> customary("NUS-WIDE"), customary("CIFAR-10")
        ('mAP@5000 (hits)', None)
    """
    cut_off = PROTOCOLS[stands_for].cut_off if stands_for in PROTOCOLS else None
    return None if cut_off is None else f"mAP@{cut_off} (hits)"


def left_out(runs: Sequence[TableRun]) -> str:
    """Why the metric of the runs' data set is in no column, in a sentence; empty where it is in one.

    A ranking shorter than the cut-off has no such number.
    """
    stands_for = runs[0].table["stands_for"]
    metric = customary(stands_for)
    lacking = [run.name for run in runs if metric is not None and metric not in run.last]
    if not lacking:
        return ""
    reason = f"{len(lacking)} of {len(runs)} runs do not have it, as where the database is smaller"
    return f"{metric}, customary on {stands_for}, is in no column: {reason}."
