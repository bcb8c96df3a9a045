"""What may be wrong with a label store's files: lost, brought back, damaged, forged, in the way, or older."""

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

import dhaps_core.answers.sqlite_schema
from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.sqlite_rows import UNSEALED, seal
from dhaps_core.answers.sqlite_schema import APPLICATION_ID, MIGRATIONS
from dhaps_core.answers.store import LabelStore

INSERT = "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
PAIR = (1, "pair", '["a", "b"]', '"same"', 0, "anna", 1.0, 0.0, "null", None)


@pytest.fixture
def path(tmp_path):
    """A store of 16 answers, closed."""
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.add_all([("pair", ("a", f"b{i}"), "same", f"q{i}") for i in range(16)], who="anna")
    return tmp_path / "labels.sqlite"


def pair(store, a, b, word="same", who="anna", **more):
    return store.add("pair", (a, b), word, who=who, seconds=1.0, **more)


def witness(path):
    return path.with_name(f"{path.name}.rows")


def execute(path, *statements):
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def change(path, *statements):
    """Change rows behind the triggers' back."""
    with closing(sqlite3.connect(path)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers:
            db.execute(sql)
        db.commit()


def forge(path, rows, version=2):
    """A store of any rows, with the seals that belong to them."""
    with closing(sqlite3.connect(path)) as db:
        MIGRATIONS[0](db)
        db.executemany(INSERT, rows)
        for migrate in MIGRATIONS[1:version]:
            migrate(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {version}")
        db.commit()
    return path


# Rows that were there are missed


@pytest.mark.parametrize("loss", ["deleted", "emptied", "older copy", "no tables"])
def test_a_store_that_lost_its_rows_is_no_new_start(path, loss):
    older = path.read_bytes()
    with LabelStore(path) as store:
        pair(store, "x", "y")
    lost = {"deleted": None, "emptied": b"", "older copy": older, "no tables": b""}[loss]
    path.unlink()
    if lost is not None:
        path.write_bytes(lost)
    if loss == "no tables":
        execute(path, "CREATE TABLE x (y)", "DROP TABLE x")
    before = path.exists() and path.read_bytes()
    for create in (True, False):
        with pytest.raises(
            StoreError, match=r"must hold 17 rows .*Restore a copy .* delete labels\.sqlite\.rows"
        ):
            LabelStore(path, create=create)
    assert (path.exists() and path.read_bytes()) == before
    witness(path).unlink()  # the explicit act
    with LabelStore(path) as store:
        assert len(store.answers()) == (16 if loss == "older copy" else 0)
        assert pair(store, "p", "q") == len(store.answers())


def test_another_store_in_its_place_is_refused(path, tmp_path):
    with LabelStore(tmp_path / "other.sqlite") as other:
        for i in range(20):
            pair(other, "x", f"y{i}")
    shutil.copy(other.path, path)
    with pytest.raises(StoreError, match="row 16 is another one"):
        LabelStore(path)


def test_the_witness_follows_each_row_and_may_be_behind(path):
    old = witness(path).read_bytes()
    with LabelStore(path) as store:
        pair(store, "x", "y")
        assert int(witness(path).read_text().split()[0]) == 17
        store.undo()
        assert int(witness(path).read_text().split()[0]) == 18
    witness(path).write_bytes(old)
    with LabelStore(path) as store:
        assert store.watermark() == 18
    assert int(witness(path).read_text().split()[0]) == 18


@pytest.mark.parametrize("content", [b"", b"16", b"\xff" * 53, b"x" * 10_000])
def test_a_damaged_witness_is_named_with_the_way_out(path, content):
    witness(path).write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"labels\.sqlite\.rows must say .* delete that file"):
            LabelStore(path, read_only=read_only)
    witness(path).unlink()
    with LabelStore(path) as store:
        assert store.watermark() == 16


def test_a_witness_that_is_no_file_is_refused_and_nothing_is_written_through_it(path, tmp_path):
    other = tmp_path / "other.txt"
    other.write_bytes(witness(path).read_bytes())
    for make in (
        lambda: witness(path).symlink_to(other),
        lambda: os.mkfifo(witness(path)),
        lambda: witness(path).mkdir(),
    ):
        (witness(path).rmdir if witness(path).is_dir() else witness(path).unlink)()
        make()
        with pytest.raises(StoreError, match="delete that file"):
            LabelStore(path)


def test_a_copy_of_the_one_file_has_every_answer_while_the_store_is_open(path, tmp_path):
    with LabelStore(path) as store:
        pair(store, "x", "y")
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["labels.sqlite", "labels.sqlite.rows"]
        shutil.copy(path, tmp_path / "copy.sqlite")
    with LabelStore(tmp_path / "copy.sqlite", create=False) as copy:
        assert copy.watermark() == 17


def test_a_store_that_must_be_there_is_not_made(tmp_path):
    path = tmp_path / "labels.sqlite"
    with pytest.raises(StoreError, match="must be there; it is missing"):
        LabelStore(path, create=False)
    assert not list(tmp_path.iterdir())
    path.touch()
    with pytest.raises(StoreError, match="must be there; it is empty"):
        LabelStore(path, create=False)
    execute(path, "CREATE TABLE x (y)", "DROP TABLE x")
    with pytest.raises(StoreError, match="must be there; it is without a table"):
        LabelStore(path, create=False)
    with LabelStore(path) as store:
        assert store.watermark() == 0


def test_a_store_brought_back_in_place_while_open_is_noticed(path):
    older = path.read_bytes()
    with LabelStore(path) as store:
        pair(store, "x", "y")
        with path.open("r+b") as file:  # as cp does: the same file, other content
            file.write(older)
            file.truncate()
        with pytest.raises(StoreError, match="row 17 is no longer the row that it was"):
            pair(store, "x", "z")
        with pytest.raises(StoreError, match="row 17 is no longer"):
            store.answers()


# Only to look


def test_a_store_that_is_only_read_is_not_written(path, tmp_path):
    witness(path).unlink()
    before = path.read_bytes()
    with LabelStore(path, read_only=True) as store:
        assert len(store.answers()) == 16
        assert store.watermark() == 16
        for write in (lambda: pair(store, "x", "y"), store.undo, lambda: store.add_all([], who="anna")):
            with pytest.raises(StoreError, match="Open it without read_only to answer"):
                write()
        with LabelStore(path) as writer:
            pair(writer, "x", "y")
        assert store.watermark() == 17  # and sees what others write
    assert path.read_bytes() != before
    with pytest.raises(StoreError, match="it is missing"):
        LabelStore(tmp_path / "absent.sqlite", read_only=True)


@pytest.mark.parametrize("version", [1, 2])
def test_nothing_is_made_beside_a_store_that_is_only_read(tmp_path, version):
    path = forge(tmp_path / "labels.sqlite", [PAIR], version)
    if version == 1:
        execute(path, "PRAGMA journal_mode = wal")
    before = path.read_bytes()
    os.chmod(tmp_path, stat.S_IRUSR | stat.S_IXUSR)
    try:
        with LabelStore(path, read_only=True) as store:
            assert [answer.keys for answer in store.answers()] == [("a", "b")]
            assert [entry.name for entry in tmp_path.iterdir()] == ["labels.sqlite"]
    finally:
        os.chmod(tmp_path, stat.S_IRWXU)
    assert path.read_bytes() == before


def test_a_store_that_was_left_in_the_middle_of_a_write_goes_back_when_it_may_be_written(path, tmp_path):
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / path.name
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO seals VALUES (?, ?)", [(i, "x" * 3000) for i in range(17, 300)])
        for entry in (path, Path(f"{path}-journal")):  # as a kill would leave them
            shutil.copy(entry, copy.parent)
        db.execute("ROLLBACK")
    with pytest.raises(StoreError, match=r"left in the middle of a write\. Open it once without read_only"):
        LabelStore(copy, read_only=True)
    with LabelStore(copy) as store:
        assert store.watermark() == 16


# Older stores

OLD = [
    (1, "class", '["x"]', "[7]", 0, "anna", 1.0, 5.0, '"1.0.x"', None),
    (2, "class", '["y"]', '["7"]', 0, "anna", -0.0, 4.0, "null", None),
    (3, "class", '["z"]', '["cat\\u200b", "cat", 1, "1"]', 0, "bo", 1.0, 3.0, "null", None),
    (4, "pair", '["x", "y"]', '"same"', 1, "anna", 1.0, 2.0, "null", None),
    (5, "undo", None, None, None, "anna", None, 1.0, None, 4),
]


@pytest.mark.parametrize("read_only", [False, True])
def test_an_old_store_is_read_with_one_identity_for_a_class(tmp_path, read_only):
    path = forge(tmp_path / "labels.sqlite", OLD, version=1)
    execute(path, "PRAGMA journal_mode = wal")
    with LabelStore(path, read_only=read_only) as store:
        assert [(a.id, a.value) for a in store.answers()] == [
            (1, ("7",)),
            (2, ("7",)),
            (3, ("cat\\u200b", "cat", "1")),  # what cannot be seen is spelled out
        ]
        assert store.watermark() == 5
        assert [a.shown for a in store.answers(upto=4)][-1] == ("y", "x")
        if not read_only:
            assert store.redo(who="anna") == 5
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == (("wal" if read_only else "delete"),)
        kept = db.execute("SELECT * FROM log WHERE id <= 5").fetchall()
        assert [row[:10] for row in kept] == OLD  # as they were written


def test_a_migration_that_dies_leaves_the_old_store(tmp_path, monkeypatch):
    path = forge(tmp_path / "labels.sqlite", OLD, version=1)
    before = path.read_bytes()
    real, left = dhaps_core.answers.sqlite_schema.seal, iter(range(3))

    def dying(*arguments):
        next(left)
        return real(*arguments)

    monkeypatch.setattr(dhaps_core.answers.sqlite_schema, "seal", dying)
    with pytest.raises(StopIteration):
        LabelStore(path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    with LabelStore(path) as store:
        assert store.watermark() == 5


def test_an_old_store_that_is_open_elsewhere_is_waited_for_and_then_named(tmp_path):
    path = forge(tmp_path / "labels.sqlite", OLD, version=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = wal")
        db.execute("BEGIN")
        db.execute("SELECT * FROM log").fetchall()
        with pytest.raises(StoreError, match="is locked by another process"):
            LabelStore(path, busy_seconds=0.02)
        db.execute("INSERT INTO log SELECT 6, kind, keys, value, flipped, who, seconds, at, question, target "
                   "FROM log WHERE id = 1")  # fmt: skip
        db.execute("COMMIT")
        with pytest.raises(StoreError, match=r"in use by an older dhaps.*-wal"):
            LabelStore(path, read_only=True)


# Damage


def test_no_flipped_bit_changes_an_answer_unseen(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        given = [("pair", (f"b{i}", f"a{i}"), "same", f"q{i}") for i in range(40)]
        store.add_all([*given, *(("class", (f"c{i}",), f"k{i % 3}", f"r{i}") for i in range(20))], who="anna")
        store.undo()
        expected, mark = store.answers(), store.watermark()
    witness(path).unlink()  # the file alone tells
    content, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(250):
        at, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        try:
            with LabelStore(path, create=False) as store:
                assert (store.answers(), store.watermark()) == (expected, mark), (at, bit)
        except StoreError:
            refused += 1
        witness(path).unlink(missing_ok=True)
    assert refused > 50  # the others hit free space


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE log SET value = '\"different\"' WHERE id = 5", 5),
        ("UPDATE log SET at = at + 1e-6 WHERE id = 5", 5),
        ("UPDATE log SET who = 'bo' WHERE id = 16", 16),
        ("UPDATE log SET seconds = 1 WHERE id = 1", 1),
        ("UPDATE log SET step = NULL WHERE id = 5", 5),
        ("UPDATE log SET contents = '[]' WHERE id = 5", 5),
        ("DELETE FROM log WHERE id = 7", 7),
        ("DELETE FROM log WHERE id = 16", 16),
        ("DELETE FROM seals WHERE id = 16", 16),
        ("UPDATE log SET id = CASE id WHEN 3 THEN -4 WHEN 4 THEN 3 ELSE id END WHERE id IN (3, 4)", -4),
        ("INSERT INTO log SELECT 17, kind, keys, value, flipped, who, seconds, at, question, target, "
         "NULL, NULL FROM log WHERE id = 16", 17),
        ("INSERT INTO log SELECT 0, kind, keys, value, flipped, who, seconds, at, question, target, "
         "NULL, NULL FROM log WHERE id = 16", 0),
    ],
)  # fmt: skip
def test_a_row_that_is_not_as_it_was_written_is_named(path, statement, row):
    change(path, statement)
    with pytest.raises(
        StoreError, match=rf"is damaged.*\brow {row}\b|labels\.sqlite\.rows .*row {row} is another"
    ):
        LabelStore(path)
    witness(path).unlink()
    with pytest.raises(StoreError, match=rf"is damaged. Restore a copy of the file \(row {row}\b"):
        LabelStore(path)


def test_what_is_before_the_damage_can_be_read(path):
    change(path, "UPDATE log SET who = 'bo' WHERE id = 11")
    with pytest.raises(StoreError, match=r"open it read_only for answers\(upto=10\)"):
        LabelStore(path)
    with LabelStore(path, read_only=True) as store:
        assert len(store.answers(upto=10)) == 10
        with pytest.raises(StoreError, match="row 11: it is not as it was written"):
            store.answers()


def test_a_store_cut_anywhere_says_so(path):
    content = path.read_bytes()
    for length in {*range(1, len(content), 997), len(content) - 1, 4096, 8192, 100}:
        path.write_bytes(content[:length])
        with pytest.raises(StoreError, match=r"damaged|not a SQLite database|row"):
            LabelStore(path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ((2, "approve", None, None, None, "anna", None, 0.0, None, 1), "row 2: its kind .* 'approve'"),
        ((2, "Undo", None, None, None, "anna", None, 0.0, None, 1), "row 2: its kind .* 'Undo'"),
        ((2, "undo", None, None, None, "anna", None, 0.0, None, None), "row 2: 'undo' must be about one row"),
        ((2, "undo", None, None, None, "anna", None, 0.0, None, 2), "row 2: it is about a row that"),
        ((2, "undo", None, None, None, "anna", None, 0.0, None, -1), "row 2: it is about a row that"),
        ((2, "redo", None, None, None, "anna", None, 0.0, None, 1), "row 2: it is about a row that"),
        ((2, "retract", '["a"]', None, None, "anna", None, 0.0, None, 1), "row 2: .* hold no answer"),
        ((2, *PAIR[1:9], 7), "row 2: it is about a row that"),
        ((2, *PAIR[1:9], "x"), "row 2: it must be about a row"),
        ((2, *PAIR[1:6], 9e999, *PAIR[7:]), "row 2: seconds must be a number"),
        ((2, *PAIR[1:6], None, *PAIR[7:]), "row 2: seconds must be a number"),
        ((2, *PAIR[1:7], 9e999, *PAIR[8:]), "row 2: its time must be a number"),
        ((2, "pair", "[" * 100_000, *PAIR[3:]), "row 2: "),
        ((2, "class", '["a"]', "[" * 100_000 + "]" * 100_000, *PAIR[4:]), "row 2: "),
        ((2, "class", '["a"]', "[NaN]", *PAIR[4:]), "row 2: a class must be text or a whole number"),
        ((2, "class", '["a"]', "[true]", *PAIR[4:]), "row 2: a class must be text or a whole number"),
        ((2, "class", '["a"]', "7", *PAIR[4:]), "row 2: "),
        ((2, "pair", '{"a": 1, "b": 2}', *PAIR[3:]), "row 2: an answer must have keys in an order"),
        ((2, "pair", b'["a", "b"]', *PAIR[3:]), "row 2: "),
        ((2, *PAIR[1:4], 7, *PAIR[5:]), "row 2: an answer must have keys in an order"),
        ((2, "pair", '["a", "b", "a"]', *PAIR[3:]), "row 2: a pair must be two different items"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [1, 2])
def test_rows_that_no_store_writes_are_refused_by_row(tmp_path, unchecked, row, told, version):
    path = forge(tmp_path / "labels.sqlite", [PAIR, row], version)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=told):
        LabelStore(path)
    assert path.read_bytes() == before


def test_text_that_is_not_utf8_is_refused_by_row(path):
    change(path, "UPDATE log SET who = CAST(x'616e6e80' AS TEXT) WHERE id = 4")
    with pytest.raises(StoreError, match="row 4: it is not as it was written"):
        LabelStore(path)


def test_a_huge_row_is_refused_and_never_read(path):
    change(path, "UPDATE log SET value = zeroblob(100000000) WHERE id = 4")
    with pytest.raises(StoreError, match="a row has more than 16777216 bytes"):
        LabelStore(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON log BEGIN INSERT INTO seals VALUES (99, 'x'); END",
        "CREATE TRIGGER evil BEFORE INSERT ON log WHEN NEW.kind = 'pair' BEGIN SELECT RAISE(IGNORE); END",
        "CREATE VIEW evil AS SELECT * FROM log",
        "CREATE TABLE evil (x)",
        "CREATE INDEX evil ON log (who)",
        "CREATE VIRTUAL TABLE evil USING fts5 (x)",
        "DROP TRIGGER no_UPDATE",
        "DROP TABLE log",
        "DROP TABLE seals",
        "ALTER TABLE log ADD COLUMN more",
    ],
)
def test_tables_that_are_not_exactly_ours_are_refused_and_nothing_of_them_runs(path, statement):
    execute(path, statement)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is damaged.*it (holds a|must hold one) "):
        LabelStore(path)
    assert path.read_bytes() == before


def test_a_version_that_does_not_fit_the_tables_is_refused(path):
    for version, told in (
        (1, "it holds a"),
        (0, "it holds a"),
        (2, "it holds a"),
        (4, "newer"),
        (-1, "it holds a"),
    ):
        execute(path, f"PRAGMA user_version = {version}")
        with pytest.raises(StoreError, match=told):
            LabelStore(path)


# In the way


def test_what_is_no_file_is_refused_at_once(tmp_path):
    path = tmp_path / "labels.sqlite"
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    makes = [
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path),
        lambda: path.symlink_to(tmp_path / "file"),
    ]
    for make in makes:
        make()
        for more in ({}, {"create": False}, {"read_only": True}):
            with pytest.raises(StoreError, match="must be a file of its own"):
                LabelStore(path, **more)
        (path.unlink if path.is_symlink() or not path.is_dir() else path.rmdir)()
    assert (tmp_path / "file").read_bytes() == b""
    for strange in (tmp_path / "file" / "labels.sqlite", tmp_path / "a\x00b", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError, match=r"cannot be opened|must say how many"):
            LabelStore(strange)


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
def test_a_pipe_where_sqlite_keeps_its_own_files_is_refused(path, end):
    os.mkfifo(f"{path}{end}")
    with pytest.raises(StoreError, match=f"labels.sqlite{end} must be a file of its own"):
        LabelStore(path)


def test_a_journal_that_would_remove_another_file_is_refused(path, tmp_path):
    other = tmp_path / "thesis.txt"
    other.write_text("years of work")
    name = str(other).encode()
    end = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + bytes.fromhex("d9d505f920a163d7")
    Path(f"{path}-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(504) + name + end)
    with pytest.raises(StoreError, match="names another file, which SQLite might remove"):
        LabelStore(path)
    assert other.read_text() == "years of work"


def test_a_store_that_somebody_holds_is_named_as_locked_for_readers_too(path):
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as db,
        LabelStore(path, busy_seconds=0.02) as store,
    ):
        db.execute("BEGIN EXCLUSIVE")
        for call in (store.answers, store.undo, lambda: pair(store, "x", "y"),
                         lambda: LabelStore(path, busy_seconds=0.02)):  # fmt: skip
            with pytest.raises(StoreError, match="is locked by another process"):
                call()
        db.execute("ROLLBACK")
        assert pair(store, "x", "y") == 17


def test_a_disk_that_fills_up_and_is_freed_loses_and_doubles_nothing(tmp_path):
    code = """
        import resource, sys
        from dhaps_core.answers.answer import StoreError
        from dhaps_core.answers.store import LabelStore
        store = LabelStore(sys.argv[1])
        stored = refused = 0
        for size in range(8192, 40_000, 512):  # the disk grows by a sector at a time
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            try:
                store.add("class", (f"{size}",), "c" * 400, who="anna", seconds=1.0, question=f"{size}")
                stored += 1
            except StoreError as error:
                assert "disk" in str(error), error
                refused += 1
            assert len(store.answers()) == stored
        assert stored and refused, (stored, refused)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.add("class", ("last",), "cat", who="anna", seconds=1.0)
        assert len(LabelStore(sys.argv[1]).answers()) == stored + 1
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "labels.sqlite")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_depends_on_the_clock(tmp_path, monkeypatch):
    clock = iter([100.0, 50.0, 75.0, 10.0, 5.0, 1e12, 0.0, -1.0])
    with LabelStore(tmp_path / "labels.sqlite") as store:
        monkeypatch.setattr(time, "time", lambda: next(clock))
        for i in range(3):
            pair(store, "a", f"b{i}")
        assert store.undo(who="anna") == 3
        assert store.redo(who="anna") == 4
        store.retract(store.revise(1, "different", who="anna", seconds=1.0), who="anna")
        monkeypatch.undo()
        assert [(answer.id, answer.at) for answer in store.answers()] == [(2, 50.0), (3, 75.0)]
        with LabelStore(store.path) as again:
            assert again.answers() == store.answers()


def test_a_seal_changes_with_every_column_and_with_all_rows_before():
    columns = (1, "pair", '["a", "b"]', '"same"', 0, "anna", 1.0, 2.0, "null", None)
    others = [(*columns[:i], "other", *columns[i + 1 :]) for i in range(10)]
    seals = {seal(UNSEALED, one) for one in (columns, *others)} | {seal("1" * 32, columns)}
    assert len(seals) == 12
    later = [(*columns, None, None), (*columns, "[]", None), (*columns, None, 1)]
    assert seal(UNSEALED, later[0]) == seal(UNSEALED, columns)  # of a row that was sealed before they were
    assert len({seal(UNSEALED, one) for one in later}) == 3
    assert seal(UNSEALED, (*columns[:6], 1, *columns[7:])) != seal(UNSEALED, columns)
    assert json.dumps(columns)  # the form that is sealed: the same in every version of Python
