"""Items that were added to a result by hand: kept with the rows that the network reads, so that they stay.

The next round of the run has another network. It encodes them anew and goes on searching them, as long as
what makes its rows is the same.
"""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import UInt8

from dhaps_core.array_files import read_arrays
from dhaps_core.files import digest, replacing
from dhaps_core.find.parts import ADDED, CODES, CONTENTS, ENCODER, PICTURES, WAY, ResultDamaged, read_part
from dhaps_core.find.pictures import read_pictures
from dhaps_core.hashing.inputs import ImageRows, Inputs
from dhaps_core.retrieval.index import HammingIndex

__all__ = ["Added", "AddedLeftOut", "carried", "read_rows", "rows_of", "write_rows"]


class AddedLeftOut(UserWarning):
    """Items that were added to a result cannot go on into the next one."""


@dataclass(frozen=True, eq=False)
class Added:
    """Items that were added, in the order in which they were.

    Attributes:
        keys: of the items.
        rows: that the network reads: float32 [a d], or uint8 [a 3 side side].
        contents: sha256 of each.
        pictures: of each; empty where there is none.
    """

    keys: Sequence[str]
    rows: npt.NDArray[Any]
    contents: UInt8[np.ndarray, "a 32"]
    pictures: Sequence[bytes]

    @property
    def inputs(self) -> Inputs:
        """The rows, as a network reads them."""
        rows = torch.from_numpy(self.rows)
        return ImageRows(rows) if self.rows.dtype == np.uint8 else rows


def rows_of(inputs: Inputs) -> npt.NDArray[Any]:
    """Rows to be kept, of what a network reads: features [n d] or images [n h w 3]."""
    if isinstance(inputs, ImageRows):
        return inputs.pixels.numpy()
    assert isinstance(inputs, torch.Tensor)
    return inputs.numpy()


def write_rows(path: Path, rows: npt.NDArray[Any]) -> None:
    """Write the rows of what was added, of the shapes of :func:`rows_of`."""
    with replacing(path) as file:
        np.savez(file, rows=rows)


def read_rows(folder: Path, about: Mapping[str, Any]) -> npt.NDArray[Any] | None:
    """The rows of what was added to a result, of the shapes of :func:`rows_of`; None where nothing was.

    Raises:
        ResultDamaged: if there are not as many as its manifest tells.
    """
    count = about.get("added")
    if not count:
        return None
    rows = read_arrays(folder / ADDED).get("rows")
    if rows is None or len(rows) != count:
        raise ResultDamaged(f"{folder / ADDED} must have {count} rows; got others. {WAY}")
    return rows


def carried(
    folder: Path, about: Mapping[str, Any], *, encoder: Path, keys: Iterable[str], width: tuple[int, ...]
) -> Added | None:
    """What was added to the result in a folder and goes on into the next; None where there is nothing.

    Args:
        folder: of the result.
        about: its manifest.
        encoder: file of what makes the rows of the next one.
        keys: of the collection; what has the same name there is the collection's from now on.
        width: shape of a row of the next one.

    Warns:
        AddedLeftOut: if rows are made in another way now; it names them.
    """
    rows = read_rows(folder, about)
    if rows is None:
        return None
    index = HammingIndex.load(folder / CODES)
    names = index.keys[-len(rows) :]
    if about["files"].get(ENCODER) != digest(encoder) or rows.shape[1:] != width:
        rule = f"{len(rows)} items that were added to {folder} are not in its new result"
        way = "their rows are made in another way now. Add them again"
        some = json.dumps(names[:10], ensure_ascii=False)
        warnings.warn(f"{rule}: {way}: {some}", AddedLeftOut, stacklevel=2)
        return None
    contents = read_part(folder, CONTENTS, dtype=np.uint8, shape=(len(index), 32))
    pictures = [b""] * len(index)
    if (folder / PICTURES).exists():
        pictures = read_pictures(folder / PICTURES, len(index))
    taken = set(keys)
    stay = [i for i, name in enumerate(names) if name not in taken]
    if not stay:
        return None
    at = [len(index) - len(rows) + i for i in stay]
    return Added([names[i] for i in stay], rows[stay], contents[at], [pictures[i] for i in at])
