"""Runs below a folder, each read on its own: a damaged one is named and left out, the others are read."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from dhaps_core.files import at_home
from dhaps_core.json_files import DamagedFileError, DamagedRunWarning
from dhaps_core.sweeps.marker import read_metrics

__all__ = ["RESTORE", "found_runs", "session_metrics"]

RESTORE = "Put it back from a copy, or move the run away."

T = TypeVar("T")


def found_runs(folder: str | Path, read: Callable[[Path], T | None]) -> dict[str, T]:
    """What a reader makes of each folder that holds a run, by its path relative to the folder, in order.

    Links to folders are not followed, so there are no loops.

    Args:
        folder: whatever lies below it, at any depth, or is it.
        read: takes the folder of a run; None for one that it does not want.

    Warns:
        DamagedRunWarning: for each run that the reader calls damaged.
    """
    found, folder = {}, at_home(folder)
    for home, folders, files in os.walk(folder):
        folders.sort()
        if not {"metrics.json", "run.json", "settings.json"} & {*folders, *files}:
            continue
        try:
            run = read(Path(home))
        except DamagedFileError as error:
            warnings.warn(f"left out: {error}", DamagedRunWarning, stacklevel=3)
            continue
        if run is not None:
            found[Path(home).relative_to(folder).as_posix()] = run
    return found


def session_metrics(home: Path) -> dict[str, Any] | None:
    """The metrics.json of a session; None for what is none, or has no finished round.

    Raises:
        DamagedFileError: if it is gone though there are rounds, or is not what a session writes.
    """
    if not os.path.lexists(home / "settings.json"):
        return None
    try:
        metrics = read_metrics(home)
    except FileNotFoundError as error:
        if any(home.glob("round-*/metrics.json")):
            raise DamagedFileError(f"{error} {RESTORE}") from None
        return None
    return metrics if metrics.get("rounds") else None
