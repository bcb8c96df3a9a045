"""Pictures for the screen, by key: small ones without loss, photos as JPEG, and a reason where one fails."""

import base64
import io
import threading

from PIL import Image

from dhaps_core.data.images import Images, UnreadableImage
from dhaps_core.data.items import Items

__all__ = ["Pictures"]

SMALL = 64  # pixels a side up to which a picture stays free of JPEG's blocks
KEPT = 512


class Pictures:
    """Encoded pictures of a collection, the last ones kept.

    Args:
        items: the collection; without images every picture is empty.
    """

    def __init__(self, items: Items) -> None:
        self.images: Images | None = items.images
        self._position = items.position
        self._kept: dict[tuple[str, int], bytes] = {}
        self._lock = threading.Lock()  # cards ask from the notebook and from the background

    def picture(self, key: str, size: int) -> bytes:
        """PNG or JPEG file within size x size pixels, never scaled up; empty if it cannot be read."""
        if self.images is None or key not in self._position:
            return b""
        with self._lock:
            found = self._kept.pop((key, size), None)
        if found is None:
            found = _encoded(self.images, self._position[key], size)
        with self._lock:
            self._kept[key, size] = found  # at the end: the first is the one not used for longest
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def data_uri(self, key: str, size: int) -> str:
        """The picture inside a ``src`` attribute, for HTML that stands alone; empty if there is none."""
        data = self.picture(key, size)
        kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}" if data else ""


def _encoded(images: Images, i: int, size: int) -> bytes:
    try:
        pixels = images.read(i, at_least=size)
        if max(pixels.shape[:2]) > SMALL:
            return images.thumbnail(i, size)
    except UnreadableImage:
        return b""  # the card says so in its place
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
