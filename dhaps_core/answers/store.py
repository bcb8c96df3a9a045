"""Label store: every answer a person gave, in one SQLite file to which rows are only ever appended.

Undo, redo, retraction and revision append rows too (`history` says what counts after them), so the answers
of any earlier moment, named by its *watermark*, can be read again and a round can be replayed. An answer is
on the disk when the call returns (`log` says how), and any number of notebooks may write to one store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from pathlib import Path
from typing import Literal, SupportsIndex, cast

from dhaps_core.answers.answer import PAIR_WORDS, Answer, StoreError, Value, read_csv, write_csv
from dhaps_core.answers.history import History, Row, classes_of
from dhaps_core.answers.sqlite import LogFile
from dhaps_core.data.class_names import KnownNames, class_name
from dhaps_core.files import at_home

__all__ = ["Answer", "Check", "LabelStore", "StoreError", "read_csv"]

Check = Callable[[Sequence[Answer]], object]
"""Gets the active answers as they are about to be, and raises if they must not become so."""


class LabelStore:
    """Answers in one SQLite file, shared by any number of threads, notebooks and processes.

    Methods that can make an answer count take a `check`. It gets the active answers as they would be
    afterwards, in order, those of other processes included, while no one else can write. If it raises,
    nothing is written and its exception reaches the caller. `Closure.update` of `closure` is such a check.

    A class is one however it is written, and a name that only looks like a known one is refused: a known
    one is declared, or given by an answer that counts (`class_names` says what looks alike).

    A file of a few bytes beside the store, named as it is with ".rows", tells how many rows it held.

    Args:
        path: the file, in a folder that exists.
        classes: names of the classes that are declared; they may look like each other.
        busy_seconds: how long to wait for another writer before giving up, at most 1,000,000.
        create: whether to make the file if it is absent or empty.
        read_only: whether only to look: nothing is written, nor made, also beside the file. Of a damaged file
            the answers before the damage can be read by their watermark.

    Raises:
        StoreError: the file cannot be opened, lacks rows that it held, is damaged, is something else, or is
            of a newer version; or nobody can wait so long. The message says how to go on.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, LabelStore(Path(folder) / "labels.sqlite") as store:
        ...     row = store.add_pair("cat.jpg", "ant.jpg", "different", who="anna", seconds=1.5)
        ...     print(store.answers()[0].keys, store.undo(who="anna"), store.answers())
        ('ant.jpg', 'cat.jpg') 1 []
    """

    def __init__(
        self,
        path: str | Path,
        *,
        classes: Sequence[str] = (),
        busy_seconds: float = 10.0,
        create: bool = True,
        read_only: bool = False,
    ) -> None:
        self._declared = tuple(map(class_name, classes))
        self._log = LogFile(at_home(path), busy_seconds, create=create, read_only=read_only)
        self.path = self._log.path
        self._history = History()
        if not read_only:
            try:
                with self._log.reading() as log:
                    log.vouch(log.follow(self._history))
            except BaseException:
                self.close()
                raise

    def add_class(
        self,
        key: str,
        classes: Value,
        *,
        who: str,
        seconds: float,
        question: str | None = None,
        check: Check | None = None,
    ) -> int:
        """Row id of an answer that gives an item its class or classes.

        Args:
            key: the item.
            classes: one class or several, each a string or an integer, which is its decimals.
            who: the person or the oracle.
            seconds: how long the answer took.
            question: stable id of the question. While an answer of the same person to it counts, the id of
                that answer comes back and nothing is stored: a double click, a cell run twice is one answer.
            check: see the class.

        Raises:
            StoreError: the answer is not one, or it could not be stored.
        """
        give = partial(Answer.given, "class", (key,), classes, who=who, seconds=seconds, question=question)
        return self._answer(give, check)

    def add_pair(
        self,
        a: str,
        b: str,
        answer: str,
        *,
        who: str,
        seconds: float,
        question: str | None = None,
        check: Check | None = None,
    ) -> int:
        """Row id of an answer on a pair. The pair is unordered; the order shown is kept as `flipped`.

        Args:
            a: the item shown first.
            b: the item shown second.
            answer: "same", "different" or "unsure". A skipped question has no answer.
            who: the person or the oracle.
            seconds: how long the answer took.
            question: see `add_class`.
            check: see the class.

        Raises:
            StoreError: the answer is not one, or it could not be stored.
        """
        give = partial(Answer.given, "pair", (a, b), answer, who=who, seconds=seconds, question=question)
        return self._answer(give, check)

    def add_all(
        self,
        given: Sequence[tuple[Literal["class", "pair"], tuple[str, ...], Value, str]],
        *,
        who: str,
        check: Check | None = None,
    ) -> None:
        """Answers of a source that knows thousands at once, in one transaction: all are stored, or none.

        Args:
            given: kind, keys, value and question of each; see `add_class` and `add_pair`.
            who: the source; its answers take no time.
            check: see the class; it is called once, with all of them.

        Raises:
            StoreError: one of them is no answer, or they could not be stored.
        """
        with self._log.writing() as log:
            history = log.follow(self._history)
            asked = {
                question for (question, person), known in history.asked.items() if known and person == who
            }
            new: list[Answer] = []
            for kind, keys, value, question in given:
                if question not in asked:
                    asked.add(question)
                    row_id, now = history.seen + len(new) + 1, time.time()
                    new.append(
                        Answer.given(
                            kind, keys, value, who=who, seconds=0.0, question=question, id=row_id, at=now
                        )
                    )
            self._admit(history.classes, new)
            if check is not None:
                check([*history.answers(), *new])
            for answer in new:
                log.append(Row(answer.id, "answer", who, answer, None))

    def revise(
        self, row_id: int, value: Value, *, who: str, seconds: float, check: Check | None = None
    ) -> int:
        """Row id of a new answer to the question of an active one, which stops to count; undo brings it back.

        Args:
            row_id: the active answer.
            value: the new classes, or the new word on the pair.
            who: the person or the oracle that gives the new answer.
            seconds: how long it took.
            check: see the class.

        Raises:
            StoreError: the row is not an active answer, the value is no answer, or it could not be stored.
        """

        def decide(history: History) -> Row:
            old = self._active(history, row_id)
            give = partial(Answer.given, who=who, seconds=seconds, question=old.question)
            answer = give(old.kind, old.shown, value, id=history.seen + 1, at=time.time())
            return Row(answer.id, "answer", who, answer, old.id)

        return cast("int", self._append(decide, check))

    def retract(self, row_id: int, *, who: str) -> int:
        """Row id of the retraction of an active answer; its question may be answered again.

        Raises:
            StoreError: the row is not an active answer, or the retraction could not be stored.
        """

        def decide(history: History) -> Row:
            return Row(history.seen + 1, "retract", who, None, self._active(history, row_id).id)

        return cast("int", self._append(decide, None))

    def undo(self, *, who: str | None = None, check: Check | None = None) -> int | None:
        """Row id of the answer undone, the newest active one (of `who`, if given); None when none is."""
        return self._step("undo", History.undoable, who, check)

    def redo(self, *, who: str | None = None, check: Check | None = None) -> int | None:
        """Row id of the undo or retraction lifted: the newest one (by `who`, if given).

        None when there is none, or when a newer answer has cleared the line.
        """
        return self._step("redo", History.redoable, who, check)

    def answers(self, upto: int | None = None) -> list[Answer]:
        """Answers that count, in order: now, or as of an earlier watermark.

        Raises:
            StoreError: `upto` is not a watermark that the store has reached, or the store cannot be read.
        """
        with self._log.reading() as log:
            if upto is None:
                return log.follow(self._history).answers()
            last, row_id = log.last(), _row_id(upto)
            if row_id is None or row_id > last:
                raise StoreError(f"upto must be a watermark from 0 to {last}; got {upto!r:.80}.")
            return log.follow(History(), row_id).answers()

    def watermark(self) -> int:
        """Largest row id, 0 for an empty store: names the present state for `answers(upto=...)`."""
        with self._log.reading() as log:
            return log.follow(self._history).seen

    def seal(self, upto: int) -> str | None:
        """What the first so many rows are known by: a store with other ones has another seal, or None."""
        with self._log.reading() as log:
            log.follow(self._history)
            return log.seal_of(upto)

    def counts(self) -> dict[str, int]:
        """Number of answers that count: "class", "same", "different", "unsure"."""
        found = Counter(answer.value if answer.kind == "pair" else "class" for answer in self.answers())
        return {name: found[name] for name in ("class", *PAIR_WORDS)}

    def export_csv(self, path: str | Path) -> None:
        """Write the answers that count as a CSV file, for `read_csv`."""
        write_csv(self.answers(), path)

    def close(self) -> None:
        """Close the file. Also done when the store is garbage collected."""
        self._log.close()

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self, give: Callable[..., Answer], check: Check | None) -> int:
        def decide(history: History) -> Row | int:
            answer = give(id=history.seen + 1, at=time.time())
            known = history.standing(answer)
            return max(known) if known else Row(answer.id, "answer", answer.who, answer, None)

        return cast("int", self._append(decide, check))

    def _step(
        self,
        kind: Literal["undo", "redo"],
        find: Callable[[History, str | None], int | None],
        who: str | None,
        check: Check | None,
    ) -> int | None:
        found: int | None = None

        def decide(history: History) -> Row | None:
            nonlocal found
            found = find(history, who)
            return None if found is None else Row(history.seen + 1, kind, who, None, found)

        self._append(decide, check)
        return found

    def _append(self, decide: Callable[[History], Row | int | None], check: Check | None) -> int | None:
        """Append the row that `decide` makes of a state that no one else can change meanwhile.

        Returns:
            The id of the row, or what `decide` gave in its place.
        """
        with self._log.writing() as log:
            history = log.follow(self._history)
            row = decide(history)
            if not isinstance(row, Row):
                return row
            leaving, coming = history.change(row)
            if coming is not None:
                left = history.classes - Counter(() if leaving is None else classes_of(leaving))
                self._admit(left, [coming])
            if check is not None:
                check(history.answers(row))
            log.append(row)
            return row.id

    def _admit(self, given: Counter[str], coming: Sequence[Answer]) -> None:
        """Refuse a class that looks like one that is declared, given or coming, and is none of them."""
        names = {name: None for answer in coming for name in classes_of(answer)}
        new = [name for name in names if name not in given and name not in self._declared]
        if not new:
            return
        known = KnownNames([*self._declared, *given])
        try:
            for name in new:
                known.admit(name)
                known.add(name)
        except ValueError as error:
            raise StoreError(str(error)) from error

    def _active(self, history: History, row_id: int) -> Answer:
        known = _row_id(row_id)
        if known not in history.active:
            raise StoreError(
                f"row {row_id!r:.80} must be an answer that counts; it is not, or no longer. Read answers()."
            )
        return history.active[known]


def _row_id(value: object) -> int | None:
    """A whole number of at least 0, of Python or NumPy; None for anything else: True is no row."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        return None
    try:
        number = index(value)
    except TypeError:  # an array of several
        return None
    return number if number >= 0 else None
