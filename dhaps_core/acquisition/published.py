"""The reading ``published`` (the paper's): the chosen pairs are supervision, and nothing else is.

What the poster leaves open in it: ``docs/readings.md``.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dhaps_core.acquisition.contract import random_pairs
from dhaps_core.acquisition.problem import FILLED_IN, LOG2, Problem, Weights
from dhaps_core.acquisition.quadratic import QuadraticForm
from dhaps_core.acquisition.shortlist import Bounds, Shortlist, cheapest_pairs, tile_of
from dhaps_core.checks import one_of
from dhaps_core.pairs import Kernel, pair_kernel

__all__ = ["Published"]

LISTED = 1 << 14  # pairs on a list; with near ties everywhere, a longer one hardly lasts longer
SCORED = 1 << 21  # numbers held at once while pairs are scored
SUMMED = 1 << 18  # and while their kernels are summed: on the CPU these stay in the cache
COLUMNS = 256  # labelled and picked pairs in the bounds, at most; and never more than
COLUMN_CELLS = 1 << 26  # numbers in their columns
MOST_CANDIDATES = 250_000  # a pass over all their pairs takes half a minute
SAMPLE = 4096  # pairs written out for the matched kernel, whose sums over all pairs do not factorise
DENSEST = 2048  # items that the best of these pairs are of
KERNELS = 1 << 22  # of pairs with pairs at a time
EVEN = Weights(1.0, 1.0, 1.0)
INF = float("inf")


@dataclass(frozen=True, kw_only=True, eq=False)
class Published(Problem):
    """A problem whose labelled pairs are L: those that were chosen before, and answered.

    Attributes:
        candidates: of more than 250,000 those with the greatest kernel means remain.
        weights: all 1 by default.
        kernel: ``invariant``, or ``matched`` as the paper writes it, whose sums over all pairs do not
            factorise: they are sampled, and so are the pairs where there are more than 4,096. Then picks are
            made among the 2,048 best of the invariant kernel's first step and at least as many random ones,
            two for each pick, that share no item: the best alone lie where the pool is densest, and are of
            few items.
        labelled_pairs: L; none by default. A run gives those chosen before whose items were both answered:
            picks left open or answered "unsure" are not in L.

    Example:
        >>> from dhaps_core.acquisition.select import select
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [1.0, 1.0]])
        >>> select(Published(codes, space=codes, bandwidth=1.0), picks=2).pairs.tolist()
        [[0, 1], [2, 3]]
    """

    weights: Weights = EVEN
    kernel: Kernel = "invariant"
    labelled_pairs: Int[Tensor, "l 2"] = FILLED_IN

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kernel", self.kernel, get_args(Kernel))
        if int(self.candidates.sum()) > MOST_CANDIDATES:
            best = torch.where(self.candidates, self.means, -1.0).topk(MOST_CANDIDATES).indices
            cut = f"pairs among the {MOST_CANDIDATES} items with the greatest of them"
            candidates = torch.zeros_like(self.candidates).index_fill_(0, best, True)
            vars(self).update(candidates=candidates, note=f"{self.note}; {cut}")

    @property
    def factorises(self) -> bool:
        """See :attr:`Problem.factorises`."""
        return self.kernel == "invariant"

    def factors(self, picks: int) -> tuple[float, float, float, float]:
        """Factors of a pair's uncertainty, mean kernel, kernel with L, and kernel with the picks.

        s2 counts the *unlabelled* pairs only, so part of the kernel with L sits in representativeness.
        """
        w, total = self.weights, len(self.labelled_pairs) + picks
        step, share = 2 * self.beta / total**2, total / len(self.means) ** 2
        labelled = w.representativeness * share + w.diversity * (1 - share)
        mean = step * total * w.representativeness
        return w.uncertainty / total, mean, step * labelled, step * w.diversity

    def sizes(self, picks: int) -> tuple[float, float, float]:
        """See :meth:`Problem.sizes`."""
        uncertain, mean, labelled, diverse = self.factors(picks)
        largest = float(self.means.max())
        kernels = diverse * (picks + 1) + labelled * len(self.labelled_pairs)
        return uncertain, mean * largest * largest + diverse, kernels

    def costs(self, pairs: Int[Tensor, "p 2"], chosen: Int[Tensor, "t 2"], picks: int) -> Float[Tensor, " p"]:
        """What each pair would add to the objective, after those chosen so far in a round of ``picks``."""
        if len(pairs) > (most := max(1, SCORED // (self.relaxed.shape[1] + self.space.shape[1]))):
            return torch.cat([self.costs(part, chosen, picks) for part in pairs.split(most)])
        uncertain, mean, labelled, diverse = self.factors(picks)
        a, b = pairs.T
        cost = uncertain * self.pair_uncertainties(pairs) - mean * self.means[a] * self.means[b]
        squared = self.points.scaled[a].sub_(self.points.scaled[b]).square_().sum(1).neg_().exp_()
        cost += diverse / 4 * (1 + squared) - self.credit[a] - self.credit[b]  # 1 + k_ab^2
        items, place = torch.unique(pairs, return_inverse=True)
        for weight, others in ((labelled, self.labelled_pairs), (diverse, chosen)):
            for some in others.split(max(1, SCORED // max(1, 2 * len(items)))) if len(others) else ():
                cost += weight / 2 * _sums(self.kernels(items, some.flatten()), place)
        return cost

    def shortlist(
        self,
        picks: int,
        free: Bool[Tensor, " n"],
        chosen: Int[Tensor, "t 2"],
        *,
        most: int,
        worst: float = INF,
    ) -> Shortlist:
        """The cheapest feasible pairs of free items after those chosen so far; see :func:`cheapest_pairs`."""
        items = free.nonzero().flatten()
        items = items[self.means[items].argsort(descending=True, stable=True)]
        bounds, tie = self._bounds(items, chosen, picks, most), 2 * self.rounding(picks).most
        costs = partial(self.costs, chosen=chosen, picks=picks)
        return cheapest_pairs(items, bounds, costs, self.unknown, most=most, tie=tie, worst=worst)

    def _bounds(self, items: Int[Tensor, " f"], chosen: Int[Tensor, "t 2"], picks: int, most: int) -> Bounds:
        """Lower bounds on the costs of all pairs of some items, in falling order of their kernel means.

        With U, M, D the factors of uncertainty, mean kernel and diversity, and t the log-odds of a pair, the
        cost is at least U (log 2 + |t|/2) - M m_a m_b - credits + D/4: softplus(t) >= log 2 + t/2, tight at
        t = 0, where the cheapest pairs are, and kernels are never negative. Where labelled pairs and picks
        (or credits) weigh on the costs, all these terms have columns of their own in a second product. Each
        column only adds, so any selection of them is a bound, and their number is limited.
        """
        uncertain, mean, labelled, diverse = self.factors(picks)
        u, m, credit = self.relaxed[items], self.means[items], self.credit[items]
        one, line = torch.ones_like(m)[:, None], self.calibration
        left = torch.cat([uncertain / 4 * line.slope * u, uncertain / 2 * line.intercept * one], 1)
        most_credit = 2 * max(0.0, float(credit.max())) if len(items) else 0.0
        others = torch.cat([self.labelled_pairs, chosen])
        weights = m.new_full((len(others),), diverse)
        weights[: len(self.labelled_pairs)] = labelled
        rises = weights * self.means[others].prod(1)  # mean of what each adds, over all pairs
        spread = float(rises.sum()) + most_credit
        if len(items):
            width = tile_of(items.device)[1] / len(items)
            spread += mean * float(m[0] ** 2 - m[-1] ** 2) * width
        rest = None
        # Among N pairs the list ends about U most / N above the cheapest one, as far as uncertainty decides.
        if spread * len(items) ** 2 > 2 * uncertain * most:
            heavy = rises.topk(min(len(rises), COLUMNS, COLUMN_CELLS // len(items))).indices
            first, second = (self.kernels(items, side) for side in others[heavy].unbind(1))
            half, minus = weights[heavy] / 2, -credit[:, None]
            rest = (
                torch.cat([-mean * m[:, None], minus, -one, half * first, half * second], 1),
                torch.cat([m[:, None], one, -minus, second, first], 1),
            )
        floor = uncertain * LOG2 + diverse / 4
        sides = left, torch.cat([u, one], 1)
        return Bounds(floor, sides, rest, means=m, mean=mean, credit=most_credit)

    def greedy(self, picks: int) -> tuple[Int[Tensor, "q 2"], int, float]:
        """See :meth:`Problem.greedy`; with the invariant kernel.

        Lazy greedy on a list of the cheapest pairs. A kernel is never negative, so a pick only raises costs,
        and what bounded the pairs outside the list still does (Minoux' lazy evaluation, exact here). A pick
        is the cheapest pair on the list as long as it costs less than that bound; then a new list is made,
        whose cheapest pair is the pick whatever its bound is. So a turn picks or ends, with one list at most.

        References:
            Minoux: Accelerated greedy algorithms for maximizing submodular set functions, 1978.
        """
        uncertain, mean, _, diverse = self.factors(picks)
        rounding, free = self.rounding(picks), self.candidates.clone()
        chosen = self.relaxed.new_zeros((0, 2), dtype=torch.long)
        found, scored, margin = Shortlist(chosen, self.means.new_zeros(0), bound=-INF, scored=0), 0, INF
        while len(chosen) < picks:
            if found.least + 4 * rounding.most >= found.bound:
                # What is left of a list costs at most this by now, so the next need not look beyond it.
                left, worst = found.costs[found.costs < INF], INF
                if 2 * len(left) >= LISTED:
                    worst = float(left.kthvalue(min(LISTED, len(left))).values) + rounding.most
                found = self.shortlist(picks, free, chosen, most=LISTED, worst=worst)
                (a, b), scored = found.pairs.T.contiguous(), scored + found.scored
                # Without its credits and its means a cost is its uncertainty, at least log 2, and kernels.
                own = (
                    uncertain * LOG2
                    - mean * self.means[found.pairs].prod(1)
                    - self.credit[found.pairs].sum(1)
                )
            if found.least == INF:
                break
            errors = rounding.of(found.costs - own)
            equal = found.costs - errors <= (found.costs + errors).min()
            place = int(equal.to(torch.uint8).argmax())  # the first: the list is in the order of positions
            pair = found.pairs[place]
            margin = min(margin, found.bound - float(found.costs[place]))
            chosen = torch.cat([chosen, pair[None]])
            free[pair] = False
            (first, second), (i, j) = self.kernels(pair), pair
            rises = first.index_select(0, a) * second.index_select(0, b)
            rises += second.index_select(0, a) * first.index_select(0, b)
            taken = (a == i) | (a == j) | (b == i) | (b == j)
            costs = found.costs + diverse / 2 * rises
            found = replace(found, costs=costs.masked_fill_(taken, INF))
        return chosen, scored, margin

    def dense(
        self, pairs: Int[Tensor, "u 2"], picks: int, population: Int[Tensor, "r 2"] | None = None
    ) -> QuadraticForm:
        """See :meth:`Problem.dense`.

        The mean kernel with the population stands for the one with all pairs; without a population that is
        the product of item means, which is exact for the invariant kernel.
        """
        uncertain, mean, labelled, diverse = self.factors(picks)
        means = (
            self.means[pairs].prod(1) if population is None else self._pair_kernels(pairs, population).mean(1)
        )
        near = self._pair_kernels(pairs, self.labelled_pairs).sum(1)
        # Part of the kernel with L stands for the unlabelled pairs that are not there.
        absent = mean / len(self.means) ** 2 * near
        terms = {
            "uncertainty": uncertain * self.pair_uncertainties(pairs),
            "representativeness": absent - mean * means,
            "diversity": labelled * near - absent,
        }
        kernels = diverse * self._pair_kernels(pairs, pairs)
        return QuadraticForm(pairs, terms, self.credit[pairs].sum(1), kernels, picks)

    def form(self, picks: int, generator: torch.Generator | None = None) -> tuple[QuadraticForm, str]:
        """See :meth:`Problem.form`; with the matched kernel of more than 4,096 pairs some.

        Raises:
            ValueError: where it samples, and got no CPU generator.
        """
        if self.factorises:
            return super().form(picks)
        n, every = len(self.means), self.pairs_among
        if every <= SAMPLE and n**2 <= SAMPLE:
            population = torch.cartesian_prod(*[torch.arange(n, device=self.means.device)] * 2)
            return self.dense(self.feasible_pairs(), picks, population), ""
        if generator is None:
            rule = "the matched kernel samples its sums over all pairs"
            raise ValueError(f"{rule}; got no generator. Give a generator.")
        population = torch.randint(n, (SAMPLE // 2, 2), generator=generator).to(self.means.device)
        note = f"matched kernel: sums over all pairs from {len(population)} random pairs"
        if every <= SAMPLE:
            return self.dense(self.feasible_pairs(), picks, population), note
        # A pick among the best takes at most two of the others away, so two for each leave room for all.
        apart = max(SAMPLE // 2, 2 * picks)
        pairs = random_pairs(self.candidates, picks=apart, generator=generator, known=self.known)
        note += f", candidates are {len(pairs)} random pairs"
        if len(pairs) >= 2 * picks:
            best = self._best_pairs(picks)
            pairs = torch.cat([best, pairs]).unique(dim=0)
            note += f" and the {len(best)} best of the invariant kernel's first step"
        return self.dense(pairs, picks, population), note

    def _best_pairs(self, picks: int) -> Int[Tensor, "u 2"]:
        """Pairs with the best linear cost among the items with the greatest kernel means."""
        uncertain, mean, _, _ = self.factors(picks)
        items = (
            torch.where(self.candidates, self.means, -1.0)
            .topk(min(DENSEST, int(self.candidates.sum())))
            .indices
        )
        cost = (
            uncertain * self.uncertainties(items, items) - mean * self.means[items, None] * self.means[items]
        )
        cost -= self.credit[items, None] + self.credit[items]
        cost[self.forbidden(items, items)] = INF
        cost += torch.full_like(cost, INF).tril()
        values, places = cost.flatten().topk(min(SAMPLE // 2, cost.numel()), largest=False)
        places = places[values.isfinite()]
        return torch.stack([items[places // len(items)], items[places % len(items)]], 1).sort(1).values

    def _pair_kernels(self, pairs: Int[Tensor, "p 2"], others: Int[Tensor, "r 2"]) -> Float[Tensor, "p r"]:
        space = self.space.double()
        parts = pairs.split(max(1, KERNELS // max(1, len(others))))
        kernel = partial(pair_kernel, t=space[others], bandwidth=self.bandwidth, kind=self.kernel)
        return torch.cat([kernel(space[part]) for part in parts])


def _sums(kernels: Float[Tensor, "u two_s"], place: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
    """Sum over some pairs (s, t) of k(a,s) k(b,t) + k(b,s) k(a,t), from kernels with s, t, s, t, ..."""
    swapped = kernels.unflatten(1, (-1, 2)).flip(2).flatten(1)
    parts = place.split(max(1, SUMMED // kernels.shape[1]))
    return torch.cat([kernels[part[:, 0]].mul_(swapped[part[:, 1]]).sum(1) for part in parts])
