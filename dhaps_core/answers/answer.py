"""Answer: what one person said about one item or one pair, its rules, and its form in a CSV file.

An answer is checked once, where it is given; whoever holds an `Answer` can rely on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal, SupportsIndex, cast

from dhaps_core.answers.csv_cells import CsvRow, read_rows, write_rows
from dhaps_core.data.class_names import NO_CLASS, class_name
from dhaps_core.keys import LONGEST_KEY

__all__ = ["NO_CLASS", "PAIR_WORDS", "Answer", "StoreError", "Value", "read_csv", "write_csv"]

PAIR_WORDS = ("same", "different", "unsure")
Value = str | SupportsIndex | Sequence[str | SupportsIndex]
"""What a person may say: a class, several classes, or one of `PAIR_WORDS`."""
_COLUMNS = ("kind", "a", "b", "value", "who", "seconds")
_JSON = ("[", '"')
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?", re.ASCII)
_LONGEST = LONGEST_KEY  # characters of a key or a name
_MOST = 1_000  # classes of one item
_FOR_EVER = 1e15  # seconds


class StoreError(Exception):
    """An answer that is not one or was not stored, or a store that cannot be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one person.

    Attributes:
        id: row number in the store, counted from 1; later answers have larger ids.
        kind: "class" (classes of one item) or "pair" (one word on two items).
        keys: the item's key, or both keys of the pair in ascending order.
        value: the names of the classes (see `class_names`), or "same", "different" or "unsure".
        who: the person or the oracle.
        seconds: how long the answer took.
        at: when it was stored, in seconds since 1970; None where that is not recorded (a CSV file).
        question: stable id of the question that was asked, or None.
        flipped: whether the pair was shown with the larger key first.
    """

    id: int
    kind: Literal["class", "pair"]
    keys: tuple[str, ...]
    value: str | tuple[str, ...]
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
            shown: the item's key, or the two keys in the order in which they were shown. A key is kept as it
                is, to the last blank: a file system may hold both Unicode forms of a name, as two files.
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
        shown = tuple(shown)
        if not all(_text(key, _LONGEST) for key in shown):
            rule = (
                f"item keys must be strings with at least one character, at most {_LONGEST}, and no zero byte"
            )
            raise StoreError(f"{rule}; got {_cut(shown)}.")
        if not _text(who, _LONGEST) or not who.strip() or not _encodes(who):
            raise StoreError(f"who must be a name; got {_cut(who)}. Say who gave the answer.")
        if question is not None and not _text(question, 4 * _LONGEST):
            raise StoreError(f"a question's id must be a string of its keys' length; got {_cut(question)}.")
        took: object = seconds
        if not isinstance(took, Real) or not 0 <= seconds <= _FOR_EVER:
            raise StoreError(f"seconds must be a number of at least 0; got {seconds!r}.")
        if kind == "pair":
            if len(shown) != 2 or shown[0] == shown[1]:
                raise StoreError(f"a pair must be two different items; got {_cut(shown)}.")
        elif kind != "class" or len(shown) != 1:
            rule = 'an answer must be a "class" of one item or a word on a "pair"'
            raise StoreError(f"{rule}; got {kind!r} with {len(shown)} keys.")
        kept = _word(value) if kind == "pair" else _classes(value)
        keys = tuple(sorted(shown))
        return cls(id, kind, keys, kept, who, float(seconds), at, question, flipped=keys != shown)

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys in the order in which they were shown."""
        return self.keys[::-1] if self.flipped else self.keys


def write_csv(answers: Iterable[Answer], path: str | Path) -> None:
    """Write answers as a CSV file that `read_csv` reads back unchanged.

    The columns are kind, a, b (in the order shown), value, who, seconds. A cell that a spreadsheet would take
    for a formula has an apostrophe before it (`csv_cells` says where). The file is replaced as a whole.

    Args:
        answers: in order.
        path: the file, in a folder that exists.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    write_rows(path, _COLUMNS, map(_to_cells, answers))


def read_csv(path: str | Path) -> list[Answer]:
    """Answers from a CSV file with the columns kind, a, b, value, who, seconds; ids count the rows from 1.

    `csv_cells` says what files are read: commas, semicolons or tabs, UTF-8 or what Excel calls Unicode text.
    Nothing is guessed. In the column `value`, text that starts with " or [ is JSON, a name or a list of
    names; any other text is the name of one class, 7 as well. Seconds may have a decimal comma where commas
    do not separate. Rows without any content are left out, and do not count.

    Args:
        path: the file; at most 100 MiB.

    Raises:
        StoreError: the file cannot be read, a column is missing, or a row is not an answer; the message names
            the line.
    """
    try:
        return [_in_row(row, number) for number, row in enumerate(read_rows(path, _COLUMNS), 1)]
    except (StoreError, ValueError, OSError) as error:
        raise StoreError(f"{path}: {error}") from error


def _in_row(row: CsvRow, number: int) -> Answer:
    try:
        return _from_cells(row, number)
    except (StoreError, ValueError, RecursionError) as error:
        raise StoreError(f"line {row.line}: {error}") from error


def _to_cells(answer: Answer) -> tuple[object, ...]:
    a, b = (*answer.shown, "")[:2]
    value = answer.value if isinstance(answer.value, str) else _to_cell(answer.value)
    return answer.kind, a, b, value, answer.who, answer.seconds


def _from_cells(row: CsvRow, number: int) -> Answer:
    kind, a, b, value, who, seconds = (row.cells[name] for name in _COLUMNS)
    kind = kind.strip().casefold()
    if kind not in ("class", "pair") or (kind == "class") != (not b):
        raise StoreError(f'kind must be "class" (then b is empty) or "pair"; got {kind!r} with b = {b!r}.')
    if row.separator != ",":
        seconds = seconds.replace(",", ".", 1)
    if not _SECONDS.fullmatch(seconds.strip()):
        raise StoreError(f"seconds must be a number of at least 0; got {seconds!r}.")
    stamp: dict[str, Any] = {"who": who, "seconds": float(seconds), "id": number}
    if kind == "pair":
        return Answer.given("pair", (a, b), value.strip().casefold(), **stamp)
    return Answer.given("class", (a,), _from_cell(value), **stamp)


def _to_cell(classes: tuple[str, ...]) -> str:
    """The cell of some classes: bare where that is unambiguous, JSON elsewhere."""
    if len(classes) > 1:
        return json.dumps(classes, ensure_ascii=False)
    (one,) = classes
    return json.dumps(one, ensure_ascii=False) if one.startswith(_JSON) else one


def _from_cell(cell: str) -> Value:
    value: Value = json.loads(cell) if cell.startswith(_JSON) else cell
    return value


def _word(value: Value) -> str:
    if not isinstance(value, str) or value not in PAIR_WORDS:
        rule = 'the answer on a pair must be "same", "different" or "unsure"'
        raise StoreError(f"{rule}; got {value!r}. A question that is skipped has no answer: store nothing.")
    return value


def _classes(value: Value) -> tuple[str, ...]:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    several = cast("Sequence[str | SupportsIndex]", value if listed else [value])
    if not 1 <= len(several) <= _MOST:
        rule = f"an answer on an item must give at least one class, and at most {_MOST}"
        raise StoreError(f"{rule}; got {len(several) or 'none'}. Skip it, or name a class.")
    try:
        classes = tuple(dict.fromkeys(class_name(one) for one in several))
    except ValueError as error:
        raise StoreError(str(error)) from error
    if NO_CLASS in classes and len(classes) > 1:
        raise StoreError(f"{NO_CLASS!r} must stand alone: the item has none of the classes; got {classes}.")
    return classes


def _text(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and "\x00" not in value


def _encodes(text: str) -> bool:
    return text.encode("utf-8", "replace").decode() == text


def _cut(value: object) -> str:
    told = repr(value)
    return told if len(told) <= 200 else f"{told[:200]} ..."
