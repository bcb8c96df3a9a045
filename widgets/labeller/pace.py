"""How fast a person answers, and how long what is left will take."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from dhaps_core.answers.answer import Answer
from widgets.progress import in_words

__all__ = ["pace"]

LAST, FEWEST = 20, 3  # answers by which it is judged: at most, and at least


def pace(answers: Sequence[Answer], *, who: str, left: int) -> dict[str, Any] | None:
    """Answers a minute, and the time for those left in words; None before three of a person were timed.

    The median of the last seconds: a pause for coffee slows nobody down, and items named together, which
    have a share of the seconds each, make nobody faster at what the card asks.
    """
    asked = [one for one in answers if one.who == who and one.question is not None]
    timed = [one.seconds for one in asked if one.seconds > 0][-LAST:]
    if len(timed) < FEWEST:
        return None
    usual = median(timed)
    return {"per_minute": round(60 / max(usual, 0.1)), "left": in_words(usual * left) if left else ""}
