"""What a card shows of answers: those that count, one that contradicts them, and the classes they name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dhaps_core.answers.answer import Answer, Value
from dhaps_core.answers.questions import Question
from dhaps_core.data.items import Items
from widgets.captions import caption

__all__ = ["Conflict", "class_names", "conflict_view", "said_of", "told"]


@dataclass(frozen=True)
class Conflict:
    """An answer that was refused, kept until the person decides.

    The chain is of the earlier answers that it contradicts, in the order in which they connect.
    """

    question: Question
    value: Value
    seconds: float
    chain: tuple[Answer, ...]


def told(answer: Answer, items: Items) -> dict[str, Any]:
    """An answer as plain values; its items by captions that tell no class, as they may be asked about yet."""
    return {
        "row": answer.id,
        "kind": answer.kind,
        **_shown(items, answer.shown),
        "pictured": items.images is not None,
        "value": _words(answer.value),
        "who": answer.who,
    }


def conflict_view(conflict: Conflict, items: Items) -> dict[str, Any]:
    """A refused answer, and its chain from the first item asked about, each link beside the one before."""
    chain, here = list(conflict.chain), conflict.question.keys[0]
    if here not in chain[0].keys:
        chain.reverse()
    linked = []
    for answer in chain:
        keys = sorted(answer.keys, key=lambda key: key != here)
        here = keys[-1]
        linked.append(told(answer, items) | _shown(items, keys))
    return {**_shown(items, conflict.question.keys), "value": _words(conflict.value), "chain": linked}


def _shown(items: Items, keys: Sequence[str]) -> dict[str, list[str]]:
    return {"keys": list(keys), "names": [caption(items, key) for key in keys]}


def class_names(items: Items, answers: Sequence[Answer]) -> list[str]:
    """Known classes first, then those that people added, in the order in which they came up."""
    given = [one for answer in answers for one in answer.classes]
    return list(dict.fromkeys([*items.class_names, *given]))


def said_of(answers: Sequence[Answer]) -> dict[str, str]:
    """Class of each item that was given one."""
    return {answer.keys[0]: _words(answer.value) for answer in answers if answer.kind == "class"}


def _words(value: Any) -> str:
    """A value as one would say it."""
    return value if isinstance(value, str) else ", ".join(map(str, value))
