"""State of the answers panel: which answers are listed, and what a change of them does.

Nothing here knows about a screen. A page is made from the answers that count at the moment, so that those of
other windows show; a change that the answers do not allow is said in one sentence and changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dhaps_core.answers.answer import Answer, Value
from dhaps_core.answers.csv_file import write_csv
from dhaps_core.answers.questions import csv_name, round_of
from dhaps_core.data.class_names import class_name
from widgets.sentences import REFUSALS

if TYPE_CHECKING:  # it loads torch, and a state must not
    from dhaps_core.session.active import ActiveSession

__all__ = ["AnswersState", "Filters"]

PAGE = 15  # answers on a page
DOUBTED = 0.5  # probability of what was said below which the model disagrees


@dataclass(frozen=True)
class Filters:
    """Which answers are listed; "" lists all.

    Attributes:
        class_: those that give this class, or this word on a pair.
        who: those of one person or source.
        round: those to questions of one round of the run, by its number; "none" those to no question of it.
        kind: "class" or "pair".
        doubted: those with which the model disagrees, the least probable first.
    """

    class_: str = ""
    who: str = ""
    round: str = ""
    kind: str = ""
    doubted: bool = False

    def let(self, answer: Answer) -> bool:
        """Whether an answer is listed, but for what the model says of it."""
        said = answer.classes or (answer.value,)
        return (
            (not self.class_ or self.class_ in said)
            and (not self.who or answer.who == self.who)
            and (not self.round or _round(answer) == self.round)
            and (not self.kind or answer.kind == self.kind)
        )


class _Change(NamedTuple):
    """What was changed here: whose undo takes it back, as long as this is still their newest answer."""

    who: str
    newest: int
    retracted: bool


class AnswersState:
    """The answers listed, and the way to change them.

    Args:
        session: the run.
        who: the person; stored with every change.

    Attributes:
        filters: which answers are listed.
        page: number of the page shown, from 0.
        note: one sentence for the person; empty if there is nothing to say.
        merging: (old, new) names of two classes that become one once the person says so; or None.
    """

    def __init__(self, session: "ActiveSession", *, who: str) -> None:
        self.who = who
        self.attach(session)

    def attach(self, session: "ActiveSession") -> None:
        """Go on with another run."""
        self.session = session
        self.filters, self.page, self.note = Filters(), 0, ""
        self.merging: tuple[str, str] | None = None
        self._done: list[_Change] = []
        self._undone: list[_Change] = []

    # --- what the person does ------------------------------------------------------------------------------

    def filter(self, **changes: Any) -> None:
        """List other answers, from the first page on."""
        self.filters, self.page, self.note = replace(self.filters, **changes), 0, ""

    def turn(self, page: int) -> None:
        """Show another page."""
        self.page = page

    def revise(self, row: int, value: Value) -> bool:
        """Whether an answer has another value now."""
        return self._do(lambda: self.session.revise(row, value, who=self.who), "")

    def retract(self, rows: Sequence[int]) -> bool:
        """Whether answers were taken back, whoever gave them; their questions are open again."""
        if not rows:
            self.note = "No answer is listed that could be taken back."
            return False
        told = f"{_count(len(rows))} taken back."
        return self._do(lambda: self.session.retract_all(rows, who=self.who), told, retracted=True)

    def retract_listed(self) -> bool:
        """Whether all answers that the filters list, on whatever page, were taken back."""
        found, _ = self._listed(self.session.answers())
        return self.retract([answer.id for answer in found])

    def rename(self, old: str, new: str) -> bool:
        """Whether a class has a new name now; where there is such a class already, it asks for a merge."""
        try:
            name = class_name(new)
        except ValueError as error:
            self.note = f"Nothing was changed: {error}"
            return False
        if name != old and any(name in answer.classes for answer in self.session.answers()):
            self.merging, self.note = (old, name), f"There is a class {name} already. Merge {old} into it?"
            return False
        return self._rename(old, name, merge=False)

    def merge(self) -> bool:
        """Whether the two classes that were about to become one are one now."""
        if self.merging is None:
            return False
        return self._rename(*self.merging, merge=True)

    def keep_apart(self) -> None:
        """Forget the merge."""
        self.merging, self.note = None, ""

    def undo(self) -> bool:
        """Whether the last change that was made in this panel was taken back, all of it."""
        if not self._done:
            self.note = "Nothing was changed here that could be undone."
            return False
        last = self._done[-1]
        if not self._stands(last):
            return False
        if last.retracted:  # a retraction is lifted, and leaves nothing to redo
            done = self._step(self.session.redo, last.who)
        elif done := self._step(self.session.undo, last.who):
            self._undone.append(last._replace(newest=self._newest(last.who)))
        self._done.pop()
        return done

    def redo(self) -> bool:
        """Whether the last change that was undone in this panel is made again, all of it."""
        if not self._undone:
            self.note = "Nothing was undone here that could be made again."
            return False
        last = self._undone[-1]
        if not self._stands(last):
            return False
        self._undone.pop()
        if done := self._step(self.session.redo, last.who):
            self._done.append(last._replace(newest=self._newest(last.who)))
        return done

    def take_csv(self, path: str) -> bool:
        """Whether the answers of a CSV file were taken over."""
        who = csv_name(path)
        try:
            taken = self.session.take_csv(path)
        except REFUSALS as error:
            self.note = f"Nothing was stored: {error}"
            return False
        self.note = f"{who.removeprefix('csv:')}: {_count(taken.stored)} stored, {taken.known} known already"
        self.note += f", {taken.strange} about other items left out." if taken.strange else "."
        if taken.stored:
            self._remember(who)
        return taken.stored > 0

    def write_csv(self, path: str) -> bool:
        """Whether the answers that count are in a CSV file now."""
        try:
            write_csv(answers := self.session.answers(), path)
        except (OSError, ValueError) as error:
            self.note = f"{path!r} must be a file that can be written, in a folder that exists; got {error}."
            return False
        self.note = f"{_count(len(answers))} written to {path}."
        return True

    # --- what is shown -------------------------------------------------------------------------------------

    def view(self) -> dict[str, Any]:
        """Everything the panel shows, as plain values; pictures are named by their keys."""
        answers = self.session.answers()
        found, doubts = self._listed(answers)
        pages = max(1, -(-len(found) // PAGE))
        self.page = min(max(self.page, 0), pages - 1)
        given = Counter(name for answer in answers for name in answer.classes)
        words = Counter(str(answer.value) for answer in answers if answer.kind == "pair")
        known = [*self.session.items.class_names, *given]
        left, rounds = self.session.left_out(), {_round(one) for one in answers}
        return {
            "rows": [self._row(one, doubts) for one in found[self.page * PAGE : (self.page + 1) * PAGE]],
            "page": self.page,
            "pages": pages,
            "found": len(found),
            "total": len(answers),
            "filters": vars(self.filters),
            "classes": [{"name": name, "count": given[name]} for name in dict.fromkeys(known)],
            "words": [{"name": name, "count": count} for name, count in words.items()],
            "people": [{"name": n, "count": c} for n, c in Counter(one.who for one in answers).items()],
            "rounds": sorted(rounds, key=lambda one: (one == "none", len(one), one)),
            "several": self.session.items.multi_label,
            "left": ", ".join(f"{count} {why}" for why, count in left.items()),
            "note": self.note,
            "merging": None if self.merging is None else list(self.merging),
            "undo": len(self._done),
            "redo": len(self._undone),
        }

    # --- inside --------------------------------------------------------------------------------------------

    def _listed(self, answers: Sequence[Answer]) -> tuple[list[Answer], dict[int, float]]:
        """The answers listed, the newest first or the least probable; how probable they are by the others."""
        found = [answer for answer in reversed(answers) if self.filters.let(answer)]
        if not self.filters.doubted:
            return found, {}
        probable = self.session.plausibility()
        found = [answer for answer in found if probable.get(answer.id, 1.0) < DOUBTED]
        return sorted(found, key=lambda answer: probable[answer.id]), probable

    def _row(self, answer: Answer, probable: dict[int, float]) -> dict[str, Any]:
        p = probable.get(answer.id)
        return {
            "row": answer.id,
            "kind": answer.kind,
            "keys": list(answer.shown),
            "value": answer.value if isinstance(answer.value, str) else list(answer.value),
            "who": answer.who,
            "round": _round(answer),
            "p": None if p is None else round(100 * p),
            "pictured": self.session.items.images is not None,
        }

    def _rename(self, old: str, new: str, *, merge: bool) -> bool:
        self.merging = None
        count = sum(old in answer.classes for answer in self.session.answers())
        told = f"{old} is {new} now, in {_count(count)}."
        done = self._do(lambda: self.session.rename_class(old, new, who=self.who, merge=merge), told)
        if done and self.filters.class_ == old:
            self.filters = replace(self.filters, class_=new)
        return done

    def _do(self, change: Callable[[], object], told: str, *, retracted: bool = False) -> bool:
        try:
            change()
        except REFUSALS as error:
            self.note = f"Nothing was changed: {error}"
            return False
        self.note = told
        self._remember(self.who, retracted=retracted)
        return True

    def _remember(self, who: str, *, retracted: bool = False) -> None:
        self._done, self._undone = [*self._done, _Change(who, self._newest(who), retracted)], []

    def _newest(self, who: str) -> int:
        return max((answer.id for answer in self.session.answers() if answer.who == who), default=0)

    def _stands(self, last: _Change) -> bool:
        """Whether the store is where a change has left it, so that a step is one of that change."""
        if (newest := self._newest(last.who)) == last.newest:
            return True
        done, way = ("answered", "Undo") if newest > last.newest else ("undone an answer", "Redo")
        self.note = f"{last.who} has {done} since. {way} that in the card first."
        return False

    def _step(self, change: Callable[..., int | None], who: str) -> bool:
        try:
            found = change(who=who)
        except REFUSALS as error:
            self.note = f"Nothing was changed: {error}"
            return False
        self.note = "" if found is not None else "A later answer has taken its place; nothing was changed."
        return found is not None


def _round(answer: Answer) -> str:
    number = round_of(answer.question)
    return "none" if number is None else str(number)


def _count(number: int) -> str:
    return f"{number} answer{'' if number == 1 else 's'}"
