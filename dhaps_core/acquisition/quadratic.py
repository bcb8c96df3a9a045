"""The selection problem written out over an explicit list of pairs, and the solvers that need it.

Minimise c'a + 1/2 a'Ha over a in {0,1}^u with sum a = q and no item used twice (a reading:
``docs/readings.md``). For small pools, for tests (`exhaustive` is the oracle of the others) and for the
`matched` kernel, whose sums do not factorise.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import comb, inf

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["QuadraticForm", "round_to_disjoint", "solve_exhaustive", "solve_greedy", "solve_relaxed"]

MOST_SUBSETS = 2_000_000
MOST_PAIRS = 20_000
STEPS = 500  # of the relaxation


@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """Objective over the indicator of the listed pairs: c'a + 1/2 a'Ha.

    Attributes:
        pairs: in rising order of position.
        terms: c by its terms ``uncertainty``, ``representativeness`` and ``diversity``.
        credit: of each pair, subtracted from them.
        quadratic: H, the diversity among the picks.
        picks: q, at most.
    """

    pairs: Int[Tensor, "u 2"]
    terms: Mapping[str, Float[Tensor, " u"]]
    credit: Float[Tensor, " u"]
    quadratic: Float[Tensor, "u u"]
    picks: int

    @cached_property
    def linear(self) -> Float[Tensor, " u"]:
        """The vector c."""
        uncertain, represent, diverse = self.terms.values()
        return uncertain + represent + diverse - self.credit

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


def solve_greedy(form: QuadraticForm, beside: Int[Tensor, " t"] | None = None) -> Int[Tensor, " q"]:
    """Cheapest pair first, every cost updated after each pick; fewer than q when no disjoint pair is left.

    Of pairs that cost the same up to rounding, the first by position. Pairs ``beside`` are picked already.
    """
    chosen = form.pairs.new_zeros(0) if beside is None else beside
    cost = form.linear + form.quadratic.diagonal() / 2
    tie = 64 * torch.finfo(cost.dtype).eps * float(cost.abs().max()) if len(cost) else 0.0
    cost += form.quadratic[chosen].sum(0)
    cost[_touching(form, chosen)] = inf
    while len(chosen) < form.picks and bool(cost.isfinite().any()):
        best = (cost <= cost.min() + tie).to(torch.uint8).argmax()
        chosen = torch.cat([chosen, best[None]])
        cost = cost + form.quadratic[best]
        cost[_touching(form, best[None])] = inf
    return chosen


def _touching(form: QuadraticForm, chosen: Int[Tensor, " t"]) -> Bool[Tensor, " u"]:
    """Which of the listed pairs have an item in common with some of them, themselves included."""
    return (form.pairs[:, :, None] == form.pairs[chosen].flatten()).flatten(1).any(1)


def solve_relaxed(form: QuadraticForm) -> tuple[Int[Tensor, " q"], float]:
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
    step = 1 / max(1e-12, float(form.quadratic.abs().sum(1).max()))  # no eigenvalue exceeds a sum of a row
    for _ in range(STEPS):
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
    """Best swaps while they lower the objective, then more pairs where there is room for some, and so on.

    Every turn but the last lowers the value of the set or adds a pair, so no set comes twice: rounding cannot
    make a circle.
    """
    while True:
        better = _swap(form, chosen) if len(chosen) else chosen
        if not form.value(better) < form.value(chosen):
            better = solve_greedy(form, chosen)
            if len(better) == len(chosen):
                return chosen
        chosen = better


def _swap(form: QuadraticForm, chosen: Int[Tensor, " q"]) -> Int[Tensor, " q"]:
    """The set with the one pair exchanged whose exchange lowers the objective most; or the set as it is."""
    half, items = form.quadratic.diagonal() / 2, form.pairs[chosen]
    load = form.linear + form.quadratic[:, chosen].sum(1)
    change = load - form.quadratic[chosen] + half - (load - half)[chosen, None]  # [q u]
    shared = (form.pairs[:, :, None, None] == items).any(3).any(1).T.long()
    change[shared.sum(0) > shared] = inf  # an item of another chosen pair
    change[torch.arange(len(chosen), device=chosen.device), chosen] = inf
    out, place = divmod(int(change.argmin()), len(half))
    if not change[out, place] < 0:
        return chosen
    return torch.cat([chosen[:out], chosen[out + 1 :], chosen.new_tensor([place])]).sort().values
