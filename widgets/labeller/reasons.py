"""Why a pair was chosen: its three terms, its distance in bits, and the model's probability of "same"."""

from typing import Any

import torch

from dhaps_core.answers.questions import Question
from dhaps_core.session.active import ActiveSession

__all__ = ["Reasons"]

TERMS = ("uncertainty", "representativeness", "diversity")


class Reasons:
    """Explanations of the questions of the round in progress; the model is read once per round."""

    def __init__(self, session: ActiveSession) -> None:
        self.session = session
        self._round = -1

    def __call__(self, question: Question) -> dict[str, Any]:
        """Plain values about a question and the pick that it belongs to.

        ``terms`` are costs of the pick, the smaller the better a reason; ``share`` says how good a reason
        each is among the picks of the round, in [0, 1]. ``distance`` is in bits, ``probability`` of "same" in
        [0, 1]. Where items are placed, the pick is the one that brought in the first item (0: none of this
        round), and distance and probability are of the two that are asked about; of one alone there are none.
        """
        session = self.session
        if self._round != session.round:
            self._fit_round()
            self._round = session.round
        proposal, i = self._proposal, question.pick
        if (beside := i - len(proposal.pairs)) >= 0 and (ahead := session.ahead(proposal.round)) is not None:
            proposal, i = ahead, beside
        placed = proposal.answers is not None
        pair = question.keys if question.kind == "pair" or placed else proposal.pairs[i]
        terms = {name: proposal.scores[name] for name in TERMS if name in proposal.scores and i >= 0}
        return {
            "terms": [
                {"name": name, "cost": round(costs[i], 4), "share": _share(costs, i)}
                for name, costs in terms.items()
            ],
            "bits": session.settings.bits,
            "fitted": self._fitted,
            "placed": placed,
            "ahead": proposal is not self._proposal,
            **(self._between(pair) if len(pair) == 2 else {}),
            "pick": i + 1,
            "picks": len(proposal.pairs),
        }

    def _between(self, pair: tuple[str, ...]) -> dict[str, Any]:
        at = torch.tensor([[self.session.items.position[key] for key in pair]])
        same = self._calibration.probability(self.session.theta(at))
        distance = (self._codes[at[:, 0]] != self._codes[at[:, 1]]).sum()
        return {"distance": int(distance), "probability": round(float(same[0]), 3)}

    def _fit_round(self) -> None:
        session = self.session
        snapshot = session.snapshot()
        self._proposal, self._codes = session.propose(), session.codes()
        self._fitted = len(snapshot.supervised) > 0
        self._calibration = session.calibration(snapshot)


def _share(costs: list[float], i: int) -> float:
    low, high = min(costs), max(costs)
    return 1.0 if high == low else round((high - costs[i]) / (high - low), 3)
