"""What the answers so far foretell of the item that is shown: an order of the classes, and numbers."""

import numpy as np

from dhaps_core.answers.questions import Question, round_of
from dhaps_core.session.active import ActiveSession

__all__ = ["Likely"]


class Likely:
    """Probabilities of the classes of an item, by the answers upon which its question was chosen.

    They are those that the choice of the round itself looked at, so they cost nothing more, and they do not
    change while the person answers. Nothing is answered by them.
    """

    def __init__(self, session: ActiveSession) -> None:
        self.session = session
        self._round = -1
        self._names: list[str] = []
        self._probabilities = np.zeros((0, 0))

    def __call__(self, question: Question) -> dict[str, float]:
        """Probability of each class known by then; none about a pair, or before two classes are known."""
        number = round_of(question.id) or 0
        if question.kind != "class" or number not in (self.session.round, self._round):
            return {}
        if number != self._round:
            self._foretell(number)
        if not self._names:
            return {}
        row = self._probabilities[self.session.picker.place[question.keys[0]]]
        return {name: round(float(one), 3) for name, one in zip(self._names, row, strict=True)}

    def _foretell(self, number: int) -> None:
        session, self._round, self._names = self.session, number, []
        if (proposal := session.proposal(number)) is None:
            return
        snapshot = session.snapshot(proposal.watermark)
        if (foretold := session.model.foretell(snapshot)) is None:
            return
        told = np.arange(len(snapshot.class_names))
        if not snapshot.multi_label:  # columns are the classes of training items; groups without one follow
            train = np.intersect1d(snapshot.supervised, session.items.splits["train"])
            classes = snapshot.classes[train]
            told = np.unique(classes[classes >= 0])
        self._names = [snapshot.class_names[i] for i in told]
        self._probabilities = foretold.probabilities[:, : len(told)].numpy()
