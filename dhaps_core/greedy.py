"""Greedy selection over ALL n(n-1)/2 pairs of a pool without ever storing them, exact at every step.

Both solvers are branch and bound: a pair that was not scored has a cost of at least a known bound, and a pick
is made only when its cost is at most that bound. The difference ``bound - cost`` is the certificate.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.pool import Pool
from dhaps_core.shortlist import LOG2, cheapest_pairs

__all__ = ["greedy_closed", "greedy_published"]

CELLS = 1 << 22  # costs held at once
PREFIX = 1024  # items put in order at first
LISTED = 1 << 15  # pairs on a list; with near ties everywhere, a longer one hardly lasts longer


def greedy_closed(pool: Pool) -> tuple[Int[Tensor, "q 2"], int, float]:
    """Picks of the reading ``closed``, pairs scored, and the least margin of the certificate.

    With S the items labelled and picked so far, g_a = sum_S k(a, s) and M = max m, the cost of the pair is
    mu J*(a,b) + beta/M [ (g_a + g_b + k_ab) / (|S|+2) - (m_a + m_b) ]: what adding both items does to the
    squared MMD of all items and S, which is the first-order change of MMD^2(P x P, S x S).
    J* >= log 2 and k >= 0 give cost >= h_a + h_b + mu log 2 with item costs h. So with the items sorted by h,
    the best pair of the first T items is the best of all once its cost is at most h_1 + h_(T+1) + mu log 2.

    References:
        Chen, Welling, Smola: Super-Samples from Kernel Herding, UAI 2010 (the item-level step).
    """
    weights, scale = pool.weights, pool.closed_scale
    chosen = pool.labelled_items
    g = _kernel_sums(pool, chosen)
    free = pool.candidates.clone()
    picks = pool.labelled_pairs.new_zeros((0, 2))
    scored, margin = 0, float("inf")
    while len(picks) < pool.picks and int(free.sum()) >= 2:
        inverse = scale * weights.diversity / (len(chosen) + 2)
        h = inverse * g - scale * weights.representativeness * pool.means - pool.credit
        h[~free] = float("inf")
        pair, step_margin, step_scored = _best_pair(pool, h, inverse, int(free.sum()))
        scored += step_scored
        if pair is None:
            break
        margin = min(margin, step_margin)
        picks = torch.cat([picks, pair[None]])
        free[pair] = False
        chosen = torch.cat([chosen, pair])
        g += pool.kernels(pair).sum(0)
    return picks, scored, margin


def _best_pair(
    pool: Pool, h: Float[Tensor, " n"], inverse: float, available: int
) -> tuple[Int[Tensor, "2"] | None, float, int]:
    """The exact best pair, its margin to everything unscored, and how many pairs were scored."""
    width, scored = min(PREFIX, available), 0
    while True:
        values, order = h.topk(width, largest=False, sorted=True)
        pair, cost, rest, step = _best_of_prefix(pool, values, order, inverse)
        scored += step
        if width < available:  # a pair with an item outside the prefix
            rest = min(rest, float(values[0] + values[-1]) + pool.weights.uncertainty * LOG2)
        if width == available or (pair is not None and cost <= rest):
            return pair, rest - cost, scored
        width = min(8 * width, available)


def _best_of_prefix(
    pool: Pool, values: Float[Tensor, " w"], order: Int[Tensor, " w"], inverse: float
) -> tuple[Int[Tensor, "2"] | None, float, float, int]:
    """The best pair of the items with the least h, its cost, a bound on the pairs not scored, their number.

    Rows and columns are items in the order of h. A block of rows is scored against the columns that could
    still win; with one dense cluster, a square would have to hold nearly all items.
    """
    available = len(order)
    floor = pool.weights.uncertainty * LOG2
    best, rest = torch.full((), float("inf")).to(values), float("inf")
    pair: Tensor | None = None
    start, rows, scored = 0, 64, 0
    stop = min(2 * rows, available)  # the first block only has to find some good pair
    while start < available - 1:
        a, b = order[start : start + rows], order[start:stop]
        cost = values[start : start + rows, None] + values[None, start:stop]
        cost += inverse * pool.kernels(a, b)
        cost += pool.weights.uncertainty * pool.uncertainties(a, b)
        cost[pool.forbidden(a, b)] = float("inf")
        # The same pair stands on both sides of the diagonal: the upper one is the pair.
        cost += torch.full_like(cost, float("inf")).tril()
        scored += cost.numel() - len(a) * (len(a) + 1) // 2
        least, place = cost.flatten().min(0)
        if least < best:
            best = least
            pair = torch.stack([a[place // len(b)], b[place % len(b)]]).sort().values
        bound = values[start] + values[stop] + floor if stop < available else values.new_tensor(float("inf"))
        if bound < best:  # too few columns for these rows: the same rows once more, with more of them
            stop = _columns(values, best - floor - values[start], rows)
            continue
        rest = min(rest, float(bound))
        start += len(a)
        stop = _columns(values, best - floor - values[min(start, available - 1)], start)
        if stop <= start + 1:
            if start < available - 1:
                rest = min(rest, float(values[start] + values[start + 1] + floor))
            break
        rows = max(1, min(4 * rows, CELLS // (stop - start)))
    return pair, float(best), rest, scored


def _columns(values: Float[Tensor, " n"], most: Tensor, least: int) -> int:
    """Number of items whose h is at most a value, but not less than ``least``."""
    return max(least, int(torch.searchsorted(values, most.reshape(1), right=True)))


def _kernel_sums(pool: Pool, chosen: Int[Tensor, " s"], block: int = 1024) -> Float[Tensor, " n"]:
    sums = torch.zeros_like(pool.means)
    for part in chosen.split(block):
        sums += pool.kernels(part).sum(0)
    return sums


def greedy_published(pool: Pool) -> tuple[Int[Tensor, "q 2"], int, float]:
    """Picks of the reading ``published`` with the invariant kernel, pairs scored, and the least margin.

    Lazy greedy on a list of the cheapest pairs. A kernel is never negative, so a pick only raises costs, and
    what bounded the pairs outside the list still does (Minoux' lazy evaluation, exact here). A pick is the
    cheapest pair on the list as long as it costs no more than that bound; then a new list is made.

    References:
        Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978 (lazy evaluation).
    """
    free, picks = pool.candidates.clone(), pool.labelled_pairs.new_zeros((0, 2))
    diverse = pool.published_scale[3]
    found = cheapest_pairs(pool, free, picks, most=LISTED)
    scored, margin = found.scored, float("inf")
    while len(picks) < pool.picks:
        place = found.costs.argmin() if len(found.costs) else None
        if place is None or found.costs[place] > found.bound or found.costs[place].isinf():
            if found.bound == float("inf"):
                break
            # What is on the list costs at most this by now, so the next list need not look beyond it.
            worst = float(found.costs.kthvalue(min(LISTED, len(found.costs))).values)
            found = cheapest_pairs(pool, free, picks, most=LISTED, worst=worst)
            scored += found.scored
            continue
        pair = found.pairs[place]
        margin = min(margin, found.bound - float(found.costs[place]))
        picks = torch.cat([picks, pair[None]])
        free[pair] = False
        first, second = pool.kernels(pair)
        a, b = found.pairs.unbind(1)
        costs = found.costs + diverse / 2 * (first[a] * second[b] + second[a] * first[b])
        found = replace(found, costs=costs.masked_fill(~(free[a] & free[b]), float("inf")))
    return picks, scored, margin
