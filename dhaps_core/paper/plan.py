"""What a run labels: its row of Table 1, its budget and its rounds, checked before anything runs."""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Literal

from dhaps_core.acquisition.strategies import BUDGETS
from dhaps_core.checks import one_of
from dhaps_core.hashing.methods import METHODS
from dhaps_core.paper.rows import row_name
from dhaps_core.paper.table import DATASETS, labels_of
from dhaps_core.session.settings import Settings

__all__ = ["Plan", "plan"]

Asked = Literal["classes", "pairs", "both"]
ANSWERS = {"classes": 2, "pairs": 1, "both": 1}  # of one pick


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes:
        row: name of its row, or of its curve.
        labelled: items that are labelled, if the budget is a share.
        answers: that are given, if the budget is a list; else None.
        rounds: of selection, at most as many as asked for; 0 without labels.
        picks: pairs chosen in a round, at least 1; in the first, if the budget is a list.
        schedule: pairs chosen in each round, if the budget is a list; else empty.
        told: what the method learns from, for people.
    """

    row: str
    labelled: int | None
    answers: int | None
    rounds: int
    picks: int
    schedule: tuple[int, ...]
    told: str


def plan(
    settings: Settings,
    acquisition: str,
    budget: str,
    *,
    stands_for: str,
    pool: int,
    listed: int | None = None,
    rounds: int,
) -> Plan:
    """The plan of a run.

    Args:
        settings: of the run; what they say of picks and budgets is not read, the plan gives it.
        acquisition: a strategy (``dhaps``, ``random``, ...) chooses pairs, ``all`` labels the whole pool or
            what the protocol lists of it, ``none`` nothing.
        budget: share of the pool, as in ``10%``, or ``*``; or the answers given after each round, as in
            ``10, 20, 40``. It is not read where all or nothing is labelled. Of ``classes`` a pick takes two
            answers, of ``pairs`` and ``both`` one, and these have no share.
        stands_for: the paper's data set that the run is compared with, or nothing.
        pool: items that can be labelled.
        listed: items of the pool that the protocol's labelled set has, which ``all`` labels; None if it has
            none, so that all of the pool is.
        rounds: of selection that a share is divided among.

    Raises:
        ValueError: if one of them is unknown or out of range, or labels would go to a method that reads none.

    Example:
        >>> ours = Settings.preset("usual", method="dpsh", reading="closed", mmd=1.0)
        >>> plan(ours, "dhaps", "10 %", stands_for="CIFAR-10", pool=1000, rounds=2).row
        'DH-APS (10%)'
        >>> plan(Settings(method="dh"), "none", "", stands_for="", pool=1000, rounds=2).labelled
        0
        >>> plan(ours, "dhaps", "10, 20, 40", stands_for="", pool=1000, rounds=1).schedule
        (5, 5, 10)
    """
    method, question = settings.method, settings.question
    one_of("acquisition", acquisition, BUDGETS)
    if stands_for != "":
        one_of("stands_for", stands_for, DATASETS)
    for name, number in (("rounds", rounds), ("pool", pool)):
        if type(number) is not int:
            raise ValueError(f"{name} must be a whole number; got {number!r} ({type(number).__name__}).")
    if rounds < 1:
        rule = f"rounds must be at least 1; got {rounds}"
        raise ValueError(f"{rule}. To label nothing, set acquisition to none.")
    labels = METHODS[method].labels
    if acquisition == "none":
        told = "no labels" if labels == "none" else f"no labels: {method} has only the similarity term"
        return Plan(row_name(settings.to_json(), acquisition, budget, 0), 0, None, 0, 1, (), told)
    if labels == "none":
        rule = f"{method} reads no labels: its acquisition must be none"
        raise ValueError(f"{rule}; got {acquisition!r}. Set it to none, or train another method.")
    ends = () if acquisition == "all" else _ends(budget)
    if ends:
        return _curve(f"{method} {acquisition}", ends, labels, pool=pool, question=question)
    if question != "classes":
        rule = "the budget of pair answers must be a list of how many are given after each round"
        raise ValueError(f"{rule}; got {budget!r}. Write it as in '20, 40, 80', or ask for classes.")
    labelled = 2 * min(round(labels_of(acquisition, budget, stands_for, pool) / 2), pool // 2)
    if acquisition == "all":
        labelled, rounds = pool if listed is None else listed, 1
    if not labelled:
        rule = f"budget must be at least one pair of the pool's {pool} items"
        raise ValueError(f"{rule}; got {budget}. Label more, or set acquisition to none.")
    picks = ceil(labelled / 2 / rounds)
    rounds = ceil(labelled / 2 / picks)  # few pairs are chosen in fewer rounds
    told = f"{labels}, from the classes of {labelled} of {pool} items"
    row = row_name(settings.to_json(), acquisition, budget, rounds)
    return Plan(row, labelled, None, rounds, picks, (), told)


def _ends(budget: str) -> tuple[int, ...]:
    """Numbers of a list, which has two at least: one alone may be a share without its sign."""
    listed = isinstance(budget, str) and re.fullmatch(r" *[0-9]{1,9}( *, *[0-9]{1,9})+ *", budget)
    return tuple(map(int, budget.split(","))) if listed else ()


def _curve(row: str, ends: tuple[int, ...], labels: str, *, pool: int, question: Asked) -> Plan:
    """A plan of rounds that end when so many answers are given.

    Raises:
        ValueError: if a round has no whole number of picks, or there are not as many items.
    """
    per_pick = ANSWERS[question]
    steps = [after - before for before, after in pairwise((0, *ends))]
    if any(step < per_pick or step % per_pick for step in steps):
        rule = f"the answers after each round must grow by {per_pick}, or a multiple of it"
        raise ValueError(f"{rule}; got {', '.join(map(str, ends))}. A pick takes as many answers.")
    if question == "classes" and ends[-1] > pool:
        rule = f"budget must end within the pool's {pool} items"
        raise ValueError(f"{rule}; got {ends[-1]}. Ask for fewer classes.")
    schedule = tuple(step // per_pick for step in steps)
    about = f"{ends[-1]} answers about {'pairs' if question == 'pairs' else 'items and pairs'}"
    if question == "classes":
        about = f"the classes of {ends[-1]} of {pool} items"
    told = f"{labels}, from {about}"
    return Plan(row, None, ends[-1], len(ends), schedule[0], schedule, told)
