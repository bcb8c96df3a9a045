"""Pictures for the screen, by key: small ones without loss, photos as JPEG, and a reason where one fails."""

import io
import threading
from collections.abc import Mapping
from typing import Any

from PIL import Image

from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import Images
from dhaps_core.data.items import Items

__all__ = ["Pictures"]

SMALL = 64  # pixels a side up to which a picture stays free of JPEG's blocks
LARGEST = 2048  # pixels a side that a browser may ask for
KEPT = 512


class Pictures:
    """Encoded pictures of a collection, the last ones kept; all of them are empty if it has no images."""

    def __init__(self, items: Items) -> None:
        self.items = items
        self._kept: dict[tuple[str, int], bytes] = {}
        self._lock = threading.Lock()  # cards ask from the notebook and from the background

    def picture(self, key: str, size: int) -> bytes:
        """PNG or JPEG file within size x size pixels, never scaled up; empty if it cannot be read."""
        images, position = self.items.images, self.items.position
        if images is None or key not in position:
            return b""
        with self._lock:
            found = self._kept.pop((key, size), None)
        if found is None:
            found = _encoded(images, position[key], size)
        with self._lock:
            self._kept[key, size] = found  # at the end: the first is the one not used for longest
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def asked(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """What answers a card's message that it wants pictures: its content, and a file for each key."""
        keys, size = message["want"], message["size"]
        files = [self.picture(key, min(int(size), LARGEST)) for key in keys]
        return {"pictures": keys, "size": size}, files


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
