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
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import dhaps_core
from dhaps_core.escaping import csv_cell
from dhaps_core.files import replace_bytes, replace_text
from dhaps_core.json_files import DamagedFileError
from dhaps_core.sweeps.grid import Cell, Grid
from dhaps_core.sweeps.marker import read_finished
from dhaps_core.sweeps.packages import require

__all__ = ["final_metrics", "git_state", "run_state", "write_manifest", "write_table"]

Failures = Mapping[str, str]  # error by run

_EXACT = 2**53  # whole numbers up to it are floats too
_INT64 = 2**63
_OWN = ("run", "block", "state", "error", "notebook")  # columns that no parameter may take


def run_state(folder: Path) -> tuple[str, dict[str, Any], dict[str, Any], str | None]:
    """State of a run, by what its folder holds: ``finished``, ``open`` or ``damaged``.

    Returns:
        The state, marker and metrics (empty unless finished), and of a damaged one the sentence to show. A
        damaged run is not taken for finished, and not run again before a person has looked.
    """
    try:
        found = read_finished(folder)
    except DamagedFileError as error:
        return "damaged", {}, {}, str(error)
    return ("finished", *found, None) if found else ("open", {}, {}, None)


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
    """
    pandas, _ = require("pandas"), require("pyarrow")
    rows = [
        _row(cell, metrics, state=state, error=error, notebook=f"{cell.run}/{grid.notebook.path.name}")
        for cell, state, _, metrics, error in _states(grid, out, failures)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {_writable(name): _column(pandas, [row.get(name) for row in rows]) for name in names}
    frame, parquet = pandas.DataFrame(columns), io.BytesIO()
    replace_text(out / "table.csv", _no_formulas(frame).to_csv(index=False, lineterminator="\n"))
    frame.to_parquet(parquet, index=False)
    replace_bytes(out / "table.parquet", parquet.getvalue())
    return frame


def _states(
    grid: Grid, out: Path, failures: Failures
) -> Iterator[tuple[Cell, str, dict[str, Any], dict[str, Any], str | None]]:
    """Each cell with its run's state (also ``failed``), marker, metrics and error."""
    for cell in grid.cells:
        state, marker, metrics, error = run_state(out / cell.run)
        if state == "open" and cell.run in failures:
            state, error = "failed", failures[cell.run]
        yield cell, state, marker, metrics, error


def _row(cell: Cell, metrics: Mapping[str, Any], **told: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"run": cell.run, "block": cell.block}
    row |= {f"parameters.{name}" if name in _OWN else name: one for name, one in cell.parameters.items()}
    row |= told
    final = final_metrics(metrics)
    taken = {name for name in final if name in row or name.startswith("metrics.")}
    return row | {f"metrics.{name}" if name in taken else name: one for name, one in final.items()}


def _no_formulas(frame: Any) -> Any:
    """The table for CSV: a spreadsheet would run text that begins as a formula; an apostrophe says text."""
    text = [name for name in frame if frame[name].dtype == "string"]
    safe = {name: frame[name].map(csv_cell, na_action="ignore") for name in text}
    return frame.assign(**safe).rename(columns=csv_cell)


def _column(pandas: Any, values: Sequence[Any]) -> Any:
    """Values as one column of a type that Parquet has; None and NaN are missing."""
    kinds = {type(value) for value in values if value is not None}
    whole = [value for value in values if type(value) is int]
    kind: tuple[Callable[[Any], Any], str] = (_writable if kinds == {str} else _as_text, "string")
    if kinds == {bool}:
        kind = bool, "boolean"
    elif kinds == {int} and all(-_INT64 <= value < _INT64 for value in whole):
        kind = int, "Int64"
    elif kinds and kinds <= {int, float} and all(abs(value) <= _EXACT for value in whole):
        kind = float, "Float64"
    return pandas.array([None if value is None else kind[0](value) for value in values], dtype=kind[1])


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
    runs = [
        {
            **{name: metrics.get(name) for name in ("source", "protocol", "fingerprint") if metrics},
            **marker,
            "run": cell.run,
            "block": cell.block,
            "cell": cell.name,
            "state": state,
            "seed": cell.parameters.get("seed"),
            "notebook": f"{cell.run}/{grid.notebook.path.name}",
            **({"error": error} if error else {}),
        }
        for cell, state, marker, metrics, error in _states(grid, out, failures)
    ]
    packages = sorted(distributions(), key=lambda one: one.name.lower())
    manifest = {
        "grid": {"file": grid.path.name, "text": grid.text},
        "notebook": {"file": grid.notebook.path.name, "code": grid.notebook.code},
        "command": sys.argv,
        "started": started,
        "written": time.time(),
        "git": git,
        "python": sys.version,
        "platform": platform.platform(),
        "packages": {one.name: one.version for one in packages},
        "runs": runs,
    }
    replace_text(out / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


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
