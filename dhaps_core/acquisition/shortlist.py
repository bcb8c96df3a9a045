"""The cheapest of ALL n(n-1)/2 pairs of some items, from one pass in which almost none is scored.

A matrix product in float32 bounds the cost of every pair from below, a tile of items by items at a time. Only
pairs whose bound is under the worst cost on the list are scored, in float64, and the list keeps the cheapest.
Items come in falling order of their kernel means, so that the list is good early, and tiles that cannot reach
it are skipped whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from math import inf, isqrt, prod
from threading import local

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.blocks import block_cells, block_threads

__all__ = ["Bounds", "Shortlist", "cheapest_pairs", "first_by_position", "tile_of"]

TILE = 512, 2048  # items by items; on the CPU a tile stays in the cache
FIRST_ROWS = 64
WAVE = 16  # tiles at a time
TOGETHER = 64  # cells of a tile that are looked at together


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

    @property
    def least(self) -> float:
        """The least cost on the list; infinite if it is empty."""
        return float(self.costs.min()) if len(self.costs) else inf


def cheapest_pairs(
    items: Int[Tensor, " f"],
    bounds: "Bounds",
    costs: Callable[[Tensor], Tensor],
    feasible: Callable[[Tensor], Tensor],
    *,
    most: int,
    tie: float,
    worst: float = inf,
) -> Shortlist:
    """The ``most`` cheapest feasible pairs or a few more; all of them if there are fewer.

    Args:
        items: whose pairs are meant, in the order of the bounds.
        bounds: on the costs of these pairs.
        costs: gives the costs of pairs [p 2].
        feasible: gives those of some pairs [p 2] that may be picked.
        most: length of the list.
        tie: costs that differ by no more count as equal.
        worst: pairs that cost more do not matter.
    """
    listed, values, scored = items.new_zeros((0, 2)), items.new_zeros(0, dtype=torch.float64), 0

    def score(tile: tuple[slice, slice]) -> tuple[int, Tensor, Tensor, float]:
        found = feasible(items[bounds.below(*tile, worst + tie)]).sort(1).values
        return len(found), *_cheapest(found, costs(found), most, tie)

    tiles = bounds.tiles()
    with block_threads(items.device) as each:
        # Of the first tile every pair is scored. What one tile finds out helps the next ones, so ever more go
        # at a time; always as many, so that a run does not depend on the number of threads.
        together = 1
        wave = list(islice(tiles, together))
        while wave:
            counts, parts, found, limits = zip(*each(score, wave), strict=True)
            scored += sum(counts)
            listed, values, worst = (
                torch.cat([listed, *parts]),
                torch.cat([values, *found]),
                min(worst, *limits),
            )
            if len(values) > 2 * most:
                listed, values, limit = _cheapest(listed, values, most, tie)
                worst = min(worst, limit)
            wave = list(islice((tile for tile in tiles if bounds.least(*tile) <= worst + tie), together))
            together = min(2 * together, WAVE)
    # The cut is by cost; then the order is the same on every device.
    kept = values <= worst + tie
    listed, values = listed[kept], values[kept]
    order = _position(listed).argsort()
    return Shortlist(listed[order], values[order], worst, scored)


def _cheapest(
    pairs: Int[Tensor, "p 2"], costs: Float[Tensor, " p"], most: int, tie: float
) -> tuple[Int[Tensor, "c 2"], Float[Tensor, " c"], float]:
    """The ``most`` cheapest pairs, of equal ones the first by position, and the greatest cost among them."""
    if len(costs) <= most:
        return pairs, costs, inf
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


def tile_of(device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile."""
    return TILE if device.type == "cpu" else (isqrt(block_cells(device, 0)),) * 2


def multiplies_float32(device: torch.device) -> bool:
    """Whether float32 products keep their digits: not where TF32 or bfloat16 may take their place."""
    backend = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    return backend.matmul.fp32_precision in {"ieee", "none"}


class Bounds:
    """Lower bounds on the costs of all pairs of some items.

    A cost is at least ``floor``, the absolute value of a product of its items' sides, and the rest: a second
    product where that is given, else - mean m_a m_b - credit, of which a tile takes the least.

    Args:
        floor: least cost without all that follows.
        sides: left [f d] and right [f d] of the product whose absolute value counts.
        rest: left and right of the second product, or None.
        means: of the items, falling.
        mean: factor of the product of two means.
        credit: most that credits take off a cost.
    """

    def __init__(
        self,
        floor: float,
        sides: tuple[Float[Tensor, "f d"], Float[Tensor, "f d"]],
        rest: tuple[Float[Tensor, "f e"], Float[Tensor, "f e"]] | None,
        *,
        means: Float[Tensor, " f"],
        mean: float,
        credit: float,
    ) -> None:
        self.floor, self.mean, self.credit = floor, mean, credit
        self.means: list[float] = means.tolist()
        self.tile, self.memory = tile_of(means.device), local()
        products = [sides] if rest is None else [sides, rest]
        sizes = [
            prod(float(side.square().sum(1).max().sqrt()) for side in both) for both in products if len(means)
        ]
        # Bounds need few digits, but those they have must be known.
        narrow = multiplies_float32(means.device) and all(1e-20 < size < 1e20 for size in sizes)
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
        cells = torch.mm(left, right.T, out=memory[:size].view(shape)).abs_()
        room = most - self.least(rows, columns)
        if self.terms is not None:
            cells.addmm_(self.terms[0][rows], self.terms[1][columns].T)
            room = most - self.floor + self.slack
        limit = room + abs(room) * self.eps
        # The least of so many at a time is three times as fast as a flag for each; almost none is low enough.
        memory[size : size + TOGETHER] = inf
        low = memory[: -(-size // TOGETHER) * TOGETHER].view(-1, TOGETHER).amin(1) <= limit
        places = (TOGETHER * low.nonzero() + torch.arange(TOGETHER, device=low.device)).flatten()
        places = places[(memory[places] <= limit) & (places < size)]
        pairs = torch.stack([rows.start + places // shape[1], columns.start + places % shape[1]], 1)
        return pairs[pairs[:, 0] < pairs[:, 1]]

    def _memory(self) -> Tensor:
        """Room for a tile, once for each thread: fresh memory would cost as much as the product."""
        if not hasattr(self.memory, "cells"):
            self.memory.cells = self.left.new_empty(prod(self.tile) + TOGETHER)
        cells: Tensor = self.memory.cells
        return cells
