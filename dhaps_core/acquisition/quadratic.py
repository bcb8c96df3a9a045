"""The selection problem written out over an explicit list of pairs, and the solvers that need it.

Minimise c'a + 1/2 a'Ha over a in {0,1}^u with sum a = q and no item used twice. For small pools, for tests
(`exhaustive` is the oracle of the others) and for the `matched` kernel, whose sums do not factorise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import comb, inf

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import Pool
from dhaps_core.pairs import Kernel

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
    """Objective over the indicator of the listed pairs: c'a + 1/2 a'Ha.

    Attributes:
        pairs: in rising order of position.
        linear: c.
        quadratic: H, the diversity among the picks.
        picks: q, at most.
        terms: c by its terms ``uncertainty``, ``representativeness`` and ``diversity``; less the credits.
    """

    pairs: Int[Tensor, "u 2"]
    linear: Float[Tensor, " u"]
    quadratic: Float[Tensor, "u u"]
    picks: int
    terms: Mapping[str, Float[Tensor, " u"]]

    def value(self, chosen: Int[Tensor, " q"]) -> float:
        """Objective of a set of listed pairs."""
        within = self.quadratic[chosen][:, chosen].sum() / 2
        return float(self.linear[chosen].sum() + within)

    def scores(self, chosen: Int[Tensor, " q"]) -> dict[str, Float[Tensor, " q"]]:
        """What each pair of a set adds to the objective after those before it, by term; in all the value."""
        within = self.quadratic[chosen][:, chosen]
        own = within.diagonal() / 2 + within.tril(-1).sum(1)
        scores = {name: values[chosen] for name, values in self.terms.items()}
        return scores | {"diversity": scores["diversity"] + own, "total": self.linear[chosen] + own}

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
        raise ValueError(
            f"the dense form takes at most {MOST_PAIRS} pairs; got {len(pairs)}. Use the greedy solver."
        )
    build = _published if pool.reading == "published" else _closed
    return build(pool, pairs, kind, population)


def _published(pool: Pool, pairs: Tensor, kind: Kernel, population: Tensor | None) -> QuadraticForm:
    uncertain, mean, labelled, diverse = pool.published_scale
    if population is None:
        if kind == "matched":
            raise ValueError(
                "the matched kernel has no factorised mean; got no population. Give population pairs."
            )
        means = pool.means[pairs].prod(1)
    else:
        means = pool.pair_kernels(pairs, population, kind).mean(1)
    near = pool.pair_kernels(pairs, pool.labelled_pairs, kind).sum(1)
    # Part of the kernel with L stands for the unlabelled pairs that are not there.
    absent = mean / pool.population * near
    terms = {
        "uncertainty": uncertain * pool.pair_uncertainties(pairs),
        "representativeness": absent - mean * means,
        "diversity": labelled * near - absent,
    }
    return _form(pool, pairs, terms, diverse * pool.pair_kernels(pairs, pairs, kind))


def _closed(pool: Pool, pairs: Tensor, kind: Kernel, population: Tensor | None) -> QuadraticForm:
    if kind != "invariant" or population is not None:
        raise ValueError(
            f"the reading 'closed' is defined for the invariant kernel; got {kind!r}. Use 'published'."
        )
    # S x S with |S| + 2q items at the end of the round, in the units of the greedy step.
    scale, total = pool.closed_scale, len(pool.labelled_items) + 2 * pool.picks
    a, b = pairs.unbind(1)
    items, where = torch.unique(pairs, return_inverse=True)
    kernels = pool.kernels(items, items)
    first, second = where.unbind(1)
    rows = kernels[first] + kernels[second]
    quadratic = rows[:, first]
    quadratic += rows[:, second]
    sums = pool.kernels(items, pool.labelled_items).sum(1)
    diverse = scale * pool.weights.diversity / total
    terms = {
        "uncertainty": pool.weights.uncertainty * pool.pair_uncertainties(pairs),
        "representativeness": -scale * pool.weights.representativeness * (pool.means[a] + pool.means[b]),
        "diversity": diverse * (sums[first] + sums[second]),
    }
    return _form(pool, pairs, terms, quadratic.mul_(diverse))


def _form(pool: Pool, pairs: Tensor, terms: dict[str, Tensor], quadratic: Tensor) -> QuadraticForm:
    linear = terms["uncertainty"] + terms["representativeness"] + terms["diversity"]
    return QuadraticForm(pairs, linear - pool.credit[pairs].sum(1), quadratic, pool.picks, terms)


def solve_exhaustive(form: QuadraticForm) -> Int[Tensor, " q"]:
    """The best set of disjoint pairs, by trying every one; fewer than q only where no q pairs are disjoint.

    Raises:
        ValueError: if there are more than two million sets.
    """
    for size in range(min(form.picks, len(form.pairs)), 0, -1):
        sets = comb(len(form.pairs), size)
        if sets > MOST_SUBSETS:
            raise ValueError(
                f"exhaustive search takes at most {MOST_SUBSETS} sets; got {sets}. Use the greedy solver."
            )
        best = min(_disjoint_sets(form, size), key=lambda found: found[0], default=None)
        if best is not None:
            return torch.tensor(best[1], device=form.pairs.device)
    return form.pairs.new_zeros(0)


def _disjoint_sets(form: QuadraticForm, size: int) -> Iterator[tuple[float, list[int]]]:
    """Every set of so many disjoint pairs, in the order of position, and its value."""
    pairs, linear, quadratic = form.pairs.tolist(), form.linear.tolist(), form.quadratic.cpu().numpy()

    def extend(value: float, chosen: list[int], used: set[int]) -> Iterator[tuple[float, list[int]]]:
        if len(chosen) == size:
            yield value, chosen
            return
        first = chosen[-1] + 1 if chosen else 0
        for place in range(first, len(pairs) - (size - len(chosen)) + 1):
            if used.isdisjoint(pairs[place]):
                row = quadratic[place]
                added = linear[place] + float(row[place]) / 2 + sum(float(row[other]) for other in chosen)
                yield from extend(value + added, [*chosen, place], used | set(pairs[place]))

    yield from extend(0.0, [], set())


def solve_greedy(form: QuadraticForm) -> Int[Tensor, " q"]:
    """Cheapest pair first, every cost updated after each pick; fewer than q when no disjoint pair is left.

    Of pairs that cost the same up to rounding, the first by position.
    """
    return _fill(form, form.pairs.new_zeros(0))


def _fill(form: QuadraticForm, chosen: Int[Tensor, " t"]) -> Int[Tensor, " q"]:
    """Some disjoint pairs and the greedy picks beside them."""
    cost = form.linear + form.quadratic.diagonal() / 2
    tie = 64 * torch.finfo(cost.dtype).eps * float(cost.abs().max()) if len(cost) else 0.0
    cost += form.quadratic[chosen].sum(0)
    cost[_touching(form, chosen)] = float("inf")
    while len(chosen) < form.picks and len(cost) and bool(cost.isfinite().any()):
        best = (cost <= cost.min() + tie).to(torch.uint8).argmax()
        chosen = torch.cat([chosen, best[None]])
        cost = cost + form.quadratic[best]
        cost[_touching(form, best[None])] = float("inf")
    return chosen


def _touching(form: QuadraticForm, chosen: Int[Tensor, " t"]) -> Bool[Tensor, " u"]:
    """Which of the listed pairs have an item in common with some of them, themselves included."""
    return (form.pairs[:, :, None] == form.pairs[chosen].flatten()).flatten(1).any(1)


def solve_relaxed(form: QuadraticForm, *, steps: int = 500) -> tuple[Int[Tensor, " q"], float]:
    """Relaxation over [0, 1]^u, rounded, then improved by best swaps; and a lower bound on every set.

    Accelerated projected gradient on the capped simplex, for as many pairs as a greedy pass makes disjoint;
    no fewer are picked, and more where rounding or a swap leaves room for them. The bound is the value minus
    the Frank-Wolfe gap: it is valid wherever the iteration stops, provided the kernel is positive definite
    (``invariant``).

    Returns:
        Positions in ``form.pairs`` and the lower bound on all sets of as many pairs (not rounded, item reuse
        allowed); minus infinity where more are picked than the relaxation was for.
    """
    greedy = solve_greedy(form)
    q = len(greedy)
    if not q:
        return greedy, 0.0
    point = torch.full_like(form.linear, q / len(form.linear))
    ahead, momentum = point, 1.0
    step = 1 / float(
        form.quadratic.abs().sum(1).max().clamp_min(1e-12)
    )  # no eigenvalue exceeds a sum of a row
    for _ in range(steps):
        gradient = form.linear + form.quadratic @ ahead
        new = _project_capped_simplex(ahead - step * gradient, q)
        faster = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / faster * (new - point)
        point, momentum = new, faster
    gradient = form.linear + form.quadratic @ point
    value = float(form.linear @ point + point @ form.quadratic @ point / 2)
    gap = float(gradient @ point - gradient.topk(q, largest=False).values.sum())
    rounded = round_to_disjoint(form, point)
    chosen = _improve(form, rounded if len(rounded) >= q else greedy)
    return chosen, value - gap if len(chosen) == q else -inf


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


def _improve(form: QuadraticForm, chosen: Int[Tensor, " t"]) -> Int[Tensor, " q"]:
    """Best swaps, and more pairs where they leave room for some: each turn but the last adds a pair."""
    while True:
        chosen = _improve_by_swaps(form, chosen)
        fuller = _fill(form, chosen)
        if len(fuller) == len(chosen):
            return chosen
        chosen = fuller


def _improve_by_swaps(form: QuadraticForm, chosen: Int[Tensor, " q"]) -> Int[Tensor, " q"]:
    """Exchange one chosen pair for one outside while that lowers the objective.

    Every turn lowers the value of the set, so no set comes twice: rounding cannot make a circle.
    """
    diagonal, value = form.quadratic.diagonal(), form.value(chosen)
    while True:
        load = form.linear + form.quadratic[:, chosen].sum(1)
        best_change, swapped = 0.0, chosen
        for out in range(len(chosen)):
            gone = chosen[out]
            rest = torch.cat([chosen[:out], chosen[out + 1 :]])
            removed = load[gone] - diagonal[gone] / 2
            added = load - form.quadratic[:, gone] + diagonal / 2
            change = added - removed
            change[_touching(form, rest)] = float("inf")
            change[gone] = float("inf")
            place = change.argmin()
            if float(change[place]) < best_change:
                best_change, swapped = float(change[place]), torch.cat([rest, place[None]]).sort().values
        lower = form.value(swapped)
        if not lower < value:
            return chosen
        chosen, value = swapped, lower
