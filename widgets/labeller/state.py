"""State of the labelling card: which question is shown, and what an answer, a skip or an undo does to it.

Nothing here knows about a screen. Each shown question has a *turn*, a number that comes back with every
press; a press that was meant for another turn (a double click, a slow browser) does nothing.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dhaps_core.answers.answer import Answer, Value
from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.questions import Question, round_of
from dhaps_core.session.errors import RunInUse, RunReadOnly
from dhaps_core.session.outlook import Outlook
from widgets.labeller.answer_view import Conflict, class_names, conflict_view, said_of, told
from widgets.labeller.class_keys import class_keys
from widgets.labeller.item_view import ItemViews
from widgets.labeller.pace import pace

if TYPE_CHECKING:  # it loads torch, and a state must not
    from dhaps_core.session.active import ActiveSession

__all__ = ["LabellingState"]

AHEAD = 3  # questions whose pictures travel before they are shown
RECENT = 8  # answers that the card lists


class LabellingState:
    """The question shown, the answers so far, and the way from one to the next.

    Args:
        session: the run.
        who: the person; stored with every answer.
        explain: why a question is asked, as plain values for the screen.
        likely: probabilities of classes of the item that a question asks about.
        guideline: what the person judges by: the first line is the question, the rest an explanation.
        clock: seconds that only grow.

    Attributes:
        turn: number of the question shown; each change of it is a new number.
        question: the question shown, or None.
        conflict: an answer that contradicts earlier ones and waits for a decision, or None.
        note: one sentence for the person, empty if there is nothing to say.
        paused: what goes on with the run just now (a round is being trained), or None.
        in_training: number of the round that is being trained; its questions go on. None if no round is.
        over: whether every question of the round in progress is answered, so that it can be run.
    """

    def __init__(
        self,
        session: "ActiveSession",
        *,
        who: str,
        explain: Callable[[Question], dict[str, Any]] | None = None,
        likely: Callable[[Question], dict[str, float]] | None = None,
        guideline: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.who, self.guideline, self._clock = who, guideline.strip(), clock
        self.turn = 0
        self.paused: str | None = None
        self.in_training: int | None = None
        self._flowing = False  # whether the person has answered since the round began to be trained
        self.attach(session, explain, likely)

    def attach(
        self,
        session: "ActiveSession",
        explain: Callable[[Question], dict[str, Any]] | None = None,
        likely: Callable[[Question], dict[str, float]] | None = None,
    ) -> None:
        """Go on with another run."""
        self.session = session
        self._explain, self._likely = explain, likely
        self._shown_with: tuple[Question | None, dict[str, Any] | None, dict[str, float]] = (None, None, {})
        self._views = ItemViews(session.items)
        self.question: Question | None = None
        self.conflict: Conflict | None = None
        self.note = ""
        self._open: list[Question] = []
        self._left = self._asked = 0  # answers of the round: still wanted, and in all
        self._since = self._clock()
        self._skipped = session.skipped
        self._skips: list[list[str]] = []  # what was skipped before each skip that can be taken back
        self._outlook: tuple[int, Outlook | None] = (0, None)
        self.refresh()

    def pause(self, reason: str | None, number: int | None) -> None:
        """Tell what goes on with the run, and which round is being trained; None for nothing."""
        if number is not None and number != self.in_training:
            self._flowing = False
        self.paused, self.in_training = reason, number
        self.refresh()  # another copy of the card may have answered

    # --- what the person does ------------------------------------------------------------------------------

    def answer(self, turn: int, value: Value) -> bool:
        """Whether the answer was meant for the question shown; it is on disk when this returns."""
        question = self.question
        if turn != self.turn or question is None or self.conflict is not None:
            return False
        self._store(question, value, self._clock() - self._since)
        return True

    def skip(self, turn: int) -> bool:
        """Whether the question shown was put behind all others of its round; nothing is stored about it."""
        if turn != self.turn or self.question is None or self.conflict is not None:
            return False
        before, asked, self.note = self._skipped, self.question.id, ""
        self._skip([name for name in before if name != asked] + [asked])
        self._skips.append(before)
        return True

    def undo(self, turn: int) -> bool:
        """Whether a last step (a skip, or an answer of this person in this round) was taken back."""
        if turn != self.turn or self.conflict is not None:
            return False
        self.note = ""
        if self._skips:
            self._skip(self._skips[-1])
            self._skips.pop()
            return True
        mine = [answer for answer in self.session.answers() if answer.who == self.who]
        if not mine:
            self.note = "There is no answer of yours to undo."
            return False
        if self._finished(mine[-1]):
            self.note = "That answer belongs to a finished round. Click it below to revise it."
            return False
        self.session.undo(who=self.who)
        self._ask_again(mine[-1].question)
        return True

    def say(self, note: str) -> None:
        """Show a sentence of somebody else, who had the person's attention: the time begins anew."""
        self.note, self._since = note, self._clock()

    def redo(self, turn: int) -> bool:
        """Whether the answer of this person that was taken back last counts again."""
        if turn != self.turn or self.conflict is not None:
            return False
        try:
            found = self.session.redo(who=self.who) is not None
        except Contradiction:
            self.note = "That answer contradicts a later one by now; it stays taken back."
            return False
        self.note = "" if found else "There is no answer of yours to bring back."
        self.refresh()
        return found

    def revise(self, row: int, value: Value) -> bool:
        """Whether an earlier answer was replaced; an answer that waited for that is then stored."""
        waiting, self.note = self.conflict, ""
        try:
            self.session.revise(row, value, who=self.who)
        except Contradiction as error:
            told = ", ".join(f"answer {answer.id}" for answer in error.chain)
            self.note = f"That change contradicts {told}; nothing was changed."
            return False
        self.conflict = None
        if waiting is None:
            self.refresh()
        else:
            self._store(waiting.question, waiting.value, waiting.seconds)
        return True

    def drop(self, turn: int) -> bool:
        """Whether the answer that contradicts was forgotten; its question is shown again."""
        if turn != self.turn or self.conflict is None:
            return False
        self.conflict, self.note = None, "Your last answer was not stored."
        self.turn += 1
        self.refresh()
        return True

    # --- what is shown -------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look at the run again: another window may have answered, another process finished the round."""
        shown = self.question
        self._waiting: str | None = None
        self.over = False
        if self.paused is not None:
            self._open = (
                [] if self.in_training is None else self._ordered(self.session.meanwhile(self.in_training))
            )
            self._left = self._asked = 0
        elif self.session.refresh() == 0 or (found := self._questions()) is None:
            self._open, self._left, self._asked = [], 0, 0
        else:
            self._open = self._ordered(self._kept(found) + found)
            proposal, per_pick = self.session.propose(), 2
            if self.session.settings.question != "classes":
                per_pick = 1
            asked = per_pick * len(proposal.pairs) if proposal.answers is None else proposal.answers
            self._left = self.session.left
            self._asked = max(self._left, asked)
            self.over = self._asked > 0 and not self._left
        if self._outlook[0] != (number := self.session.round):
            self._outlook = number, Outlook.of_rows(self.session.history)
        if self.conflict is not None:
            return  # what is shown stays until the person has decided
        self.question = self._open[0] if self._open else None
        if self.question != shown:
            self.turn += 1
            self._since = self._clock()

    def _ordered(self, questions: Sequence[Question]) -> list[Question]:
        """Questions with those that were skipped at the end."""
        place = {name: i for i, name in enumerate(self._skipped)}
        # sorted() is stable: the order of asking stays among those that were not skipped.
        return sorted(questions, key=lambda question: place.get(question.id, -1))

    def _kept(self, found: Sequence[Question]) -> list[Question]:
        """The question shown, if it is of the round before: nobody pulls it away from who answers on.

        Who waited for the round gets its own questions at once.
        """
        shown = self.question
        if shown is None or not self._flowing or not found or shown in found or shown.id in self._skipped:
            return []
        earlier = (round_of(shown.id) or 0) < self.session.round
        answered = any(shown.about == (one.kind, one.keys) for one in self.session.answers())
        return [shown] if earlier and not answered else []

    @property
    def left(self) -> int:
        """Questions of the round that are open; none while a round is trained."""
        return self._left

    @property
    def closed(self) -> str | None:
        """Why there is no question, in a sentence; None while there is one."""
        if self.question is not None:
            return None
        if self.paused is not None or self._waiting is not None:
            return self.paused or self._waiting
        number = self.session.round
        if number == 0:
            return "The codes are not trained yet. R runs the unsupervised start (round 0)."
        if self._asked == 0:
            return f"The run is over: {self.session.finished}."
        return f"Every question of round {number} is answered. R runs the round and shows what it changed."

    def counts(self) -> dict[str, Any]:
        """Both budgets, the pairs that are known, and how many of them nobody was asked about."""
        counts = self.session.counts()
        answers = self.session.answers()
        told = {one.keys for one in answers if one.kind == "pair" and one.value != "unsure"}
        known = counts["pairs_similar"] + counts["pairs_dissimilar"]
        settings = self.session.settings
        return {
            "items": counts["items_labelled"],
            "answers": counts["answers"],
            "implied": known - len(told),
            "budget_items": settings.budget_items,
            "budget_answers": settings.budget_answers,
            "pace": pace(answers, who=self.who, left=self._left),
        }

    def view(self) -> dict[str, Any]:
        """Everything the card shows, as plain values; pictures are named by their keys."""
        answers = self.session.answers()
        said, items = said_of(answers), self.session.items
        question = self.question
        shown = () if question is None else self.session.pair_of(question)
        why, likely = self._context()
        head, _, rest = self.guideline.partition("\n")
        return {
            "turn": self.turn,
            "round": self.session.round,
            "who": self.who,
            "kind": question.kind if question else None,
            "items": [
                self._views.of(key, said, asked=question is not None and key in question.keys)
                for key in shown
            ],
            "left": self._left,
            "asked": self._asked,
            "skipped": question is not None and question.id in self._skipped,
            "why": why,
            "ask": head,
            "guide": rest.strip(),
            "classes": class_keys(class_names(self.session.items, answers), likely),
            "several": self.session.items.multi_label,
            "ahead": [key for other in self._open[1 : 1 + AHEAD] for key in self.session.pair_of(other)],
            "recent": [told(one, items) for one in answers[: -RECENT - 1 : -1]],
            "conflict": None if self.conflict is None else conflict_view(self.conflict, items),
            "note": self.note,
            "closed": self.closed,
            "paused": self.paused,
            "over": self.over,
            "outlook": {"short": last.short, "line": last.line} if (last := self._outlook[1]) else None,
        }

    # --- inside --------------------------------------------------------------------------------------------

    def _store(self, question: Question, value: Value, seconds: float) -> None:
        before = {answer.id for answer in self.session.answers()}
        try:
            row = self.session.answer(question, value, who=self.who, seconds=seconds)
        except Contradiction as error:
            self.conflict = Conflict(question, value, seconds, error.chain)
            self.note = ""
            self.turn += 1
            return
        self._flowing = True
        already = "This question was answered in another window; that answer stays."
        self.note = already if row in before else ""
        self._skips = []
        self.refresh()

    def _questions(self) -> list[Question] | None:
        """The open questions, or None while somebody else chooses them, or nobody here may."""
        try:
            return self.session.questions()
        except (RunInUse, RunReadOnly) as error:
            self._waiting = str(error)
            return None

    def _finished(self, answer: Answer) -> bool:
        """Whether a finished round has learnt from an answer; one without a question may belong to none."""
        if answer.question is not None:
            return round_of(answer.question) != self.session.round
        rows = self.session.history
        return bool(rows) and answer.id <= rows[-1]["watermark"]

    def _ask_again(self, question: str | None) -> None:
        self._skip([name for name in self._skipped if name != question])

    def _skip(self, names: list[str]) -> None:
        self.session.skip(names)
        self._skipped = names
        self.refresh()

    def _context(self) -> tuple[dict[str, Any] | None, dict[str, float]]:
        """Why the question shown is asked, and what is likely: found once, and the same while it is shown."""
        question = self.question
        if question is None:
            return None, {}
        if self._shown_with[0] != question:
            now = round_of(question.id) == self.session.round  # else what it was chosen by is gone
            why = self._explain(question) if self._explain and now else None
            self._shown_with = question, why, self._likely(question) if self._likely else {}
        return self._shown_with[1:]
