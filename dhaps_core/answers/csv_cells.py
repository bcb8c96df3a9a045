"""CSV files as people and spreadsheets write them, read as rows of named cells, and written for both.

Nothing is guessed: the separator is the one that makes the first line name the columns, and the encoding is
UTF-8 unless a byte order mark says otherwise.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, and read without
it. So is what follows a separator or a line break within a cell, as a spreadsheet that expects another
separator takes the cell apart there.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dhaps_core.files import at_home, replacing

__all__ = ["CsvRow", "read_rows", "write_rows"]

_LARGEST = 100 * 2**20  # bytes; what is read takes at most about ten times that in memory
_SEPARATORS = ",;\t"
_START = r"(?:^|(?<=[,;\t\r\n]))"
_FORMULA = r"'*\s*[=+\-@\t\r\n＝＋－＠]"  # the wide forms count in some languages
_BARE = re.compile(rf"{_START}(?={_FORMULA})")
_GUARDED = re.compile(rf"{_START}'(?={_FORMULA})")


class CsvRow(NamedTuple):
    """One row: the line on which it ends, its cells by column, and what separates them in the file."""

    line: int
    cells: dict[str, str]
    separator: str


def write_rows(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file (UTF-8, commas) as a whole; `read_rows` gives the same cells back.

    Args:
        path: the file, in a folder that exists.
        columns: their names.
        rows: one cell a column.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    with replacing(at_home(path)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogatepass", newline="")
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows([_BARE.sub("'", str(cell)) for cell in row] for row in rows)
        text.flush()
        text.detach()


def read_rows(path: str | Path, columns: Sequence[str]) -> Iterator[CsvRow]:
    """The rows of a CSV file, but for those without any content.

    Commas, semicolons and tabs separate; names of columns count without case and surrounding blanks, in any
    order; columns without a name and without content are ignored.

    Args:
        path: UTF-8, with or without a byte order mark, or UTF-16 with one; at most 100 MiB.
        columns: the names that the first line must have, all of them and no other.

    Raises:
        ValueError: the file is not of this form; the message names the line.
        OSError: it cannot be read.
    """
    text = _text(at_home(path))
    lines = 0
    if hint := re.match(r"sep=([,;\t])\r?\n", text):  # Excel's own first line
        text, lines = text[hint.end() :], 1
    separator, names = _header(text, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        next(reader)
        for cells in reader:
            if any(map(str.strip, cells)):
                yield CsvRow(reader.line_num + lines, _named(cells, names), separator)
    except (csv.Error, ValueError) as error:
        raise ValueError(f"line {reader.line_num + lines}: {error}") from error


def _text(path: Path) -> str:
    if not path.is_file():
        raise ValueError("it must be a file; got something else, or nothing. Check the path.")
    with path.open("rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"it must have at most {_LARGEST} bytes; got more. Split it.")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16") if wide else content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        rule = f"line {line}: text must be UTF-8, or UTF-16 with a byte order mark"
        raise ValueError(
            f"{rule}; got the byte {content[error.start : error.start + 1].hex()}. "
            'Save the file anew as UTF-8 (in Excel: "CSV UTF-8").'
        ) from error
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise ValueError(
            f"line {line}: text must not hold a zero byte; got one. Save the file anew as UTF-8."
        )
    return text.removeprefix("\ufeff")


def _header(text: str, columns: Sequence[str]) -> tuple[str, list[str]]:
    """The separator and the name of each column, empty where it has none."""
    first = text[:10_000].splitlines()[:1]
    for separator in _SEPARATORS:
        cells = next(csv.reader(first, delimiter=separator), [])
        names = [cell.strip().casefold() for cell in cells]
        if set(columns) <= set(names):
            named = [name for name in names if name]
            if len(named) != len(columns):
                over = next(name for i, name in enumerate(named) if name not in columns or name in named[:i])
                raise ValueError(
                    f"line 1: the columns must be {', '.join(columns)}, each once; got {over!r} besides. "
                    "Remove that column."
                )
            return separator, names
    raise ValueError(
        f"line 1: the first line must name the columns {', '.join(columns)}, separated by commas, semicolons "
        f"or tabs; got {''.join(first)[:200]!r}."
    )


def _named(cells: list[str], names: list[str]) -> dict[str, str]:
    if any(names[len(cells) :]):
        raise ValueError(f"a row must have one cell for each column; got {str(cells)[:200]}.")
    for name, cell in zip([*names, *[""] * len(cells)], cells, strict=False):
        if not name and cell.strip():
            raise ValueError(
                f"a row must have one cell for each column; got {cell[:200]!r} in a column without a name. "
                "Quote a cell that holds the separator."
            )
    return {name: _GUARDED.sub("", cell) for name, cell in zip(names, cells, strict=False) if name}
