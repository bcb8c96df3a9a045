"""Supervision: which pairs of items are similar, dissimilar or unknown, given the answers at one moment.

A snapshot is frozen. It answers for any pairs at once, from per-item arrays, without ever listing the pairs
that the answers imply: 500 answers may imply 500 pairs or 70,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int8, Int64, Integer, UInt8

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure, Components, Overlaps
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.keys import positions

__all__ = ["Snapshot"]


class Snapshot:
    """The supervision that a list of answers gives about a list of items; read-only.

    With one class per item, relations are closed (see `closure`). With several, two labelled items are
    similar when they share a class and dissimilar otherwise, and a pair answer counts for its own pair only:
    sharing a class is not transitive. An item that was given `NO_CLASS` is labelled, and similar to no other.

    Exact copies inherit what is known of the first of them that an answer is about, and are similar to it.
    With one class per item they are joined to it in the order of their positions, but for those that the
    answers set apart: two people may have seen one picture differently. With several classes, where nothing
    is closed, a copy that an answer is about keeps to what it says. A copy costs nobody an answer, so budgets
    count `answered`; training may use all of `supervised`.

    Attributes:
        keys: [n] key of each item; positions below count from 0 in this order. Answers about others still
            connect items that are here.
        answers: the answers.
        multi_label: whether an item may have several classes.
        class_names: [c] classes in the order first answered; with `multi_label`, without `NO_CLASS`.
        supervised: [s] ascending positions of the items that take part in a known relation or have a class.
        answered: [a] those of them that an answer is about, so without what copies inherit.
        classes: [n] index into `class_names`, -1 where unknown, through "same" from a labelled item too; with
            `multi_label`, [n c] whether the item has the class.
        classed: [n] whether the class or classes of each item are known.
        groups: [n] number of the group of items known to be the same that each is in, from 0 on.
        unsure_pairs: [u 2] positions of the pairs answered "unsure": no supervision, not to be asked again.
        component_sizes: [n] items known to be the same as each item, itself included.

    Args:
        keys: distinct keys.
        answers: as `LabelStore.answers` gives them.
        multi_label: whether an item may have several classes.
        copies: [n] position of the item that each item is an exact copy of, its own if of none. None: no
            copies. Give items that must learn nothing (queries) their own.

    Raises:
        ValueError: a key appears twice, an answer gives several classes where an item has one, or `copies`
            are not positions of items that are no copies.
        Contradiction: the answers do not agree.

    Example:
        >>> answers = [
        ...     Answer.given("pair", pair, word, who="anna", seconds=1.0, id=i)
        ...     for i, (pair, word) in enumerate([("ab", "same"), ("bc", "different")], 1)
        ... ]
        >>> Snapshot("abcd", answers).relations(np.array([0, 0, 0]), np.array([1, 2, 3]))
        array([ 1, -1,  0], dtype=int8)
    """

    def __init__(
        self,
        keys: Sequence[str],
        answers: Sequence[Answer],
        *,
        multi_label: bool = False,
        copies: Int64[np.ndarray, " n"] | None = None,
    ) -> None:
        self.keys = tuple(keys)
        self.answers = tuple(answers)
        self.multi_label = multi_label
        self._position = positions(self.keys)
        closure = Closure(multi_label=multi_label)
        closure.update(self.answers)

        unsure = dict.fromkeys(a.keys for a in self.answers if a.value == "unsure")
        present = [at for pair in unsure if len(at := self._at(pair)) == 2]
        self.unsure_pairs: Int64[np.ndarray, "u 2"] = np.sort(
            np.array(present, dtype=np.int64).reshape(-1, 2)
        )
        given = (one for a in self.answers for one in a.classes)
        self.class_names = tuple(one for one in dict.fromkeys(given) if not (multi_label and one == NO_CLASS))

        told = {key for a in self.answers if a.value != "unsure" for key in a.keys}
        heard: Bool[np.ndarray, " n"] = np.array([key in told for key in self.keys], dtype=bool)
        copied = self._copies(copies, heard)
        facts = closure.facts
        if isinstance(facts, Components):
            for i, original in copied:
                facts.join(self.keys[original], self.keys[i])
            self._from_components(facts)
        else:
            self._from_overlaps(facts, [(i, original) for i, original in copied if not heard[i]])
        sizes = np.bincount(self.groups, minlength=self._count)
        self.component_sizes: Int64[np.ndarray, " n"] = sizes[self.groups]
        related = self.classed | (self.component_sizes > 1) | self._linked[self.groups]
        self.supervised: Int64[np.ndarray, " s"] = np.flatnonzero(related)
        self.answered: Int64[np.ndarray, " a"] = np.flatnonzero(related & heard)
        arrays = (self.classes, self.classed, self.supervised, self.answered, self.component_sizes)
        for array in (*arrays, self.unsure_pairs):
            array.setflags(write=False)

    def relations(
        self, a: Integer[np.ndarray, "*#p"], b: Integer[np.ndarray, "*#p"]
    ) -> Int8[np.ndarray, "*p"]:
        """What is known of pairs: +1 similar, -1 dissimilar, 0 unknown; an item is similar to itself.

        Args:
            a: positions of the first items.
            b: positions of the second ones. The shapes broadcast: [r 1] and [1 s] give the block [r s].

        Raises:
            IndexError: a position is not in 0 .. n-1.
        """
        for side in (a, b):
            if side.size and not 0 <= side.min() <= side.max() < len(self.keys):
                rule = f"positions must be in 0 .. {len(self.keys) - 1}"
                raise IndexError(f"{rule}; got {side.min()} .. {side.max()}. Check the items.")
        x, y = self.groups[a], self.groups[b]
        equal: Bool[np.ndarray, "*p"] = x == y
        differ: Bool[np.ndarray, "*p"]
        if self.multi_label:
            differ = self.classed[a] & self.classed[b]
            for byte in self._bytes:
                equal |= (byte[a] & byte[b]) != 0
            differ &= ~equal
        else:
            differ = (self.classes[a] != self.classes[b]) & self.classed[a] & self.classed[b]
        result: Int8[np.ndarray, "*p"] = equal.view(np.int8) - differ.view(np.int8)
        if len(self._links):
            at = np.nonzero(self._linked[x] & self._linked[y])
            x, y = (side[at] for side in np.broadcast_arrays(x, y))
            links = np.minimum(x, y) * self._count + np.maximum(x, y)
            i = np.minimum(np.searchsorted(self._links, links), len(self._links) - 1)
            hit = self._links[i] == links
            result[tuple(axis[hit] for axis in at)] = self._link_values[i[hit]]
        return result

    def _at(self, keys: Iterable[str]) -> list[int]:
        return [self._position[key] for key in keys if key in self._position]

    def _copies(
        self, copies: Int64[np.ndarray, " n"] | None, heard: Bool[np.ndarray, " n"]
    ) -> list[tuple[int, int]]:
        """Copies by position, each with its original: the first of them that an answer is about, if any."""
        if copies is None:
            return []
        n = len(self.keys)
        inside = len(copies) == n and ((copies >= 0) & (copies < n)).all()
        if not inside or (copies[copies] != copies).any():
            rule = f"copies must give each of the {n} items the position of one that is no copy"
            raise ValueError(f"{rule}; got {copies}. Take Items.duplicates().")
        first = np.full(n, n)
        np.minimum.at(first, copies[heard], np.flatnonzero(heard))
        original = first[copies]
        found = np.flatnonzero((original < n) & (original != np.arange(n)))
        return list(zip(found.tolist(), original[found].tolist(), strict=True))

    def _from_components(self, facts: Components) -> None:
        """Groups are components; links are the pairs of groups set apart by a "different"."""
        n, nodes = len(self.keys), len(facts.nodes)
        roots = np.array([facts.find(node) for node in range(nodes)], dtype=np.int64)
        own = np.arange(nodes, nodes + n)  # items without an answer are groups of one
        for name, node in facts.nodes.items():
            if isinstance(name, str) and name in self._position:
                own[self._position[name]] = roots[node]
        _, groups = np.unique(np.concatenate([own, roots]), return_inverse=True)
        self.groups: Int64[np.ndarray, " n"] = groups[:n]
        self._count = int(groups.max(initial=-1)) + 1
        of_node = groups[n:]
        class_of, hubs = np.full(self._count, -1), [facts.nodes[name,] for name in self.class_names]
        class_of[of_node[hubs]] = np.arange(len(hubs))
        self.classes: Int64[np.ndarray, " n"] | Bool[np.ndarray, "n c"] = class_of[self.groups]
        self.classed: Bool[np.ndarray, " n"] = self.classes >= 0
        apart = [(x, y) for x, enemies in enumerate(facts.enemies) for y in enemies if x < y]
        ends = of_node[np.array(apart, dtype=np.int64).reshape(-1, 2)]
        self._link(ends, np.full(len(ends), -1, dtype=np.int8), told=class_of >= 0)

    def _from_overlaps(self, facts: Overlaps, copied: Sequence[tuple[int, int]]) -> None:
        """Groups are items with their copies; links are pair answers that the classes do not give anyway."""
        n, c = len(self.keys), len(self.class_names)
        self.groups, self._count = np.arange(n), n
        for i, original in copied:
            self.groups[i] = original
        multi_hot: Bool[np.ndarray, "n c"] = np.zeros((n, c), dtype=bool)
        number = positions(self.class_names)
        for key, classes in facts.classes.items():
            multi_hot[self._at((key,)), [[number[one]] for one in classes if one in number]] = True
        self.classes = multi_hot = multi_hot[self.groups]
        classed = np.zeros(n, dtype=bool)
        classed[self._at(facts.classes)] = True
        self.classed = classed[self.groups]
        self._bytes: UInt8[np.ndarray, "w n"] = np.ascontiguousarray(np.packbits(multi_hot, axis=1).T)
        said = [(at, a.value == "same") for keys, a in facts.pairs.items() if len(at := self._at(keys)) == 2]
        ends = np.array([at for at, _ in said], dtype=np.int64).reshape(-1, 2)
        values = np.array([1 if same else -1 for _, same in said], dtype=np.int8)
        self._link(ends, values, told=self.classed)

    def _link(
        self, ends: Int64[np.ndarray, "k 2"], values: Int8[np.ndarray, " k"], *, told: Bool[np.ndarray, " g"]
    ) -> None:
        """Keep what is known of pairs of groups whose classes do not tell it, sorted for look-up."""
        new = ~told[ends].all(axis=1)
        ends, values = ends[new], values[new]
        links = ends.min(axis=1) * self._count + ends.max(axis=1)
        order = np.argsort(links)
        self._links: Int64[np.ndarray, " k"] = links[order]
        self._link_values: Int8[np.ndarray, " k"] = values[order]
        self._linked: Bool[np.ndarray, " g"] = np.zeros(self._count, dtype=bool)
        self._linked[ends.ravel()] = True
