"""Runs cases side by side, each in a forked process with a deadline, and gathers what came of them."""

import contextlib
import faulthandler
import json
import mmap
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .case import Attack, Case, Fault, Hang

__all__ = ["Finding", "Outcome", "run"]


@dataclass(frozen=True)
class Finding:
    """A promise not kept: what was seen, and the name that replays it."""

    case: str
    text: str


@dataclass
class Outcome:
    """What came of an attack."""

    attack: Attack
    tried: int = 0
    cases: int = 0
    planned: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)


@dataclass
class _Running:
    """A case in its process."""

    outcome: Outcome
    name: str
    pid: int
    pipe: int
    folder: Path
    where: mmap.mmap
    started: float
    data: bytes = b""


def run(
    attacks: Sequence[Attack], *, seed: int, short: bool, workers: int, budget: float, only: str | None
) -> list[Outcome]:
    """What came of some attacks; cases that the budget (in seconds) has no room for are counted as
    planned."""
    deadline = time.monotonic() + budget
    outcomes = [Outcome(attack) for attack in attacks]
    wanted, _, item = (only or "").partition("#")
    plans = []
    for outcome in outcomes:
        outcome.attack.prepare()
        names = outcome.attack.cases(short)
        if wanted:
            names = [name for name in names if f"{outcome.attack.name}/{name}" == wanted] or [
                wanted.partition("/")[2]
            ]
        outcome.planned = len(names)
        plans.append([(outcome, name) for name in names])
    base = Path(tempfile.mkdtemp(prefix="trust-"))
    base.chmod(0o755)
    try:
        number = int(item) if item else None
        _play_all(_in_turn(plans), base, seed, short, workers, deadline, number)
    finally:
        _remove(base)
    return outcomes


def _in_turn(plans: Iterable[list[tuple[Outcome, str]]]) -> Iterator[tuple[Outcome, str]]:
    """Each time a case of the attack that had the least time so far: a budget cuts all alike, by share."""
    left = [plan for plan in plans if plan]
    while left:
        least = min(left, key=lambda plan: plan[0][0].seconds / plan[0][0].attack.share)
        yield least.pop(0)
        left = [plan for plan in left if plan]


def _play_all(
    todo: Iterator[tuple[Outcome, str]],
    base: Path,
    seed: int,
    short: bool,
    workers: int,
    deadline: float,
    only: int | None,
) -> None:
    running: dict[int, _Running] = {}
    number = 0
    while True:
        while len(running) < workers and time.monotonic() < deadline and (case := next(todo, None)):
            number += 1
            one = _start(*case, base / str(number), seed, short, only)
            running[one.pipe] = one
        if not running:
            return
        for pipe in select.select(list(running), [], [], 0.2)[0]:
            data = os.read(pipe, 1 << 16)
            running[pipe].data += data
            if not data:
                _finish(running.pop(pipe), late=False)
        for one in list(running.values()):
            if time.monotonic() - one.started > one.outcome.attack.limit:
                _finish(running.pop(one.pipe), late=True)


def _start(outcome: Outcome, name: str, folder: Path, seed: int, short: bool, only: int | None) -> _Running:
    folder.mkdir()
    where = mmap.mmap(-1, 4096)
    reader, writer = os.pipe()
    started = time.monotonic()
    pid = os.fork()
    if pid:
        os.close(writer)
        return _Running(outcome, name, pid, reader, folder, where, started)
    try:
        os.setsid()
        os.close(reader)
        os.set_inheritable(writer, False)
        output = os.open(folder / "output.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(output, stream)
        faulthandler.enable(file=sys.__stderr__)
        work = folder / "work"
        work.mkdir()
        os.chdir(work)  # what is written by a relative path lands there
        case = Case(outcome.attack.name, name, seed, work, where, only, short)
        try:
            outcome.attack.play(case)
        except Fault as fault:
            case.fault(str(fault))
        except (Exception, Hang) as error:  # the attack itself failed, or the code under it in a new way
            where_ = traceback.extract_tb(error.__traceback__)
            at = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in where_[:-5:-1])
            case.fault(f"{type(error).__name__}: {str(error)[:300]} ({at})")
        data = case.result(time.monotonic() - started)
        while data:
            data = data[os.write(writer, data) :]
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _finish(one: _Running, *, late: bool) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(one.pid, signal.SIGKILL)  # and whatever it left running
    _, status = os.waitpid(one.pid, 0)
    os.close(one.pipe)
    outcome, name = one.outcome, f"{one.outcome.attack.name}/{one.name}"
    outcome.cases += 1
    outcome.seconds += time.monotonic() - one.started
    at = one.where[: one.where.find(b"\0")].decode(errors="replace")
    item = at.split()[0] if at.startswith("#") else ""
    if one.data:
        content = json.loads(one.data)
        outcome.tried += content["tried"]
        work = f"{one.folder}/work/"  # the name of a folder that is gone tells nobody anything
        faults = [(item, text.replace(work, "")) for item, text in content["faults"]]
        outcome.findings += [Finding(name + item, text) for item, text in faults]
        for text, count in content["notes"].items():
            outcome.notes[text] = outcome.notes.get(text, 0) + count
    elif late:
        outcome.findings.append(
            Finding(name + item, f"hangs: not done after {one.outcome.attack.limit:g} s, at {at!r}")
        )
    else:
        tail = (one.folder / "output.log").read_text(errors="replace").strip().splitlines()[:12]
        how = os.waitstatus_to_exitcode(status)
        outcome.findings.append(Finding(name + item, f"crashes (status {how}) at {at!r}: {' | '.join(tail)}"))
    _remove(one.folder)


def _remove(folder: Path) -> None:
    """Remove a folder with what an attack made unwritable in it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
