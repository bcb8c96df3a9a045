"""From a problem to its picks: who solves it, and what is known about the picks.

The poster says what is minimised and not how, nor that an item is in one pick: ``docs/readings.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Integral
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dhaps_core.acquisition.problem import Problem
from dhaps_core.acquisition.quadratic import solve_exhaustive, solve_greedy, solve_relaxed
from dhaps_core.checks import one_of, shown

__all__ = ["Certificate", "Selection", "select"]

Solver = Literal["greedy", "exhaustive", "relaxed"]
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
        rounding: bound on the rounding error of the cost of a pair.
    """

    exact: bool
    pairs: int
    scored: int
    margin: float
    lower_bound: float | None = None
    note: str = ""
    rounding: float = 0.0


@dataclass(frozen=True, eq=False)
class Selection:
    """Picks of one round, in the order of picking.

    Attributes:
        pairs: positions of the two items of each pick, the smaller first.
        scores: per pick, what it added to the objective that the solver minimised, with its kernel and its
            sums over all pairs: ``uncertainty``, ``representativeness``, ``diversity`` and ``total``. Empty
            where nothing was minimised.
        certificate: what is known about the picks; None where nothing was minimised.
    """

    pairs: Int[Tensor, "q 2"]
    scores: Mapping[str, Float[Tensor, " q"]] = field(default_factory=dict)
    certificate: Certificate | None = None


def select(
    problem: Problem, *, picks: int, solver: Solver = "greedy", generator: torch.Generator | None = None
) -> Selection:
    """Pairs to ask next, at most ``picks``, each item used at most once.

    Args:
        problem: :class:`dhaps_core.acquisition.closed.Closed` or
            :class:`dhaps_core.acquisition.published.Published`.
        picks: q, at least 1. Fewer pairs are returned only when no feasible pair is left beside them; the
            certificate says so where others might have left more (``exhaustive`` finds as many as there are).
        solver: ``greedy`` (any size, with a certificate over all pairs), ``exhaustive`` (tiny pools), or
            ``relaxed`` (the quadratic programme over [0,1]^u, then rounding and best swaps; small pools).
        generator: CPU generator; needed by the matched kernel, whose sums over all pairs are sampled.

    Returns:
        The picks, their terms and the certificate.

    Raises:
        ValueError: if the problem is none, picks is no whole number from 1 on, the costs are no numbers, or
            the pool is too large for the solver.

    Example:
        >>> from dhaps_core.acquisition.closed import Closed
        >>> points = torch.tensor([[0.0, 0.0], [0.1, 0.0], [3.0, 3.0], [3.1, 3.0]])
        >>> found = select(Closed(torch.tanh(points), space=points, bandwidth=1.0), picks=1)
        >>> found.pairs.tolist(), found.certificate.exact
        ([[0, 2]], True)
    """
    given: tuple[object, object] = (problem, picks)
    if not isinstance(given[0], Problem):
        raise ValueError(f"problem must be a Closed or a Published; got {shown(problem)}. Make one.")  # noqa: TRY004
    if not isinstance(given[1], Integral) or given[1] < 1:
        raise ValueError(f"picks must be at least 1, a whole number; got {shown(picks)}.")
    one_of("solver", solver, get_args(Solver))
    picks, rounding = int(picks), problem.rounding(picks)
    if not isfinite(rounding.most + rounding.size):
        rule = "beta, credits, means and the calibration must give costs that are numbers"
        largest = f"beta {problem.beta:g}, credits to {float(problem.credit.abs().max()):g}"
        raise ValueError(f"{rule}; got {largest}, {problem.calibration}. Make them smaller.")
    notes = [problem.note]
    if rounding.most > rounding.size * KNOWN_TO:
        notes.append(f"costs are known to {rounding.most:.1g} only: the space is too wide")
    enough, bound = min(picks, int(problem.candidates.sum()) // 2), -inf
    if solver == "greedy" and problem.factorises:
        pairs, scored, margin = problem.greedy(picks)
        scores = problem.scores(pairs, picks)
    else:
        form, approximation = problem.form(picks, generator)
        notes.append(approximation)
        scored, margin = len(form.pairs), 0.0
        if solver == "relaxed":
            chosen, bound = solve_relaxed(form)
        else:
            chosen = (solve_greedy if solver == "greedy" else solve_exhaustive)(form)
        pairs, scores = form.pairs[chosen], form.scores(chosen)
    exact = margin >= -2 * rounding.most and solver != "relaxed" and not any(notes)
    if solver == "relaxed" and not any(notes):
        notes.append("relaxed to [0,1], rounded, improved by swaps")
    if solver != "exhaustive" and len(pairs) < enough:
        notes.append(
            f"{len(pairs)} of {picks} picks: beside these no pair is left, other picks may leave more"
        )
    bounded = problem.factorises and len(pairs) == enough and isfinite(bound)
    return Selection(
        pairs,
        scores,
        Certificate(
            exact=exact,
            pairs=problem.pairs_among,
            scored=scored,
            margin=margin,
            lower_bound=bound if bounded else None,
            note="; ".join(filter(None, notes)),
            rounding=rounding.most,
        ),
    )
