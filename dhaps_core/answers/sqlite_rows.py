"""Log rows: how a row of a history is kept as columns, and the seal that ties it to all rows before it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from dhaps_core.answers.answer import Answer, Value
from dhaps_core.answers.history import Row
from dhaps_core.data.class_names import class_name

__all__ = ["UNSEALED", "Columns", "decode", "encode", "seal"]

UNSEALED = "0" * 32
"""What the first row is sealed upon."""
Columns = tuple[Any, ...]
"""id, kind, keys, value, flipped, who, seconds, at, question, target; since version 3 contents and step."""
_FIRST = 10  # columns that every version has


def encode(row: Row, at: float) -> Columns:
    """The columns of a row that is stored at a moment, in seconds since 1970."""
    given = row.answer
    if given is None:
        return (row.id, row.kind, None, None, None, row.who, None, at, None, row.target, None, row.step)
    # JSON holds file names that are not valid Unicode.
    keys, value, question = (json.dumps(field) for field in (given.keys, given.value, given.question))
    flipped, seconds = int(given.flipped), given.seconds + 0.0  # SQLite has no -0.0
    contents = json.dumps(given.contents) if given.contents else None
    about = (row.target, contents, row.step)
    return (row.id, given.kind, keys, value, flipped, row.who, seconds, at, question, *about)


def decode(columns: Columns) -> Row:
    """The row of some columns.

    Raises:
        ValueError: they are not those of a row, or of a kind that is not known.
        dhaps_core.answers.answer.StoreError: they are those of an answer that is none.
    """
    row_id, kind, keys, value, flipped, who, seconds, at, question, target, contents, step = columns
    if not isinstance(at, float) or not math.isfinite(at):
        raise ValueError(f"its time must be a number; got {at!r}")
    if target is not None and not isinstance(target, int):
        raise ValueError(f"it must be about a row, by number; got {target!r}")
    if step is not None and (not isinstance(step, int) or not 0 < step <= row_id):
        raise ValueError(f"it must be of a step that begins with it or before; got {step!r}")
    if kind in ("undo", "retract", "redo"):
        held = (*columns[2:5], contents)
        if target is None or held != (None,) * len(held) or not isinstance(who, str | None):
            raise ValueError(f"{kind!r} must be about one row, and hold no answer")
        return Row(row_id, kind, who, None, target, step)
    if kind not in ("class", "pair"):
        raise ValueError(f"its kind must be class, pair, undo, retract or redo; got {kind!r}")
    if not all(isinstance(field, str) for field in (keys, value, question)):
        raise ValueError(f"an answer must have text for keys, value and question; got {columns[2:]}")
    shown, value, question = (json.loads(field) for field in (keys, value, question))
    if not isinstance(shown, list) or flipped not in (0, 1):
        raise ValueError(f"an answer must have keys in an order; got {keys!r}, {flipped!r}")
    told = [] if contents is None else json.loads(contents)
    if not isinstance(told, list) or (contents is not None and len(told) != len(shown)):
        raise ValueError(f"an answer must tell the content of each item; got {contents!r}")
    if kind == "class":
        value = [_stored_name(one) for one in value]
    answer = Answer.given(
        kind, shown[::-1] if flipped else shown, value, who=who, seconds=seconds, id=row_id, at=at,
        question=question, contents=dict(zip(shown, told, strict=False)),
    )  # fmt: skip
    return Row(row_id, "answer", who, answer, target, step)


def seal(before: str, columns: Sequence[Any]) -> str:
    """Seal of a row upon the seal of the row before it: 32 hex digits, other ones if anything is changed.

    Columns of later versions count where they say something: rows that were sealed before keep their seals.
    """
    said = columns if any(one is not None for one in columns[_FIRST:]) else columns[:_FIRST]
    return hashlib.blake2b(f"{before}{json.dumps(said, default=repr)}".encode(), digest_size=16).hexdigest()


def _stored_name(name: Any) -> Value:
    """The name of a class as it was stored. Older versions let through what cannot be seen: it is spelled."""
    try:
        return class_name(name)
    except ValueError:
        if not isinstance(name, str):
            raise
        return name.encode("unicode_escape").decode()
