"""Search index over binary codes: exact nearest items by Hamming distance, by keys, in a defined order.

faiss scans the packed codes (`IndexBinaryFlat`). Items at equal distance come in the order in which they
were added, also where a cut-off falls between them: faiss promises no order there.

A saved index is one `.npz` file, which opens without this package::

    file = np.load("index.npz")
    index = faiss.IndexBinaryFlat(8 * file["codes"].shape[1]); index.add(file["codes"])
    keys = json.loads(file["keys"].tobytes())  # keys[i] is the item of row i
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Int8, Int32, Int64, UInt8
from torch import Tensor

from dhaps_core.array_files import read_arrays
from dhaps_core.checks import shown, whole
from dhaps_core.codes import pack, unpack
from dhaps_core.files import at_home, replacing
from dhaps_core.keys import item_keys, listed_keys, positions

__all__ = ["HammingIndex"]

Codes = (
    Float[Tensor, "n b"]
    | Int8[Tensor, "n b"]
    | UInt8[Tensor, "n w"]
    | Float[np.ndarray, "n b"]
    | Int8[np.ndarray, "n b"]
    | UInt8[np.ndarray, "n w"]
)
"""Codes in {-1, +1}, or packed ones if uint8 (see `codes.pack`)."""

_VERSION = 2  # 1 was a folder of several files
_BLOCK_VALUES = 1 << 22
"""Most results of a range search at a time, so that collapsed codes do not fill the memory."""


class HammingIndex:
    """Binary codes of items with keys, searched exactly.

    Args:
        codes: [n b] in {-1, +1}, or [n ceil(b/8)] packed as uint8; at least one.
        keys: [n] distinct keys: text, or whole numbers, which become text as in `arrays`.
        bits: b; needed where codes are packed, and taken from them where they are not.

    Attributes:
        keys: of the items.
        position: of each key.
        bits: b.

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
        self.position = positions(self.keys)
        if len(codes) != len(self.keys) or not self.keys:
            raise ValueError(
                f"codes and keys must be equally many, at least 1; got {len(codes)}, {len(self.keys)}."
            )
        if bits is None and codes.dtype in (torch.uint8, np.uint8):
            raise ValueError("bits must be given with packed codes; got uint8 codes alone. Pass bits=...")
        number = whole(codes.shape[1] if bits is None else bits)
        if number is None:
            raise ValueError(f"bits must be a whole number; got {shown(bits)}.")
        self.bits = number
        packed = self._packed(codes)
        import faiss  # not at the first import, which it makes a tenth of a second longer

        self._index = faiss.IndexBinaryFlat(8 * packed.shape[1])
        self._index.add(packed)

    def __len__(self) -> int:
        return len(self.keys)

    def codes(self, keys: Iterable[str | SupportsIndex]) -> Int8[Tensor, "q b"]:
        """Codes in {-1, +1} of some of the items, so that an item can be a query.

        Raises:
            KeyError: a key is not in the index.
            ValueError: they are no list of keys.
        """
        try:
            at = [self.position[key] for key in listed_keys(keys)]
        except KeyError as error:
            rule = "keys must be in the index"
            raise KeyError(f"{rule}; got {error}, which is not. Look at index.keys.") from error
        rows = self.packed()[at]
        return unpack(torch.from_numpy(rows), self.bits)

    def packed(self) -> UInt8[np.ndarray, "n w"]:
        """Codes of all items, packed, in the order of the keys."""
        rows: UInt8[np.ndarray, "n w"] = self._index.reconstruct_n(0, len(self))
        return rows

    def search(self, queries: Codes, k: int) -> tuple[list[list[str]], Int32[np.ndarray, "q k"]]:
        """Keys and Hamming distances, in bits, of the k nearest items of each query.

        They are ascending, ties in the order of the index.

        Raises:
            ValueError: k is not from 1 to the number of items, or the queries have another number of bits.
        """
        most = whole(k)
        if most is None or not 1 <= most <= len(self):
            raise ValueError(
                f"k must be from 1 to the {len(self)} items of the index; got {shown(k)}. Take one of these."
            )
        packed = self._packed(queries)
        # One more than asked: if it is as near as the k-th, which of the equals belong in is settled below.
        distances, positions = self._index.search(packed, min(most + 1, len(self)))
        tied = np.flatnonzero((most < len(self)) & (distances[:, most - 1] == distances[:, -1]))
        distances, positions = distances[:, :most], positions[:, :most]
        order = np.lexsort((positions, distances))
        distances = np.take_along_axis(distances, order, 1)
        positions = np.take_along_axis(positions, order, 1)
        for radius in np.unique(distances[tied, -1]):
            rows = tied[distances[tied, -1] == radius]
            for row, (near, at) in zip(rows, self._range(packed[rows], int(radius)), strict=True):
                distances[row], positions[row] = near[:most], at[:most]
        return [self._named(row) for row in positions], distances

    def within(self, queries: Codes, radius: int) -> list[tuple[list[str], Int32[np.ndarray, " r"]]]:
        """Keys and distances of all items at most `radius` bits away, for each query.

        They are ascending, ties in the order of the index.

        Raises:
            ValueError: radius is no whole number from 0, or the queries have another number of bits.
        """
        most = whole(radius)
        if most is None or most < 0:
            raise ValueError(f"radius must be at least 0 bits, a whole number; got {shown(radius)}.")
        packed = self._packed(queries)
        return [(self._named(at), near) for near, at in self._range(packed, min(most, self.bits))]

    def save(self, path: str | Path) -> None:
        """Write the index to one `.npz` file, whose folder is made if absent, in place of what was there.

        It holds `codes` (uint8 [n ceil(b/8)], least significant bit first), `keys` (a JSON list as bytes, so
        that one long key does not make room for all), `bits` and `version`.
        """
        path = at_home(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        codes = self.packed()
        keys = np.frombuffer(json.dumps(self.keys).encode(), np.uint8)
        with replacing(path) as file:
            np.savez(file, codes=codes, keys=keys, bits=self.bits, version=_VERSION)

    @classmethod
    def load(cls, path: str | Path) -> HammingIndex:
        """The index saved in a file.

        Raises:
            FileNotFoundError: there is no file.
            ValueError: it is damaged, of another version, or no index.
        """
        path = at_home(path)
        if path.is_dir():
            raise ValueError(
                f"{path} must be a file; got a folder, which an older dhaps made of an index. Export the run "
                "again, or read its codes with faiss.read_index_binary and its keys as JSON, and save those."
            )
        arrays = read_arrays(path)
        version = arrays.get("version", np.array(None)).tolist()
        if version != _VERSION:
            raise ValueError(
                f"{path} must be an index of version {_VERSION}; got {shown(version)}. Save it again."
            )
        try:
            bits, codes, keys = arrays["bits"].item(), arrays["codes"], json.loads(arrays["keys"].tobytes())
            texts = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
            if not texts or codes.dtype != np.uint8:
                raise ValueError(f"{codes.dtype} codes, keys {shown(keys)}")  # noqa: TRY301 - named below
            return cls(codes, keys, bits=bits)
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"{path} must hold the codes, keys and bits of an index; got {error!r}. Save it again."
            ) from error

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
            rule = f"codes must have the {self.bits} bits of the index"
            raise ValueError(f"{rule}; got {tensor.shape[1]}. Use one network.")
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
