"""History: which answers count after a list of appended rows, with undo, redo, retraction and revision.

A row is an answer (which may revise an earlier one), an `undo` or a `retract` of an answer, or a `redo` of
one of those two. An undo gives back what the answer had revised; a retraction opens the question again,
whatever had been revised before. Everybody has a line of their own for redo, and a new answer of theirs
clears it.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, cast

from dhaps_core.answers.answer import Answer

__all__ = ["History", "Row", "classes_of"]


class Row(NamedTuple):
    """One row: its id, what it does, who did it, the answer given (if it is one) and the row it is about.

    The target is the answer that is revised (None if none is), undone or retracted, or the row redone.
    """

    id: int
    kind: Literal["answer", "undo", "retract", "redo"]
    who: str | None
    answer: Answer | None
    target: int | None


class History:
    """The state after the rows taken so far; taking more rows moves it forward.

    Attributes:
        seen: number of rows taken, which is the id of the last one.
        active: the answers that count, by id.
        asked: ids of the active answers for each (question, who); mostly one, several where somebody revised
            another person's answer to a question that they had answered themselves.
        classes: number of active answers that give each class.
        seal: of the last row taken, where the rows come from a file; see `log_rows`.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.active: dict[int, Answer] = {}
        self.asked: dict[tuple[str, str], set[int]] = {}
        self.classes: Counter[str] = Counter()
        self.seal = ""
        self._every: dict[int, Answer] = {}
        self._revised: dict[int, int] = {}  # what each revision took the place of
        self._withdrawn: dict[int, Row] = {}  # undos and retractions that no redo has lifted
        self._newest: dict[str | None, int] = {}  # newest answer of each person; of anybody under None

    def take(self, row: Row) -> None:
        """Move forward by one row.

        Raises:
            KeyError: the row does not follow, or its target is not in the state that its kind asks for.
        """
        if row.id != self.seen + 1 or (row.kind != "answer" and row.target is None):
            raise KeyError(row.id)
        leaving, coming = self.change(row)
        if leaving is not None:
            del self.active[leaving.id]
            if leaving.question is not None:
                self.asked[leaving.question, leaving.who].remove(leaving.id)
            self.classes -= Counter(classes_of(leaving))
        if coming is not None:
            self.active[coming.id] = self._every[coming.id] = coming
            if coming.question is not None:
                self.asked.setdefault((coming.question, coming.who), set()).add(coming.id)
            self.classes.update(classes_of(coming))
        if row.kind == "answer":
            self._newest[row.who] = self._newest[None] = row.id
            if row.target is not None:
                self._revised[row.id] = row.target
        elif row.kind == "redo":
            del self._withdrawn[cast("int", row.target)]
        else:
            self._withdrawn[row.id] = row
        self.seen = row.id

    def answers(self, then: Row | None = None) -> list[Answer]:
        """The active answers in order: now, or as they would be after one more row, which is not taken."""
        active = dict(self.active)
        if then is not None:
            leaving, coming = self.change(then)
            if leaving is not None:
                del active[leaving.id]
            if coming is not None:
                active[coming.id] = coming
        return [active[i] for i in sorted(active)]

    def change(self, row: Row) -> tuple[Answer | None, Answer | None]:
        """The active answer that a row puts out of force, and the answer that it puts into force.

        Raises:
            KeyError: the target of the row is not in the state that its kind asks for.
        """
        return self._leaving(row), self._coming(row)

    def standing(self, answer: Answer) -> set[int]:
        """Ids of the active answers of the same person to the question of an answer, if it has one."""
        return set() if answer.question is None else self.asked.get((answer.question, answer.who), set())

    def undoable(self, who: str | None) -> int | None:
        """Id of the newest active answer of a person (None: of anybody)."""
        return max((i for i, answer in self.active.items() if who in (None, answer.who)), default=None)

    def redoable(self, who: str | None) -> int | None:
        """Id of the newest undo or retraction by a person (None: by anybody) on a line not cleared."""
        last = max((i for i, row in self._withdrawn.items() if who in (None, row.who)), default=0)
        if last <= self._newest.get(who, 0):
            return None
        answer = self._every[cast("int", self._withdrawn[last].target)]
        below = self._below(self._withdrawn[last])
        if (below is not None and below not in self.active) or self.standing(answer) - {below}:
            return None  # the question was answered or revised again meanwhile, by somebody else
        return last

    def _below(self, row: Row) -> int | None:
        """Id of the answer that an undo brings back: what the undone answer had revised."""
        return self._revised.get(cast("int", row.target)) if row.kind == "undo" else None

    def _leaving(self, row: Row) -> Answer | None:
        """The active answer that a row puts out of force."""
        out = self._below(self._withdrawn[cast("int", row.target)]) if row.kind == "redo" else row.target
        return None if out is None else self.active[out]

    def _coming(self, row: Row) -> Answer | None:
        """The answer that a row puts into force."""
        if row.kind == "answer":
            return row.answer
        back = self._withdrawn[cast("int", row.target)].target if row.kind == "redo" else self._below(row)
        return None if back is None else self._every[back]


def classes_of(answer: Answer) -> tuple[str, ...]:
    """The classes that an answer gives; none if it is a word on a pair."""
    return () if isinstance(answer.value, str) else answer.value
