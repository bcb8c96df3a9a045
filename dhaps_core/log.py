"""Log file: rows of a history in one SQLite file, to which rows are only ever appended.

Each row is one short `BEGIN IMMEDIATE` transaction in write-ahead mode: it is on the disk when the call
returns, and other processes see it at once. The file must lie on a local disk, as write-ahead mode needs
memory that its users share.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dhaps_core.answers import Answer, StoreError
from dhaps_core.history import History, Row

__all__ = ["LogFile"]

_APPLICATION_ID = 0x64686170  # "dhap": tells a label store from any other SQLite file
_LAST = 2**63 - 1
_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another process. Wait for it, or close it, and answer again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Its folder must exist and be writable",
    sqlite3.SQLITE_CORRUPT: "is damaged. Restore a copy of the file, with its -wal file if there is one",
    sqlite3.SQLITE_FULL: "could not grow: the disk is full. Free some space and answer again",
    sqlite3.SQLITE_IOERR: "could not be read or written. Check the disk it lies on",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database. Give another path, or restore a copy of the file",
    sqlite3.SQLITE_READONLY: "cannot be written. Make the file and its folder writable",
}


class LogFile:
    """The rows in one file. Threads take turns; a forked process opens the file anew.

    Args:
        path: the file; made if it is absent, in a folder that exists.
        busy_seconds: how long to wait for another writer before giving up.

    Raises:
        StoreError: the file cannot be opened, is damaged, is something else, or is of a newer version.
    """

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self.path = path.absolute()
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._open()

    @contextmanager
    def reading(self) -> Iterator[LogFile]:
        """Keep other threads out, and name what SQLite reports.

        Raises:
            StoreError: the file is closed, gone, locked, full or damaged.
        """
        with self._lock:
            if os.getpid() != self._pid:  # SQLite connections do not survive a fork
                self._open()
            if not self.close.alive:
                raise StoreError(
                    f"Label store {self.path} must be open; it was closed. Make a new LabelStore."
                )
            if not self.path.exists() or _identity(self.path) != self._file:
                raise StoreError(
                    f"Label store {self.path} must stay in place while open; it was moved, deleted or "
                    "replaced. Put it back, or make a new LabelStore."
                )
            with self._plain_errors():
                yield self

    @contextmanager
    def writing(self) -> Iterator[LogFile]:
        """As `reading`, and keep every other writer out; what was appended is dropped if the block raises."""
        with self.reading():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def follow(self, history: History, upto: int | None = None) -> History:
        """The history, moved forward to the last row of the file, or to row `upto`.

        Raises:
            StoreError: the rows do not make a history.
        """
        query = "SELECT * FROM log WHERE id > ? AND id <= ? ORDER BY id"
        try:
            for columns in self._db.execute(query, (history.seen, _LAST if upto is None else upto)):
                history.take(_decode(columns))
        except (LookupError, TypeError, ValueError, StoreError) as error:
            raise self._damaged(repr(error)) from error
        return history

    def append(self, row: Row) -> None:
        """Append one row; inside `writing` only."""
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", _encode(row))

    def _open(self) -> None:
        with self._plain_errors():
            self._db = sqlite3.connect(
                self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
            )
            self._pid = os.getpid()
            self.close = weakref.finalize(self, _close, self._db, self._pid)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise
            self._file = _identity(self.path)

    def _prepare(self) -> None:
        """Check that the file is a sound label store and bring its schema up to date."""
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and self._pragma("application_id") != _APPLICATION_ID:
            raise StoreError(
                f"{self.path} must be a label store; got another SQLite database. Give another path."
            )
        if (version := self._pragma("user_version")) > len(_MIGRATIONS):
            raise StoreError(
                f"Label store {self.path} must have schema {len(_MIGRATIONS)} or older; got {version}. "
                "It was written by a newer dhaps: update this one."
            )
        if (found := self._pragma("quick_check(1)")) != "ok":
            raise self._damaged(found)
        self._write_ahead()
        self._db.execute("PRAGMA synchronous = full")
        if version < len(_MIGRATIONS):
            self._db.execute("BEGIN IMMEDIATE")
            # The version is read again: another process may have been here first.
            for migrate in _MIGRATIONS[self._pragma("user_version") :]:
                migrate(self._db)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
            self._db.execute("COMMIT")

    def _write_ahead(self) -> None:
        """Switch the file to write-ahead mode. SQLite does not wait for another process doing the same."""
        patience = time.monotonic() + self._busy_seconds
        while self._pragma("journal_mode") != "wal":
            try:
                if self._pragma("journal_mode = wal") != "wal":
                    rule = "must lie on a disk that can do write-ahead logging"
                    raise StoreError(f"Label store {self.path} {rule}. Move it to a local disk.")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                    raise
                time.sleep(0.01)

    def _pragma(self, name: str) -> Any:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    def _damaged(self, found: str) -> StoreError:
        return StoreError(f"Label store {self.path} {_REASONS[sqlite3.SQLITE_CORRUPT]} ({found}).")

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            reason = _REASONS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "failed")
            raise StoreError(f"Label store {self.path} {reason} ({error}). Nothing was written.") from error


def _create_log(db: sqlite3.Connection) -> None:
    """Schema 1: one table of rows, which SQLite itself keeps from being changed."""
    db.execute(
        """CREATE TABLE log (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, keys TEXT, value TEXT, flipped INTEGER, who TEXT,
            seconds REAL, at REAL NOT NULL, question TEXT, target INTEGER REFERENCES log (id))"""
    )
    for change in ("UPDATE", "DELETE"):
        refuse = "SELECT RAISE(ABORT, 'the log only grows')"
        db.execute(f"CREATE TRIGGER no_{change} BEFORE {change} ON log BEGIN {refuse}; END")


_MIGRATIONS = (_create_log,)


def _encode(row: Row) -> tuple[object, ...]:
    given = row.answer
    if given is None:
        return (row.id, row.kind, None, None, None, row.who, None, time.time(), None, row.target)
    # JSON keeps 1 apart from "1", and holds file names that are not valid Unicode.
    keys, value, question = (json.dumps(field) for field in (given.keys, given.value, given.question))
    return (
        row.id,
        given.kind,
        keys,
        value,
        given.flipped,
        row.who,
        given.seconds,
        given.at,
        question,
        row.target,
    )


def _decode(columns: tuple[Any, ...]) -> Row:
    row_id, kind, keys, value, flipped, who, seconds, at, question, target = columns
    if kind not in ("class", "pair"):
        return Row(row_id, kind, who, None, target)
    shown, value, question = (json.loads(field) for field in (keys, value, question))
    if flipped:
        shown.reverse()
    answer = Answer.given(kind, shown, value, who=who, seconds=seconds, id=row_id, at=at, question=question)
    return Row(row_id, "answer", who, answer, target)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _close(db: sqlite3.Connection, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must leave its parent's connection alone
        db.close()
