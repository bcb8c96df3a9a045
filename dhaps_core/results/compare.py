"""Finished runs compared: curves with confidence bands over seeds, and paired differences against random.

A seed draws the split, the initial weights and the order of training, so runs of one seed are alike in all
but what is compared, and their difference has far less spread than either of them. Intervals are Student's t
over the seeds, one budget at a time: of many budgets without an effect, one in twenty excludes 0 at 95 %.
"""

import json
import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from dhaps_core.results.runs import Run

__all__ = ["Difference", "Interval", "curve", "grouped", "interval", "last_by_seed", "named_groups", "paired"]

_BUDGETS = ("items_labelled", "answers")

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(frozen=True)
class Interval:
    """Mean of n values, its confidence interval from low to high, and their spread: the sample deviation.

    One value has neither interval nor spread (they are NaN).
    """

    mean: float
    low: float
    high: float
    n: int
    spread: float = math.nan

    def percent(self) -> str:
        """Mean ± spread (n) in percent.

        Example:
            >>> interval([0.42, 0.44]).percent(), interval([0.432]).percent()
            ('43.0 ± 1.4 (2)', '43.2 (1)')
        """
        spread = "" if self.n < 2 else f" ± {100 * self.spread:.1f}"
        return f"{100 * self.mean:.1f}{spread} ({self.n})"

    def points(self) -> str:
        """A difference in percent with its interval, or that it is of one seed.

        Example:
            >>> interval([0.02, 0.03]).points(), interval([0.02]).points()
            ('+2.5 (-3.9 to +8.9; 2)', '+2.0 (1)')
        """
        mean = f"{100 * self.mean:+.1f}"
        return (
            f"{mean} (1)"
            if self.n < 2
            else f"{mean} ({100 * self.low:+.1f} to {100 * self.high:+.1f}; {self.n})"
        )


@dataclass(frozen=True)
class Difference:
    """A metric minus the baseline's on the same seeds, at one budget."""

    budget: int
    interval: Interval

    @property
    def verdict(self) -> str:
        """What may be said: a gain, a loss, no gain, or nothing."""
        if self.interval.n < 2:
            return "one seed, no interval: nothing can be said"
        if self.interval.low > 0:
            return "a gain"
        return "a loss" if self.interval.high < 0 else "no gain at this budget"


def interval(values: Iterable[float], *, level: float = 0.95) -> Interval:
    """Mean and Student's t interval of values that are independent.

    Raises:
        ValueError: if the level is none, or there are no values, or some that are not finite.

    Example:
        >>> found = interval([1.0, 2.0, 3.0])  # mean 2, s = 1, t(2) = 4.3027, half width 4.3027 / sqrt(3)
        >>> round(found.low, 4), found.mean, round(found.high, 4)
        (-0.4841, 2.0, 4.4841)
    """
    from scipy.stats import t

    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1; got {level}. Write 0.95 for 95 %.")
    array = np.asarray(values := list(values), dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"values must be a list of finite numbers, at least one; got {values!r:.80}.")
    n, mean = len(array), float(array.mean())
    if n < 2:
        return Interval(mean, math.nan, math.nan, n)
    spread = float(array.std(ddof=1))
    half = float(t.ppf((1 + level) / 2, n - 1)) * spread / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n, spread)


def grouped(values: Iterable[R], key: Callable[[R], K]) -> dict[K, list[R]]:
    """Runs, or what else, by what the key says of each, in the order in which they come."""
    found: dict[K, list[R]] = {}
    for one in values:
        found.setdefault(key(one), []).append(one)
    return found


def named_groups(runs: Iterable[Run], *, without: Sequence[str] = ()) -> dict[str, list[Run]]:
    """Runs that differ in their seed only, by seed, named by what tells the groups apart.

    Facts ``without`` which runs are grouped are no part of the name, and may differ inside a group.
    """
    groups = [sorted(group, key=lambda run: run.seed) for group in grouped(runs, _key(without)).values()]
    facts = [group[0].facts for group in groups]
    names = [name for name in (facts or [{}])[0] if name not in without]
    telling = [name for name in names if len({_text(one.get(name)) for one in facts}) > 1]
    labels = [", ".join(_label(name, one.get(name)) for name in telling) or "runs" for one in facts]
    return dict(zip(labels, groups, strict=True))


def _key(without: Sequence[str]) -> Callable[[Run], str]:
    """Makes a key of a run's facts but for some."""
    return lambda run: _text({name: one for name, one in run.facts.items() if name not in without})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _label(name: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{name}={_text(value)}"


def curve(
    group: Sequence[Run], metric: str, *, against: str = "items_labelled", level: float = 0.95
) -> dict[int, Interval]:
    """A metric's interval over the seeds, by budget, at the budgets that all of the group reached.

    The group differs in its seeds only; the budget is ``items_labelled`` or ``answers``.

    Raises:
        ValueError: if there is no run, two have one seed, or one lacks the metric, or has no finite number
            there.
    """
    values = [_by_budget(run, metric, against) for run in _by_seed(group).values()]
    if not values:
        raise ValueError("a curve must have at least one run; got none. Give a folder of runs.")
    common = sorted(set.intersection(*map(set, values)))
    return {budget: interval([one[budget] for one in values], level=level) for budget in common}


def paired(
    runs: Sequence[Run],
    metric: str,
    *,
    baseline: str = "random",
    against: str = "items_labelled",
    level: float = 0.95,
) -> dict[str, list[Difference]]:
    """Differences to the baseline on the same seeds, by budget, for every group that has one.

    Groups are paired that differ in their acquisition only; the name of a grid's block counts for nothing.

    Raises:
        ValueError: if no group can be paired; if two runs are alike in settings and seed; if one lacks the
            metric, or has no finite number there.

    Warns:
        UserWarning: if runs that are paired say of themselves that their data are not the same.
    """
    alike = _key(("acquisition", "block"))
    baselines = grouped((run for run in runs if run.facts.get("acquisition") == baseline), alike)
    base = {key: _by_seed(group) for key, group in baselines.items()}
    found: dict[str, list[Difference]] = {}
    differ: list[str] = []
    for name, group in named_groups(runs, without=("block",)).items():
        if group[0].facts.get("acquisition") == baseline:
            continue
        differences: dict[int, list[float]] = {}
        for seed, run in _by_seed(group).items():
            peer = base.get(alike(run), {}).get(seed)
            if peer is None:
                continue
            if run.fingerprint != peer.fingerprint:
                differ.append(f"{run.name} and {peer.name}")
            other = _by_budget(peer, metric, against)
            for budget, value in _by_budget(run, metric, against).items():
                if budget in other:
                    differences.setdefault(budget, []).append(value - other[budget])
        if differences:
            found[name] = [Difference(b, interval(v, level=level)) for b, v in sorted(differences.items())]
    if differ:
        rule = "runs of one seed should have the same data, split and embeddings"
        said = f"{rule}; {len(differ)} pairs have not, such as {differ[0]}"
        warnings.warn(f"{said}. If they are of several machines, see that no more differs.", stacklevel=2)
    if not found:
        rule = f"there must be runs with acquisition = {baseline}, else of the same seeds and settings"
        raise ValueError(f"{rule}; got none.")
    return found


def last_by_seed(group: Iterable[Run], metric: str) -> dict[int, float]:
    """A metric of the last round of each run, by seed.

    Raises:
        ValueError: if two runs have one seed, or one has no finite number there.
    """
    return {seed: _number(run.last.get(metric), metric, run) for seed, run in _by_seed(group).items()}


def _by_seed(group: Iterable[Run]) -> dict[int, Run]:
    """Runs by seed: two of one seed would count as two draws.

    Raises:
        ValueError: if two have the same.
    """
    found: dict[int, Run] = {}
    for run in group:
        other = found.setdefault(run.seed, run)
        if other is not run:
            got = f"{other.name} and {run.name} of seed {run.seed}"
            raise ValueError(f"settings must have one run a seed; got {got}. Move one of them away.")
    return found


def _number(value: Any, metric: str, run: Run) -> float:
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    rule = f"{metric} must be a finite number; got {value!r:.80} in {run.name}"
    raise ValueError(f"{rule}. Move the run away, or give another metric.")


def _by_budget(run: Run, metric: str, against: str) -> dict[int, float]:
    """A run's metric by budget; of several rounds with one budget the last counts.

    Raises:
        ValueError: if the budget is none of those known, or no round has a finite number as its metric.
    """
    if against not in _BUDGETS:
        raise ValueError(f"against must be {' or '.join(_BUDGETS)}; got {against!r}. Write one of these.")
    found = {row.get(against, 0): row[metric] for row in run.rounds if row.get(metric) is not None}
    if not found:
        raise ValueError(f"runs must have {metric}; {run.name} has not. Give another folder or metric.")
    return {int(budget): _number(value, metric, run) for budget, value in found.items()}
