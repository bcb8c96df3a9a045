"""Many answers at once: one transaction, one undo, one redo; and what the items of an answer were."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from dhaps_core.answers.answer import Answer, StoreError
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.answers.store import LabelStore
from tests.answers.test_store_faults import OLD, forge


def content(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def store(tmp_path):
    with LabelStore(tmp_path / "labels.sqlite") as store:
        yield store


def named(keys, value="cat"):
    return [("class", (key,), value, None) for key in keys]


def values(store):
    return {answer.keys[0]: answer.value[0] for answer in store.answers()}


def test_many_named_at_once_are_undone_and_redone_at_once(store):
    store.add("class", ("z",), "dog", who="anna", seconds=1.0)
    ids = store.add_all(named("abc"), who="anna")
    assert ids == [2, 3, 4]
    assert store.undo(who="anna") == 4
    assert values(store) == {"z": "dog"}
    assert store.redo(who="anna") == 7
    assert values(store) == {"z": "dog", **dict.fromkeys("abc", "cat")}
    assert store.redo(who="anna") is None
    assert store.undo(who="anna") == 4  # again, as one
    assert store.undo(who="anna") == 1
    assert store.answers() == []
    with LabelStore(store.path) as again:  # the steps are in the file
        assert again.redo(who="anna") is not None
        assert again.redo(who="anna") is not None
        assert values(again) == {"z": "dog", **dict.fromkeys("abc", "cat")}
        assert again.answers(upto=4) == again.answers()


def test_one_of_a_step_that_was_revised_stands_by_itself(store):
    ids = store.add_all(named("abc"), who="anna")
    store.revise(ids[0], "dog", who="bo", seconds=1.0)
    assert store.undo(who="anna") == 3  # bo's stays
    assert values(store) == {"a": "dog"}
    assert store.redo(who="anna") is not None
    assert values(store) == {"a": "dog", "b": "cat", "c": "cat"}
    assert store.undo(who="bo") == 4
    assert values(store) == dict.fromkeys("abc", "cat")


def test_revisions_at_once_are_one_step_and_keep_what_the_items_were(store):
    held = {key: content(key) for key in "abc"}
    store.add_all(named("abc"), who="anna", contents=held)
    rows = [answer.id for answer in store.answers()]
    assert store.revise_all([(row, "lion") for row in rows], who="bo") == [4, 5, 6]
    assert values(store) == dict.fromkeys("abc", "lion")
    assert [answer.contents for answer in store.answers()] == [(held[key],) for key in "abc"]
    assert store.undo(who="bo") == 6
    assert values(store) == dict.fromkeys("abc", "cat")
    assert store.redo(who="bo") is not None
    assert values(store) == dict.fromkeys("abc", "lion")


def test_retractions_at_once_are_lifted_at_once(store):
    ids = store.add_all(named("abc"), who="anna")
    store.retract_all(ids[:2], who="bo")
    assert values(store) == {"c": "cat"}
    assert store.redo(who="bo") is not None
    assert values(store) == dict.fromkeys("abc", "cat")


def test_what_is_wrong_with_one_stores_none(store):
    closure = Closure()
    store.add("pair", ("a", "c"), "different", who="anna", seconds=1.0)
    with pytest.raises(Contradiction) as told:
        store.add_all(named("abc"), who="anna", check=closure.update)
    assert [one.id for one in told.value.chain] == [1, 2]
    with pytest.raises(StoreError, match="zero byte"):
        store.add_all([*named("ab"), ("class", ("",), "cat", None)], who="anna")
    with pytest.raises(StoreError, match="different answers; got one twice"):
        store.revise_all([(1, "same"), (1, "same")], who="anna")
    with pytest.raises(StoreError, match="must be an answer that counts"):
        store.retract_all([1, 9], who="anna")
    assert store.watermark() == 1
    assert store.revise_all([], who="anna") == store.add_all([], who="anna") == []


def test_contents_are_sealed_digests_in_the_order_of_the_keys(store):
    held = {"b": content("1"), "a": content("2"), "x": "of no matter"}
    store.add("pair", ("b", "a"), "same", who="anna", seconds=1.0, contents=held)
    store.add("pair", ("b", "c"), "same", who="anna", seconds=1.0, contents=held)  # c has none
    assert [answer.contents for answer in store.answers()] == [(held["a"], held["b"]), ()]
    with pytest.raises(StoreError, match="hex sha256"):
        store.add("class", ("a",), "cat", who="anna", seconds=1.0, contents={"a": "abc"})
    with LabelStore(store.path) as again:
        assert again.answers() == store.answers()


def test_answers_of_another_store_keep_who_gave_them_and_come_once(store):
    given = [
        Answer.given("class", (key,), "cat", who=who, seconds=2.0, id=0, at=5.0, question=f"run/1.{key}")
        for key, who in (("a", "anna"), ("b", "bo"))
    ]
    assert store.bring(given) == store.bring(given) == [1, 2]
    assert [(one.who, one.at, one.seconds) for one in store.answers()] == [
        ("anna", 5.0, 2.0),
        ("bo", 5.0, 2.0),
    ]


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_version_2_opens_with_its_seals(tmp_path, read_only):
    path = forge(tmp_path / "labels.sqlite", OLD, version=2)
    before = path.read_bytes()
    with LabelStore(path, read_only=read_only) as store:
        assert store.watermark() == 5
        if read_only:
            assert path.read_bytes() == before
        else:
            store.add_all(named("pq"), who="anna", contents={"p": content("p")})
            assert [one.contents for one in store.answers()][-2:] == [(content("p"),), ()]


CHILD = """
    import sys
    from dhaps_core.answers.store import LabelStore
    from tests.trust.killing import Points
    stage, at = sys.argv[2], int(sys.argv[3])
    points = Points(None if at < 0 else at, lambda: "")
    store = LabelStore(sys.argv[1])
    if stage == "add":
        store.add_all([("class", (f"n{i}",), "cat", None) for i in range(30)], who="bo")
    elif stage == "rename":
        store.revise_all([(one.id, "lion") for one in store.answers()], who="bo")
    print("done", len(points.stages), flush=True)
"""


def _child(path, stage, at):
    code = textwrap.dedent(CHILD)
    arguments = [sys.executable, "-c", code, str(path), stage, str(at)]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=os.getcwd())


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["add", "rename", "migrate"])
def test_killed_anywhere_all_of_a_step_is_there_or_none(tmp_path, stage):
    def fresh(name):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "labels.sqlite"
        if stage == "migrate":
            return forge(path, OLD, version=2)
        with LabelStore(path) as store:
            store.add_all(named([f"k{i}" for i in range(20)]), who="anna")
        return path

    points = int(_child(fresh("whole"), stage, -1).stdout.split()[1])
    assert points > 8
    for at in range(0, points, max(1, points // 40)):
        path = fresh(str(at))
        died = _child(path, stage, at)
        assert died.returncode == -signal.SIGKILL, died.stderr
        with LabelStore(path) as store:
            found = store.answers()
        if stage == "migrate":
            assert len(found) == 3
        else:
            changed = sum(one.who == "bo" for one in found)
            assert (len(found), changed) in (
                {"add": [(20, 0), (50, 30)], "rename": [(20, 0), (20, 20)]}[stage]
            )


def test_a_step_over_what_two_people_said_to_one_question_is_redone_whole(store):
    for who in ("anna", "bob"):
        store.add("class", ("a",), "cat", who=who, seconds=1.0, question="1.a")
    store.revise_all([(1, "tiger"), (2, "tiger")], who="bob")  # a class is renamed
    store.undo(who="bob")
    assert [one.value for one in store.answers()] == [("cat",), ("cat",)]
    store.redo(who="bob")
    assert [(one.id, one.value) for one in store.answers()] == [(3, ("tiger",)), (4, ("tiger",))]


def test_a_revision_of_what_somebody_else_said_is_redone_beside_ones_own_answer(store):
    for who in ("anna", "bob"):
        store.add("class", ("a",), "cat", who=who, seconds=1.0, question="1.a")
    store.revise(1, "dog", who="bob", seconds=1.0)
    store.undo(who="bob")
    assert store.redo(who="bob") is not None
    assert [(one.id, one.value) for one in store.answers()] == [(2, ("cat",)), (3, ("dog",))]


def test_a_retraction_is_not_lifted_over_what_was_said_since(store):
    store.add("class", ("a",), "cat", who="anna", seconds=1.0, question="1.a")
    store.retract(1, who="bob")
    store.add("class", ("a",), "dog", who="anna", seconds=1.0, question="1.a")
    assert store.redo(who="bob") is None
    assert values(store) == {"a": "dog"}


NO_NAMES = [3, None, b"anna", float("nan"), True, ["anna"], "", " ", "a\0", "\ud800"]


@pytest.mark.parametrize("who", NO_NAMES, ids=repr)
def test_what_is_no_name_is_refused_and_the_store_reads_on(unchecked, store, who):
    store.add("class", ("a",), "cat", who="anna", seconds=1.0)
    for change in (store.retract, lambda row, who: store.revise(row, "dog", who=who, seconds=1.0)):
        with pytest.raises(StoreError, match="who must be a name"):
            change(1, who=who)
    for step in (store.undo, store.redo) if who is not None else ():
        with pytest.raises(StoreError, match="who must be a name"):
            step(who=who)
    with LabelStore(store.path) as again:
        assert values(again) == {"a": "cat"}


@pytest.mark.parametrize("keys", [5, None])
def test_keys_that_are_no_list_are_refused_in_words(unchecked, store, keys):
    with pytest.raises(StoreError, match="item keys must be strings"):
        store.add("pair", keys, "same", who="anna", seconds=1.0)
