"""Exercises of the lessons: what is right, and which slip leads to what is not.

Each takes the answer as it stands in the cell. Dots are an exercise left open, which is no error, so that a
notebook runs through; a wrong answer is told what is wrong with it, or given a hint, and never the solution.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import comb, hypot, isclose
from typing import Any

import numpy as np

from dhaps_core.acquisition.published import Published
from dhaps_core.checks import shown
from dhaps_core.hamming import hamming_distance
from widgets.lessons.material import Material

__all__ = ["all_tied", "codes_in_ball", "cut_rankings", "pair_distance", "pairs_told", "representative_pair"]

OPEN = "… left open: put your answer in place of the dots, and run the cell again."
RIGHT = "✓ right: "
WRONG = "✗ not yet: "


def codes_in_ball(mine: Any, *, bits: int, radius: int) -> None:
    """How many codes lie within a radius of one."""
    slips = {
        comb(
            bits, radius
        ): "those are the codes at this distance exactly; the nearer ones belong to the ball, too.",
        2**radius: "not the codes that differ in the first bits only: any of the bits may be turned.",
        sum(comb(bits, j) for j in range(1, radius + 1)): "the centre is in the ball as well.",
        bits**radius: "turning bit 1 and bit 2 is turning bit 2 and bit 1: each set of bits counts once.",
    }
    hint = "for each distance j up to the radius, count the ways to choose the j bits that differ."
    _judge(mine, sum(comb(bits, j) for j in range(radius + 1)), slips, hint)


def pair_distance(mine: Any, *, material: Material, x: tuple[int, int], t: tuple[int, int]) -> None:
    """The distance d of two pairs of items."""
    hamming = hamming_distance(material.codes, material.codes).tolist()
    straight, swapped = ([hamming[i][j] for i, j in zip(x, way, strict=True)] for way in (t, t[::-1]))
    sums = [sum(2 * d**0.5 for d in way) for way in (straight, swapped)]
    slips = {
        max(sums): "that is one of the two orders; d is the shorter one of both.",
        min(
            map(sum, (straight, swapped))
        ): "those are bits; a norm is 2 times the root of the bits that differ.",
        min(sums) / 2: "each norm is *twice* the root: where two codes differ, they differ by 2.",
        min(hypot(*(2 * d**0.5 for d in way)) for way in (straight, swapped)): (
            "that is the Frobenius norm of both differences at once, the poster's first line; "
            "its second line, which is taken, adds the two norms."
        ),
    }
    _judge(mine, min(sums), slips, "add the two norms of each order, and take the smaller sum.")


def representative_pair(mine: Any, *, problem: Published) -> None:
    """The pair of different items that alone represents all pairs best; there may be several as good."""
    if mine is ...:
        _say(OPEN, "")
        return
    found = _numbers(mine)
    if found is None or found.shape != (2,) or not np.isin(found, np.arange(len(problem.means))).all():
        last = len(problem.means) - 1
        rule = f"the answer must be the positions of two items in brackets, each from 0 to {last}"
        _say(WRONG, f"{rule}; got {shown(mine)}.")
        return
    a, b = found.astype(int)
    if a == b:
        _say(WRONG, "an item makes no pair with itself.")
        return
    best = float(problem.means.topk(2).values.prod())
    value = float(problem.means[a] * problem.means[b])
    if value >= best * (1 - 1e-12):
        _say(RIGHT, f"no other pair has a greater mean kernel with all pairs than {value:.4f}.")
    else:
        hint = "the mean kernel of a pair is a product of two item means: when is a product greatest?"
        _say(
            WRONG, f"its mean kernel with all pairs is {value:.4f}, and there are greater ones. Hint: {hint}"
        )


def pairs_told(mine: Any, *, chain: int) -> None:
    """How many pairs are known after "same" along a chain of items, and "different" to one more."""
    same = comb(chain, 2)
    slips: dict[float, str] = {
        chain: "those are the answers; what follows from them counts, too.",
        same: "those are the pairs inside the chain; the item apart is known to differ from some, too.",
        same
        + 1: "the item apart is different from *every* item of the chain, not from the one asked about only.",
        comb(chain + 1, 2) - 1: "which pair should be left unknown?",
    }
    hint = "count the pairs inside the chain, then those of the item apart with the chain."
    _judge(mine, same + chain, slips, hint)


def all_tied(mine: Any, *, items: int) -> None:
    """Expected average precision of one relevant item among some that are all tied."""
    slips = {
        1 / items: "that is the worst order, and the value by thresholds; each rank is as likely as another.",
        1.0: "that is the best order only.",
        2 / (items + 1): "that is the precision at the mean rank; the mean of 1/rank is another number.",
    }
    hint = "the relevant item is at each rank i with probability 1/n, and then the average precision is 1/i."
    _judge(mine, float(sum(Fraction(1, i) for i in range(1, items + 1)) / items), slips, hint)


def cut_rankings(mine: Any) -> None:
    """Average precision at 3, by both denominators, of [+ - -] and of [+ - +], where 3 items are relevant."""
    if mine is ...:
        _say(OPEN, "")
        return
    found, names = _numbers(mine), ("[+ - -] (min)", "[+ - -] (hits)", "[+ - +] (min)", "[+ - +] (hits)")
    if found is None or found.shape != (4,):
        _say(WRONG, f"the answer must be four numbers in a list; got {shown(mine)}.")
        return
    right = np.isclose(found, [1 / 3, 1, 5 / 9, 5 / 6], rtol=1e-3)
    if right.all():
        _say(RIGHT, "1/3 and 1 for [+ - -], 5/9 and 5/6 for [+ - +]: by hits, finding fewer scores higher.")
    else:
        wrong = ", ".join(name for name, fits in zip(names, right, strict=True) if not fits)
        hint = "add the precisions at the relevant items, then divide by 3 (min) or by the hits."
        _say(WRONG, f"look again at {wrong}. Hint: {hint}")


def _judge(mine: Any, right: float, slips: Mapping[float, str], hint: str) -> None:
    """Print what is to be said of an answer that is one number."""
    if mine is ...:
        _say(OPEN, "")
        return
    found = _numbers(mine)
    if found is None or found.shape != ():
        _say(WRONG, f"the answer must be one number; got {shown(mine)}.")
        return
    value = float(found)
    if isclose(value, right, rel_tol=1e-3):
        _say(RIGHT, f"{right:.6g}.")
        return
    slip = next((told for number, told in slips.items() if isclose(value, number, rel_tol=1e-3)), None)
    _say(WRONG, f"got {value:.6g}; {slip}" if slip else f"got {value:.6g}. Hint: {hint}")


def _numbers(mine: Any) -> np.ndarray | None:
    """The answer as numbers; None where it is none, and the caller says what is wanted."""
    try:
        found = np.asarray(mine, dtype=float)
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None


def _say(verdict: str, told: str) -> None:
    print(f"{verdict}{told}")  # noqa: T201 - it is the cell's output
