"""What a run asks: the picks of its rounds, their questions, and whose they are."""

import time
import warnings
from collections.abc import Sequence

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import Question, Source, round_of
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.hashing.network import relax
from dhaps_core.session.errors import RunRepaired
from dhaps_core.session.proposals import PICKS, Proposal
from dhaps_core.session.run import OpenRun

__all__ = ["AskingRun"]

ASKED, SKIPPED = "asked.json", "skipped.json"


class AskingRun(OpenRun):
    """A run that chooses pairs and asks about them."""

    def propose(self) -> Proposal:
        """The picks of the round in progress: chosen at the first call, the same ever after.

        Raises:
            ValueError: before the unsupervised start (round 0) is trained.
            RunInUse: if they are not chosen yet, and somebody else is changing the run.
            RunReadOnly: if they are not chosen yet, and the run is only looked at.
        """
        number = self.refresh()
        if number == 0:
            raise ValueError("picks need codes; got a run without its unsupervised start. Call train() once.")
        if (stored := self.proposal(number)) is not None:
            return stored
        with self.folder.owned(f"chooses the pairs of round {number}"):
            number = self.refresh()
            return self.proposal(number) or self._choose(number)

    def questions(self) -> list[Question]:
        """Questions of the round in progress that have no answer yet, in the order of asking."""
        asked = self.propose().questions(self.settings.question)
        answered = {(answer.kind, answer.keys) for answer in self.answers()}
        return [question for question in asked if question.about not in answered]

    @property
    def skipped(self) -> list[str]:
        """Names of the questions that a person has put behind the others, the last one last."""
        names = (self.folder.read_json(SKIPPED) or {}).get("questions")
        return [str(name) for name in names] if isinstance(names, list) else []

    def skip(self, names: Sequence[str]) -> None:
        """Remember which questions are put behind the others, in place of those before."""
        self.folder.write_json(SKIPPED, {"questions": list(names)})

    def show_questions(self, who: str) -> None:
        """Remember that a person sees the questions of the round, so that no oracle answers them."""
        number = self.refresh()
        if number and not self.read_only and not self.folder.file(ASKED, number).exists():
            self.folder.write_json(ASKED, {"who": who}, number)

    @property
    def reserved(self) -> str | None:
        """Why no oracle and no file may answer the open questions of the round, or None if one may."""
        return self._left_to(self.questions(), self.answers(), but=None) if self.refresh() else None

    @property
    def finished(self) -> str | None:
        """Why no further round is possible, or None."""
        if self.refresh() == 0 or (proposal := self.propose()).pairs:
            return None
        chosen = self.snapshot(proposal.watermark)
        return "the budget is spent" if self._picks_left(chosen) < 1 else self.picker.why_none(chosen)

    def _left_to(
        self, questions: Sequence[Question], answers: Sequence[Answer], *, but: str | None, shown: bool = True
    ) -> str | None:
        """Which people, but for one, some questions are left to, in a sentence, or None.

        They have answered one of the round; or, if ``shown`` is enough, were shown them.
        """
        number = self.refresh()
        if number == 0 or (proposal := self.proposal(number)) is None:
            return None
        asked = {one.about for one in proposal.questions(self.settings.question)}
        left = sum(one.about in asked for one in questions)
        who = {one.who for one in answers if round_of(one.question) == number}
        if shown and (marker := self.folder.read_json(ASKED, number)) is not None:
            who.add(str(marker.get("who")))
        people = sorted(name for name in who if name != but and not Source.named(name))
        if not left or not people:
            return None
        rule = f"questions that {', '.join(people)} was asked must be left to them"
        return f"{rule}; {left} of round {number} are open. Answer them, or use another folder."

    def _choose(self, number: int) -> Proposal:
        started = time.perf_counter()
        watermark = self.store.watermark()
        snapshot = self.snapshot(watermark)
        if given := sum(round_of(answer.question) == number for answer in snapshot.answers):
            told = f"was missing, though {given} of its questions are answered; pairs are chosen anew"
            path = self.folder.file(PICKS, number)
            warnings.warn(f"{path} {told}, and the answers count.", RunRepaired, stacklevel=4)
        chosen = self.picker.choose(
            number,
            snapshot,
            picks=self._picks_left(snapshot),
            relaxed=relax(self.outputs(number - 1)),
            earlier=lambda: [pair for one in self.proposals() for pair in one.pairs],
            calibration=lambda: self.calibration(snapshot),
            probabilities=lambda: self.model.probabilities(snapshot),
            neighbourhood=lambda: self.model.collection.graph.neighbourhood,
        )
        seal, seconds = self.store.seal(watermark), time.perf_counter() - started
        proposal = Proposal(number, *chosen, watermark=watermark, seal=seal, seconds=seconds)
        proposal.write(self.folder)
        self._proposals[number] = proposal
        return proposal

    def _picks_left(self, snapshot: Snapshot) -> int:
        settings, counts = self.settings, self.counts(snapshot)
        picks = settings.picks_of(self.round)
        if settings.budget_items is not None:
            picks = min(picks, (settings.budget_items - counts["items_labelled"]) // 2)
        if settings.budget_answers is not None:
            per_pick = 2 if settings.question == "classes" else 1
            picks = min(picks, (settings.budget_answers - counts["answers"]) // per_pick)
        return picks
