"""Answer: what one person said about one item or one pair, its rules, and its form in a CSV file.

An answer is checked once, where it is given; whoever holds an `Answer` can rely on it.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index
from pathlib import Path
from typing import Literal, SupportsIndex

__all__ = ["NO_CLASS", "PAIR_WORDS", "Answer", "StoreError", "Value", "read_csv", "write_csv"]

PAIR_WORDS = ("same", "different", "unsure")
NO_CLASS = "(none)"
"""The answer about an item that has none of the classes, where items may have several: it shares none."""
Value = str | SupportsIndex | Sequence[str | SupportsIndex]
"""What a person may say: a class, several classes, or one of `PAIR_WORDS`."""
_COLUMNS = ("kind", "a", "b", "value", "who", "seconds")
_JSON = ("[", '"')
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]*")


class StoreError(Exception):
    """An answer that is not one or was not stored, or a store that cannot be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one person.

    Attributes:
        id: row number in the store, counted from 1; later answers have larger ids.
        kind: "class" (classes of one item) or "pair" (one word on two items).
        keys: the item's key, or both keys of the pair in ascending order.
        value: the classes (1 and "1" are different classes), or "same", "different" or "unsure".
        who: the person or the oracle.
        seconds: how long the answer took.
        at: when it was stored, in seconds since 1970; None where that is not recorded (a CSV file).
        question: stable id of the question that was asked, or None.
        flipped: whether the pair was shown with the larger key first.
    """

    id: int
    kind: Literal["class", "pair"]
    keys: tuple[str, ...]
    value: str | tuple[int | str, ...]
    who: str
    seconds: float
    at: float | None = None
    question: str | None = None
    flipped: bool = False

    @classmethod
    def given(
        cls,
        kind: Literal["class", "pair"],
        shown: Sequence[str],
        value: Value,
        *,
        who: str,
        seconds: float,
        id: int,  # noqa: A002 - the name of the field
        at: float | None = None,
        question: str | None = None,
    ) -> Answer:
        """An answer as it was given, checked and in the form in which it is kept.

        Args:
            kind: "class" or "pair".
            shown: the item's key, or the two keys in the order in which they were shown.
            value: see `Value`.
            who: the person or the oracle; not empty.
            seconds: at least 0.
            id: row number.
            at: seconds since 1970.
            question: stable id of the question.

        Raises:
            StoreError: what was given is not an answer.

        Example:
            >>> Answer.given("pair", ("cat", "ant"), "same", who="anna", seconds=2.0, id=1).keys
            ('ant', 'cat')
        """
        if any(not isinstance(key, str) or not key for key in shown):
            raise StoreError(f"item keys must be strings with at least one character; got {tuple(shown)}.")
        if not isinstance(who, str) or not who:
            raise StoreError(f"who must be a name; got {who!r}. Say who gave the answer.")
        if not (math.isfinite(seconds) and seconds >= 0):
            raise StoreError(f"seconds must be a number of at least 0; got {seconds}.")
        if kind == "pair" and len(set(shown)) != 2:
            raise StoreError(f"a pair must be two different items; got {tuple(shown)}.")
        kept = _word(value) if kind == "pair" else _classes(value)
        keys = tuple(sorted(shown))
        return cls(id, kind, keys, kept, who, float(seconds), at, question, flipped=keys != tuple(shown))

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys in the order in which they were shown."""
        return self.keys[::-1] if self.flipped else self.keys


def write_csv(answers: Iterable[Answer], path: str | Path) -> None:
    """Write answers as a CSV file that `read_csv` reads back without loss of type.

    The columns are kind, a, b (in the order shown), value, who, seconds. The file is replaced as a whole.

    Args:
        answers: in order.
        path: the file, in a folder that exists.
    """
    part = Path(f"{path}.part")
    with part.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for answer in answers:
            a, b = (*answer.shown, "")[:2]
            value = answer.value if isinstance(answer.value, str) else _to_cell(answer.value)
            writer.writerow((answer.kind, a, b, value, answer.who, answer.seconds))
    os.replace(part, path)


def read_csv(path: str | Path) -> list[Answer]:
    """Answers from a CSV file with the columns kind, a, b, value, who, seconds; ids count the rows from 1.

    In the column `value`, a whole number is an integer class; text that starts with " or [ is JSON, a string
    or a list of classes; any other text is the name of one class as it stands. So 7 is a number, "7" a name.

    Args:
        path: a UTF-8 file, with or without a byte order mark.

    Raises:
        StoreError: a column is missing, or a row is not an answer; the message names the row.
    """
    with Path(path).open(encoding="utf-8-sig", errors="surrogatepass", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_columns(reader.fieldnames)
            return [_from_cells(cells, row) for row, cells in enumerate(reader, 1)]
        except (StoreError, csv.Error, ValueError) as error:
            raise StoreError(f"{path}, line {reader.line_num}: {error}") from error


def _check_columns(found: Sequence[str] | None) -> None:
    if found is None or not set(_COLUMNS) <= set(found):
        raise StoreError(f"the first line must name the columns {', '.join(_COLUMNS)}; got {found}.")


def _from_cells(cells: dict[str, str], row: int) -> Answer:
    if None in cells or None in cells.values():
        raise StoreError(f"a row must have one cell for each column; got {cells}. Quote a cell with a comma.")
    kind, a, b, value, who, seconds = (cells[name] for name in _COLUMNS)
    if kind == "pair":
        return Answer.given("pair", (a, b), value, who=who, seconds=float(seconds), id=row)
    if kind == "class" and not b:
        return Answer.given("class", (a,), _from_cell(value), who=who, seconds=float(seconds), id=row)
    raise StoreError(f'kind must be "class" (then b is empty) or "pair"; got {kind!r} with b = {b!r}.')


def _to_cell(classes: tuple[int | str, ...]) -> str:
    """The cell of some classes: bare where that is unambiguous, JSON elsewhere."""
    one = classes[0]
    if len(classes) > 1:
        return json.dumps(classes, ensure_ascii=False)
    if isinstance(one, str) and (_WHOLE_NUMBER.fullmatch(one) or one.startswith(_JSON)):
        return json.dumps(one, ensure_ascii=False)
    return str(one)


def _from_cell(cell: str) -> Value:
    if _WHOLE_NUMBER.fullmatch(cell):
        return int(cell)
    if cell.startswith(_JSON):
        value: Value = json.loads(cell)
        return value
    return cell


def _word(value: Value) -> str:
    if not isinstance(value, str) or value not in PAIR_WORDS:
        rule = 'the answer on a pair must be "same", "different" or "unsure"'
        raise StoreError(f"{rule}; got {value!r}. A question that is skipped has no answer: store nothing.")
    return value


def _classes(value: Value) -> tuple[int | str, ...]:
    several = [value] if isinstance(value, str | SupportsIndex) else value
    classes = tuple(dict.fromkeys(_class(one) for one in several))
    if not classes:
        raise StoreError(
            "an answer on an item must give at least one class; got none. Skip it, or name a class."
        )
    return classes


def _class(value: str | SupportsIndex) -> int | str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return index(value)
    raise StoreError(f"a class must be an integer or a string with at least one character; got {value!r}.")
