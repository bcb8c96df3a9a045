"""What stands below a picture that somebody is asked about: a name that does not tell the answer."""

import re
import unicodedata
from pathlib import PurePosixPath

from dhaps_core.data.items import Items

__all__ = ["caption"]


def caption(items: Items, key: str) -> str:
    """Name of an item without its folder, where images came with classes; a number, if it names its class.

    Where files are in no folder, a class that is a number is not looked for: numbers are how files are named.

    Example:
        >>> from dhaps_core.data.sources import digits
        >>> caption(digits(seed=0), "7")
        '7'
    """
    if items.labels is None or items.images is None:
        return key
    name, position = PurePosixPath(key).name, items.position[key]
    given = [_seen(one) for one in items.classes_of(position) if "/" in key or not one.isdecimal()]
    return f"image {position + 1}" if any(one in _seen(name) for one in given) else name


def _seen(name: str) -> str:
    """What is read in a name: in either Unicode form, whatever stands for a blank."""
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold())
