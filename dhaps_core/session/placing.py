"""Which two items to ask about next, where same / different answers place items among groups.

Items come into play in the order in which they were picked, each as a group of its own. While two groups
that nobody has compared may well be one, the likeliest two are asked about, by a representative each; else
the next item comes into play. So an item is asked against the likeliest group first, after a "different"
against the next one, and once all others are improbable it is left a group of its own for now. To ask on
would tell what is known anyway, at the price of an answer for every group; and if later items make two groups
look alike, they are compared then. Two groups of several items each are compared while the pairs that "same"
would imply, times its probability, are worth it: a class in two pieces costs more than an item not placed.
First of all, an answer that looks wrong is asked again (`doubts`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.session.doubts import doubted
from dhaps_core.session.groups import Groups, Near

__all__ = ["WORTH", "Ask", "next_pair"]

WORTH = 0.05  # probability of "same" from which on a comparison is worth its answer ...
PIECES = 0.2  # ... or, of two groups of several items, the number of pairs that it is expected to imply
AHEAD = 16  # items that come into play at once at first


@dataclass(frozen=True)
class Ask:
    """A question about two items.

    Attributes:
        pair: positions: the item that is placed, and the representative of a group.
        doubted: the answer that is asked again by it, or None.
        same: the probability of "same" by affinities; of a doubted answer, without it.
        third: of a doubted answer, another pair that asks it a third time, if there is one.
        classed: whether the class of each of the two is known.
        size: items in the group of the second.
        odds: that the first is of each group that it may be of, against being of none of them; first of the
            groups whose class is known, then of the others.
    """

    pair: tuple[int, int]
    doubted: Answer | None
    same: float
    third: tuple[int, int] | None = None
    classed: tuple[bool, bool] = (True, True)
    size: int = 1
    odds: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())


def next_pair(
    snapshot: Snapshot,
    order: Sequence[int],
    near: Near,
    *,
    pool: Collection[int],
    skipped: Collection[tuple[int, int]] = (),
) -> Ask | None:
    """What to ask next, or None where all items in play are known to be the same or to differ.

    Args:
        snapshot: of the answers so far.
        order: positions of the items to be placed.
        near: affinities.
        pool: positions of the items that may be asked about.
        skipped: pairs put behind all others, the item that was placed first: it is left alone, or, where it
            is of a group already, this group is not compared with the other's.
    """
    told = [one for one in snapshot.answered.tolist() if one in pool]
    known = set(told)
    waiting = [one for one in dict.fromkeys(order) if one not in known]
    if (again := doubted(Groups(snapshot, told, near), skipped)) is not None:
        pair, answer, same, third = again
        return Ask(pair, answer, same, third)
    ahead = AHEAD
    while True:
        groups = Groups(snapshot, told + waiting[:ahead], near)
        alone = len(groups.size) - len(waiting[:ahead])  # these groups are in play from the start
        odds = np.where(groups.comparable, groups.odds, 0.0)
        _leave_out(odds, groups, skipped)
        for count in range(max(2, alone), len(odds) + 1):
            if (found := _likeliest(odds[:count, :count], groups.size[:count], worth=WORTH)) is not None:
                return _ask(groups, found)
        if ahead >= len(waiting):
            found = _likeliest(odds, groups.size, worth=0.0)
            return None if found is None else _ask(groups, found)
        ahead *= 2


def _likeliest(
    odds: Float[np.ndarray, "g g"], size: Int64[np.ndarray, " g"], *, worth: float
) -> tuple[int, int, float] | None:
    """The two groups likeliest to be the same, and how likely; None where no two are worth a question.

    An item is of one group or of a new one: the odds of all groups that it may be of compete. Where no two
    are likely enough, those two groups of several items whose "same" is expected to imply most.
    """
    total = 1 + odds.sum(axis=1)
    same = odds / np.maximum(total[:, None], total[None])
    value = same
    if same.size and same.max() <= worth:
        several = np.where(size > 1, size, 0)
        value, worth = same * several[:, None] * several, PIECES
    if not same.size or value.max() <= worth:
        return None
    a, b = divmod(int(value.argmax()), len(same))
    return a, b, float(same[a, b])


def _leave_out(odds: Float[np.ndarray, "g g"], groups: Groups, skipped: Collection[tuple[int, int]]) -> None:
    place = {position: i for i, position in enumerate(groups.play.tolist())}
    for pair in skipped:
        if all(position in place for position in pair):
            a, b = (groups.group[place[position]] for position in pair)
            odds[a, b] = odds[b, a] = 0
            if groups.size[a] == 1:
                odds[a] = odds[:, a] = 0


def _ask(groups: Groups, found: tuple[int, int, float]) -> Ask | None:
    a, b, same = found
    # The later and the smaller of the two is the one to be placed.
    a, b = sorted((a, b), key=lambda one: (groups.size[one], -one))
    chosen = groups.representatives(groups.group == a, groups.group == b)
    assert chosen is not None, "groups that can be compared have two items that were not"
    classed = bool(groups.classed[a]), bool(groups.classed[b])
    named, unnamed = (
        tuple(groups.odds[a, groups.comparable[a] & known].tolist())
        for known in (groups.classed, ~groups.classed)
    )
    size, odds = int(groups.size[b]), (named, unnamed)
    return Ask(groups.positions(chosen), None, same, classed=classed, size=size, odds=odds)
