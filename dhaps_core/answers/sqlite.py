"""Log file: rows of a history in one SQLite file, to which rows are only ever appended.

Each row is one short `BEGIN IMMEDIATE` transaction with a rollback journal: it is on the disk when the call
returns, other processes see it at once, and between transactions the one file is the whole truth, so that it
can be copied, and read where nothing can be written. Each row carries a seal upon all rows before it, and a
witness beside the file tells how many there were: what is altered, lost or brought back is noticed.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.history import History, Row
from dhaps_core.answers.sqlite_door import connect, damaged, in_words, lacking, schema_version
from dhaps_core.answers.sqlite_rows import UNSEALED, Columns, decode, encode, seal
from dhaps_core.answers.sqlite_schema import APPLICATION_ID, MIGRATIONS
from dhaps_core.answers.witness import Testimony, Witness
from dhaps_core.files import identity

__all__ = ["LogFile"]

_WINDOW = 1000  # rows read at a time
_PAUSE = 0.002  # seconds between two tries to be the one that writes
_LONGEST_WAIT = 1_000_000  # seconds; SQLite counts milliseconds in 32 bits


class LogFile:
    """The rows in one file. Threads take turns; a forked process opens the file anew.

    Its arguments, and what it refuses, are those of `LabelStore`.
    """

    def __init__(self, path: Path, busy_seconds: float, *, create: bool, read_only: bool) -> None:
        told: object = busy_seconds
        if type(told) is bool or not isinstance(told, Real) or not 0 <= busy_seconds <= _LONGEST_WAIT:
            rule = f"busy_seconds must be a number from 0 to {_LONGEST_WAIT:,}"
            raise StoreError(f"{rule}; got {busy_seconds!r:.80}. Wait for less.")
        self.path = path.absolute()
        self._busy_seconds = float(busy_seconds)
        self._create, self._read_only = create and not read_only, read_only
        self._witness = Witness(self.path)
        self._lock = threading.RLock()
        self._appended: list[Testimony] = []  # in the transaction in progress
        self._latest = Testimony(0, UNSEALED)  # of the last one
        self._open()

    @contextmanager
    def reading(self) -> Iterator[LogFile]:
        """Keep other threads out, and say what SQLite reports.

        Raises:
            StoreError: the file is closed, gone, locked, full or damaged.
        """
        with self._lock:
            if os.getpid() != self._pid:  # SQLite connections do not survive a fork
                self._open()
            store = f"Label store {self.path}"
            if not self.close.alive:
                raise StoreError(f"{store} must be open; it was closed. Make a new LabelStore.")
            if identity(self.path) != self._file:
                rule = f"{store} must stay in place while open; it was moved, deleted or replaced"
                raise StoreError(f"{rule}. Put it back, or make a new LabelStore.")
            with in_words(self.path):
                yield self

    @contextmanager
    def writing(self) -> Iterator[LogFile]:
        """As `reading`, and keep every other writer out; what was appended is dropped if the block raises."""
        if self._read_only:
            rule = f"Label store {self.path} was opened to be read only"
            raise StoreError(f"{rule}. Open it without read_only to answer.")
        with self.reading():
            self._insist("BEGIN IMMEDIATE")
            self._appended.clear()
            try:
                yield self
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            if self._appended:
                self._latest = self._appended[-1]
                self._witness.tell(self._latest)

    def last(self) -> int:
        """Id of the last row that either table knows of."""
        tables = "(SELECT coalesce(max(id), 0) FROM log), (SELECT coalesce(max(id), 0) FROM seals)"
        return int(max(self._db.execute(f"SELECT {tables}").fetchone()))

    def follow(self, history: History, upto: int | None = None) -> History:
        """The history, moved forward to the last row of the file, or to row `upto`.

        Raises:
            StoreError: the rows do not make a history, or are not those that the seals were made for.
        """
        for rows, known in (self._latest, (history.seen, history.seal)):
            if rows and known != self.seal_of(rows):
                found = f"row {rows} is no longer the row that it was while this store is open"
                raise damaged(self.path, found)
        last = self.last() if upto is None else upto
        while history.seen < last:
            start = history.seen
            for *columns, stored in self._rows(start, min(start + _WINDOW, last)):
                self._take(history, tuple(columns), stored)
            if history.seen == start:
                raise damaged(self.path, f"row {start + 1} is missing", sound=start)
        return history

    def vouch(self, history: History) -> None:
        """Have the witness know of the rows of a history, unless it knows of more."""
        told = self._witness.told()
        if told is None or told.rows < history.seen:
            self._witness.tell(Testimony(history.seen, history.seal or UNSEALED))

    def append(self, row: Row) -> None:
        """Append one row; inside `writing` only."""
        columns = encode(row, time.time() if row.answer is None or row.answer.at is None else row.answer.at)
        before = self.seal_of(row.id - 1)
        if before is None:
            raise damaged(self.path, f"row {row.id - 1} is missing")
        sealed = seal(before, columns)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns)
        self._db.execute("INSERT INTO seals VALUES (?, ?)", (row.id, sealed))
        self._appended.append(Testimony(row.id, sealed))

    def seal_of(self, row_id: int) -> str | None:
        """Seal of a row, upon all rows before it; None if there is no such row."""
        if not row_id:
            return UNSEALED
        found = self._db.execute("SELECT seal FROM seals WHERE id = ?", (row_id,)).fetchone()
        return None if found is None else str(found[0])

    def _rows(self, after: int, last: int) -> list[Columns]:
        """Rows of some ids in order, each with its seal; None for what a table lacks."""
        query = """
            SELECT ids.id, kind, keys, value, flipped, who, seconds, at, question, target, contents, step,
                seal FROM (
                SELECT id FROM log WHERE id > :after AND id <= :last UNION
                SELECT id FROM seals WHERE id > :after AND id <= :last
            ) AS ids LEFT JOIN log ON log.id = ids.id LEFT JOIN seals ON seals.id = ids.id ORDER BY ids.id"""
        return self._db.execute(query, {"after": after, "last": last}).fetchall()

    def _take(self, history: History, columns: Columns, stored: object) -> None:
        try:
            if columns[0] != history.seen + 1 or columns[1] is None:
                raise ValueError("it is missing")  # noqa: TRY301 - one way to name the row
            sealed = seal(history.seal or UNSEALED, columns)
            if stored != sealed:
                raise ValueError("it is not as it was written")  # noqa: TRY301
            history.take(decode(columns))
        except (LookupError, TypeError, ValueError, RecursionError, StoreError) as error:
            told = "it is about a row that does not stand so" if isinstance(error, LookupError) else error
            raise damaged(self.path, f"row {history.seen + 1}: {told}", sound=history.seen) from error
        history.seal = sealed

    def _open(self) -> None:
        told = self._witness.told()  # before the store, which can only have grown meanwhile
        if found := lacking(self.path):
            self._check_new(told, found)
        with in_words(self.path):
            self._db = connect(self.path, self._busy_seconds, create=self._create, read_only=self._read_only)
            self._pid = os.getpid()
            self.close = weakref.finalize(self, _close, self._db, self._pid)
            try:
                self._prepare(told)
                self._compare(told)
            except BaseException:
                self.close()
                raise
            self._file = identity(self.path)

    def _check_new(self, told: Testimony | None, found: str) -> None:
        """Refuse to begin a store where there was one, or must be one."""
        if told is not None and told.rows:
            raise self._witness.rows_gone(told, f"it is {found}")
        if not self._create:
            raise StoreError(f"Label store {self.path} must be there; it is {found}. Restore a copy of it.")

    def _prepare(self, told: Testimony | None) -> None:
        """Check that the file is a sound label store and bring its schema up to date."""
        self._db.execute("BEGIN")  # one moment for all that is read
        version = schema_version(self._db, self.path)
        self._db.execute("COMMIT")
        if not version:
            self._check_new(told, "without a table")
        if not self._read_only:
            # What is only read may be damaged behind the rows that are wanted, and their seals are checked.
            if version and (found := self._pragma("quick_check(1)")) != "ok":
                raise damaged(self.path, found)
            if self._pragma("journal_mode") == "wal":  # of version 1
                self._insist("PRAGMA journal_mode = delete")
        if version < len(MIGRATIONS):
            self._insist("BEGIN IMMEDIATE")
            # The version is read again: another process may have been here first.
            for migrate in MIGRATIONS[schema_version(self._db, self.path) :]:
                migrate(self._db)
            if not self._read_only:
                self.follow(History())  # what is no history stays as it was
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._db.execute("COMMIT")

    def _compare(self, told: Testimony | None) -> None:
        """Refuse a store that lacks rows which it had."""
        first, last = self._db.execute("SELECT min(id) FROM log").fetchone()[0], self.last()
        if first is not None and first < 1:
            raise damaged(self.path, f"row {first}: ids count from 1")
        if told is not None and told.rows > last:
            raise self._witness.rows_gone(told, f"it holds {last}")
        if told is not None and told.seal != self.seal_of(told.rows):
            raise self._witness.other_rows(told)

    def _insist(self, statement: str) -> None:
        """Execute a statement as soon as no other process holds the file.

        SQLite itself waits ever longer between its tries, or not at all: among busy writers one would starve.
        """
        patience = time.monotonic() + self._busy_seconds
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    self._db.execute(statement)
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                        raise
                    time.sleep(_PAUSE)
                else:
                    return
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {int(1000 * self._busy_seconds)}")

    def _pragma(self, name: str) -> str:
        return str(self._db.execute(f"PRAGMA {name}").fetchone()[0])


def _close(db: sqlite3.Connection, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must leave its parent's connection alone
        db.close()
