"""What is asked while a round is being trained, so that nobody waits for it.

A round is trained on the answers up to its watermark. Whoever answers on meanwhile answers behind it, and
such an answer counts from the next round on: the rounds stay what they are by their watermarks alone. Asked
are the questions of the round that are still open, then pairs chosen ahead: upon the same codes and answers
as the round's own, beside which they lie as if those were answered. Where items are placed, placing goes on.
"""

from dataclasses import replace

from dhaps_core.answers.questions import Question, round_of
from dhaps_core.session.asking import AskingRun
from dhaps_core.session.proposals import AHEAD, Proposal

__all__ = ["MeanwhileRun"]


class MeanwhileRun(AskingRun):
    """A run that has questions also while a round of it is being trained."""

    def choose_ahead(self) -> None:
        """Choose as many pairs again as the round in progress has, to be asked while it is trained.

        They are chosen once, and never where items are placed or the round has no picks. A run with a budget
        gets no more of them than it allows beside the round's own.

        Raises:
            RunInUse: if somebody else is changing the run.
            RunReadOnly: if they are not chosen yet, and the run is only looked at.
        """
        proposal = self.propose()
        if proposal.answers is not None or not proposal.pairs or self.ahead(proposal.round) is not None:
            return
        with self.folder.owned(f"chooses pairs ahead of round {proposal.round + 1}"):
            if self.refresh() != proposal.round:
                return  # finished by somebody else: nothing is to be asked beside it
            snapshot, own = self.snapshot(proposal.watermark), len(proposal.pairs)
            picks = min(own, self._picks_left(snapshot, rounds=2) - own)
            ahead = self._chosen(proposal.round, proposal.watermark, snapshot, picks, proposal.pairs)
            ahead.write(self.folder, AHEAD)

    def ahead(self, number: int) -> Proposal | None:
        """The pairs chosen ahead beside those of a round, or None where there are none.

        Raises:
            RunDamaged: if they are something else.
        """
        if number not in self._ahead:
            found = Proposal.read(self.folder, number, self.picker.place, AHEAD)
            if found is None:
                return None
            self._ahead[number] = found
        return self._ahead[number]

    def meanwhile(self, number: int) -> list[Question]:
        """Questions to ask while a round is trained, in the order of asking; nothing is chosen for it.

        Those of the round that are open, then those chosen ahead. The picks of these count on behind its own.
        """
        if (proposal := self.proposal(number)) is None:
            return []
        answers = self.answers()
        if proposal.answers is not None:
            more = replace(proposal, answers=proposal.answers + self.settings.picks_of(number))
            return [question for question, _ in self._placing(more, answers)]
        asked = proposal.questions(self.settings.question)
        if (ahead := self.ahead(number)) is not None:
            asked += ahead.questions(self.settings.question, first=len(proposal.pairs))
        return self._open(asked, answers)

    def pair_of(self, question: Question) -> tuple[str, ...]:
        """Both items of the pick of a question, also where it is about one; an item to be placed alone."""
        proposal = self.proposal(round_of(question.id) or 0)
        if question.kind == "pair" or proposal is None or proposal.answers is not None:
            return question.keys
        own, at = proposal.pairs, question.pick
        if at < len(own):
            return own[at]
        ahead = self.ahead(proposal.round)
        return question.keys if ahead is None else ahead.pairs[at - len(own)]
