"""Finished runs compared: curves with confidence bands over seeds, and paired differences against random.

A seed draws the split, the initial weights and the order of training, so runs of one seed are alike in all
but what is compared, and their difference has far less spread than either of them. Intervals are Student's t
over the seeds, one budget at a time: of many budgets without an effect, one in twenty excludes 0 at 95 %.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "Difference",
    "Interval",
    "Run",
    "curve",
    "interval",
    "load_runs",
    "named_groups",
    "paired",
    "sentence",
]

_NOT_COMPARED = ("seed", "folder", "interactive", "smoke", "fingerprint")


@dataclass(frozen=True)
class Run:
    """One run of a folder.

    Attributes:
        name: its path below the folder.
        seed: its seed.
        facts: what else defines it: settings or parameters, source, protocol.
        rounds: metrics of its rounds; one that has no rounds counts as one.
    """

    name: str
    seed: int
    facts: Mapping[str, Any]
    rounds: tuple[Mapping[str, Any], ...]


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
    """
    folder = Path(folder)
    blocks = {
        manifest.parent / run["run"]: run["block"]
        for manifest in folder.glob("**/manifest.json")
        for run in _read(manifest)["runs"]
    }
    runs = []
    for path in sorted(folder.glob("**/metrics.json")):
        home = path.parent
        in_sweep, session = (home / "starts.log").exists(), (home / "settings.json").exists()
        if (in_sweep and (home / "run.json").exists()) or (session and not in_sweep):
            runs.append(_run(home, folder, blocks.get(home, "")))
    if not runs:
        msg = f"{folder} must hold at least one finished run; got none. Run a notebook or a sweep first."
        raise FileNotFoundError(msg)
    return runs


def _run(home: Path, folder: Path, block: str) -> Run:
    metrics = _read(home / "metrics.json")
    facts: dict[str, Any] = {"block": block} if block else {}
    facts |= {name: metrics[name] for name in ("source", "protocol", "fingerprint") if name in metrics}
    if (home / "run.json").exists():
        facts |= _read(home / "run.json")["parameters"]  # they determine the settings
    elif (home / "settings.json").exists():
        facts |= _read(home / "settings.json")["settings"]
    seed = int(facts.get("seed", 0))
    kept = {name: value for name, value in facts.items() if name not in _NOT_COMPARED}
    return Run(home.relative_to(folder).as_posix(), seed, kept, tuple(metrics.get("rounds") or [metrics]))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


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

    Example:
        >>> found = interval([1.0, 2.0, 3.0])  # mean 2, s = 1, t(2) = 4.3027, half width 4.3027 / sqrt(3)
        >>> round(found.low, 4), found.mean, round(found.high, 4)
        (-0.4841, 2.0, 4.4841)
    """
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
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
    """
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
        ValueError: if no group can be paired.
    """
    runs = list(runs)
    base = {
        (_key(run, (factor, "block")), run.seed): _by_budget(run, metric, against)
        for run in runs
        if run.facts.get(factor) == baseline
    }
    found: dict[str, list[Difference]] = {}
    for name, group in named_groups(runs, without=("block",)).items():
        if group[0].facts.get(factor) == baseline:
            continue
        differences: dict[int, list[float]] = {}
        for run in group:
            other = base.get((_key(run, (factor, "block")), run.seed), {})
            for budget, value in _by_budget(run, metric, against).items():
                if budget in other:
                    differences.setdefault(budget, []).append(value - other[budget])
        if differences:
            found[name] = [Difference(b, interval(v, level=level)) for b, v in sorted(differences.items())]
    if not found:
        msg = f"there must be runs with {factor} = {baseline}, else of the same seeds and settings; got none."
        raise ValueError(msg)
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


def _by_budget(run: Run, metric: str, against: str) -> dict[int, float]:
    """A run's metric by budget; of several rounds with one budget the last counts."""
    return {int(row.get(against, 0)): float(row[metric]) for row in run.rounds if row.get(metric) is not None}
