"""Who answers: a question's name holds its keys; no oracle answers as a person, or what one was asked."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.csv_file import read_csv
from dhaps_core.answers.questions import (
    PersonAsked,
    Question,
    Source,
    csv_source,
    label_oracle,
    question_name,
    round_of,
)
from dhaps_core.data.sources import arrays
from dhaps_core.find.loaded import load
from dhaps_core.pairs import median_bandwidth
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import RunRepaired
from tests.given import TINY, played, tiny_items

PAIRS = replace(TINY, question="pairs", reading="published")  # asked as they were chosen


@pytest.fixture(scope="module")
def items():
    return tiny_items()


def by_hand(session, oracle, most, who="me"):
    for question in session.questions()[:most]:
        session.answer(question, oracle(question), who=who, seconds=2.0)


@pytest.mark.parametrize("settings", [TINY, PAIRS])
def test_an_oracle_leaves_a_round_that_a_person_has_half_answered(tmp_path, items, settings):
    session, oracle = played(tmp_path, items, 1, settings), label_oracle(items)
    by_hand(session, oracle, 2)
    left = session.questions()
    for attempt in (
        lambda: session.answer_all(oracle),
        lambda: session.run_round(oracle),
        lambda: session.answer_all(oracle, handed_over=True),
        lambda: ActiveSession(tmp_path, items).run_round(oracle.answer, who="a script"),
    ):
        with pytest.raises(
            PersonAsked, match=rf"that me was asked must be left .+; {len(left)} of round 1 are"
        ):
            attempt()
    assert session.questions() == left
    assert {answer.who for answer in session.store.answers()} == {"me"}
    assert session.reserved.startswith("questions that me was asked")
    by_hand(session, oracle, None)
    assert session.reserved is None
    assert session.train()["round"] == 1
    assert session.run_round(oracle)["round"] == 2


def test_questions_that_a_card_has_shown_are_left_to_who_saw_them(tmp_path, items):
    session, oracle = played(tmp_path, items, 1), label_oracle(items)
    session.show_questions("anna")
    with pytest.raises(PersonAsked, match="that anna was asked"):
        session.run_round(oracle)
    asked = session.questions()
    with pytest.raises(PersonAsked):
        session.answer_items([asked[0].keys[0]], oracle)
    others = [items.keys[i] for i in items.splits["train"] if (items.keys[i],) not in [q.keys for q in asked]]
    assert session.answer_items(others[:3], oracle) == 3
    assert session.questions() == asked
    assert session.answer_all(oracle, handed_over=True) == len(asked)  # by a switch of the person's own
    assert session.train()["round"] == 1
    assert session.run_round(oracle)["round"] == 2  # nobody has seen these


def test_a_person_who_answers_while_the_oracle_does_keeps_the_round(tmp_path, items):
    session, oracle = played(tmp_path, items, 1), label_oracle(items)
    first = session.questions()[0]

    def slow(question):
        if question == session.questions()[0]:
            session.answer(first, oracle(first), who="me", seconds=1.0)
        return oracle(question)

    with pytest.raises(PersonAsked):
        session.answer_all(Source("oracle", slow))
    assert [answer.who for answer in session.store.answers()] == ["me"]


def test_a_source_answers_under_its_own_name_only(tmp_path, items):
    session, oracle = played(tmp_path / "a", items, 1), label_oracle(items)
    for call in (
        session.run_round,
        session.answer_all,
        lambda source, who: session.answer_items(["0"], source, who=who),
    ):
        with pytest.raises(
            ValueError, match="a source must answer under its own name, 'oracle'; got who='me'"
        ):
            call(oracle, who="me")
    assert session.store.answers() == []
    session.run_round(oracle)
    assert {answer.who for answer in session.store.answers()} == {"oracle"}
    session.store.export_csv(tmp_path / "by anna.csv")
    other = played(tmp_path / "b", items, 1)
    other.run_round(csv_source(tmp_path / "by anna.csv"))
    assert {answer.who for answer in other.store.answers()} == {"csv:by anna.csv"}


def test_answers_stay_with_their_pairs_when_the_picks_are_lost(tmp_path, items):
    session, oracle = played(tmp_path, items, 1, replace(PAIRS, acquisition="random")), label_oracle(items)
    by_hand(session, oracle, 2)
    answered = {answer.keys for answer in session.store.answers()}
    (tmp_path / "round-001" / "picks.json").unlink()
    again = ActiveSession(tmp_path, items)
    with pytest.warns(RunRepaired, match=r"picks\.json was missing, though 2 of its questions are answered"):
        again.propose()
    pairs = {tuple(sorted(pair)) for pair in again.propose().pairs}
    asked = {tuple(sorted(question.keys)) for question in again.questions()}
    assert asked == pairs - answered
    assert len(asked) == 3
    by_hand(again, oracle, None)
    assert len(again.store.answers()) == 5
    assert again.questions() == []


def test_class_answers_stay_with_their_items_when_the_picks_are_lost(tmp_path, items):
    session, oracle = played(tmp_path, items, 1), label_oracle(items)
    by_hand(session, oracle, 3)
    answered = {answer.keys for answer in session.store.answers()}
    (tmp_path / "round-001" / "picks.json").unlink()
    again = ActiveSession(tmp_path, items)
    with pytest.warns(RunRepaired, match="though 3 of its questions are answered"):
        again.propose()
    assert not answered & {question.keys for question in again.questions()}
    assert len(again.questions()) == 6


@pytest.mark.parametrize("settings", [TINY, PAIRS])
def test_answers_of_an_older_dhaps_count_for_what_they_were_about(tmp_path, items, settings):
    session, oracle = played(tmp_path, items, 1, settings), label_oracle(items)
    before = session.questions()
    for place, question in enumerate(before[:2]):
        old = f"1.{place}" if settings.question == "pairs" else f"1.0.{question.keys[0]}"
        value = oracle(question)
        if settings.question == "pairs":
            session.store.add("pair", question.keys, value, who="me", seconds=1.0, question=old)
        else:
            session.store.add("class", (question.keys[0],), value, who="me", seconds=1.0, question=old)
    assert session.questions() == before[2:]
    with pytest.raises(PersonAsked):
        session.answer_all(oracle)


def test_names_of_questions_are_equal_for_the_same_round_and_keys_only():
    keys = ['a", "b', "a", "b", "1.", '["a"]', "given.", "数字 5.png", ""]
    named = [question_name(number, chosen) for number in (None, 1, 11) for chosen in
             [(key,) for key in keys] + [(a, b) for a in keys for b in keys if a != b]]  # fmt: skip
    assert len(set(named)) == len(named)
    assert {round_of(name) for name in named} == {None, 1, 11}
    assert [round_of(old) for old in ("3.0", "3.1.a.jpg", "item.1.jpg", None, "")] == [3, 3, None, None, None]


def copies(n, distinct, d=4):
    points = np.random.default_rng(0).normal(size=(distinct, d)).astype(np.float32)
    return arrays(points[np.arange(n) % distinct], np.arange(n) % distinct % 2, queries=0, seed=0)


@pytest.mark.parametrize("question", ["classes", "pairs"])
def test_where_all_are_copies_the_end_says_so(tmp_path, question):
    session = ActiveSession(tmp_path, copies(12, 1), replace(TINY, question=question))
    session.train()
    assert session.finished == "fewer than two of the 12 items to choose from differ"
    assert session.counts()["answers"] == 0


def test_where_one_item_is_left_the_end_says_so(tmp_path):
    items = copies(5, 5)
    session = played(tmp_path, items, 2)
    assert session.counts()["items_labelled"] == 4
    assert session.finished == "one item is left without an answer, and a pair needs two that differ"


def test_where_the_last_pair_is_unsure_the_end_says_that_it_is_answered(tmp_path):
    items = copies(4, 2)
    session = ActiveSession(tmp_path, items, PAIRS)
    session.train()
    session.run_round(lambda _: "unsure")
    assert session.finished == "every pair is answered or implied"


def test_copies_outside_the_pool_do_not_keep_an_item_from_being_asked(tmp_path):
    generator = np.random.default_rng(0)
    points = np.repeat(generator.normal(size=(8, 4)).astype(np.float32), 2, axis=0)
    items = arrays(points, np.arange(16) // 2 % 2, queries=4, seed=0)
    pool = items.splits["train"]
    session = played(tmp_path, items, 1, replace(TINY, picks=8))
    asked = {points[items.keys.index(question.keys[0])].tobytes() for question in session.questions()}
    distinct = {points[i].tobytes() for i in pool}
    assert len(asked) == len(distinct) - len(distinct) % 2
    assert len(session.questions()) == len(asked)


@pytest.mark.parametrize("space", ["embeddings", "codes", "relaxed"])
@pytest.mark.parametrize("calibrated", [False, True])
def test_a_collapsed_network_goes_on(tmp_path, monkeypatch, items, space, calibrated):
    session = ActiveSession(tmp_path, items, replace(TINY, space=space, calibrated=calibrated))
    monkeypatch.setattr(session.model, "encode", lambda _: torch.ones(items.n, 8))
    session.train()
    assert len(session.propose().pairs) == 3
    assert session.run_round(label_oracle(items))["items_labelled"] == 6


def test_codes_that_are_equal_in_a_sample_but_not_all_have_a_bandwidth(tmp_path, items, monkeypatch):
    session = ActiveSession(tmp_path, items, replace(TINY, space="codes"))
    codes = torch.ones(items.n, 8)
    codes[items.splits["train"][0], :4] = -1
    monkeypatch.setattr(session.model, "encode", lambda _: codes)
    monkeypatch.setattr(
        "dhaps_core.acquisition.strategies.median_bandwidth", partial(median_bandwidth, sample=2)
    )
    session.train()
    assert len(session.propose().pairs) == 3


def test_an_export_is_of_one_round_and_says_what_it_holds(tmp_path, items):
    out = tmp_path / "result"
    short = played(tmp_path / "short", items, 3)
    longer = played(tmp_path / "longer", items, 2, replace(TINY, bits=16))
    for session, number in ((longer, 1), (short, 2)):
        session.export(out)
        found = load(out)
        assert found.index.keys == items.keys
        assert found.index.bits == session.settings.bits
        assert np.array_equal(found.index.codes(items.keys).numpy(), session.codes())
        told = [found.about[name] for name in ("run", "round", "bits", "answers")]
        assert told == [session.name, number, session.settings.bits, len(session.store.answers())]
        assert len(read_csv(out / "answers.csv")) == len(session.store.answers())
    with pytest.raises(ValueError, match="codes exist of finished rounds"):
        ActiveSession(tmp_path / "new", items, TINY).export(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_export_that_breaks_off_leaves_the_one_before(tmp_path, items, monkeypatch):
    session = played(tmp_path / "run", items, 1)
    out = session.export(tmp_path / "result")
    session.run_round(label_oracle(items))
    with monkeypatch.context() as broken:
        broken.setattr("dhaps_core.retrieval.index.HammingIndex.save", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            session.export(out)
    assert load(out).about["round"] == 0
    assert load(session.export(out)).about["round"] == 1


def test_an_export_removes_what_a_killed_one_left_and_nothing_else(tmp_path, items):
    session = played(tmp_path / "run", items, 1)
    out = session.export(tmp_path / "result")
    names = [f"{name}.{2**22 + 1}-0123abcd.new" for name in ("result.json", "answers.csv", "codes.npz")]
    for name in (*names, "mine.new", f"codes.npz.{os.getpid()}-0123abcd.new"):
        (out / name).write_text("half")
    session.export(out)
    left = sorted(path.name for path in out.rglob("*.new"))
    assert left == [f"codes.npz.{os.getpid()}-0123abcd.new", "mine.new"]


def test_copies_in_the_pool_inherit_answers_and_cost_the_budget_nothing(tmp_path):
    points = np.repeat(np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32), 2, axis=0)
    items = arrays(points, np.arange(20) // 2 % 2, queries=4, seed=0)
    session = played(tmp_path, items, 1, replace(TINY, picks=2))
    row = session.run_round(label_oracle(items))
    assert (row["items_labelled"], row["answers"]) == (4, 4)
    taught = session.snapshot().supervised
    assert len(taught) == 8
    assert not np.isin(taught, items.splits["query"]).any()


@pytest.mark.parametrize(
    ("name", "kind", "keys", "message"),
    [
        ("1", "class", ("nothing",), "items that the run trains on, never about queries; got 'nothing'"),
        ("1", "class", ("a query",), "never about queries"),
        ("1", "pair", ("a query", "train"), "never about queries"),
        ("1", "class", ("train", "train"), "the class of one item, or about a pair of two; got 'class' of 2"),
        ("1", "pair", ("train",), "'pair' of 1"),
        ('9.["1"]', "class", ("train",), "a question must be of round 1 or before; got one of round 9"),
    ],
)
def test_what_the_run_cannot_have_asked_is_not_answered(tmp_path, items, name, kind, keys, message):
    session = played(tmp_path, items, 1)
    known = {"a query": items.keys[items.splits["query"][0]], "train": items.keys[items.splits["train"][0]]}
    question = Question(name, kind, tuple(known.get(key, key) for key in keys), 0)
    with pytest.raises(ValueError, match=message):
        session.answer(question, "same" if kind == "pair" else "0", who="me", seconds=1.0)
    assert session.store.answers() == []


def test_a_text_is_no_list_of_items_to_be_named(tmp_path):
    session = played(tmp_path, tiny_items(), 1)
    one, other = (session.items.keys[row] for row in session.items.splits["train"][:2])
    for name in (
        lambda keys: session.name_items(keys, "cat", who="anna"),
        lambda keys: session.answer_items(keys, label_oracle(session.items)),
    ):
        with pytest.raises(ValueError, match="keys must be a list"):
            name(one + other)
    assert session.answers() == []


def test_no_class_is_no_answer_where_each_item_has_one(items, tmp_path):
    session = ActiveSession(tmp_path, items, TINY)
    session.train()
    first, second = session.questions()[:2]
    row = session.answer(first, "cat", who="me", seconds=1.0)
    told = "an item must have a class, as each item here has one"
    with pytest.raises(StoreError, match=told):
        session.answer(second, "(none)", who="me", seconds=1.0)
    with pytest.raises(StoreError, match=told):
        session.revise(row, "(none)", who="me")
    with pytest.raises(StoreError, match=told):
        session.rename_class("cat", "(none)", who="me")
    assert [one.classes for one in session.answers()] == [("cat",)]
