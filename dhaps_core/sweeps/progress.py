"""Progress of a sweep as plain lines, for a terminal and a log alike."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Progress"]


class Progress:
    """Counts, and the time left by the mean of the runs so far.

    Args:
        total: runs of the grid.
        before: of them finished earlier.
        report: takes lines.
        every: seconds between two lines while nothing ends.
    """

    def __init__(self, total: int, before: int, report: Callable[[str], None], *, every: float = 60) -> None:
        self.total, self.done, self.failed = total, before, 0
        self.report, self.every = report, every
        self.started = self.spoken = time.monotonic()
        self.seconds: list[float] = []
        self.running = self.slots = 0

    def ended(self, name: str, outcome: Mapping[str, Any], notebook: Path) -> None:
        """Report a run's end."""
        if outcome["state"] == "failed":
            self.failed += 1
            self._say(f"FAILED {name}: {outcome['error']}\n    see {notebook}")
        else:
            self.done += 1
            self.seconds.append(outcome["seconds"])
            self._say(f"{name}: {outcome['seconds']:.0f} s")

    def tick(self, running: int, slots: int) -> None:
        """Take note of the runs in progress and of the workers; report if nothing was for a while."""
        self.running, self.slots = running, slots
        if time.monotonic() - self.spoken >= self.every:
            self._say(f"{running} running" if slots else "waiting for a worker")

    def _say(self, what: str) -> None:
        self.spoken = time.monotonic()
        ended = self.done + self.failed
        failed = f" ({self.failed} failed)" if self.failed else ""
        gone = f"{_clock(self.spoken - self.started)} gone"
        self.report(f"[{ended}/{self.total}{failed}] {gone}, {self._left(self.total - ended)} | {what}")

    def _left(self, runs: int) -> str:
        if not self.seconds or not runs:
            return "done" if not runs else "no estimate yet"
        mean = sum(self.seconds) / len(self.seconds)
        return f"about {_clock(mean * runs / max(1, self.slots))} left"


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> _clock(3725.4)
        '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
