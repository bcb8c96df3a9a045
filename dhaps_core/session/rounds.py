"""Finished rounds of a run: a round is finished as soon as its own ``metrics.json`` is there.

The rows of all rounds are also in ``metrics.json`` of the run, for those who lay runs beside each other. That
file follows: it is written after the round's own, and a process killed in between leaves it one round behind.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dhaps_core.session.damage import RunDamaged, check_place, damaged
from dhaps_core.session.folder import RunFolder, RunRepaired

__all__ = ["count_rounds", "mend_rounds", "note", "read_rounds", "write_summary"]

METRICS = "metrics.json"
Row = dict[str, Any]


def read_rounds(folder: RunFolder) -> list[Row]:
    """Rows of the finished rounds, each from its own file, or else from the summary.

    Raises:
        RunDamaged: if a round has neither.
    """
    return _gather(folder)[0]


def count_rounds(folder: RunFolder) -> int:
    """Number of the finished rounds, without reading them where the folder was mended when it was opened.

    Raises:
        RunDamaged: if something else than a file is in the place of a round's metrics.
    """
    if folder.read_only:
        return len(read_rounds(folder))
    number = 0
    while (path := folder.file(METRICS, number)).exists():
        check_place(path)
        number += 1
    return number


def mend_rounds(folder: RunFolder) -> None:
    """Write what only one of the two places has to the other, and say so; only for who owns the folder.

    Raises:
        RunDamaged: if a round has neither.
    """
    rows, lost, summary = _gather(folder)
    for number in lost:
        folder.write_json(METRICS, rows[number], number)
        _warn(folder.file(METRICS, number), "the summary of the run")
    told = None if summary is None else summary["rounds"]
    if rows and told != rows:
        write_summary(folder, rows)
        if told != rows[:-1] and (told is not None or len(rows) > 1):
            _warn(folder.file(METRICS), "the files of the rounds; what a notebook had noted in it is lost")


def write_summary(folder: RunFolder, rows: list[Row], noted: Mapping[str, Any] | None = None) -> None:
    """Write metrics.json of the run: its settings, its rounds, what was noted in it before, and new notes."""
    try:
        before = _summary(folder) or {}
    except RunDamaged:  # it is replaced by what is sound
        before = {}
    settings = folder.read_json("settings.json") or {}
    folder.write_json(METRICS, {**before, **(noted or {}), **settings, "rounds": rows})


def note(folder: RunFolder, name: str, content: Mapping[str, Any]) -> None:
    """Keep a fact about the run in its metrics.json, also in later rounds; only for who owns the folder.

    Raises:
        ValueError: if the name is one of the run's own.
    """
    if name in {*(folder.read_json("settings.json") or {}), "rounds", "sha256"}:
        raise ValueError(
            f"a note must have a name of its own; got {name!r}, which the run uses. Choose another."
        )
    write_summary(folder, read_rounds(folder), {name: dict(content)})


def _gather(folder: RunFolder) -> tuple[list[Row], list[int], Row | None]:
    """Rows of all rounds, numbers of those that only the summary has, and the summary if it is sound."""
    own: dict[int, Row] = {}
    bad: dict[int, RunDamaged] = {}
    for number in folder.rounds():
        try:
            row = folder.read_json(METRICS, number)
            if row is not None:
                own[number] = _checked(row, number, folder.file(METRICS, number))
        except RunDamaged as error:
            bad[number] = error
    try:
        summary = _summary(folder)
    except RunDamaged as error:
        if not own:
            raise
        del error
        summary = None
    told = {row["round"]: row for row in (summary or {"rounds": []})["rounds"]}
    rows, lost = [], []
    for number in range(1 + max([*own, *bad, *told], default=-1)):
        if number not in own:
            lost.append(number)
        if number not in own and number not in told:
            missing = damaged(folder.file(METRICS, number), "be there, as later rounds are", "no file")
            raise bad.get(number, missing)
        rows.append(own[number] if number in own else told[number])
    return rows, lost, summary


def _summary(folder: RunFolder) -> Row | None:
    path = folder.file(METRICS)
    summary = folder.read_json(METRICS)
    if summary is None:
        return None
    rows = summary.get("rounds")
    if not isinstance(rows, list):
        raise damaged(path, "list the rounds of the run", "none")
    for row in rows:
        _checked(row, row.get("round") if isinstance(row, dict) else None, path)
    return summary


def _checked(row: Any, number: Any, path: Path) -> Row:
    if not isinstance(row, dict) or row.get("round") != number or not isinstance(number, int) or number < 0:
        raise damaged(path, "hold the metrics of its round", "something else")
    watermark = row.get("watermark")
    if not isinstance(watermark, int) or watermark < 0:
        raise damaged(path, "say up to which answer its round was trained", repr(watermark))
    return row


def _warn(path: Path, source: str) -> None:
    warnings.warn(
        f"{path} was missing or damaged; it was made again from {source}.", RunRepaired, stacklevel=4
    )
