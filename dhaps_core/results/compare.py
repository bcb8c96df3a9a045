"""Finished runs compared: curves with confidence bands over seeds, and paired differences against random.

A seed draws the split, the initial weights and the order of training, so runs of one seed are alike in all
but what is compared, and their difference has far less spread than either of them. Intervals are Student's t
over the seeds, one budget at a time: of many budgets without an effect, one in twenty excludes 0 at 95 %.
"""

import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dhaps_core.json_files import DamagedFileError, DamagedRunWarning, member, read_object
from dhaps_core.results.runs import RESTORE, found_runs, session_metrics
from dhaps_core.sweeps.marker import read_metrics

__all__ = [
    "Difference",
    "Interval",
    "Run",
    "curve",
    "interval",
    "last_by_seed",
    "load_runs",
    "named_groups",
    "paired",
    "sentence",
]

_NOT_COMPARED = ("seed", "folder", "interactive", "smoke", "fingerprint")
_BUDGETS = ("items_labelled", "answers")


@dataclass(frozen=True)
class Run:
    """One run of a folder.

    Attributes:
        name: its path below the folder.
        seed: its seed.
        facts: what else defines it: settings or parameters, source, protocol.
        rounds: metrics of its rounds; one that has no rounds counts as one.
        fingerprint: of its data and split, where it says so.
    """

    name: str
    seed: int
    facts: Mapping[str, Any]
    rounds: tuple[Mapping[str, Any], ...]
    fingerprint: str | None = None


@dataclass(frozen=True)
class Interval:
    """Mean of n values and its confidence interval; one value has none (both ends are NaN)."""

    mean: float
    low: float
    high: float
    n: int


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


def load_runs(folder: str | Path) -> list[Run]:
    """Runs below a folder: sessions, and finished runs of sweeps, with their grid's block if there is one.

    Raises:
        FileNotFoundError: if there is none.

    Warns:
        DamagedRunWarning: for each run that is left out because its files are damaged.
    """
    folder = Path(folder)
    blocks = dict(_blocks(folder))
    runs = list(found_runs(folder, lambda home: _run(home, folder, blocks.get(home, ""))).values())
    if not runs:
        raise FileNotFoundError(
            f"{folder} must hold at least one finished run; got none. Run a notebook or a sweep first."
        )
    return runs


def _blocks(folder: Path) -> Iterator[tuple[Path, str]]:
    """Runs of sweeps with the name of their block."""
    for path in sorted(folder.glob("**/manifest.json")):
        try:
            advice = "Start the sweep again: it writes the file anew."
            runs = member(read_object(path, advice=advice), "runs", list, path=path, advice=advice)
        except DamagedFileError as error:
            warnings.warn(f"names of blocks are unknown: {error}", DamagedRunWarning, stacklevel=4)
            continue
        for run in runs:
            if (
                isinstance(run, dict)
                and isinstance(run.get("run"), str)
                and isinstance(run.get("block"), str)
            ):
                yield path.parent / run["run"], run["block"]


def _run(home: Path, folder: Path, block: str) -> Run | None:
    """A finished run; None for what is none."""
    marked = os.path.lexists(home / "run.json")
    in_sweep = marked or (home / "starts.log").exists()
    if in_sweep and not marked:
        return None
    try:
        metrics = read_metrics(home) if in_sweep else session_metrics(home)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{error} {RESTORE}") from error
    if metrics is None:
        return None
    facts: dict[str, Any] = {"block": block} if block else {}
    facts |= {name: metrics[name] for name in ("source", "protocol") if name in metrics}
    # The parameters of a sweep's run determine its settings.
    name, key = ("run.json", "parameters") if in_sweep else ("settings.json", "settings")
    facts |= member(read_object(home / name, advice=RESTORE), key, dict, path=home / name, advice=RESTORE)
    seed = facts.get("seed", 0)
    if type(seed) is not int:
        raise DamagedFileError(f"{home} must have a whole number as its seed; got {seed!r:.80}. {RESTORE}")
    if "protocol" in metrics:  # the draw is told apart by the seed, which every run has by itself
        facts["protocol"] = re.sub(r", seed \d+", "", str(metrics["protocol"]))
    kept = {fact: value for fact, value in facts.items() if fact not in _NOT_COMPARED}
    below = home.relative_to(folder).as_posix()
    return Run(below, seed, kept, tuple(metrics.get("rounds") or [metrics]), metrics.get("fingerprint"))


def named_groups(runs: Iterable[Run], *, without: Sequence[str] = ()) -> dict[str, list[Run]]:
    """Runs that differ in their seed only, named by what tells the groups apart.

    Args:
        runs: of a folder.
        without: facts that are no part of the name and may differ inside a group.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_key(run, without), []).append(run)
    members = list(found.values())
    names = [name for name in members[0][0].facts if name not in without] if members else []
    differing = [name for name in names if len({_text(group[0].facts.get(name)) for group in members}) > 1]
    return {
        ", ".join(_label(name, group[0].facts.get(name)) for name in differing) or "runs": sorted(
            group, key=lambda run: run.seed
        )
        for group in members
    }


def _key(run: Run, without: Sequence[str]) -> str:
    return _text({name: value for name, value in run.facts.items() if name not in without})


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _label(name: str, value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{name}={_text(value)}"


def interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
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
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"values must be a list of finite numbers, at least one; got {values!r:.80}.")
    n, mean = len(array), float(array.mean())
    if n < 2:
        return Interval(mean, float("nan"), float("nan"), n)
    half = float(t.ppf((1 + level) / 2, n - 1) * array.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def curve(
    group: Sequence[Run], metric: str, *, against: str = "items_labelled", level: float = 0.95
) -> dict[int, Interval]:
    """A metric's interval over the seeds, by budget, at the budgets that all of the group reached.

    Args:
        group: runs that differ in their seed only.
        metric: name of a metric of the rounds.
        against: the budget: ``items_labelled`` or ``answers``.
        level: of confidence.

    Raises:
        ValueError: if there is no run, two have one seed, or one lacks the metric, or has no finite number
            there.
    """
    _by_seed(group)
    if not group:
        raise ValueError("a curve must have at least one run; got none. Give a folder of runs.")
    values = [_by_budget(run, metric, against) for run in group]
    common = sorted(set.intersection(*map(set, values)))
    return {budget: interval([one[budget] for one in values], level=level) for budget in common}


def paired(
    runs: Iterable[Run],
    metric: str,
    *,
    factor: str = "acquisition",
    baseline: str = "random",
    against: str = "items_labelled",
    level: float = 0.95,
) -> dict[str, list[Difference]]:
    """Differences to the baseline on the same seeds, by budget, for every group that has one.

    Groups are paired that differ in ``factor`` only; the name of a grid's block counts for nothing.

    Raises:
        ValueError: if no group can be paired; if two runs are alike in settings and seed; if one lacks the
            metric, or has no finite number there.

    Warns:
        UserWarning: if runs that are paired say of themselves that their data are not the same.
    """
    runs = list(runs)
    baselines: dict[str, list[Run]] = {}
    for run in runs:
        if run.facts.get(factor) == baseline:
            baselines.setdefault(_key(run, (factor, "block")), []).append(run)
    base = {key: _by_seed(group) for key, group in baselines.items()}
    found: dict[str, list[Difference]] = {}
    differ: list[str] = []
    for name, group in named_groups(runs, without=("block",)).items():
        if group[0].facts.get(factor) == baseline:
            continue
        differences: dict[int, list[float]] = {}
        for seed, run in _by_seed(group).items():
            peer = base.get(_key(run, (factor, "block")), {}).get(seed)
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
        got = f"{len(differ)} pairs have not, such as {differ[0]}"
        warnings.warn(
            f"{rule}; {got}. If they are of several machines, see that no more differs.", stacklevel=2
        )
    if not found:
        raise ValueError(
            f"there must be runs with {factor} = {baseline}, else of the same seeds and settings; got none."
        )
    return found


def sentence(difference: Difference, *, level: float = 0.95, against: str = "items_labelled") -> str:
    """A difference in words.

    Example:
        >>> sentence(Difference(40, Interval(0.012, -0.004, 0.028, 10)))
        '40 items labelled: +0.012 [-0.004, +0.028] (95 %, 10 seeds): no gain at this budget'
    """
    found = difference.interval
    budget = f"{difference.budget} {against.replace('_', ' ')}"
    if found.n < 2:
        return f"{budget}: {found.mean:+.3f}: {difference.verdict}"
    ends = f"[{found.low:+.3f}, {found.high:+.3f}] ({level * 100:g} %, {found.n} seeds)"
    return f"{budget}: {found.mean:+.3f} {ends}: {difference.verdict}"


def _by_seed(group: Iterable[Run]) -> dict[int, Run]:
    """Runs by seed: two of one seed would count as two draws.

    Raises:
        ValueError: if two have the same.
    """
    found: dict[int, Run] = {}
    for run in group:
        other = found.setdefault(run.seed, run)
        if other is not run:
            rule = "settings must have one run a seed"
            got = f"{other.name} and {run.name} of seed {run.seed}"
            raise ValueError(f"{rule}; got {got}. Move one of them away.")
    return found


def last_by_seed(group: Iterable[Run], metric: str) -> dict[int, float]:
    """A metric of the last round of each run, by seed.

    Raises:
        ValueError: if two runs have one seed, or one has no finite number there.
    """
    last = {seed: (run, run.rounds[-1] if run.rounds else {}) for seed, run in _by_seed(group).items()}
    return {seed: _number(row.get(metric), metric, run) for seed, (run, row) in last.items()}


def _number(value: Any, metric: str, run: Run) -> float:
    if type(value) in (int, float) and math.isfinite(value):
        return float(value)
    got = f"{value!r:.80} in {run.name}"
    raise ValueError(
        f"{metric} must be a finite number; got {got}. Move the run away, or give another metric."
    )


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
