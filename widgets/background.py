"""One piece of work in a thread at a time, with its progress, its cancelling and its error."""

import concurrent.futures.thread  # noqa: F401 its hook before ours: they are called in reverse
import sys
import threading
import weakref
from collections.abc import Callable

from dhaps_core.hashing.training import Cancelled

__all__ = ["Job"]

Report = Callable[[int, int, float], bool]
# Seconds after which a thread that computes in Python lets another one run. An answer lets go of the
# interpreter dozens of times (each statement of SQLite does) and must come to its turn again each time.
TURN = 0.0005
_JOBS: "weakref.WeakSet[Job]" = weakref.WeakSet()
_OVER = threading.Event()  # the interpreter ends


class Job:
    """Work that leaves the notebook free to answer keys.

    Attributes:
        running: whether work is under way.
        error: what the last work raised, except when it was cancelled; None if it went well.
        cancelled: whether the last work was cancelled.

    Example:
        >>> job = Job()
        >>> seen = []
        >>> job.start(lambda report: seen.append(report(1, 2, 0.0)))
        True
        >>> job.join()
        >>> seen
        [False]
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.cancelled = False
        self.running = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        _JOBS.add(self)

    def start(
        self,
        work: Callable[[Report], object],
        *,
        progress: Callable[[int, int], object] | None = None,
        done: Callable[[], object] | None = None,
    ) -> bool:
        """Whether the work was started; it is not while other work is under way, nor when the process ends.

        Args:
            work: gets a function to call with (step, steps, loss), which is True when the work must stop;
                it is of the kind that training takes.
            progress: called with (step, steps), in the thread.
            done: called after the work, whatever became of it, in the thread.
        """
        with self._lock:
            if self.running or _OVER.is_set():
                return False
            self._stop.clear()
            sys.setswitchinterval(TURN)
            self.error, self.cancelled, self.running = None, False, True

            def report(step: int, steps: int, loss: float) -> bool:
                del loss
                if progress is not None:
                    progress(step, steps)
                return self._stop.is_set() or _OVER.is_set()

            def run() -> None:
                try:
                    work(report)
                except Cancelled:
                    self.cancelled = True
                except Exception as error:  # whoever started the work shows it
                    self.error = error
                self.running = False
                try:
                    if done is not None:
                        done()
                except Exception as error:  # the work itself went as it went
                    self.error = self.error or error

            self._thread = threading.Thread(target=run, name="dhaps", daemon=True)
            self._thread.start()
            return True

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the work, at most for so many seconds."""
        if self._thread is not None:
            self._thread.join(timeout)


def _end_all() -> None:
    """Have all work stop at its next report and wait for it: what torch returns to after the end, aborts."""
    _OVER.set()
    for job in list(_JOBS):
        with job._lock:  # a start under way comes to its end
            pass
        job.join()


# An atexit function is called too late, when no pool takes work any more.
threading._register_atexit(_end_all)  # type: ignore[attr-defined]
