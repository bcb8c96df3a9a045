"""One owner of a folder at a time, among all threads and processes that would change it.

The lock is the operating system's, so a process that dies lets go of it. Beside it ``owner.json`` says who
has it, for the sentence that the next one reads; nothing depends on that file.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from dhaps_core.files import replace_text

__all__ = ["OWNER_FILES", "Owner", "RunInUse", "RunReadOnly"]

LOCK, WHO = OWNER_FILES = ("owner.lock", "owner.json")
"""What an owner keeps in the folder."""
PATIENCE = 3.0
"""Seconds to wait for who holds a folder for milliseconds; who trains holds it longer, and is named."""


class RunInUse(RuntimeError):  # noqa: N818 - the name of the thing, as one would say it
    """Somebody else is changing the run just now, or was faster; nothing was written."""


class RunReadOnly(RuntimeError):  # noqa: N818 - the name of the thing, as one would say it
    """The run was opened to look at it, so nothing of it is changed."""


class Owner:
    """The right to change a folder: exclusive among threads and processes, and nested freely in one thread.

    Args:
        folder: that is changed.

    Example:
        >>> import tempfile
        >>> owner = Owner(Path(tempfile.mkdtemp()))
        >>> with owner.held("trains round 3"), owner.held("writes its table"):
        ...     print(sorted(path.name for path in owner.folder.iterdir()))
        ['owner.json', 'owner.lock']
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock, self._process = FileLock(folder / LOCK), os.getpid()

    @contextmanager
    def held(self, doing: str, *, patience: float | None = None) -> Iterator[None]:
        """Keep everybody else from changing the folder.

        Args:
            doing: what for, as it follows "process 7"; others read it.
            patience: seconds to wait for the one before; :data:`PATIENCE` by default.

        Raises:
            RunInUse: if somebody else has it for longer; the message says who, where and since when.
        """
        if self._process != os.getpid():  # a lock does not survive a fork
            self._lock, self._process = FileLock(self.folder / LOCK), os.getpid()
        if self._lock.is_locked:  # by this thread
            yield
            return
        try:
            self._lock.acquire(timeout=PATIENCE if patience is None else patience)
        except Timeout:
            rule = f"the run {self.folder.name} must have one owner at a time"
            raise RunInUse(f"{rule}; {self._holder()}. Wait for it, or stop it.") from None
        try:
            self._sign(doing)
            yield
        finally:
            self._lock.release()

    def _sign(self, doing: str) -> None:
        who = {
            "process": os.getpid(),
            "host": socket.gethostname(),
            "doing": doing,
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        replace_text(self.folder / WHO, json.dumps(who, ensure_ascii=False) + "\n")

    def _holder(self) -> str:
        """Who has it, in words; the file may be missing, half an owner old, or a stranger's."""
        try:
            who = json.loads((self.folder / WHO).read_text(encoding="utf-8"))
            process, host, doing, since = (who[name] for name in ("process", "host", "doing", "since"))
        except (OSError, ValueError, LookupError, TypeError):
            return "another process is at work in it"
        here = (process, host) == (os.getpid(), socket.gethostname())
        whose = " (this one: a round in the background, or another cell)" if here else ""
        return f"process {process} on {host}{whose} {doing} since {since}"
