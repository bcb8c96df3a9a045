"""Answers in a CSV file, as people and spreadsheets write them, and as both can read them.

Nothing is guessed: the separator is the one that makes the first line name the columns, the encoding is UTF-8
unless a byte order mark says otherwise, and a class is bare text unless that begins as JSON does.

What a spreadsheet would take for a formula is written with an apostrophe before it, and read without it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dhaps_core.answers.answer import Answer, StoreError
from dhaps_core.checks import shown
from dhaps_core.escaping import guarded, unguarded
from dhaps_core.files import at_home, read_file, replacing

__all__ = ["read_csv", "write_csv"]

_COLUMNS = ("kind", "a", "b", "value", "who", "seconds")
_JSON = ("[", '"')
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?", re.ASCII)
_LARGEST = 100 * 2**20  # bytes; what is read takes at most about ten times that in memory


def write_csv(answers: Iterable[Answer], path: str | Path) -> None:
    """Write answers as a CSV file (UTF-8, commas) that `read_csv` reads back unchanged, as a whole.

    The columns are kind, a, b (in the order shown), value, who, seconds. The folder must exist.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    with replacing(at_home(path)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="")
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for answer in answers:
            a, b = (*answer.shown, "")[:2]
            value = answer.value if isinstance(answer.value, str) else _cell(answer.value)
            writer.writerow(map(guarded, (answer.kind, a, b, value, answer.who, str(answer.seconds))))
        text.flush()
        text.detach()


def read_csv(path: str | Path) -> list[Answer]:
    """Answers from a CSV file with the columns kind, a, b, value, who, seconds; ids count the rows from 1.

    Commas, semicolons and tabs separate; names of columns count without case and surrounding blanks, in any
    order; columns without a name and without content are ignored, and so are rows without any content. In
    the column `value`, text that starts with " or [ is JSON, a name or a list of names; any other text is the
    name of one class, 7 as well. Seconds may have a decimal comma where commas do not separate.

    Args:
        path: UTF-8, or UTF-16 with a byte order mark (what Excel calls Unicode text); at most 100 MiB.

    Raises:
        StoreError: the file cannot be read, a column is missing, or a row is not an answer; the message names
            the line.
    """
    try:
        text = _text(at_home(path))
        lines = 0
        if hint := re.match(r"sep=[,;\t]\r?\n", text):  # Excel's own first line
            text, lines = text[hint.end() :], 1
        separator, names = _header(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        answers: list[Answer] = []
        try:
            next(reader)
            for cells in reader:
                if any(map(str.strip, cells)):
                    answers.append(_answer(_named(cells, names), len(answers) + 1, separator))
        except (csv.Error, StoreError, ValueError, RecursionError) as error:
            raise StoreError(f"line {reader.line_num + lines}: {error}") from error
    except (StoreError, ValueError, OSError) as error:
        raise StoreError(f"{path}: {error}") from error
    return answers


def _cell(classes: tuple[str, ...]) -> str:
    """The cell of some classes: bare where that is unambiguous, JSON elsewhere."""
    if len(classes) == 1 and not classes[0].startswith(_JSON):
        return classes[0]
    return json.dumps(classes if len(classes) > 1 else classes[0], ensure_ascii=False)


def _text(path: Path) -> str:
    try:
        content = read_file(path, _LARGEST)
    except (OSError, ValueError) as error:
        rule = f"it must be a file of at most {_LARGEST} bytes"
        raise ValueError(f"{rule}; got {error}. Check the path, or split the file.") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    way = 'Save the file anew as UTF-8 (in Excel: "CSV UTF-8").'
    try:
        text = content.decode("utf-16") if wide else content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        rule = "text must be UTF-8, or UTF-16 with a byte order mark"
        got = f"the byte {content[error.start : error.start + 1].hex()}"
        raise ValueError(f"line {line}: {rule}; got {got}. {way}") from error
    if (zero := text.find("\x00")) >= 0:
        line = text.count("\n", 0, zero) + 1
        raise ValueError(f"line {line}: text must not hold a zero byte; got one. {way}")
    return text.removeprefix("\ufeff")


def _header(text: str) -> tuple[str, list[str]]:
    """The separator and the name of each column, empty where it has none."""
    first = text[:10_000].splitlines()[:1]
    for separator in ",;\t":
        names = [cell.strip().casefold() for cell in next(csv.reader(first, delimiter=separator), [])]
        if set(_COLUMNS) <= set(names):
            over = [name for i, name in enumerate(names) if name and name not in {*_COLUMNS} - {*names[:i]}]
            if over:
                rule = f"line 1: the columns must be {', '.join(_COLUMNS)}, each once"
                raise ValueError(f"{rule}; got {over[0]!r} besides. Remove that column.")
            return separator, names
    rule = f"line 1: the first line must name the columns {', '.join(_COLUMNS)}"
    raise ValueError(f"{rule}, separated by commas, semicolons or tabs; got {''.join(first)[:200]!r}.")


def _named(cells: list[str], names: list[str]) -> dict[str, str]:
    """The cells of a row by column, as they were before they were guarded."""
    over = [cell for i, cell in enumerate(cells) if cell.strip() and not any(names[i : i + 1])]
    if any(names[len(cells) :]) or over:
        got = f"{over[0][:200]!r} in a column without a name" if over else str(cells)[:200]
        rule = f"a row must have one cell for each column; got {got}"
        raise ValueError(f"{rule}. Quote a cell that holds the separator.")
    return {name: unguarded(cell) for name, cell in zip(names, cells, strict=False) if name}


def _answer(cells: dict[str, str], number: int, separator: str) -> Answer:
    kind, a, b, value, who, seconds = (cells[name] for name in _COLUMNS)
    kind = kind.strip().casefold()
    if kind not in ("class", "pair") or (kind == "class") != (not b):
        raise StoreError(f'kind must be "class" (then b is empty) or "pair"; got {kind!r} with b = {b!r}.')
    if separator != ",":
        seconds = seconds.replace(",", ".", 1)
    if not _SECONDS.fullmatch(seconds.strip()):
        raise StoreError(f"seconds must be a number of at least 0; got {seconds!r}.")
    stamp: dict[str, Any] = {"who": who, "seconds": float(seconds), "id": number}
    if kind == "pair":
        return Answer.given("pair", (a, b), value.strip().casefold(), **stamp)
    return Answer.given("class", (a,), _from_json(value) if value.startswith(_JSON) else value, **stamp)


def _from_json(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        rule = 'a value that begins with [ or " must be JSON, the name of a class or a list of names'
        raise StoreError(
            f"{rule}; got {shown(value)}: {error}. Put a name in quotes, as JSON has it."
        ) from error
