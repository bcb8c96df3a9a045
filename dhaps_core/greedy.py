"""Greedy selection over ALL n(n-1)/2 pairs of a pool without ever storing them, exact at every step.

Both solvers are branch and bound: a pair that was not scored has a cost of at least a known bound, and a pick
is made only when its cost is at most that bound. The difference ``bound - cost`` is the certificate.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.pool import Pool

__all__ = ["greedy_closed", "greedy_published"]

LOG2 = 0.6931471805599453
CELLS = 1 << 22  # costs held at once
KEPT = 32  # partners kept of a scanned item; more are found by scanning it again


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
    picks: list[Tensor] = []
    scored, margin = 0, float("inf")
    while len(picks) < pool.picks and int(free.sum()) >= 2:
        inverse = scale * weights.diversity / (len(chosen) + 2)
        h = inverse * g - scale * weights.representativeness * pool.means - pool.credit
        h[~free] = float("inf")
        pair, step_margin, step_scored = _best_of_prefix(pool, h, inverse, int(free.sum()))
        scored += step_scored
        if pair is None:
            break
        margin = min(margin, step_margin)
        picks.append(pair)
        free[pair] = False
        chosen = torch.cat([chosen, pair])
        g += pool.kernels(pair).sum(0)
    return _stack(picks, pool.labelled_items), scored, margin


def _best_of_prefix(
    pool: Pool, h: Float[Tensor, " n"], inverse: float, available: int
) -> tuple[Int[Tensor, "2"] | None, float, int]:
    """The exact best pair, its margin to everything unscored, and how many pairs were scored.

    Rows and columns are items in the order of h. A block of rows is scored against the columns that could
    still win; with one dense cluster, a square prefix would have to hold nearly all items.
    """
    values, order = h.topk(available, largest=False, sorted=True)
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
    return pair, rest - float(best) if pair is not None else rest, scored


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

    Lazy greedy over rows: row a stands for all pairs (a, b). One cheap pass over all pairs bounds every row
    from below. The rows with the smallest bounds are then scored exactly, their best partners are kept, and
    the worst kept cost bounds the others. A kernel is never negative, so a pick only raises costs:
    old costs stay lower bounds (Minoux' lazy evaluation, exact here), and only kept pairs that could win are
    brought up to date.

    References:
        Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978 (lazy evaluation).
    """
    rows = _Rows(pool)
    picks: list[Tensor] = []
    margin = float("inf")
    while len(picks) < pool.picks:
        found = rows.best()
        if found is None:
            break
        pair, step_margin = found
        margin = min(margin, step_margin)
        picks.append(pair)
        rows.take(pair)
    return _stack(picks, pool.labelled_items), rows.scored, margin


class _Rows:
    """Lower bounds of all rows, and the best pairs of the rows scanned so far."""

    def __init__(self, pool: Pool, batch: int = 64) -> None:
        self.pool, self.batch, self.scored = pool, batch, 0
        n, device = len(pool.means), pool.means.device
        self.free = pool.candidates.clone()
        self.kept = min(KEPT, n)
        self.scanned = torch.zeros(0, dtype=torch.long, device=device)
        self.partners = torch.zeros(n, self.kept, dtype=torch.long, device=device)
        self.static = pool.means.new_full((n, self.kept), float("inf"))  # cost without the picks
        self.cost = self.static.clone()  # cost when last brought up to date
        self.fresh = torch.full((n,), -1, device=device)  # number of picks at that moment
        # kernel of every item with the first and the second item of every pick
        self.to_first = pool.means.new_zeros(n, pool.picks)
        self.to_second = pool.means.new_zeros(n, pool.picks)
        self.taken = 0
        self.cheapest = pool.means.new_full((n,), float("inf"))  # of the kept pairs of each row
        self.rest = self._first_bounds()  # bound on the pairs of a row that are not kept

    def _first_bounds(self, block: int = 1024) -> Float[Tensor, " n"]:
        """A bound for every row from one pass over all pairs, above the diagonal, without any exponential.

        softplus(t) >= log 2 + t/2 for t >= 0, tight at t = 0, where the cheapest pairs are; kernels are >= 0.
        """
        pool = self.pool
        uncertain, mean, _, diverse = pool.published_scale
        items = self.free.nonzero().flatten()
        u, m, credit = pool.relaxed[items], pool.means[items], pool.credit[items]
        one = torch.ones_like(m)
        left, right = torch.stack([mean * m, credit, one], 1), torch.stack([m, one, credit], 1)
        bound = torch.full_like(m, float("inf"))
        for start in range(0, len(items), block):
            stop = start + block
            theta = torch.mm(u[start:stop], u[start:].T).mul_(pool.calibration.slope / 2)
            theta.add_(pool.calibration.intercept).abs_()
            cost = theta.addmm_(left[start:stop], right[start:].T, beta=uncertain / 2, alpha=-1)
            bound[start:stop] = torch.minimum(bound[start:stop], cost.min(1).values)
            bound[start:] = torch.minimum(bound[start:], cost.min(0).values)
        out = pool.means.new_full((len(pool.means),), float("inf"))
        out[items] = bound + uncertain * LOG2 + diverse / 4
        # Sums in another order differ in the last digits: a bound must stay below.
        return out - 1e-6 * out.abs().where(out.isfinite(), out.new_zeros(()))

    def best(self) -> tuple[Int[Tensor, " 2"], float] | None:
        """The cheapest feasible pair now and its margin, or None when no pair is left."""
        while True:
            bounds = torch.minimum(self.cheapest, self.rest)
            values, order = bounds.topk(min(self.batch, len(bounds)), largest=False, sorted=True)
            if float(values[0]) == float("inf"):
                return None
            stale = order[(self.fresh[order] < self.taken) & self.cheapest[order].isfinite()]
            if len(stale):
                self._update(stale)
                continue
            row = order[self.cheapest[order].argmin()]
            value = self.cheapest[row]
            if value <= values[0]:
                pair = torch.stack([row, self.partners[row, self.cost[row].argmin()]])
                bounds[pair] = float("inf")  # the pair stands in both of its rows
                others = torch.minimum(bounds.min(), self.rest[pair].min())
                return pair.sort().values, float(others - value)
            self._scan(order[(self.rest[order] < value) & values.isfinite()])

    def take(self, pair: Int[Tensor, " 2"]) -> None:
        """Add a pick: its items are used up, and every other pair's cost rises by its kernel."""
        kernels = self.pool.kernels(pair)
        self.to_first[:, self.taken], self.to_second[:, self.taken] = kernels
        self.taken += 1
        self.free[pair] = False
        self.rest[pair] = self.cheapest[pair] = float("inf")
        self.scanned = self.scanned[(self.scanned[:, None] != pair).all(1)]
        gone = ~self.free[self.partners[self.scanned]]
        for table in (self.static, self.cost):
            table[self.scanned] = table[self.scanned].masked_fill(gone, float("inf"))
        self.cheapest[self.scanned] = self.cost[self.scanned].min(1).values

    def _scan(self, rows: Int[Tensor, " r"]) -> None:
        pool = self.pool
        uncertain, mean, labelled, diverse = pool.published_scale
        columns = self.free.nonzero().flatten()
        self.scored += len(rows) * len(columns)
        kernels = pool.kernels(rows, columns)
        cost = uncertain * pool.uncertainties(rows, columns)
        cost -= mean * pool.means[rows, None] * pool.means[None, columns]
        cost -= pool.credit[rows, None] + pool.credit[None, columns]
        cost += diverse / 4 * (1 + kernels.square())
        for part in pool.labelled_pairs.split(1024):
            first, second = (pool.kernels(rows, side) for side in part.unbind(1))
            to_first, to_second = (pool.kernels(columns, side) for side in part.unbind(1))
            cost += labelled / 2 * (first @ to_second.T + second @ to_first.T)
        cost[pool.forbidden(rows, columns)] = float("inf")
        # Ranked by what they cost now, so that the best kept pair is never behind the bound of the others;
        # that bound holds for ever, because picks only add to a cost.
        now = cost + diverse / 2 * (
            self.to_first[rows, : self.taken] @ self.to_second[columns, : self.taken].T
            + self.to_second[rows, : self.taken] @ self.to_first[columns, : self.taken].T
        )
        kept = min(self.kept, len(columns))
        values, places = now.topk(min(kept + 1, len(columns)), largest=False, sorted=True)
        self.static[rows] = self.cost[rows] = float("inf")
        self.partners[rows, :kept] = columns[places[:, :kept]]
        self.static[rows, :kept] = cost.gather(1, places[:, :kept])
        self.cost[rows, :kept] = values[:, :kept]
        self.rest[rows] = values[:, kept] if values.shape[1] > kept else float("inf")
        self.cheapest[rows] = values[:, 0]
        self.fresh[rows] = self.taken
        self.scanned = torch.cat([self.scanned, rows]).unique()

    def _update(self, rows: Int[Tensor, " r"]) -> None:
        diverse = self.pool.published_scale[3]
        partners = self.partners[rows]
        first, second = self.to_first[:, : self.taken], self.to_second[:, : self.taken]
        total = torch.einsum("rt,rkt->rk", first[rows], second[partners])
        total += torch.einsum("rt,rkt->rk", second[rows], first[partners])
        self.cost[rows] = self.static[rows] + diverse / 2 * total
        self.cheapest[rows] = self.cost[rows].min(1).values
        self.fresh[rows] = self.taken


def _stack(picks: list[Tensor], like: Tensor) -> Int[Tensor, "q 2"]:
    return torch.stack(picks) if picks else like.new_zeros((0, 2))
