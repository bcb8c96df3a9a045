"""What the answers bring: what the last ones told the model, what the next ten may, and whether to go on.

All of it is estimated from the answers given so far: what nobody answered plays no part. And it is about the
items that were chosen, which are harder to foretell than those that were not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any, Literal

from dhaps_core.checks import read_fields

__all__ = ["Expected", "Foretold", "Outlook", "Precision", "expected", "wilson"]

Z = 1.96  # standard errors of an interval of 95 %
NEXT = 10  # answers that are looked ahead
FEWEST = 10  # items by which a gain is judged at least
SMALL, MUCH = 0.005, 0.02  # a gain that is none, and one that must be out of reach where none is expected
SURE = 0.75  # lower end of the share of class answers foretold from which on there is little left to tell


@dataclass(frozen=True)
class Foretold:
    """How many of some answers the model named before they were given.

    Attributes:
        hits: answers that the model thought likeliest.
        answers: all of them.
        probability: that it gave to what was answered, on average.
        low: lower end of the 95 % interval of the share (:func:`wilson`).
        high: its upper end.
    """

    hits: int
    answers: int
    probability: float
    low: float
    high: float

    @classmethod
    def of(cls, said: Sequence[tuple[bool, float]]) -> "Foretold | None":
        """Of whether each answer was named, and its probability; None where there are none."""
        if not said:
            return None
        hits = sum(named for named, _ in said)
        return cls(hits, len(said), fmean(one for _, one in said), *wilson(hits, len(said)))


@dataclass(frozen=True)
class Precision:
    """How well the codes of labelled items find each other, each left out of its own ranking.

    The codes have learned from these labels, so this is better than what a new item finds.

    Attributes:
        k: cut-off of the rankings.
        value: mean precision among the first k, ties in any order.
        ceiling: what it could be at most, as a class may have fewer than k other items.
        items: number of them.
    """

    k: int
    value: float
    ceiling: float
    items: int


@dataclass(frozen=True)
class Expected:
    """Points of held-out probability that the next ten answers bring, if they bring what the last did.

    The interval is that of the mean over the items: Z standard errors.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Outlook:
    """What is told after a round.

    Attributes:
        round: number of the finished round.
        answers: that count by then.
        kind: of the answers that were foretold.
        foretold: of the last answers to questions (20, if there are so many), by the model before they came.
        precision: among labelled items; None of fewer than two.
        held_out: mean probability of what is known of an item by the answers about others, over the items
            whose class those name at all; None where there are none.
        next_ten: what the next ten answers are expected to bring; None before enough can be compared.
    """

    round: int
    answers: int
    kind: Literal["class", "pair"]
    foretold: Foretold | None
    precision: Precision | None
    held_out: float | None
    next_ten: Expected | None

    @classmethod
    def read(cls, stored: Any) -> "Outlook | None":
        """From the row of a round; None if it holds none that this version wrote."""
        if not isinstance(stored, Mapping) or set(stored) != {*cls.__annotations__, "advice", "reason"}:
            return None
        return read_fields(cls, {name: stored[name] for name in cls.__annotations__}, "outlook")

    @classmethod
    def of_rows(cls, rows: Sequence[Mapping[str, Any]]) -> "Outlook | None":
        """What the last of some finished rounds tells; None where its row holds nothing."""
        return cls.read(rows[-1].get("outlook")) if rows else None

    def to_json(self) -> dict[str, Any]:
        """For the row of a round."""
        return {**asdict(self), "advice": self.advice, "reason": self.reason}

    @property
    def advice(self) -> Literal["go on", "stop or change"]:
        """What to do; why is the :attr:`reason`."""
        return "stop or change" if self._sure or self._flat else "go on"

    @property
    def reason(self) -> str:
        """Why, in half a sentence."""
        if self._sure and self.foretold is not None:
            return f"the model foretold {self.foretold.hits} of the last {self.foretold.answers} answers"
        if self.next_ten is None:
            return "it is too early to tell what more answers bring"
        if self._flat:
            return "the next ten answers are expected to bring less than half a point"
        if self.next_ten.low > 0:
            return "the last answers helped to foretell the others"
        return "whether the last answers helped cannot be told yet"

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = []
        if (one := self.foretold) is not None:
            ends = f"95 % interval {100 * one.low:.0f} to {100 * one.high:.0f} %"
            parts.append(f"The model foretold {one.hits} of the last {one.answers} answers ({ends})")
        if (found := self.precision) is not None:
            of = f"{found.value:.2f} of at most {found.ceiling:.2f}"
            parts.append(f"P@{found.k} among the {found.items} labelled items is {of}")
        if self.held_out is not None:
            parts.append(f"held out, what is known of an item gets {100 * self.held_out:.0f} %")
        if (gain := self.next_ten) is not None:
            ends = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"
            parts.append(f"the next ten answers may add {100 * gain.mean:+.1f} points to that ({ends})")
        told = "; ".join(parts)
        advice = f"{self.advice.capitalize()}: {self.reason}. (Estimated from the answers alone.)"
        return f"{told}. {advice}" if told else advice

    @property
    def short(self) -> str:
        """The advice, and what was foretold, in a few words."""
        one = self.foretold
        return self.advice if one is None else f"foretold {one.hits} of the last {one.answers}: {self.advice}"

    @property
    def _sure(self) -> bool:
        # Most pairs differ, so that "different" foretells many answers and tells nothing: pairs do not count.
        return self.kind == "class" and self.foretold is not None and self.foretold.low >= SURE

    @property
    def _flat(self) -> bool:
        return self.next_ten is not None and self.next_ten.mean < SMALL and self.next_ten.high < MUCH


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share; unlike the usual one it holds for few and for extreme counts.

    Example:
        >>> [round(end, 3) for end in wilson(19, 20)]
        [0.764, 0.991]
    """
    share, spread = hits / of, Z**2 / of
    middle = (share + spread / 2) / (1 + spread)
    half = Z * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def expected(
    before: Mapping[int, float | None], after: Mapping[int, float | None], *, answers: int
) -> Expected | None:
    """What the next ten answers bring to the held-out probability, if they bring what some answers did.

    The same items are compared, those known before already, so that it does not matter how hard the new ones
    are. Gains grow smaller as labels grow: this is rather too much than too little.

    Args:
        before: held-out probability of each known item, before the answers; None where it had no companion.
        after: the same with them.
        answers: their number.

    Returns:
        None if fewer than ten items have companions in the end, or there were fewer than ten answers: then
        it would be noise.

    Example:
        >>> before = {item: 0.5 for item in range(10)}
        >>> expected(before, {item: 0.5 + 0.1 * (item % 2) for item in range(12)}, answers=20).mean
        0.025
    """
    gains = [one - (before[item] or 0.0) for item, one in after.items() if item in before and one is not None]
    if len(gains) < FEWEST or answers < NEXT:
        return None
    mean, half = fmean(gains), Z * stdev(gains) / sqrt(len(gains))
    mean, low, high = (round(NEXT / answers * end, 12) for end in (mean, mean - half, mean + half))
    return Expected(mean, low, high)
