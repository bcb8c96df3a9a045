"""Class names: a class has one identity, its name as text, whoever wrote it and however it was typed.

7 and "7", "café" in either Unicode form, and "cat " and "cat" are one class each. Names that merely look
alike ("Cat" and "cat", "７" and "7", "7.0" and "7") are two, and mostly a slip: they stand side by side only
where both were declared.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import SupportsIndex

from dhaps_core.checks import whole

__all__ = ["NO_CLASS", "KnownNames", "class_name", "distinct_names"]

NO_CLASS = "(none)"
"""The answer about an item that has none of the classes, where items may have several: it shares none."""
_LONGEST = 500
_UNSEEN = {"Cc", "Cf", "Cs"}  # control, format (zero width, direction of writing), half of a character
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # unseen, though not of these kinds
_JOINERS = "\u200c\u200d"
_VARIANTS = re.compile("[\u200c\u200d\ufe00-\ufe0f\u180b-\u180d\u180f\U000e0100-\U000e01ef]")
_NUMBER = re.compile(r"([+-]?)(?=[.,]?[0-9])0*([0-9]*)(?:[.,]([0-9]*))?")


def class_name(value: str | SupportsIndex) -> str:
    """The one name of a class, from text or a whole number.

    A number is written in decimals. Text is put in Unicode's composed form (NFC), blanks at its ends are
    dropped and each run of blanks within it is one space.

    Raises:
        ValueError: it is neither, or empty, too long, or holds a character that cannot be seen.

    Example:
        >>> class_name(7), class_name("7"), class_name(" traffic  light")
        ('7', '7', 'traffic light')
    """
    if not isinstance(value, str):
        if (number := whole(value)) is None:
            rule = "a class must be text or a whole number"
            way = "Pass the name as a string, or a number as an int."
            raise ValueError(f"{rule}; got {value!r} of type {type(value).__name__}. {way}")
        if number.bit_length() > 64:
            raise ValueError("a class number must fit in 64 bits; got a larger one. Give its name as text.")
        return str(number)
    if len(value) > _LONGEST:
        rule = f"a class name must have at most {_LONGEST} characters"
        raise ValueError(f"{rule}; got {len(value)}, {value[:20]!r} ... Give a shorter name.")
    name = " ".join(unicodedata.normalize("NFC", value).split())
    if not name:
        raise ValueError(f"a class name must have at least one character; got {value!r}. Name the class.")
    if name.isascii() and name.isprintable():
        return name
    for at, character in enumerate(name):
        if _unseen(character) and not _joins(name, at):
            rule = "a class name must hold only characters that can be seen"
            raise ValueError(f"{rule}; got {name!a} with {character!a}. Type the name anew.")
    return name


def distinct_names(names: Iterable[str | SupportsIndex]) -> tuple[str, ...]:
    """The names of some classes that were found (folders, columns, labels), in order, each a `class_name`.

    Raises:
        ValueError: one is no class name, is `NO_CLASS`, or is or looks like another.

    Example:
        >>> distinct_names(["cat", 7])
        ('cat', '7')
    """
    known = KnownNames()
    found = []
    for value in names:
        name = class_name(value)
        if name in known:
            rule = f"class names must be distinct, and {NO_CLASS!r} means that an item has no class"
            told = name if name == NO_CLASS else f"{name!r}, which another name is too"
            raise ValueError(f"{rule}; got {told}. Rename it.")
        known.admit(name)
        found.append(name)
    return tuple(found)


class KnownNames:
    """Names in use, to tell a new name from a known one that is spelled otherwise.

    Args:
        declared: names that stand side by side, look-alikes too; see `class_name` for their form.

    Example:
        >>> KnownNames(["cat"]).admit("Cat")
        Traceback (most recent call last):
            ...
        ValueError: class 'Cat' looks like 'cat'. Write 'cat', or a name that differs in more than \
case, blanks, zeros or width.
    """

    def __init__(self, declared: Iterable[str] = ()) -> None:
        names = (NO_CLASS, *declared)
        self._names = set(names)
        self._alike = {_likeness(name): name for name in reversed(names)}  # the first of those alike

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def admit(self, name: str) -> None:
        """Know a name from now on.

        Raises:
            ValueError: it is not known, and looks like one that is.
        """
        if name in self._names:
            return
        other = self._alike.setdefault(_likeness(name), name)
        if other != name:
            way = f"Write {other!r}, or a name that differs in more than case, blanks, zeros or width."
            raise ValueError(f"class {name!r} looks like {other!r}. {way}")
        self._names.add(name)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN or character in _BLANK


def _joins(name: str, at: int) -> bool:
    """Whether a joiner shapes the letters about it, as in Persian, Hindi or an emoji: never beside ASCII."""
    around = name[at - 1 : at] + name[at + 1 : at + 2]
    return name[at] in _JOINERS and len(around) == 2 and not any(c.isascii() or _unseen(c) for c in around)


def _likeness(name: str) -> str:
    """What names that look alike have in common: no width, case, joiners, nor zeros about a number."""
    seen = _VARIANTS.sub("", unicodedata.normalize("NFKC", name))
    folded = " ".join(unicodedata.normalize("NFKC", seen.casefold()).split())
    if (number := _NUMBER.fullmatch(folded)) is None:
        return folded
    sign, whole, part = number.groups("")
    part = part if part.strip("0") else ""  # 1.1 and 1.10 may be two codes; 1, 1. and 1.0 hardly are
    sign = sign if sign == "-" and whole + part else ""
    return f"{sign}{whole or '0'}{'.' if part else ''}{part}"
