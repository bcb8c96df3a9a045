"""Many answers at once: items named in one go, classes renamed and merged, answers from files and other runs.

Each is one step: all of it is stored, in one transaction, or nothing; and one undo takes it back.
"""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from dhaps_core.answers.answer import Answer, StoreError, Value
from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.questions import Source, csv_name, round_of
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.class_names import class_name
from dhaps_core.session.answering import AnsweredRun
from dhaps_core.session.errors import EarlierRunLeftOut, RunDamaged
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.labels import asked_by
from dhaps_core.session.opening import LABELS, with_stored_splits

__all__ = ["RelabelledRun", "Taken"]


class Taken(NamedTuple):
    """What came of answers from elsewhere: how many were stored, known already, and about no item here."""

    stored: int
    known: int
    strange: int


class RelabelledRun(AnsweredRun):
    """A run in which many answers are given, changed and taken over at once."""

    def name_items(self, keys: Sequence[str], value: Value, *, who: str, seconds: float = 0.0) -> list[int]:
        """Rows of the answers that give all of some items one class, or the same classes; one step.

        Items that have exactly that by an answer already are left as they are. What is asked about the others
        is answered by it.

        Args:
            keys: of training items, in any order; copies of each other are fine.
            value: the class or classes.
            who: the person.
            seconds: that all of it took.

        Raises:
            KeyError: if a key is not one of an item that the run trains on.
            ValueError: if they are no list (:func:`dhaps_core.keys.listed_keys`).
            Contradiction: if one of them is against earlier answers; nothing is stored.
            StoreError: if the value is none.
        """
        self.folder.check_writable()
        wanted = [
            Answer.given("class", (key,), value, who=who, seconds=0.0, id=0)
            for key in self._training_keys(keys)
        ]
        known = set(map(_said, self.answers()))
        new = [one.keys for one in wanted if _said(one) not in known]
        given = [("class", one, value, None) for one in new]
        each = seconds / max(1, len(new))
        return self.store.add_all(
            given,  # type: ignore[arg-type]
            who=who,
            seconds=each,
            contents=self.labels.contents,
            check=self._agree,
        )

    def rename_class(self, old: str, new: str, *, who: str, merge: bool = False) -> int:
        """Number of answers in which a class now has another name; all revised in one step.

        It is renamed in all answers of the store, also in those that do not count in this run just now.

        Args:
            old: the class.
            new: its name from now on.
            who: the person.
            merge: whether there may be a class of the new name already, so that two become one.

        Raises:
            ValueError: if no answer gives the class, or there is one of the new name and ``merge`` is false.
            Contradiction: if answers tell items of the two apart; nothing is changed.
            StoreError: if the new name is none, or looks like that of a third class.
        """
        self.folder.check_writable()
        answers, (was, now) = self.store.answers(), (class_name(old), class_name(new))
        about = [one for one in answers if was in one.classes]
        there = sum(now in one.classes for one in answers)
        if not about or was == now:
            got = f"{old!r}, which {'is its new name' if about else 'no answer gives'}"
            raise ValueError(f"a class that is renamed must be one that answers give; got {got}.")
        if there and not merge:
            rule = f"a class must get a name that no other has; {there} answers give {now!r} already"
            raise ValueError(f"{rule}. Choose another name, or merge the two.")
        given = [
            (one.id, list(dict.fromkeys(now if name == was else name for name in one.classes)))
            for one in about
        ]
        return len(self.store.revise_all(given, who=who, check=self._agree))

    def retract_all(self, rows: Sequence[int], *, who: str) -> int:
        """Number of answers that were retracted in one step, which one :meth:`redo` lifts.

        Raises:
            StoreError: if a row is no answer that counts.
        """
        self.folder.check_writable()
        return len(self.store.retract_all(rows, who=who))

    def take_csv(self, path: str | Path) -> Taken:
        """Take over the answers of a CSV file (:func:`dhaps_core.answers.csv_file.read_csv`), in one step.

        They are stored under ``csv:`` and the file's name. Rows about items that the run does not train on
        stay out.

        Raises:
            StoreError: if the file cannot be read, a row is no answer, or none is about an item of this run.
            Contradiction: if they contradict each other, or answers that count; nothing is stored.
        """
        self.folder.check_writable()
        who, rows = csv_name(path), read_csv(path)
        here = [one for one in rows if all(key in self.picker.place for key in one.keys)]
        if rows and not here:
            rule = f"{path} must be about training items of this collection, by their keys"
            got = f"{len(rows)} rows about others, first {rows[0].keys[0]!r:.80}"
            raise StoreError(f"{rule} such as {next(iter(self.picker.place))!r:.80}; got {got}.")
        known = set(map(_said, self.answers()))
        new = {_said(one): one for one in here if _said(one) not in known}
        stored = [self._held(replace(one, who=who, question=None)) for one in new.values()]
        self.store.bring(stored, check=self._agree)
        return Taken(len(stored), len(here) - len(stored), len(rows) - len(here))

    def bring_over(self, folder: Path) -> int:
        """Number of answers brought over from a run that keeps its answers to itself; each comes once ever.

        They are those of people, and labels that were given without a question; what an oracle answered stays
        there. What has been retracted here since does not come again. Where the items of that run are those
        of this one, the answers are about what they were; else about what has their names now.

        Raises:
            StoreError: if its store cannot be read.
            Contradiction: if they contradict answers that count; nothing is stored.
        """
        same = True
        try:
            with_stored_splits(RunFolder(folder, read_only=True), self.items, "")
        except (RunDamaged, ValueError):
            same = False
        with LabelStore(folder / LABELS, create=False, read_only=True) as store:
            answers = store.answers()
        ever, new = self.store.asked_ever(), []
        for one in answers:
            question = asked_by(folder.name, one.question or str(one.id))
            unasked = round_of(one.question) is None
            if (question, one.who) not in ever and (unasked or not Source.named(one.who)):
                held = self._held(one) if same else one
                new.append(replace(held, question=question))
        self.store.bring(new, check=self._agree)
        return len(new)

    def bring_over_all(self, folders: Sequence[Path]) -> tuple[int, int]:
        """Answers brought over from several runs, and from how many of them; see :meth:`bring_over`.

        Warns:
            EarlierRunLeftOut: naming each run whose answers stay there, and why.
        """
        brought = runs = 0
        for folder in folders:
            try:
                found = self.bring_over(folder)
            except (StoreError, Contradiction, OSError) as error:
                warnings.warn(f"The answers in {folder} stay there: {error}", EarlierRunLeftOut, stacklevel=3)
                continue
            brought, runs = brought + found, runs + (found > 0)
        return brought, runs

    def _held(self, answer: Answer) -> Answer:
        """The answer with what its items are now."""
        contents = self.labels.contents
        told = [contents[key] for key in answer.keys if key in contents]
        return replace(answer, contents=tuple(told) if len(told) == len(answer.keys) else ())


def _said(answer: Answer) -> tuple[tuple[str, ...], object]:
    """About what it is, and what it says, whoever says it: the classes of an item have no order."""
    return answer.keys, frozenset(answer.classes) or answer.value
