"""Closure: what a list of answers implies, and the shortest chain of answers that a new one contradicts.

With one class per item, "same" is an equivalence: same(a, b) and same(b, c) give same(a, c); same(a, b) and
different(b, c) give different(a, c). A class is a hub that its items are the same as, and hubs are different
from each other. Components are kept by union-find without recursion; each has the set of those it is known to
differ from, and sets are merged small into large, so a chain of any length is quick.

With several classes per item, two items are similar when they share one. That is not transitive (a and b may
share "sky", b and c "sea"), so nothing follows from pair answers but themselves.

"unsure" says nothing about the pair in either case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dhaps_core.answers.answer import Answer
from dhaps_core.data.class_names import NO_CLASS

__all__ = ["Closure", "Components", "Contradiction", "Overlaps"]

_SHOWN = 12


class Contradiction(ValueError):  # noqa: N818 - the name of the thing, as one would say it
    """An answer that cannot be true together with earlier ones.

    Attributes:
        answer: the answer that is refused.
        chain: the fewest earlier answers that conflict with it, in the order in which they connect.
    """

    def __init__(self, answer: Answer, chain: Sequence[Answer]) -> None:
        self.answer = answer
        self.chain = tuple(chain)
        told = [_told(one) for one in chain]
        if len(told) > _SHOWN:
            told[_SHOWN // 2 : -_SHOWN // 2] = [f"... {len(told) - _SHOWN} more ..."]
        super().__init__(
            f"answers must agree with each other; got {_told(answer)}, against {'; '.join(told)}. "
            "Retract or revise one of them."
        )


class Closure:
    """What the answers so far imply, kept up to date as answers are added.

    Attributes:
        answers: the answers.
        facts: the components, or the overlaps where items may have several classes.

    Args:
        multi_label: whether an item may have several classes.

    Example:
        >>> answers = [
        ...     Answer.given("pair", pair, word, who="anna", seconds=1.0, id=i)
        ...     for i, (pair, word) in enumerate([("ab", "same"), ("bc", "same"), ("ac", "different")], 1)
        ... ]
        >>> closure = Closure()
        >>> closure.update(answers[:2])
        >>> try:
        ...     closure.update(answers)
        ... except Contradiction as error:
        ...     print([answer.id for answer in error.chain])
        [1, 2]
    """

    def __init__(self, *, multi_label: bool = False) -> None:
        self._kind = Overlaps if multi_label else Components
        self.facts: Components | Overlaps = self._kind()
        self.answers: list[Answer] = []

    def update(self, answers: Sequence[Answer]) -> None:
        """Follow a list of answers: only what is new is added, unless an answer was withdrawn from the list.

        Raises:
            Contradiction: an answer conflicts with those before it, which are kept.
        """
        known = list(answers[: len(self.answers)])
        if known == self.answers:
            self.answers = known  # the same objects as next time, which compare fast
        else:
            self.facts, self.answers = self._kind(), []
        for answer in answers[len(self.answers) :]:
            self.add(answer)

    def add(self, answer: Answer) -> None:
        """Add one answer.

        Raises:
            Contradiction: it conflicts with the answers so far; it is not added.
            ValueError: it gives an item several classes where an item has one.
        """
        if answer.value != "unsure" and (chain := self.facts.conflict(answer)):
            raise Contradiction(answer, chain)
        self.facts.add(answer)
        self.answers.append(answer)


class Components:
    """Items, classes and what connects them, where an item has one class.

    Attributes:
        nodes: number of each item (by key) and each class (by the tuple of it), in the order first seen.
        enemies: for the root of a component, the roots that a "different" sets apart from it.
        hub: for the root of a component, the node of its class, or -1.
    """

    def __init__(self) -> None:
        self.nodes: dict[str | tuple[str, ...], int] = {}
        self.enemies: list[set[int]] = []
        self.hub: list[int] = []
        self._parent: list[int] = []
        self._weight: list[int] = []  # nodes and ends of "different": bounds what a merge has to move
        self._same: list[list[tuple[int, Answer]]] = []
        self._different: list[list[tuple[int, Answer]]] = []

    def find(self, node: int) -> int:
        """Root of the component of a node; halves the path on the way."""
        parent = self._parent
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    def conflict(self, answer: Answer) -> list[Answer]:
        """The shortest chain that an answer contradicts; empty if there is none."""
        u, v = self._ends(answer)
        x, y = self.find(u), self.find(v)
        if answer.value == "different":
            return self._way(self._reach(u), v)[::-1] if x == y else []
        return self._way_apart(u, v) if self._apart(x, y) else []

    def add(self, answer: Answer) -> None:
        """Add an answer that conflicts with none."""
        u, v = self._ends(answer)
        if answer.value == "unsure":
            return
        x, y = self.find(u), self.find(v)
        if answer.value == "different":
            self._different[u].append((v, answer))
            self._different[v].append((u, answer))
            self.enemies[x].add(y)
            self.enemies[y].add(x)
            self._weight[x] += 1
            self._weight[y] += 1
            return
        self._same[u].append((v, answer))
        self._same[v].append((u, answer))
        self._merge(x, y)

    def joined(self, pairs: Sequence[tuple[str, str]]) -> Components:
        """The components with pairs of items taken for the same, in order; see :meth:`join`."""
        copy = Components()
        copy.nodes, copy.hub, copy.enemies = self.nodes, self.hub.copy(), [set(one) for one in self.enemies]
        copy._parent, copy._weight = self._parent.copy(), self._weight.copy()
        for a, b in pairs:
            copy.join(a, b)
        return copy

    def join(self, a: str, b: str) -> None:
        """Take two items for the same without an answer, unless the answers set them apart.

        No chain leads over them: ask for no conflict afterwards.
        """
        x, y = self.find(self._node(a)), self.find(self._node(b))
        if not self._apart(x, y):
            self._merge(x, y)

    def _apart(self, x: int, y: int) -> bool:
        # Two components that both have a class have different ones: a class is in one component only.
        return x != y and (y in self.enemies[x] or min(self.hub[x], self.hub[y]) >= 0)

    def _merge(self, x: int, y: int) -> None:
        if x == y:
            return
        large, small = (x, y) if self._weight[x] >= self._weight[y] else (y, x)
        self._parent[small] = large
        self._weight[large] += self._weight[small]
        self.hub[large] = max(self.hub[large], self.hub[small])
        for enemy in self.enemies[small]:
            self.enemies[enemy].remove(small)
            self.enemies[enemy].add(large)
        self.enemies[large] |= self.enemies[small]
        self.enemies[small].clear()

    def _ends(self, answer: Answer) -> tuple[int, int]:
        """The two nodes of an answer: both items, or the item and its class."""
        if answer.kind == "pair":
            a, b = answer.keys
            return self._node(a), self._node(b)
        if not isinstance(answer.value, tuple) or len(answer.value) != 1:
            raise ValueError(
                f"an item must have one class; got {_told(answer)}. Give one, or set multi_label=True."
            )
        return self._node(answer.keys[0]), self._node(answer.value)

    def _node(self, name: str | tuple[str, ...]) -> int:
        node = self.nodes.setdefault(name, len(self._parent))
        if node == len(self._parent):
            self._parent.append(node)
            self._weight.append(1)
            self.enemies.append(set())
            self.hub.append(node if isinstance(name, tuple) else -1)
            self._same.append([])
            self._different.append([])
        return node

    def _reach(self, start: int) -> dict[int, tuple[int, int, Answer | None]]:
        """Breadth first over "same": distance, previous node and answer for each node of the component."""
        found: dict[int, tuple[int, int, Answer | None]] = {start: (0, start, None)}
        queue = deque([start])
        while queue:
            node = queue.popleft()
            for other, answer in self._same[node]:
                if other not in found:
                    found[other] = (found[node][0] + 1, node, answer)
                    queue.append(other)
        return found

    @staticmethod
    def _way(reach: dict[int, tuple[int, int, Answer | None]], node: int) -> list[Answer]:
        """The answers from a node back to the start of the search."""
        way = []
        _, previous, answer = reach[node]
        while answer is not None:
            way.append(answer)
            _, previous, answer = reach[previous]
        return way

    def _way_apart(self, u: int, v: int) -> list[Answer]:
        """The fewest answers that set two nodes apart: over one "different", or over two classes."""
        near, far = self._reach(u), self._reach(v)
        crossings: list[tuple[int, int, Answer | None]] = [
            (node, other, answer) for node in near for other, answer in self._different[node] if other in far
        ]
        hubs = self.hub[self.find(u)], self.hub[self.find(v)]
        if min(hubs) >= 0:
            crossings.append((*hubs, None))
        node, other, answer = min(crossings, key=lambda c: near[c[0]][0] + far[c[1]][0] + (c[2] is not None))
        return self._way(near, node)[::-1] + ([] if answer is None else [answer]) + self._way(far, other)


class Overlaps:
    """Classes of items and pair answers, where items may have several classes.

    Attributes:
        classes: for each item, its classes, each with the first answer that gave it.
        pairs: the first "same" or "different" answer on each pair of keys.
    """

    def __init__(self) -> None:
        self.classes: dict[str, dict[str, Answer]] = {}
        self.pairs: dict[tuple[str, ...], Answer] = {}
        self._partners: dict[str, list[Answer]] = {}

    def conflict(self, answer: Answer) -> list[Answer]:
        """The shortest chain that an answer contradicts; empty if there is none."""
        if answer.kind == "pair":
            known = self.pairs.get(answer.keys)
            if known is not None:
                return [known] if known.value != answer.value else []
            a, b = (self.classes.get(key, {}) for key in answer.keys)
            return self._mismatch(answer, a, b)
        key = answer.keys[0]
        mine = {**dict.fromkeys(answer.value, answer), **self.classes.get(key, {})}
        chains = []
        for pair in self._partners.get(key, ()):
            theirs = self.classes.get(pair.keys[pair.keys[0] == key], {})
            if chain := self._mismatch(pair, mine, theirs):
                chains.append([pair, *(one for one in chain if one is not answer)])
        return min(chains, key=len, default=[])

    def add(self, answer: Answer) -> None:
        """Add an answer that conflicts with none."""
        if answer.kind == "class":
            classes = self.classes.setdefault(answer.keys[0], {})
            for one in answer.value:
                classes.setdefault(one, answer)
        elif answer.value != "unsure" and answer.keys not in self.pairs:
            self.pairs[answer.keys] = answer
            for key in answer.keys:
                self._partners.setdefault(key, []).append(answer)

    @staticmethod
    def _mismatch(pair: Answer, a: dict[str, Answer], b: dict[str, Answer]) -> list[Answer]:
        """The class answers that a pair answer conflicts with: for one shared class, or all of them."""
        if not (a and b):
            return []
        shared = [one for one in a if one in b and one != NO_CLASS]
        if pair.value == "different":
            return [a[shared[0]], b[shared[0]]] if shared else []
        return [] if shared else list(dict.fromkeys([*a.values(), *b.values()]))


def _told(answer: Answer) -> str:
    """An answer in words."""
    if isinstance(answer.value, str):
        said = f"{answer.keys[0]} {answer.value} {answer.keys[1]}"
    else:
        said = f"{answer.keys[0]} is {', '.join(map(repr, answer.value))}"
    return f"{said} (answer {answer.id}, {answer.who})"
