"""Sweeps: every cell of a grid as one notebook run on Dask workers, resumable, ending in one table.

    python -m dhaps_core.sweeps GRID.yaml [--workers N | --scheduler ADDRESS] [--out FOLDER] [--dashboard]

Without a scheduler's address the sweep starts its own workers, on this machine and its loopback address
only, for nobody but itself. With one it uses that cluster, however it was deployed (SLURM, Kubernetes, SSH)
and secured (see ``cluster``); workers may come and go, and all must see the same file system.

A finished run is never run again; failed and interrupted ones are, each time the same command is given. A run
whose files are damaged is neither: it stands in the table with a sentence, and waits for a person. Notebook
and grid are read once, at the start; the copy of the notebook that runs is kept in ``notebooks/``. The exit
status is 0 when all runs are finished, 1 when one failed or is damaged or the scheduler was lost, 2 for a
grid that cannot run, 130 when interrupted. :mod:`dhaps_core.sweeps.grid` describes grid files.
"""

import argparse
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dhaps_core.files import at_home, make_folder, open_own, refuse_link, remove_leftovers, replace_text
from dhaps_core.json_files import is_text
from dhaps_core.sweeps.cluster import SweepError, connect, gpu_ids, local_client, patience, slots
from dhaps_core.sweeps.grid import Grid, read_grid
from dhaps_core.sweeps.grid_text import GridError
from dhaps_core.sweeps.manifest import git_state, run_state, write_manifest, write_table
from dhaps_core.sweeps.notebook import json_digest
from dhaps_core.sweeps.packages import require
from dhaps_core.sweeps.progress import ProgressLines
from dhaps_core.sweeps.run import Job, run_cell

__all__ = ["SweepError", "main", "running", "sweep"]

_LOCK = "sweep.lock"  # held by the sweep at work in a folder, with its process written inside
_POLL = 0.1  # seconds between two looks at the runs in progress
_LOOK = 1.0  # and at the workers
_RESUBMIT = 3  # times that a run is handed in again after its scheduler went away
_SPARE = 64 << 20  # bytes that the disk must have free for each run in progress

Report = Callable[[str], None]


def sweep(
    grid: Grid,
    out: str | Path,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    dashboard: bool = False,
    report: Report = print,
) -> Any:
    """The table of a grid, after running what is not finished yet.

    Args:
        grid: from :func:`dhaps_core.sweeps.grid.read_grid`.
        out: folder of the runs, the table and the manifest; made if it is absent.
        workers: processes to start on this machine, each running one notebook at a time.
        scheduler: address of a Dask scheduler to use instead.
        dashboard: whether the local cluster serves Dask's dashboard, on the loopback address.
        report: takes lines of progress.

    Returns:
        A pandas DataFrame, see :func:`dhaps_core.sweeps.manifest.write_table`.

    Raises:
        ValueError: the folder is no path.
        SweepError: there are no workers, another sweep uses the folder, the disk is full, or the scheduler is
            lost.
        KeyboardInterrupt: after the table of what is finished was written.
    """
    out = at_home(out).absolute()
    if not is_text(str(out)):
        raise SweepError(f"the folder must have a name in UTF-8; got {str(out)!a}. Give another --out.")
    if workers < 1:
        raise SweepError(f"workers must be at least 1, or no run ever begins; got {workers}. Set it higher.")
    for name in ("distributed", "pandas", "pyarrow"):
        require(name)
    failures: dict[str, str] = {}
    started, git = time.time(), git_state(grid.path.parent)
    try:
        make_folder(out)
    except ValueError as error:
        raise SweepError(str(error)) from error
    devices = gpu_ids(workers) if "GPU" in grid.resources and scheduler is None else ()
    with _alone(out):
        remove_leftovers(out, below=False)
        jobs = _open_jobs(grid, out, git, devices, report)
        if jobs:
            _check_disk(out, len(jobs))
        try:
            if jobs:
                local = partial(local_client, resources=grid.resources, dashboard=dashboard, report=report)
                with connect(scheduler) if scheduler else local(min(workers, len(jobs))) as client:
                    for job, outcome in _run(client, jobs, grid, report):
                        if outcome["state"] == "failed":
                            failures[job.run] = outcome["error"]
        finally:
            try:
                write_manifest(grid, out, failures, started=started, git=git)
                table = write_table(grid, out, failures)
            except OSError as error:
                rule = f"the table must be written into {out}; got {error}"
                raise SweepError(f"{rule}. Free some space and start again.") from error
    return table


def running(out: Path) -> int | None:
    """Process of the sweep that is at work in a folder: 0 before it has said which, None if there is none."""
    if not (out / _LOCK).exists():
        return None
    with (out / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second sweep out of the folder for as long as this process lives."""
    with open_own(out / _LOCK, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            rule = f"a folder must have one sweep at a time; another runs in {out}"
            raise SweepError(f"{rule}. Wait for it, or stop it.") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _open_jobs(
    grid: Grid, out: Path, git: dict[str, Any], devices: tuple[str, ...], report: Report
) -> list[Job]:
    """Jobs of the cells that are to be run: neither finished nor damaged."""
    notebook, copy = grid.notebook, _keep(grid, out)
    record = {"notebook": notebook.path.name, "code": notebook.code, "copy": str(copy.relative_to(out))}
    jobs, states, other_code = [], [], 0
    for cell in grid.cells:
        state, marker, *_ = run_state(out / cell.run)
        states.append(state)
        other_code += state == "finished" and marker.get("code") != notebook.code
        if state == "open":
            given = {**cell.given, "folder": str(out / cell.run)}
            if "interactive" in notebook.parameters:
                given["interactive"] = False
            about = {"parameters": cell.parameters, **record, "git": git}
            where = out / cell.run, notebook.path, copy
            jobs.append(Job(*where, given, grid.threads, grid.timeout, devices, about))
    report(f"{len(states)} runs, {states.count('finished')} of them finished before, in {out}")
    if damaged := states.count("damaged"):
        report(f"WARNING: the files of {damaged} runs are damaged; these are not run. The table says which.")
    if other_code:
        rule = f"{other_code} of the finished runs come from another version of {notebook.path.name}"
        report(f"WARNING: {rule}. Give another --out to run them anew.")
    return jobs


def _keep(grid: Grid, out: Path) -> Path:
    """The notebook as it was read, in the sweep's folder: all runs of this start execute it."""
    content, folder = grid.notebook.content, out / "notebooks"
    refuse_link(folder)
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    copy = folder / f"{json_digest(content)[:12]}.ipynb"
    replace_text(copy, content)
    return copy


def _check_disk(out: Path, jobs: int) -> None:
    """See that there is room for as many runs, each like the largest that is finished."""
    sizes = [
        sum(f.stat().st_size for f in run.parent.rglob("*") if f.is_file()) for run in out.glob("*/run.json")
    ]
    free, need = shutil.disk_usage(out).free, max(_SPARE, jobs * max(sizes, default=0))
    if free < need:
        rule = f"the disk of {out} must have {need >> 20} MiB free for {jobs} runs; got {free >> 20} MiB"
        raise SweepError(f"{rule}. Free some, or give another --out.")


def _run(
    client: Any, jobs: Sequence[Job], grid: Grid, report: Report
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Each job with its outcome, in the order in which they end.

    No more runs are handed in than there are workers: one that dies takes only its own run with it, and a
    stopped sweep leaves no queue behind on a cluster that it does not own.
    """
    progress = ProgressLines(len(grid.cells), len(grid.cells) - len(jobs), report)
    names = {cell.run: cell.name for cell in grid.cells}
    waiting = list(reversed(jobs))
    flying: dict[Any, Job] = {}
    submitted = dict.fromkeys(names, 0)
    room, looked, seen = 0, 0.0, time.monotonic()
    while waiting or flying:
        for future in [future for future in flying if future.done()]:
            job = flying.pop(future)
            outcome = _outcome(future)
            if outcome is None and submitted[job.run] <= _RESUBMIT:
                waiting.append(job)
                continue
            outcome = outcome or {"state": "failed", "error": f"its scheduler was lost {_RESUBMIT + 1} times"}
            progress.ended(names[job.run], outcome, job.output)
            yield job, outcome
        if time.monotonic() - looked > _LOOK:
            looked, found = time.monotonic(), slots(client, grid.resources)
            room, seen = found or 0, looked if found is not None else seen
        while waiting and len(flying) < room:
            job = waiting.pop()
            submitted[job.run] += 1
            key = f"{job.run}-{submitted[job.run]}"
            future = client.submit(run_cell, job, key=key, pure=False, resources=grid.resources or None)
            flying[future] = job
        if client.status == "closed" or time.monotonic() - seen > 2 * patience():
            rule = "the scheduler must stay reachable; it is gone"
            raise SweepError(f"{rule}. Start it and its workers, then this again.")
        progress.tick(len(flying), room)
        time.sleep(_POLL)


def _outcome(future: Any) -> dict[str, Any] | None:
    """What a run's worker returned, or how it was lost; None if the run must be handed in again."""
    from distributed import KilledWorker

    if future.cancelled():
        return None
    lost = future.exception()
    if lost is None:
        outcome: dict[str, Any] = future.result()
        return outcome
    error = f"its worker could not run it: {type(lost).__name__}: {lost}"
    if isinstance(lost, KilledWorker):
        error = "its worker died again and again (out of memory?)"
    return {"state": "failed", "error": error}


def main(arguments: Sequence[str]) -> int:
    """Exit status of the command; see the module."""
    told = partial(print, file=sys.stderr)
    options = _options(arguments)
    out = options.out or Path("runs") / options.grid.stem
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's stop is a Ctrl-C
    try:
        grid = read_grid(options.grid)
        workers = options.workers or max(1, (os.cpu_count() or 1) // grid.threads)
        where = {"workers": workers, "scheduler": options.scheduler, "dashboard": options.dashboard}
        table = sweep(grid, out, **where, report=partial(print, flush=True))
    except GridError as error:
        told(error)
        return 2
    except (SweepError, ImportError, OSError) as error:
        told(f"The sweep stopped: {error}")
        return 1
    except KeyboardInterrupt:
        told(f"Stopped. The table of what is finished is in {out}; the same command goes on.")
        return 130
    rest = table[table["state"] != "finished"]
    print(f"{len(table) - len(rest)} of {len(table)} runs finished; tables: {out}/table.csv and .parquet")
    for row in rest.itertuples():
        print(f"{row.state}: {row.error}\n    see {out / row.notebook}")
    return 1 if len(rest) else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    line = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m dhaps_core.sweeps", description=line)
    add = parser.add_argument
    add("grid", type=Path, help="grid file, see dhaps_core.sweeps.grid")
    add("--out", type=at_home, help="folder of the runs and the table; runs/NAME-OF-THE-GRID by default")
    add("--dashboard", action="store_true", help="serve Dask's dashboard on the loopback address")
    add = parser.add_mutually_exclusive_group().add_argument
    add("--workers", type=int, help="processes on this machine; as many as cores by default")
    add("--scheduler", help="address of a Dask scheduler to use instead, such as tcp://host:8786")
    options = parser.parse_args(arguments)
    if options.workers is not None and options.workers < 1:
        parser.error(f"--workers must be at least 1; got {options.workers}")
    return options
