"""Files replaced as a whole: whatever happens on the way, there is the old one or the new one.

Every file of a run, a sweep, a cache or a result is written here, and read here if a stranger may have made
it. Loaded in every kernel of a sweep: the standard library only.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

__all__ = [
    "at_home",
    "digest",
    "check_digest",
    "identity",
    "make_folder",
    "open_own",
    "read_file",
    "refuse_link",
    "remove_leftovers",
    "replace_bytes",
    "replace_text",
    "replacing",
]

_NEW = re.compile(r".+\.(?P<process>[0-9]+)-[0-9a-f]{8}\.new")


def at_home(path: str | Path) -> Path:
    """The path with ``~`` expanded, as a shell would.

    Raises:
        ValueError: if it is no path, or an empty one, which would be the working directory.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise ValueError(f"a path must be text or a Path; got {path!r:.80}. Name the file or folder.")
    return Path(os.path.expanduser(path))


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` at the end of the block, unless the block raises.

    It is on the disk before it takes its place, and so is the change of place. A block that raises (a full
    disk, say) leaves nothing behind; a process that is killed leaves a file for :func:`remove_leftovers`.

    Args:
        path: in a folder that exists.

    Raises:
        OSError: if the file cannot be written, or a folder lies in its place; it names the file, and what was
            there is as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replacing(path) as file:
        ...     _ = file.write(b"whole")
        >>> path.read_bytes(), [entry.name for entry in path.parent.iterdir()]
        (b'whole', ['a.txt'])
    """
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        rule = "there must be a file or nothing; there is a folder. Move it away"
        raise IsADirectoryError(errno.EISDIR, rule, str(path))
    new = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.new")
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException as error:
        new.unlink(missing_ok=True)
        # A full disk does not say which file it has no room for, and the new name is nobody's business.
        if isinstance(error, OSError) and error.filename in (None, str(new)):
            error.filename = str(path)
            del error.filename2
        raise
    _sync_folder(path.parent)


def replace_text(path: str | Path, text: str) -> None:
    """Write a text file as UTF-8, as a whole; see :func:`replacing`."""
    replace_bytes(path, text.encode())


def replace_bytes(path: str | Path, content: bytes) -> None:
    """Write a file as a whole, in the place of a link and not through it; see :func:`replacing`."""
    with replacing(path) as file:
        file.write(content)


def read_file(path: str | Path, most: int) -> bytes:
    """Content of a file of at most so many bytes; no pipe or device is opened, which could block for ever.

    Raises:
        ValueError: if it is no plain file, or larger: in words that go on after "got".
        OSError: if it cannot be read; FileNotFoundError if it is not there.
    """
    path = Path(path)
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise ValueError("a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("a pipe, socket or device, not a file")
    if found.st_size > most:
        raise ValueError(f"{found.st_size} bytes, of {most} at most")
    return path.read_bytes()


def digest(path: str | Path) -> str:
    """Hex sha256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(content: bytes, sha256: str | None) -> None:
    """Refuse the content of a file that has another hex digest than was told of it, if one was.

    Raises:
        ValueError: in words that go on after "got".
    """
    if sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise ValueError("a file that another round or run has made")


def identity(path: Path) -> tuple[int, int] | None:
    """What the file system knows a file or a folder by, whatever its name; None if there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def open_own(path: str | Path, mode: str) -> IO[Any]:
    """Open a log or a lock, which is written in place; as UTF-8 if it is text.

    Raises:
        OSError: if it cannot be opened, or is a link: in a stranger's folder it could lead anywhere.
    """
    no_links = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    encoding = None if "b" in mode else "utf-8"
    return open(
        path, mode, encoding=encoding, opener=lambda name, flags: os.open(name, flags | no_links, 0o666)
    )


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        ValueError: if something else is there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        rule = f"folder must be a folder; got {path}, where something else is"
        raise ValueError(f"{rule}. Give another.") from error


def refuse_link(folder: str | Path) -> None:
    """See that a folder inside another one lies there.

    Raises:
        NotADirectoryError: if it is a link.
    """
    if Path(folder).is_symlink():
        raise NotADirectoryError(f"{folder} must be a folder; it is a link to elsewhere. Remove the link.")


def remove_leftovers(folder: str | Path, *, below: bool = True) -> None:
    """Remove what killed processes left of :func:`replacing` in a folder, and in those below it or not.

    A file of a process that lives on this machine may be on its way to its place, and stays.
    """
    for path in Path(folder).glob("**/*.new" if below else "*.new"):
        name = _NEW.fullmatch(path.name)
        if name and not path.is_dir() and not _lives(int(name["process"])):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name != "posix":  # there is no harmless way to ask
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        pass
    return True


def _sync_folder(folder: Path) -> None:
    """Have a rename on the disk, where a folder can be opened (Windows has no way, and needs none)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
