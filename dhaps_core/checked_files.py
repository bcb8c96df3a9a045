"""Formats of a run's files: each carries the digest of its content, and is checked before it is believed.

A run folder may come from a stranger, or from a disk that failed. So nothing is unpickled, no size is taken
from a header before the file is known to be as large, and what is wrong is said in one sentence.
"""

import hashlib
import io
import json
import math
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dhaps_core.files import replacing

__all__ = [
    "RunDamaged",
    "check_npz",
    "check_place",
    "damaged",
    "make_folder",
    "read_array",
    "read_json",
    "read_weights",
    "write_array",
    "write_json",
    "write_weights",
]

MOST_FREE = 1 << 26  # bytes of a file of JSON, or of an array whose length nothing tells
MOST_WEIGHTS = 1 << 30  # bytes of weights of no network in particular
MOST_HEADER = 1 << 20  # bytes beside the numbers in a file of weights or splits
_DIGEST = 32  # bytes at the end of an array's file, which np.load does not look at
_FORMAT = (  # what the readers of these formats raise at damage
    ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError, SyntaxError, TokenError,
    zlib.error,
)  # fmt: skip

_ENTRIES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class RunDamaged(ValueError):  # noqa: N818 - the name of the thing, as one would say it
    """A file of a run is missing or is not what the run wrote; the message names it and says how to go on."""


def damaged(path: Path, rule: str, got: str) -> RunDamaged:
    """The error about a file of a run: what must hold, what was got, how to go on."""
    way = (
        "Restore it from a copy of the run. Without one, start a new run in another folder: the answers in "
        "labels.sqlite can go there (LabelStore.export_csv, then csv_source)."
    )
    return RunDamaged(f"{path} must {rule}; got {got}. {way}")


def check_place(path: Path, *, folder: bool = False) -> None:
    """Refuse to write where something else has the name, which a file cannot replace.

    Args:
        path: of what is about to be written; it may be absent.
        folder: whether that is a folder.

    Raises:
        RunDamaged: if it is a link, a pipe, a device, or a folder in the place of a file.
    """
    wanted = "folder" if folder else "file"
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    if (got := _ENTRIES.get(kind, "pipe or device")) != wanted:
        raise RunDamaged(f"{path} must be a {wanted}, or absent; got a {got}. Move it away, then go on.")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        ValueError: if something else is there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"folder must be a folder; got {path}, where something else is. Give another."
        ) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object with its digest, as a whole."""
    plain = json.loads(json.dumps(content, allow_nan=False))  # as it will be read: its keys are text
    signed = {**plain, "sha256": _json_digest(plain)}
    text = json.dumps(signed, indent=1, ensure_ascii=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Content of a JSON file that `write_json` wrote (or a dhaps that gave no digest), or None without one.

    Raises:
        RunDamaged: if it is something else.
    """
    if (data := _read(path, MOST_FREE)) is None:
        return None
    try:
        content = json.loads(data, parse_constant=_no_number)
    except _FORMAT as error:
        raise damaged(path, "be a file of JSON", _first_line(error)) from error
    if not isinstance(content, dict):
        raise damaged(path, "hold a JSON object", type(content).__name__)
    if content.pop("sha256", None) not in (None, _json_digest(content)):
        got = 'something else (if you changed it by hand, remove its line "sha256")'
        raise damaged(path, "hold what the run wrote", got)
    return content


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one array as .npy with its digest behind it, as a whole."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    with replacing(path) as file:
        file.write(buffer.getvalue())
        file.write(hashlib.sha256(buffer.getvalue()).digest())


def read_array(path: Path, *, dtype: npt.DTypeLike, shape: Sequence[int]) -> npt.NDArray[Any] | None:
    """An array that `write_array` wrote (or a dhaps that gave no digest), or None without a file.

    Args:
        path: the file.
        dtype: it must have.
        shape: it must have; -1 for a length that may be any, in a file of at most 64 MiB.

    Raises:
        RunDamaged: if it is something else; a file larger than such an array is not read.
    """
    rule = f"hold {np.dtype(dtype)} [{' '.join('n' if size < 0 else str(size) for size in shape)}]"
    free = any(size < 0 for size in shape)
    most = MOST_FREE if free else MOST_HEADER + math.prod(shape) * np.dtype(dtype).itemsize
    if (data := _read(path, most)) is None:
        return None
    try:
        start, found, kind = _npy_header(io.BytesIO(data))
    except _FORMAT as error:
        raise damaged(path, rule, _first_line(error)) from error
    alike = len(found) == len(shape) and all(a in (-1, b) for a, b in zip(shape, found, strict=True))
    if kind != np.dtype(dtype) or not alike:
        raise damaged(path, rule, f"{kind} [{' '.join(map(str, found))}]")
    end = start + math.prod(found) * kind.itemsize
    if len(data) not in (end, end + _DIGEST):
        raise damaged(path, rule, f"{len(data)} bytes in place of {end + _DIGEST}")
    if data[end:] and hashlib.sha256(data[:end]).digest() != data[end:]:
        raise damaged(path, "hold what the run wrote", "something else")
    array: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write the weights of a network as safetensors with their digest, as a whole."""
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    signed = save(plain, {"sha256": _weights_digest(save(plain))[0]})
    with replacing(path) as file:
        file.write(signed)


def read_weights(path: Path, like: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Weights that `write_weights` wrote.

    Args:
        path: the file.
        like: of a network: the names, shapes and types that the file must have; None to look at any.

    Raises:
        RunDamaged: if they are missing, or something else.
    """
    rule = "hold the weights of this run's network"
    numbers = MOST_WEIGHTS if like is None else sum(one.numel() * one.element_size() for one in like.values())
    if (data := _read(path, MOST_HEADER + numbers)) is None:
        raise damaged(path, rule, "no file")
    try:
        found, said = _weights_digest(data)
        weights: dict[str, Tensor] = load(data)
    except (*_FORMAT, SafetensorError) as error:
        raise damaged(path, rule, _first_line(error)) from error
    if said not in (None, found):
        raise damaged(path, "hold what the run wrote", "something else")
    if like is not None and _kinds(weights) != _kinds(like):
        raise damaged(path, rule, "those of another network")
    return weights


def check_npz(path: Path, names: Sequence[str], most: int) -> None:
    """Refuse an .npz file that is damaged, before anything of it is unpacked.

    Args:
        path: the file.
        names: of the arrays that it must have.
        most: bytes that it may have when unpacked.

    Raises:
        RunDamaged: if it is missing, damaged, larger, or has no such arrays without objects in them.
    """
    rule = f"be an .npz file of the arrays {', '.join(names)}"
    if (data := _read(path, most)) is None:
        raise damaged(path, rule, "no file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
            if missing := set(names) - set(members):
                raise damaged(path, rule, f"none named {', '.join(sorted(missing))}")
            if sum(one.file_size for one in members.values()) > most:
                raise damaged(path, f"unpack to at most {most} bytes", "more")
            for one in members.values():
                with archive.open(one) as file:
                    length, shape, kind = _npy_header(file)
                    if kind.hasobject or length + math.prod(shape) * kind.itemsize != one.file_size:
                        raise damaged(path, rule, f"{one.filename} of another size or kind")
            if (bad := archive.testzip()) is not None:
                raise damaged(path, rule, f"a wrong checksum of {bad}")
    # A bit that says "encrypted" or "some other compression" is damage, too.
    except (*_FORMAT, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        if isinstance(error, RunDamaged):
            raise
        raise damaged(path, rule, _first_line(error)) from error


def _read(path: Path, most: int) -> bytes | None:
    """Bytes of a file of at most so many, or None without one. A pipe or a device is no file of a run."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise damaged(path, "be a file", "something else")
        if found.st_size > most:
            raise damaged(path, f"have at most {most} bytes", str(found.st_size))
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise damaged(path, "be a file that can be read", _first_line(error)) from error


def _npy_header(file: Any) -> tuple[int, tuple[int, ...], np.dtype[Any]]:
    """Length of the header, shape and dtype of an .npy file as `np.save` writes small headers."""
    if (version := np.lib.format.read_magic(file)) != (1, 0):
        raise ValueError(f"version {version} of the format")
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    if any(size < 0 for size in shape):
        raise ValueError(f"shape {shape}")
    return file.tell(), shape, kind


def _json_digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _weights_digest(data: bytes) -> tuple[str, str | None]:
    """Digest of all but the metadata of a safetensors file, and the one that its metadata tells."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    said = header.pop("__metadata__", {}).get("sha256")
    text = json.dumps(header, sort_keys=True).encode()
    return hashlib.sha256(text + data[start:]).hexdigest(), said


def _kinds(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: (one.shape, one.dtype) for name, one in weights.items()}


def _no_number(name: str) -> float:
    raise ValueError(f"{name}, which is no number")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
