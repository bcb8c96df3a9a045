"""Which answer looks wrong enough to be asked again, by other representatives.

Of every answer on which something hangs (the only one that joins two parts of a group, or the only one that
sets two groups apart) the probability is known that it is wrong: of "same", p by the affinities without it,
against the share of answers that go wrong. That probability is what asking again is worth.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from dhaps_core.answers.answer import Answer
from dhaps_core.session.groups import Groups

__all__ = ["doubted"]

ERRING = 0.05  # share of answers that are thought to be wrong, before any was asked again ...
FIRM = 1.0  # ... as firmly as if so many had been foretold to lose, and lost
EXPECTED = 0.25  # how many of those that are asked again are foretold to lose, about
DOUBT = 0.1  # probability of being wrong from which on an answer is asked again
LEAST = 3  # items on both sides of an answer together below which they tell nothing about it


def doubted(
    groups: Groups, skipped: Collection[tuple[int, int]] = ()
) -> tuple[tuple[int, int], Answer, float, tuple[int, int] | None] | None:
    """The pair that asks the most doubtful answer again, this answer, how likely it was "same", a third pair.

    None where no answer is doubtful enough, or no other pair is left that asks the same.
    """
    erring = _erring(groups)
    by_doubt = sorted(
        ((_wrong(one, same, erring), -one.id, same, one, sides) for one, same, sides in _hinges(groups)),
        reverse=True,
    )
    left_alone = {frozenset(pair) for pair in skipped}
    for wrong, _, same, answer, (small, large) in by_doubt:
        if wrong < DOUBT:
            break
        if (chosen := groups.representatives(small, large)) is None:
            continue
        pair, third = groups.positions(chosen), groups.representatives(small, large, but=chosen)
        if frozenset(pair) not in left_alone:
            return pair, answer, same, None if third is None else groups.positions(third)
    return None


def _erring(groups: Groups) -> float:
    """Share of answers that are thought to be wrong, by how those that were asked again came out.

    Answers beyond those that the groups hang together by have confirmed others. An unsure one about what is
    known otherwise has lost against others.
    """
    words = [one.value for *_, one in groups.answers]
    apart = {
        frozenset((int(groups.group[a]), int(groups.group[b])))
        for a, b, one in groups.answers
        if one.value == "different"
    }
    needed = len(groups.play) - len(groups.size) + len(apart)
    confirmed = max(0, len(words) - words.count("unsure") - needed)
    lost = sum(
        groups.relation[groups.group[a], groups.group[b]] != 0
        for a, b, one in groups.answers
        if one.value == "unsure"
    )
    return ERRING * (FIRM + int(lost)) / (FIRM + EXPECTED * (confirmed + int(lost)))


def _wrong(answer: Answer, same: float, erring: float) -> float:
    """Probability that an answer is wrong, given that of "same" without it."""
    against = same if answer.value == "different" else 1 - same
    return against * erring / (against * erring + (1 - against) * (1 - erring))


_Sides = tuple[Bool[np.ndarray, " m"], Bool[np.ndarray, " m"]]


def _hinges(groups: Groups) -> Iterator[tuple[Answer, float, _Sides]]:
    """Each answer on which something hangs, the probability of "same" without it, and its two sides."""
    odds, group = groups.odds, groups.group
    competing = np.where(groups.relation == 0, odds, 0).sum(axis=1)
    apart: dict[tuple[int, int], list[Answer]] = {}
    same: list[tuple[int, int, Answer]] = []
    for a, b, answer in groups.answers:
        if answer.value == "same":
            same.append((a, b, answer))
        elif answer.value == "different":
            x, y = sorted((int(group[a]), int(group[b])))
            apart.setdefault((x, y), []).append(answer)
    for (x, y), answers in apart.items():
        classes_differ = groups.classed[x] and groups.classed[y]
        if len(answers) == 1 and not classes_differ and groups.size[x] + groups.size[y] >= LEAST:
            p = odds[x, y] / (1 + odds[x, y] + max(competing[x], competing[y]))
            sides = sorted((group == x, group == y), key=np.count_nonzero)
            yield answers[0], float(p), (sides[0], sides[1])
    by_class = [
        (a, b, None)
        for a, b in pairwise(sorted(groups.given, key=lambda one: group[one]))
        if group[a] == group[b]
    ]
    for answer, one in bridges(len(group), [*same, *by_class]):
        number = group[np.flatnonzero(one)[0]]
        other = (group == number) & ~one
        if groups.size[number] < LEAST:
            continue
        small, large = sorted((one, other), key=np.count_nonzero)
        joined = groups.odds_by(groups.near[np.ix_(small, large)].mean(keepdims=True))[0, 0]
        others = groups.odds_by(groups.to_groups[small].mean(axis=0))
        others[number] = 0
        yield answer, float(joined / (1 + joined + others.sum())), (small, large)


def bridges(
    count: int, edges: Sequence[tuple[int, int, Answer | None]]
) -> Iterator[tuple[Answer, Bool[np.ndarray, " m"]]]:
    """The answers without which a part of a graph falls in two, each with the nodes on one side of it."""
    near: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for number, (a, b, _) in enumerate(edges):
        near[a].append((b, number))
        near[b].append((a, number))
    for number, (*ends, answer) in enumerate(edges):
        if answer is None:
            continue
        a, b = sorted(ends, key=lambda node: -len(near[node]))  # most often the one end has no other edge
        reached = np.zeros(count, dtype=bool)
        reached[b] = True
        left = [b]
        while left and not reached[a]:
            for node, edge in near[left.pop()]:
                if edge != number and not reached[node]:
                    reached[node] = True
                    left.append(node)
        if not reached[a]:
            yield answer, reached
