"""Keys: the names that items are known by, as text."""

from collections.abc import Iterable
from contextlib import suppress
from typing import SupportsIndex

from dhaps_core.checks import shown, whole

__all__ = ["LONGEST_KEY", "item_key", "item_keys", "listed_keys", "positions"]

LONGEST_KEY = 100_000
"""Characters of a key; what is longer no answer can be about."""


def item_keys(values: Iterable[str | SupportsIndex]) -> tuple[str, ...]:
    """Distinct keys as text; whole numbers are written out, so 7 and "7" are one key.

    Texts that differ in Unicode form or in case alone are two keys, as they are two files.

    Raises:
        ValueError: as :func:`listed_keys`, or if a key comes twice.

    Example:
        >>> item_keys(["a.png", 7])
        ('a.png', '7')
    """
    keys = listed_keys(values)
    positions(keys)
    return keys


def listed_keys(values: Iterable[str | SupportsIndex]) -> tuple[str, ...]:
    """Keys as :func:`item_keys` has them, in their order; one may come again.

    Raises:
        ValueError: a key is neither, is empty, too long or not valid text; or they are one text, which is no
            list of its characters, or a set, which has no order.
    """
    if not isinstance(values, str | set | frozenset):
        with suppress(TypeError):  # nothing to go through
            return tuple(map(item_key, values))
    got = f"{type(values).__name__} {shown(values)}"
    raise ValueError(
        f"keys must be a list, one for each item; got {got}. Pass them in the order of the items."
    )


def positions(keys: Iterable[str]) -> dict[str, int]:
    """Position of each key, from 0, in their order.

    Raises:
        ValueError: a key comes twice.

    Example:
        >>> positions(["a.png", "7"])
        {'a.png': 0, '7': 1}
    """
    found: dict[str, int] = {}
    for i, key in enumerate(keys):
        if found.setdefault(key, i) != i:
            raise ValueError(f"keys must be distinct; got {key!r} twice. Give each item its own key.")
    return found


def item_key(value: object) -> str:
    """One key as text; see :func:`item_keys`."""
    if isinstance(value, str):
        if not value:
            raise ValueError("keys must have at least one character; got an empty one")
        if "\x00" in value or len(value) > LONGEST_KEY:
            rule = f"keys must have at most {LONGEST_KEY} characters, and no zero byte"
            raise ValueError(f"{rule}; got {value[:80]!r} of {len(value)}")
        return str(value)
    number = whole(value)
    if number is not None:
        return str(number)
    raise ValueError(f"keys must be text or whole numbers; got {value!r:.80} of type {type(value).__name__}")
