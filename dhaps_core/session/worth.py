"""The question ``both``: a comparison, or the class of one of its items, by what places it in less time.

Compared with one group after another, the likeliest first, an item is placed after as many answers as it
takes to come to its own; if it is of none, it needs a name after all. A class places it with one answer, but
a longer one. Seconds are those that the run's own answers took: who names classes in an instant is asked for
classes.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from dhaps_core.answers.answer import Answer
from dhaps_core.session.placing import WORTH, Ask

__all__ = ["item_to_name", "seconds_of"]

USUAL: Mapping[str, float] = {"class": 4.0, "pair": 2.0}  # seconds of an answer, before any was timed ...
FIRM = 5  # ... as firmly as if so many had been


def seconds_of(answers: Sequence[Answer]) -> dict[str, float]:
    """Median seconds of an answer of each kind: a pause does not move it, nor do answers of no person.

    Nor do items named together: each of them has a share of the seconds that all took.

    Example:
        >>> seconds_of([])
        {'class': 4.0, 'pair': 2.0}
    """
    timed = {kind: [usual] * FIRM for kind, usual in USUAL.items()}
    for answer in answers:
        if answer.seconds > 0 and answer.question is not None:
            timed[answer.kind].append(answer.seconds)
    return {kind: median(values) for kind, values in timed.items()}


def item_to_name(ask: Ask, seconds: Mapping[str, float]) -> int | None:
    """Position of the item of a comparison whose class is asked in its place; None: compare them.

    Once a group has two items it is named, too: what is compared with it then has a class, and groups of
    different classes need no comparison.
    """
    item, other = ask.pair
    if ask.doubted is not None:
        return None
    if ask.size > 1 and not ask.classed[1]:
        return other
    if ask.classed[0]:
        return None
    named, unnamed = ask.odds
    # A name does not tell which of the groups without one an item is of.
    share = (1 + sum(named)) / (1 + sum(named) + sum(unnamed))
    named_in = seconds["class"] / share
    return item if named_in < _seconds_compared([*named, *unnamed], seconds) else None


def _seconds_compared(odds: Sequence[float], seconds: Mapping[str, float]) -> float:
    """Expected seconds until an item is placed by comparisons, or has a class because it is of none."""
    total, left, expected = 1 + sum(odds), 1.0, 0.0
    for one in sorted(odds, reverse=True):
        if one <= WORTH * total:
            break
        expected += left * seconds["pair"]
        left -= one / total
    return expected + left * seconds["class"]
