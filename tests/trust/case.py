"""A case of an attack: seeded, run in a process of its own, and replayed by its name.

A case counts what it tried and notes every fault; it says where it is, so that one that is killed, hangs or
crashes the interpreter is found by name too.
"""

import json
import mmap
import os
import random
import re
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Attack", "Case", "Fault", "Hang", "told_by_a_child", "wait"]

Play = Callable[["Case"], object]


class Fault(Exception):
    """A promise that was not kept; the case ends here."""


class Hang(BaseException):
    """Something took longer than it may; no handler of the code under test takes it for an error."""


@dataclass(frozen=True)
class Attack:
    """One promise, and how it is tested.

    Attributes:
        name: of the attack, and of its file.
        promise: what we promise.
        how: how it is tested.
        found: what these attacks and those before them found, and became of it.
        unit: what is counted.
        cases: names of the cases; few when short.
        play: makes the case of a name.
        prepare: what all cases need, made once before the first; cases inherit it.
        limit: seconds that a case may take.
        share: of the time, beside 1 of most attacks.
    """

    name: str
    promise: str
    how: str
    found: str
    unit: str
    cases: Callable[[bool], list[str]]
    play: Play
    prepare: Callable[[], object] = lambda: None
    limit: float = 60.0
    share: float = 1.0


@dataclass
class Case:
    """A case while it runs.

    Attributes:
        name: within its attack.
        seed: of the whole run.
        folder: empty, its own.
        only: the one item to try of a case of many, or None.
        tried: how much was tried so far.
        faults: what was found: where, and what.
        notes: what else is to be said, and how often.
    """

    attack: str
    name: str
    seed: int
    folder: Path
    where: mmap.mmap
    only: int | None = None
    short: bool = False
    tried: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    _kinds: set[str] = field(default_factory=set)

    def draws(self, *parts: object) -> random.Random:
        """A source of randomness that depends on the seed, the case and these parts alone."""
        return random.Random("/".join(map(str, (self.seed, self.attack, self.name, *parts))))

    def at(self, text: str) -> None:
        """Say what is being tried; read by the runner if this process does not come to its end."""
        data = text.encode(errors="replace")[: len(self.where) - 1]
        self.where[: len(data) + 1] = data + b"\0"

    def each(self, count: int) -> Iterator[tuple[int, random.Random]]:
        """Numbers of the items of a case of many, each with its own randomness."""
        for i in range(count) if self.only is None else (self.only,):
            self.at(f"#{i}")
            yield i, self.draws(i)

    def fault(self, text: str, item: int | None = None) -> None:
        """Note a fault and go on; of faults whose text differs in numbers and quoted words alone, the
        first."""
        kind = re.sub(r"""'[^']*'|"[^"]*"|/\S+|\b0x\w+|\d+""", "", text)[:100]
        if kind not in self._kinds:
            self._kinds.add(kind)
            self.faults.append(("" if item is None else f"#{item}", text))

    def note(self, text: str, count: int = 1) -> None:
        """Say what is no fault but must be known, such as what could not be tried here; counts add up."""
        if count:
            self.notes[text] = self.notes.get(text, 0) + count

    def require(self, condition: object, text: str) -> None:
        """End the case with a fault unless something holds."""
        if not condition:
            raise Fault(text)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Raise Hang in the block after so many seconds."""

        def ring(*_: object) -> None:
            raise Hang(f"still running after {seconds:g} s")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def bound_memory(self, more: int) -> None:
        """Let this process have so many bytes of memory more than it has now, and none beyond."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def child(self, work: Callable[[], object]) -> int:
        """Id of a forked process that does some work and ends with 0, or with 1 after an error it prints."""
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # the process ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(code)

    def result(self, seconds: float) -> bytes:
        """What the runner reads of this case."""
        content = {"tried": self.tried, "faults": self.faults, "notes": self.notes, "seconds": seconds}
        return json.dumps(content).encode()


def wait(pid: int, seconds: float) -> int | None:
    """Exit status of a child as ``os.waitstatus_to_exitcode`` tells it; None (and it is killed) if it
    is late."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def told_by_a_child(work: Callable[[], Any]) -> Any:
    """What some work returns (as JSON can say it), done in a process of its own, so that it changes
    nothing here.

    Raises:
        ChildProcessError: the work raised; it is printed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with os.fdopen(writer, "w") as pipe:
                json.dump(work(), pipe)
            code = 0
        except BaseException:  # the process ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = pipe.read()
    if os.waitpid(pid, 0)[1]:
        raise ChildProcessError("a preparation failed; see above")
    return json.loads(told)
