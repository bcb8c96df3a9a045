"""Files replaced as a whole: whatever happens on the way, there is the old one or the new one.

Every file of a run, a sweep, a cache or a result is written here. Loaded in every kernel of a sweep: the
standard library only.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["remove_leftovers", "replace_text", "replacing"]

_NEW = re.compile(r".+\.[0-9]+-[0-9a-f]{8}\.new")


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` at the end of the block, unless the block raises.

    It is on the disk before it takes its place, and so is the change of place. A block that raises (a full
    disk, say) leaves nothing behind; a process that is killed leaves a file for :func:`remove_leftovers`.

    Args:
        path: in a folder that exists.

    Raises:
        OSError: if the file cannot be written; it names the file, and the old one is as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(path) as file:
        ...     _ = file.write(b"whole")
        >>> path.read_bytes(), [entry.name for entry in path.parent.iterdir()]
        (b'whole', ['a.txt'])
    """
    path = Path(path)
    new = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException as error:
        new.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say which file it has no room for
        raise
    _sync_folder(path.parent)


def replace_text(path: str | Path, text: str) -> None:
    """Write a text file as UTF-8, as a whole; see :func:`replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed processes left of :func:`replacing`, in a folder and all below it.

    Only for who keeps every other writer out of the folder: a file being written looks the same.
    """
    for path in Path(folder).rglob("*.new"):
        if _NEW.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have a rename on the disk, where a folder can be opened (Windows has no way, and needs none)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
