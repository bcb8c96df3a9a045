"""Witness: a small file beside a label store that says how many rows the store held, and the last one's seal.

A store that is emptied, replaced or brought back from an old copy cannot tell so itself. The witness is
written after each commit, so a killed process leaves it behind the store, never ahead of it.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from dhaps_core.answers.answer import StoreError
from dhaps_core.files import replace_text

__all__ = ["Testimony", "Witness"]

# Never wait for a pipe, follow no link.
_PLAINLY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_FORM = re.compile(rb" *([0-9]{1,19}) ([0-9a-f]{32})\n")


class Testimony(NamedTuple):
    """Number of rows, and the seal of the last of them (zeros if there is none)."""

    rows: int
    seal: str


class Witness:
    """The witness of a store, by the path of the store; it lies beside it."""

    def __init__(self, store: Path) -> None:
        self.store, self.path = store, store.with_name(f"{store.name}.rows")

    def told(self) -> Testimony | None:
        """What it says; None without one.

        Raises:
            StoreError: it is not a witness, or cannot be read.
        """
        try:
            handle = os.open(self.path, os.O_RDONLY | _PLAINLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise self._unreadable(str(error)) from error
        try:
            content = os.read(handle, 100) if stat.S_ISREG(os.fstat(handle).st_mode) else b"no file"
        finally:
            os.close(handle)
        if (found := _FORM.fullmatch(content)) is None:
            raise self._unreadable(repr(content))
        return Testimony(int(found[1]), found[2].decode())

    def tell(self, now: Testimony) -> None:
        """Write it.

        A witness that exists is overwritten in place by as many bytes in one call, which a kill cannot halve;
        the disk takes them when it likes, as a witness may be behind.

        Raises:
            StoreError: it cannot be written.
        """
        line = f"{now.rows:19} {now.seal}\n"
        try:
            try:
                handle = os.open(self.path, os.O_WRONLY | _PLAINLY)
            except FileNotFoundError:
                replace_text(self.path, line)
                return
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            rest = f"The {now.rows} rows of the label store are stored all the same. Make it writable."
            raise StoreError(f"{self.path} must be writable; got {error}. {rest}") from error

    def rows_gone(self, told: Testimony, found: str) -> StoreError:
        """The error about a store that lacks rows which it had."""
        name = self.path.name
        return StoreError(
            f"Label store {self.store} must hold {told.rows} rows of answers, as {name} beside it tells; "
            f"{found}. Restore a copy of the store, with its -wal file if there is one; or, to go on without "
            f"those answers, delete {name}."
        )

    def other_rows(self, told: Testimony) -> StoreError:
        """The error about a store that the witness was not written for."""
        name = self.path.name
        return StoreError(
            f"Label store {self.store} must hold the rows that {name} beside it was written for; row "
            f"{told.rows} is another one. Restore the store that belongs here, or delete {name} to go on "
            "with this one."
        )

    def _unreadable(self, got: str) -> StoreError:
        rule = f"{self.path} must say how many rows {self.store.name} holds, in one line with a seal"
        way = "If the answers are all there, delete that file: it is made anew."
        return StoreError(f"{rule}; got {got}. {way}")
