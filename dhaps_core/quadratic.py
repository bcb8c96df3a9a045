"""The selection problem written out over an explicit list of pairs, and the solvers that need it.

Minimise c'a + 1/2 a'Ha over a in {0,1}^u with sum a = q and no item used twice. For small pools, for tests
(`exhaustive` is the oracle of the others) and for the `matched` kernel, whose sums do not factorise.
"""

from dataclasses import dataclass, replace
from itertools import combinations
from math import comb

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.pairs import Kernel
from dhaps_core.pool import Pool

__all__ = [
    "QuadraticForm",
    "quadratic_form",
    "round_to_disjoint",
    "solve_exhaustive",
    "solve_greedy",
    "solve_relaxed",
]

MOST_SUBSETS = 2_000_000
MOST_PAIRS = 20_000


@dataclass(frozen=True)
class QuadraticForm:
    """Objective over the indicator of the listed pairs: c'a + 1/2 a'Ha."""

    pairs: Int[Tensor, "u 2"]
    linear: Float[Tensor, " u"]
    quadratic: Float[Tensor, "u u"]
    picks: int

    def value(self, chosen: Int[Tensor, " q"]) -> float:
        """Objective of a set of listed pairs."""
        within = self.quadratic[chosen][:, chosen].sum() / 2
        return float(self.linear[chosen].sum() + within)

    def disjoint(self, chosen: Int[Tensor, " q"]) -> bool:
        """Whether no item is used twice."""
        items = self.pairs[chosen].flatten()
        return len(items.unique()) == len(items)


def quadratic_form(
    pool: Pool,
    pairs: Int[Tensor, "u 2"],
    *,
    kind: Kernel = "invariant",
    population: Int[Tensor, "r 2"] | None = None,
) -> QuadraticForm:
    """Objective of a round over the given pairs; differences between sets are those of the reading.

    Args:
        pool: the round.
        pairs: candidates, at most 20,000.
        kind: pair kernel of the reading ``published``.
        population: pairs whose mean kernel stands for the mean over all pairs (needed for ``matched``);
            None uses the exact product of item means, for ``invariant`` only.

    Raises:
        ValueError: if there are more pairs than a dense matrix should hold.
    """
    if len(pairs) > MOST_PAIRS:
        msg = f"the dense form takes at most {MOST_PAIRS} pairs; got {len(pairs)}. Use the greedy solver."
        raise ValueError(msg)
    build = _published if pool.reading == "published" else _closed
    form = build(pool, pairs, kind, population)
    credit = pool.credit[pairs].sum(1)
    return replace(form, linear=form.linear - credit)


def _published(pool: Pool, pairs: Tensor, kind: Kernel, population: Tensor | None) -> QuadraticForm:
    uncertain, mean, labelled, diverse = pool.published_scale
    if population is None:
        if kind == "matched":
            msg = "the matched kernel has no factorised mean; got no population. Give population pairs."
            raise ValueError(msg)
        means = pool.means[pairs].prod(1)
    else:
        means = pool.pair_kernels(pairs, population, kind).mean(1)
    linear = uncertain * pool.pair_uncertainties(pairs) - mean * means
    linear += labelled * pool.pair_kernels(pairs, pool.labelled_pairs, kind).sum(1)
    return QuadraticForm(pairs, linear, diverse * pool.pair_kernels(pairs, pairs, kind), pool.picks)


def _closed(pool: Pool, pairs: Tensor, kind: Kernel, population: Tensor | None) -> QuadraticForm:
    if kind != "invariant" or population is not None:
        msg = f"the reading 'closed' is defined for the invariant kernel; got {kind!r}. Use 'published'."
        raise ValueError(msg)
    # S x S with |S| + 2q items at the end of the round, in the units of the greedy step.
    scale, total = pool.closed_scale, len(pool.labelled_items) + 2 * pool.picks
    a, b = pairs.unbind(1)
    items, where = torch.unique(pairs, return_inverse=True)
    kernels = pool.kernels(items, items)
    first, second = where.unbind(1)
    rows = kernels[first] + kernels[second]
    quadratic = rows[:, first] + rows[:, second]
    sums = pool.kernels(items, pool.labelled_items).sum(1)
    diverse = scale * pool.weights.diversity / total
    linear = pool.weights.uncertainty * pool.pair_uncertainties(pairs)
    linear += diverse * (sums[first] + sums[second])
    linear -= scale * pool.weights.representativeness * (pool.means[a] + pool.means[b])
    return QuadraticForm(pairs, linear, diverse * quadratic, pool.picks)


def solve_exhaustive(form: QuadraticForm) -> Int[Tensor, " q"]:
    """The best set of disjoint pairs, by trying every one.

    Raises:
        ValueError: if there are more than two million sets.
    """
    sets = comb(len(form.pairs), form.picks)
    if sets > MOST_SUBSETS:
        msg = f"exhaustive search takes at most {MOST_SUBSETS} sets; got {sets}. Use the greedy solver."
        raise ValueError(msg)
    best, best_value = None, float("inf")
    for subset in combinations(range(len(form.pairs)), form.picks):
        chosen = torch.tensor(subset, device=form.pairs.device)
        if form.disjoint(chosen) and (value := form.value(chosen)) < best_value:
            best, best_value = chosen, value
    if best is None:
        msg = f"{form.picks} disjoint pairs must exist; got {len(form.pairs)} pairs. Ask for fewer picks."
        raise ValueError(msg)
    return best


def solve_greedy(form: QuadraticForm) -> Int[Tensor, " q"]:
    """Cheapest pair first, every cost updated after each pick; fewer than q when no disjoint pair is left."""
    cost = form.linear + form.quadratic.diagonal() / 2
    chosen: list[Tensor] = []
    while len(chosen) < form.picks and len(cost) and bool(cost.isfinite().any()):
        best = cost.argmin()
        chosen.append(best)
        cost = cost + form.quadratic[best]
        used = (form.pairs[:, :, None] == form.pairs[best]).flatten(1).any(1)
        cost[used] = float("inf")
    return torch.stack(chosen) if chosen else form.pairs.new_zeros(0)


def solve_relaxed(form: QuadraticForm, *, steps: int = 500) -> tuple[Int[Tensor, " q"], float]:
    """Relaxation over [0, 1]^u, rounded, then improved by best swaps; and a lower bound on every set.

    Accelerated projected gradient on the capped simplex. The bound is the value minus the Frank-Wolfe gap: it
    is valid wherever the iteration stops, provided the kernel is positive definite (``invariant``).

    Returns:
        Positions in ``form.pairs`` and the lower bound (not rounded, item reuse allowed).
    """
    q = form.picks
    point = torch.full_like(form.linear, q / len(form.linear))
    ahead, momentum = point, 1.0
    step = 1 / float(torch.linalg.matrix_norm(form.quadratic, 2).clamp_min(1e-12))
    for _ in range(steps):
        gradient = form.linear + form.quadratic @ ahead
        new = _project_capped_simplex(ahead - step * gradient, q)
        faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / faster * (new - point)
        point, momentum = new, faster
    gradient = form.linear + form.quadratic @ point
    value = float(form.linear @ point + point @ form.quadratic @ point / 2)
    gap = float(gradient @ point - gradient.topk(q, largest=False).values.sum())
    return _improve_by_swaps(form, round_to_disjoint(form, point)), value - gap


def _project_capped_simplex(v: Float[Tensor, " u"], q: int) -> Float[Tensor, " u"]:
    """Nearest point with entries in [0, 1] and sum q: a shift found by bisection."""
    low, high = v.min() - 1, v.max()
    for _ in range(60):
        middle = (low + high) / 2
        too_much = (v - middle).clamp(0, 1).sum() > q
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    return (v - (low + high) / 2).clamp(0, 1)


def round_to_disjoint(form: QuadraticForm, point: Float[Tensor, " u"]) -> Int[Tensor, " q"]:
    """The pairs with the greatest entries that use no item twice."""
    chosen: list[int] = []
    used: set[int] = set()
    for place in point.argsort(descending=True, stable=True).tolist():
        items = set(form.pairs[place].tolist())
        if len(chosen) < form.picks and not used & items:
            chosen.append(place)
            used |= items
    return torch.tensor(chosen, device=form.pairs.device)


def _improve_by_swaps(form: QuadraticForm, chosen: Int[Tensor, " q"]) -> Int[Tensor, " q"]:
    """Exchange one chosen pair for one outside while that lowers the objective."""
    while True:
        load = form.linear + form.quadratic[:, chosen].sum(1)
        diagonal = form.quadratic.diagonal()
        best_change, best = -1e-9, None
        for out in range(len(chosen)):
            gone = chosen[out]
            rest = torch.cat([chosen[:out], chosen[out + 1 :]])
            kept = form.pairs[rest].flatten()
            removed = load[gone] - diagonal[gone] / 2
            added = load - form.quadratic[:, gone] + diagonal / 2
            change = added - removed
            change[(form.pairs[:, :, None] == kept).flatten(1).any(1)] = float("inf")
            change[gone] = float("inf")
            place = change.argmin()
            if float(change[place]) < best_change:
                best_change, best = float(change[place]), (out, place)
        if best is None:
            return chosen
        chosen = chosen.clone()
        chosen[best[0]] = best[1]
