import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dhaps_core.answers.sqlite
from dhaps_core.answers.answer import Answer, StoreError
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.history import History, Row
from dhaps_core.answers.store import LabelStore

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as opened:
        yield opened


def pair(store, a, b, word="same", who="anna", **more):
    return store.add("pair", (a, b), word, who=who, seconds=1.0, **more)


def ids(store, **more):
    return [answer.id for answer in store.answers(**more)]


# What is stored


def test_answers_come_back_as_given_also_in_a_new_store(store):
    before = time.time()
    assert store.add("class", ("x.jpg",), [1, "1", " cat"], who="anna", seconds=2.5, question="q1") == 1
    assert store.add("pair", ("b\udcff\n", "a"), "unsure", who="bo", seconds=0.0) == 2
    with LabelStore(store.path) as again:
        first, second = again.answers()
        assert again.answers() == store.answers()
    assert before <= first.at <= second.at <= time.time()
    assert first == Answer(1, "class", ("x.jpg",), ("1", "cat"), "anna", 2.5, first.at, "q1")
    assert second == Answer(2, "pair", ("a", "b\udcff\n"), "unsure", "bo", 0.0, second.at, None, flipped=True)
    assert store.watermark() == 2


def test_csv_holds_the_answers_that_count(store, tmp_path):
    store.add("class", ("x",), ["=1", 1], who="anna", seconds=1.0)
    pair(store, "b", "a")
    store.retract(pair(store, "c", "a"), who="anna")
    store.export_csv(tmp_path / "answers.csv")
    read = read_csv(tmp_path / "answers.csv")
    assert [(a.kind, a.shown, a.value, a.who) for a in read] == [
        (a.kind, a.shown, a.value, a.who) for a in store.answers()
    ]


def test_what_is_no_answer_is_not_stored(store):
    for bad in (
        lambda: pair(store, "a", "b", "skip"),
        lambda: pair(store, "a", "a"),
        lambda: store.add("class", ("a",), [], who="anna", seconds=1.0),
    ):
        with pytest.raises(StoreError):
            bad()
    assert store.watermark() == 0


def test_a_double_click_is_one_answer_until_it_is_withdrawn(store):
    first = pair(store, "a", "b", "same", question="q")
    assert pair(store, "a", "b", "different", question="q") == first
    with LabelStore(store.path) as other_notebook:
        assert pair(other_notebook, "a", "b", "same", question="q") == first
    assert store.watermark() == 1
    assert pair(store, "a", "b", who="bo", question="q") == 2  # somebody else may be asked the same
    store.retract(first, who="anna")
    assert pair(store, "a", "b", "different", question="q") == 4
    revised = store.revise(4, "same", who="anna", seconds=1.0)
    assert pair(store, "a", "b", question="q") == revised


# Undo, redo, retract, revise


def test_answer_five_undo_five_redo_three(store):
    rows = [pair(store, "a", str(i)) for i in range(5)]
    assert [store.undo(who="anna") for _ in range(6)] == [*rows[::-1], None]
    assert ids(store) == []
    redone = [store.redo(who="anna") for _ in range(3)]
    assert None not in redone
    assert ids(store) == rows[:3]
    pair(store, "a", "new")
    assert store.redo(who="anna") is None
    assert ids(store, upto=5) == rows
    assert ids(store, upto=10) == ids(store, upto=0) == []


def test_everybody_has_their_own_line(store):
    pair(store, "a", "b", who="anna")
    pair(store, "c", "d", who="bo")
    assert store.undo(who="anna") == 1
    pair(store, "e", "f", who="bo")
    assert store.undo(who="carla") is None
    assert store.redo(who="bo") is None
    assert store.redo() is None  # on the line of all, bo's answer is the newer
    assert store.redo(who="anna") == 3
    assert ids(store) == [1, 2, 4]
    assert store.undo() == 4


def test_undo_of_a_revision_brings_the_old_answer_back(store):
    pair(store, "b", "a", "same", question="q")
    assert store.revise(1, "different", who="bo", seconds=2.0) == 2
    (new,) = store.answers()
    assert (new.value, new.shown, new.question, new.who) == ("different", ("b", "a"), "q", "bo")
    assert store.undo(who="bo") == 2
    assert ids(store) == [1]
    assert store.redo(who="bo") == 3
    assert ids(store) == [2]
    with pytest.raises(StoreError, match="row 1 must be an answer that counts"):
        store.revise(1, "same", who="anna", seconds=1.0)
    with pytest.raises(StoreError, match="got 'maybe'"):
        store.revise(2, "maybe", who="anna", seconds=1.0)


def test_a_retraction_opens_the_question_whatever_was_revised(store):
    pair(store, "a", "b", "same", question="q")
    store.revise(1, "different", who="anna", seconds=2.0)
    store.retract(2, who="anna")
    assert ids(store) == []
    assert store.redo(who="anna") == 3
    assert ids(store) == [2]
    with pytest.raises(StoreError, match="row 9"):
        store.retract(9, who="anna")


def test_redo_does_not_answer_twice(store):
    pair(store, "a", "b", question="q")
    store.retract(1, who="bo")
    pair(store, "a", "b", question="q")
    assert store.redo(who="bo") is None
    pair(store, "c", "d", question="r")
    store.revise(4, "different", who="anna", seconds=1.0)
    store.undo(who="anna")
    store.revise(4, "unsure", who="bo", seconds=1.0)
    assert store.redo(who="anna") is None
    assert ids(store) == [3, 7]


@given(st.lists(st.sampled_from(["answer", "revise", "undo", "redo"]), max_size=30))
@settings(max_examples=200)
def test_history_of_one_person_is_an_undo_stack(moves):
    """Against a list of states and a cursor."""
    history, states, cursor = History(), [()], 0
    for move in moves:
        row = history.seen + 1
        if move in ("answer", "revise"):
            old = max(history.active, default=None) if move == "revise" else None
            answer = Answer.given("class", ("x",), row, who="anna", seconds=1.0, id=row)
            history.take(Row(row, "answer", "anna", answer, old))
            kept = [i for i in states[cursor] if i != old]
            states, cursor = [*states[: cursor + 1], (*kept, row)], cursor + 1
        else:
            found = history.undoable("anna") if move == "undo" else history.redoable("anna")
            step = -1 if move == "undo" else 1
            assert bool(found) == (0 <= cursor + step < len(states))
            if found:
                then = Row(row, move, "anna", None, *found)
                foreseen = history.answers(then)
                history.take(then)
                assert history.answers() == foreseen
                cursor += step
        assert tuple(answer.id for answer in history.answers()) == states[cursor]


# Checks inside the transaction


def test_a_contradiction_is_refused_even_between_two_notebooks(store):
    with LabelStore(store.path) as other:
        here, there = Closure(), Closure()
        pair(store, "a", "b", check=here.update)
        pair(other, "b", "c", check=there.update)
        with pytest.raises(Contradiction) as caught:
            pair(store, "a", "c", "different", check=here.update)
        assert [answer.id for answer in caught.value.chain] == [1, 2]
        assert store.watermark() == 2
        store.revise(2, "different", who="anna", seconds=1.0, check=here.update)
        pair(other, "a", "c", "different", who="bo", check=there.update)
        with pytest.raises(Contradiction):
            store.undo(who="anna", check=here.update)
        assert ids(store) == [1, 3, 4]


def test_a_check_sees_the_answers_as_they_would_be(store):
    seen = []
    pair(store, "a", "b")
    pair(store, "b", "c", check=seen.append)
    store.undo(check=seen.append)
    store.redo(check=seen.append)
    assert [[answer.id for answer in answers] for answers in seen] == [[1, 2], [1], [1, 2]]


def test_an_answer_costs_the_rows_that_are_new(store, monkeypatch):
    store.add_all([("pair", ("a", f"b{i}"), "same", f"b{i}") for i in range(2000)], who="oracle")
    closure = Closure()
    pair(store, "a", "b", check=closure.update)
    read, real = [], dhaps_core.answers.sqlite.decode
    monkeypatch.setattr(
        dhaps_core.answers.sqlite, "decode", lambda columns: read.append(columns[0]) or real(columns)
    )
    for i in range(20):
        pair(store, "a", f"c{i}", question=f"c{i}", check=closure.update)
        store.answers()
    assert read == list(range(2001, 2022))


# Classes


def test_a_number_and_its_text_are_one_class_from_all_doors(store, tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text('kind,a,b,value,who,seconds\nclass,12,,7,anna,1\nclass,13,," 7",anna,1\n')
    closure = Closure()
    store.add("class", ("11",), "7", who="anna", seconds=1.0, check=closure.update)
    store.add("class", ("10",), np.int64(7), who="anna", seconds=1.0, check=closure.update)
    given = [(answer.kind, answer.keys, answer.value, f"q{answer.id}") for answer in read_csv(path)]
    store.add_all(given, who="anna", check=closure.update)
    store.add("pair", ("10", "12"), "same", who="anna", seconds=1.0, check=closure.update)
    assert {answer.value for answer in store.answers() if answer.kind == "class"} == {("7",)}


@pytest.mark.parametrize("name", ["Cat", "cat\ufe0f", "ｃａｔ", "DOG", "7.0", "07"])
def test_a_class_that_looks_like_a_known_one_is_refused_with_its_name(tmp_path, name):
    with LabelStore(tmp_path / "labels.sqlite", classes=["dog", "7"]) as store:
        store.add("class", ("a",), "cat", who="anna", seconds=1.0)
        emu = store.add("class", ("c",), "emu", who="anna", seconds=1.0)
        for give in (
            lambda: store.add("class", ("b",), name, who="anna", seconds=1.0),
            lambda: store.add_all([("class", ("b",), ["dog", name], "q")], who="anna"),
            lambda: store.revise(emu, name, who="anna", seconds=1.0),
        ):
            with pytest.raises(StoreError, match=r"looks like '(cat|dog|7)'"):
                give()
        assert store.watermark() == emu


def test_look_alikes_within_one_batch_are_refused_and_nothing_is_stored(store):
    with pytest.raises(StoreError, match="'Sea' looks like 'sea'"):
        store.add_all([("class", ("a",), "sea", "1"), ("class", ("b",), ["sky", "Sea"], "2")], who="oracle")
    assert store.watermark() == 0


def test_declared_classes_may_look_alike_and_only_they(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite", classes=["a", "A"]) as store:
        store.add("class", ("x",), "a", who="anna", seconds=1.0)
        store.add("class", ("y",), "A", who="anna", seconds=1.0)
        with pytest.raises(StoreError, match="looks like 'a'"):
            store.add("class", ("z",), "ａ", who="anna", seconds=1.0)
        assert [answer.value for answer in store.answers()] == [("a",), ("A",)]


def test_the_case_of_a_class_can_be_revised_and_a_withdrawn_one_is_no_longer_known(store):
    store.add("class", ("x",), "Cat", who="anna", seconds=1.0)
    assert store.revise(1, "cat", who="anna", seconds=1.0) == 2
    store.add("class", ("y",), "cat", who="bo", seconds=1.0)
    with pytest.raises(StoreError, match="'Cat' looks like 'cat'"):
        store.undo(who="anna")  # would bring the other one back
    store.retract(3, who="bo")
    assert store.undo(who="anna") == 2
    assert store.answers()[0].value == ("Cat",)
    store.undo(who="anna")
    assert store.add("class", ("z",), "CAT", who="bo", seconds=1.0) == 7


# Processes


def _write(path, name):
    with LabelStore(path) as store:
        for i in range(50):
            pair(store, name, f"{name}{i}", who=name, question=str(i))


def _write_then_wait(path, written):
    store = LabelStore(path)
    pair(store, "a", "b")
    written.set()
    time.sleep(60)


def test_four_writers_lose_nothing(tmp_path):
    path = tmp_path / "labels.sqlite"  # made by whichever is first
    writers = [SPAWN.Process(target=_write, args=(path, name)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    with LabelStore(path) as store:
        answers = store.answers()
        assert [answer.id for answer in answers] == list(range(1, 201))
        for name in "abcd":
            assert [a.keys[1] for a in answers if a.who == name] == [f"{name}{i}" for i in range(50)]


def test_threads_share_a_store(store):
    def write(name):
        for i in range(20):
            pair(store, name, f"{name}{i}", who=name)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.answers()) == 80


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_an_answer_is_seen_at_once_and_survives_a_kill(tmp_path):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as reader:
        written = SPAWN.Event()
        writer = SPAWN.Process(target=_write_then_wait, args=(path, written))
        writer.start()
        assert written.wait(30)
        assert ids(reader) == [1]
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert ids(reader) == [1]
        assert pair(reader, "a", "c") == 2
    with LabelStore(path) as again:
        assert ids(again) == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_the_file_anew(store):
    pair(store, "a", "b")
    child = os.fork()
    if child == 0:
        pair(store, "a", "c", who="child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert [answer.who for answer in store.answers()] == ["anna", "child"]


def test_labels_and_supervision_load_without_torch():
    code = "import sys, dhaps_core.answers.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What may be wrong with a file


def test_the_log_only_grows(store):
    pair(store, "a", "b")
    db = sqlite3.connect(store.path)
    for change in ("UPDATE log SET who = 'x'", "DELETE FROM log"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            db.execute(change)
    db.close()


def test_a_locked_store_says_so_and_recovers(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite", busy_seconds=0.05) as store:
        db = sqlite3.connect(store.path, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another process"):
            pair(store, "a", "b")
        assert store.answers() == []  # reading is never locked out
        db.execute("ROLLBACK")
        db.close()
        assert pair(store, "a", "b") == 1


def test_a_new_file_is_waited_for_while_another_process_opens_it(tmp_path):
    path = tmp_path / "labels.sqlite"
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("BEGIN")
    db.execute("SELECT * FROM sqlite_master").fetchall()  # holds the file as it is
    with pytest.raises(StoreError, match="is locked by another process"):
        LabelStore(path, busy_seconds=0.05)
    timer = threading.Timer(0.2, lambda: db.execute("ROLLBACK"))
    timer.start()
    with LabelStore(path) as store:
        assert pair(store, "a", "b") == 1
    timer.join()
    db.close()


def test_a_full_disk_says_so_and_keeps_what_is_there(store):
    pair(store, "a", "b")
    pages = store._log._db.execute("PRAGMA page_count").fetchone()[0]
    store._log._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"):
        pair(store, "a", "c" * 100_000)
    assert ids(store) == [1]


def test_a_text_file_is_not_a_store(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a data base\n" * 100)
    with pytest.raises(StoreError, match="is not a SQLite database"):
        LabelStore(path)
    assert path.read_text().startswith("these are my notes")


def test_another_database_is_left_alone(tmp_path):
    db = sqlite3.connect(tmp_path / "other.sqlite")
    db.execute("CREATE TABLE log (x)")
    db.close()
    before = (tmp_path / "other.sqlite").read_bytes()
    with pytest.raises(StoreError, match="got another SQLite database"):
        LabelStore(tmp_path / "other.sqlite")
    assert (tmp_path / "other.sqlite").read_bytes() == before


@pytest.mark.parametrize("damage", ["torn", "overwritten", "header"])
def test_a_damaged_file_says_so(tmp_path, damage):
    path = tmp_path / "labels.sqlite"
    with LabelStore(path) as store:
        store.add_all([("pair", ("a", f"{i}"), "same", f"q{i}") for i in range(200)], who="anna")
    content = path.read_bytes()
    if damage == "torn":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "overwritten":
        path.write_bytes(content[:8192] + b"\xff" * 4096 + content[12288:])
    else:
        path.write_bytes(b"\xff" * 4096 + content[4096:])
    with pytest.raises(StoreError, match=r"damaged|not a SQLite database"):
        LabelStore(path)


@pytest.mark.parametrize(
    "row",
    [
        "(3, 'pair', '[\"a\", \"b\"]', '\"same\"', 0, 'anna', 1.0, 0.0, 'null', NULL, NULL, NULL)",
        "(2, 'undo', NULL, NULL, NULL, 'anna', NULL, 0.0, NULL, 7, NULL, NULL)",
        "(2, 'pair', 'a, b', '\"same\"', 0, 'anna', 1.0, 0.0, 'null', NULL, NULL, NULL)",
        "(2, 'pair', '[\"a\", \"b\"]', '\"perhaps\"', 0, 'anna', 1.0, 0.0, 'null', NULL, NULL, NULL)",
    ],
)
def test_rows_that_make_no_history_say_so(store, row):
    pair(store, "a", "b")
    db = sqlite3.connect(store.path)
    db.execute(f"INSERT INTO log VALUES {row}")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="is damaged"):
        store.answers()


def test_a_newer_schema_is_refused(store):
    store.close()
    db = sqlite3.connect(store.path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="must have schema 3 or older; got 99"):
        LabelStore(store.path)


def test_a_file_that_went_away_is_noticed(store, tmp_path):
    pair(store, "a", "b")
    store.path.rename(tmp_path / "elsewhere.sqlite")
    with pytest.raises(StoreError, match="moved, deleted or replaced"):
        pair(store, "a", "c")
    (tmp_path / "elsewhere.sqlite").rename(store.path)
    assert pair(store, "a", "c") == 2
    store.close()
    with pytest.raises(StoreError, match="was closed"):
        store.answers()


def test_a_folder_that_is_absent_is_not_made(tmp_path):
    with pytest.raises(StoreError, match="Its folder must exist"):
        LabelStore(tmp_path / "absent" / "labels.sqlite")


@pytest.mark.parametrize("upto", [2, -1, True, False, "1", 1.0, 2**200, [1], np.array([0, 1])])
def test_a_watermark_is_a_whole_number_that_has_been_reached(unchecked, store, upto):
    pair(store, "a", "b")
    with pytest.raises(StoreError, match="upto must be a watermark from 0 to 1; got"):
        store.answers(upto=upto)
    assert len(store.answers(upto=np.int64(1))) == 1


@pytest.mark.parametrize("row", [True, 1.0, "1", -1, 2**200, [1], None])
def test_a_row_is_a_whole_number_of_an_answer_that_counts(unchecked, store, row):
    pair(store, "a", "b")
    for change in (
        lambda row: store.revise(row, "different", who="anna", seconds=1.0),
        lambda row: store.retract(row, who="anna"),
    ):
        with pytest.raises(StoreError, match="must be an answer that counts; it is not"):
            change(row)
    assert store.watermark() == 1
    assert store.retract(np.int64(1), who="anna") == 2


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), -1, 1e300, 2**2000, True, "1", None])
def test_a_wait_is_a_number_of_seconds_that_somebody_could_wait(unchecked, tmp_path, wait):
    with pytest.raises(StoreError, match="busy_seconds must be a number from 0 to 1,000,000; got"):
        LabelStore(tmp_path / "labels.sqlite", busy_seconds=wait)
    assert list(tmp_path.iterdir()) == []
    for longest in (0, np.float32(0.5), 1_000_000):
        with LabelStore(tmp_path / "labels.sqlite", busy_seconds=longest) as store:
            assert store.undo() is None


def test_many_answers_are_stored_together_or_not_at_all(store):
    closure = Closure(multi_label=False)
    first = store.add("class", ("a",), "cat", who="oracle", seconds=0.0, question="1", check=closure.update)
    many = [("class", ("a",), "cat", "1"), ("class", ("b",), "dog", "2"), ("pair", ("d", "c"), "same", "3")]
    store.add_all(many, who="oracle", check=closure.update)
    store.add_all(many, who="oracle", check=closure.update)  # asked before: nothing new
    assert [(answer.id, answer.keys, answer.value) for answer in store.answers()] == [
        (first, ("a",), ("cat",)),
        (2, ("b",), ("dog",)),
        (3, ("c", "d"), "same"),
    ]
    wrong = [("class", ("e",), "cow", "4"), ("pair", ("a", "b"), "same", "5")]
    with pytest.raises(Contradiction):
        store.add_all(wrong, who="oracle", check=closure.update)
    assert store.watermark() == 3
    assert store.add("class", ("e",), "cow", who="anna", seconds=1.0, check=closure.update) == 4
