"""Greedy selection over ALL n(n-1)/2 pairs of a pool without ever storing them, exact at every step.

Both solvers are branch and bound: a pair that was not scored has a cost of at least a known bound, and a pick
is made only when its cost is at most that bound. The difference ``bound - cost`` is the certificate.

Costs that differ by no more than rounding can explain count as equal, and of equal pairs the first by
position is picked: so picks depend neither on the size of a block, nor on threads, nor on the device.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import LOG2, Pool
from dhaps_core.acquisition.shortlist import Shortlist, cheapest_pairs, first_by_position

__all__ = ["greedy_closed", "greedy_published"]

CELLS = 1 << 21  # costs held at once
PREFIX = 1024  # items put in order at first
FIRST_ROWS = 64
BEHIND = 16  # chosen items that a sum may lack
LISTED = 1 << 15  # pairs on a list; with near ties everywhere, a longer one hardly lasts longer


def greedy_closed(pool: Pool) -> tuple[Int[Tensor, "q 2"], int, float]:
    """Picks of the reading ``closed``, pairs scored, and the least margin of the certificate.

    With S the items labelled and picked so far, g_a = sum_S k(a, s) and M = max m, the cost of the pair is
    mu J*(a,b) + beta/M [ (g_a + g_b + k_ab) / (|S|+2) - (m_a + m_b) ]: what adding both items does to the
    squared MMD of all items and S, which is the first-order change of MMD^2(P x P, S x S).
    J* >= log 2 and k >= 0 give cost >= h_a + h_b + mu log 2 with item costs h. So with the items sorted by h,
    the best pair of the first T items is the best of all once its cost is at most h_1 + h_(T+1) + mu log 2.

    Every turn makes a pick or ends, so there are at most q turns.

    References:
        Chen, Welling, Smola: Super-Samples from Kernel Herding, UAI 2010 (the item-level step).
    """
    weights, scale, free = pool.weights, pool.closed_scale, pool.candidates.clone()
    sums, picks = _KernelSums(pool), pool.labelled_pairs.new_zeros((0, 2))
    available, scored, margin = int(free.sum()), 0, float("inf")
    own = -scale * weights.representativeness * pool.means - pool.credit
    own[~free] = float("inf")
    for _ in range(min(pool.picks, available // 2)):
        inverse = scale * weights.diversity / (len(sums.chosen) + 2)
        best, step_scored = _best_pair(pool, own, sums, inverse, available)
        scored += step_scored
        if best.pair is None:
            break
        margin = min(margin, best.rest - best.cost)
        pair = free.new_tensor(best.pair, dtype=torch.long)
        picks = torch.cat([picks, pair[None]])
        own[pair] = float("inf")
        available -= 2
        sums.add(pair)
    return picks, scored, margin


class _KernelSums:
    """Sum of each item's kernels with all chosen items, brought up to date for the items that are looked at.

    A kernel is never negative, so a sum that is behind is a lower bound, and few items ever come near a pick.

    Attributes:
        chosen: the items labelled and picked so far.
        values: the sums, lower bounds where they are behind.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool, self.chosen = pool, pool.labelled_items
        self.values = torch.zeros_like(pool.means)
        self._rows = max(1, CELLS // len(self.values))
        for part in self.chosen.split(self._rows):
            self.values += pool.kernels(part).sum(0)
        self._all = len(self.chosen)  # of which every sum has at least as many
        self._summed = torch.full_like(self.values, self._all, dtype=torch.long)

    def add(self, pair: Int[Tensor, "2"]) -> None:
        """Choose two more items."""
        self.chosen = torch.cat([self.chosen, pair])
        if len(self.chosen) - self._all < BEHIND:  # further behind, the bounds would be too low to be of use
            return
        for places in torch.arange(self._all, len(self.chosen), device=pair.device).split(self._rows):
            missing = places[:, None] >= self._summed
            self.values += (self.pool.kernels(self.chosen[places]) * missing).sum(0)
        self._all = len(self.chosen)
        self._summed.fill_(self._all)

    def refresh(self, items: Int[Tensor, " p"]) -> None:
        """Bring the sums of some items up to date."""
        places = torch.arange(self._all, len(self.chosen), device=items.device)
        behind = items[self._summed[items] < len(self.chosen)]
        for part in behind.split(max(1, CELLS // BEHIND)) if len(behind) else ():
            missing = places >= self._summed[part, None]
            self.values[part] += (self.pool.kernels(part, self.chosen[places]) * missing).sum(1)
        self._summed[items] = len(self.chosen)


@dataclass
class _Best:
    """The best pair so far: the first by position of those that cost the least, up to rounding.

    Attributes:
        pool: the round.
        least: greatest value that the least cost met can have: the cost and its rounding error.
        pair: positions, the smaller first; None before any feasible pair.
        cost: of this pair.
        bottom: least value that its cost can have.
        rest: bound on the cost of all pairs that were not scored.
    """

    pool: Pool
    least: float = float("inf")
    pair: tuple[int, int] | None = None
    cost: float = float("inf")
    bottom: float = float("inf")
    rest: float = float("inf")

    @property
    def limit(self) -> float:
        """A pair that costs more is not the best."""
        return self.least + self.pool.rounding

    def meet(self, costs: Float[Tensor, "p r"], rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> None:
        """Take a block of costs into account."""
        cheapest = float(costs.min())
        if not cheapest <= min(self.limit, torch.finfo(costs.dtype).max):
            return
        near = costs <= min(self.limit, cheapest + 2 * self.pool.rounding)
        at, of = near.nonzero().unbind(1)
        items, costs = torch.stack([rows[at], columns[of]], 1).sort(1).values, costs[near]
        errors = self.pool.errors(items, costs)
        self.least = min(self.least, float((costs + errors).min()))
        if self.bottom > self.least:
            self.pair = None
        equal = costs - errors <= self.least
        if not bool(equal.any()):
            return
        items, costs, errors = items[equal], costs[equal], errors[equal]
        first = first_by_position(items)
        a, b = items[first].tolist()
        if self.pair is None or (a, b) < self.pair:
            self.pair, self.cost = (a, b), float(costs[first])
            self.bottom = self.cost - float(errors[first])


def _best_pair(
    pool: Pool, own: Float[Tensor, " n"], sums: _KernelSums, inverse: float, available: int
) -> tuple[_Best, int]:
    """The exact best pair, and how many pairs were scored: of each width of the prefix, each at most once.

    Args:
        pool: the round.
        own: item costs without kernels.
        sums: of kernels, which only add to them.
        inverse: factor of a kernel.
        available: number of free items.
    """
    width, scored = min(PREFIX, available), 0
    while True:
        least, order = (own + inverse * sums.values).topk(width, largest=False)
        bound = least.max()
        sums.refresh(order)
        values, places = (own[order] + inverse * sums.values[order]).sort()
        best, step = _best_of_prefix(pool, values, order[places], inverse)
        scored += step
        if width < available:  # a pair with an item outside the prefix
            outside = torch.minimum(values[0], bound) + bound
            best.rest = min(best.rest, float(outside) + pool.weights.uncertainty * LOG2)
        if width == available or best.rest > best.limit:
            return best, scored
        width = min(8 * width, available)


def _best_of_prefix(
    pool: Pool, values: Float[Tensor, " w"], order: Int[Tensor, " w"], inverse: float
) -> tuple[_Best, int]:
    """The best pair of the items with the least h, and the number of pairs scored.

    Rows and columns are items in the order of h. A block of rows is scored against the columns that could
    still win; with one dense cluster, a square would have to hold nearly all items. Every turn of the inner
    loop goes on to columns that these rows have not met, every turn of the outer loop to rows that have met
    none: no cell is scored twice.
    """
    available, floor = len(order), pool.weights.uncertainty * LOG2
    sorted_h = values.cpu()
    best = _Best(pool)
    start, rows, scored = 0, FIRST_ROWS, 0

    def reach(row: int, least: int) -> int:
        """Number of columns that could still win with a row, but not less than ``least``."""
        most = sorted_h.new_tensor([best.limit - floor]) - sorted_h[row]
        return max(least, int(torch.searchsorted(sorted_h, most, right=True)))

    while start < available - 1:
        rows = min(rows, available - start)
        a = order[start : start + rows]
        met = start
        stop = min(2 * rows, available) if start == 0 else reach(start, start)
        while met < stop:
            stop = min(stop, met + max(1, CELLS // rows))
            b = order[met:stop]
            cost = values[start : start + rows, None] + values[None, met:stop]
            cost += inverse * pool.kernels(a, b)
            cost += pool.weights.uncertainty * pool.uncertainties(a, b)
            cost[pool.forbidden(a, b)] = float("inf")
            # The same pair stands on both sides of the diagonal: the upper one is the pair.
            if met < start + rows:
                cost += torch.full_like(cost, float("inf")).tril(start - met)
            scored += _above_diagonal(rows, met - start, stop - start)
            best.meet(cost, a, b)
            met = stop
            stop = reach(start, met)
        if met < available:
            best.rest = min(best.rest, float(sorted_h[start] + sorted_h[met]) + floor)
        start += rows
        if (
            start < available - 1
            and (ahead := float(sorted_h[start] + sorted_h[start + 1]) + floor) > best.limit
        ):
            best.rest = min(best.rest, ahead)
            break
        rows = min(4 * rows, max(1, CELLS // (met - start + rows)))
    return best, scored


def _above_diagonal(rows: int, first: int, stop: int) -> int:
    """Number of cells right of the diagonal in some rows from 0 on and the columns first..stop-1."""
    whole = max(0, min(rows, first))
    part = max(0, min(rows, stop - 1) - whole)
    return whole * (stop - first) + part * (stop - whole - 1) - part * (part - 1) // 2


def greedy_published(pool: Pool) -> tuple[Int[Tensor, "q 2"], int, float]:
    """Picks of the reading ``published`` with the invariant kernel, pairs scored, and the least margin.

    Lazy greedy on a list of the cheapest pairs. A kernel is never negative, so a pick only raises costs, and
    what bounded the pairs outside the list still does (Minoux' lazy evaluation, exact here). A pick is the
    cheapest pair on the list as long as it costs less than that bound; then a new list is made, whose
    cheapest pair is the pick whatever its bound is. So a turn picks or ends, with one list at most.

    References:
        Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978 (lazy evaluation).
    """
    free, picks = pool.candidates.clone(), pool.labelled_pairs.new_zeros((0, 2))
    diverse, tie = pool.published_scale[3], 2 * pool.rounding
    found = cheapest_pairs(pool, free, picks, most=LISTED)
    scored, margin = found.scored, float("inf")
    while len(picks) < pool.picks:
        if len(picks) and _least(found) + 2 * tie > found.bound:
            # What is on the list costs at most this by now, so the next list need not look beyond it.
            worst = float(found.costs.kthvalue(LISTED).values) if len(found.costs) >= LISTED else float("inf")
            found = cheapest_pairs(pool, free, picks, most=LISTED, worst=worst)
            scored += found.scored
        if _least(found) == float("inf"):
            break
        errors = pool.errors(found.pairs, found.costs)
        equal = found.costs - errors <= (found.costs + errors).min()
        place = int(equal.to(torch.uint8).argmax())  # the first: the list is in the order of positions
        pair = found.pairs[place]
        margin = min(margin, found.bound - float(found.costs[place]))
        picks = torch.cat([picks, pair[None]])
        free[pair] = False
        first, second = pool.kernels(pair)
        a, b = found.pairs.unbind(1)
        costs = found.costs + diverse / 2 * (first[a] * second[b] + second[a] * first[b])
        found = replace(found, costs=costs.masked_fill(~(free[a] & free[b]), float("inf")))
    return picks, scored, margin


def _least(found: Shortlist) -> float:
    return float(found.costs.min()) if len(found.costs) else float("inf")
