"""Values at the door: the fields of a dataclass hold what their annotations say, or it is not made."""

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from math import inf, isfinite
from numbers import Real
from operator import index
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = [
    "Range",
    "check_fields",
    "check_positions",
    "check_width",
    "hint",
    "one_of",
    "read_fields",
    "shown",
    "whole",
]

T = TypeVar("T")


def hint(value: Any, known: Iterable[str]) -> str:
    """The end of a message, such as " Did you mean dpsh?"; empty if none of the known names is close.

    Example:
        >>> hint("dpshh", ["dpsh", "ssh"]), hint("x", ["dpsh"])
        (' Did you mean dpsh?', '')
    """
    close = difflib.get_close_matches(str(value), list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """One of some words, as it is spelled there.

    Raises:
        ValueError: if it is none of them.

    Example:
        >>> one_of("kernel", "matched", ("invariant", "matched"))
        'matched'
    """
    words = {word: word for word in known}
    if not isinstance(value, str) or value not in words:
        advice = hint(value, words) or " Write one of these."
        raise ValueError(f"{name} must be one of {', '.join(words)}; got {shown(value)}.{advice}")
    return words[value]


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, but short and on one line.

    Example:
        >>> shown("32"), shown(10**5000)
        ("'32'", 'a number of 16610 bits')
    """
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def whole(value: Any) -> int | None:
    """A whole number of Python or NumPy as an int; None of anything else, of True and of arrays too.

    Example:
        >>> whole(7), whole(7.0), whole(True)
        (7, None, None)
    """
    kind = getattr(getattr(value, "dtype", None), "kind", "i")  # NumPy lends __index__ to its bool as well
    try:
        return None if isinstance(value, bool) or kind not in "iu" else index(value)
    except (TypeError, ValueError):  # no number, an array of several, a tensor of floats
        return None


@dataclass(frozen=True)
class Range:
    """Bounds of a number, for ``Annotated[int, Range(1, 10)]``; the ends belong to it unless left open."""

    least: int | float
    most: int | float = inf
    open_low: bool = False
    open_high: bool = False

    def check(self, name: str, value: int | float) -> None:
        """Refuse a number outside.

        Raises:
            ValueError: naming the end that it is beyond.

        Example:
            >>> Range(0.0, 1.0, open_high=True).check("dropout", 1.0)
            Traceback (most recent call last):
                ...
            ValueError: dropout must be in [0, 1); got 1.0. Set it lower.
        """
        low = value > self.least if self.open_low else value >= self.least
        high = value < self.most if self.open_high else value <= self.most
        if low and high:
            return
        if self.open_low or self.open_high:
            start, end = "(" if self.open_low else "[", ")" if self.open_high else "]"
            rule = f"in {start}{self.least:g}, {self.most:g}{end}"
        elif low:
            rule = f"at most {self.most:,}"
        else:
            rule = f"at least {self.least:,}" if isinstance(value, int) else f"a number from {self.least:g}"
        raise ValueError(f"{name} must be {rule}; got {shown(value)}. Set it {'lower' if low else 'higher'}.")


def check_positions(name: str, positions: Any, count: int) -> None:
    """Refuse an array or tensor that does not hold positions of so many items.

    Raises:
        ValueError: if it has another type than int64 or int32, or a position that is none.

    Example:
        >>> import numpy as np
        >>> check_positions("queries", np.array([0, 3]), 3)
        Traceback (most recent call last):
            ...
        ValueError: queries must be positions (int64 or int32) of the 3 items, from 0 on; got int64 [0, 3]...
    """
    kind = str(positions.dtype).removeprefix("torch.")
    filled = 0 not in positions.shape
    if kind not in ("int64", "int32") or (filled and not 0 <= positions.min() <= positions.max() < count):
        rule = f"{name} must be positions (int64 or int32) of the {count} items, from 0 on"
        raise ValueError(f"{rule}; got {kind} {shown(positions.tolist())}. Use .nonzero() on a mask.")


def check_width(name: str, rows: Any, width: int) -> None:
    """Refuse an array or tensor that is not of shape [any number, width].

    Raises:
        ValueError: saying the shape that was got.
    """
    if tuple(rows.shape[1:]) != (width,):
        raise ValueError(f"{name} must have the shape [n, {width}]; got {list(rows.shape)}.")


def check_fields(record: Any) -> None:
    """Bring every field of a dataclass to its annotated type, or refuse it: to be called as it is made.

    Whole numbers of any kind become int, real ones float, so that what is kept is JSON and equal to what is
    read back; a bool is no number, a text is nothing else, and no number is infinite or NaN. A list becomes
    the tuple of one type that JSON has no name for. Annotations are made of bool, int, float, str, None,
    Literal, dataclasses, ``tuple[..., ...]``, ``|`` and, for numbers, ``Annotated`` with a :class:`Range`.

    Raises:
        ValueError: naming the field, what it must be, and what it is.

    Example:
        >>> @dataclass(frozen=True)
        ... class Cut:
        ...     share: Annotated[float, Range(0.0, 1.0)]
        ...
        ...     def __post_init__(self):
        ...         check_fields(self)
        >>> Cut(1)
        Cut(share=1.0)
        >>> Cut("1")
        Traceback (most recent call last):
            ...
        ValueError: share must be a finite number; got '1' (str).
    """
    kinds = get_type_hints(type(record), include_extras=True)
    for field in fields(record):
        value = _checked(field.name, getattr(record, field.name), kinds[field.name])
        object.__setattr__(record, field.name, value)  # frozen, but not yet in anybody's hands


def read_fields(kind: type[T], stored: Any, what: str) -> T:
    """A dataclass from the dictionary that ``asdict`` made of it, through JSON or not.

    Args:
        kind: the dataclass; fields of it may be dataclasses again.
        stored: must have exactly its fields.
        what: its name in messages.

    Raises:
        ValueError: on anything else than such a dictionary, and on values that the dataclass refuses.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f"{what} must be names with values; got {shown(stored)}.")  # noqa: TRY004 - as below
    hints = get_type_hints(kind)
    kinds = {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := [str(name) for name in stored if name not in kinds]:
        names = ", ".join(sorted(unknown))
        raise ValueError(f"{what} must be known names; got {names}. Use the version that wrote them.")
    if missing := [name for name in kinds if name not in stored]:
        names = ", ".join(missing)
        raise ValueError(f"{what} must be complete; there is no {names}. Use the version that wrote them.")
    values = dict(stored)
    for name, declared in kinds.items():
        inner = next((one for one in (declared, *get_args(declared)) if is_dataclass(one)), None)
        absent = values[name] is None and NoneType in get_args(declared)
        if inner is not None and not absent:
            values[name] = read_fields(inner, values[name], name)  # type: ignore[arg-type]
        elif get_origin(declared) is tuple and isinstance(values[name], list):
            values[name] = tuple(values[name])
    return kind(**values)


def _checked(name: str, value: Any, kind: Any) -> Any:
    """The value as its annotated type, or ValueError."""
    origin = get_origin(kind)
    if origin is Annotated:
        plain, bounds = get_args(kind)
        value = _checked(name, value, plain)
        bounds.check(name, value)
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in get_args(kind):
            return None
        (only,) = (one for one in get_args(kind) if one is not NoneType)
        return _checked(name, value, only)
    if origin is Literal:
        return one_of(name, value, get_args(kind))
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_checked(f"each of {name}", one, get_args(kind)[0]) for one in value)
        raise ValueError(f"{name} must be a list; got {shown(value)} ({type(value).__name__}).")
    if kind is int and (number := whole(value)) is not None:
        return number
    if kind is float and type(value) is not bool and isinstance(value, Real):
        with suppress(OverflowError):
            if isfinite(value := float(value)):
                return value
    if kind not in (int, float) and isinstance(value, kind):
        return value
    words = {int: "a whole number", float: "a finite number", bool: "True or False", str: "a text"}
    rule = words.get(kind, f"of the type {kind.__name__}")
    raise ValueError(f"{name} must be {rule}; got {shown(value)} ({type(value).__name__}).")
