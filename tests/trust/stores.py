"""A label store that is locked, cut, bit-flipped, newer, without its log, or a stranger's."""

import atexit
import os
import shutil
import sqlite3
import tempfile
import time
from functools import cache
from pathlib import Path

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.store import LabelStore

from .case import Attack, Case, Hang

__all__ = ["ATTACK"]

NAME = "labels.sqlite"
COPY = (
    "INSERT INTO log SELECT NEW.id + 1, kind, keys, '[\"evil\"]', flipped, who, seconds, at, question, "
    "target FROM log WHERE id = NEW.id AND kind = 'class'"
)


@cache
def sound() -> dict[str, Path]:
    """A store closed, and one copied with its -wal file, in folders of their own."""
    base = Path(tempfile.mkdtemp(prefix="trust-store-"))
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    closed, running = base / "closed", base / "running"
    closed.mkdir()
    with LabelStore(closed / NAME) as store:
        for i in range(30):
            key, name = f"picture {i}.jpg", ["cat", "dog", 7][i % 3]
            store.add("class", (key,), name, who="anna", seconds=1.5, question=f"1.{i}")
            word = ["same", "different", "unsure"][i % 3]
            store.add("pair", (f"a{i}", f"b{i}"), word, who="bert", seconds=2.0)
        store.undo(who="anna")
        store.redo(who="anna")
        store.undo(who="bert")
        store.revise(1, "horse", who="anna", seconds=1.0)
        store.retract(3, who="anna")
        shutil.copytree(closed, running)
    return {"closed": closed, "running": running}


def _told(path: Path) -> list:
    with LabelStore(path, busy_seconds=0.2) as store:
        mark = store.watermark()
        return [store.answers(), [store.answers(upto) for upto in range(0, mark, 7)], mark]


def cases(short: bool) -> list[str]:
    special = ["locked-exclusive", "locked-writing", "newer", "logless", "other-columns", "view",
               "trigger-insert",
               "trigger-temp", "index-expression", "generated", "stranger", "unknown-kind",
               "own-application-id",
               "closed-and-replaced"]  # fmt: skip
    files = [f"{kind}/{path.name}" for kind, folder in sound().items() for path in sorted(folder.iterdir())]
    changes = [f"cuts-0-{name}" for name in files]
    changes += [f"flips-{i}-{name}" for name in files for i in range(1 if short else 8)]
    return [*special, *changes]


def play(case: Case) -> None:
    how, _, rest = case.name.partition("-")
    if how == "cuts":
        _many(case, *rest.partition("-")[2].split("/"), 20, _cut)
    elif how == "flips":
        _many(case, *rest.partition("-")[2].split("/"), 40 if case.short else 70, _flipped)
    else:
        _special(case, case.name)


def _flipped(data: bytes, draws) -> bytes:
    at = draws.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << draws.randrange(8)]) + data[at + 1 :]


def _cut(data: bytes, draws) -> bytes:
    return data[: draws.choice((0, 1, 16, 100, 512, 4096, len(data) - 1, draws.randrange(len(data))))]


def _many(case: Case, kind: str, name: str, count: int, change) -> None:
    """Changes of the file's bytes: an error, or the same answers at every moment; never others."""
    expected = _expected(case, kind)
    for i, draws in case.each(count):
        folder = case.folder / "changed"
        shutil.copytree(sound()[kind], folder)
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(change(data, draws))
        case.tried += 1
        try:
            with case.within(20):
                if _told(folder / NAME) != expected:
                    case.fault(f"other answers without a word, after a change of {name} ({kind})", i)
        except StoreError as error:
            if NAME not in str(error):
                case.fault(f"does not name the file: {error}", i)
        except (Exception, Hang) as error:
            case.fault(f"raw {type(error).__name__}: {error}", i)
        shutil.rmtree(folder)


def _expected(case: Case, kind: str) -> list:
    folder = case.folder / "expected"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(sound()[kind], folder)
    return _told(folder / NAME)


def _special(case: Case, how: str) -> None:
    folder = case.folder / "store"
    shutil.copytree(sound()["closed"], folder)
    path, before = folder / NAME, _expected(case, "closed")
    case.tried += 1
    if how.startswith("locked"):
        _locked(case, path, how)
        case.require(_told(path) == before, "unlocked it tells something else")
        return
    if how == "closed-and-replaced":
        store = LabelStore(path)
        os.replace(shutil.copy(path, folder / "other"), path)
        _refused(
            case,
            lambda: store.add("class", ("x",), "a", who="anna", seconds=0),
            "an answer into a replaced file",
        )
        return
    statements = {
        "newer": ["PRAGMA user_version = 99"],
        "logless": ["DROP TABLE log"],
        "other-columns": ["DROP TABLE log", "CREATE TABLE log (id INTEGER PRIMARY KEY, kind TEXT)"],
        "view": ["ALTER TABLE log RENAME TO kept", "CREATE VIEW log AS SELECT * FROM kept WHERE id < 3"],
        "trigger-insert": [f"CREATE TRIGGER evil AFTER INSERT ON log BEGIN {COPY}; END"],
        "trigger-temp": ["CREATE TABLE also (x)",
                         "CREATE TRIGGER evil AFTER INSERT ON log BEGIN INSERT INTO also VALUES (1); END"],
        "index-expression": ["CREATE INDEX evil ON log (abs(id))"],
        "generated": ["ALTER TABLE log ADD COLUMN evil TEXT AS (lower(kind))"],
        "stranger": ["DROP TABLE log", "CREATE TABLE people (name)", "PRAGMA application_id = 0",
                     "PRAGMA user_version = 0"],
        "unknown-kind": ["INSERT INTO log (id, kind, who, at) SELECT max(id) + 1, 'praise', 'a', 1 FROM log"],
        "own-application-id": ["PRAGMA application_id = 7"],
    }[how]  # fmt: skip
    database = sqlite3.connect(path)
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        if how in ("logless", "other-columns", "view", "stranger"):
            database.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()

    def use() -> None:
        with LabelStore(path, busy_seconds=0.2) as store:
            store.answers()
            store.add("class", ("a new one",), "cat", who="carla", seconds=1.0)
            store.undo(who="carla")

    _refused(case, use, f"a store with {how}")


def _locked(case: Case, path: Path, how: str) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    if how == "locked-exclusive":
        other.execute("PRAGMA locking_mode = exclusive")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("INSERT INTO log (id, kind, who, at) VALUES (900, 'undo', 'x', 1.0)")
    started = time.monotonic()

    def use() -> None:
        with LabelStore(path, busy_seconds=0.3) as store:
            store.add("class", ("a new one",), "cat", who="carla", seconds=1.0)

    _refused(case, use, "a locked store")
    case.require(time.monotonic() - started < 10, "it waits longer than its busy time")
    other.execute("ROLLBACK")
    other.close()


def _refused(case: Case, use, what: str) -> None:
    try:
        with case.within(20):
            use()
    except StoreError as error:
        case.require(NAME in str(error), f"{what}: the error does not name the file: {error}")
        return
    except (Exception, Hang) as error:
        case.require(False, f"{what}: raw {type(error).__name__}: {error}")
    case.require(False, f"{what} must be refused; it was taken")


ATTACK = Attack(
    name="stores",
    promise="A label store never tells other answers than were given: what is damaged, newer, locked, a "
    "stranger's or replaced is refused by name",
    how="random bit flips and cuts of every file it has, reading every answer as of many moments; "
    "locks held by another connection; a newer version, a missing or different table, a view in its place, a "
    "stranger's triggers, index and columns, rows of unknown kinds",
    found="Before: 10 to 20 % of bit flips changed an answer unseen, a -wal file cut short lost the "
    "newest answers, rows of unknown kinds were swallowed, a stranger's triggers ran. Now "
    "each row is sealed upon those before it, a witness beside the store tells how many there "
    "were, the schema is checked, and one file is the whole truth",
    unit="stores",
    cases=cases,
    play=play,
    prepare=sound,
    limit=120,
)
