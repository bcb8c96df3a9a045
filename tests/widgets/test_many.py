"""Many items named at once, without a screen: what is shown counts, one step stores it, one undo takes it."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dhaps_core.answers.answer import Answer
from dhaps_core.session.active import ActiveSession
from tests.given import NASTY, TINY
from widgets.cockpit.cockpit import Cockpit
from widgets.many.state import MOST, PAGE, ManyState
from widgets.workbench import Workbench


@pytest.fixture
def session(tmp_path, items):
    return ActiveSession(tmp_path / "run", items, TINY, labels=tmp_path / "labels.sqlite")


@pytest.fixture
def state(session):
    clock = iter(np.arange(0.0, 10_000.0, 10.0).tolist())
    return ManyState(session, who="anna", clock=lambda: next(clock))


def of_class(items, name, n):
    rows = [row for row in items.splits["train"].tolist() if items.classes_of(row) == (name,)]
    return [items.keys[row] for row in rows[:n]]


def see_all(state):
    for page in range(state.view()["pages"]):
        state.turn(page)
        state.saw([one["key"] for one in state.view()["items"]])


def test_what_was_shown_and_is_in_is_named_in_one_step_and_one_undo_takes_it_back(items, state):
    keys = of_class(items, "3", 30)
    assert state.gather([*keys, keys[0]])
    see_all(state)
    state.toggle(keys[4])
    state.toggle(keys[5])
    state.toggle(keys[5])
    assert not state.confirm()
    assert state.note == "Choose a class first."
    state.choose("three")
    assert state.view()["counting"] == 29
    assert state.confirm()
    assert state.note == "29 items named three in one step; Z takes all of it back."
    answers = state.session.answers()
    assert {one.keys[0] for one in answers} == {*keys} - {keys[4]}
    assert {one.value for one in answers} == {("three",)}
    assert sum(one.seconds for one in answers) == pytest.approx(10)
    assert state.view()["items"] == state.keys == []
    state.session.undo(who="anna")
    assert state.session.answers() == []
    state.session.redo(who="anna")
    assert len(state.session.answers()) == 29


def test_nothing_counts_that_was_not_shown(items, state):
    keys = of_class(items, "3", PAGE + 6)
    state.gather(keys)
    state.choose("3")
    assert not state.confirm()
    assert state.note == "No item that was shown is in."
    state.saw(keys[: PAGE - 2])  # two of the page could not be read, the other page was not turned to
    state.saw(["none of these"])
    assert (state.view()["counting"], state.view()["unseen"]) == (PAGE - 2, 8)
    assert state.confirm()
    assert [one.keys[0] for one in state.session.answers()] == keys[: PAGE - 2]
    assert state.note.endswith("8 items not shown, so left out.")
    # What was seen of another lot is not seen of this one.
    state.gather(keys)
    state.choose("4")
    assert state.view()["counting"] == 0


def test_where_all_are_of_that_class_already_nothing_is_said_to_be_undone(items, state):
    keys = of_class(items, "3", 3)
    state.session.name_items(keys, "three", who="bo")
    state.gather(keys)
    see_all(state)
    state.choose("three")
    assert not state.confirm()
    assert state.note == "Nothing was stored: all of them are three already."
    assert len(state.session.answers()) == 3


def test_items_of_another_class_are_shown_with_it_and_stay_out(items, state):
    ones, twos = of_class(items, "1", 4), of_class(items, "2", 4)
    state.session.name_items(ones[:2], "1", who="bo")
    state.session.name_items(twos[:1], "2", who="bo")
    state.gather([*ones, *twos])
    see_all(state)

    def states():
        return "".join(one["state"][0] for one in state.view()["items"])

    assert states() == "aaiiaiii"  # before a class is chosen none agrees
    state.choose("2")
    assert states() == "aaiiiiii"
    state.toggle(ones[0])
    assert state.note == "It is 1 already. Where that is wrong, revise that answer first."
    assert states() == "aaiiiiii"
    state.toggle(ones[2])
    state.toggle(ones[3])
    assert [one["said"] for one in state.view()["items"]] == ["1", "1", None, None, "2", None, None, None]
    assert state.confirm()
    assert state.note.startswith("3 items named 2")  # the fourth has it already
    assert len(state.session.answers()) == 6


def test_a_contradiction_stores_nothing_and_is_told(items, state):
    keys = of_class(items, "5", 4)
    one = of_class(items, "6", 1)[0]
    session = state.session
    session.name_items([one], "6", who="bo")
    session.store.add("pair", (keys[2], one), "same", who="bo", seconds=1.0)
    state.gather(keys)
    see_all(state)
    state.choose("5")
    before = session.answers()
    assert not state.confirm()
    assert state.note.startswith("Nothing was stored: answers must agree with each other")
    assert session.answers() == before
    assert state.keys == keys  # what was clicked is not lost
    state.toggle(keys[2])
    assert state.confirm(), state.note


def test_queries_stay_out_and_what_nobody_could_look_through_is_refused(items, state):
    query = items.keys[items.splits["query"][0]]
    train = [items.keys[row] for row in items.splits["train"].tolist()]
    assert state.gather([query, train[0]])
    assert state.note == "1 item left out: queries must teach nothing."
    assert state.keys == train[:1]
    assert not state.gather([query])
    assert not state.gather(train[: MOST + 1])
    assert (
        state.note
        == f"1 to {MOST} items that are no queries can be named together; here are {MOST + 1}. "
        + ("Select fewer.")
    )
    assert state.keys == train[:1]  # what was open stays


@pytest.mark.parametrize("name", NASTY)
def test_any_name_of_a_class_is_taken_or_refused_in_a_sentence(items, session, name):
    state = ManyState(session, who="anna")
    keys = of_class(items, "1", 3)
    state.gather(keys)
    see_all(state)
    state.choose(name)
    if state.confirm():
        assert {one.classes[0] for one in session.answers()} == {
            Answer.given("class", keys[:1], name, who="anna", seconds=0.0, id=1).classes[0]
        }
        state.gather(keys)
        assert {one["said"] for one in state.view()["items"]} == {session.answers()[0].classes[0]}
    else:
        assert session.answers() == []
        assert state.note


@pytest.mark.parametrize("name", ["", "  ", "a" * 501, "a\u202eb"])
def test_what_is_no_name_changes_nothing(items, state, name):
    state.gather(of_class(items, "1", 3))
    state.choose("1")
    state.choose(name)
    assert "class" in state.note
    assert state.view()["value"] == ["1"]


# --- in the cockpit


@pytest.fixture
def cockpit(tmp_path, items):
    bench = Workbench(tmp_path, items, replace(TINY, picks=4), who="anna")
    bench.session.train()
    cockpit = Cockpit(bench)
    bench.job.join(60)
    cockpit.near.join()
    return cockpit


def send(card, **message):
    card._heard(card, message, [])


def sheet(cockpit, do, **more):
    send(cockpit.many, do=do, lot=cockpit.many.view["lot"], **more)


def test_a_lasso_is_named_and_the_cards_undo_takes_all_of_it_back(items, cockpit):
    keys = of_class(items, "7", 12)
    send(cockpit.chart, gather=keys)
    assert cockpit.many.view["gathered"] == 12
    sheet(cockpit, "saw", keys=keys)
    sheet(cockpit, "choose", value="7")
    old = cockpit.many.view["lot"]
    sheet(cockpit, "confirm")
    assert cockpit.many.view["gathered"] == 0
    assert cockpit.card.view["note"] == "12 items named 7 in one step; Z takes all of it back."
    assert cockpit.card.counts["answers"] == 12
    send(cockpit.many, do="confirm", lot=old)  # a double press
    send(cockpit.card, do="undo", turn=cockpit.card.view["turn"])
    assert cockpit.card.counts["answers"] == 0
    send(cockpit.card, do="redo", turn=cockpit.card.view["turn"])
    assert cockpit.card.counts["answers"] == 12
    session = cockpit.bench.session
    session.train(partial=True)
    cockpit.bench.tell("round")
    send(cockpit.card, do="undo", turn=cockpit.card.view["turn"])
    assert cockpit.card.view["note"].startswith("That answer belongs to a finished round.")
    assert cockpit.card.counts["answers"] == 12


def test_a_message_meant_for_another_lot_does_nothing(items, cockpit):
    send(cockpit.chart, gather=of_class(items, "7", 3))
    old = cockpit.many.view["lot"]
    send(cockpit.chart, gather=of_class(items, "8", 3))
    send(cockpit.many, do="close", lot=old)
    assert cockpit.many.view["gathered"] == 3
    sheet(cockpit, "close")
    assert cockpit.many.view["gathered"] == 0


def test_the_neighbours_shown_are_taken_with_their_item(cockpit):
    row = cockpit.near.rows[0]
    send(cockpit.near, take="no such item")
    assert cockpit.many.view["gathered"] == 0
    send(cockpit.near, take=row["key"])
    shown = [row["key"], *(one["key"] for one in row["near"])]
    assert cockpit.many.state.keys == shown
    assert len(shown) == 9
    assert sum(one["asked"] for one in cockpit.near.rows) == 1
    sheet(cockpit, "saw", keys=shown)
    sheet(cockpit, "choose", value="7")
    sheet(cockpit, "confirm")
    cockpit.near.join()
    said = {one["key"]: one["said"] for other in cockpit.near.rows for one in other["near"]}
    assert {said[key] for key in shown if key in said} <= {"7"}


def test_another_run_closes_the_sheet(items, cockpit):
    send(cockpit.chart, gather=of_class(items, "7", 3))
    cockpit.bench.use(replace(cockpit.bench.session.settings, bits=24))
    assert cockpit.many.view["gathered"] == 0
    assert cockpit.many.state.session is cockpit.bench.session


def test_the_state_loads_without_torch():
    code = "import sys, widgets.many.state; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_open_to_be_named_is_marked_on_the_map(items, cockpit):
    cockpit.chart.job.join(600)
    keys = of_class(items, "7", 5)
    send(cockpit.chart, gather=keys)
    assert [cockpit.chart.layout_info["keys"][i] for i in cockpit.chart.marked] == keys
    sheet(cockpit, "close")
    assert cockpit.chart.marked == []
