"""Finished runs below a folder: sessions that have a finished round, runs of sweeps that have their marker.

Each is read on its own, from the one file ``metrics.json`` that every run leaves, and the parameters of a
sweep's run from its marker. A damaged one is named and left out; the others are read.
"""

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dhaps_core.files import at_home
from dhaps_core.json_files import DamagedFileError, DamagedRunWarning, member, read_object
from dhaps_core.sweeps.marker import read_finished, read_metrics

__all__ = ["RESTORE", "Run", "find_rounds", "read_runs", "take_runs"]

RESTORE = "Put it back from a copy, or move the run away."

T = TypeVar("T")
Row = Mapping[str, Any]
_NOT_COMPARED = ("seed", "folder", "interactive", "smoke")


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: its path below the folder.
        seed: its seed.
        settings: of the session; empty where a sweep's notebook was none.
        rounds: metrics of its rounds; one that has no rounds counts as one.
        parameters: of the notebook that a sweep ran, which determine the settings; empty outside a sweep.
        block: of the sweep's grid; may be empty.
        source: of the data, where it says so.
        protocol: how they were split, likewise.
        fingerprint: of data and split, likewise.
        table: what was noted for a row of Table 1; empty of any other run.
    """

    name: str
    seed: int
    settings: Mapping[str, Any]
    rounds: tuple[Row, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    block: str = ""
    source: Any = None
    protocol: Any = None
    fingerprint: Any = None
    table: Mapping[str, Any] = field(default_factory=dict)

    @property
    def last(self) -> Row:
        """Metrics of the last round; empty without one."""
        return self.rounds[-1] if self.rounds else {}

    @property
    def labels(self) -> int | None:
        """Number of items that were labelled in the end; None of a run that does not say."""
        return self.last.get("items_labelled")

    @property
    def draw(self) -> str:
        """The protocol without the seed, which every run has by itself."""
        return re.sub(r", seed \d+", "", str(self.protocol or ""))

    @property
    def facts(self) -> dict[str, Any]:
        """What defines it, but for the seed: block, data, protocol, and parameters or else settings."""
        said = {"block": self.block, "source": self.source, "protocol": self.draw}
        facts = {name: value for name, value in said.items() if value}
        defined = self.parameters or self.settings
        return facts | {name: defined[name] for name in defined if name not in _NOT_COMPARED}


def read_runs(folder: str | Path) -> list[Run]:
    """All finished runs below a folder; see :func:`take_runs`.

    Raises:
        FileNotFoundError: if there is none.
    """
    return take_runs(folder, lambda run: run)


def find_rounds(folder: str | Path) -> dict[str, Sequence[Row]]:
    """Rounds of all finished runs below a folder, by the run's name; see :func:`take_runs`.

    Raises:
        FileNotFoundError: if there is no run.
    """
    return {run.name: run.rounds for run in read_runs(folder)}


def take_runs(folder: str | Path, take: Callable[[Run], T | None]) -> list[T]:
    """What is made of each finished run of a folder, in the order of their names.

    Links to folders are not followed, so there are no loops.

    Args:
        folder: whatever lies below it, at any depth, or is it.
        take: makes it; None leaves the run out.

    Raises:
        FileNotFoundError: if there is nothing.

    Warns:
        DamagedRunWarning: for each run that is left out because its files are damaged.
    """
    taken: list[T] = []
    blocks: dict[Path, str] = {}
    others = 0
    for where, folders, files in os.walk(folder := at_home(folder)):
        folders.sort()
        home, names = Path(where), {*folders, *files}
        try:
            if "manifest.json" in names:
                blocks |= _blocks(home)
            run = _read(home, folder, blocks) if {"run.json", "settings.json"} & names else None
            found = None if run is None else take(run)
        except DamagedFileError as error:
            warnings.warn(f"left out: {error}", DamagedRunWarning, stacklevel=3)
            continue
        if found is not None:
            taken.append(found)
        elif run is not None:
            others += 1
    if not taken:
        got = f"none of this kind among {others}" if others else "none"
        rule = f"{folder} must hold at least one finished run; got {got}"
        raise FileNotFoundError(f"{rule}. Run a notebook or a sweep that writes there first.")
    return taken


def _read(home: Path, folder: Path, blocks: Mapping[Path, str]) -> Run | None:
    """The run of a folder; None if it is not finished.

    Raises:
        DamagedFileError: if a file of it is gone, or not what is written there.
    """
    finished = read_finished(home)
    parameters: dict[str, Any] = {}
    if finished is not None:
        marker, metrics = finished
        parameters = member(marker, "parameters", dict, path=home / "run.json", advice=RESTORE)
    elif (home / "starts.log").exists():  # of a sweep that is at work, or was stopped
        return None
    else:
        try:
            metrics = read_metrics(home)
        except FileNotFoundError as error:
            if any(home.glob("round-*/metrics.json")):
                raise DamagedFileError(f"{error} {RESTORE}") from None
            return None
        if not metrics.get("rounds"):
            return None
    about = {**({"settings": {}} if finished else {}), "table": {}, **metrics}  # a session has its settings
    path = home / "metrics.json"
    settings, table = (member(about, name, dict, path=path, advice=RESTORE) for name in ("settings", "table"))
    seed = (parameters or settings).get("seed", 0)
    if type(seed) is not int:
        raise DamagedFileError(f"{home} must have a whole number as its seed; got {seed!r:.80}. {RESTORE}")
    return Run(
        name=home.relative_to(folder).as_posix(),
        seed=seed,
        settings=settings,
        rounds=tuple(metrics.get("rounds") or [metrics]),
        parameters=parameters,
        block=blocks.get(home, ""),
        source=metrics.get("source"),
        protocol=metrics.get("protocol"),
        fingerprint=metrics.get("fingerprint"),
        table=table,
    )


def _blocks(home: Path) -> dict[Path, str]:
    """Names of the blocks that a sweep's runs are of, by their folder."""
    path, advice = home / "manifest.json", "Start the sweep again: it writes the file anew."
    found: dict[Path, str] = {}
    try:
        runs = member(read_object(path, advice=advice), "runs", list, path=path, advice=advice)
    except DamagedFileError as error:
        warnings.warn(f"names of blocks are unknown: {error}", DamagedRunWarning, stacklevel=4)
        runs = []
    for run in runs:
        match run:
            case {"run": str(name), "block": str(block)}:
                found[home / name] = block
    return found
