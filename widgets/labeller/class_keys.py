"""In which order classes are offered, and which digit key answers which."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["class_keys"]

DIGITS = "1234567890"  # as they lie on a keyboard


def class_keys(names: Sequence[str], likely: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Classes, the likeliest first, each with its digit key or an empty string, and how likely it is.

    A class that is named by a digit has that. As long as there is a digit for every class, each keeps its own
    whatever is likely, and when others are added behind it. Of more classes than digits the first that are
    shown have those left over, so that a likely one never needs a search.

    Args:
        names: in the order in which they came up.
        likely: probability of some of them, in [0, 1]; the others come behind them in their order.

    Example:
        >>> [(one["name"], one["key"]) for one in class_keys(["cat", "1", "dog"], {"dog": 0.9})]
        [('dog', '3'), ('cat', '2'), ('1', '1')]
    """
    likely = likely or {}
    shown = sorted(names, key=lambda name: -likely.get(name, -1.0))  # stable
    keyed = names if len(names) <= len(DIGITS) else shown
    own = {name: name for name in names if len(name) == 1 and name in DIGITS}
    free = iter([digit for digit in DIGITS if digit not in own])
    keys = {name: own.get(name) or next(free, "") for name in keyed}
    return [{"name": name, "key": keys[name], "likely": likely.get(name)} for name in shown]
