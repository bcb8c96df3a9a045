"""Image files and pixel arrays as correct 8-bit RGB, decoded when asked for and never kept.

Pillow opens nearly every file, but ``convert("RGB")`` alone loses a 16-bit image to white, a float image to
black, shows the hidden colours under transparent pixels and leaves photos lying on their side.
"""

import hashlib
import io
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dhaps_core.thread_warnings import ThreadWarnings

__all__ = ["ArrayImages", "FileImages", "Images", "UnreadableImage", "to_rgb8"]

Colour = tuple[int, int, int]
Pixels = npt.NDArray[np.uint8]
WHITE: Colour = (255, 255, 255)

_PILLOW_WARNINGS = ThreadWarnings(r"PIL\.|dhaps_core\.images")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class UnreadableImage(ValueError):  # noqa: N818 - it names the thing found, as FileNotFound does
    """One or more image files that cannot be turned into pixels.

    Attributes:
        failures: (file, reason) for each of them.
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        self.failures = tuple(failures)
        lines = "\n".join(f"  {name}: {reason}" for name, reason in self.failures)
        super().__init__(f"image files must be readable; got {len(self.failures)} that are not:\n{lines}")


def to_rgb8(
    source: str | Path | bytes, *, background: Colour = WHITE, at_least: int | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels of an image file of any mode as upright 8-bit RGB.

    The rules: the first frame of an animation; EXIF and XMP orientation applied; transparency (alpha, palette
    or colour key) composited on ``background``; CMYK and LAB converted by Pillow. Images of one channel with
    more than 8 bits (modes I;16, I and F) have no stated white, so each is scaled by its own minimum and
    maximum to 0..255; a constant one becomes 0, and values that are not finite become 0. Damaged metadata
    that leaves the pixels intact is reissued as a ``UserWarning``.

    Args:
        source: path of the file, or its bytes.
        background: RGB colour, 0..255, behind transparent pixels.
        at_least: if given, a JPEG may be decoded at a half, quarter or eighth of its size, as long as both
            sides keep at least twice this many pixels: much faster for photos that are scaled down anyway.

    Returns:
        Red, green, blue of each pixel, 0..255; a new array.

    Raises:
        UnreadableImage: if the file is missing, empty, truncated, broken, not an image, or larger than
            Pillow's limit against decompression bombs.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGBA", (1, 1), (255, 0, 0, 0)).save(file, "PNG")
        >>> to_rgb8(file.getvalue()).tolist()
        [[[255, 255, 255]]]
    """
    if isinstance(source, bytes):
        name, data = f"<{len(source)} bytes>", source
    else:
        name, data = str(source), _read(Path(source), str(source))
    pixels, notes = _decode(data, name, background, at_least)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return pixels


class Images(ABC):
    """Lazy sequence of images: ``images[i]`` is a uint8 array of shape [h w 3].

    Attributes:
        notes: key of an image -> what Pillow found damaged in it although its pixels are fine.
    """

    notes: dict[str, str]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``; see :func:`to_rgb8` for ``at_least``."""

    @abstractmethod
    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the content of each image, the same for exact duplicates."""

    def __getitem__(self, i: int) -> Pixels:
        return self.read(i)

    def thumbnail(self, i: int, size: int) -> bytes:
        """JPEG file of image ``i``, scaled down to fit size x size pixels; aspect kept, never scaled up."""
        image = Image.fromarray(self.read(i, at_least=size))
        image.thumbnail((size, size))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90)
        return file.getvalue()


class ArrayImages(Images):
    """Images held in one array.

    Args:
        pixels: uint8 RGB, [n h w 3].
    """

    def __init__(self, pixels: UInt8[np.ndarray, "n h w 3"]) -> None:
        self.pixels = pixels
        self.notes = {}

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``, always at full size."""
        del at_least
        return cast("Pixels", self.pixels[i])

    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the pixels of each image."""
        return self._digests

    @cached_property
    def _digests(self) -> tuple[str, ...]:
        return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in self.pixels)


class FileImages(Images):
    """Images in files, read from disk each time.

    Args:
        keys: name of each image in notes and errors.
        paths: file of each image.
        background: RGB colour behind transparent pixels.
    """

    def __init__(self, keys: Sequence[str], paths: Sequence[Path], *, background: Colour = WHITE) -> None:
        self.keys = tuple(keys)
        self.paths = tuple(paths)
        self.background = background
        self.notes = {}
        self._known: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, i: int, *, at_least: int | None = None) -> Pixels:
        """Pixels of image ``i``; raises UnreadableImage if its file has gone or gone bad."""
        return self._pixels(i, _read(self.paths[i], self.keys[i]), at_least)

    def digests(self) -> tuple[str, ...]:
        """Hex sha256 of the bytes of each file, as they were when first read."""
        missing = [i for i in range(len(self)) if i not in self._known]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for i, data in zip(missing, pool.map(self._hash, missing), strict=True):
                self._known[i] = data
        return tuple(self._known[i] for i in range(len(self)))

    def check(self) -> tuple[tuple[str, str], ...]:
        """(key, reason) of each file that cannot be decoded to its end: no header tells truncation."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            failures = pool.map(self._failure, range(len(self)))
            return tuple(failure for failure in failures if failure is not None)

    def subset(self, positions: Sequence[int]) -> "FileImages":
        """The images at these positions, in this order, with what is known about them."""
        chosen = FileImages(
            [self.keys[i] for i in positions], [self.paths[i] for i in positions], background=self.background
        )
        chosen.notes = {key: self.notes[key] for key in chosen.keys if key in self.notes}
        chosen._known = {new: self._known[old] for new, old in enumerate(positions) if old in self._known}
        return chosen

    def _pixels(self, i: int, data: bytes, at_least: int | None) -> Pixels:
        pixels, notes = _decode(data, self.keys[i], self.background, at_least)
        if notes:
            self.notes[self.keys[i]] = "; ".join(notes)
        return pixels

    def _hash(self, i: int) -> str:
        return hashlib.sha256(_read(self.paths[i], self.keys[i])).hexdigest()

    def _failure(self, i: int) -> tuple[str, str] | None:
        try:
            data = _read(self.paths[i], self.keys[i])
            self._pixels(i, data, None)
        except UnreadableImage as error:
            return error.failures[0]
        self._known[i] = hashlib.sha256(data).hexdigest()
        return None


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImage([(name, error.strerror or str(error))]) from error


def _decode(
    data: bytes, name: str, background: Colour, at_least: int | None
) -> tuple[Pixels, tuple[str, ...]]:
    """Pixels, and what Pillow warned about."""
    with _PILLOW_WARNINGS.record() as caught:
        try:
            image = Image.open(io.BytesIO(data))
            _refuse_bomb(caught)
            if at_least is not None:
                image.draft(None, (2 * at_least, 2 * at_least))
            # A second load() of a broken file succeeds with part of the pixels: load once, drop it on error.
            image.load()
            pixels = _rgb(ImageOps.exif_transpose(image), background)
        except UnidentifiedImageError as error:
            raise UnreadableImage([(name, _unidentified(data))]) from error
        except (
            Exception
        ) as error:  # what a Pillow plugin raises on a malformed file is not limited to OSError
            raise UnreadableImage([(name, str(error) or type(error).__name__)]) from error
    return pixels, tuple(dict.fromkeys(" ".join(str(warning).split()) for warning in caught))


def _refuse_bomb(caught: list[Warning]) -> None:
    for warning in caught:
        if isinstance(warning, Image.DecompressionBombWarning):
            raise warning


def _unidentified(data: bytes) -> str:
    if not data:
        return "empty file (0 bytes)"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return (
            "HEIF photo, which Pillow reads with a plugin only. Convert it to JPEG, or register pillow-heif"
        )
    return "not an image, or damaged beyond recognition"


def _rgb(image: Image.Image, background: Colour) -> Pixels:
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled(image, background)
    if image.has_transparency_data:
        # Premultiplied grey converts to RGBA by way of LA only.
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        canvas = Image.new("RGBA", layer.size, (*background, 255))
        return np.array(Image.alpha_composite(canvas, layer).convert("RGB"))
    return np.array(image.convert("RGB"))


def _scaled(image: Image.Image, background: Colour) -> Pixels:
    values = np.asarray(image).astype(np.float64)
    finite = np.isfinite(values)
    low, high = (values[finite].min(), values[finite].max()) if finite.any() else (0.0, 0.0)
    grey = np.zeros(values.shape, np.uint8)
    if high > low:
        grey[finite] = np.rint((values[finite] - low) / (high - low) * 255)
    pixels = np.repeat(grey[:, :, None], 3, axis=2)
    key = image.info.get("transparency")
    if key is not None:
        pixels[values == key] = background
    return pixels
