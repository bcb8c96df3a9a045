"""The groups that answers make of items, and how likely two groups are the same before they are compared."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int64

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.snapshot import Snapshot

__all__ = ["Groups", "Near"]

Near = Callable[[Sequence[int]], np.ndarray]
"""Affinities [m m] among items by position (:class:`dhaps_core.hashing.affinity.Affinity`)."""

LINE = (1.5, -1.8)  # slope and offset of the log-odds of "same" in the log-affinity, before any answer ...
FIRM = (8.0, 4.0)  # ... and how firmly, as precisions of a normal prior
LEAST = 1e-4  # affinities below are taken for this
UNSURE = 2  # unsure answers between two groups after which they are left alone


class Groups:
    """Items in play and the groups of those that are known to be the same; one by itself is a group, too.

    That two groups are the same is foretold by the mean affinity of their items: a line in its logarithm is
    the log-odds, fitted on the answers so far (a logistic regression with a prior). This takes milliseconds,
    and is as good as learning anew after every answer, which takes a second.

    Args:
        snapshot: of the answers.
        play: positions of m distinct items.
        near: their affinities.

    Attributes:
        play: the items.
        near: their affinities.
        group: of each item, numbered in the order of play.
        size: items in each group.
        relation: of each two groups: +1 a group with itself, -1 known to differ, 0 not compared.
        classed: whether the class of each group is known.
        answers: those about two items in play, with the places of both.
        given: places of the items whose class was given.
    """

    def __init__(self, snapshot: Snapshot, play: Sequence[int], near: Near) -> None:
        self.play: Int64[np.ndarray, " m"] = np.array(play, dtype=np.int64)
        self.near: Float[np.ndarray, "m m"] = near(list(play)).astype(np.float64)
        _, first, group = np.unique(snapshot.groups[self.play], return_index=True, return_inverse=True)
        order = first.argsort()
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        self.group: Int64[np.ndarray, " m"] = place[group]
        self.size: Int64[np.ndarray, " g"] = np.bincount(self.group, minlength=len(order))
        heads = self.play[first[order]]
        self.relation = snapshot.relations(heads[:, None], heads[None])
        self.classed: Bool[np.ndarray, " g"] = snapshot.classed[heads]
        self._at = {snapshot.keys[position]: i for i, position in enumerate(self.play.tolist())}
        self.answers: list[tuple[int, int, Answer]] = [
            (*(self._at[key] for key in one.keys), one)  # type: ignore[misc]  # two of them
            for one in snapshot.answers
            if one.kind == "pair" and all(key in self._at for key in one.keys)
        ]
        self.given = [
            self._at[one.keys[0]]
            for one in snapshot.answers
            if one.kind == "class" and one.keys[0] in self._at
        ]

    @cached_property
    def line(self) -> Float[np.ndarray, "2"]:
        """Slope and offset of the log-odds of "same"."""
        told = [(a, b, one.value == "same") for a, b, one in self.answers if one.value != "unsure"]
        prior, firm = np.array(LINE), np.diag(FIRM)
        line = prior.copy()
        if not told:
            return line
        a, b, same = (np.array(column) for column in zip(*told, strict=True))
        x = np.stack([_log(self.near[a, b]), np.ones(len(a))], axis=1)
        for _ in range(15):  # Newton's method; the prior keeps it from running away
            p = 1 / (1 + np.exp(-np.clip(x @ line, -20, 20)))
            slope = x.T @ (p - same) + firm @ (line - prior)
            line = line - np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]) + firm, slope)
        return line

    def odds_by(self, affinity: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
        """Odds of "same" of what have a mean affinity."""
        slope, offset = self.line
        return np.asarray(np.exp(np.clip(slope * _log(affinity) + offset, -20, 20)))

    @cached_property
    def own(self) -> Float[np.ndarray, "m g"]:
        """1 where an item is of a group."""
        return np.asarray(self.group[:, None] == np.arange(len(self.size)), dtype=np.float64)

    @cached_property
    def to_groups(self) -> Float[np.ndarray, "m g"]:
        """Mean affinity of each item to the items of each group."""
        return np.asarray(self.near @ self.own / self.size)

    @cached_property
    def odds(self) -> Float[np.ndarray, "g g"]:
        """Odds that two groups are the same by affinity alone, 0 of a group with itself."""
        odds = self.odds_by(self.own.T @ self.to_groups / self.size[:, None])
        np.fill_diagonal(odds, 0)
        return np.asarray((odds + odds.T) / 2)  # one of two roundings

    @cached_property
    def comparable(self) -> Bool[np.ndarray, "g g"]:
        """Which groups can still be compared: neither known to differ, nor left alone as unsure."""
        unsure = np.zeros_like(self.odds)
        for a, b, one in self.answers:
            if one.value == "unsure":
                unsure[self.group[a], self.group[b]] += 1
                unsure[self.group[b], self.group[a]] += 1
        pairs = self.size[:, None] * self.size[None]
        left: Bool[np.ndarray, "g g"] = (self.relation == 0) & (unsure < np.minimum(UNSURE, pairs))
        return left

    def representatives(
        self,
        one: Bool[np.ndarray, " m"],
        other: Bool[np.ndarray, " m"],
        *,
        but: tuple[int, int] | None = None,
    ) -> tuple[int, int] | None:
        """Places of an item of each set (masks), which no answer is about, nor ``but``; None: there are none.

        The most central items come first, as they are the easiest to recognise.
        """
        asked = {frozenset((a, b)) for a, b, _ in self.answers} | {frozenset(but or ())}
        sides = [self._central(mask) for mask in (one, other)]
        # By the sum of both ranks: so another representative follows the first before an odd one does.
        pairs = sorted(
            (i + j, i, a, b) for i, a in enumerate(sides[0][:32]) for j, b in enumerate(sides[1][:32])
        )
        return next(((a, b) for *_, a, b in pairs if frozenset((a, b)) not in asked), None)

    def positions(self, places: tuple[int, int]) -> tuple[int, int]:
        """Positions of the items at two places."""
        return int(self.play[places[0]]), int(self.play[places[1]])

    def _central(self, mask: Bool[np.ndarray, " m"]) -> list[int]:
        members = np.flatnonzero(mask)
        inside = self.near[np.ix_(members, members)].sum(axis=1) - self.near[members, members]
        return [int(one) for one in members[np.argsort(-inside, kind="stable")]]


def _log(affinity: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    logarithm: Float[np.ndarray, "*s"] = np.log(np.maximum(affinity, LEAST))
    return logarithm
