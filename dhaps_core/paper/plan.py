"""What a run labels: its row of Table 1, its budget and its rounds, checked before anything runs."""

from dataclasses import dataclass
from math import ceil

from dhaps_core.acquisition.strategies import BUDGETS
from dhaps_core.checks import one_of
from dhaps_core.hashing.methods import METHODS
from dhaps_core.paper.table import DATASETS, row_name, share_of

__all__ = ["Plan", "plan"]


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes:
        row: name of its row.
        labelled: items that are labelled.
        rounds: of selection, at most as many as asked for; 0 without labels.
        picks: pairs chosen in a round, at least 1.
        told: what the method learns from, for people.
    """

    row: str
    labelled: int
    rounds: int
    picks: int
    told: str


def plan(method: str, acquisition: str, budget: str, *, stands_for: str, pool: int, rounds: int) -> Plan:
    """The plan of a run.

    Args:
        method: name of the objective.
        acquisition: a strategy (``dhaps``, ``random``, ...) chooses pairs, ``all`` labels the whole pool,
            ``none`` nothing.
        budget: share of the pool, as in ``10%``, or ``*``; not read where all or nothing is labelled.
        stands_for: the paper's data set that the run is compared with, or nothing.
        pool: items that can be labelled.
        rounds: of selection that the budget is divided among.

    Raises:
        ValueError: if one of them is unknown or out of range, or labels would go to a method that reads none.

    Example:
        >>> plan("dpsh", "dhaps", "10 %", stands_for="CIFAR-10", pool=1000, rounds=2).row
        'DH-APS (10%)'
        >>> plan("dh", "none", "", stands_for="", pool=1000, rounds=2).labelled
        0
    """
    one_of("method", method, METHODS)
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
        return Plan(row_name(method, acquisition, budget), 0, 0, 1, told)
    if labels == "none":
        rule = f"{method} reads no labels: its acquisition must be none"
        raise ValueError(f"{rule}; got {acquisition!r}. Set it to none, or train another method.")
    labelled = 2 * round(share_of(acquisition, budget, stands_for) * pool / 2)
    if acquisition == "all":
        labelled, rounds = pool, 1
    if not labelled:
        rule = f"budget must be at least one pair of the pool's {pool} items"
        raise ValueError(f"{rule}; got {budget}. Label more, or set acquisition to none.")
    picks = ceil(labelled / 2 / rounds)
    rounds = ceil(labelled / 2 / picks)  # few pairs are chosen in fewer rounds
    told = f"{labels}, from the classes of {labelled} of {pool} items"
    return Plan(row_name(method, acquisition, budget), labelled, rounds, picks, told)
