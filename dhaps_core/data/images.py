"""Lazy sequences of images: in files, or in memory as pixels; decoded when asked for and never kept."""

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dhaps_core.data.decoding import Pixels, UnreadableImage, decoded, image_bytes

__all__ = ["ArrayImages", "FileImages", "Images"]

_READERS = min(os.cpu_count() or 1, 8)


class Images(ABC):
    """Lazy sequence of images: ``images[i]`` is a uint8 array of shape [h w 3]."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``; see :func:`dhaps_core.data.decoding.to_rgb8` for ``at_least``."""

    @abstractmethod
    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the content of each image, the same for exact duplicates."""

    def __getitem__(self, i: int) -> Pixels:
        return self.read(i)

    def thumbnail(self, i: int, size: int, *, quality: int = 90) -> bytes:
        """JPEG file of image ``i``, scaled down to fit size x size pixels; aspect kept, never scaled up.

        Its quality is on Pillow's scale, up to 95.
        """
        image = Image.fromarray(self.read(i, at_least=size))
        image.thumbnail((size, size))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return file.getvalue()


class ArrayImages(Images):
    """Images held in memory as uint8 RGB: in one array, or each in one of a size of its own."""

    def __init__(self, pixels: UInt8[np.ndarray, "n h w 3"] | Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``, always at full size."""
        del at_least
        return cast("Pixels", self.pixels[i])

    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the pixels of each image, as they are now."""
        return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in self.pixels)


class FileImages(Images):
    """Images in files, read from disk each time; a file that changes after it was first read is refused.

    Errors name images by their keys.
    """

    def __init__(self, keys: Sequence[str], paths: Sequence[Path]) -> None:
        self.keys, self.paths = tuple(keys), tuple(paths)
        self._known: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``; raises UnreadableImage if its file has gone, gone bad or changed."""
        data = image_bytes(self.paths[i], self.keys[i])
        pixels = decoded(data, self.keys[i], at_least)
        self._know(i, data)
        return pixels

    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the bytes of each file, as they were when first read."""
        missing = [i for i in range(len(self)) if i not in self._known]
        with ThreadPoolExecutor(_READERS) as pool:
            list(pool.map(lambda i: self._know(i, image_bytes(self.paths[i], self.keys[i])), missing))
        return tuple(self._known[i] for i in range(len(self)))

    def check(self) -> tuple[tuple[str, str], ...]:
        """(key, reason) of each file that cannot be decoded to its end: no header tells truncation."""

        def failures(i: int) -> tuple[tuple[str, str], ...]:
            try:
                self.read(i)
            except UnreadableImage as error:
                return error.failures
            return ()

        with ThreadPoolExecutor(_READERS) as pool:
            return tuple(chain.from_iterable(pool.map(failures, range(len(self)))))

    def subset(self, positions: Sequence[int]) -> "FileImages":
        """The images at these positions, in this order, with what is known about them."""
        chosen = FileImages([self.keys[i] for i in positions], [self.paths[i] for i in positions])
        chosen._known = {new: self._known[old] for new, old in enumerate(positions) if old in self._known}
        return chosen

    def _know(self, i: int, data: bytes) -> None:
        """Hold a file to what it was: whatever is kept of an image is kept under this digest."""
        digest = hashlib.sha256(data).hexdigest()
        if self._known.setdefault(i, digest) != digest:
            raise UnreadableImage([(self.keys[i], "it has changed since it was listed. Load the items anew")])
