"""A small table of the rounds of every run below a folder: ``python -m dhaps_core.results FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dhaps_core.escaping import one_line
from dhaps_core.results.runs import found_runs, session_metrics

__all__ = ["find_runs", "round_table"]

COLUMNS = {
    "round": "round",
    "items": "items_labelled",
    "answers": "answers",
    "mAP": "mAP@all",
    "P@100": "P@100",
}


def find_runs(folder: str | Path) -> dict[str, list[dict[str, Any]]]:
    """Rounds of each run below a folder, by its path relative to the folder.

    Raises:
        FileNotFoundError: if there is no run.

    Warns:
        DamagedRunWarning: for each run that is left out because its files are damaged.
    """
    runs = found_runs(folder, _rounds)
    if not runs:
        raise FileNotFoundError(
            f"{folder} must hold at least one run; got none. Run a notebook that writes there first."
        )
    return runs


def _rounds(home: Path) -> list[dict[str, Any]] | None:
    metrics = session_metrics(home)
    return None if metrics is None else metrics["rounds"]


def round_table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Text table: one line per run and round; a metric that a run does not have is a dash."""
    lines = [f"{'run':<24}" + "".join(f"{name:>9}" for name in COLUMNS)]
    for name, rounds in runs.items():
        for row in rounds:
            cells = (row.get(key) for key in COLUMNS.values())
            text = (
                f"{cell:.3f}" if isinstance(cell, float) else "-" if cell is None else str(cell)
                for cell in cells
            )
            lines.append(f"{one_line(name):<24}" + "".join(f"{cell:>9}" for cell in text))
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Print the table of a folder, and where its plots and notebooks are."""
    if len(arguments) != 1:
        sys.exit("usage: python -m dhaps_core.results FOLDER")
    folder = Path(arguments[0])
    try:
        sys.stdout.write(round_table(find_runs(folder)) + "\n")
    except FileNotFoundError as error:
        sys.exit(str(error))
    for kind, pattern in (("plot", "*.png"), ("executed notebook", "*.ipynb")):
        for path in sorted(folder.glob(pattern)):
            sys.stdout.write(f"{kind}: {one_line(str(path))}\n")
