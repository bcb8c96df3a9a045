"""Which digit key answers which class."""

from collections.abc import Sequence
from typing import Any

__all__ = ["class_keys"]

DIGITS = "1234567890"  # as they lie on a keyboard


def class_keys(names: Sequence[str]) -> list[dict[str, Any]]:
    """Classes in their order, each with its digit key or an empty string.

    A class that is named by a digit has that key; the others take those left over, first come first served.
    So a class keeps its key when others are added behind it.

    Example:
        >>> [(one["name"], one["key"]) for one in class_keys(["cat", "1", "dog"])]
        [('cat', '2'), ('1', '1'), ('dog', '3')]
    """
    free = [digit for digit in DIGITS if digit not in names]
    return [
        {"name": name, "key": name if len(name) == 1 and name in DIGITS else free.pop(0) if free else ""}
        for name in names
    ]
