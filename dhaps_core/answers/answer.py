"""Answer: what one person said about one item or one pair, and its rules.

An answer is checked once, where it is given; whoever holds an `Answer` can rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal, SupportsIndex, cast

from dhaps_core.data.class_names import NO_CLASS, class_name
from dhaps_core.json_files import is_text
from dhaps_core.keys import LONGEST_KEY

__all__ = ["Answer", "Kind", "StoreError", "Value", "check_name"]

Kind = Literal["class", "pair"]
Value = str | SupportsIndex | Sequence[str | SupportsIndex]
"""What a person may say: a class, several classes, or one of the three words on a pair."""
_WORDS = ("same", "different", "unsure")
_MOST = 1_000  # classes of one item
_FOR_EVER = 1e15  # seconds
_DIGEST = re.compile("[0-9a-f]{64}")


class StoreError(Exception):
    """An answer that is not one or was not stored, or a store that cannot be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of one person.

    Attributes:
        id: row number in the store, counted from 1; later answers have larger ids.
        kind: "class" (classes of one item) or "pair" (one word on two items).
        keys: the item's key, or both keys of the pair in ascending order.
        value: the names of the classes (see `class_names`), or "same", "different" or "unsure".
        who: the person or the oracle.
        seconds: how long the answer took.
        at: when it was stored, in seconds since 1970; None where that is not recorded (a CSV file).
        question: stable id of the question that was asked, or None.
        flipped: whether the pair was shown with the larger key first.
        contents: sha256 of what each item was, in the order of the keys; empty where that is not recorded. A
            file may be renamed, or another one take its name: this tells what the answer is about.
    """

    id: int
    kind: Kind
    keys: tuple[str, ...]
    value: str | tuple[str, ...]
    who: str
    seconds: float
    at: float | None = None
    question: str | None = None
    flipped: bool = False
    contents: tuple[str, ...] = ()

    @classmethod
    def given(
        cls,
        kind: Kind,
        shown: Sequence[str],
        value: Value,
        *,
        who: str,
        seconds: float,
        id: int,  # noqa: A002 - the name of the field
        at: float | None = None,
        question: str | None = None,
        contents: Mapping[str, str] | None = None,
    ) -> Answer:
        """An answer as it was given, checked and in the form in which it is kept.

        What is given is told by the class; the keys are in the order in which they were shown. A key is kept
        as it is, to the last blank: a file system may hold both Unicode forms of a name, as two files.

        Args:
            kind: "class" or "pair".
            shown: the item, or both items in the order in which they were shown.
            value: see `Value`.
            who: as the attribute, like those that follow.
            seconds: as the attribute.
            id: as the attribute.
            at: as the attribute.
            question: as the attribute.
            contents: sha256 of items by key; those of other items are ignored.

        Raises:
            StoreError: what was given is not an answer.

        Example:
            >>> Answer.given("pair", ("cat", "ant"), "same", who="anna", seconds=2.0, id=1).keys
            ('ant', 'cat')
        """
        if not isinstance(shown, Iterable) or not all(map(_text, shown := tuple(shown))):
            rule = "item keys must be strings with at least one character, and no zero byte"
            raise StoreError(f"{rule}, at most {LONGEST_KEY} long; got {shown!r:.200}.")
        check_name(who)
        if question is not None and not _text(question, 4 * LONGEST_KEY):
            raise StoreError(f"a question's id must be a string of its keys' length; got {question!r:.200}.")
        took: object = seconds
        if not isinstance(took, Real) or not 0 <= seconds <= _FOR_EVER:
            raise StoreError(f"seconds must be a number of at least 0; got {seconds!r}.")
        if kind == "pair":
            if len(shown) != 2 or shown[0] == shown[1]:
                raise StoreError(f"a pair must be two different items; got {shown!r:.200}.")
        elif kind != "class" or len(shown) != 1:
            rule = 'an answer must be a "class" of one item or a word on a "pair"'
            raise StoreError(f"{rule}; got {kind!r} with {len(shown)} keys.")
        kept = _word(value) if kind == "pair" else _classes(value)
        keys, held = tuple(sorted(shown)), contents or {}
        told = tuple(held[key] for key in keys) if held.keys() >= set(keys) else ()
        if not all(isinstance(one, str) and _DIGEST.fullmatch(one) for one in told):
            raise StoreError(f"contents must be the hex sha256 of items; got {told!r:.200}.")
        flipped = keys != shown
        return cls(id, kind, keys, kept, who, float(seconds), at, question, flipped=flipped, contents=told)

    @property
    def shown(self) -> tuple[str, ...]:
        """The keys in the order in which they were shown."""
        return self.keys[::-1] if self.flipped else self.keys

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it gives; none if it is a word on a pair."""
        return () if isinstance(self.value, str) else self.value


def check_name(who: str) -> None:
    """Refuse a person's name that is none: what is kept under it could not be read again.

    Raises:
        StoreError: it is not.
    """
    if not _text(who) or not who.strip() or not is_text(who):
        raise StoreError(f"who must be a name; got {who!r:.200}. Say who gave the answer.")


def _word(value: Value) -> str:
    if not isinstance(value, str) or value not in _WORDS:
        rule = 'the answer on a pair must be "same", "different" or "unsure"'
        raise StoreError(f"{rule}; got {value!r}. A question that is skipped has no answer: store nothing.")
    return value


def _classes(value: Value) -> tuple[str, ...]:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    several = cast("Sequence[str | SupportsIndex]", value if listed else [value])
    if not 1 <= len(several) <= _MOST:
        rule = f"an answer on an item must give at least one class, and at most {_MOST}"
        raise StoreError(f"{rule}; got {len(several) or 'none'}. Skip it, or name a class.")
    try:
        classes = tuple(dict.fromkeys(class_name(one) for one in several))
    except ValueError as error:
        raise StoreError(str(error)) from error
    if NO_CLASS in classes and len(classes) > 1:
        raise StoreError(f"{NO_CLASS!r} must stand alone: the item has none of the classes; got {classes}.")
    return classes


def _text(value: object, most: int = LONGEST_KEY) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and "\x00" not in value
