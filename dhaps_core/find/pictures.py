"""Small pictures of what is searched, kept in the result, so that a contact sheet needs no collection."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np

from dhaps_core.array_files import read_arrays
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import Images
from dhaps_core.files import replacing
from dhaps_core.find.parts import WAY, ResultDamaged

__all__ = ["read_pictures", "small_pictures", "write_pictures"]

SHOWN = 96  # pixels of their longer side
_LARGEST = 4096 << 20  # bytes of all of them


def small_pictures(images: Images) -> list[bytes]:
    """A small JPEG file of each image; empty of one that can no longer be read."""

    def picture(i: int) -> bytes:
        try:
            return images.thumbnail(i, SHOWN, quality=80)
        except UnreadableImage:
            return b""  # the sheet has its name in its place

    with ThreadPoolExecutor() as pool:
        return list(pool.map(picture, range(len(images))))


def write_pictures(path: Path, pictures: Sequence[bytes]) -> None:
    """Write JPEG files one behind the other, with where each ends."""
    ends = np.cumsum([len(one) for one in pictures], dtype=np.int64)
    with replacing(path) as file:
        np.savez(file, jpeg=np.frombuffer(b"".join(pictures), np.uint8), ends=ends)


def read_pictures(path: Path, count: int) -> list[bytes]:
    """So many JPEG files.

    Raises:
        ResultDamaged: if there are others.
    """
    found = read_arrays(path, most=_LARGEST)
    ends = [0, *found.get("ends", np.zeros(0)).tolist()]
    jpeg = found.get("jpeg", np.zeros(0, np.uint8)).tobytes()
    if len(ends) != count + 1 or ends != sorted(ends) or ends[-1] != len(jpeg):
        raise ResultDamaged(f"{path} must have a picture of each of {count} items; got others. {WAY}")
    return [jpeg[start:end] for start, end in pairwise(ends)]
