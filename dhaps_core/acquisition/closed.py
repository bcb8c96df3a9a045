"""The reading ``closed`` (ours): all pairs among the labelled and picked items are supervision.

Why, and what else the poster could mean: ``docs/readings.md``.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import FILLED_IN, LOG2, Problem, Rounding
from dhaps_core.acquisition.quadratic import QuadraticForm
from dhaps_core.acquisition.shortlist import first_by_position
from dhaps_core.blocks import block_cells

__all__ = ["Closed"]

CELLS = 1 << 21  # costs held at once, on a CPU
PREFIX = 1024  # items put in order at first
FIRST_ROWS = 64
BEHIND = 16  # chosen items that a sum may lack
INF = float("inf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Closed(Problem):
    """A problem whose labelled pairs are all pairs of the labelled items S.

    With g_a = sum_S k(a, s), M = max m and mu the weight of uncertainty, the cost of the pair is

        mu J*(a,b) + beta/M [ (g_a + g_b + k_ab) / (|S|+2) - (m_a + m_b) ]

    whose bracket is, up to a constant, (|S|+2)/2 times the squared MMD of the *items* P and S with both
    added: kernel herding, two items a step. With A = <m_P, m_S>, B = <m_S, m_S> and C = <m_P, m_P> that MMD
    is C - 2A + B. The one of the *pairs* P x P and S x S is C^2 - 2A^2 + B^2. It vanishes for the same S, but
    its first-order change weighs what is redundant in S, the change of B, by B/A more: on digits 37 times at
    2 items, 11 at 10, 2.5 at 100, and once where S is like P (``tests/acquisition/test_levels.py``).

    Attributes:
        labelled_items: S, the items about which an answer tells something; picks that nobody answered, and
            those answered "unsure", are not in it. None by default.

    Example:
        >>> from dhaps_core.acquisition.select import select
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
        >>> problem = Closed(codes, space=codes, bandwidth=1.0, labelled_items=torch.tensor([0]))
        >>> select(problem, picks=1).pairs.tolist()
        [[1, 2]]

    References:
        Chen, Welling, Smola: Super-Samples from Kernel Herding, UAI 2010.
    """

    labelled_items: Int[Tensor, " s"] = FILLED_IN

    @cached_property
    def scale(self) -> float:
        """Factor of the kernel terms: in units of the largest mean."""
        return self.beta / float(self.means.max())

    def sizes(self, picks: int) -> tuple[float, float, float]:
        """See :meth:`Problem.sizes`."""
        w = self.weights
        shared = self.scale * (w.representativeness + w.diversity) * float(self.means.max())
        return w.uncertainty, shared, 3 * self.scale * w.diversity

    def dense(self, pairs: Int[Tensor, "u 2"], picks: int) -> QuadraticForm:
        """See :meth:`Problem.dense`: S x S with |S| + 2q items at the end, in the units of a greedy step."""
        items, where = torch.unique(pairs, return_inverse=True)
        kernels, (first, second) = self.kernels(items, items), where.T
        rows = kernels[first] + kernels[second]
        quadratic = rows[:, first]
        quadratic += rows[:, second]
        diverse = self.scale * self.weights.diversity / (len(self.labelled_items) + 2 * picks)
        terms = {
            "uncertainty": self.weights.uncertainty * self.pair_uncertainties(pairs),
            "representativeness": -self.scale * self.weights.representativeness * self.means[pairs].sum(1),
            "diversity": diverse * self.kernels(items, self.labelled_items).sum(1)[where].sum(1),
        }
        return QuadraticForm(pairs, terms, self.credit[pairs].sum(1), quadratic.mul_(diverse), picks)

    def scores(self, pairs: Int[Tensor, "q 2"], picks: int) -> dict[str, Float[Tensor, " q"]]:
        """See :meth:`Problem.scores`.

        A step divides by the items so far, not by those at the end, and leaves out k(a, a) and k(b, b).
        """
        scores, start = super().scores(pairs, picks), len(self.labelled_items)
        before = (start + 2 * picks) * scores["diversity"] - self.scale * self.weights.diversity
        diverse = before / (start + 2 * torch.arange(1, len(pairs) + 1, device=pairs.device))
        return scores | {"diversity": diverse, "total": scores["total"] - scores["diversity"] + diverse}

    def greedy(self, picks: int) -> tuple[Int[Tensor, "q 2"], int, float]:
        """See :meth:`Problem.greedy`.

        J* >= log 2 and k >= 0 give cost >= h_a + h_b + mu log 2 with item costs h. So with the items sorted
        by h, the best pair of the first T items is the best of all once its cost is at most
        h_1 + h_(T+1) + mu log 2. Every turn makes a pick or ends, so there are at most q turns.
        """
        rounding, sums, weights = self.rounding(picks), _KernelSums(self), self.weights
        available, scored, margin = int(self.candidates.sum()), 0, INF
        own = -self.scale * weights.representativeness * self.means - self.credit
        own[~self.candidates] = INF
        pairs = own.new_zeros((0, 2), dtype=torch.long)
        for _ in range(min(picks, available // 2)):
            inverse = self.scale * weights.diversity / (len(sums.chosen) + 2)
            width = min(PREFIX, available)
            while True:  # each wider prefix is searched from the start
                best = _Best(self, rounding, inverse)
                best.search(own, sums, width, available)
                scored += best.scored
                if width == available or best.rest > best.limit:
                    break
                width = min(8 * width, available)
            if best.pair is None:
                break
            margin = min(margin, best.rest - best.cost)
            pair = pairs.new_tensor(best.pair)
            pairs = torch.cat([pairs, pair[None]])
            own[pair] = INF
            available -= 2
            sums.add(pair)
        return pairs, scored, margin


class _KernelSums:
    """Sum of each item's kernels with all chosen items, brought up to date for the items that are looked at.

    A kernel is never negative, so a sum that is behind is a lower bound, and few items ever come near a pick.

    Attributes:
        chosen: the items labelled and picked so far.
        values: the sums, lower bounds where they are behind.
    """

    def __init__(self, problem: Closed) -> None:
        self.problem, self.chosen = problem, problem.labelled_items
        self.values = torch.zeros_like(problem.means)
        self._cells = block_cells(self.values.device, CELLS)
        self._rows = max(1, self._cells // len(self.values))
        for part in self.chosen.split(self._rows):
            self.values += problem.kernels(part).sum(0)
        self._all = len(self.chosen)  # of which every sum has at least as many
        self._summed = torch.full_like(self.values, self._all, dtype=torch.long)

    def add(self, pair: Int[Tensor, "2"]) -> None:
        """Choose two more items."""
        self.chosen = torch.cat([self.chosen, pair])
        if len(self.chosen) - self._all < BEHIND:  # further behind, the bounds would be too low to be of use
            return
        for places in torch.arange(self._all, len(self.chosen), device=pair.device).split(self._rows):
            missing = places[:, None] >= self._summed
            self.values += (self.problem.kernels(self.chosen[places]) * missing).sum(0)
        self._all = len(self.chosen)
        self._summed.fill_(self._all)

    def refresh(self, items: Int[Tensor, " p"]) -> None:
        """Bring the sums of some items up to date."""
        places = torch.arange(self._all, len(self.chosen), device=items.device)
        behind = items[self._summed[items] < len(self.chosen)]
        for part in behind.split(max(1, self._cells // BEHIND)) if len(behind) else ():
            missing = places >= self._summed[part, None]
            self.values[part] += (self.problem.kernels(part, self.chosen[places]) * missing).sum(1)
        self._summed[items] = len(self.chosen)


@dataclass
class _Best:
    """The best pair of a step: the first by position of those that cost the least, up to rounding.

    Attributes:
        problem: whose pairs are searched.
        rounding: of their costs.
        inverse: factor of a kernel in this step.
        least: greatest value that the least cost met can have: the cost and its rounding error.
        pair: positions, the smaller first; None before any feasible pair.
        cost: of this pair.
        bottom: least value that its cost can have.
        rest: bound on the cost of all pairs that were not scored.
        scored: pairs whose cost was computed.
    """

    problem: Closed
    rounding: Rounding
    inverse: float
    least: float = INF
    pair: tuple[int, int] | None = None
    cost: float = INF
    bottom: float = INF
    rest: float = INF
    scored: int = 0

    @property
    def floor(self) -> float:
        """Least weighted uncertainty of a pair."""
        return self.problem.weights.uncertainty * LOG2

    @property
    def limit(self) -> float:
        """A pair that costs more is not the best."""
        return self.least + self.rounding.most

    def search(self, own: Float[Tensor, " n"], sums: _KernelSums, width: int, available: int) -> None:
        """Find the best pair of the ``width`` items with the least h, of so many available.

        ``own`` are item costs without kernels, whose ``sums`` only add to them.
        """
        least, order = (own + self.inverse * sums.values).topk(width, largest=False)
        bound = least.max()
        sums.refresh(order)
        h, places = (own[order] + self.inverse * sums.values[order]).sort()
        self._scan(h, order[places])
        if width < available:  # a pair with an item outside
            outside = torch.minimum(h[0], bound) + bound
            self.rest = min(self.rest, float(outside) + self.floor)

    def _scan(self, h: Float[Tensor, " w"], order: Int[Tensor, " w"]) -> None:
        """Score pairs of items in the order of h, in blocks of rows against the columns that could still win.

        With one dense cluster, a square would have to hold nearly all items. Every turn of the inner loop
        goes on to columns that these rows have not met, every turn of the outer loop to rows that have met
        none: no cell is scored twice.
        """
        width, sorted_h, start, rows = len(order), h.cpu(), 0, FIRST_ROWS
        cells = block_cells(h.device, CELLS)

        def reach(least: int) -> int:
            """Number of columns that could still win with the first row, but not less than ``least``."""
            most = sorted_h.new_tensor([self.limit - self.floor]) - sorted_h[start]
            return max(least, int(torch.searchsorted(sorted_h, most, right=True)))

        while start < width - 1:
            rows = min(rows, width - start)
            mine, met = slice(start, start + rows), start
            stop = min(2 * rows, width) if start == 0 else reach(start)
            while met < stop:
                stop = min(stop, met + max(1, cells // rows))
                costs = self._costs(order[mine], order[met:stop], h[mine, None] + h[None, met:stop])
                # The same pair stands on both sides of the diagonal: the upper one is the pair.
                if met < start + rows:
                    costs += torch.full_like(costs, INF).tril(start - met)
                self.scored += _above_diagonal(rows, met - start, stop - start)
                self.meet(costs, order[mine], order[met:stop])
                met = stop
                stop = reach(met)
            if met < width:
                self.rest = min(self.rest, float(sorted_h[start] + sorted_h[met]) + self.floor)
            start += rows
            if start < width - 1:
                ahead = float(sorted_h[start] + sorted_h[start + 1]) + self.floor
                if ahead > self.limit:
                    self.rest = min(self.rest, ahead)
                    break
            rows = min(4 * rows, max(1, cells // (met - start + rows)))

    def _costs(
        self, a: Int[Tensor, " p"], b: Int[Tensor, " r"], h: Float[Tensor, "p r"]
    ) -> Float[Tensor, "p r"]:
        """Costs of pairs, in place of the sums of their h."""
        h += self.inverse * self.problem.kernels(a, b)
        h += self.problem.weights.uncertainty * self.problem.uncertainties(a, b)
        h[self.problem.forbidden(a, b)] = INF
        return h

    def meet(self, costs: Float[Tensor, "p r"], rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> None:
        """Take a block of costs into account."""
        cheapest = float(costs.min())
        if not cheapest <= min(self.limit, torch.finfo(costs.dtype).max):
            return
        near = costs <= min(self.limit, cheapest + 2 * self.rounding.most)
        at, of = near.nonzero().unbind(1)
        pairs, costs = torch.stack([rows[at], columns[of]], 1).sort(1).values, costs[near]
        # Without its credits and its means a cost is its uncertainty, at least log 2, and kernels.
        own = self.problem.scale * self.problem.weights.representativeness * self.problem.means[pairs].sum(1)
        errors = self.rounding.of(costs - self.floor + own + self.problem.credit[pairs].sum(1))
        self.least = min(self.least, float((costs + errors).min()))
        if self.bottom > self.least:
            self.pair = None
        equal = costs - errors <= self.least
        if not bool(equal.any()):
            return
        pairs, costs, errors = pairs[equal], costs[equal], errors[equal]
        first = first_by_position(pairs)
        a, b = pairs[first].tolist()
        if self.pair is None or (a, b) < self.pair:
            self.pair, self.cost = (a, b), float(costs[first])
            self.bottom = self.cost - float(errors[first])


def _above_diagonal(rows: int, first: int, stop: int) -> int:
    """Number of cells right of the diagonal in some rows from 0 on and the columns first..stop-1."""
    whole = max(0, min(rows, first))
    part = max(0, min(rows, stop - 1) - whole)
    return whole * (stop - first) + part * (stop - whole - 1) - part * (part - 1) // 2
