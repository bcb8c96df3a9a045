"""Label store: every answer a person gave, in one SQLite file to which rows are only ever appended.

Undo, redo, retraction and revision append rows too (`history` says what counts after them), so the answers
of any earlier moment, named by its *watermark*, can be read again and a round can be replayed. An answer is
on the disk when the call returns (`sqlite` says how), and any number of notebooks may write to one store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from dhaps_core.answers.answer import Answer, Kind, StoreError, Value, check_name
from dhaps_core.answers.csv_file import write_csv
from dhaps_core.answers.history import History, Row
from dhaps_core.answers.sqlite import LogFile
from dhaps_core.checks import whole
from dhaps_core.data.class_names import KnownNames, class_name
from dhaps_core.files import at_home

__all__ = ["Check", "LabelStore"]

Check = Callable[[Sequence[Answer]], object]
"""Gets the active answers as they are about to be, and raises if they must not become so."""


class LabelStore:
    """Answers in one SQLite file, shared by any number of threads, notebooks and processes.

    Methods that can make an answer count take a `check`. It gets the active answers as they would be
    afterwards, in order, those of other processes included, while no one else can write. If it raises,
    nothing is written and its exception reaches the caller. `Closure.update` of `closure` is such a check.

    What is given at once (`add_all`, `bring`, `revise_all`, `retract_all`) is one transaction and one step:
    all of it is stored or nothing, and one undo or redo takes all of it.

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
            of a newer version; or nobody can wait so long. The message says how to go on. Every method raises
            it, too, where the file cannot be read or written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, LabelStore(Path(folder) / "labels.sqlite") as store:
        ...     row = store.add("pair", ("cat.jpg", "ant.jpg"), "different", who="anna", seconds=1.5)
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

    def add(
        self,
        kind: Kind,
        keys: Sequence[str],
        value: Value,
        *,
        who: str,
        seconds: float,
        question: str | None = None,
        contents: Mapping[str, str] | None = None,
        check: Check | None = None,
    ) -> int:
        """Row id of an answer about an item or on a pair; see `Answer.given`, and the class for the check.

        While an answer of the same person to the same question counts, the id of that answer comes back and
        nothing is stored: a double click, a cell run twice is one answer.

        Raises:
            StoreError: the answer is not one.
        """
        given = [(kind, keys, value, question)]
        (row_id,) = self.add_all(given, who=who, seconds=seconds, contents=contents, check=check)
        return row_id

    def add_all(
        self,
        given: Sequence[tuple[Kind, Sequence[str], Value, str | None]],
        *,
        who: str,
        seconds: float = 0.0,
        contents: Mapping[str, str] | None = None,
        check: Check | None = None,
    ) -> list[int]:
        """Row ids of answers that are given at once as kind, keys, value and question; see `add`.

        The check is called once.

        Raises:
            StoreError: one of them is no answer.
        """
        stamp = {"who": who, "seconds": seconds, "contents": contents}
        return self.bring(
            [
                Answer.given(kind, keys, value, question=question, id=0, at=time.time(), **stamp)  # type: ignore[arg-type]
                for kind, keys, value, question in given
            ],
            check=check,
        )

    def bring(self, answers: Sequence[Answer], *, check: Check | None = None) -> list[int]:
        """Row ids of answers of several people, of another store perhaps, stored as they are under new ids.

        As by `add`, an answer that somebody has given to its question already is not stored again.

        Raises:
            StoreError: one of them was given by nobody.
        """
        for who in {one.who for one in answers}:
            check_name(who)
        with self._changing() as history:
            new: list[Answer] = []
            ids: list[int] = []
            asked: dict[tuple[str, str], int] = {}  # among the new ones
            for answer in answers:
                row_id, question = history.seen + len(new) + 1, (answer.question or "", answer.who)
                known = max(history.standing(answer), default=asked.get(question))
                if known is None:
                    new.append(replace(answer, id=row_id))
                    if answer.question is not None:
                        asked[question] = row_id
                ids.append(row_id if known is None else known)
            self._append(history, [Row(one.id, "answer", one.who, one, None) for one in new], check)
        return ids

    def revise(
        self, row_id: int, value: Value, *, who: str, seconds: float, check: Check | None = None
    ) -> int:
        """Row id of a new answer to the question of an active one, which stops to count; undo brings it back.

        Raises:
            StoreError: the row is not an active answer, or the value is no answer.
        """
        (new,) = self.revise_all([(row_id, value)], who=who, seconds=seconds, check=check)
        return new

    def revise_all(
        self,
        given: Sequence[tuple[int, Value]],
        *,
        who: str,
        seconds: float = 0.0,
        check: Check | None = None,
    ) -> list[int]:
        """Row ids of new values that are given at once in the place of those of active answers; see `revise`.

        Raises:
            StoreError: a row is not an active answer, or comes twice, or a value is no answer.
        """
        with self._changing() as history:
            rows: list[Row] = []
            for row_id, value in given:
                old, new = _active(history, row_id), history.seen + len(rows) + 1
                stamp = {"who": who, "seconds": seconds, "question": old.question, "at": time.time()}
                answer = Answer.given(old.kind, old.shown, value, id=new, **stamp)  # type: ignore[arg-type]
                rows.append(Row(new, "answer", who, replace(answer, contents=old.contents), old.id))
            return self._append(history, rows, check)

    def retract(self, row_id: int, *, who: str) -> int:
        """Row id of the retraction of an active answer; its question may be answered again.

        Raises:
            StoreError: the row is not an active answer, or `who` is no name.
        """
        (new,) = self.retract_all([row_id], who=who)
        return new

    def retract_all(self, row_ids: Sequence[int], *, who: str) -> list[int]:
        """Row ids of the retractions of active answers at once; see `retract`.

        Raises:
            StoreError: a row is not an active answer, or comes twice, or `who` is no name.
        """
        check_name(who)
        with self._changing() as history:
            targets = [_active(history, row_id).id for row_id in row_ids]
            rows = [Row(history.seen + i, "retract", who, None, one) for i, one in enumerate(targets, 1)]
            return self._append(history, rows, None)

    def undo(self, *, who: str | None = None, check: Check | None = None) -> int | None:
        """Row id of the answer undone, the newest active one (of `who`, if given); None when none is.

        The other answers of its step are undone with it.
        """
        return self._step("undo", History.undoable, who, check)

    def redo(self, *, who: str | None = None, check: Check | None = None) -> int | None:
        """Row id of the undo or retraction lifted, the newest (by `who`, if given); its step goes with it.

        None when there is none, or when a newer answer has cleared the line.
        """
        return self._step("redo", History.redoable, who, check)

    def answers(self, upto: int | None = None) -> list[Answer]:
        """Answers that count, in order: now, or as of an earlier watermark.

        Raises:
            StoreError: `upto` is not a watermark that the store has reached.
        """
        with self._log.reading() as log:
            if upto is None:
                return log.follow(self._history).answers()
            last, row_id = log.last(), whole(upto)
            if row_id is None or not 0 <= row_id <= last:
                raise StoreError(f"upto must be a watermark from 0 to {last}; got {upto!r:.80}.")
            return log.follow(History(), row_id).answers()

    def asked_ever(self) -> set[tuple[str, str]]:
        """Questions that were ever answered, each with who did: also where no answer to them counts now."""
        with self._log.reading() as log:
            return log.follow(self._history).asked_ever()

    def watermark(self) -> int:
        """Largest row id, 0 for an empty store: names the present state for `answers(upto=...)`."""
        with self._log.reading() as log:
            return log.follow(self._history).seen

    def seal(self, upto: int) -> str | None:
        """What the first so many rows are known by: a store with other ones has another seal, or None."""
        with self._log.reading() as log:
            log.follow(self._history)
            return log.seal_of(upto)

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

    @contextmanager
    def _changing(self) -> Iterator[History]:
        """The state, which no one else can change meanwhile."""
        with self._log.writing() as log:
            yield log.follow(self._history)

    def _step(
        self,
        kind: Literal["undo", "redo"],
        find: Callable[[History, str | None], list[int]],
        who: str | None,
        check: Check | None,
    ) -> int | None:
        if who is not None:
            check_name(who)
        with self._changing() as history:
            found = find(history, who)
            rows = [Row(history.seen + i, kind, who, None, one) for i, one in enumerate(found, 1)]
            self._append(history, rows, check)
        return found[0] if found else None

    def _append(self, history: History, rows: Sequence[Row], check: Check | None) -> list[int]:
        """Ids of some rows, which are appended as one step if the state may become what they make of it.

        Raises:
            StoreError: two of them are about one answer.
        """
        about = [row.target for row in rows if row.target is not None]
        if len(about) > len(set(about)):
            raise StoreError("what is done at once must be about different answers; got one twice.")
        if len(rows) > 1:
            rows = [row._replace(step=rows[0].id) for row in rows]
        if not rows:
            return []
        leaving, coming = zip(*map(history.change, rows), strict=True)
        left = history.classes - Counter(name for one in leaving if one for name in one.classes)
        self._admit(left, [one for one in coming if one])
        if check is not None:
            check(history.answers(*rows))
        for row in rows:
            self._log.append(row)
        return [row.id for row in rows]

    def _admit(self, given: Counter[str], coming: Sequence[Answer]) -> None:
        """Refuse a class that looks like one that is declared, given or coming, and is none of them."""
        known = {*self._declared, *given}
        new = [name for answer in coming for name in answer.classes if name not in known]
        if not new:
            return
        names = KnownNames([*self._declared, *given])
        try:
            for name in new:
                names.admit(name)
        except ValueError as error:
            raise StoreError(str(error)) from error


def _active(history: History, row_id: int) -> Answer:
    answer = history.active.get(whole(row_id) or 0)
    if answer is None:
        rule = f"row {row_id!r:.80} must be an answer that counts"
        raise StoreError(f"{rule}; it is not, or no longer. Read answers().")
    return answer
