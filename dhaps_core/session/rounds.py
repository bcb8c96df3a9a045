"""Finished rounds: a round is finished as soon as its own ``metrics.json`` is there.

The rows of all rounds are also in ``metrics.json`` of the run, for those who lay runs beside each other. That
file follows: it is written after the round's own, and a process killed in between leaves it one round behind.
"""

import json
import threading
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dhaps_core.session.errors import RunDamaged, RunInUse, RunRepaired, damaged
from dhaps_core.session.folder import RunFolder

__all__ = ["METRICS", "Rounds"]

METRICS = "metrics.json"
Row = dict[str, Any]


class Rounds:
    """The finished rounds as they are known in memory; what others finish is known after :meth:`look`.

    What only one of the two places has is written to the other, with :class:`RunRepaired` as a warning, where
    nobody is at work in the folder; else they did so when they opened it.

    Attributes:
        rows: of the finished rounds, in order.

    Raises:
        RunDamaged: if a round is in neither place.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self.rows, lost, told = _gather(folder)
        if (lost or (self.rows and told != self.rows)) and not folder.read_only:
            with suppress(RunInUse), folder.owned("opens it", patience=0.0):
                self._mend()

    def look(self) -> int:
        """Number of the finished rounds, now that the folder was looked at.

        Raises:
            RunDamaged: if the folder is no longer in place, or the metrics of a round are something else.
        """
        with self._lock:
            while (row := _own_row(self._folder, len(self.rows))) is not None:
                self.rows.append(row)
            return len(self.rows)

    def finish(self, row: Row) -> None:
        """Finish a round by its row; only for who owns the folder."""
        self._folder.write_json(METRICS, row, row["round"])  # from here on the round is finished
        self.look()
        self._summarise({})

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a fact about the run in its metrics.json, also in later rounds; only for who owns the folder.

        Raises:
            ValueError: if the name is one of the run's own, or the content is no JSON.
        """
        try:
            json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            rule = "a note must be text, finite numbers, lists and dictionaries of them"
            raise ValueError(f"{rule}; got something else: {error}. Convert it first.") from error
        if name in {*(self._folder.read_json("settings.json") or {}), "rounds", "sha256"}:
            rule = f"a note must have a name of its own; got {name!r}, which the run uses"
            raise ValueError(f"{rule}. Choose another.")
        self.look()
        self._summarise({name: dict(content)})

    def _summarise(self, noted: Mapping[str, Any]) -> None:
        """Write metrics.json of the run: its settings, its rounds, what was noted before, and new notes."""
        try:
            before = _summary(self._folder) or {}
        except RunDamaged:  # it is replaced by what is sound
            before = {}
        settings = self._folder.read_json("settings.json") or {}
        self._folder.write_json(METRICS, {**before, **noted, **settings, "rounds": self.rows})

    def _mend(self) -> None:
        self.rows, lost, told = _gather(self._folder)  # again, now that nobody else can write
        for number in lost:
            self._folder.write_json(METRICS, self.rows[number], number)
            _warn(self._folder.file(METRICS, number), "the summary of the run")
        if told != self.rows:
            self._summarise({})
            if told != self.rows[:-1] and (told is not None or len(self.rows) > 1):
                source = "the files of the rounds; what a notebook had noted in it is lost"
                _warn(self._folder.file(METRICS), source)


def _gather(folder: RunFolder) -> tuple[list[Row], list[int], list[Row] | None]:
    """Rows of all rounds, numbers of those that only the summary has, and its rows if it is sound."""
    own: dict[int, Row] = {}
    bad: dict[int, RunDamaged] = {}
    for number in folder.rounds():
        try:
            if (row := _own_row(folder, number)) is not None:
                own[number] = row
        except RunDamaged as error:
            bad[number] = error
    try:
        summary = _summary(folder)
    except RunDamaged:
        if not own:
            raise
        summary = None
    listed: list[Row] | None = None if summary is None else summary["rounds"]
    told = {row["round"]: row for row in listed or []}
    numbers, both = range(1 + max([*own, *bad, *told], default=-1)), told | own
    for number in numbers:
        if number not in both:
            missing = damaged(folder.file(METRICS, number), "be there, as later rounds are", "no file")
            raise bad.get(number, missing)
    return [both[number] for number in numbers], [number for number in numbers if number not in own], listed


def _own_row(folder: RunFolder, number: int) -> Row | None:
    row = folder.read_json(METRICS, number)
    return None if row is None else _checked(row, number, folder.file(METRICS, number))


def _summary(folder: RunFolder) -> Row | None:
    if (summary := folder.read_json(METRICS)) is None:
        return None
    path, rows = folder.file(METRICS), summary.get("rounds")
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
    told = f"{path} was missing or damaged; it was made again from {source}."
    warnings.warn(told, RunRepaired, stacklevel=6)
