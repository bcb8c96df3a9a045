"""What a run asks: the picks of its rounds, their questions, and whose they are."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dhaps_core.answers.answer import Answer, Kind
from dhaps_core.answers.questions import Question, Source, keys_of, question_name, round_of
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.hashing.network import relax
from dhaps_core.session.errors import RunRepaired
from dhaps_core.session.placing import Ask, next_pair
from dhaps_core.session.proposals import PICKS, Proposal
from dhaps_core.session.run import OpenRun
from dhaps_core.session.worth import item_to_name, seconds_of

__all__ = ["AskingRun"]

ASKED, SKIPPED = "asked.json", "skipped.json"
FEWEST = 8  # pairs whose items are to be placed in a round at least, so that likely ones are among them


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
        """Open questions of the round in progress, in the order of asking.

        Where items are placed (:mod:`dhaps_core.session.placing`), what is asked next depends on what is
        answered: then this is the one question of the moment, followed by those that were skipped.
        """
        proposal, answers = self.propose(), self.answers()
        if proposal.answers is not None:
            return [question for question, _ in self._placing(proposal, answers)]
        return self._open(proposal.questions(self.settings.question), answers)

    @property
    def left(self) -> int:
        """Answers that the round in progress still asks for."""
        open_now, proposal = len(self.questions()), self.propose()
        if proposal.answers is None or not open_now:
            return open_now
        return self._left_of(proposal, self.answers())

    def pairs_of(self, number: int) -> list[tuple[str, str]]:
        """Pairs of a round: those chosen; where their items are placed, those that it has asked about so far.

        Of the round in progress the open ones belong to them. None of a round that has chosen nothing yet.
        """
        if (proposal := self.proposal(number)) is None:
            return []
        if proposal.answers is None:
            return list(proposal.pairs)
        answers = self.answers()
        found = [one.shown for one in answers if round_of(one.question) == number and one.kind == "pair"]
        if number == self.round:
            open_now = [question for question, _ in self._placing(proposal, answers)]
            found += [question.keys for question in open_now if question.kind == "pair"]
        return [(a, b) for a, b in found]

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
        if self.refresh() == 0:
            return None
        proposal = self.propose()
        if proposal.pairs if proposal.answers is None else proposal.answers:
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
        if proposal.answers is None:
            asked = {one.about for one in proposal.questions(self.settings.question)}
            left = sum(one.about in asked for one in questions)
        else:
            asks = any(round_of(one.id) == number for one in questions)
            left = self._left_of(proposal, answers) if asks else 0
        who = {one.who for one in answers if round_of(one.question) == number}
        if shown and (marker := self.folder.read_json(ASKED, number)) is not None:
            who.add(str(marker.get("who")))
        people = sorted(name for name in who if name != but and not Source.named(name))
        if not left or not people:
            return None
        rule = f"questions that {', '.join(people)} was asked must be left to them"
        return f"{rule}; {left} of round {number} are open. Answer them, or use another folder."

    def _choose(self, number: int) -> Proposal:
        watermark = self.store.watermark()
        snapshot = self.snapshot(watermark)
        if given := sum(round_of(answer.question) == number for answer in snapshot.answers):
            told = f"was missing, though {given} of its questions are answered; pairs are chosen anew"
            path = self.folder.file(PICKS, number)
            warnings.warn(f"{path} {told}, and the answers count.", RunRepaired, stacklevel=4)
        picks = self._picks_left(snapshot)
        proposal = self._chosen(number, watermark, snapshot, picks)
        if self.picker.places and picks > 0:
            proposal = self._to_place(proposal, snapshot)
        proposal.write(self.folder)
        self._proposals[number] = proposal
        return proposal

    def _chosen(
        self,
        number: int,
        watermark: int,
        snapshot: Snapshot,
        picks: int,
        awaited: Sequence[tuple[str, str]] = (),
    ) -> Proposal:
        """Picks of a round upon the answers up to a watermark, beside pairs whose answers are to come."""
        started = time.perf_counter()
        chosen = self.picker.choose(
            number,
            snapshot,
            picks=picks,
            relaxed=relax(self.outputs(number - 1)),
            earlier=lambda: [*(pair for one in self.proposals() for pair in one.pairs), *awaited],
            calibration=lambda: self.calibration(snapshot),
            probabilities=lambda: self.model.probabilities(snapshot),
            borne_out=lambda: self.model.borne_out(snapshot),
            neighbourhood=lambda: self.model.collection.graph.neighbourhood,
            awaited=awaited,
        )
        seal, seconds = self.store.seal(watermark), time.perf_counter() - started
        return Proposal(number, *chosen, watermark=watermark, seal=seal, seconds=seconds)

    def _to_place(self, proposal: Proposal, snapshot: Snapshot) -> Proposal:
        """The proposal with the items to be placed, and with the answers that it asks for."""
        settings, answers = self.settings, self.settings.picks_of(proposal.round)
        if settings.budget_answers is not None:
            answers = min(answers, settings.budget_answers - len(snapshot.answers))
        most = len(self.picker.rows)
        if settings.budget_items is not None:
            most = settings.budget_items - self.counts(snapshot)["items_labelled"]
        order = self.picker.order(proposal.pairs, snapshot, most=most)
        placing = replace(proposal, order=order, answers=answers + self._given(proposal, snapshot.answers))
        none_left = self._next(placing, snapshot, skipped=()) is None
        return replace(proposal, answers=0) if none_left else placing

    @staticmethod
    def _given(proposal: Proposal, answers: Sequence[Answer]) -> int:
        """Answers given to questions of a round."""
        return sum(round_of(answer.question) == proposal.round for answer in answers)

    def _left_of(self, proposal: Proposal, answers: Sequence[Answer]) -> int:
        """Answers that a round that places items may still ask for."""
        left, budget = (proposal.answers or 0) - self._given(proposal, answers), self.settings.budget_answers
        return max(0, left if budget is None else min(left, budget - len(answers)))

    def _placing(self, proposal: Proposal, answers: Sequence[Answer]) -> list[tuple[Question, Ask | None]]:
        """Open questions of a round that places items, that of the moment with what placing says of it."""
        left = self._left_of(proposal, answers)
        if left < 1:
            return []
        skipped, state = self.skipped, tuple(answer.id for answer in answers)
        key = (proposal.round, state, tuple(skipped))
        if self._asked_now is None or self._asked_now[0] != key:
            self._asked_now = key, self._find_questions(proposal, answers, skipped)
        return self._asked_now[1][:left]

    def _find_questions(
        self, proposal: Proposal, answers: Sequence[Answer], names: Sequence[str]
    ) -> list[tuple[Question, Ask | None]]:
        snapshot, position = self._snapshot_of(answers), self.items.position
        left = self._left_of(proposal, answers)
        answered = {answer.keys for answer in answers}
        skipped: list[tuple[Question, tuple[int, int]]] = []
        unnamed: set[str] = set()
        for name in names:
            keys = keys_of(name)
            if round_of(name) != proposal.round or not all(k in self.picker.place for k in keys):
                continue
            if len(keys) != 2:
                unnamed.update(keys)
                continue
            pair = np.array([[position[key]] for key in keys])
            if tuple(sorted(keys)) not in answered and not snapshot.relations(*pair).any():
                skipped.append((self._question(proposal, keys), (int(pair[0, 0]), int(pair[1, 0]))))
        found: list[tuple[Question, Ask | None]] = [(question, None) for question, _ in skipped]
        if len(skipped) < left:
            ask = self._next(proposal, snapshot, skipped=[pair for _, pair in skipped])
            if ask is not None:
                keys = tuple(self.items.keys[one] for one in ask.pair)
                if self.settings.question == "both":
                    named = item_to_name(ask, seconds_of(answers))
                    if named is not None and self.items.keys[named] not in unnamed:
                        keys, ask = (self.items.keys[named],), None
                found.insert(0, (self._question(proposal, keys), ask))
        return found

    def _next(
        self, proposal: Proposal, snapshot: Snapshot, *, skipped: Sequence[tuple[int, int]]
    ) -> Ask | None:
        """What placing asks next."""
        place, rows = self.picker.place, self.items.position
        keys = self.items.keys

        def near(positions: Sequence[int]) -> np.ndarray:
            return self.model.affinity([place[keys[one]] for one in positions])

        order = [rows[key] for key in proposal.order]
        return next_pair(snapshot, order, near, pool=self._pool, skipped=skipped)

    def _question(self, proposal: Proposal, keys: tuple[str, ...]) -> Question:
        """A question about one item or two; its pick is the one that brought in the first, or -1."""
        picks = (pick for pick, pair in enumerate(proposal.pairs) if keys[0] in pair)
        kind: Kind = "pair" if len(keys) == 2 else "class"
        return Question(question_name(proposal.round, keys), kind, keys, next(picks, -1))

    def _open(self, asked: Sequence[Question], answers: Sequence[Answer]) -> list[Question]:
        """Those of some questions that are known beforehand which no answer is about, within the budgets.

        They were as many as the budgets allowed when they were chosen; since then more may have been named.
        """
        answered = {(answer.kind, answer.keys) for answer in answers}
        found = [question for question in asked if question.about not in answered]
        if found and self.settings.budget_answers is not None:
            found = found[: max(0, self.settings.budget_answers - len(answers))]
        if found and self.settings.budget_items is not None:
            items = self.settings.budget_items - self.counts()["items_labelled"]
            found = found[: max(0, items // len(found[0].keys))]
        return found

    def _picks_left(self, snapshot: Snapshot, *, rounds: int = 1) -> int:
        """Pairs that may still be chosen in this round; or in so many of its size."""
        settings, counts = self.settings, self.counts(snapshot)
        picks = rounds * settings.picks_of(self.round)
        picks = max(picks, FEWEST) if self.picker.places else picks
        if settings.budget_items is not None:
            picks = min(picks, (settings.budget_items - counts["items_labelled"]) // 2)
        if settings.budget_answers is not None:
            answers, per_pick = settings.budget_answers - counts["answers"], 1
            if self.picker.places:
                return picks if answers > 0 else 0
            if settings.question == "classes":
                per_pick = 2
            picks = min(picks, answers // per_pick)
        return picks
