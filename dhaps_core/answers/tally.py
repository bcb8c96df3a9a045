"""Tally: how many items are labelled and how many pairs are known, counted from a live closure.

A count takes a pass over the items that answers are about, and none over the collection: a card counts after
every answer. What counts is what `Snapshot` tells about the same answers, copies included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int64

from dhaps_core.answers.closure import Closure, Components, Overlaps
from dhaps_core.data.class_names import NO_CLASS

__all__ = ["Tally"]

_BLOCK = 256


class Tally:
    """Counts over the items of a collection.

    Args:
        position: of each item by its key, n of them.
        copies: [n] position of the item that each item is an exact copy of, as `Snapshot` takes it.

    Example:
        >>> from dhaps_core.answers.answer import Answer
        >>> closure = Closure()
        >>> for pair in ("ab", "bc"):
        ...     closure.add(Answer.given("pair", pair, "same", who="anna", seconds=1.0, id=1))
        >>> Tally({"a": 0, "b": 1, "c": 2, "d": 3}).count(closure)
        {'items_labelled': 3, 'answers': 2, 'pairs_similar': 3, 'pairs_dissimilar': 0}
    """

    def __init__(self, position: Mapping[str, int], *, copies: Int64[np.ndarray, " n"] | None = None) -> None:
        self._position = position
        self._copies = np.arange(len(position)) if copies is None else copies
        self._alike = np.bincount(self._copies, minlength=len(position))

    def count(self, closure: Closure) -> dict[str, int]:
        """Both budgets (items labelled, answers) and the unordered pairs of two items that are known."""
        told = {key for answer in closure.answers if answer.value != "unsure" for key in answer.keys}
        keys = sorted(told & self._position.keys(), key=self._position.__getitem__)
        copies = self._copies[np.array([self._position[key] for key in keys], dtype=np.int64)]
        # The first item of some copies that was heard of stands for those that were not.
        _, first, which, heard = np.unique(copies, return_index=True, return_inverse=True, return_counts=True)
        weights: Int64[np.ndarray, " h"] = np.ones(len(keys), dtype=np.int64)
        weights[first] += self._alike[copies[first]] - heard
        facts = closure.facts
        if isinstance(facts, Components):
            again = [(keys[i], key) for i, key in zip(first[which], keys, strict=True) if keys[i] != key]
            counts = _of_components(facts.joined(again) if again else facts, keys, weights)
        else:
            counts = _of_overlaps(facts, dict(zip(keys, weights.tolist(), strict=True)))
        items, similar, dissimilar = counts
        return {
            "items_labelled": items,
            "answers": len(closure.answers),
            "pairs_similar": similar,
            "pairs_dissimilar": dissimilar,
        }


def _of_components(
    facts: Components, keys: Sequence[str], weights: Int64[np.ndarray, " h"]
) -> tuple[int, int, int]:
    """Items labelled, pairs similar and dissimilar: within components, between classes, over "different"."""
    roots = [facts.find(facts.nodes[key]) for key in keys]
    size = np.bincount(roots, weights, minlength=len(facts.hub)).astype(np.int64).tolist()
    classed = [n for n, hub in zip(size, facts.hub, strict=True) if hub >= 0]
    labelled = sum(size[root] > 1 or facts.hub[root] >= 0 or bool(facts.enemies[root]) for root in roots)
    similar = sum(n * (n - 1) // 2 for n in size)
    dissimilar = (sum(classed) ** 2 - sum(n * n for n in classed)) // 2 + sum(
        size[x] * size[y]
        for x, enemies in enumerate(facts.enemies)
        for y in enemies
        if x < y and min(facts.hub[x], facts.hub[y]) < 0
    )
    return labelled, similar, dissimilar


def _of_overlaps(facts: Overlaps, weights: dict[str, int]) -> tuple[int, int, int]:
    """Items labelled, pairs similar and dissimilar: by classes shared, within copies, by pair answers."""
    patterns: Counter[frozenset[str]] = Counter()
    similar = dissimilar = 0
    for key, n in weights.items():
        known = facts.classes.get(key)
        pattern = frozenset(known or ()) - {NO_CLASS}
        if known is not None:
            patterns[pattern] += n
        if not pattern:  # copies are similar to each other also where they share no class
            similar += n * (n - 1) // 2
            dissimilar -= 0 if known is None else n * (n - 1) // 2
    place = {name: i for i, name in enumerate(dict.fromkeys(one for pattern in patterns for one in pattern))}
    hot = np.zeros((len(patterns), len(place)), dtype=np.float32)
    for row, pattern in zip(hot, patterns, strict=True):
        row[[place[one] for one in pattern]] = 1
    counts = np.array(list(patterns.values()), dtype=np.int64)
    blocks = range(0, len(counts), _BLOCK)
    ordered = sum(counts[i : i + _BLOCK] @ ((hot[i : i + _BLOCK] @ hot.T > 0) @ counts) for i in blocks)
    items, themselves = int(counts.sum()), int(counts[hot.any(axis=1)].sum())
    shared = (int(ordered) - themselves) // 2  # an item without a class does not share one with itself
    labelled = {key for key, n in weights.items() if key in facts.classes or n > 1}
    for pair, answer in facts.pairs.items():
        a, b = pair
        if {a, b} <= weights.keys() and not {a, b} <= facts.classes.keys():
            labelled |= {a, b}
            similar += weights[a] * weights[b] * (answer.value == "same")
            dissimilar += weights[a] * weights[b] * (answer.value == "different")
    return len(labelled), similar + shared, dissimilar + items * (items - 1) // 2 - shared
