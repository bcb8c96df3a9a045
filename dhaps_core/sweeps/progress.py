"""Progress of a sweep as plain lines, for a terminal and a log alike."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["ProgressLines"]

_EVERY = 60  # seconds between two lines while nothing ends


class ProgressLines:
    """Counts of a grid's runs, some of them finished before, and the time left by the mean of those since."""

    def __init__(self, total: int, before: int, report: Callable[[str], None]) -> None:
        self.total, self.done, self.failed, self.report = total, before, 0, report
        self.started = self.spoken = time.monotonic()
        self.seconds: list[float] = []
        self.slots = 0

    def ended(self, name: str, outcome: Mapping[str, Any], notebook: Path) -> None:
        """Report a run's end."""
        self.done += 1
        if outcome["state"] == "failed":
            self.failed += 1
            self._say(f"FAILED {name}: {outcome['error']}\n    see {notebook}")
        else:
            self.seconds.append(outcome["seconds"])
            self._say(f"{name}: {outcome['seconds']:.0f} s")

    def tick(self, running: int, slots: int) -> None:
        """Take note of the runs in progress and of the workers; report if nothing was for a while."""
        self.slots = slots
        if time.monotonic() - self.spoken >= _EVERY:
            self._say(f"{running} running" if slots else "waiting for a worker")

    def _say(self, what: str) -> None:
        self.spoken, runs, left = time.monotonic(), self.total - self.done, "no estimate yet"
        if not runs:
            left = "done"
        elif self.seconds:
            mean = sum(self.seconds) / len(self.seconds)
            left = f"about {_clock(mean * runs / max(1, self.slots))} left"
        failed = f" ({self.failed} failed)" if self.failed else ""
        gone = f"{_clock(self.spoken - self.started)} gone"
        self.report(f"[{self.done}/{self.total}{failed}] {gone}, {left} | {what}")


def _clock(seconds: float) -> timedelta:
    """Written as hours, minutes and seconds."""
    return timedelta(seconds=round(seconds))
