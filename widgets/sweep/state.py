"""A sweep as a process of its own, which outlives the notebook's kernel: started, followed and stopped."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dhaps_core.files import at_home, open_own
from dhaps_core.json_files import DamagedFileError
from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.marker import read_marker
from dhaps_core.sweeps.sweep import running

__all__ = ["Standing", "SweepProcess"]


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands.

    Attributes:
        done: finished runs of the grid.
        failed: runs that failed since the last start.
        total: runs of the grid.
        running: whether a sweep is at work in the folder, whoever started it.
        line: the newest line of the log.
    """

    done: int
    failed: int
    total: int
    running: bool
    line: str


class SweepProcess:
    """The sweep of a grid in a folder; a new object for the folder follows a sweep that is at work there.

    Args:
        grid: grid file, checked here.
        out: folder of the runs; the log is ``sweep.log`` in it.
        workers: processes on this machine; as many as cores if None.
        scheduler: address of a Dask scheduler to use instead.

    Raises:
        dhaps_core.sweeps.grid_text.GridError: if the grid cannot run.
    """

    def __init__(
        self, grid: str | Path, out: str | Path, *, workers: int | None = None, scheduler: str | None = None
    ) -> None:
        self.grid = read_grid(grid)
        self.out = at_home(out).absolute()
        self.log = self.out / "sweep.log"
        self.command = [sys.executable, "-m", "dhaps_core.sweeps", str(self.grid.path)]
        self.command += ["--out", str(self.out)]
        self.command += ["--workers", str(workers)] if workers is not None else []
        self.command += ["--scheduler", scheduler] if scheduler else []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether a sweep is at work in the folder."""
        return self._pid() is not None

    def _pid(self) -> int | None:
        if self._process is not None and self._process.poll() is None:
            return self._process.pid
        return running(self.out)

    def start(self) -> bool:
        """Whether the sweep was started; it is not while one is at work in the folder.

        Raises:
            dhaps_core.sweeps.grid_text.GridError: if the grid was edited since, and cannot run any more.
        """
        if self.running:
            return False
        self.grid = read_grid(self.grid.path)  # the process reads it anew
        self.out.mkdir(parents=True, exist_ok=True)
        with open_own(self.log, "wb") as log:
            # A session of its own: neither the kernel's interrupt nor its end may stop it.
            self._process = subprocess.Popen(  # noqa: S603
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        return True

    def stop(self) -> None:
        """Ask the sweep to stop; what is finished is kept, and the table is written."""
        if (pid := self._pid() or 0) > 0:  # others would be whole groups of processes
            os.kill(pid, signal.SIGTERM)

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit status, see :mod:`dhaps_core.sweeps.sweep`, of the sweep started here; None if none was.

        Raises:
            subprocess.TimeoutExpired: if it takes longer.
        """
        return None if self._process is None else self._process.wait(seconds)

    def text(self) -> str:
        """The log of the last start; empty before it."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def standing(self) -> Standing:
        """Where the sweep stands now."""
        at_work, lines = self.running, self.text().splitlines() or ["not started"]
        return Standing(
            done=sum(_finished(self.out / cell.run) for cell in self.grid.cells),
            failed=sum("| FAILED " in line for line in lines),
            total=len(self.grid.cells),
            running=at_work,
            line=lines[-1],
        )


def _finished(folder: Path) -> bool:
    try:
        return read_marker(folder) is not None
    except DamagedFileError:
        return False
