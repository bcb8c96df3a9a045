"""Questions to a person, and the sources that can answer them instead: an oracle or a file of answers."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dhaps_core.answers.answer import Kind, Value
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.checks import Range, one_of
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.data.items import Items
from dhaps_core.files import at_home

__all__ = [
    "Answering",
    "NoAnswer",
    "PersonAsked",
    "Question",
    "Source",
    "answer_source",
    "csv_name",
    "csv_source",
    "erring_oracle",
    "folder_labels",
    "keys_of",
    "label_oracle",
    "question_name",
    "round_of",
]

_ROUND = re.compile(r"([0-9]+)\.")
FOLDERS = "folders"


class NoAnswer(LookupError):  # noqa: N818 - the name of the thing, as one would say it
    """The source of answers cannot answer this question."""


class PersonAsked(RuntimeError):  # noqa: N818 - the name of the thing, as one would say it
    """A person was asked these questions, so no oracle and no file answers them; nothing was stored."""


def question_name(number: int | None, keys: Sequence[str]) -> str:
    """Name of the question about an item or a pair: two are equal only if round and keys are.

    Args:
        number: of the round that asks it; None of a class that is given without being asked for.
        keys: the item, or both items, in the order of asking.

    Example:
        >>> question_name(3, ("a.jpg", "b.jpg")), question_name(None, ("a.jpg",))
        ('3.["a.jpg", "b.jpg"]', 'given.["a.jpg"]')
    """
    return f"{'given' if number is None else number}.{json.dumps(keys, ensure_ascii=False)}"


def round_of(question: str | None) -> int | None:
    """Round that asked a question, by its name; None if none did.

    Example:
        >>> round_of('3.["a.jpg"]'), round_of("3.0.a.jpg"), round_of("item.7.jpg"), round_of(None)
        (3, 3, None, None)
    """
    found = _ROUND.match(question or "")
    return int(found[1]) if found else None


def keys_of(question: str) -> tuple[str, ...]:
    """Keys that a question's name holds; none of a name that another dhaps gave.

    Example:
        >>> keys_of('3.["b.jpg", "a.jpg"]'), keys_of("3.0.a.jpg")
        (('b.jpg', 'a.jpg'), ())
    """
    try:
        keys = json.loads(question.partition(".")[2])
    except ValueError:
        return ()
    return tuple(keys) if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else ()


@dataclass(frozen=True)
class Question:
    """One question about a chosen pair.

    Attributes:
        id: stable name (:func:`question_name`); an answer that carries it is stored once, however often it
            arrives.
        kind: ``class`` asks what one item is, ``pair`` whether two items are the same.
        keys: the item, or both items.
        pick: place of the pair among the picks of its round (where items are placed, of the one that brought
            in the first item), or -1 where there is none.
    """

    id: str
    kind: Kind
    keys: tuple[str, ...]
    pick: int

    @property
    def about(self) -> tuple[Kind, tuple[str, ...]]:
        """Kind and keys, whichever item was shown first: what an answer has in common with its question."""
        return self.kind, tuple(sorted(self.keys))


Answering = Callable[[Question], Value]
"""What a question is answered with, by something that is no person."""


@dataclass(frozen=True)
class Source:
    """Something that answers questions by itself, under a name of its own and never under a person's.

    Attributes:
        name: stored with every answer.
        answer: gives the answer, or raises :class:`NoAnswer`.
    """

    name: str
    answer: Answering

    def __call__(self, question: Question) -> Value:
        """The answer to a question."""
        return self.answer(question)

    @staticmethod
    def named(name: str) -> bool:
        """Whether answers under a name come from a source, not from a person."""
        name = name.strip().casefold()
        return name in ("oracle", FOLDERS) or name.startswith("csv:")


def label_oracle(items: Items) -> Source:
    """Source that answers from the items' own labels, as if a person knew them all.

    About an item of multi-label data without any class it says
    :data:`dhaps_core.data.class_names.NO_CLASS`.

    Args:
        items: a labelled collection.

    Raises:
        NoAnswer: if the items have no labels.
    """
    if items.labels is None:
        rule = "an oracle needs labelled items; got items without labels"
        raise NoAnswer(f"{rule}. Let a person or a CSV file (kind,a,b,value,who,seconds) answer.")

    def answer(question: Question) -> Value:
        if question.kind == "class":
            return items.classes_of(items.position[question.keys[0]]) or NO_CLASS
        a, b = (items.position[key] for key in question.keys)
        return "same" if items.related(a, b) else "different"

    return Source("oracle", answer)


def folder_labels(labels: str, items: Items) -> Source | None:
    """Source of the labels that a collection came with, where a person takes them for answers.

    Args:
        labels: ``ask`` for none, as a person is asked; ``folders`` for the classes of the folders.
        items: the collection.

    Raises:
        ValueError: if it is another word.
        NoAnswer: if the items came without classes.
    """
    if one_of("labels", labels, ("ask", FOLDERS)) == "ask":
        return None
    if items.labels is None:
        rule = "labels of folders need a sub-folder for each class; got items without classes"
        raise NoAnswer(f"{rule}. Sort the files into class folders, or set labels to 'ask'.")
    return Source(FOLDERS, label_oracle(items).answer)


def erring_oracle(items: Items, share: float, *, seed: int) -> Source:
    """Source that answers as :func:`label_oracle` does, but for a share of wrong answers on pairs.

    Whether an answer is wrong is drawn from the pair and the seed: asked again, it is the same, in any order.
    For studies of what errors cost; classes are answered as they are.

    Args:
        items: a labelled collection.
        share: of wrong answers, in [0, 1].
        seed: of the errors.

    Raises:
        NoAnswer: if the items have no labels.
        ValueError: if the share is none.
    """
    Range(0, 1).check("share", share)
    right, other = label_oracle(items), {"same": "different", "different": "same"}

    def answer(question: Question) -> Value:
        value = right(question)
        if question.kind == "class":
            return value
        drawn = hashlib.sha256(json.dumps([seed, *question.about[1]]).encode()).digest()
        wrong = int.from_bytes(drawn[:8], "big") < share * 2**64
        return other[str(value)] if wrong else value

    return Source("oracle", answer)


def csv_source(path: str | Path) -> Source:
    """Source that answers from a CSV file with the columns kind, a, b, value, who, seconds.

    Where the file answers a question twice, the later row counts. Answers are stored under ``csv:`` and the
    file's name: whoever is named in its rows answered another time.

    Raises:
        NoAnswer: (when asked) if the file does not answer the question.
    """
    known = {(answer.kind, answer.keys): answer.value for answer in read_csv(path)}

    def answer(question: Question) -> Value:
        if (value := known.get(question.about)) is None:
            rule = f"{path} must answer every question; got none on {question.kind} {question.keys}"
            raise NoAnswer(f"{rule}. Add a row.")
        return value

    return Source(csv_name(path), answer)


def csv_name(path: str | Path) -> str:
    """The name under which answers of a CSV file are stored; ``?`` for what is no text in the file's own."""
    return f"csv:{Path(path).name.encode('utf-8', 'replace').decode()}"


def answer_source(name: str, items: Items) -> Source:
    """Source of answers of a run without a person, by the name that a notebook's parameter gives it.

    Args:
        name: ``oracle`` for the items' own labels, or the path of a CSV file.
        items: the collection.

    Raises:
        NoAnswer: if there is no name, or no such file, or the items have no labels for the oracle.
    """
    if name == "oracle":
        return label_oracle(items)
    rule, way = "a run without a person needs answers", "Give 'oracle' or the path of a CSV file."
    if not name:
        raise NoAnswer(f"{rule}; got ''. {way}")
    if not (path := at_home(name).absolute()).is_file():
        raise NoAnswer(f"{rule}; got {'a folder' if path.is_dir() else 'nothing'} at {path}. {way}")
    return csv_source(name)
