"""Slow and obvious definitions, against which the fast functions are tested."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, product

import numpy as np


def hamming(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> list[list[int]]:
    return [[sum(x != y for x, y in zip(u, v, strict=True)) for v in b] for u in a]


def histogram(distances: Sequence[int], bits: int) -> list[int]:
    return [sum(d == v for d in distances) for v in range(bits + 1)]


def tie_orders(distances: Sequence[int], relevant: Sequence[int]) -> Iterator[list[int]]:
    """Relevance along the ranking, for every order inside the ties; all are equally likely."""
    groups = []
    for d in sorted(set(distances)):
        members = [bool(r) for e, r in zip(distances, relevant, strict=True) if e == d]
        places = combinations(range(len(members)), sum(members))
        groups.append([[int(i in chosen) for i in range(len(members))] for chosen in places])
    for order in product(*groups):
        yield [r for group in order for r in group]


def expected(
    metric: Callable[[list[int]], Fraction], distances: Sequence[int], relevant: Sequence[int]
) -> Fraction:
    values = [metric(order) for order in tie_orders(distances, relevant)]
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
