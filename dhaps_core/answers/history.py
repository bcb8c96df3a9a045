"""History: which answers count after a list of appended rows, with undo, redo, retraction and revision.

A row is an answer (which may revise an earlier one), an `undo` or a `retract` of an answer, or a `redo` of
one of those two. An undo gives back what the answer had revised; a retraction opens the question again,
whatever had been revised before. Everybody has a line of their own for redo, and a new answer of theirs
clears it. Rows that came at once, many items named in one go, are one step: undone and redone together.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple, cast

from dhaps_core.answers.answer import Answer

__all__ = ["History", "Row"]


class Row(NamedTuple):
    """One row: its id, what it does, who did it, the answer given (if it is one) and the row it is about.

    The target is the answer that is revised (None if none is), undone or retracted, or the row redone. The
    step is the id of the first row of those that came at once; None of a row by itself.
    """

    id: int
    kind: Literal["answer", "undo", "retract", "redo"]
    who: str | None
    answer: Answer | None
    target: int | None
    step: int | None = None


class History:
    """The state after the rows taken so far; taking more rows moves it forward.

    Attributes:
        seen: number of rows taken, which is the id of the last one.
        active: the answers that count, by id.
        classes: number of active answers that give each class.
        seal: of the last row taken, where the rows come from a file; see `sqlite_rows`.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.active: dict[int, Answer] = {}
        self.classes: Counter[str] = Counter()
        self.seal = ""
        self._every: dict[int, Answer] = {}
        # Active answers by question and person; several where one of them revised somebody else's answer.
        self._asked: dict[tuple[str, str], set[int]] = {}
        self._revised: dict[int, int] = {}  # what each revision took the place of
        self._withdrawn: dict[int, Row] = {}  # undos and retractions that no redo has lifted
        self._beside: dict[int, frozenset[int]] = {}  # what stood to the question of each of these then
        self._newest: dict[str | None, int] = {}  # newest answer of each person; of anybody under None
        self._steps: dict[int, range] = {}  # rows of each step, by its first
        self._step_of: dict[int, int] = {}

    def take(self, row: Row) -> None:
        """Move forward by one row.

        Raises:
            KeyError: the row does not follow, or its target is not in the state that its kind asks for.
        """
        if row.id != self.seen + 1 or (row.kind != "answer" and row.target is None):
            raise KeyError(row.id)
        if row.step not in (None, row.id, self._step_of.get(row.id - 1)):
            raise KeyError(row.id)  # the rows of a step follow each other
        leaving, coming = self.change(row)
        if leaving is not None:
            del self.active[leaving.id]
            self.classes -= Counter(leaving.classes)
            self.standing(leaving).discard(leaving.id)
        if coming is not None:
            self.active[coming.id] = self._every[coming.id] = coming
            self.classes.update(coming.classes)
            self.standing(coming).add(coming.id)
        if row.kind == "answer":
            self._newest[row.who] = self._newest[None] = row.id
            if row.target is not None:
                self._revised[row.id] = row.target
        elif row.kind == "redo":
            del self._withdrawn[cast("int", row.target)]
        else:
            self._withdrawn[row.id] = row
            self._beside[row.id] = frozenset(self.standing(cast("Answer", leaving)))
        if row.step is not None:
            self._steps[row.step] = range(row.step, row.id + 1)
            self._step_of[row.id] = row.step
        self.seen = row.id

    def answers(self, *then: Row) -> list[Answer]:
        """The active answers in order: now, or as they would be after more rows, which are not taken.

        Several are of one step: each is about another answer, and sees nothing of what the others change.
        """
        active = dict(self.active)
        for leaving, coming in map(self.change, then):
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
        out, back = row.target, self._below(row)
        if row.kind == "redo":  # the other way round
            undone = self._withdrawn[cast("int", row.target)]
            out, back = self._below(undone), undone.target
        leaving = None if out is None else self.active[out]
        if row.kind == "answer":
            return leaving, row.answer
        return leaving, None if back is None else self._every[back]

    def standing(self, answer: Answer) -> set[int]:
        """Ids of the active answers of the same person to the question of an answer, if it has one."""
        if answer.question is None:
            return set()
        return self._asked.setdefault((answer.question, answer.who), set())

    def asked_ever(self) -> set[tuple[str, str]]:
        """Questions of all answers so far, each with who answered it."""
        given = self._every.values()
        return {(one.question, one.who) for one in given if one.question is not None}

    def undoable(self, who: str | None) -> list[int]:
        """Ids of the newest active answer of a person (None: anybody) and of its step, newest first."""
        last = max((i for i, answer in self.active.items() if who in (None, answer.who)), default=0)
        return [i for i in self._together(last) if i in self.active]

    def redoable(self, who: str | None) -> list[int]:
        """Ids of the newest undo or retraction by a person (None: by anybody) on a line not cleared.

        With those of its step; without what somebody else has answered or revised again meanwhile.
        """
        last = max((i for i, row in self._withdrawn.items() if who in (None, row.who)), default=0)
        if last <= self._newest.get(who, 0):
            return []
        rows = [self._withdrawn[i] for i in self._together(last) if i in self._withdrawn]
        leaving = {self._below(row) for row in rows}
        return [row.id for row in rows if self._liftable(row, leaving)]

    def _together(self, row_id: int) -> list[int]:
        """A row, or all rows of its step, the last one first."""
        step = self._step_of.get(row_id)
        return [row_id] if step is None else list(reversed(self._steps[step]))

    def _liftable(self, row: Row, leaving: set[int | None]) -> bool:
        """Whether a row can be lifted with its step, which puts some answers out of force."""
        answer, below = self._every[cast("int", row.target)], self._below(row)
        new = self.standing(answer) - self._beside[row.id] - leaving
        return (below is None or below in self.active) and not new

    def _below(self, row: Row) -> int | None:
        """Id of the answer that an undo brings back: what the undone answer had revised."""
        return self._revised.get(cast("int", row.target)) if row.kind == "undo" else None
