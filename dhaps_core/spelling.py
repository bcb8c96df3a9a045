"""Misspelled names: what was probably meant."""

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["hint"]


def hint(value: Any, known: Iterable[str]) -> str:
    """The end of a message, such as " Did you mean dpsh?"; empty if none of the known names is close.

    Example:
        >>> hint("dpshh", ["dpsh", "ssh"]), hint("x", ["dpsh"])
        (' Did you mean dpsh?', '')
    """
    close = difflib.get_close_matches(str(value), list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
