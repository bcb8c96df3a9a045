"""What a sweep leaves: one table of parameters and final metrics, and a manifest of where they came from.

Both are made from the run folders alone, at the end and on interruption. Times are in the manifest and not in
the table, so the table is the same however often the sweep was stopped and started.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from dhaps_core.grid import Cell, Grid, require
from dhaps_core.run_marker import read_marker, replace_text

__all__ = ["final_metrics", "git_state", "write_manifest", "write_table"]

Failures = Mapping[str, str]  # error by run


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

    Args:
        grid: the grid.
        out: the sweep's folder.
        failures: the error of each failed run.
    """
    pandas, _ = require("pandas"), require("pyarrow")
    frame = pandas.DataFrame([_row(cell, grid, out, failures) for cell in grid.cells])
    frame = frame.convert_dtypes()
    csv, parquet = out / "table.csv", out / "table.parquet"
    replace_text(csv, frame.to_csv(index=False, lineterminator="\n"))
    new = parquet.with_name(f"{parquet.name}.{os.getpid()}.new")
    frame.to_parquet(new, index=False)
    new.replace(parquet)
    return frame


def _row(cell: Cell, grid: Grid, out: Path, failures: Failures) -> dict[str, Any]:
    folder = out / cell.run
    state = "finished" if read_marker(folder) else "failed" if cell.run in failures else "open"
    metrics = (
        final_metrics(json.loads((folder / "metrics.json").read_text(encoding="utf-8")))
        if state == "finished"
        else {}
    )
    return {
        "run": cell.run,
        "block": cell.block,
        # Columns have one type each; what Parquet has no plain type for is kept as JSON.
        **{
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in cell.parameters.items()
        },
        "state": state,
        "error": failures.get(cell.run),
        "notebook": f"{cell.run}/{grid.notebook.path.name}",
        **{f"metrics.{name}" if name in cell.parameters else name: value for name, value in metrics.items()},
    }


def write_manifest(
    grid: Grid, out: Path, failures: Failures, *, started: float, git: Mapping[str, Any]
) -> None:
    """Write manifest.json: the grid, the software, and of each run where, when and from which data it is."""
    runs = []
    for cell in grid.cells:
        folder = out / cell.run
        marker = read_marker(folder)
        run = {
            "run": cell.run,
            "block": cell.block,
            "cell": cell.name,
            **_facts(folder),
            **(marker or {"state": "open"}),
        }
        if marker is None and cell.run in failures:
            run |= {"state": "failed", "error": failures[cell.run]}
        runs.append(
            {**run, "seed": cell.parameters.get("seed"), "notebook": f"{cell.run}/{grid.notebook.path.name}"}
        )
    manifest = {
        "grid": {"file": grid.path.name, "text": grid.path.read_text(encoding="utf-8")},
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
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: metrics.get(name) for name in ("source", "protocol", "fingerprint", "device")}


def git_state(folder: Path) -> dict[str, Any]:
    """Commit of the repository around a folder and whether files were changed since; empty if none."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(  # noqa: S603
                ["git", "-C", str(folder), *arguments],  # noqa: S607
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError:  # git is not installed
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return {} if commit is None else {"commit": commit, "changed": bool(git("status", "--porcelain", "-uno"))}
