"""The cheapest pairs of a pool, from one pass over ALL n(n-1)/2 pairs of which almost none is scored.

A matrix product in float32 bounds the cost of every pair from below, a tile of items by items at a time. Only
pairs whose bound is under the worst cost on the list are scored, in the dtype of the pool, and the list keeps
the cheapest. Items come in falling order of their kernel means, so that the list is good early, and tiles
that cannot reach it are skipped whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from math import prod
from threading import local

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import LOG2, Pool
from dhaps_core.block_threads import block_threads

__all__ = ["Shortlist", "cheapest_pairs", "first_by_position", "pair_costs"]

TILE = 512, 2048  # items by items; on the CPU a tile stays in the cache
GPU_TILE = 8192, 8192
FIRST_ROWS = 64
WAVE = 16  # tiles at a time
SCORED = 1 << 21  # numbers held at once while pairs are scored
COLUMNS = 256  # labelled and picked pairs in the bounds, at most; and never more than
COLUMN_CELLS = 1 << 26  # numbers in their columns


@dataclass(frozen=True)
class Shortlist:
    """Pairs with known costs, and a bound on all others.

    Attributes:
        pairs: positions in the pool, the smaller first, in rising order.
        costs: of these pairs.
        bound: no feasible pair outside the list costs less, up to rounding; infinite if none is outside.
            Of pairs that cost as much, the list holds the first by position.
        scored: pairs whose cost was computed on the way.
    """

    pairs: Int[Tensor, "c 2"]
    costs: Float[Tensor, " c"]
    bound: float
    scored: int


def pair_costs(pool: Pool, pairs: Int[Tensor, "p 2"], picks: Int[Tensor, "t 2"]) -> Float[Tensor, " p"]:
    """What each pair would add to the objective of the reading ``published``.

    Args:
        pool: the round.
        pairs: which pairs.
        picks: those picked so far.
    """
    width = pool.relaxed.shape[1] + pool.space.shape[1]
    return torch.cat([_pair_costs(pool, part, picks) for part in pairs.split(max(1, SCORED // width))])


def _pair_costs(pool: Pool, pairs: Int[Tensor, "p 2"], picks: Int[Tensor, "t 2"]) -> Float[Tensor, " p"]:
    uncertain, mean, labelled, diverse = pool.published_scale
    a, b = pairs.unbind(1)
    cost = uncertain * pool.pair_uncertainties(pairs) - mean * pool.means[a] * pool.means[b]
    cost += diverse / 4 * (1 + pool.kernels_within(pairs).square()) - pool.credit[a] - pool.credit[b]
    items, place = torch.unique(pairs, return_inverse=True)
    for weight, others in ((labelled, pool.labelled_pairs), (diverse, picks)):
        for some in others.split(max(1, SCORED // max(1, 2 * len(items)))) if len(others) else ():
            cost += weight / 2 * _sums(pool.kernels(items, some.flatten()), place)
    return cost


def _sums(kernels: Float[Tensor, "u two_s"], place: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
    """Sum over some pairs (s, t) of k(a,s) k(b,t) + k(b,s) k(a,t), from kernels with s, t, s, t, ..."""
    swapped = kernels.unflatten(1, (-1, 2)).flip(2).flatten(1)
    parts = place.split(max(1, SCORED // kernels.shape[1]))
    return torch.cat([(kernels[part[:, 0]] * swapped[part[:, 1]]).sum(1) for part in parts])


def cheapest_pairs(
    pool: Pool,
    free: Bool[Tensor, " n"],
    picks: Int[Tensor, "t 2"],
    *,
    most: int,
    worst: float = float("inf"),
) -> Shortlist:
    """The ``most`` cheapest feasible pairs of the free items or a few more; all of them if there are fewer.

    Args:
        pool: the round.
        free: items that may be picked.
        picks: pairs picked so far.
        most: length of the list.
        worst: pairs that cost more do not matter.
    """
    items = free.nonzero().flatten()
    items = items[pool.means[items].argsort(descending=True, stable=True)]
    bounds = _Bounds(pool, items, picks, most)
    pairs, costs, scored = items.new_zeros((0, 2)), pool.means.new_zeros(0), 0
    tie = 2 * pool.rounding

    def score(tile: tuple[slice, slice]) -> tuple[int, Tensor, Tensor, float]:
        found = items[bounds.below(*tile, worst + tie)]
        if pool.known is not None and len(found):
            found = found[~pool.known(found[:, 0], found[:, 1])]
        found = found.sort(1).values
        cost = pair_costs(pool, found, picks)
        return len(found), *_cheapest(found, cost, most, tie)

    tiles = bounds.tiles()
    with block_threads(items.device) as each:
        # Of the first tile every pair is scored. What one tile finds out helps the next ones, so a few go at
        # a time; always as many, so that a run does not depend on the number of threads.
        wave = list(islice(tiles, 1))
        while wave:
            found = list(each(score, wave))
            counts, parts, values, limits = zip(*found, strict=True)
            scored += sum(counts)
            pairs, costs, worst = torch.cat([pairs, *parts]), torch.cat([costs, *values]), min(worst, *limits)
            if len(costs) > 2 * most:
                pairs, costs, limit = _cheapest(pairs, costs, most, tie)
                worst = min(worst, limit)
            wave = list(islice((tile for tile in tiles if bounds.least(*tile) <= worst + tie), WAVE))
    # The cut is by cost; then the order is the same on every device.
    kept = costs <= worst + tie
    pairs, costs = pairs[kept], costs[kept]
    order = _position(pairs).argsort()
    return Shortlist(pairs[order], costs[order], worst, scored)


def _cheapest(
    pairs: Int[Tensor, "p 2"], costs: Float[Tensor, " p"], most: int, tie: float
) -> tuple[Int[Tensor, "c 2"], Float[Tensor, " c"], float]:
    """The ``most`` cheapest pairs, of equal ones the first by position, and the greatest cost among them."""
    if len(costs) <= most:
        return pairs, costs, float("inf")
    worst = costs.kthvalue(most).values
    sure, tied = (costs < worst - tie).nonzero().flatten(), ((costs - worst).abs() <= tie).nonzero().flatten()
    tied = tied[_position(pairs[tied]).argsort()[: most - len(sure)]]
    kept = torch.cat([sure, tied])
    return pairs[kept], costs[kept], float(worst)


def first_by_position(pairs: Int[Tensor, "p 2"]) -> int:
    """Place of the pair whose smaller item, then whose other item, comes first; at least one pair."""
    return int(_position(pairs).argmin())


def _position(pairs: Int[Tensor, "p 2"]) -> Int[Tensor, " p"]:
    """Numbers in the order of the positions of pairs."""
    return pairs[:, 0] * (1 << 31) + pairs[:, 1]


def multiplies_float32(device: torch.device) -> bool:
    """Whether float32 products keep their digits: not where TF32 or bfloat16 may take their place."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return backend.matmul.fp32_precision in {"ieee", "none"}


class _Bounds:
    """Lower bounds on the costs of all pairs of some items.

    With U, M, D the factors of uncertainty, mean kernel and diversity, and t the log-odds of a pair, the cost
    is at least U (log 2 + |t|/2) - M m_a m_b - credits + D/4: softplus(t) >= log 2 + t/2, tight at t = 0,
    where the cheapest pairs are, and kernels are never negative. A tile takes the greatest M m_a m_b and the
    greatest credits. Where labelled pairs and picks (or credits) weigh on the costs, all these terms have
    columns of their own in a second product. Each column only adds, so any selection of them is a bound, and
    their number is limited.

    Args:
        pool: the round.
        items: in falling order of their kernel means.
        picks: pairs picked so far.
        most: length of the list that the bounds are for.
    """

    def __init__(self, pool: Pool, items: Int[Tensor, " f"], picks: Int[Tensor, "t 2"], most: int) -> None:
        uncertain, self.mean, labelled, diverse = pool.published_scale
        u, m, credit = pool.relaxed[items], pool.means[items], pool.credit[items]
        one = torch.ones_like(m)[:, None]
        slope, intercept = uncertain / 4 * pool.calibration.slope, uncertain / 2 * pool.calibration.intercept
        products = [(torch.cat([slope * u, intercept * one], 1), torch.cat([u, one], 1))]
        self.floor = uncertain * LOG2 + diverse / 4
        self.means: list[float] = m.tolist()
        self.credit = 2 * max(0.0, float(credit.max())) if len(items) else 0.0
        self.tile = TILE if items.device.type == "cpu" else GPU_TILE
        self.memory = local()

        others = torch.cat([pool.labelled_pairs, picks])
        weights = m.new_full((len(others),), diverse)
        weights[: len(pool.labelled_pairs)] = labelled
        rises = weights * pool.means[others].prod(1)  # mean of what each adds, over all pairs
        spread = float(rises.sum()) + self.credit
        if len(items):
            width = self.tile[1] / len(items)
            spread += self.mean * (self.means[0] ** 2 - self.means[-1] ** 2) * width
        # Among N pairs the list ends about U most / N above the cheapest one, as far as uncertainty decides.
        if spread * len(items) ** 2 > 2 * uncertain * most:
            chosen = rises.topk(min(len(rises), COLUMNS, COLUMN_CELLS // len(items))).indices
            first, second = (pool.kernels(items, side) for side in others[chosen].unbind(1))
            half = weights[chosen] / 2
            left = torch.cat(
                [-self.mean * m[:, None], -credit[:, None], -one, half * first, half * second], 1
            )
            right = torch.cat([m[:, None], one, credit[:, None], second, first], 1)
            products.append((left, right))
        sizes = [
            prod(float(side.square().sum(1).max().sqrt()) for side in sides) for sides in products if len(m)
        ]
        # Bounds need few digits, but those they have must be known.
        narrow = multiplies_float32(items.device) and all(1e-20 < size < 1e20 for size in sizes)
        dtype = torch.float32 if narrow else torch.float64
        (self.left, self.right), *terms = [(left.to(dtype), right.to(dtype)) for left, right in products]
        self.terms = terms[0] if terms else None
        # A product rounds its sides and its sums, and a bound must stay below.
        self.eps = torch.finfo(dtype).eps
        widths = [left.shape[1] + 8 for left, _ in products]
        self.slack = self.eps * sum(width * size for width, size in zip(widths, sizes, strict=False))

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """All tiles on and above the diagonal, as rows and columns; a small one first."""
        rows, columns = self.tile
        for start, stop in pairwise([0, *range(min(FIRST_ROWS, rows), len(self.left), rows), len(self.left)]):
            for left in range(start, len(self.left), columns):
                yield slice(start, stop), slice(left, left + columns)

    def least(self, rows: slice, columns: slice) -> float:
        """Bound on all pairs of a tile."""
        top: float = self.mean * self.means[rows.start] * self.means[columns.start]
        return self.floor - top - self.credit - self.slack

    def below(self, rows: slice, columns: slice, most: float) -> Int[Tensor, "p 2"]:
        """Places of the pairs of a tile, above the diagonal, whose bound is at most a value."""
        left, right = self.left[rows], self.right[columns]
        shape, size = (len(left), len(right)), len(left) * len(right)
        memory = self._memory()
        cells = torch.mm(left, right.T, out=memory.cells[:size].view(shape)).abs_()
        room = most - self.least(rows, columns)
        if self.terms is not None:
            cells.addmm_(self.terms[0][rows], self.terms[1][columns].T)
            room = most - self.floor + self.slack
        torch.le(cells, room + abs(room) * self.eps, out=memory.hits[:size].view(shape))
        # Eight flags at a time are one number: most of these are 0.
        memory.hits[size : size + 7] = False
        eights = memory.hits[: -(-size // 8) * 8].view(torch.int64).nonzero()
        places = (8 * eights + torch.arange(8, device=eights.device)).flatten()
        places = places[memory.hits[places]]
        pairs = torch.stack([rows.start + places // shape[1], columns.start + places % shape[1]], 1)
        return pairs[pairs[:, 0] < pairs[:, 1]]

    def _memory(self) -> local:
        """Room for a tile, once for each thread: fresh memory would cost as much as the product."""
        if not hasattr(self.memory, "cells"):
            rows, columns = self.tile
            self.memory.cells = self.left.new_empty(rows * columns)
            self.memory.hits = torch.zeros(rows * columns, dtype=torch.bool, device=self.left.device)
        return self.memory
