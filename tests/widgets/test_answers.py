"""The panel of all answers, without a screen."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.given import TINY
from widgets.answers.panel import AnswersPanel
from widgets.answers.state import PAGE, AnswersState, Filters
from widgets.workbench import Workbench


@pytest.fixture
def session(tmp_path, items):
    """Digits of three classes, named by anna and bo; then a round that anna answers."""
    labels = tmp_path / "labels.sqlite"
    session = ActiveSession(tmp_path / "run", items, replace(TINY, picks=4), labels=labels)
    for name, who in (("1", "anna"), ("2", "bo"), ("3", "anna")):
        session.name_items(of_class(items, name)[:12], name, who=who)
    session.train()
    for question in session.questions():
        session.answer(question, label_oracle(items)(question), who="anna", seconds=1.0)
    return session


def of_class(items, name):
    rows = [row for row in items.splits["train"].tolist() if items.classes_of(row) == (name,)]
    return [items.keys[row] for row in rows]


@pytest.fixture
def state(session):
    return AnswersState(session, who="anna")


def test_every_answer_is_listed_page_by_page(state):
    seen = []
    for page in range(state.view()["pages"]):
        state.turn(page)
        seen += [one["row"] for one in state.view()["rows"]]
    assert seen == [one.id for one in reversed(state.session.answers())]
    assert len(seen) == 44 > 2 * PAGE
    state.turn(99)
    assert state.view()["page"] == 2


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 44),
        ({"class_": "2", "round": "none"}, 12),
        ({"who": "bo"}, 12),
        ({"round": "1"}, 8),
        ({"round": "none"}, 36),
        ({"kind": "pair"}, 0),
        ({"kind": "class", "who": "anna", "class_": "1", "round": "none"}, 12),
    ],
)
def test_answers_are_filtered(state, filters, count):
    state.turn(1)
    state.filter(**filters)
    view = state.view()
    assert (view["page"], view["found"], view["total"]) == (0, count, 44)


def test_what_the_model_disagrees_with_comes_first_with_its_probability(items, state):
    wrong = of_class(items, "1")[20]
    (row,) = state.session.name_items([wrong], "3", who="bo")
    state.filter(doubted=True)
    first = state.view()["rows"][0]
    assert (first["row"], first["keys"]) == (row, [wrong])
    assert first["p"] < 30
    assert state.view()["found"] < 15
    assert state.revise(row, "1")
    assert wrong not in [key for one in state.view()["rows"] for key in one["keys"]]


def test_an_answer_is_revised_taken_back_undone_and_made_again(state):
    row = state.session.answers()[0].id
    assert state.revise(row, "7")
    assert state.session.answers()[-1].value == ("7",)
    assert state.view()["undo"] == 1
    assert state.undo()
    assert state.session.answers()[0].value == ("1",)
    assert state.redo()
    assert state.session.answers()[-1].value == ("7",)
    assert state.retract([state.session.answers()[-1].id])
    assert len(state.session.answers()) == 43
    assert state.undo()
    assert len(state.session.answers()) == 44
    assert not state.redo()
    assert state.note.startswith("Nothing was undone")
    assert not state.revise(999, "7")
    assert state.note.startswith("Nothing was changed: row 999")


def test_a_class_is_renamed_and_merged_once_the_person_says_so(state):
    state.filter(class_="2")
    assert state.rename("2", "two")
    assert state.filters == Filters(class_="two")
    assert "two" in {one["name"] for one in state.view()["classes"]}
    assert not state.rename("two", "1")
    assert state.merging == ("two", "1")
    state.keep_apart()
    assert not state.merge()
    state.rename("two", "1")
    assert state.merge()
    ones = [one for one in state.session.answers() if one.value == ("1",)]
    assert state.view()["found"] == len(ones)
    assert state.undo()
    assert state.undo()
    assert not [one for one in state.session.answers() if one.value == ("two",)]
    assert not state.undo()


def test_a_new_name_is_that_of_a_class_however_it_is_typed(state):
    state.rename("1", "big caf\u00e9")
    state.filter(class_="2")
    assert not state.rename("2", " big  cafe\u0301 ")
    assert state.merging == ("2", "big caf\u00e9")
    state.keep_apart()
    assert state.rename("2", "small  caf\u00e9")
    assert state.note == "2 is small caf\u00e9 now, in 12 answers."
    assert state.view()["found"] == 12
    assert not state.rename("3", " ")
    assert "at least one character" in state.note


def test_a_merge_against_a_pair_answer_changes_nothing_and_names_the_chain(items, state):
    a, b = of_class(items, "1")[0], of_class(items, "2")[0]
    state.session.store.add("pair", (a, b), "different", who="bo", seconds=1.0)
    before = state.session.answers()
    state.rename("2", "1")
    assert not state.merge()
    assert f"{a} is '1'" in state.note
    assert state.session.answers() == before


def test_undo_here_never_takes_an_answer_of_the_card(items, state):
    assert not state.undo()
    state.retract([state.session.answers()[0].id])
    state.revise(state.session.answers()[0].id, "7")
    state.session.name_items(of_class(items, "5")[:1], "5", who="anna")
    assert not state.undo()
    assert state.note == "anna has answered since. Undo that in the card first."
    state.session.undo(who="anna")
    assert state.undo()


def test_all_that_are_listed_are_taken_back_at_once(state):
    state.filter(who="bo")
    assert state.retract_listed()
    assert {one.who for one in state.session.answers()} == {"anna"}
    assert not state.retract_listed()  # none is left, and that is no step
    assert state.note.startswith("No answer is listed")
    assert state.undo()
    assert len(state.session.answers()) == 44
    assert not state.undo()


def test_answers_leave_and_come_as_csv(tmp_path, items, state):
    path = tmp_path / "answers.csv"
    assert state.write_csv(str(path))
    other = AnswersState(ActiveSession(tmp_path / "other", items, TINY), who="anna")
    assert other.take_csv(str(path))
    assert other.note.startswith("answers.csv: 44 answers stored, 0 known already")
    assert not other.take_csv(str(path))
    assert other.undo()
    assert other.session.answers() == []
    assert not other.take_csv(str(tmp_path / "none.csv"))
    assert other.note.startswith("Nothing was stored")
    assert not other.write_csv(str(tmp_path / "no folder" / "a.csv"))
    assert "must be a file that can be written" in other.note


def test_five_thousand_answers_open_within_a_second(tmp_path, items):
    session = ActiveSession(tmp_path / "run", items, TINY, labels=tmp_path / "labels.sqlite")
    keys = [items.keys[row] for row in items.splits["train"]]
    given = [
        Answer.given("pair", (keys[i], keys[j]), "unsure", who="anna", seconds=1.0, id=0)
        for i in range(100) for j in range(i + 1, i + 51)
    ]  # fmt: skip
    session.store.bring(given)
    started = time.process_time()
    state = AnswersState(ActiveSession(tmp_path / "run", items), who="anna")
    assert state.view()["total"] == 5000
    state.filter(who="anna")
    assert len(state.view()["rows"]) == PAGE
    assert time.process_time() - started < 3  # of a machine that others load


def test_the_panel_hears_the_cards_and_the_cards_hear_it(tmp_path, items):
    bench = Workbench(tmp_path, items, Settings(method="piq", picks=3), who="anna")
    panel, heard = AnswersPanel(bench), []
    bench.listen(heard.append)
    bench.session.name_items(of_class(items, "1")[:3], "1", who="anna")
    bench.tell("answers")
    assert panel.view["total"] == 3
    panel.press({"do": "rename", "old": "1", "new": "one"})
    assert heard[-1] == "answers"
    assert [one["value"] for one in panel.view["rows"]] == [["one"]] * 3
    panel.press({"do": "filter", "name": "class_", "value": "one"})
    panel.press({"do": "undo"})
    assert panel.view["found"] == 0
    assert "1: 3" in panel.summary()
    bench.use(replace(bench.session.settings, bits=16))
    assert panel.view["filters"] == vars(Filters())
    assert panel.view["total"] == 3


def test_the_state_loads_no_torch():
    code = "import sys, widgets.answers.state; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_undo_lifts_the_retraction_that_was_made_here_and_nothing_else(state):
    session = state.session
    first = session.answers()[0]
    assert state.retract([first.id])
    session.undo(who="anna")  # in the card
    assert not state.undo()
    assert "in the card first" in state.note
    session.redo(who="anna")
    assert state.undo()
    assert first in session.answers()


def test_redo_makes_again_what_was_undone_here_and_nothing_else(state):
    session = state.session
    last = session.answers()[-1]
    value = "2" if last.value != ("2",) else "3"
    assert state.revise(last.id, value)
    assert state.undo()
    session.undo(who="anna")  # in the card
    assert not state.redo()
    assert state.note == "anna has undone an answer since. Redo that in the card first."
    session.redo(who="anna")
    assert state.redo()
    assert session.answers()[-1].value == (value,)
