"""Arrays from .npy and .npz files of strangers: sizes are checked before anything of that size is made."""

import ast
import hashlib
import io
import math
import os
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_array_file"]

_UNPACKED = 256 << 20
_RATIO = 100
_HEADER = 10_000
_MEMBERS = 100


def read_array_file(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays of an .npz by name, or the one of an .npy under the name "".

    An .npy takes as much memory as its file has bytes; what stands behind its numbers must be their digest,
    as `run_files.write_array` writes it. An .npz may unpack to 256 MiB or 100 times its own size, whichever
    is more; a bomb unpacks to 1,000 times. Nothing is unpickled or executed.

    Args:
        path: of the file.

    Returns:
        Read-only arrays of bool, whole numbers, floats or text.

    Raises:
        ValueError: naming the file, if it is damaged, unpacks to too much or holds anything else.
        FileNotFoundError: if there is no such file.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"an .npy or .npz file must be there; {path} does not exist")
    try:
        data = _content(path)
        return _archive(data) if data[:4] in {b"PK\x03\x04", b"PK\x05\x06"} else {"": _array(data)}
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path.name} must be an .npy or .npz file of numbers or text, without pickled objects; got: "
            f"{error}"
        ) from error


def _content(path: Path) -> bytes:
    if not os.path.isfile(path):
        raise ValueError("it is no file")
    return path.read_bytes()


def _archive(data: bytes) -> dict[str, npt.NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        names = [member.filename.removesuffix(".npy") for member in members]
        if len(members) > _MEMBERS:
            raise ValueError(f"{len(members)} members, of {_MEMBERS} at most")
        if len(set(names)) < len(names):
            raise ValueError(f"two members of one name, among {', '.join(names)}")
        if any(member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for member in members):
            raise ValueError("a member that is packed in a way that NumPy does not use")
        total, most = sum(member.file_size for member in members), max(_UNPACKED, _RATIO * len(data))
        if total > most:
            raise ValueError(f"{len(data)} bytes that unpack to {total}, of {most} at most")
        return {name: _array(archive.read(member)) for name, member in zip(names, members, strict=True)}


def _array(data: bytes) -> npt.NDArray[Any]:
    version = data[6:7]
    if data[:6] != b"\x93NUMPY" or version not in {b"\x01", b"\x02", b"\x03"}:
        raise ValueError("it does not begin as an array does")
    start = 10 if version == b"\x01" else 12
    length = int.from_bytes(data[8:start], "little")
    if length > _HEADER:
        raise ValueError(f"a header of {length} bytes")
    dtype, shape, fortran = _header(data[start : start + length])
    count, left = math.prod(shape), len(data) - start - length
    size = count * dtype.itemsize
    end = start + length + size
    if left not in (size, size + hashlib.sha256().digest_size):
        raise ValueError(f"{dtype} {shape} in {left} bytes")
    if left > size and hashlib.sha256(data[:end]).digest() != data[end:]:
        raise ValueError("numbers that are not those of the digest behind them")
    values = memoryview(data)[start + length : end]
    if dtype.kind == "U" and size:
        codes = np.frombuffer(values, dtype.str[0] + "u4")
        if codes.max() > sys.maxunicode:
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
