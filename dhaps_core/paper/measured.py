"""Finished runs of the training notebook as rows of Table 1, and their means over the seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dhaps_core.json_files import DamagedFileError, member
from dhaps_core.paper.rows import SELECTION, row_name
from dhaps_core.paper.table import share_of
from dhaps_core.results.compare import Interval, grouped, interval, last_by_seed
from dhaps_core.results.runs import RESTORE, Run, take_runs

__all__ = ["TERMS", "TableRun", "gather", "read_table_runs"]

TERMS = ("mmd", "similarity")
"""Weights of training that tell rows apart."""


class TableRun(Run):
    """A finished run of the notebook that trains a method: one of a row, by its settings and its note."""

    @property
    def row(self) -> str:
        """Name of its row."""
        return row_name(self.settings, *(self.table[name] for name in ("acquisition", "budget", "rounds")))

    @property
    def share(self) -> float:
        """Of the pool that it may label."""
        return share_of(*(self.table[name] for name in ("acquisition", "budget", "stands_for")))

    @property
    def bits(self) -> int:
        """Code length."""
        return int(self.settings["bits"])

    @property
    def training(self) -> str:
        """Its settings of training in words, but for the weights that are in the names of rows."""
        numbers = self.settings["training"].items()
        return ", ".join(f"{name}={value}" for name, value in numbers if name not in TERMS)

    @property
    def chosen(self) -> tuple[Any, ...]:
        """What learned and what chose how many labels, whatever the terms of training and the rounds."""
        selection = (str(self.settings.get(name)) for name in ("reading", *SELECTION))  # weights are a dict
        return self.settings["method"], self.table["acquisition"], self.table["budget"], *selection

    @property
    def kind(self) -> str:
        """Data and protocol in words: the same for all runs of a table."""
        side, network = self.settings.get("side", 0), self.settings.get("network")
        learned = f"from {side} px" if side else "embeddings"
        if side and network == "efficientnet_lite0":
            learned = f"fine-tuned at {side} px"
        beside = f"; beside {self.table['stands_for']}" if self.table["stands_for"] else ""
        return f"{self.source}, {learned}; {self.draw}{beside}"

    @property
    def seconds(self) -> float:
        """Training, selection and evaluation of all its rounds together."""
        return float(sum(sum(row["seconds"].values()) for row in self.rounds))


def read_table_runs(folder: str | Path) -> list[TableRun]:
    """Every run below a folder that the training notebook has finished; others are left out.

    Raises:
        FileNotFoundError: if there is none.

    Warns:
        DamagedRunWarning: for each run that is left out because its files are damaged.
    """
    return take_runs(folder, lambda run: _table_run(run, Path(folder, run.name, "metrics.json")))


def _table_run(run: Run, path: Path) -> TableRun | None:
    if not run.table:
        return None
    needed: dict[str, tuple[Any, type]] = {
        **dict.fromkeys(("acquisition", "budget", "stands_for"), (run.table, str)),
        "rounds": (run.table, int),
        "method": (run.settings, str),
        "bits": (run.settings, int),
        "training": (run.settings, dict),
        **dict.fromkeys(("source", "protocol"), (vars(run), str)),
    }
    for name, (content, kind) in needed.items():
        member(content, name, kind, path=path, advice=RESTORE)
    found = TableRun(**vars(run))
    try:
        _ = found.row, found.share, found.seconds
        member(found.last, "items_labelled", int, path=path, advice=RESTORE)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DamagedFileError(f"{path} must be of a run of the table; {error}. {RESTORE}") from error
    return found


def gather(runs: Sequence[TableRun], metric: str = "mAP@all") -> dict[tuple[str, int], Interval]:
    """A metric of the last rounds over the seeds, by row and bits.

    Raises:
        ValueError: if there is no run, the runs are not of one kind, two of them have the same row, bits and
            seed, or one has no finite number there.
    """
    if not runs:
        raise ValueError("a table must have at least one run; got none. Give a folder of runs.")
    for same in ({run.kind for run in runs}, {run.training for run in runs}):
        if len(same) > 1:
            rule = "the runs of one table must be alike in data, protocol and training"
            raise ValueError(f"{rule}; got {' | '.join(sorted(same))}. Give each its own folder.")
    groups = grouped(runs, lambda run: (run.row, run.bits))
    return {key: interval(last_by_seed(group, metric).values()) for key, group in groups.items()}
