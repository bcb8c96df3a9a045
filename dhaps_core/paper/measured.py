"""Finished runs as the rows of Table 1: mean, spread and seeds of each, beside the paper's numbers."""

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.json_files import DamagedFileError, member
from dhaps_core.results.runs import RESTORE, found_runs
from dhaps_core.session.settings import Settings
from dhaps_core.sweeps.marker import read_metrics

__all__ = ["Cell", "Run", "gather", "read_runs"]


@dataclass(frozen=True)
class Run:
    """One finished run of the notebook that trains a method.

    Attributes:
        row: name of its row.
        variant: what learned: ``embeddings``, or a network end to end from images of some size.
        stands_for: the paper's data set that it is compared with.
        bits: code length.
        seed: of the run.
        last: metrics of its last round.
        about: what the notebook wrote about it: method, acquisition, budget, items labelled, seconds.
        source: of the data.
        protocol: how it was split.
        training: its settings of training.
        kind: data, protocol and rounds in words: the same for all runs of a table.
    """

    row: str
    variant: str
    stands_for: str
    bits: int
    seed: int
    last: Mapping[str, Any]
    about: Mapping[str, Any]
    source: str
    protocol: str
    training: TrainingSettings

    @property
    def kind(self) -> str:  # noqa: D102 - see the class
        protocol = re.sub(r", seed \d+", "", self.protocol)
        beside = f"; beside {self.stands_for}" if self.stands_for else ""
        rounds = "one round" if self.about["rounds"] < 2 else f"{self.about['rounds']} rounds"
        return f"{self.source}, {self.variant}; {protocol}; {rounds}{beside}"


@dataclass(frozen=True)
class Cell:
    """A metric over the seeds of one row and code length.

    Attributes:
        mean: over the seeds.
        spread: sample standard deviation, or None of a single seed.
        seeds: the seeds, ascending.
    """

    mean: float
    spread: float | None
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, values: Mapping[int, float]) -> "Cell":
        """From one value for each seed."""
        spread = stdev(values.values()) if len(values) > 1 else None
        return cls(mean(values.values()), spread, tuple(sorted(values)))

    def percent(self, sign: str = "") -> str:
        """As text, in percent; with ``sign="+"`` for differences.

        Example:
            >>> Cell(0.4321, 0.0123, (0, 1, 2)).percent(), Cell(0.4321, None, (0,)).percent()
            ('43.2 ± 1.2 (3)', '43.2 (1)')
        """
        spread = "" if self.spread is None else f" ± {100 * self.spread:.1f}"
        return f"{100 * self.mean:{sign}.1f}{spread} ({len(self.seeds)})"


def read_runs(folder: str | Path) -> list[Run]:
    """Every run below a folder that the training notebook has finished.

    Args:
        folder: what lies below it and is not finished, or of another notebook, is left out.

    Raises:
        FileNotFoundError: if there is none.

    Warns:
        DamagedRunWarning: for each run that is left out because its files are damaged.
    """
    runs = list(found_runs(folder, _run).values())
    if not runs:
        raise FileNotFoundError(
            f"{folder} must hold a finished run; got none. Run 04_train_a_method or a sweep over it."
        )
    return runs


def _run(home: Path) -> Run | None:
    """A run that has its row of the table; None for what has none."""
    path = home / "metrics.json"
    try:
        stored = read_metrics(home)
    except FileNotFoundError:
        return None  # the sweep's own table says so
    if "table" not in stored:
        return None
    about = member(stored, "table", dict, path=path, advice=RESTORE)
    texts = {
        name: member(about if name in about else stored, name, str, path=path, advice=RESTORE)
        for name in ("row", "variant", "stands_for", "source", "protocol", "method", "acquisition", "budget")
    }
    for name in ("share", "rounds", "seconds"):
        member(about, name, numbers.Real, path=path, advice=RESTORE)  # type: ignore[type-abstract]
    rounds = member(stored, "rounds", list, path=path, advice=RESTORE)
    try:
        settings = Settings.from_json(member(stored, "settings", dict, path=path, advice=RESTORE))
        last = rounds[-1]
    except (ValueError, TypeError, IndexError) as error:
        raise DamagedFileError(f"{path} must have settings and rounds; {error}. {RESTORE}") from error
    return Run(
        row=texts["row"],
        variant=texts["variant"],
        stands_for=texts["stands_for"],
        bits=settings.bits,
        seed=settings.seed,
        last=last,
        about=about,
        source=texts["source"],
        protocol=texts["protocol"],
        training=settings.training,
    )


def gather(runs: Sequence[Run], metric: str = "mAP@all") -> dict[tuple[str, int], Cell]:
    """Cells by row and bits.

    Raises:
        ValueError: if the runs are not of one kind, two of them have the same row, bits and seed, or one has
            no finite number as its metric.
    """
    for same in ({run.kind for run in runs}, {str(run.training) for run in runs}):
        if len(same) > 1:
            rule = "the runs of one table must be alike in data, protocol, rounds and training"
            got = " | ".join(sorted(same))
            raise ValueError(f"{rule}; got {got}. Give each its own folder.")
    found: dict[tuple[str, int], dict[int, float]] = {}
    for run in runs:
        values = found.setdefault((run.row, run.bits), {})
        if run.seed in values:
            got = f"two of {run.row}, {run.bits} bits, seed {run.seed}"
            raise ValueError(f"a row must have one run a seed; got {got}. Remove one.")
        value: Any = run.last.get(metric)
        if type(value) not in (int, float) or not math.isfinite(value):
            got = f"{value!r:.80} of {run.row}, {run.bits} bits, seed {run.seed}"
            raise ValueError(f"{metric} must be a finite number; got {got}. Remove the run.")
        values[run.seed] = float(value)
    return {key: Cell.of(values) for key, values in found.items()}
