"""Log file: rows of a history in one SQLite file, to which rows are only ever appended.

Each row is one short `BEGIN IMMEDIATE` transaction with a rollback journal: it is on the disk when the call
returns, other processes see it at once, and between transactions the one file is the whole truth, so that it
can be copied, and read where nothing can be written. Each row carries a seal upon all rows before it, and a
witness beside the file tells how many there were: what is altered, lost or brought back is noticed.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.history import History, Row
from dhaps_core.answers.sqlite_rows import UNSEALED, Columns, decode, encode, seal
from dhaps_core.answers.sqlite_schema import APPLICATION_ID, MIGRATIONS, misfit, version_of
from dhaps_core.answers.witness import Testimony, read_witness, witness_path, write_witness

__all__ = ["LogFile"]

_WINDOW = 1000  # rows read at a time
_PAUSE = 0.002  # seconds between two tries to be the one that writes
_LONGEST_WAIT = 1_000_000  # seconds; SQLite counts milliseconds in 32 bits
_LARGEST_ROW = 16 * 2**20
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
_REASONS = {
    sqlite3.SQLITE_BUSY: "is locked by another process. Wait for it, or close it, and answer again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened. Its folder must exist and be writable",
    sqlite3.SQLITE_CORRUPT: "is damaged. Restore a copy of the file",
    sqlite3.SQLITE_FULL: "could not grow: the disk is full. Free some space and answer again",
    sqlite3.SQLITE_IOERR: "could not be read or written. Check the disk it lies on",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database. Give another path, or restore a copy of the file",
    sqlite3.SQLITE_READONLY_ROLLBACK: "was left in the middle of a write. Open it once without read_only",
    sqlite3.SQLITE_READONLY: "cannot be written. Make the file and its folder writable",
    sqlite3.SQLITE_TOOBIG: f"is damaged: a row has more than {_LARGEST_ROW} bytes. Restore a copy of it",
}


class LogFile:
    """The rows in one file. Threads take turns; a forked process opens the file anew.

    Args:
        path: the file.
        busy_seconds: how long to wait for another writer before giving up, at most 1,000,000.
        create: whether to make the file if it is absent or empty, in a folder that exists.
        read_only: whether nothing may be written, the witness included.

    Raises:
        StoreError: the file cannot be opened, lacks rows, is damaged, is something else, or is newer; or
            nobody can wait so long.
    """

    def __init__(self, path: Path, busy_seconds: float, *, create: bool, read_only: bool) -> None:
        told: object = busy_seconds
        if type(told) is bool or not isinstance(told, Real) or not 0 <= busy_seconds <= _LONGEST_WAIT:
            rule = f"busy_seconds must be a number from 0 to {_LONGEST_WAIT:,}"
            raise StoreError(f"{rule}; got {busy_seconds!r:.80}. Wait for less.")
        self.path = path.absolute()
        self._busy_seconds = float(busy_seconds)
        self._create, self._read_only = create and not read_only, read_only
        self._lock = threading.RLock()
        self._appended: list[Testimony] = []  # in the transaction in progress
        self._latest = Testimony(0, UNSEALED)  # of the last one
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
        if self._read_only:
            raise StoreError(
                f"Label store {self.path} was opened to be read only. Open it without read_only to answer."
            )
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
                self._witness(self._latest)

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
                raise self._damaged(f"row {rows} is no longer the row that it was while this store is open")
        last = self.last() if upto is None else upto
        while history.seen < last:
            start = history.seen
            for *columns, stored in self._rows(start, min(start + _WINDOW, last)):
                self._take(history, tuple(columns), stored)
            if history.seen == start:
                raise self._damaged(f"row {start + 1} is missing", sound=start)
        return history

    def vouch(self, history: History) -> None:
        """Have the witness know of the rows of a history, unless it knows of more."""
        told = self._told()
        if told is None or told.rows < history.seen:
            self._witness(Testimony(history.seen, history.seal or UNSEALED))

    def append(self, row: Row) -> None:
        """Append one row; inside `writing` only."""
        columns = encode(row, time.time() if row.answer is None or row.answer.at is None else row.answer.at)
        before = self.seal_of(row.id - 1)
        if before is None:
            raise self._damaged(f"row {row.id - 1} is missing")
        sealed = seal(before, columns)
        self._db.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", columns)
        self._db.execute("INSERT INTO seals VALUES (?, ?)", (row.id, sealed))
        self._appended.append(Testimony(row.id, sealed))

    # --- rows ----------------------------------------------------------------------------------------------

    def _rows(self, after: int, last: int) -> list[Columns]:
        """Rows of some ids in order, each with its seal; None for what a table lacks."""
        query = """
            SELECT ids.id, kind, keys, value, flipped, who, seconds, at, question, target, seal FROM (
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
            raise self._damaged(f"row {history.seen + 1}: {told}", sound=history.seen) from error
        history.seal = sealed

    def seal_of(self, row_id: int) -> str | None:
        """Seal of a row, upon all rows before it; None if there is no such row."""
        if not row_id:
            return UNSEALED
        found = self._db.execute("SELECT seal FROM seals WHERE id = ?", (row_id,)).fetchone()
        return None if found is None else str(found[0])

    # --- opening -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        told = self._told()
        self._check_place(told)
        with self._plain_errors():
            self._db = self._connect()
            self._pid = os.getpid()
            self.close = weakref.finalize(self, _close, self._db, self._pid)
            try:
                self._prepare(told)
                self._compare(told)
            except BaseException:
                self.close()
                raise
            self._file = _identity(self.path)

    def _told(self) -> Testimony | None:
        """What the witness says. It is read before the store, which can only have grown meanwhile."""
        try:
            return read_witness(self.path)
        except (ValueError, OSError) as error:
            raise StoreError(
                f"{witness_path(self.path)} must say how many rows {self.path.name} holds; {error}. If the "
                "answers are all there, delete that file: it is made anew."
            ) from error

    def _check_place(self, told: Testimony | None) -> None:
        """Refuse what is no file of its own (SQLite would wait for a pipe), and what is empty and was not."""
        journal, *others = (self.path.with_name(self.path.name + end) for end in ("-journal", "-wal", "-shm"))
        for path in (self.path, journal, *others):
            if _kind(path) not in (None, stat.S_IFREG):
                rule = "must be a file of its own, neither a folder nor a link nor a device"
                raise StoreError(f"{path} {rule}. Give the path of the file, or move what is there.")
        if _names_another(journal):
            raise StoreError(
                f"{journal} must be a journal of the label store alone; it names another file, which SQLite "
                "might remove. dhaps wrote no such journal: delete it."
            )
        if not _size(self.path):
            self._check_new(told, "missing" if _kind(self.path) is None else "empty")

    def _check_new(self, told: Testimony | None, found: str) -> None:
        if told is not None and told.rows:
            raise self._rows_gone(told, f"it is {found}")
        if not self._create:
            raise StoreError(f"Label store {self.path} must be there; it is {found}. Restore a copy of it.")

    def _connect(self) -> sqlite3.Connection:
        if not self._read_only:
            return self._sqlite("rwc" if self._create else "rw")
        # A store of version 1 needs files beside it even to be read. Nobody may be writing it now.
        source = self._sqlite("ro&immutable=1")
        if version_of(source) != (APPLICATION_ID, 1):
            source.close()
            return self._sqlite("ro")
        try:
            for end in ("-wal", "-journal"):
                beside = self.path.with_name(self.path.name + end)
                if beside.exists() and beside.stat().st_size:
                    raise StoreError(
                        f"Label store {self.path} is in use by an older dhaps, or was left by it in a write "
                        f"({beside.name}). Open it once without read_only."
                    )
            db = self._set_up(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
            source.backup(db)
        finally:
            source.close()
        return db

    def _sqlite(self, mode: str) -> sqlite3.Connection:
        return self._set_up(
            sqlite3.connect(
                f"{self.path.as_uri()}?mode={mode}",
                uri=True,
                timeout=self._busy_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
        )

    @staticmethod
    def _set_up(db: sqlite3.Connection) -> sqlite3.Connection:
        db.text_factory = _text
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_ROW)
        db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        db.execute("PRAGMA trusted_schema = off")
        # "extra" has the end of a transaction on the disk as well, which is the removal of its journal.
        db.execute("PRAGMA synchronous = extra")
        return db

    def _prepare(self, told: Testimony | None) -> None:
        """Check that the file is a sound label store and bring its schema up to date."""
        self._db.execute("BEGIN")  # one moment for all that is read
        version = self._version()
        self._db.execute("COMMIT")
        if not version:
            self._check_new(told, "without a table")
        # What is only read may be damaged behind the rows that are wanted, and their seals are checked.
        if version and not self._read_only and (found := self._pragma("quick_check(1)")) != "ok":
            raise self._damaged(found)
        if not self._read_only and self._pragma("journal_mode") == "wal":  # of version 1
            self._insist("PRAGMA journal_mode = delete")
        if version < len(MIGRATIONS):
            self._insist("BEGIN IMMEDIATE")
            # The version is read again: another process may have been here first.
            for migrate in MIGRATIONS[self._version() :]:
                migrate(self._db)
            if not self._read_only:
                self.follow(History())  # what is no history stays as it was
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            self._db.execute("COMMIT")

    def _version(self) -> int:
        """Version of the schema that the file has, 0 for a new file.

        Raises:
            StoreError: it is no label store, a newer one, or one with other tables.
        """
        application, version = version_of(self._db)
        if not (application or version or misfit(self._db, 0)):
            return 0
        if application != APPLICATION_ID:
            raise StoreError(
                f"{self.path} must be a label store; got another SQLite database. Give another path."
            )
        if version > len(MIGRATIONS):
            raise StoreError(
                f"Label store {self.path} must have schema {len(MIGRATIONS)} or older; got {version}. "
                "It was written by a newer dhaps: update this one."
            )
        if fault := misfit(self._db, version):
            raise self._damaged(fault)
        return version

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

    def _compare(self, told: Testimony | None) -> None:
        """Refuse a store that lacks rows which it had."""
        first, last = self._db.execute("SELECT min(id) FROM log").fetchone()[0], self.last()
        if first is not None and first < 1:
            raise self._damaged(f"row {first}: ids count from 1")
        if told is not None and told.rows > last:
            raise self._rows_gone(told, f"it holds {last}")
        if told is not None and told.seal != self.seal_of(told.rows):
            raise StoreError(
                f"Label store {self.path} must hold the rows that {witness_path(self.path).name} beside it "
                f"was written for; row {told.rows} is another one. Restore the store that belongs here, or "
                f"delete {witness_path(self.path).name} to go on with this one."
            )

    def _witness(self, now: Testimony) -> None:
        try:
            write_witness(self.path, now)
        except OSError as error:
            raise StoreError(
                f"{witness_path(self.path)} must be writable; got {error}. The {now.rows} rows of the label "
                "store are stored all the same. Make it writable."
            ) from error

    def _rows_gone(self, told: Testimony, found: str) -> StoreError:
        witness = witness_path(self.path).name
        return StoreError(
            f"Label store {self.path} must hold {told.rows} rows of answers, as {witness} beside it tells; "
            f"{found}. Restore a copy of the store, with its -wal file if there is one; or, to go on without "
            f"those answers, delete {witness}."
        )

    def _pragma(self, name: str) -> Any:
        return self._db.execute(f"PRAGMA {name}").fetchone()[0]

    def _damaged(self, found: str, *, sound: int = 0) -> StoreError:
        rest = f" The {sound} rows before it are sound: open it read_only for answers(upto={sound})."
        return StoreError(
            f"Label store {self.path} {_REASONS[sqlite3.SQLITE_CORRUPT]} ({found}).{rest if sound else ''}"
        )

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # of SQLite's own message, which quotes the damage
            raise self._damaged(error.object.decode("utf-8", "backslashreplace")) from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            reason = _REASONS.get(code) or _REASONS.get(code & 0xFF, "failed")
            raise StoreError(f"Label store {self.path} {reason} ({error}). Nothing was written.") from error


def _text(content: bytes) -> str:
    """Text that is not UTF-8 is kept from raising here, where no row could be named: its seal is wrong."""
    return content.decode("utf-8", "surrogateescape")


def _kind(path: Path) -> int | None:
    """File type of a path itself, not of what it links to; None if nothing is there."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreError(f"Label store {path} cannot be opened ({error}). Check the path.") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _names_another(journal: Path) -> bool:
    """Whether a journal ends with the name of a super-journal, by which SQLite writes several files."""
    try:
        with journal.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_SUPER_JOURNAL)))
            return file.read() == _SUPER_JOURNAL
    except FileNotFoundError:
        return False


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _close(db: sqlite3.Connection, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must leave its parent's connection alone
        db.close()
