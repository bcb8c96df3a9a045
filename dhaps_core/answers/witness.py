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

from dhaps_core.files import replace_text

__all__ = ["Testimony", "read_witness", "witness_path", "write_witness"]

_PLAINLY = getattr(os, "O_NONBLOCK", 0) | getattr(
    os, "O_NOFOLLOW", 0
)  # never wait for a pipe, follow no link
_FORM = re.compile(rb" *([0-9]{1,19}) ([0-9a-f]{32})\n")


class Testimony(NamedTuple):
    """Number of rows, and the seal of the last of them (zeros if there is none)."""

    rows: int
    seal: str


def witness_path(store: Path) -> Path:
    """The witness of a store."""
    return store.with_name(f"{store.name}.rows")


def read_witness(store: Path) -> Testimony | None:
    """What the witness of a store says; None without one.

    Raises:
        ValueError: it is not a witness.
        OSError: it cannot be read.
    """
    try:
        handle = os.open(witness_path(store), os.O_RDONLY | _PLAINLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = os.read(handle, 100) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
    found = _FORM.fullmatch(content)
    if found is None:
        raise ValueError(f"it must hold one line, a number of rows and a seal; got {content!r}")
    return Testimony(int(found[1]), found[2].decode())


def write_witness(store: Path, now: Testimony) -> None:
    """Write the witness of a store.

    A witness that exists is overwritten in place by as many bytes in one call, which a kill cannot halve; the
    disk takes them when it likes, as a witness may be behind.

    Raises:
        OSError: it cannot be written.
    """
    path = witness_path(store)
    line = f"{now.rows:19} {now.seal}\n"
    try:
        handle = os.open(path, os.O_WRONLY | _PLAINLY)
    except FileNotFoundError:
        replace_text(path, line)
        return
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)
