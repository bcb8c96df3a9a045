"""The model tested on answers that it had not heard: those of later rounds, and those held out.

What is foretold is :meth:`dhaps_core.session.model.Model.foretell` of a snapshot, so that any round can be
judged again from its watermarks.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isnan
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int8
from torch import Tensor

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.hashing.methods.piq import probability_same
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import precision_at_k
from dhaps_core.retrieval.relevance import Relevance
from dhaps_core.session.model import Model
from dhaps_core.session.outlook import NEXT, Expected, Foretold, Outlook, Precision, expected

__all__ = ["SelfTest", "precision_among"]

LAST = 20  # answers that are foretold, at least, if there are so many
CUT = 10  # k of the precision among labelled items


class SelfTest:
    """Judges the rounds of a run from their answers.

    Args:
        model: of the run.
        snapshot: answers up to a watermark.
        place: of each key among the training items.
    """

    def __init__(self, model: Model, snapshot: Callable[[int], Snapshot], place: Mapping[str, int]) -> None:
        self.model, self._snapshot, self._place = model, snapshot, place
        self._held_out: dict[int, dict[int, float | None]] = {}

    def outlook(
        self,
        rounds: Sequence[tuple[int, int]],
        codes: Int8[np.ndarray, "n b"],
        *,
        kind: Literal["class", "pair"],
    ) -> Outlook:
        """After the last of some rounds.

        Args:
            rounds: of each from 0 on the watermark of the answers that it was trained upon, and their number.
            codes: of every item after the last.
            kind: of the questions.
        """
        watermark, answers = rounds[-1]
        held_out = self._held_out_at(watermark)
        named = [one for one in held_out.values() if one is not None]
        said: list[tuple[bool, float]] = []
        for (before, _), (after, _) in reversed(list(pairwise(rounds))):
            if len(said) >= LAST:
                break
            said += self.foretold(self._snapshot(before), self._snapshot(after), before)
        return Outlook(
            round=len(rounds) - 1,
            answers=answers,
            kind=kind,
            foretold=Foretold.of(said),
            precision=self._precision(codes, watermark),
            held_out=fmean(named) if named else None,
            next_ten=self._next_ten(rounds, held_out),
        )

    def foretold(self, before: Snapshot, after: Snapshot, watermark: int) -> list[tuple[bool, float]]:
        """Of each answer that came behind a watermark: whether it was thought likeliest, its probability.

        A class that nobody had named by then gets 0. Answers do not count where what they say was known
        already, nor "unsure", nor what nobody was asked (who names forty items together has chosen them for
        being alike); and none does before two classes are known. A pair is thought to be the same
        where both items have one likeliest class, with the probability that both are of one class.
        """
        told = self.model.told(before)
        foretelling = self.model.foretell(before)
        new = [one for one in after.answers if one.id > watermark and one.value != "unsure"]
        new = [one for one in new if one.question and all(key in self._place for key in one.keys)]
        if told is None or foretelling is None:
            return []
        found = []
        for answer in new:
            places = [self._place[key] for key in answer.keys]
            rows = self.model.pool[places].numpy()
            p = foretelling.probabilities[places]
            if answer.kind == "pair":
                if before.relations(rows[:1], rows[1:])[0] == 0:
                    found.append(_pair(answer, p, several=before.multi_label))
            elif not before.classed[rows[0]]:
                found.append(_class(answer, p[0], told.names, several=before.multi_label))
        return found

    def held_out(self, snapshot: Snapshot) -> dict[int, float | None]:
        """By place, the probability of what is known of an item by the answers about others.

        It is None where those do not name its class. Copies of an item that was asked about are left out:
        nobody answered for them.
        """
        told, foretelling = self.model.told(snapshot), self.model.foretell(snapshot)
        if told is None or foretelling is None:
            return {}
        asked = np.isin(self.model.pool[told.at].numpy(), snapshot.answered)
        found = zip(told.at.tolist(), foretelling.held_out.tolist(), asked.tolist(), strict=True)
        return {place: None if isnan(value) else value for place, value, one in found if one}

    def plausibility(self, snapshot: Snapshot) -> dict[int, float]:
        """By the row of an answer, the probability of what it says by the answers about other items.

        Of a class it is that of what is known of the item; of a "same" the lesser one of its two items, each
        in the group that answers put it in; of a "different" that the two are not of one class or group. Of
        "unsure", and where no other answer names the class, nothing is told.
        """
        held_out, found = self.held_out(snapshot), {}
        told, foretelling = self.model.told(snapshot), self.model.foretell(snapshot)
        row = {} if told is None else {place: i for i, place in enumerate(told.at.tolist())}
        for answer in snapshot.answers:
            places = [self._place[key] for key in answer.keys if key in self._place]
            if answer.value == "different" and foretelling is not None:
                if len(places) == 2 and all(held_out.get(place) is not None for place in places):
                    p = foretelling.apart[[row[place] for place in places]]
                    same = probability_same(p[:1], p[1:], several=snapshot.multi_label)
                    found[answer.id] = 1 - float(same)
            elif answer.value != "unsure":
                sure = [one for place in places if (one := held_out.get(place)) is not None]
                if sure:
                    found[answer.id] = min(sure)
        return found

    def _next_ten(
        self, rounds: Sequence[tuple[int, int]], held_out: Mapping[int, float | None]
    ) -> Expected | None:
        """By the last rounds that ten answers and a third of all lie in: what one brings is mostly noise."""
        answers = rounds[-1][1]
        for watermark, count in reversed(rounds[:-1]):
            if answers - count >= max(NEXT, answers / 3):
                before = self._held_out_at(watermark)
                return expected(before, held_out, answers=answers - count)
        return None

    def _held_out_at(self, watermark: int) -> dict[int, float | None]:
        """:meth:`held_out`, once: later rounds are compared with it."""
        if watermark not in self._held_out:
            self._held_out[watermark] = self.held_out(self._snapshot(watermark))
        return self._held_out[watermark]

    def _precision(self, codes: Int8[np.ndarray, "n b"], watermark: int) -> Precision | None:
        snapshot = self._snapshot(watermark)
        answered = snapshot.answered[np.isin(snapshot.answered, self.model.pool.numpy())]
        return precision_among(codes, snapshot, answered)


def precision_among(codes: Int8[np.ndarray, "n b"], snapshot: Snapshot, rows: np.ndarray) -> Precision | None:
    """Precision of some items' codes among themselves; a pair that nobody told about is not relevant.

    Args:
        codes: of every item.
        snapshot: what is known of them.
        rows: positions [m] of the items; None comes of fewer than two.
    """
    if len(rows) < 2:
        return None
    relevant = snapshot.relations(rows[:, None], rows) > 0
    k, keys, own = min(CUT, len(rows) - 1), rows.tolist(), torch.from_numpy(codes[rows])
    histograms = distance_histograms(
        own, own, Relevance.matrix(relevant), query_keys=keys, database_keys=keys, exclude_self=True
    )
    ceiling = float(np.minimum(relevant.sum(1) - 1, k).mean() / k)
    return Precision(k, float(precision_at_k(histograms, [k])[0]), ceiling, len(rows))


def _pair(answer: Answer, p: Tensor, *, several: bool) -> tuple[bool, float]:
    same = float(probability_same(p[:1], p[1:], several=several)[0, 0])
    # Modest probabilities of one and the same class make a product below a half.
    first, second = p.argmax(1).tolist()
    named = same > 0.5 if several else first == second
    said = answer.value == "same"
    return named == said, same if said else 1 - same


def _class(answer: Answer, p: Tensor, names: Sequence[str | None], *, several: bool) -> tuple[bool, float]:
    if not set(answer.classes) <= set(names) and not (several and answer.classes == (NO_CLASS,)):
        return False, 0.0
    truth = torch.tensor([name in answer.classes for name in names])
    if several:
        return bool(((p > 0.5) == truth).all()), float(torch.where(truth, p, 1 - p).prod())
    return bool(truth[p.argmax()]), float(p[truth].sum())
