"""The files of a result folder, and its manifest, which has the digest of every other file.

New files are written into a folder of their own inside, ``next``, the manifest last. Then they take their
places, one by one. Whoever finds a whole manifest in there finishes the move, so that a process may be killed
at any moment: the folder loads as it was, or as it was to become.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt
from filelock import FileLock, Timeout

from dhaps_core.array_files import read_array
from dhaps_core.files import at_home, digest, make_folder, refuse_link, remove_leftovers
from dhaps_core.json_files import DamagedFileError, read_object, write_object

__all__ = [
    "ADDED", "ANSWERS", "CODES", "CONTENTS", "ENCODER", "FAISS", "FLOATS", "KEYS", "MANIFEST", "NETWORK",
    "NEXT", "PARTS", "PICTURES", "README", "WAY", "ResultDamaged", "ResultInUse", "check_free", "is_whole",
    "read_manifest", "read_part", "replaced", "seen", "write_manifest",
]  # fmt: skip

MANIFEST, README = "result.json", "README.md"
NETWORK, ENCODER = "network.safetensors", "encoder.npz"
CODES, KEYS, FAISS = "codes.npz", "keys.json", "index.faiss"
CONTENTS, ANSWERS, ADDED = "contents.npy", "answers.csv", "added.npz"
FLOATS, PICTURES = "floats.npy", "pictures.npz"
PARTS = (NETWORK, ENCODER, CODES, KEYS, FAISS, CONTENTS, FLOATS, PICTURES, ANSWERS, ADDED, README)
"""All but the manifest."""
NEXT, LOCK = "next", ".lock"
MAY_BE_AWAY = frozenset({FLOATS, PICTURES, ANSWERS, README, KEYS, FAISS})
"""What a person may take out: encoding and searching need none of them."""
FOR_PEOPLE = frozenset({ANSWERS, README})
"""What people may change: nothing is read of them."""
WAY = "Open its run again with result=... and it is made whole, or call session.export(folder)."
PATIENCE = 10.0  # seconds; a result is written in less, but for the pictures of many thousands of photos
_VERSION = 1


class ResultDamaged(DamagedFileError):  # noqa: N818 - the name of the thing, as one would say it
    """A folder that holds no result, half of one, or parts of two; the message says how to go on."""


class ResultInUse(RuntimeError):  # noqa: N818
    """Somebody else is changing the result just now, or has changed it since it was loaded."""


def check_free(folder: Path) -> None:
    """Refuse a folder in which a result would take the place of files that are of no result.

    Raises:
        ValueError: naming the first of them.
    """
    if (folder / LOCK).exists():  # stays where a result was ever begun
        return
    with suppress(FileNotFoundError, ResultDamaged):
        _read(folder)
        return
    taken = next((name for name in (MANIFEST, *PARTS) if os.path.lexists(folder / name)), None)
    if taken is not None:
        rule = f"{folder} must hold no files but those of a result"
        raise ValueError(f"{rule}; got {taken}, which is of something else. Give another folder.")


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A folder for new parts, which take the places of the old ones if the block ends with a manifest.

    Raises:
        ResultInUse: if another process changes the result for longer than a moment.
        OSError: if something is in the way.
        ValueError: if there are files that are of no result.
    """
    check_free(folder)
    make_folder(folder)
    try:
        with FileLock(folder / LOCK).acquire(timeout=PATIENCE):
            remove_leftovers(folder, below=False)  # of older versions of a file, whose writers were killed
            _settle(folder)
            new = folder / NEXT
            new.mkdir(exist_ok=True)
            remove_leftovers(new, below=False)
            for name in PARTS:  # of a writer that was killed before its manifest
                (new / name).unlink(missing_ok=True)
            yield new
            _settle(folder)
            with suppress(OSError):  # nothing was to be written
                new.rmdir()
    except Timeout:
        rule = f"{folder} must have one writer at a time; another process writes it"
        raise ResultInUse(f"{rule}. Wait for it.") from None


def write_manifest(folder: Path, new: Path, about: Mapping[str, Any], *, stay: tuple[str, ...] = ()) -> None:
    """Write the manifest of the parts in a folder for new ones; from here on they are the result.

    Args:
        folder: of the result.
        new: as :func:`replaced` gives it.
        about: what else the manifest tells.
        stay: parts that are not written anew; others that are not in ``new`` go.
    """
    files = {name: digest(new / name) for name in PARTS if (new / name).exists()}
    files |= {name: digest(folder / name) for name in stay if (folder / name).exists()}
    write_object(new / MANIFEST, {"version": _VERSION, **about, "files": files})


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """What the manifest of a folder tells, after a look at every file that it names.

    Raises:
        FileNotFoundError: if there is no such folder.
        ResultDamaged: if it holds no result, one of its parts is missing, or they do not belong together.
    """
    folder = at_home(folder)
    if not folder.is_dir():
        rule = f"{folder} must be a folder with the result of a run"
        got = "a file" if folder.exists() else "nothing"
        raise FileNotFoundError(f"{rule}; got {got}. Look at the path.")
    _settle(folder)
    found = _read(folder)
    for name, told in found["files"].items():
        _check_part(folder, name, told)
    for name in PARTS:
        if name not in found["files"] and (folder / name).exists():
            raise ResultDamaged(f"{folder} must hold one result; got {name}, of another one. {WAY}")
    return found


def read_part(folder: Path, name: str, *, dtype: npt.DTypeLike, shape: Sequence[int]) -> npt.NDArray[Any]:
    """One array of a result; see :func:`dhaps_core.array_files.read_array`.

    Args:
        folder: of the result.
        name: of the part.
        dtype: it must have.
        shape: it must have.

    Raises:
        FileNotFoundError: if there is no such file.
        ResultDamaged: if it is something else.
    """
    return read_array(folder / name, dtype=dtype, shape=shape, advice=WAY, error=ResultDamaged)


def seen(folder: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What the file system knows the files by: something else once one of them was replaced."""
    found: list[tuple[int, int, int] | None] = []
    for name in (MANIFEST, *PARTS):
        try:
            file = (folder / name).stat()
            found.append((file.st_ino, file.st_size, file.st_mtime_ns))
        except OSError:
            found.append(None)
    return tuple(found)


def is_whole(folder: Path, about: Mapping[str, Any]) -> bool:
    """Whether a folder holds the whole result that some entries of its manifest tell of."""
    try:
        found = read_manifest(folder)
    except (FileNotFoundError, ResultDamaged):
        return False
    return all(found.get(name) == value for name, value in about.items())


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        found = read_object(path, advice=WAY, error=ResultDamaged, signed=True)
    except FileNotFoundError:
        rule = f"{folder} must have {MANIFEST}, which makes its files a result"
        below = folder / "result"  # where notebook 07 and the how-to keep it
        way = "Give the folder that a run keeps up to date"
        way += f", such as {below}." if (below / MANIFEST).is_file() else f". {WAY}"
        raise ResultDamaged(f"{rule}; got none. {way}") from None
    if found.get("version") != _VERSION:
        got = f"{found.get('version')!r:.40}"
        raise ResultDamaged(f"{path} must be of version {_VERSION}; got {got}. Use the dhaps that wrote it.")
    files = found.get("files")
    if not isinstance(files, dict) or not set(files) <= set(PARTS):
        raise ResultDamaged(f"{path} must name the parts of a result; got {files!r:.80}. {WAY}")
    return found


def _settle(folder: Path) -> None:
    """Finish the move of new parts to their places, if their manifest is there."""
    new = folder / NEXT
    refuse_link(new)
    if not (new / MANIFEST).exists():
        return
    files = _read(new)["files"]
    for name in PARTS:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # it is in its place, or somebody else was faster
            os.replace(new / name, folder / name)
    with suppress(FileNotFoundError):
        os.replace(new / MANIFEST, folder / MANIFEST)
    with suppress(OSError):  # a file of somebody else is in it, or it is gone
        new.rmdir()


def _check_part(folder: Path, name: str, told: object) -> None:
    path = folder / name
    if not path.exists():
        if name not in MAY_BE_AWAY:
            raise ResultDamaged(f"{folder} must have all of a result; got no {name}: half a copy. {WAY}")
    elif not path.is_file() or (name not in FOR_PEOPLE and digest(path) != told):
        rule = f"{folder} must hold files that were written together"
        raise ResultDamaged(f"{rule}; got another {name} than {MANIFEST} tells of. {WAY}")
