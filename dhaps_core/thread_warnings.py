"""Warnings of a library caught apart for each thread, so that parallel readers know whose file is odd."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["ThreadWarnings"]


class ThreadWarnings:
    """Recorder that hands each thread the warnings it caused.

    ``warnings.catch_warnings`` swaps state of the whole process: threads that enter and leave it out of order
    leave it swapped. So the first recording thread enters it, the last one leaves it, and a thread-local list
    sorts what comes in between. Warnings in threads that do not record go where they went before.

    Args:
        modules: regular expression for the modules whose warnings are always issued while anybody records.

    Example:
        >>> with ThreadWarnings(__name__).record() as caught:
        ...     warnings.warn("odd")
        >>> [str(warning) for warning in caught]
        ['odd']
    """

    def __init__(self, modules: str) -> None:
        self._modules = modules
        self._lock = threading.Lock()
        self._recording = 0
        self._local = threading.local()

    @contextmanager
    def record(self) -> Iterator[list[Warning]]:
        """The warnings of this thread inside the ``with`` block, in order."""
        caught: list[Warning] = []
        with self._lock:
            if self._recording == 0:
                self._swap()
            self._recording += 1
        self._local.caught = caught
        try:
            yield caught
        finally:
            self._local.caught = None
            with self._lock:
                self._recording -= 1
                if self._recording == 0:
                    self._swapped.__exit__(None, None, None)

    def _swap(self) -> None:
        self._swapped = warnings.catch_warnings()
        self._swapped.__enter__()
        self._outer = warnings.showwarning
        warnings.filterwarnings("always", module=self._modules)
        warnings.showwarning = self._show

    def _show(self, message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        caught = getattr(self._local, "caught", None)
        if caught is None:
            self._outer(message, category, *where, **more)
        else:
            caught.append(message if isinstance(message, Warning) else category(message))
