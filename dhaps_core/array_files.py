"""Arrays in .npy and .npz files, ours or a stranger's: sizes are checked before anything is made.

Nothing is unpickled or executed. Behind the numbers of an array that is written here stands their digest,
which `np.load` does not look at.
"""

import ast
import hashlib
import io
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dhaps_core.files import check_digest, read_file, replacing
from dhaps_core.json_files import DamagedFileError

__all__ = ["read_array", "read_arrays", "write_array"]

_UNPACKED = 256 << 20
_RATIO = 100
_HEADER = 10_000
_MEMBERS = 100
_FREE = 64 << 20  # bytes of a file of an array whose length nothing tells
_BESIDE = 1 << 20  # bytes beside the numbers of one
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one array of any shape as .npy with its digest behind it, as a whole."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with replacing(path) as file:
        file.write(buffer.getvalue())
        file.write(hashlib.sha256(buffer.getvalue()).digest())


def read_array(
    path: Path,
    *,
    dtype: npt.DTypeLike,
    shape: Sequence[int],
    advice: str,
    error: type[DamagedFileError] = DamagedFileError,
    sha256: str | None = None,
) -> npt.NDArray[Any]:
    """An array that `write_array` wrote (or a dhaps that gave no digest).

    Args:
        path: the file.
        dtype: it must have.
        shape: it must have; -1 for a length that may be any, in a file of at most 64 MiB.
        advice: the end of the message where it has not: what to do.
        error: raised then.
        sha256: hex digest that the whole file must have, or None for any.

    Raises:
        FileNotFoundError: if there is no such file.
        DamagedFileError: if it is something else; a file larger than such an array is not read.
    """
    kind = np.dtype(dtype)
    free = any(size < 0 for size in shape)
    try:
        most = _FREE if free else _BESIDE + math.prod(shape) * kind.itemsize
        data = read_file(path, most)
        array = _array(data)
        alike = len(array.shape) == len(shape) and all(
            a in (-1, b) for a, b in zip(shape, array.shape, strict=True)
        )
        if array.dtype != kind or not alike:
            raise ValueError(_told(array.dtype, array.shape))  # noqa: TRY301 - named below
        check_digest(data, sha256)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as fault:
        raise error(f"{path} must hold {_told(kind, shape)}; got {fault}. {advice}") from fault
    return array.copy()  # of its own, to be written as well


def read_arrays(path: str | Path, *, most: int | None = None) -> dict[str, npt.NDArray[Any]]:
    """Arrays of an .npz by name, of any shape, or the one of an .npy under the name "".

    Args:
        path: of the file.
        most: bytes that it may have and unpack to. By default an .npy takes as much memory as its file has
            bytes, and an .npz may unpack to 256 MiB or 100 times its own size, whichever is more; a bomb
            unpacks to 1,000 times.

    Returns:
        Read-only arrays of bool, whole numbers, floats or text.

    Raises:
        DamagedFileError: naming the file, if it is damaged, unpacks to too much or holds anything else.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"an .npy or .npz file must be there; {path} does not exist")
    try:
        data = read_file(path, sys.maxsize if most is None else most)
        return _archive(data, most) if data.startswith(_ZIP) else {"": _array(data)}
    # A bit that says "encrypted" or "some other compression" is a RuntimeError.
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        rule = f"{path} must be an .npy or .npz file of numbers or text, without pickled objects"
        raise DamagedFileError(f"{rule}; got {error}.") from error


def _archive(data: bytes, most: int | None) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(members) > _MEMBERS:
            raise ValueError(f"{len(members)} members, of {_MEMBERS} at most")
        if len(set(names)) < len(names):
            raise ValueError(f"two members of one name, among {', '.join(names)}")
        if any(member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for member in members):
            raise ValueError("a member that is packed in a way that NumPy does not use")
        total, most = sum(member.file_size for member in members), most or max(_UNPACKED, _RATIO * len(data))
        if total > most:
            raise ValueError(f"{len(data)} bytes that unpack to {total}, of {most} at most")
        return {name: _array(archive.read(member)) for name, member in zip(names, members, strict=True)}


def _array(data: bytes) -> npt.NDArray[Any]:
    version = data[6:7]
    if data[:6] != b"\x93NUMPY" or version not in {b"\x01", b"\x02", b"\x03"}:
        raise ValueError("what does not begin as an array does")
    start = 10 if version == b"\x01" else 12
    length = int.from_bytes(data[8:start], "little")
    if length > _HEADER:
        raise ValueError(f"a header of {length} bytes")
    start += length
    dtype, shape, fortran = _header(data[start - length : start])
    count, left = math.prod(shape), len(data) - start
    size = count * dtype.itemsize
    if left not in (size, size + hashlib.sha256().digest_size):
        raise ValueError(f"{_told(dtype, shape)} in {left} bytes")
    values, digest = memoryview(data)[start : start + size], data[start + size :]
    if digest and hashlib.sha256(memoryview(data)[: start + size]).digest() != digest:
        raise ValueError("numbers that are not those of the digest behind them")
    if dtype.kind == "U" and size and np.frombuffer(values, dtype.str[0] + "u4").max() > sys.maxunicode:
        raise ValueError("text that is no Unicode")
    array = np.frombuffer(values, dtype) if size else np.empty(count, dtype)
    return array.reshape(shape, order="F" if fortran else "C")


def _header(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        header = ast.literal_eval(data.decode("latin1").strip())
        descr, shape, fortran = (header[name] for name in ("descr", "shape", "fortran_order"))
        dtype = np.dtype(descr) if isinstance(descr, str) else None
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise ValueError(f"a header that says nothing of an array: {data[:80]!r}") from error
    if dtype is None or dtype.kind not in "biufU" or not dtype.itemsize:
        raise ValueError(f"an array of {descr!r}"[:100])
    whole = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
    if not whole or len(shape) > 4 or not isinstance(fortran, bool):
        raise ValueError(f"a shape {shape!r}"[:100])
    return dtype, shape, fortran


def _told(dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    return f"{dtype} [{' '.join('n' if size < 0 else str(size) for size in shape)}]"
