"""Coverage of a population by chosen items (facility location), with a Gaussian kernel.

Each item is covered as well as by the nearest chosen one. What an item adds can only fall as others are
chosen, so the greedy choice is lazy: what an item added earlier is a bound, and only those whose bound is
above the best are looked at again.
"""

from math import inf

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from dhaps_core.acquisition.shortlist import multiplies_float32
from dhaps_core.blocks import block_cells, block_threads
from dhaps_core.pairs import Points, exponents

__all__ = ["Coverage", "cover"]

CELLS = 1 << 20  # kernels held at once, by a thread of a CPU
COLUMNS = 1024
AT_ONCE, MANY = 64, 1024  # items looked at again at a time; from more on, by bounds first
TIE = 1e-9


class Coverage:
    """Weighted mean of cov_i over a population, cov_i the greatest k(i, s) of a chosen item s, 0 without one.

    An item a adds sum_i w_i max(0, k(i, a) - cov_i), with weights of sum 1: a share of the population.
    The kernel is k(x, y) = exp(-|x - y|^2 / 2 sigma^2).

    Attributes:
        covered: cov of each item of the population whose weight is not 0, in [0, 1].

    Args:
        points: features of all items.
        bandwidth: sigma, above 0.
        population: positions of the items to cover.
        weights: of these, at least 0; only their proportions count.
        chosen: positions of the items that cover them so far.

    Raises:
        ValueError: if the weights are no such weights, or the bandwidth is not a positive number.

    Example:
        >>> points = torch.tensor([[0.0], [0.1], [3.0]])
        >>> everything, nothing = torch.arange(3), torch.arange(0)
        >>> coverage = Coverage(
        ...     points, bandwidth=0.1, population=everything, weights=torch.ones(3), chosen=nothing
        ... )
        >>> coverage.gains(everything)
        tensor([0.5355, 0.5355, 0.3333], dtype=torch.float64)
        >>> coverage.add(0)
        >>> coverage.gains(everything)
        tensor([0.0000, 0.1312, 0.3333], dtype=torch.float64)

    References:
        Bae, Noh, Sutherland: Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024.
    """

    def __init__(
        self,
        points: Float[Tensor, "n d"],
        *,
        bandwidth: float,
        population: Int[Tensor, " m"],
        weights: Float[Tensor, " m"],
        chosen: Int[Tensor, " s"],
    ) -> None:
        if not (bool((weights >= 0).all()) and 0 < float(weights.sum()) < inf):
            got = f"{int((weights < 0).sum())} below 0 and the sum {float(weights.sum()):g}"
            raise ValueError(f"weights must be at least 0, with a positive sum; got {got}. Check them.")
        self.points, weighs = Points.of(points, bandwidth=bandwidth), weights > 0
        self.population, self.weights = self.points[population[weighs]], weights[weighs].double()
        self.weights /= self.weights.sum()
        self.covered = torch.zeros_like(self.weights)
        self._cells = block_cells(points.device, CELLS)
        self._rows = max(1, self._cells // len(self.weights))
        for part in chosen.split(self._rows):
            self.covered = torch.cat([self.covered[None], self._kernels(part)]).amax(0)

    def gains(self, items: Int[Tensor, " k"]) -> Float64[Tensor, " k"]:
        """What each item would add, exact."""
        with block_threads(items.device) as each:
            return torch.cat(list(each(self._gains, items.split(self._rows))))

    def bounds(self, items: Int[Tensor, " k"]) -> Float64[Tensor, " k"]:
        """No less than what each item would add, and little more: by products in float32, twice as fast."""
        width, reach = self.points.scaled.shape[1], self.points.reach
        eps = torch.finfo(torch.float32).eps
        # A kernel is off by this share of itself, as its exponent is a product of vectors of this length.
        off = (width + 8) * eps * max(reach, 1.0)
        if off > 0.1 or not multiplies_float32(items.device):
            return self.gains(items)
        weights, covered = self.weights.float(), self.covered.float()
        others, half = self.population.scaled.float(), self.population.half.float()

        def bound(part: Tensor) -> Tensor:
            points, mine = self.points.scaled[part].float(), self.points.half[part].float()
            sums = torch.zeros_like(mine, dtype=torch.float64)
            for start in range(0, len(weights), COLUMNS):
                columns = slice(start, start + COLUMNS)
                kernels = torch.addmm(half[columns], points, others[columns].T).add_(mine[:, None]).exp_()
                sums += kernels.sub_(covered[columns]).clamp_min_(0) @ weights[columns]
            return sums

        with block_threads(items.device) as each:
            sums = torch.cat(list(each(bound, items.split(self._cells // COLUMNS))))
        already = float(self.weights @ self.covered)
        return sums * (1 + 2 * COLUMNS * eps) + 2 * off * (sums + already)

    def add(self, item: int) -> None:
        """Choose an item."""
        kernels = self._kernels(torch.tensor([item], device=self.covered.device))
        self.covered = torch.maximum(self.covered, kernels[0])

    def _gains(self, items: Int[Tensor, " k"]) -> Float64[Tensor, " k"]:
        return self._kernels(items).sub_(self.covered).clamp_min_(0) @ self.weights

    def _kernels(self, items: Int[Tensor, " k"]) -> Float64[Tensor, "k m"]:
        return exponents(self.points[items], self.population).exp_()


def cover(coverage: Coverage, candidates: Int[Tensor, " k"], count: int) -> list[int]:
    """Greedy choice: at every step the candidate that adds most, exact; of equal ones the first.

    There are fewer than ``count`` where no other candidate adds anything. The coverage has them added.
    """
    chosen: list[int] = []
    bounds = coverage.bounds(candidates)
    while len(chosen) < count and len(candidates):
        best, exact = 0.0, torch.zeros_like(bounds, dtype=torch.bool)
        bounded = torch.full_like(exact, not chosen)
        while len(again := (~exact & (bounds > best * (1 - TIE))).nonzero().flatten()):
            loose = again[~bounded[again]]
            if best and len(loose) > MANY:
                bounds[loose] = torch.minimum(bounds[loose], coverage.bounds(candidates[loose]))
                bounded[loose] = True
                continue
            again = again[bounds[again].topk(min(AT_ONCE, len(again))).indices]
            bounds[again], exact[again] = coverage.gains(candidates[again]), True
            best = max(best, float(bounds[again].max()))
        if best <= TIE:
            break
        first = int((exact & (bounds >= best * (1 - TIE))).nonzero()[0])
        chosen.append(int(candidates[first]))
        coverage.add(chosen[-1])
        bounds[first] = 0.0
    return chosen
