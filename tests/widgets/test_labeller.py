"""The labelling card's state: turns, skips, undo, contradictions, and what survives a kill; no screen."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.session.active import ActiveSession
from tests.given import BRIEF
from widgets.labeller.class_keys import class_keys
from widgets.labeller.reasons import Reasons
from widgets.labeller.state import LabellingState

PLACING = replace(BRIEF, question="pairs")
QUICK = replace(PLACING, reading="published")  # its pairs are asked as they were chosen: known beforehand
CLASSES = replace(PLACING, question="classes")


def started(folder, items, settings=QUICK):
    session = ActiveSession(folder, items, settings)
    if session.round == 0:
        session.train()
    return session


def pairs_of(session):
    return [(answer.keys, answer.value) for answer in session.store.answers()]


def test_an_answer_is_stored_and_the_next_question_is_shown(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    asked = [question.keys for question in session.questions()]
    assert state.question.keys == asked[0]
    assert state.answer(state.turn, "same")
    assert pairs_of(session) == [(tuple(sorted(asked[0])), "same")]
    assert state.question.keys == asked[1]
    view = state.view()
    assert [item["key"] for item in view["items"]] == list(asked[1])
    assert view["ahead"] == [key for pair in asked[2:4] for key in pair]
    assert (view["left"], view["asked"]) == (3, 4)


def test_a_press_for_another_turn_does_nothing(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    turn = state.turn
    assert state.answer(turn, "same")
    for press in (state.answer, lambda turn, _: state.skip(turn), lambda turn, _: state.undo(turn)):
        assert not press(turn, "different")
    assert len(session.store.answers()) == 1


def test_eight_presses_on_one_turn_are_one_answer(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    turn = state.turn
    assert [state.answer(turn, "same") for _ in range(8)] == [True] + [False] * 7
    assert len(session.store.answers()) == 1


def test_undo_brings_the_question_back(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    first = state.question
    state.answer(state.turn, "same")
    state.answer(state.turn, "different")
    assert state.undo(state.turn)
    assert state.undo(state.turn)
    assert state.question == first
    assert session.store.answers() == []
    assert not state.undo(state.turn)
    assert "no answer" in state.note


def test_redo_brings_an_answer_back_until_another_is_given(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    assert not state.redo(state.turn)
    assert "no answer of yours to bring back" in state.note
    for value in ("same", "unsure"):
        state.answer(state.turn, value)
    said, shown = pairs_of(session), state.question
    for _ in range(2):
        assert state.undo(state.turn)
    stale = state.turn
    assert state.redo(state.turn)
    assert not state.redo(stale)
    assert pairs_of(session) == said[:1]
    assert state.redo(state.turn)
    assert (pairs_of(session), state.question, state.note) == (said, shown, "")
    state.undo(state.turn)
    state.answer(state.turn, "different")
    assert not state.redo(state.turn)
    assert [value for _, value in pairs_of(session)] == ["same", "different"]


def test_redo_of_what_contradicts_by_now_says_so(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    a, b = state.question.keys
    state.answer(state.turn, "same")
    state.undo(state.turn)
    session.store.add("pair", (a, b), "different", who="anna", seconds=1.0)
    state.refresh()
    assert not state.redo(state.turn)
    assert "contradicts a later one by now" in state.note
    assert [value for _, value in pairs_of(session)] == ["different"]


def test_a_skipped_question_comes_last_and_stays_so_after_a_restart(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    names = [question.id for question in session.questions()]
    state.skip(state.turn)
    assert state.question.id == names[1]
    again = LabellingState(started(tmp_path, items), who="me")
    assert again.question.id == names[1]
    for _ in range(3):
        again.answer(again.turn, "unsure")
    assert again.question.id == names[0]
    assert again.view()["skipped"]


def test_undo_takes_back_a_skip_first(tmp_path, items):
    state = LabellingState(started(tmp_path, items), who="me")
    first = state.question
    state.skip(state.turn)
    assert state.undo(state.turn)
    assert state.question == first


def test_a_round_of_skips_goes_round(tmp_path, items):
    state = LabellingState(started(tmp_path, items), who="me")
    names = []
    for _ in range(8):
        names.append(state.question.id)
        state.skip(state.turn)
    assert names[:4] == names[4:]


def test_as_many_undos_as_skips_take_back_no_answer(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    state.answer(state.turn, "unsure")
    shown = []
    for _ in range(7):  # the three that are left twice, and one more
        shown.append(state.question)
        state.skip(state.turn)
    for question in reversed(shown):
        assert state.undo(state.turn)
        assert state.question == question
    assert len(session.answers()) == 1
    assert session.skipped == []
    assert state.undo(state.turn)
    assert session.answers() == []


def test_the_same_next_question_after_a_restart(tmp_path, items):
    state = LabellingState(started(tmp_path, items), who="me")
    state.answer(state.turn, "same")
    expected = state.question
    again = LabellingState(started(tmp_path, items), who="me")
    assert again.question == expected
    assert again.view()["recent"] == state.view()["recent"]


def test_two_open_copies_store_one_answer(tmp_path, items):
    one = LabellingState(started(tmp_path, items), who="me")
    two = LabellingState(started(tmp_path, items), who="me")
    one.answer(one.turn, "same")
    assert two.answer(two.turn, "different")
    assert pairs_of(one.session) == pairs_of(two.session)
    assert len(one.session.store.answers()) == 1
    assert "another window" in two.note
    one.refresh()
    assert one.question == two.question


def test_undo_leaves_finished_rounds_and_other_people_alone(tmp_path, items):
    session = started(tmp_path, items)
    LabellingState(session, who="anna").answer(1, "same")
    state = LabellingState(session, who="me")
    assert not state.undo(state.turn)
    oracle = label_oracle(items)
    for question in session.questions():
        session.answer(question, oracle(question), who="me", seconds=1.0)
    session.train()
    state.refresh()
    assert not state.undo(state.turn)
    assert "finished round" in state.note
    row = state.view()["recent"][0]["row"]
    assert state.revise(row, "unsure")
    assert state.view()["recent"][0]["value"] == "unsure"


def test_a_contradiction_shows_its_chain_and_stores_nothing(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    a, b = state.question.keys
    other = next(key for key in items.keys if key not in (a, b))
    rows = [
        session.store.add("pair", (a, other), "same", who="anna", seconds=1.0),
        session.store.add("pair", (other, b), "same", who="anna", seconds=1.0),
    ]
    turn = state.turn
    assert state.answer(turn, "different")
    view = state.view()
    assert [one["row"] for one in view["conflict"]["chain"]] == rows
    assert [one["keys"] for one in view["conflict"]["chain"]] == [[a, other], [other, b]]
    assert view["conflict"]["keys"] == [a, b]
    assert len(session.store.answers()) == 2
    assert not state.answer(turn, "different")  # until the person decides
    assert not state.answer(state.turn, "same")

    assert state.revise(rows[1], "different")
    assert state.conflict is None
    values = {answer.keys: answer.value for answer in session.store.answers()}
    assert values[tuple(sorted((a, b)))] == "different"
    assert values[tuple(sorted((other, b)))] == "different"
    assert state.question.keys != (a, b)


def test_a_contradicting_answer_can_be_taken_back(tmp_path, items):
    session = started(tmp_path, items)
    state = LabellingState(session, who="me")
    question = state.question
    for key in question.keys:
        session.store.add("class", (key,), 3, who="anna", seconds=1.0)
    state.answer(state.turn, "different")
    assert state.conflict is not None
    stale = state.turn
    assert state.drop(state.turn)
    assert not state.drop(stale)
    assert state.question == question
    assert state.conflict is None
    assert len(session.store.answers()) == 2


def test_a_revision_that_contradicts_changes_nothing(tmp_path, items):
    session = started(tmp_path, items)
    a, b, c = items.keys[:3]
    pairs = (a, b), (b, c), (a, c)
    rows = [session.store.add("pair", pair, "same", who="me", seconds=1.0) for pair in pairs]
    state = LabellingState(session, who="me")
    assert not state.revise(rows[2], "different")
    assert "contradicts" in state.note
    assert [answer.value for answer in session.store.answers()] == ["same"] * 3


def test_class_mode_asks_one_item_of_the_pair_and_takes_new_classes(tmp_path, items):
    session = started(tmp_path, items, CLASSES)
    state = LabellingState(session, who="me")
    pair = session.propose().pairs[0]
    view = state.view()
    assert view["kind"] == "class"
    assert [(item["key"], item["asked"]) for item in view["items"]] == [(pair[0], True), (pair[1], False)]
    odd = '<script>alert("x")</script> 数字 # % \''
    state.answer(state.turn, odd)
    view = state.view()
    assert view["items"][0]["said"] == odd
    assert view["classes"][-1] == {"name": odd, "key": "", "likely": None}
    assert [item["asked"] for item in view["items"]] == [False, True]
    assert (view["left"], view["asked"]) == (7, 8)


def test_several_classes_for_multi_label_items(tmp_path):
    labels = np.eye(80, 3, dtype=bool)
    items = arrays(np.random.default_rng(0).normal(size=(80, 30)), labels, queries=0, seed=0)
    session = started(tmp_path, items, CLASSES)
    state = LabellingState(session, who="me")
    assert state.view()["several"]
    state.answer(state.turn, ["sky", "sea"])
    assert session.store.answers()[0].value == ("sky", "sea")


def test_an_empty_class_is_refused_with_a_reason(tmp_path, items):
    state = LabellingState(started(tmp_path, items, CLASSES), who="me")
    with pytest.raises(StoreError, match="class"):
        state.answer(state.turn, "")


def test_items_without_pictures_show_features_and_known_neighbours(tmp_path):
    rng = np.random.default_rng(0)
    items = arrays(rng.normal(size=(80, 100)), keys=[f"item {i}" for i in range(80)], queries=0, seed=0)
    session = started(tmp_path, items, CLASSES)
    state = LabellingState(session, who="me")
    first = state.question.keys[0]
    state.answer(state.turn, "red")
    asked = next(item for item in state.view()["items"] if item["asked"])
    assert not asked["pictured"]
    assert len(asked["profile"]) == 64
    assert max(map(abs, asked["profile"])) == 1
    assert [one["key"] for one in asked["near"]] == [first]
    assert asked["near"][0]["said"] == "red"


def test_counts_against_the_budget_and_pairs_implied(tmp_path, items):
    settings = replace(QUICK, budget_answers=20)
    session = started(tmp_path, items, settings)
    state = LabellingState(session, who="me")
    a, b, c = items.keys[:3]
    session.store.add("pair", (a, b), "same", who="me", seconds=1.0)
    session.store.add("pair", (b, c), "same", who="me", seconds=1.0)
    assert state.counts() == {
        "items": 3, "answers": 2, "implied": 1, "budget_items": None, "budget_answers": 20,
        "pace": None,
    }  # fmt: skip
    session.store.add("pair", (a, b), "same", who="bo", seconds=1.0)  # asked twice is one pair
    assert state.counts()["implied"] == 1


def test_why_there_is_no_question(tmp_path, items):
    session = ActiveSession(tmp_path, items, replace(QUICK, budget_answers=4))
    state = LabellingState(session, who="me")
    assert "round 0" in state.closed
    session.train()
    state.refresh()
    assert state.closed is None
    while state.question is not None:
        state.answer(state.turn, "unsure")
    assert "Every question of round 1" in state.closed
    session.train()
    state.refresh()
    assert "budget is spent" in state.closed
    state.paused = "Round 2 is being trained."
    state.refresh()
    assert state.closed == "Round 2 is being trained."


def test_reasons_are_the_terms_distance_and_probability(tmp_path, items):
    session = started(tmp_path, items)
    reasons = Reasons(session)
    proposal, codes = session.propose(), session.codes()
    for question in session.questions():
        why = reasons(question)
        a, b = (items.keys.index(key) for key in question.keys)
        assert why["distance"] == (codes[a] != codes[b]).sum()
        assert 0 <= why["probability"] <= 1
        assert not why["fitted"]
        assert [term["name"] for term in why["terms"]] == ["uncertainty", "representativeness", "diversity"]
        for term in why["terms"]:
            assert term["cost"] == round(proposal.scores[term["name"]][question.pick], 4)
            assert 0 <= term["share"] <= 1
    best = min(range(4), key=lambda i: proposal.scores["diversity"][i])
    assert reasons(session.questions()[best])["terms"][2]["share"] == 1


def test_digit_keys_stay_with_their_classes():
    before = class_keys(["cat", "dog"])
    after = class_keys(["cat", "dog", "emu"])
    assert after[:2] == before
    assert [one["key"] for one in class_keys([str(i) for i in range(12)])] == [*"0123456789", "", ""]


def test_likely_classes_come_first_and_of_many_they_have_the_digits():
    few = class_keys(["cat", "dog", "emu"], {"emu": 0.7, "cat": 0.3})
    assert [(one["name"], one["key"]) for one in few] == [("emu", "3"), ("cat", "1"), ("dog", "2")]
    many = class_keys([f"class {i}" for i in range(30)], {"class 20": 0.9, "class 5": 0.1})
    assert [one["name"] for one in many[:3]] == ["class 20", "class 5", "class 0"]
    assert [one["key"] for one in many] == [*"1234567890", *[""] * 20]


def test_the_state_loads_without_torch_and_without_ipywidgets():
    code = (
        "import sys, widgets.labeller.state;"
        "bad = {'torch', 'ipywidgets', 'anywidget', 'IPython'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_where_items_are_placed_each_answer_leads_to_the_next_question(tmp_path, items):
    session = started(tmp_path, items, PLACING)
    state = LabellingState(session, who="me", explain=Reasons(session))
    oracle, seen = label_oracle(items), []
    for left in (4, 3, 2, 1):
        view = state.view()
        assert (view["left"], view["asked"]) == (left, 4)
        assert [item["key"] for item in view["items"]] == list(state.question.keys)
        assert view["why"]["placed"]
        assert 0 <= view["why"]["pick"] <= view["why"]["picks"]
        seen.append(state.question)
        state.answer(state.turn, oracle(state.question))
    assert len(set(seen)) == 4
    assert "Every question of round 1" in state.closed
    assert (state.view()["left"], state.view()["asked"]) == (0, 4)
    assert state.undo(state.turn)
    assert state.question == seen[3]


def test_where_items_are_placed_a_skipped_one_waits_and_stays_so_after_a_restart(tmp_path, items):
    state = LabellingState(started(tmp_path, items, PLACING), who="me")
    first = state.question
    state.skip(state.turn)
    second = state.question
    assert first.keys[0] not in second.keys
    assert state.view()["left"] == 4
    again = LabellingState(started(tmp_path, items, PLACING), who="me")
    assert again.question == second
    assert again.undo(again.turn) is False  # a restart forgets who skipped, not what
    assert state.undo(state.turn)
    assert state.question == first
    names = []
    for _ in range(8):
        names.append(state.question.id)
        state.skip(state.turn)
    assert names[:4] == names[4:]
