"""Which pairs to ask: uncertainty, representativeness and diversity of DH-APS, and their solvers.

With L the l labelled pairs, U the unlabelled ones, n_p = l + u, and a in {0,1}^u with sum q:

    s1 = 1/(l+q) sum_x a_x sup_y J(x, y)          s2 = -(l+q)/n_p 1'K_UU a
    s3 = 1/2 a'K_UU a + (u-q)/n_p 1'K_LU a        minimise s1 + beta 2/(l+q)^2 (s2 + s3)

and s2 + s3 is (l+q)^2/2 MMD^2(all pairs, L + Q) up to a constant. The population of "all pairs" is P x P,
the n^2 ordered pairs of the pool: its mean kernel is a product of item means, exactly.

Two readings of "labelled pairs": ``published`` takes L and Q as the chosen pairs. ``closed`` (ours, the
default) takes all pairs among the labelled and picked items S, because the items of a chosen pair get class
labels and then every pair among labelled items is supervision.

References:
    Wang, Zheng, Lu, Zhou: Deep Hashing with Active Pairwise Supervision, ECCV 2020.
    Wang, Ye: Querying Discriminative and Representative Samples for Batch Mode Active Learning, KDD 2013.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dhaps_core.acquisition.greedy import greedy_closed, greedy_published
from dhaps_core.acquisition.means import KernelMeans, pool_kernel_means
from dhaps_core.acquisition.problem import Calibration, Known, Pool, Reading, Weights, uncertainty
from dhaps_core.acquisition.quadratic import (
    MOST_PAIRS,
    QuadraticForm,
    quadratic_form,
    solve_exhaustive,
    solve_greedy,
    solve_relaxed,
)
from dhaps_core.acquisition.terms import separate_terms
from dhaps_core.checks import shown
from dhaps_core.pairs import Kernel

__all__ = [
    "Calibration",
    "Certificate",
    "Selection",
    "Weights",
    "select_pairs",
    "select_random",
    "separate_terms",
    "uncertainty",
]

Solver = Literal["greedy", "exhaustive", "relaxed"]
SHORTLIST = 4096
MOST_CANDIDATES = 400_000  # a pass over all their pairs takes minutes
KNOWN_TO = 1e-6  # of the size of a cost: with a greater rounding error no pick is called exact


@dataclass(frozen=True)
class Certificate:
    """What is known about the picks.

    Costs are computed in float64 from the codes, the space and the kernel means as they were given. They are
    known to ``rounding``; costs that differ by less than theirs count as equal, and of equal pairs the first
    by position is picked.

    Attributes:
        exact: every greedy pick costs at most twice ``rounding`` more than the cheapest of ALL feasible pairs
            (greedy), or no set of as many disjoint pairs is better by more than rounding (exhaustive). False
            where pairs were left out, sums were sampled or too few digits are known, and for the relaxed
            solver.
        pairs: pairs of candidate items that the claim is about.
        scored: pair costs that were computed.
        margin: least difference between the bound on unscored pairs and a pick's cost; not below minus twice
            ``rounding`` if exact.
        lower_bound: value that no set of q pairs can beat (relaxed solver, invariant kernel), else None; also
            None where other picks may leave room for more pairs.
        note: the approximation made, or what the picks leave open; empty if neither.
        rounding: bound on the rounding error of the cost of a pair; see
            :attr:`dhaps_core.acquisition.problem.Pool.errors`.
    """

    exact: bool
    pairs: int
    scored: int
    margin: float
    lower_bound: float | None = None
    note: str = ""
    rounding: float = 0.0


@dataclass(frozen=True)
class Selection:
    """Picks of one round, in the order of picking.

    Attributes:
        pairs: positions of the two items of each pick, the smaller first.
        scores: per pick, what it added to the objective that the solver minimised, with its kernel and its
            sums over all pairs: ``uncertainty``, ``representativeness``, ``diversity`` and ``total``.
        certificate: see :class:`Certificate`.
    """

    pairs: Int[Tensor, "q 2"]
    scores: Mapping[str, Float[Tensor, " q"]]
    certificate: Certificate


def select_pairs(
    relaxed: Float[Tensor, "n b"],
    *,
    picks: int,
    space: Float[Tensor, "n d"],
    bandwidth: float,
    reading: Reading = "closed",
    kernel: Kernel = "invariant",
    solver: Solver = "greedy",
    weights: Weights | None = None,
    beta: float = 1.0,
    labelled_pairs: Int[Tensor, "l 2"] | None = None,
    labelled_items: Int[Tensor, " s"] | None = None,
    candidates: Bool[Tensor, " n"] | None = None,
    known: Known | None = None,
    credit: Float[Tensor, " n"] | None = None,
    calibration: Calibration | None = None,
    means: KernelMeans | None = None,
    generator: torch.Generator | None = None,
) -> Selection:
    """Pairs to ask next, at most ``picks``, each item used at most once.

    Args:
        relaxed: relaxed codes u in [-1, 1] of the pool, for the uncertainty of each pair.
        picks: q, at least 1. Fewer pairs are returned only when no feasible pair is left beside them; the
            certificate says so where others might have left more (``exhaustive`` finds as many as there are).
        space: points that the kernel compares: codes (as published), relaxed codes or embeddings.
        bandwidth: sigma of the kernel; see :func:`dhaps_core.pairs.median_bandwidth`.
        reading: ``closed`` or ``published``; see the module.
        kernel: ``invariant`` or, for the reading ``published``, ``matched``.
        solver: ``greedy`` (any size, with a certificate over all pairs), ``exhaustive`` (tiny pools), or
            ``relaxed`` (the quadratic programme over [0,1]^u, then rounding and best swaps; small pools).
        weights: weights of the three terms; (0.03, 1, 1) for ``closed`` and (1, 1, 1) for ``published``.
        beta: common factor of representativeness and diversity.
        labelled_pairs: L of the reading ``published``.
        labelled_items: S of the reading ``closed``.
        candidates: items that may be picked; all by default. Of more than 400,000 the reading ``published``
            takes those with the greatest kernel means.
        known: tells for broadcasting positions, the two of a pair in either order, which pairs are answered
            or implied: never asked again.
        credit: subtracted from a pair's cost for each of its items.
        calibration: log-odds of "similar" from theta; the default takes theta itself.
        means: of the space, when already known.
        generator: CPU generator; needed only by ``matched``, whose sums over all pairs are sampled, and by
            pools of more than 200,000 items, whose kernel means are.

    Returns:
        The picks, their terms and the certificate.

    Raises:
        ValueError: on shapes that do not fit, values that are not finite, or a combination that is not
            defined; the message says which.
    """
    n, device = len(relaxed), relaxed.device
    _check(relaxed, space, picks=picks, beta=beta, reading=reading, kernel=kernel, solver=solver)
    none = torch.zeros(0, dtype=torch.long, device=device)
    if means is None:
        means = pool_kernel_means(space.double(), bandwidth=bandwidth, generator=generator)
    note = means.note
    if candidates is None:
        candidates = torch.ones(n, dtype=torch.bool, device=device)
    if reading == "published" and int(candidates.sum()) > MOST_CANDIDATES:
        best = torch.where(candidates, means.values, -1.0).topk(MOST_CANDIDATES).indices
        candidates = torch.zeros_like(candidates).index_fill_(0, best, True)
        note += f"; pairs among the {MOST_CANDIDATES} items with the greatest of them"
    pool = Pool(
        relaxed=relaxed.double(),
        space=space,
        bandwidth=bandwidth,
        means=means.values.double(),
        candidates=candidates,
        labelled_pairs=none.view(0, 2) if labelled_pairs is None else labelled_pairs,
        labelled_items=none if labelled_items is None else labelled_items,
        picks=picks,
        reading=reading,
        weights=weights or Weights(uncertainty=0.03 if reading == "closed" else 1.0),
        beta=beta,
        credit=means.values.new_zeros(n, dtype=torch.float64) if credit is None else credit.double(),
        calibration=calibration or Calibration(),
        known=known,
    )
    _check_given(pool)
    rounding = pool.rounding
    if rounding > pool.cost_size * KNOWN_TO:
        note = "; ".join(
            filter(None, (note, f"costs are known to {rounding:.1g} only: the space is too wide"))
        )
    if solver == "greedy" and kernel == "invariant":
        solve = greedy_closed if reading == "closed" else greedy_published
        pairs, scored, margin = solve(pool)
        exact = margin >= -2 * rounding and not note
        certificate = Certificate(exact, _pairs_among(pool), scored, margin, note=note, rounding=rounding)
        return Selection(pairs, separate_terms(pool, pairs), _with_what_is_open(certificate, pool, pairs))
    form, certificate = _explicit(pool, kernel, generator)
    certificate = replace(certificate, rounding=rounding)
    if note:
        told = "; ".join(filter(None, (note, certificate.note)))
        certificate = replace(certificate, exact=False, note=told)
    if solver == "exhaustive":
        chosen = solve_exhaustive(form)
        return Selection(form.pairs[chosen], form.scores(chosen), certificate)
    if solver == "relaxed":
        chosen, bound = solve_relaxed(form)
        bounded = kernel == "invariant" and len(chosen) == _most_picks(pool) and math.isfinite(bound)
        certificate = replace(
            certificate,
            exact=False,
            lower_bound=bound if bounded else None,
            note=certificate.note or "relaxed to [0,1], rounded, improved by swaps",
        )
    else:
        chosen = solve_greedy(form)
    pairs = form.pairs[chosen]
    return Selection(pairs, form.scores(chosen), _with_what_is_open(certificate, pool, pairs))


def _with_what_is_open(certificate: Certificate, pool: Pool, pairs: Int[Tensor, "q 2"]) -> Certificate:
    """The certificate, with a word where other picks might have left room for more pairs."""
    if len(pairs) >= _most_picks(pool):
        return certificate
    left = f"{len(pairs)} of {pool.picks} picks: beside these no pair is left, other picks may leave more"
    return replace(certificate, note="; ".join(filter(None, (certificate.note, left))))


def select_random(
    candidates: Bool[Tensor, " n"], *, picks: int, generator: torch.Generator, known: Known | None = None
) -> Int[Tensor, "q 2"]:
    """Random disjoint pairs of candidate items, none of them known: the baseline on the same footing.

    Args:
        candidates: items that may be picked.
        picks: q; fewer pairs are returned when no feasible pair is left beside them, which is at least half
            of the most that could be found.
        generator: CPU generator.
        known: tells which pairs are answered or implied.
    """
    # Every turn picks a pair or leaves out an item that has no partner left.
    left = candidates.nonzero().flatten()
    left = left[torch.randperm(len(left), generator=generator).to(left.device)]
    pairs = left.new_zeros((0, 2))
    while len(pairs) < picks and len(left) >= 2:
        couples = left[: 2 * min(picks - len(pairs), len(left) // 2)].view(-1, 2)
        fresh = torch.ones(len(couples), dtype=torch.bool, device=left.device)
        if known is not None:
            fresh = ~known(couples[:, 0], couples[:, 1])
        if not fresh.any():  # few pairs are left: look for any partner of the first item
            assert known is not None
            partners = left[1:][~known(left[:1], left[1:])]
            if not len(partners):
                left = left[1:]
                continue
            couples, fresh = torch.stack([left[0], partners[0]])[None], fresh.new_ones(1)
        pairs = torch.cat([pairs, couples[fresh].sort(1).values])
        left = left[~torch.isin(left, couples[fresh].flatten())]
        left = left[torch.randperm(len(left), generator=generator).to(left.device)]
    return pairs


def _explicit(
    pool: Pool, kernel: Kernel, generator: torch.Generator | None
) -> tuple[QuadraticForm, Certificate]:
    """The dense problem: over all feasible pairs where that fits, else (matched) over a shortlist."""
    candidates = int(pool.candidates.sum())
    every = candidates * (candidates - 1) // 2
    if kernel == "invariant":
        if every > MOST_PAIRS:
            raise ValueError(
                f"this solver takes at most {MOST_PAIRS} pairs; got {every}. Use the greedy solver."
            )
        pairs = pool.feasible_pairs()
        form = quadratic_form(pool, pairs)
        return form, Certificate(exact=True, pairs=every, scored=len(pairs), margin=0.0)
    n = len(pool.means)
    if every <= SHORTLIST and n**2 <= SHORTLIST:
        pairs, population = pool.feasible_pairs(), torch.cartesian_prod(*[_positions(pool)] * 2)
        note = ""
    else:
        if generator is None:
            raise ValueError(
                "the matched kernel samples its sums over all pairs; got no generator. Give a generator."
            )
        pairs = pool.feasible_pairs() if every <= SHORTLIST else _shortlist(pool)
        population = torch.randint(n, (SHORTLIST // 2, 2), generator=generator).to(pool.means.device)
        note = f"matched kernel: sums over all pairs from {len(population)} random pairs"
        if every > SHORTLIST:
            note += f", candidates are the {len(pairs)} best pairs of the invariant kernel's first step"
    form = quadratic_form(pool, pairs, kind="matched", population=population)
    return form, Certificate(not note, every, len(pairs), 0.0, None, note)


def _shortlist(pool: Pool) -> Int[Tensor, "u 2"]:
    """Pairs with the best linear cost among the items with the greatest kernel means."""
    items = torch.where(pool.candidates, pool.means, -1.0).topk(min(2048, int(pool.candidates.sum()))).indices
    uncertain, mean, _, _ = pool.published_scale
    cost = uncertain * pool.uncertainties(items, items) - mean * pool.means[items, None] * pool.means[items]
    cost -= pool.credit[items, None] + pool.credit[items]
    cost[pool.forbidden(items, items)] = float("inf")
    cost = cost.triu(1) + torch.full_like(cost, float("inf")).tril()
    values, places = cost.flatten().topk(min(SHORTLIST, cost.numel()), largest=False)
    places = places[values.isfinite()]
    return torch.stack([items[places // len(items)], items[places % len(items)]], 1).sort(1).values


def _most_picks(pool: Pool) -> int:
    """How many pairs the candidate items suffice for."""
    return min(pool.picks, int(pool.candidates.sum()) // 2)


def _pairs_among(pool: Pool) -> int:
    count = int(pool.candidates.sum())
    return count * (count - 1) // 2


def _positions(pool: Pool) -> Int[Tensor, " n"]:
    return torch.arange(len(pool.means), device=pool.means.device)


def _check(
    relaxed: Tensor, space: Tensor, *, picks: object, beta: float, reading: str, kernel: str, solver: str
) -> None:
    choices = {
        "reading": (reading, ["closed", "published"]),
        "kernel": (kernel, ["invariant", "matched"]),
        "solver": (solver, ["greedy", "exhaustive", "relaxed"]),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}.")
    if reading == "closed" and kernel == "matched":
        raise ValueError(
            "the reading 'closed' needs the invariant kernel; got 'matched'. Use reading='published'."
        )
    if not isinstance(picks, Integral) or int(picks) < 1 or not 0 <= beta < float("inf"):
        rule = "picks must be at least 1, a whole number, and beta at least 0"
        raise ValueError(f"{rule}; got {shown(picks)} and {shown(beta)}.")
    if len(relaxed) != len(space) or len(relaxed) < 2:
        raise ValueError(
            f"relaxed and space must describe the same items, 2 or more; got {len(relaxed)}, {len(space)}."
        )
    for name, points in (("relaxed", relaxed), ("space", space)):
        if not bool(points.isfinite().all()):
            raise ValueError(
                f"{name} must be finite; got {int((~points.isfinite()).sum())} values that are not."
            )


def _check_given(pool: Pool) -> None:
    """Refusal of what the solvers' bounds cannot hold for."""
    n, line = len(pool.relaxed), pool.calibration
    if pool.candidates.dtype != torch.bool:
        raise ValueError(
            f"candidates must be true or false for each item; got {pool.candidates.dtype}. Use .bool()."
        )
    for name, positions in (("labelled_pairs", pool.labelled_pairs), ("labelled_items", pool.labelled_items)):
        if positions.dtype not in (torch.long, torch.int32):
            raise ValueError(
                f"{name} must be positions (int64 or int32); got {positions.dtype}. Use .nonzero() on a mask."
            )
        if len(positions) and not bool(((positions >= 0) & (positions < n)).all()):
            got = f"{int(positions.min())} to {int(positions.max())}"
            raise ValueError(f"{name} must be positions of the {n} items, from 0 on; got {got}.")
    for name, values, fits in (
        ("means", pool.means, (pool.means > 0) & (pool.means < float("inf"))),
        ("credit", pool.credit, pool.credit.isfinite()),
        ("candidates", pool.candidates, torch.ones_like(pool.candidates)),
    ):
        if len(values) != n or not bool(fits.all()):
            rule = (
                f"{name} must be {'above 0 and ' if name == 'means' else ''}finite for each of the {n} items"
            )
            raise ValueError(f"{rule}; got {len(values)}, of which {int((~fits).sum())} are not.")
    if not (math.isfinite(line.slope) and math.isfinite(line.intercept)):
        raise ValueError(f"the calibration must be finite; got {line}. Fit it again, or leave it out.")
    if not math.isfinite(pool.rounding + pool.cost_size):
        rule = "beta, credits, means and the calibration must give costs that are numbers"
        largest = f"beta {pool.beta:g}, credits to {float(pool.credit.abs().max()):g}, {line}"
        raise ValueError(f"{rule}; got {largest}. Make them smaller.")
