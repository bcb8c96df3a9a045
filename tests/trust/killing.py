"""A process that kills itself with SIGKILL at a chosen point: before or after its n-th change of the disk, or
at its n-th call of any function. The same number gives the same point, which no sleep does."""

import builtins
import io
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["Points", "kill_at_call"]

_CHANGES = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "fsync", "truncate", "ftruncate")


class Points:
    """Counts what this process does to the disk from here on, and kills it at one point.

    Args:
        at: number of the point, from 0: even ones lie before a change, odd ones after it; None never kills.
        stage: tells what is being done; noted with each point.

    Attributes:
        stages: stage at each point passed.
    """

    def __init__(self, at: int | None, stage: Callable[[], str]) -> None:
        self.at, self.stage, self.stages = at, stage, []
        for name in _CHANGES:
            setattr(os, name, self._around(getattr(os, name)))
        opened = self._opening(io.open)
        io.open = builtins.open = opened
        sqlite3.connect = self._connecting(sqlite3.connect)

    def _pass(self) -> None:
        if len(self.stages) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.stages.append(self.stage())

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*given: Any, **named: Any) -> Any:
            self._pass()
            result = function(*given, **named)
            self._pass()
            return result

        return called

    def _opening(self, function: Callable[..., Any]) -> Callable[..., Any]:
        changing = self._around(function)

        def called(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            return (changing if set(mode) & set("wax+") else function)(file, mode, *given, **named)

        return called

    def _connecting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        points = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *given: Any) -> Any:
                if statement.lstrip()[:6].upper() == "SELECT":
                    return super().execute(statement, *given)
                points._pass()
                result = super().execute(statement, *given)
                points._pass()
                return result

        return lambda *given, **named: function(*given, **{"factory": Connection, **named})


def kill_at_call(at: int | None) -> Callable[[], int]:
    """Kill this process at its n-th call of a function, Python's or C's; tells how many there were so far."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        del frame, argument
        if event in ("call", "c_call"):
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1

    sys.setprofile(profile)
    return lambda: count
