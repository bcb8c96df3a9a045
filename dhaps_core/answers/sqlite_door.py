"""Log door: a file is looked at before it is opened as a log, and what is wrong is said in one sentence."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.sqlite_schema import APPLICATION_ID, MIGRATIONS, misfit, version_of

__all__ = ["connect", "damaged", "in_words", "lacking", "schema_version"]

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


def damaged(path: Path, found: str, *, sound: int = 0) -> StoreError:
    """The error about a damaged file, of which the first so many rows are sound."""
    rest = f" The {sound} rows before it are sound: open it read_only for answers(upto={sound})."
    reason = _REASONS[sqlite3.SQLITE_CORRUPT]
    return StoreError(f"Label store {path} {reason} ({found}).{rest if sound else ''}")


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Say what SQLite reports.

    Raises:
        StoreError: in place of SQLite's own.
    """
    try:
        yield
    except UnicodeDecodeError as error:  # of SQLite's own message, which quotes the damage
        raise damaged(path, error.object.decode("utf-8", "backslashreplace")) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        reason = _REASONS.get(code) or _REASONS.get(code & 0xFF, "failed")
        raise StoreError(f"Label store {path} {reason} ({error}). Nothing was written.") from error


def lacking(path: Path) -> str | None:
    """Why a file has no content, "missing" or "empty"; None if it has some.

    Raises:
        StoreError: it, or what SQLite keeps beside it, is no file of its own (SQLite would wait for a pipe),
            or its journal names another file, by which SQLite writes several: SQLite might remove that one.
    """
    journal, *others = (path.with_name(path.name + end) for end in ("-journal", "-wal", "-shm"))
    for one in (path, journal, *others):
        try:
            plain = stat.S_ISREG(one.lstat().st_mode)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise StoreError(f"Label store {one} cannot be opened ({error}). Check the path.") from error
        if not plain:
            rule = "must be a file of its own, neither a folder nor a link nor a device"
            raise StoreError(f"{one} {rule}. Give the path of the file, or move what is there.")
    if journal.exists():
        with journal.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - len(_SUPER_JOURNAL)))
            if file.read() == _SUPER_JOURNAL:
                rule = f"{journal} must be a journal of the label store alone"
                got = "it names another file, which SQLite might remove"
                raise StoreError(f"{rule}; {got}. dhaps wrote no such journal: delete it.")
    if not path.exists():
        return "missing"
    return None if path.stat().st_size else "empty"


def connect(path: Path, busy_seconds: float, *, create: bool, read_only: bool) -> sqlite3.Connection:
    """A connection that writes nothing if it is only to read, nor runs what a stranger put into the file."""

    def opened(mode: str) -> sqlite3.Connection:
        return _opened(f"{path.as_uri()}?mode={mode}", busy_seconds)

    if not read_only:
        return opened("rwc" if create else "rw")
    # A store of an older version is brought up to date in memory (one of version 1 would need files beside it
    # even to be read). Nobody may be writing it now.
    with closing(opened("ro&immutable=1")) as source:
        application, version = version_of(source)
        if application != APPLICATION_ID or not 0 < version < len(MIGRATIONS):
            return opened("ro")
        for end in ("-wal", "-journal"):
            beside = path.with_name(path.name + end)
            if beside.exists() and beside.stat().st_size:
                use = f"is in use by an older dhaps, or was left by it in a write ({beside.name})"
                raise StoreError(f"Label store {path} {use}. Open it once without read_only.")
        copy = _opened(":memory:", busy_seconds)
        source.backup(copy)
        return copy


def _opened(uri: str, busy_seconds: float) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    # Text that is not UTF-8 is kept from raising here, where no row could be named: its seal is wrong.
    db.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_ROW)
    db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    db.execute("PRAGMA trusted_schema = off")
    # "extra" has the end of a transaction on the disk as well, which is the removal of its journal.
    db.execute("PRAGMA synchronous = extra")
    return db


def schema_version(db: sqlite3.Connection, path: Path) -> int:
    """Version of the schema that a file has, 0 for a new file.

    Raises:
        StoreError: it is no label store, a newer one, or one with other tables.
    """
    application, version = version_of(db)
    if not (application or version or misfit(db, 0)):
        return 0
    if application != APPLICATION_ID:
        raise StoreError(f"{path} must be a label store; got another SQLite database. Give another path.")
    if version > len(MIGRATIONS):
        rule = f"Label store {path} must have schema {len(MIGRATIONS)} or older"
        raise StoreError(f"{rule}; got {version}. It was written by a newer dhaps: update this one.")
    if fault := misfit(db, version):
        raise damaged(path, fault)
    return version
