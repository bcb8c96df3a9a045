"""What a sweep leaves: one table of parameters and final metrics, and a manifest of where they came from.

Both are made from the run folders alone, at the end and on interruption. Times are in the manifest and not in
the table, so the table is the same however often the sweep was stopped and started.
"""

import io
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import dhaps_core
from dhaps_core.escaping import csv_cell
from dhaps_core.files import replace_text, replacing
from dhaps_core.json_files import DamagedFileError
from dhaps_core.sweeps.grid import Cell, Grid, require
from dhaps_core.sweeps.marker import read_marker, read_metrics

__all__ = ["final_metrics", "git_state", "run_state", "write_manifest", "write_table"]

Failures = Mapping[str, str]  # error by run

_EXACT = 2**53  # whole numbers up to it are floats too
_INT64 = 2**63


def run_state(folder: Path) -> tuple[str, dict[str, Any], str | None]:
    """State of a run, by what its folder holds: ``finished``, ``open`` or ``damaged``.

    Returns:
        The state, the marker (empty unless finished), and of a damaged one the sentence to show. A damaged
        run is not taken for finished, and not run again before a person has looked.
    """
    try:
        marker = read_marker(folder)
        if marker is None:
            return "open", {}, None
        final_metrics(_metrics(folder))
    except DamagedFileError as error:
        return "damaged", {}, str(error)
    return "finished", marker, None


def _metrics(folder: Path) -> dict[str, Any]:
    """Metrics of a finished run.

    Raises:
        DamagedFileError: if they are gone, or not what a notebook writes.
    """
    try:
        return read_metrics(folder)
    except FileNotFoundError:
        rule = f"{folder / 'metrics.json'} must be there, for the run is finished"
        way = f"Put it back from a copy, or delete the folder {folder} to run it anew."
        raise DamagedFileError(f"{rule}; got none. {way}") from None


def final_metrics(metrics: Mapping[str, Any]) -> dict[str, float | int | bool]:
    """Numbers of a metrics.json: its own, and those of the last of its ``rounds`` if it has any.

    Times (``seconds``, ``..._seconds``) are left out; they are no result.

    Example:
        >>> final_metrics({"mAP": 0.5, "seconds": 9.1, "rounds": [{"items": 0}, {"items": 20}]})
        {'mAP': 0.5, 'items': 20}
    """
    last = metrics.get("rounds") or [{}]
    return {
        name: value
        for name, value in {**metrics, **last[-1]}.items()
        if isinstance(value, int | float) and not name.endswith("seconds")
    }


def write_table(grid: Grid, out: Path, failures: Failures) -> Any:
    """The table as a pandas DataFrame, one row a cell in the order of the grid; written as CSV and Parquet.

    A column has one type: that of its values, or text where they are of several (``10`` and ``"10%"``) or no
    column can hold them (lists, numbers beyond 64 bits); what is not text stands there as JSON.

    Args:
        grid: the grid.
        out: the sweep's folder.
        failures: the error of each failed run.
    """
    pandas, _ = require("pandas"), require("pyarrow")
    rows = [_row(cell, grid, out, failures) for cell in grid.cells]
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pandas.DataFrame(
        {_writable(name): _column(pandas, [row.get(name) for row in rows]) for name in names}
    )
    replace_text(out / "table.csv", _no_formulas(frame).to_csv(index=False, lineterminator="\n"))
    parquet = io.BytesIO()
    frame.to_parquet(parquet, index=False)
    with replacing(out / "table.parquet") as file:
        file.write(parquet.getvalue())
    return frame


def _row(cell: Cell, grid: Grid, out: Path, failures: Failures) -> dict[str, Any]:
    folder = out / cell.run
    state, _, fault = run_state(folder)
    metrics = final_metrics(_metrics(folder)) if state == "finished" else {}
    row = {
        "run": cell.run,
        "block": cell.block,
        **{f"parameters.{name}" if name in _OWN else name: value for name, value in cell.parameters.items()},
        "state": "failed" if state == "open" and cell.run in failures else state,
        "error": fault or failures.get(cell.run),
        "notebook": f"{cell.run}/{grid.notebook.path.name}",
    }
    taken = {name for name in metrics if name in row or name.startswith("metrics.")}
    return row | {f"metrics.{name}" if name in taken else name: value for name, value in metrics.items()}


_OWN = ("run", "block", "state", "error", "notebook")  # columns that no parameter may take


def _no_formulas(frame: Any) -> Any:
    """The table for CSV: a spreadsheet would run text that begins as a formula; an apostrophe says text."""
    text = {
        name: column.map(csv_cell, na_action="ignore")
        for name, column in frame.items()
        if column.dtype == "string"
    }
    return frame.assign(**text).rename(columns=csv_cell)


def _column(pandas: Any, values: Sequence[Any]) -> Any:
    """Values as one column of a type that Parquet has; None and NaN are missing."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    whole = [value for value in present if type(value) is int]
    if kinds == {bool}:
        return pandas.array(values, dtype="boolean")
    if kinds == {int} and all(-_INT64 <= value < _INT64 for value in whole):
        return pandas.array(values, dtype="Int64")
    if kinds and kinds <= {int, float} and all(abs(value) <= _EXACT for value in whole):
        return pandas.array([None if value is None else float(value) for value in values], dtype="Float64")
    text = _writable if kinds == {str} else _as_text
    return pandas.array([None if value is None else text(value) for value in values], dtype="string")


def _as_text(value: Any) -> str:
    """A value among others of any type: text as it is, unless it would read as one of the others.

    Example:
        >>> [_as_text(value) for value in (10, "10%", "10", None, [1, "a"])]
        ['10', '10%', '"10"', 'null', '[1, "a"]']
    """
    if not isinstance(value, str):
        return _writable(json.dumps(value, ensure_ascii=False))
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return _writable(value)
    return json.dumps(value, ensure_ascii=False)


def _writable(text: str) -> str:
    r"""Text in which what UTF-8 cannot hold stands as an escape.

    Example:
        >>> _writable("a\ud800")
        'a\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def write_manifest(
    grid: Grid, out: Path, failures: Failures, *, started: float, git: Mapping[str, Any]
) -> None:
    """Write manifest.json: the grid, the software, and of each run where, when and from which data it is."""
    runs = []
    for cell in grid.cells:
        folder = out / cell.run
        state, marker, fault = run_state(folder)
        run = {
            **(_facts(folder) if state == "finished" else {}),
            **marker,
            "run": cell.run,
            "block": cell.block,
            "cell": cell.name,
            "state": state,
            "seed": cell.parameters.get("seed"),
            "notebook": f"{cell.run}/{grid.notebook.path.name}",
        }
        if fault:
            run["error"] = fault
        elif state == "open" and cell.run in failures:
            run |= {"state": "failed", "error": failures[cell.run]}
        runs.append(run)
    manifest = {
        "grid": {"file": grid.path.name, "text": grid.text},
        "notebook": {"file": grid.notebook.path.name, "code": grid.notebook.code},
        "command": sys.argv,
        "started": started,
        "written": time.time(),
        "git": git,
        "python": sys.version,
        "platform": platform.platform(),
        "packages": {
            one.name: one.version for one in sorted(distributions(), key=lambda one: one.name.lower())
        },
        "runs": runs,
    }
    replace_text(out / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _facts(folder: Path) -> dict[str, Any]:
    """Data and protocol that the notebook wrote into its metrics.json; None where it did not say."""
    metrics = _metrics(folder)
    return {name: metrics.get(name) for name in ("source", "protocol", "fingerprint", "device")}


def git_state(folder: Path) -> dict[str, Any]:
    """Commit of the repository around a folder and whether files were changed since; empty if none.

    To see changes git runs programs that a repository's own configuration names (filters, monitors), so it is
    asked for them in the repository that this package is run from, and ``changed`` is None in any other.
    """

    def git(place: Path, *arguments: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603
                ["git", "--no-optional-locks", "-C", str(place), *arguments],  # noqa: S607
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:  # git is not installed
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit, ours = git(folder, "rev-parse", "HEAD"), Path(dhaps_core.__file__).parent
    if commit is None:
        return {}
    same = git(folder, "rev-parse", "--absolute-git-dir") == git(ours, "rev-parse", "--absolute-git-dir")
    return {"commit": commit, "changed": bool(git(ours, "status", "--porcelain", "-uno")) if same else None}
