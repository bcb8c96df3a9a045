"""Label efficiency: strategies under one learner, at each budget and over all of them.

A *condition* is what strategies are compared under, a *cell* one condition at one budget. Budgets are
answers: one class answer labels one item, and copies of an item are labelled by chance. Before the first
answer nothing was chosen, so the start is on the curves, and is no cell.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import sqrt
from typing import Any, NamedTuple

from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.checks import one_of
from dhaps_core.results.compare import Difference, Interval, curve, grouped, paired
from dhaps_core.results.runs import Run

__all__ = [
    "Cell",
    "Condition",
    "Study",
    "answers_to_reach",
    "cells",
    "check_strategies",
    "conditions",
    "curves",
    "differences",
    "ranks",
    "standard_errors",
]

BUDGET = "answers"


class Condition(NamedTuple):
    """What strategies are compared under."""

    question: str
    method: str
    data: str
    bits: int
    erring: float = 0.0

    @property
    def title(self) -> str:
        """What tells it from others of its learner."""
        wrong = f", {100 * self.erring:g} % of the answers wrong" if self.erring else ""
        return f"{self.data.removesuffix('.npz')}, {self.bits} bits{wrong}"


Study = Mapping[Condition, Mapping[str, Sequence[Run]]]
"""Runs by condition, then by strategy, one for each seed."""


@dataclass(frozen=True)
class Cell:
    """A strategy minus the baseline in one condition, at one budget.

    Attributes:
        condition: which one.
        strategy: its name.
        share: the budget as a share of the database's items.
        difference: over the seeds that both have.
    """

    condition: Condition
    strategy: str
    share: float
    difference: Difference


def conditions(runs: Iterable[Run]) -> dict[Condition, dict[str, list[Run]]]:
    """Finished runs by their condition, then by strategy, in the order in which they come.

    Raises:
        ValueError: if a run does not say one of these.
    """
    found = grouped(runs, lambda run: Condition(*(_fact(run, name) for name in Condition._fields)))
    return {one: grouped(group, lambda run: str(_fact(run, "acquisition"))) for one, group in found.items()}


def check_strategies(study: Study, **given: str) -> None:
    """Refuse a name that is no strategy's and that no run of a study has: a table without it tells nothing.

    Raises:
        ValueError: saying which one, and what it may be.

    Example:
        >>> check_strategies({}, baseline="radnom")
        Traceback (most recent call last):
            ...
        ValueError: baseline must be one of badge, coreset, dhaps, dropquery, margin, maxherding, random, \
typiclust, uherding; got 'radnom'. Did you mean random?
    """
    for name, value in given.items():
        one_of(name, value, sorted({*STRATEGIES, *chain.from_iterable(study.values())}))


def _fact(run: Run, name: str) -> Any:
    facts = {"erring": 0.0, **run.settings, **run.facts, "data": run.source or run.facts.get("dataset")}
    if facts.get(name) is None:
        raise ValueError(f"runs of a study must say their {name}; {run.name} does not. Move it away.")
    return facts[name]


def curves(strategies: Mapping[str, Sequence[Run]], metric: str) -> dict[str, dict[int, Interval]]:
    """A metric's mean over the seeds, by strategy and answers; for errors see :func:`curve`."""
    return {name: curve(group, metric, against=BUDGET) for name, group in strategies.items()}


def standard_errors(points: Mapping[int, Interval]) -> dict[int, Interval]:
    """A curve with a standard error of the mean to each side in place of a confidence interval.

    Example:
        >>> from dhaps_core.results.compare import interval
        >>> found = standard_errors({10: interval([0.1, 0.2, 0.3, 0.4])})
        >>> round(found[10].high, 4)  # 0.25 + sqrt(0.05 / 3 / 4)
        0.3145
    """
    errors = {at: one.spread / sqrt(one.n) for at, one in points.items()}
    return {
        at: Interval(one.mean, one.mean - errors[at], one.mean + errors[at], one.n, one.spread)
        for at, one in points.items()
    }


def cells(study: Study, metric: str, *, baseline: str = "random") -> list[Cell]:
    """Every cell of every strategy but the baseline, where both have a seed in common.

    Raises:
        ValueError: as :func:`dhaps_core.results.compare.paired`, or if a run tells no size of its database.
    """
    found = []
    for condition, strategies in study.items():
        base = strategies.get(baseline, ())
        for name, group in strategies.items():
            if name == baseline or not {run.seed for run in group} & {run.seed for run in base}:
                continue
            told = paired([*group, *base], metric, baseline=baseline, against=BUDGET)
            [points] = told.values()
            size = _size(group[0])
            found += [Cell(condition, name, one.budget / size, one) for one in points if one.budget]
    return found


def differences(found: Iterable[Cell]) -> dict[str, dict[str, dict[int, Interval]]]:
    """The differences of cells by title, strategy and budget."""
    by_title: dict[str, dict[str, dict[int, Interval]]] = {}
    for one in found:
        points = by_title.setdefault(one.condition.title, {}).setdefault(one.strategy, {})
        points[one.difference.budget] = one.difference.interval
    return by_title


def _size(run: Run) -> int:
    size = run.last.get("database")
    if type(size) is not int or size < 1:
        rule = f"runs of a study must tell how many items their database has; {run.name} tells {size!r:.80}"
        raise ValueError(f"{rule}. Move it away.")
    return size


def ranks(strategies: Mapping[str, Sequence[Run]], metric: str) -> dict[str, list[float]]:
    """Ranks in the cells of one condition, 1 for the greatest mean; those that tie share their ranks' mean.

    Means are over the seeds that all strategies have, at the budgets that all have: without either, none.

    Raises:
        ValueError: as :func:`curve`; and if there is no strategy.
    """
    from scipy.stats import rankdata

    if not strategies:
        raise ValueError("ranks must be of at least one strategy; got none. Give runs.")
    seeds = set.intersection(*({run.seed for run in group} for group in strategies.values()))
    if not seeds:
        return {name: [] for name in strategies}
    same = {name: [run for run in group if run.seed in seeds] for name, group in strategies.items()}
    points = curves(same, metric)
    common = sorted(set.intersection(*map(set, points.values())) - {0})
    placed = [rankdata([-one[budget].mean for one in points.values()]) for budget in common]
    return {name: [float(place[i]) for place in placed] for i, name in enumerate(points)}


def answers_to_reach(points: Mapping[int, Interval], target: float) -> float | None:
    """Answers after which the mean first is as high as a target, on straight lines between the budgets.

    None if it never is. Learning curves bend down, so that a line between two budgets asks for too many.

    Example:
        >>> at = {0: 0.5, 10: 0.6, 20: 0.8}
        >>> found = answers_to_reach({one: Interval(mean, mean, mean, 1) for one, mean in at.items()}, 0.75)
        >>> round(found, 6)
        17.5
    """
    known = sorted((budget, one.mean) for budget, one in points.items())
    if known and known[0][1] >= target:
        return float(known[0][0])
    for (before, low), (after, high) in pairwise(known):
        if high >= target:
            return before + (after - before) * (target - low) / (high - low)
    return None
