"""JSON files that a crash, a disk or a stranger may have spoilt: read within bounds, refused in one sentence.

Loaded in every kernel of a sweep: the standard library only.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["DamagedFileError", "DamagedRunWarning", "is_text", "member", "read_object"]

T = TypeVar("T")

_MOST = 16 << 20  # bytes; a run's own files have some thousands


class DamagedFileError(ValueError):
    """A file that does not hold what it should; the message names it and says how to go on."""


class DamagedRunWarning(UserWarning):
    """A run that is left out of what is read, with the reason; the other runs are read."""


def read_object(path: str | Path, *, advice: str) -> dict[str, Any]:
    """The JSON object that a file holds.

    Args:
        path: of the file; a link is followed.
        advice: the end of the message where it holds none: what to do.

    Raises:
        FileNotFoundError: if nothing has that name.
        DamagedFileError: if it is no plain file, is above 16 MiB, or holds anything but one object.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.json"
        >>> _ = path.write_text('{"a": 1}')
        >>> read_object(path, advice="Delete it.")
        {'a': 1}
    """
    path = Path(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{path} must exist; there is nothing.")
    try:
        got = _content(path)
    except RecursionError:
        got = "brackets too deep to read"
    except (OSError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
    if isinstance(got, dict):
        return got
    raise DamagedFileError(f"{path} must hold one JSON object; got {got}. {advice}")


def member(content: Mapping[str, Any], name: str, kind: type[T], *, path: Path, advice: str) -> T:
    """A value of an object from a file.

    Args:
        content: the object.
        name: of the value.
        kind: what it must be.
        path: of the file.
        advice: the end of the message.

    Raises:
        DamagedFileError: if it is not there, or something else.
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


def _content(path: Path) -> dict[str, Any] | str:
    """The object, or what there is instead.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON.
        RecursionError: if it is nested too deeply.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return "a folder or a device"  # which could block for ever
    with path.open("rb") as file:
        raw = file.read(_MOST + 1)
    if len(raw) > _MOST:
        return f"more than {_MOST >> 20} MiB"
    if not raw.strip():
        return "an empty file"
    content = json.loads(raw.decode("utf-8"))
    return content if isinstance(content, dict) else f"a {type(content).__name__}"
