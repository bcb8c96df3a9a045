"""One run of a sweep, inside a Dask worker: a notebook executed once, and a marker written last.

A run's folder holds what the notebook writes there (``metrics.json`` at least), the executed notebook, and::

    run.json        the marker, see :mod:`dhaps_core.sweeps.marker`; its presence means: finished
    started.json    what it will say
    starts.log      one line for every start; more than one where a worker died
    kernel.log      what the kernel's process itself printed: crashes, mostly
    lock            held by the notebook's kernel and its worker for as long as either lives

A worker that is killed leaves its kernel behind for about a second, and the run may be started again
elsewhere meanwhile. The kernel inherits the lock, so the new start waits until nothing of the old one can
write any more, and then does nothing if that one had finished.

What runs is the copy of the notebook that the sweep made when it started, in the notebook's own folder: an
edit while the sweep is at work is for the next sweep.
"""

import fcntl
import logging
import os
import platform
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from dhaps_core.files import open_own, refuse_link, remove_leftovers
from dhaps_core.sweeps.marker import finish, last_cell, prepare, read_marker
from dhaps_core.sweeps.notebook import code_cells

__all__ = ["Job", "run_cell"]

_THREADS = ("OMP_NUM", "MKL_NUM", "OPENBLAS_NUM", "NUMEXPR_NUM", "VECLIB_MAXIMUM")
_PACKAGES = ("dhaps", "torch", "numpy", "scipy", "scikit-learn", "faiss-cpu", "papermill", "ipykernel")


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a run; paths are absolute, on a file system that all workers share.

    Attributes:
        folder: of the run, with its name.
        notebook: whose folder is where it runs.
        copy: of the notebook, which is what is executed.
        given: parameters that the notebook is given.
        threads: compute threads of the notebook.
        timeout: seconds one cell may take.
        devices: ids of the GPUs of a local cluster; the worker takes the one of its own number.
        record: goes into the marker as it is.
    """

    folder: Path
    notebook: Path
    copy: Path
    given: Mapping[str, Any]
    threads: int
    timeout: int
    devices: tuple[str, ...]
    record: Mapping[str, Any]

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def output(self) -> Path:
        """Where the executed notebook is kept, whether it ended well or not."""
        return self.folder / self.notebook.name


def run_cell(job: Job) -> dict[str, Any]:
    """State of a run, executed unless it is finished: its marker, or ``state: failed`` with the error.

    Nothing that happens in a notebook is raised: one failing run must not end a sweep.
    """
    folder = job.folder
    try:
        refuse_link(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with open_own(folder / "lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            remove_leftovers(folder)
            return read_marker(folder) or _execute(job, lock.fileno())
    except Exception as error:  # whatever it is, it belongs to this run
        return {"run": job.run, "state": "failed", "error": _summary(error)}


def _execute(job: Job, lock: int) -> dict[str, Any]:
    import papermill  # noqa: F401  (takes seconds, once for each worker, and is no part of the run)

    with open_own(job.folder / "starts.log", "a") as log:
        log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {socket.gethostname()} {os.getpid()}\n")
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    environment = _environment(job)
    marker = {
        "run": job.run,
        **job.record,
        "threads": job.threads,
        "starts": len((job.folder / "starts.log").read_bytes().splitlines()),
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "gpu": environment.get("CUDA_VISIBLE_DEVICES"),
        "versions": versions,
    }
    prepare(job.folder, marker)
    job.output.unlink(missing_ok=True)  # of an earlier start, or a link to anywhere
    with open_own(job.folder / "kernel.log", "ab") as log:
        _papermill(job, environment, lock, log)
    return finish(job.folder)


def _papermill(job: Job, environment: Mapping[str, str], lock: int, log: IO[bytes]) -> None:
    import papermill

    from dhaps_core.sweeps.kernels import PrivateKernel

    # Papermill reads no `int | None`, and would warn of a parameter that the grid's check knows to exist.
    logging.getLogger("papermill").setLevel(logging.ERROR)

    class Kernel(PrivateKernel):
        """A kernel in the notebook's folder with its own environment, which keeps the run's lock.

        Nothing of the worker's process is changed for it, so runs in threads of one worker do not mix.
        """

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # asynchronous, as its base
            options |= {"env": dict(environment), "cwd": str(job.notebook.parent), "pass_fds": (lock,)}
            await super().start_kernel(stdout=log, stderr=log, **options)

    papermill.execute_notebook(
        _plain(job.copy),
        _plain(job.output),
        parameters=job.given,
        progress_bar=False,
        execution_timeout=job.timeout,
        start_timeout=120,
        store_widget_state=False,
        kernel_manager_class=Kernel,
        extra_arguments=[f"--IPKernelApp.exec_lines={_watch(job)}"],
    )


def _plain(path: Path) -> str:
    """A path as papermill's templates write it: braces would be places for parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _watch(job: Job) -> str:
    """The line that has the kernel write the marker; it leaves no name in the notebook's variables.

    The folder goes as hex digits: braces, quotes and backslashes mean something to those who pass it on.
    """
    last, times = last_cell(code_cells(job.copy.read_text(encoding="utf-8")))
    module = f"__import__({last_cell.__module__!r}, fromlist=['watch'])"
    folder = f"bytes.fromhex({os.fsencode(job.folder).hex()!r})"
    return f"{module}.watch(get_ipython().events, {folder}, {last!r}, {times})"


def _environment(job: Job) -> dict[str, str]:
    """Environment of the kernel: threads and hash seed are fixed, so numbers do not depend on the cluster."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment |= {f"{name}_THREADS": str(job.threads) for name in _THREADS}
    if job.devices:
        from distributed import get_worker

        environment["CUDA_VISIBLE_DEVICES"] = job.devices[int(get_worker().name)]
    return environment


def _summary(error: Exception) -> str:
    """One line about an error: of an exception in a notebook its name and value, not the whole traceback."""
    name, value = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
    lines = str(value).strip().splitlines()
    return f"{name}: {lines[0]}" if lines else str(name)
