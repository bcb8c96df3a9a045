"""Log schema: the tables of a label store by version, how they came about, and a check that a file has them.

Version 1 has the log. Version 2 adds a seal for each row, in a table of its own: the rows stay as they were
written, and a row that is lost from one table is missed by the other. Version 3 adds what the items of an
answer were (their digests), and the step that a row was taken in together with others.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache

from dhaps_core.answers.sqlite_rows import UNSEALED, seal

__all__ = ["APPLICATION_ID", "MIGRATIONS", "misfit", "version_of"]

APPLICATION_ID = 0x64686170  # "dhap": tells a label store from any other SQLite file


def version_of(db: sqlite3.Connection) -> tuple[int, int]:
    """Application id and version that a file gives."""
    application, version = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    return application, version


def misfit(db: sqlite3.Connection, version: int) -> str | None:
    """The first thing by which the tables of a file are not exactly those of a version; None if they are.

    A trigger or a view that somebody else put there would otherwise run with the next answer.
    """
    found, expected = _objects(db), _expected(version)
    for one in found:
        if one not in expected:
            return f"it holds a {one[0]} {one[1]!r} that a label store has not"
    for one in expected:
        if found.count(one) != 1:
            return f"it must hold one {one[0]} {one[1]!r}, and has {found.count(one)}"
    return None


def _objects(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    return db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()


@cache
def _expected(version: int) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(":memory:")) as db:
        for migrate in MIGRATIONS[:version]:
            migrate(db)
        return _objects(db)


def _create_log(db: sqlite3.Connection) -> None:
    db.execute(
        """CREATE TABLE log (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, keys TEXT, value TEXT, flipped INTEGER, who TEXT,
            seconds REAL, at REAL NOT NULL, question TEXT, target INTEGER REFERENCES log (id))"""
    )
    _let_grow_only(db, "log", "no")


def _create_seals(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE seals (id INTEGER PRIMARY KEY, seal TEXT NOT NULL)")
    _let_grow_only(db, "seals", "no_seal")
    last = UNSEALED
    for columns in db.execute("SELECT * FROM log ORDER BY id").fetchall():
        last = seal(last, columns)
        db.execute("INSERT INTO seals VALUES (?, ?)", (columns[0], last))


def _let_grow_only(db: sqlite3.Connection, table: str, name: str) -> None:
    for change in ("UPDATE", "DELETE"):
        refuse = "SELECT RAISE(ABORT, 'the log only grows')"
        db.execute(f"CREATE TRIGGER {name}_{change} BEFORE {change} ON {table} BEGIN {refuse}; END")


def _add_contents_and_steps(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE log ADD COLUMN contents TEXT")
    db.execute("ALTER TABLE log ADD COLUMN step INTEGER")


MIGRATIONS = (_create_log, _create_seals, _add_contents_and_steps)
