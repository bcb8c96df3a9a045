"""JSON files that a crash, a disk or a stranger may have spoilt: read within bounds, refused in one sentence.

Loaded in every kernel of a sweep: the standard library only.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dhaps_core.files import read_file, replace_text

__all__ = ["DamagedFileError", "DamagedRunWarning", "is_text", "member", "read_object", "write_object"]

T = TypeVar("T")

_MOST = 64 << 20  # bytes; a run's own files have some thousands


class DamagedFileError(ValueError):
    """A file that does not hold what it should; the message names it and says how to go on."""


class DamagedRunWarning(UserWarning):
    """A run that is left out of what is read, with the reason; the other runs are read."""


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object as a whole, with its digest under "sha256"."""
    plain = json.loads(json.dumps(content, allow_nan=False))  # as it will be read: its keys are text
    signed = {**plain, "sha256": _digest(plain)}
    replace_text(path, json.dumps(signed, indent=1, ensure_ascii=False) + "\n")


def read_object(
    path: str | Path,
    *,
    advice: str,
    error: type[DamagedFileError] = DamagedFileError,
    signed: bool = False,
) -> dict[str, Any]:
    """The JSON object that a file holds.

    Args:
        path: of the file; a link is followed.
        advice: the end of the message where it holds none: what to do.
        error: raised then.
        signed: whether :func:`write_object` wrote it: its digest (an older dhaps gave none) is checked, and
            left out.

    Raises:
        FileNotFoundError: if nothing has that name.
        DamagedFileError: if it is no plain file, is above 64 MiB, or holds anything but one object.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> write_object(path, {"a": 1})
        >>> read_object(path, advice="Delete it.", signed=True)
        {'a': 1}
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{path} must exist; there is nothing.")
    try:
        return _parsed(read_file(path, _MOST), signed=signed)
    except (OSError, ValueError, RecursionError) as fault:
        raise error(f"{path} must hold one JSON object; got {fault}. {advice}") from fault


def member(content: Mapping[str, Any], name: str, kind: type[T], *, path: Path, advice: str) -> T:
    """The value of some kind that the object of a file has under a name.

    Raises:
        DamagedFileError: if it is not there, or something else; the message ends with the advice.
    """
    value = content.get(name)
    if isinstance(value, kind):
        return value
    raise DamagedFileError(f"{path} must have {name} of type {kind.__name__}; got {value!r:.80}. {advice}")


def is_text(text: str) -> bool:
    r"""Whether a string can be written as UTF-8: names of files and JSON escapes can hold what no text has.

    Example:
        >>> is_text("é"), is_text("\udce9")
        (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parsed(data: bytes, *, signed: bool) -> dict[str, Any]:
    """The object, or ValueError with what there is instead."""
    if not data.strip():
        raise ValueError("an empty file")
    content = json.loads(data, parse_constant=_no_number if signed else None)
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}")  # noqa: TRY004
    if signed and content.pop("sha256", None) not in (None, _digest(content)):
        raise ValueError('other content (if you changed it by hand, remove its line "sha256")')
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _no_number(name: str) -> float:
    raise ValueError(f"{name}, which is no number")
