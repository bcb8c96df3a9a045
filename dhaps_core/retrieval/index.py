"""Search index over binary codes: exact nearest items by Hamming distance, by keys, in a defined order.

faiss scans the packed codes (`IndexBinaryFlat`). Codes whose length is no multiple of 8 are filled up with
zero bits, which adds nothing to a distance. Items at equal distance come in the order in which they were
added, also where a cut-off falls between them: faiss promises no order there. Its range search excludes the
radius itself; `within` includes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import faiss
import numpy as np
import torch
from jaxtyping import Float, Int8, Int32, Int64, UInt8
from torch import Tensor

from dhaps_core.codes import pack, unpack
from dhaps_core.files import at_home, remove_leftovers, replacing
from dhaps_core.keys import item_key, item_keys

__all__ = ["Codes", "HammingIndex"]

Codes = (
    Float[Tensor, "n b"]
    | Int8[Tensor, "n b"]
    | UInt8[Tensor, "n w"]
    | Float[np.ndarray, "n b"]
    | Int8[np.ndarray, "n b"]
    | UInt8[np.ndarray, "n w"]
)
"""Codes in {-1, +1}, or packed ones if uint8 (see `codes.pack`)."""

_VERSION = 1
_MOST_BITS = 1 << 16
_HEADER = struct.Struct("<4siiqBiQ")
"""Of `IndexBinaryFlat` in a file: kind, bits, bytes a code, codes, trained, metric, bytes of all codes."""
_BLOCK_VALUES = 1 << 22
"""Most results of a range search at a time, so that collapsed codes do not fill the memory."""


class HammingIndex:
    """Binary codes of items with keys, searched exactly.

    Args:
        codes: [n b] in {-1, +1}, or [n ceil(b/8)] packed as uint8; at least one.
        keys: [n] distinct keys: text, or whole numbers, which become text as in `arrays`.
        bits: b; needed where codes are packed, and taken from them where they are not.

    Raises:
        ValueError: codes, keys and bits do not belong together.

    Example:
        >>> index = HammingIndex(torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0]]), ["a.jpg", "b.jpg"])
        >>> index.search(torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, 1.0]]), 1)
        ([['a.jpg'], ['a.jpg']], array([[1],
               [0]], dtype=int32))
    """

    def __init__(self, codes: Codes, keys: Iterable[str | SupportsIndex], *, bits: int | None = None) -> None:
        self.keys = item_keys(keys)
        self._positions = {key: i for i, key in enumerate(self.keys)}
        if len(codes) != len(self.keys) or not self.keys:
            raise ValueError(
                f"codes and keys must be equally many, at least 1; got {len(codes)}, {len(self.keys)}."
            )
        if bits is None and codes.dtype in (torch.uint8, np.uint8):
            raise ValueError(
                "bits must be given with packed codes; got uint8 codes and no bits. Pass bits=..."
            )
        if bits is not None and not _whole(bits):
            raise ValueError(f"bits must be a whole number; got {bits!r}.")
        self.bits = int(codes.shape[1] if bits is None else bits)
        packed = self._packed(codes)
        self._index = faiss.IndexBinaryFlat(8 * packed.shape[1])
        self._index.add(packed)

    def __len__(self) -> int:
        return len(self.keys)

    def codes(self, keys: Iterable[str | SupportsIndex]) -> Int8[Tensor, "q b"]:
        """Codes in {-1, +1} of some of the items, so that an item can be a query.

        Raises:
            KeyError: a key is not in the index.
        """
        names = [item_key(key) for key in keys]
        missing = [name for name in names if name not in self._positions]
        if missing:
            raise KeyError(
                f"keys must be in the index; got {missing[0]!r}, which is not. Look at index.keys."
            )
        packed = np.zeros((len(names), self._index.code_size), dtype=np.uint8)
        for row, name in zip(packed, names, strict=True):
            row[:] = self._index.reconstruct(self._positions[name])
        return unpack(torch.from_numpy(packed), self.bits)

    def search(self, queries: Codes, k: int) -> tuple[list[list[str]], Int32[np.ndarray, "q k"]]:
        """Keys and Hamming distances, in bits, of the k nearest items of each query.

        Args:
            queries: codes of as many bits as the index.
            k: from 1 to the number of items.

        Returns:
            For each query the keys, and [q k] distances, ascending; ties in the order of the index.

        Raises:
            ValueError: k is out of range, or the queries have another number of bits.
        """
        if not _whole(k) or not 1 <= k <= len(self):
            raise ValueError(
                f"k must be from 1 to the {len(self)} items of the index; got {k!r}. Ask for fewer."
            )
        k = int(k)
        packed = self._packed(queries)
        # One more than asked: if it is as near as the k-th, which of the equals belong in is settled below.
        distances, positions = self._index.search(packed, min(k + 1, len(self)))
        tied = np.flatnonzero(distances[:, k - 1] == distances[:, -1]) if k < len(self) else np.arange(0)
        distances, positions = distances[:, :k], positions[:, :k]
        order = np.lexsort((positions, distances))
        distances = np.take_along_axis(distances, order, 1)
        positions = np.take_along_axis(positions, order, 1)
        for radius in np.unique(distances[tied, -1]):
            rows = tied[distances[tied, -1] == radius]
            for row, (near, at) in zip(rows, self._range(packed[rows], int(radius)), strict=True):
                distances[row], positions[row] = near[:k], at[:k]
        return [self._named(row) for row in positions], distances

    def within(self, queries: Codes, radius: int) -> list[tuple[list[str], Int32[np.ndarray, " r"]]]:
        """Keys and distances of all items at most `radius` bits away, for each query.

        Args:
            queries: codes of as many bits as the index.
            radius: in bits, at least 0; inclusive.

        Returns:
            For each query its keys and distances, ascending; ties in the order of the index.

        Raises:
            ValueError: radius is negative, or the queries have another number of bits.
        """
        if not _whole(radius) or radius < 0:
            raise ValueError(f"radius must be at least 0 bits, a whole number; got {radius!r}.")
        packed = self._packed(queries)
        return [(self._named(at), near) for near, at in self._range(packed, min(int(radius), self.bits))]

    def save(self, folder: str | Path) -> None:
        """Write the index to a folder, made if absent; an index there is replaced as a whole.

        The codes and keys go into files named by their content; then `meta.json`, which names them, is
        replaced. Whoever loads the folder meets the old index or the new one, also after a crash.

        Args:
            folder: where to.
        """
        folder = at_home(folder)
        folder.mkdir(parents=True, exist_ok=True)
        meta = {"version": _VERSION, "bits": self.bits, "bit_order": "least significant first"}
        parts = {
            "codes": ("faiss", faiss.serialize_index_binary(self._index).tobytes()),
            "keys": ("json", json.dumps(self.keys).encode()),
        }
        for part, (suffix, content) in parts.items():
            meta[part] = f"{part}-{_digest(content)}.{suffix}"
            with replacing(folder / str(meta[part])) as file:
                file.write(content)
        with replacing(folder / "meta.json") as file:
            file.write(json.dumps(meta, indent=1).encode())
        for part, (suffix, _) in parts.items():
            for path in folder.glob(f"{part}-{'[0-9a-f]' * 32}.{suffix}"):
                if path.name != meta[part]:
                    path.unlink()
        remove_leftovers(folder)

    @classmethod
    def load(cls, folder: str | Path) -> HammingIndex:
        """The index saved in a folder.

        Args:
            folder: as given to `save`.

        Raises:
            FileNotFoundError: there is no index.
            ValueError: it is of another version, or its files are damaged or do not belong together.
        """
        folder = at_home(folder)
        meta = _meta(folder)
        contents = {part: _content(folder, part, meta[part]) for part in ("codes", "keys")}
        packed = _codes(contents["codes"], folder / meta["codes"])
        return cls(packed, _keys(contents["keys"], folder / meta["keys"]), bits=meta["bits"])

    def _packed(self, codes: Codes) -> UInt8[np.ndarray, "n w"]:
        """Packed codes, checked to have the bits of the index."""
        tensor = codes if isinstance(codes, Tensor) else torch.from_numpy(np.array(codes))
        if tensor.ndim != 2 or tensor.dtype == torch.bool or tensor.is_meta:
            raise ValueError(
                f"codes must be -1 and +1, or packed, one row each; got {tensor.dtype} {tuple(tensor.shape)}."
            )
        if tensor.dtype == torch.uint8:
            unpack(tensor, self.bits)
        elif tensor.shape[1] != self.bits:
            got = tensor.shape[1]
            raise ValueError(
                f"codes must have the {self.bits} bits of the index; got {got}. Use one network."
            )
        else:
            tensor = pack(tensor)
        return np.ascontiguousarray(tensor.cpu().numpy())

    def _range(
        self, packed: UInt8[np.ndarray, "q w"], radius: int
    ) -> Iterator[tuple[Int32[np.ndarray, " r"], Int64[np.ndarray, " r"]]]:
        """Distances and positions of all items up to a radius, for each query in turn, in order."""
        step = max(1, _BLOCK_VALUES // len(self))
        for start in range(0, len(packed), step):
            # faiss means "less than" the radius
            ends, distances, positions = self._index.range_search(packed[start : start + step], radius + 1)
            for low, high in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
                near, at = distances[low:high].astype(np.int32), positions[low:high]
                order = np.lexsort((at, near))
                yield near[order], at[order]

    def _named(self, positions: Int64[np.ndarray, " r"]) -> list[str]:
        return [self.keys[i] for i in positions.tolist()]


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} must be there; got a folder without an index. Save one.")
    try:
        meta = json.loads(path.read_bytes())
        version, _ = meta["version"], [meta[part] for part in ("bits", "codes", "keys")]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} must describe an index; it is damaged ({error!r}). Save it again."
        ) from error
    if version != _VERSION:
        raise ValueError(
            f"{path} must be of version {_VERSION}; got {version!r:.100}. Save it again with this dhaps."
        )
    if not _whole(meta["bits"]) or not 1 <= meta["bits"] <= _MOST_BITS:
        raise ValueError(
            f"{path} must have bits from 1 to {_MOST_BITS}; got {meta['bits']!r:.100}. Save the index again."
        )
    return {**meta}


def _content(folder: Path, part: str, name: Any) -> bytes:
    """Content of a file of the index, which its name vouches for."""
    named = re.fullmatch(rf"{part}-([0-9a-f]{{32}})\.(faiss|json)", name) if isinstance(name, str) else None
    if named is None:
        rule = f"{folder / 'meta.json'} must name the {part}"
        raise ValueError(f"{rule}; got {name!r:.100}. Save the index again.")
    path = folder / name
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path} must be there; the index is incomplete. Save it again.")
    content: bytes = path.read_bytes()
    if _digest(content) != named[1]:
        raise ValueError(f"{path} must have the content it was saved with; it is damaged. Save again.")
    return content


def _codes(content: bytes, path: Path) -> UInt8[np.ndarray, "n w"]:
    """Packed codes of a file of faiss, read by hand: faiss itself takes the sizes in a file on trust."""
    header = _HEADER.size
    if len(content) >= header:
        kind, bits, width, n, _, _, size = _HEADER.unpack(content[:header])
        whole = bits == 8 * width and size == n * width == len(content) - header and n > 0 and width > 0
        if kind == b"IBxF" and whole:
            return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(n, width)
    raise ValueError(f"{path} must be a flat binary index of faiss; got another file. Save the index again.")


def _keys(content: bytes, path: Path) -> list[str]:
    try:
        keys = json.loads(content)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"{path} must be a list of texts; got another file. Save the index again.")
    return keys


def _whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
