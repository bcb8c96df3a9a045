"""A study of label efficiency as tables: a section for each learner, over all data sets and for each."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from statistics import mean

from dhaps_core.escaping import markdown
from dhaps_core.results.compare import Interval, grouped
from dhaps_core.results.efficiency import (
    Cell,
    Condition,
    Study,
    answers_to_reach,
    cells,
    curves,
    ranks,
    standard_errors,
)
from dhaps_core.results.runs import Run
from dhaps_core.results.tables import Table

__all__ = [
    "LOW",
    "learners",
    "mean_table",
    "rank_table",
    "reach_table",
    "report",
    "tally_table",
    "verdict_table",
]

LOW = 0.05  # of the database: what a person may label
NONE = "-"
MARKS = {1: " ▲", 0: "", -1: " ▼"}


def report(study: Study, metric: str, *, strategy: str = "dhaps", baseline: str = "random") -> str:
    """All that follows, one below the other.

    Args:
        study: from :func:`dhaps_core.results.efficiency.conditions`.
        metric: between 0 and 1; it is told in %.
        strategy: whose cells are told one by one.
        baseline: that the others are compared with on the same seeds.
    """
    parts = []
    for name, part in learners(study).items():
        found = cells(part, metric, baseline=baseline)
        tables = {
            f"Cells against {baseline}": tally_table(found),
            f"Answers at which {strategy} is above and below {baseline}": verdict_table(found, strategy),
            f"Mean ranks by {metric}": rank_table(part, metric),
            f"Answers to the last {metric} of {baseline}": reach_table(part, metric, baseline=baseline),
            f"{strategy} minus {baseline} in points, with intervals of 95 %": cell_table(found, strategy),
        }
        marked = f"mean ± standard error (seeds), ▲ ▼ above and below {baseline} at 95 %"
        for condition, strategies in part.items():
            title = f"{metric} in % on {condition.title}: {marked}"
            tables[title] = mean_table(
                strategies, metric, [one for one in found if one.condition == condition]
            )
        shown = [f"### {markdown(title)}\n\n{one.markdown()}" for title, one in tables.items() if one.rows]
        parts.append("\n\n".join([f"## {markdown(name)}", *shown]))
    return "\n\n".join(parts) + "\n"


def learners(study: Study) -> dict[str, Study]:
    """The study by what asks and learns, named by it: conditions of one differ in their data only."""
    keys = grouped(study, lambda one: f"{one.method}, {one.question}")
    return {name: {one: study[one] for one in some} for name, some in keys.items()}


def tally_table(found: Iterable[Cell]) -> Table:
    """In how many cells each strategy is above and below the baseline, over all and up to 5 % of the items.

    Where there is no difference, an interval of 95 % says so all the same in one cell of forty to each side.
    """
    rows = []
    for name, some in grouped(found, lambda one: one.strategy).items():
        low = [one for one in some if round(one.share, 2) <= LOW]
        rows.append((name, *_counts(some), *_counts(low)))
    few = f"up to {LOW:.0%}"
    header = ("strategy", "cells", "above", "below", f"cells {few}", f"above {few}", f"below {few}")
    return Table(header, tuple(rows))


def verdict_table(found: Iterable[Cell], strategy: str) -> Table:
    """Answers at which a strategy is above the baseline, below it, and neither, for each data set."""
    rows = []
    of_strategy = [one for one in found if one.strategy == strategy]
    for condition, some in grouped(of_strategy, lambda one: one.condition).items():
        budgets = [
            ", ".join(f"{one.difference.budget:,}" for one in some if _sign(one.difference.interval) == sign)
            for sign in (1, -1, 0)
        ]
        rows.append((condition.title, *(text or NONE for text in budgets)))
    return Table(("answers", "above", "below", "neither"), tuple(rows))


def cell_table(found: Iterable[Cell], strategy: str) -> Table:
    """Each cell of a strategy: its difference to the baseline on the same seeds, in points."""
    rows = []
    for one in found:
        if one.strategy == strategy:
            mean_of, budget = one.difference.interval, one.difference.budget
            ends = NONE if mean_of.n < 2 else f"{100 * mean_of.low:+.1f} to {100 * mean_of.high:+.1f}"
            told = f"{100 * mean_of.mean:+.1f}", ends, str(mean_of.n), one.difference.verdict
            rows.append((one.condition.title, f"{budget:,}", f"{one.share:.1%}", *told))
    return Table(("data", "answers", "of the items", "difference", "interval", "seeds", ""), tuple(rows))


def rank_table(study: Study, metric: str) -> Table:
    """Mean rank of each strategy over the cells of each data set, and over those that have all strategies."""
    of_data = {condition: ranks(strategies, metric) for condition, strategies in study.items()}
    names = list(dict.fromkeys(chain.from_iterable(study.values())))
    whole = [found for found in of_data.values() if set(found) == set(names)]
    every = {name: [one for found in whole for one in found[name]] for name in names}
    columns = [*({name: found.get(name, []) for name in names} for found in of_data.values()), every]
    lines = {
        name: tuple(f"{mean(one[name]):.2f}" if one[name] else NONE for one in columns) for name in names
    }
    ordered = sorted(names, key=lambda name: mean(every[name]) if every[name] else len(names))
    header = ("strategy", *(one.title for one in of_data), f"all {len(every[names[0]])} cells")
    return Table(header, tuple((name, *lines[name]) for name in ordered))


def reach_table(study: Study, metric: str, *, baseline: str = "random") -> Table:
    """Answers that each strategy needs for the baseline's last mean, and as a share of the baseline's."""
    lines: dict[str, dict[Condition, str]] = {}
    told = {one: curves(strategies, metric) for one, strategies in study.items() if baseline in strategies}
    for condition, points in told.items():
        last = max(points[baseline])
        for name, one in points.items():
            needed = answers_to_reach(one, points[baseline][last].mean)
            text = (
                f"more than {max(one):,}"
                if needed is None
                else f"{needed:,.0f} ({needed / max(last, 1):.0%})"
            )
            lines.setdefault(name, {})[condition] = text
    header = ("strategy", *(one.title for one in told))
    return Table(
        header, tuple((name, *(line.get(one, NONE) for one in told)) for name, line in lines.items())
    )


def mean_table(strategies: Mapping[str, Sequence[Run]], metric: str, found: Sequence[Cell]) -> Table:
    """Means of one condition with their standard errors, marked where its cells are above or below."""
    marks = {(one.strategy, one.difference.budget): _sign(one.difference.interval) for one in found}
    points = {name: standard_errors(one) for name, one in curves(strategies, metric).items()}
    budgets = sorted({budget for one in points.values() for budget in one})
    rows = [
        (name, *(_cell(one.get(budget), marks.get((name, budget), 0)) for budget in budgets))
        for name, one in points.items()
    ]
    return Table(("answers", *(f"{budget:,}" for budget in budgets)), tuple(rows))


def _cell(one: Interval | None, sign: int) -> str:
    if one is None:
        return NONE
    error = "" if one.n < 2 else f" ± {100 * (one.high - one.mean):.1f}"
    return f"{100 * one.mean:.1f}{error} ({one.n}){MARKS[sign]}"


def _sign(one: Interval) -> int:
    """1 where an interval lies above 0, -1 below; 0 else, and where one seed has none."""
    return (one.low > 0) - (one.high < 0)


def _counts(found: Sequence[Cell]) -> tuple[str, str, str]:
    signs = [_sign(one.difference.interval) for one in found]
    return str(len(signs)), str(signs.count(1)), str(signs.count(-1))
