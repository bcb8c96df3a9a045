"""Slow and obvious definitions, against which the fast functions are tested."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import log2
from typing import Any

import numpy as np
import torch

from dhaps_core.pairs import pair_kernel


def hamming(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> list[list[int]]:
    return [[sum(x != y for x, y in zip(u, v, strict=True)) for v in b] for u in a]


def histogram(distances: Sequence[int], bits: int) -> list[int]:
    return [sum(d == v for d in distances) for v in range(bits + 1)]


def tie_orders(distances: Sequence[int], grades: Sequence[int]) -> Iterator[list[int]]:
    """Grades along the ranking, for every order inside the ties; all are equally likely."""
    groups = [
        list(orders([g for e, g in zip(distances, grades, strict=True) if e == d]))
        for d in sorted(set(distances))
    ]
    for order in product(*groups):
        yield [g for group in order for g in group]


def orders(members: Sequence[int]) -> Iterator[list[int]]:
    """Every order of the members that can be told from the others."""
    if not members:
        yield []
    for first in sorted(set(members)):
        rest = list(members)
        rest.remove(first)
        yield from ([first, *order] for order in orders(rest))


def expected(
    metric: Callable[[list[int]], Fraction | float], distances: Sequence[int], grades: Sequence[int]
) -> Fraction | float:
    values = [metric(order) for order in tie_orders(distances, grades)]
    return sum(values, Fraction(0)) / len(values)


def average_precision(order: Sequence[int], k: int, denominator: str) -> Fraction:
    hits, total = 0, Fraction(0)
    for rank, r in enumerate(order[:k], 1):
        if r:
            hits += 1
            total += Fraction(hits, rank)
    divisor = hits if denominator == "hits" else min(sum(order), k)
    return total / divisor if divisor else Fraction(0)


def precision_at(order: Sequence[int], k: int) -> Fraction:
    return Fraction(sum(order[:k]), k)


def recall_at(order: Sequence[int], k: int) -> Fraction:
    return Fraction(sum(order[:k]), sum(order)) if sum(order) else Fraction(0)


def average_cumulative_gain(grades: Sequence[int], k: int) -> Fraction:
    return Fraction(sum(grades[:k]), k)


def weighted_average_precision(grades: Sequence[int], k: int, denominator: str) -> Fraction:
    found = [average_cumulative_gain(grades, rank) for rank, g in enumerate(grades[:k], 1) if g]
    divisor = len(found) if denominator == "hits" else min(sum(g > 0 for g in grades), k)
    return sum(found, Fraction(0)) / divisor if divisor else Fraction(0)


def discounted_gain(grades: Sequence[int]) -> float:
    return sum((2**g - 1) / log2(1 + rank) for rank, g in enumerate(grades, 1))


def ndcg(grades: Sequence[int], k: int) -> float:
    best = discounted_gain(sorted(grades, reverse=True)[:k])
    return discounted_gain(grades[:k]) / best if best else 0.0


def threshold_average_precision(distances: Sequence[int], relevant: Sequence[int]) -> Fraction:
    pairs = list(zip(distances, relevant, strict=True))
    total = Fraction(0)
    for d in set(distances):
        ball = [r for e, r in pairs if e <= d]
        total += sum(r for e, r in pairs if e == d) * Fraction(sum(ball), len(ball))
    return total / sum(relevant) if sum(relevant) else Fraction(0)


def argsort_mean_average_precision(query: np.ndarray, database: np.ndarray, relevant: np.ndarray) -> float:
    """The loop of most published code: one sort for each query, ties in whatever order it leaves them."""
    values = []
    for code, wanted in zip(query, relevant, strict=True):
        order = np.argsort(0.5 * (query.shape[1] - database @ code))
        ranks = np.flatnonzero(wanted[order]) + 1
        values.append(np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else 0.0)
    return float(np.mean(values))


@dataclass(frozen=True)
class Problem:
    """A selection problem in float64 arrays, small enough to write every pair out."""

    relaxed: np.ndarray
    space: np.ndarray
    means: np.ndarray
    bandwidth: float
    closed: bool
    picks: int
    weights: tuple[float, float, float]
    beta: float
    labelled_items: Sequence[int]
    labelled_pairs: Sequence[Sequence[int]]
    candidates: np.ndarray
    forbidden: np.ndarray
    credit: np.ndarray
    slope: float
    intercept: float


def written_out(problem: Any, picks: int) -> Problem:
    """A problem of either reading with what it was given, its means included."""
    n, rows, known = len(problem.relaxed), torch.arange(len(problem.relaxed)), problem.known
    return Problem(
        relaxed=problem.relaxed.numpy(),
        space=problem.space.double().numpy(),
        means=problem.means.numpy(),
        bandwidth=problem.bandwidth,
        closed=hasattr(problem, "labelled_items"),
        picks=picks,
        weights=tuple(vars(problem.weights).values()),
        beta=problem.beta,
        labelled_items=getattr(problem, "labelled_items", rows[:0]).tolist(),
        labelled_pairs=getattr(problem, "labelled_pairs", rows[:0]).tolist(),
        candidates=problem.candidates.numpy(),
        forbidden=np.zeros((n, n), bool) if known is None else known(rows[:, None], rows).numpy(),
        credit=problem.credit.numpy(),
        slope=problem.calibration.slope,
        intercept=problem.calibration.intercept,
    )


def cost_tables(problem: Problem, picks: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """Cost of every pair [n n] before each pick and after the last; infinite where none may be picked."""
    n, m, free = len(problem.means), problem.means, problem.candidates.copy()
    space = problem.space - problem.space.mean(0)
    squared = (space**2).sum(1)
    k = np.exp(-np.maximum(squared[:, None] + squared - 2 * space @ space.T, 0) / 2 / problem.bandwidth**2)
    uncertain, represent, diverse = problem.weights
    odds = problem.slope * (problem.relaxed @ problem.relaxed.T) / 2 + problem.intercept
    doubt, mean = np.logaddexp(0, np.abs(odds)), m[:, None] + m
    chosen, total = list(problem.labelled_items), len(problem.labelled_pairs) + problem.picks
    step, share = 2 * problem.beta / total**2, total / n**2

    def nearness(pairs: Sequence[Sequence[int]]) -> np.ndarray:
        first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
        straight = k[:, first] @ k[:, second].T
        return (straight + straight.T) / 2

    fixed = (
        uncertain / total * doubt
        - step * total * represent * m[:, None] * m
        + step * diverse * (1 + k**2) / 4
    )
    fixed += step * (represent * share + diverse * (1 - share)) * nearness(problem.labelled_pairs)
    for place in range(len(picks) + 1):
        if problem.closed:
            g = k[:, chosen].sum(1)
            shared = diverse * (g[:, None] + g + k) / (len(chosen) + 2) - represent * mean
            costs = uncertain * doubt + problem.beta / m.max() * shared
        else:
            costs = fixed + step * diverse * nearness(picks[:place])
        costs = costs - problem.credit[:, None] - problem.credit
        closed = problem.forbidden | ~free | ~free[:, None]
        yield np.where(closed | np.tri(n, dtype=bool), np.inf, costs)
        if place < len(picks):
            free[picks[place]] = False
            chosen += picks[place]


def greedy_picks(problem: Problem) -> list[list[int]]:
    """The cheapest pair of all, again and again; of equal ones the first by position."""
    picks: list[list[int]] = []
    while len(picks) < problem.picks:
        *_, costs = cost_tables(problem, picks)
        if np.isinf(costs).all():
            break
        least = costs.min()
        place = int((costs <= least + 1e-11 * (1 + abs(least))).argmax())
        picks.append([place // len(costs), place % len(costs)])
    return picks


def mmd_squared(x: torch.Tensor, t: torch.Tensor, bandwidth: float) -> float:
    """Squared maximum mean discrepancy between two sets of pairs [p 2 d], [r 2 d], by the invariant kernel.

    The biased estimate, with all terms: Gretton et al., A Kernel Two-Sample Test, JMLR 2012.
    """
    kernels = (pair_kernel(*sides, bandwidth=bandwidth) for sides in ((x, x), (t, t), (x, t)))
    within_x, within_t, across = (float(kernel.mean()) for kernel in kernels)
    return within_x + within_t - 2 * across


def closed_mmd_squared(points: torch.Tensor, chosen: torch.Tensor, *, bandwidth: float) -> float:
    """The same between all ordered pairs of the points and all of the chosen ones."""
    everyone, supervised = (torch.cartesian_prod(at, at) for at in (torch.arange(len(points)), chosen))
    return mmd_squared(points[everyone], points[supervised], bandwidth)
