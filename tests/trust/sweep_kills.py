"""kill -9 of a real sweep: its command, its workers, their kernels; and of the writing of its table."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pandas
import psutil

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.manifest import write_manifest, write_table
from dhaps_core.sweeps.sweep import sweep
from tests.given import write_grid

from .case import Attack, Case, told_by_a_child, wait
from .finished_sweep import finished_sweep
from .given import leftovers
from .killing import Points

__all__ = ["ATTACK"]

RUNS = 3
PATIENCE = 100
ROOT = Path(__file__).parents[2]


@cache
def points() -> int:
    """How many points a table has at which its writer can be killed."""

    def count() -> int:
        with tempfile.TemporaryDirectory() as folder:
            grid = read_grid(finished_sweep(Path(folder), runs=RUNS))
            counted = Points(None, lambda: "table")
            _write(grid, Path(folder) / "out")
            return len(counted.stages)

    return int(told_by_a_child(count))


def _write(grid, out: Path) -> None:
    write_manifest(grid, out, {}, started=0.0, git={})
    write_table(grid, out, {})


def cases(short: bool) -> list[str]:
    real = (
        ["kernel-0"]
        if short
        else [f"{what}-{i}" for i in range(4) for what in ("driver", "worker", "kernel")]
    )
    return [*real, *(f"table-{point}" for point in range(0, points(), 5 if short else 1))]


def play(case: Case) -> None:
    what, _, number = case.name.partition("-")
    if what == "table":
        _table(case, int(number))
    else:
        _sweep(case, what)


def _table(case: Case, point: int) -> None:
    grid = read_grid(finished_sweep(case.folder, runs=RUNS))
    out = case.folder / "out"

    def work() -> None:
        Points(point, lambda: "table")
        _write(grid, out)

    status = wait(case.child(work), 60)
    case.require(status == -signal.SIGKILL, f"the writer ended with {status} before point {point}")
    case.tried += 1
    for path in (out / "manifest.json", out / "table.csv", out / "table.parquet"):
        if path.exists():
            json.loads(path.read_text()) if path.suffix == ".json" else _frame(path)
    table = sweep(grid, out, report=lambda _: None)
    case.require(list(table["mAP"]) == [i / 10 for i in range(RUNS)], "the table has other numbers")
    case.require(_frame(out / "table.parquet").equals(table), "the table's file has other numbers")
    case.require(not (left := leftovers(case.folder)), f"leftovers for ever: {left[:3]}")


def _frame(path: Path):
    return pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)


def _sweep(case: Case, what: str) -> None:
    draws = case.draws()
    grid = write_grid(case.folder, f"every: {{seed: {list(range(RUNS))}, sleep: 0.3, log: ./log}}\n")
    case.tried += _killed(case, grid, what, draws)
    if what == "driver":
        case.tried += _killed(case, grid, what, draws)
    status = _start(case, grid).wait(PATIENCE)
    case.require(status == 0, f"the same command does not go on: {_said(case)}")
    table = _frame(case.folder / "out" / "table.parquet")
    case.require(list(table["state"]) == ["finished"] * RUNS, f"runs are {list(table['state'])}")
    case.require(list(table["mAP"]) == [_value(seed) for seed in range(RUNS)], "the table has other numbers")
    log = [line.split() for line in (case.folder / "log").read_text().splitlines()]
    ended = [run for kind, run in log if kind == "end"]
    case.require(sorted(ended) == sorted(set(ended)), "a finished run was run again")
    case.require(not (left := leftovers(case.folder)), f"leftovers for ever: {left[:3]}")


def _value(seed: int) -> float:
    return int.from_bytes(hashlib.sha256(f"{seed} 1".encode()).digest()[:6], "big") / 2**40


def _start(case: Case, grid: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "dhaps_core.sweeps", str(grid), "--out", str(case.folder / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # for the kernels, which start elsewhere
    with (case.folder / "sweep.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--workers", "1"], stdout=log, stderr=log, cwd=ROOT, env=environment
        )


def _killed(case: Case, grid: Path, what: str, draws: random.Random) -> bool:
    """Start the sweep, kill one of its processes somewhere in its first runs; whether that came in time."""
    process = _start(case, grid)
    log, before = case.folder / "log", (case.folder / "log").read_text()
    deadline = time.monotonic() + PATIENCE
    while log.read_text() == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(draws.uniform(0, 2.0))
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    kernels = [one for one in family if _is_kernel(one)]
    victims = {"driver": [process], "kernel": kernels, "worker": [one.parent() for one in kernels]}[what]
    victims = [one for one in victims if one is not None]
    killed = bool(victims) and process.poll() is None
    if killed:
        case.at(f"killed a {what} after {log.read_text().count('end')} runs")
        victims[0].kill()
    status = process.wait(PATIENCE)
    fine = {"driver": (0, -signal.SIGKILL), "worker": (0,), "kernel": (0, 1)}[what]
    case.require(status in fine, f"a killed {what} ends the sweep with {status}: {_said(case)}")
    return killed


def _is_kernel(process: psutil.Process) -> bool:
    try:
        return any("ipykernel" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _said(case: Case) -> str:
    return (case.folder / "sweep.log").read_text(errors="replace")[-300:]


ATTACK = Attack(
    name="sweep_kills",
    promise="A kill -9 of a sweep, a worker or a kernel costs at most the run in progress: the same "
    "command goes on, no finished run is run again, the table has the same numbers, no "
    "temporary file stays",
    how="real sweeps on a worker process, whose command (twice), worker or notebook kernel is "
    "killed at a random moment of the first runs; the writing of manifest and table is killed "
    "before and after each change of the disk",
    found="Before: finished runs were safe; temporary files of tables stayed for ever. Now the next "
    "sweep of the folder removes them",
    unit="kills",
    cases=cases,
    play=play,
    prepare=points,
    limit=400,
)
