"""How far a piece of work is, and how long it will take: told in words, as plain values."""

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Estimate", "Work", "in_words"]


@dataclass(frozen=True)
class Work:
    """What is going on.

    Attributes:
        what: in words.
        share: of it that is done, in [0, 1]; None where that cannot be told.
        left: seconds that it is expected to go on, or None.
    """

    what: str
    share: float | None = None
    left: float | None = None

    @property
    def line(self) -> str:
        """All of it in one line.

        Example:
            >>> Work("learning", 0.5, 4.2).line
            'learning: about 5 s left'
        """
        return self.what if self.left is None else f"{self.what}: about {in_words(self.left)} left"


class Estimate:
    """Estimates how long a piece of work takes, by its steps, or by how long it took the last time.

    Args:
        expected: seconds that it took the last time; None the first time.
        clock: seconds that only grow.

    Example:
        >>> now = [0.0]
        >>> estimate = Estimate(None, clock=lambda: now[0])
        >>> now[0] = 3.0
        >>> estimate.at("learning", 1, 4).left
        9.0
    """

    def __init__(self, expected: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._expected, self._clock = expected, clock
        self._since = clock()

    def at(self, what: str, step: int = 0, steps: int = 0) -> Work:
        """The work at one of its steps; a single step tells nothing of what is left."""
        elapsed = self._clock() - self._since
        if steps > 1 and step:
            share = step / steps
            return Work(what, share, elapsed * (1 - share) / share)
        if self._expected is None:
            return Work(what)
        whole = max(self._expected, elapsed)
        return Work(what, elapsed / max(whole, 1e-9), whole - elapsed)


def in_words(seconds: float) -> str:
    """Seconds as one says them, rounded up.

    Example:
        >>> in_words(0.2), in_words(75), in_words(4000)
        ('1 s', '2 min', '1 h 7 min')
    """
    if seconds <= 60:
        return f"{max(1, -int(-seconds // 1))} s"
    minutes = -int(-seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
