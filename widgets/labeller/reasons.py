"""Why a pair was chosen: its three terms, its distance in bits, and the model's probability of "same"."""

from typing import Any

import torch

from dhaps_core.acquisition.calibration import probability_same
from dhaps_core.answers.questions import Question
from dhaps_core.session.active import ActiveSession

__all__ = ["Reasons"]

TERMS = ("uncertainty", "representativeness", "diversity")


class Reasons:
    """Explanations of the picks of the round in progress; the model is read once per round."""

    def __init__(self, session: ActiveSession) -> None:
        self.session = session
        self._round = -1
        self._picks: list[dict[str, Any]] = []

    def __call__(self, question: Question) -> dict[str, Any]:
        """Plain values about the pick that a question belongs to.

        ``terms`` are costs, the smaller the better a reason; ``share`` says how good a reason each is among
        the picks of the round, in [0, 1]. ``distance`` is in bits, ``probability`` of "same" in [0, 1].
        """
        if self._round != self.session.round:
            self._picks = self._explain_round()
            self._round = self.session.round
        return self._picks[question.pick]

    def _explain_round(self) -> list[dict[str, Any]]:
        session = self.session
        proposal = session.propose()
        rows = [[session.items.position[key] for key in pair] for pair in proposal.pairs]
        pairs = torch.tensor(rows, dtype=torch.long).view(-1, 2)
        codes = session.codes()
        distances = (codes[pairs[:, 0]] != codes[pairs[:, 1]]).sum(1)
        snapshot = session.snapshot()
        calibration = session.calibration(snapshot)
        probabilities = probability_same(session.theta(pairs), calibration)
        terms = {name: proposal.scores[name] for name in TERMS if name in proposal.scores}
        return [
            {
                "terms": [
                    {"name": name, "cost": round(costs[i], 4), "share": _share(costs, i)}
                    for name, costs in terms.items()
                ],
                "distance": int(distances[i]),
                "bits": session.settings.bits,
                "probability": round(float(probabilities[i]), 3),
                "fitted": len(snapshot.supervised) > 0,
                "pick": i + 1,
                "picks": len(proposal.pairs),
            }
            for i in range(len(proposal.pairs))
        ]


def _share(costs: list[float], i: int) -> float:
    low, high = min(costs), max(costs)
    return 1.0 if high == low else round((high - costs[i]) / (high - low), 3)
