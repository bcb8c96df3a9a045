"""One image file, of whatever kind, as correct 8-bit RGB within a bounded memory; or one sentence why not.

Pillow opens nearly every file, but ``convert("RGB")`` alone loses a 16-bit image to white, a float image to
black, shows the hidden colours under transparent pixels and leaves photos lying on their side.
"""

import io
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from dhaps_core.files import read_file

__all__ = ["Pixels", "UnreadableImage", "decoded", "image_bytes", "to_rgb8"]

Pixels = npt.NDArray[np.uint8]

_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "PNG", "PPM", "PSD", "TIFF", "WEBP")
"""What is decoded: by Pillow, in this process. Others start programs (EPS), or are rare and little tried."""
_LARGEST_FILE = 256 << 20
_STRIP = 1 << 20
"""Pixels that are converted at a time, so that copies stay small beside the image."""
_SCANS = 64
"""Most scans of a JPEG of Pillow's largest size; each goes over all pixels. Cameras write up to 12."""
_PARTS = 256
"""Most comments of a PPM as text, and parts of EXIF of a JPEG: they have one or two."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OTHERS = {
    b"%!PS": "EPS",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"%PDF": "PDF",
    b"\x00\x00\x01\x00": "ICO",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xd7\xcd\xc6\x9a": "WMF",
    b"SIMPLE  =": "FITS",
    b"DDS ": "DDS",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class UnreadableImage(ValueError):  # noqa: N818 - it names the thing found, as FileNotFound does
    """Image files that cannot be turned into pixels; ``failures`` has (file, reason) for each of them."""

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        self.failures = tuple(failures)
        lines = "\n".join(f"  {name}: {reason}" for name, reason in self.failures)
        super().__init__(f"image files must be readable; got {len(self.failures)} that are not:\n{lines}")


def to_rgb8(source: str | Path | bytes, *, at_least: int | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Pixels of an image file of any mode as upright 8-bit RGB.

    The rules: the first frame of an animation; EXIF and XMP orientation applied; transparency (alpha, palette
    or colour key) composited on white; CMYK and LAB converted by Pillow. Images of one channel with
    more than 8 bits (modes I;16, I and F) have no stated white, so each is scaled by its own minimum and
    maximum to 0..255; a constant one becomes 0, and values that are not finite become 0.

    AVIF, BMP, GIF, JPEG (also MPO), PNG, PPM, PSD, TIFF and WebP are decoded, and HEIF where pillow-heif is
    registered; whatever a file is called, nothing else is. A file may have 256 MiB, and an image as many
    pixels as ``PIL.Image.MAX_IMAGE_PIXELS`` (89 million; a WebP half as many, for its decoder keeps copies).
    Decoding takes up to 13 bytes a pixel; over all threads together no more pixels are decoded at a time than
    one image may have: 1.1 GiB.

    Args:
        source: path of the file, or its bytes.
        at_least: if given, a JPEG may be decoded at a half, quarter or eighth of its size, as long as both
            sides keep at least twice this many pixels: much faster for photos that are scaled down anyway.

    Returns:
        Red, green, blue of each pixel, 0..255; a new array.

    Raises:
        UnreadableImage: if the file is missing, no file, empty, truncated, broken, not an image or not of
            these formats, or too large.

    Example:
        >>> file = io.BytesIO()
        >>> Image.new("RGBA", (1, 1), (255, 0, 0, 0)).save(file, "PNG")
        >>> to_rgb8(file.getvalue()).tolist()
        [[[255, 255, 255]]]
    """
    if isinstance(source, bytes):
        return decoded(source, f"<{len(source)} bytes>", at_least)
    return decoded(image_bytes(Path(source), str(source)), str(source), at_least)


def image_bytes(path: Path, name: str) -> bytes:
    """Content of an image file, which an error calls by its name.

    Raises:
        UnreadableImage: as :func:`to_rgb8`.
    """
    try:
        return read_file(path, _LARGEST_FILE)
    except OSError as error:
        reason = "a link that leads nowhere" if os.path.islink(path) else error.strerror or str(error)
    except ValueError as error:
        reason = str(error)
    raise UnreadableImage([(name, reason)])


def decoded(data: bytes, name: str, at_least: int | None) -> Pixels:
    """Pixels of such a content; for the arguments and errors see :func:`to_rgb8`."""
    formats = (*_FORMATS, "HEIF") if "HEIF" in Image.OPEN else _FORMATS
    most = Image.MAX_IMAGE_PIXELS or sys.maxsize
    try:
        _refuse_slow(data)
        image: Image.Image = Image.open(io.BytesIO(data), formats=formats)
        _refuse_bomb(image, data, most)
        if at_least is not None:
            image.draft(None, (2 * at_least, 2 * at_least))
        with _BUDGET.of(_pixels(image), most):
            # A second load() of a broken file succeeds with part of the pixels: load once, drop it on error.
            image.load()
            turn = image.getexif().get(0x0112)
            if turn in _UPRIGHT:
                image = image.transpose(_UPRIGHT[turn])
            return _rgb(image)
    except UnidentifiedImageError as error:
        raise UnreadableImage([(name, _unidentified(data))]) from error
    except Exception as error:  # what a Pillow plugin raises on a malformed file is not limited to OSError
        raise UnreadableImage([(name, str(error) or type(error).__name__)]) from error


class _Budget:
    """So many pixels at a time, over all threads; an image of more has its turn alone."""

    def __init__(self) -> None:
        self._change, self._used = threading.Condition(), 0

    @contextmanager
    def of(self, pixels: int, most: int) -> Iterator[None]:
        with self._change:
            self._change.wait_for(lambda: not self._used or self._used + pixels <= most)
            self._used += pixels
        try:
            yield
        finally:
            with self._change:
                self._used -= pixels
                self._change.notify_all()


_BUDGET = _Budget()


def _refuse_slow(data: bytes) -> None:
    """Refusal of what Pillow would take hours over, before it looks: at each part it copies the others."""
    parts, name = 0, ""
    if data.startswith((b"P1", b"P2", b"P3")):
        parts, name = data.count(b"#"), "a PPM as text of {} comments"
    elif data.startswith(b"\xff\xd8"):
        parts, name = data.count(b"Exif\x00\x00"), "a JPEG of {} parts of EXIF"
    if parts > _PARTS:
        raise ValueError(f"{name.format(parts)}, of {_PARTS} at most. Save it anew")


def _refuse_bomb(image: Image.Image, data: bytes, most: int) -> None:
    if _pixels(image) > most:
        rule = "it could be a decompression bomb. Scale it down, or raise PIL.Image.MAX_IMAGE_PIXELS"
        raise ValueError(f"{_pixels(image)} pixels, of {most} at most: {rule}")
    scans = data.count(b"\xff\xda") if image.format in {"JPEG", "MPO"} else 1
    if scans * _pixels(image) > _SCANS * most:
        raise ValueError(f"a JPEG of {scans} scans: it could be a decompression bomb. Save it anew")


def _pixels(image: Image.Image) -> int:
    """Pixels that are decoded at a time: of the image and a WebP's copies, or of a TIFF's tile."""
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(322, 0), tags.get(323, 0)
    tile = width * height if isinstance(width, int) and isinstance(height, int) else 0
    return max((2 if image.format == "WEBP" else 1) * image.width * image.height, tile)


def _unidentified(data: bytes) -> str:
    if not data:
        return "empty file (0 bytes)"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        way = "Convert it to JPEG, or register pillow-heif"
        return f"HEIF photo, which Pillow reads with a plugin only. {way}"
    kind = next((kind for magic, kind in _OTHERS.items() if data.startswith(magic)), None)
    if kind is not None or b"<svg" in data[:1024]:
        return f"{kind or 'SVG'}, which is not decoded here. Convert it to PNG or JPEG"
    return "not an image, or damaged beyond recognition"


def _rgb(image: Image.Image) -> Pixels:
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows, strip in _strips(image):
        pixels[rows] = _flat(strip)
    return pixels


def _strips(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    step = max(1, _STRIP // image.width)
    for top in range(0, image.height, step):
        end = min(top + step, image.height)
        yield slice(top, end), image.crop((0, top, image.width, end))


def _flat(image: Image.Image) -> Pixels:
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    # Premultiplied grey converts to RGBA by way of LA only.
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    canvas = Image.new("RGBA", layer.size, "white")
    return np.asarray(Image.alpha_composite(canvas, layer).convert("RGB"))


def _scaled(image: Image.Image) -> Pixels:
    low, high = np.inf, -np.inf
    for _, strip in _strips(image):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    key = image.info.get("transparency")
    pixels = np.zeros((image.height, image.width, 3), np.uint8)
    for rows, strip in _strips(image):
        values = np.asarray(strip).astype(np.float64)
        if high > low:
            grey = np.zeros(values.shape, np.uint8)
            finite = np.isfinite(values)
            grey[finite] = np.rint((values[finite] - low) / (high - low) * 255)
            pixels[rows] = grey[:, :, None]
        if key is not None:
            pixels[rows][values == key] = 255
    return pixels
