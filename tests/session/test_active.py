"""The active session on real digits: the loop, the budgets, and what survives a kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.questions import NoAnswer, csv_source, label_oracle
from dhaps_core.data.sources import arrays, digits
from dhaps_core.hashing.training import Cancelled, TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.given import DEVICE, TINY, played, tiny_items

TRAINING = TrainingSettings(least=20, most=20, batch=64, unlabelled_batch=64)
QUICK = Settings(method="dpsh", reading="closed", picks=4, bits=16, hidden=32, training=TRAINING)


@pytest.fixture(scope="module")
def items():
    return digits(seed=0)


def numbers(row):
    """A metrics row without what a clock measured."""
    return {name: value for name, value in row.items() if name != "seconds"}


def play(folder, items, settings, rounds, source=None):
    session = ActiveSession(folder, items, settings, device=str(DEVICE))
    while session.round < rounds:
        session.run_round(source or label_oracle(items))
    return session


def test_a_run_counts_both_budgets_and_evaluates(tmp_path, items):
    session = play(tmp_path, items, QUICK, 3)
    assert [row["items_labelled"] for row in session.history] == [0, 8, 16]
    assert [row["answers"] for row in session.history] == [0, 8, 16]
    for row in session.history:
        assert 0.1 < row["mAP@all"] < 1
        assert row["overlap"] == 0
        assert row["database"] == len(items.splits["database"])
        assert list(row["precision_at"])[:3] == ["1", "2", "5"]
    pairs = session.history[-1]
    assert pairs["pairs_similar"] + pairs["pairs_dissimilar"] == 16 * 15 // 2
    summary = json.loads((tmp_path / "metrics.json").read_text())
    assert summary["protocol"] == items.protocol
    assert [row["round"] for row in summary["rounds"]] == [0, 1, 2]


def test_labels_that_are_there_already_train_beside_the_chosen_ones(tmp_path, items):
    session = play(tmp_path, items, QUICK, 1)
    there = [items.keys[i] for i in items.splits["train"][:31]]
    assert session.answer_items(there, label_oracle(items)) == 31
    assert session.answer_items(there, label_oracle(items)) == 0
    row = session.run_round(label_oracle(items))
    assert 31 < row["items_labelled"] <= 31 + 8
    query = items.keys[items.splits["query"][0]]
    for strange in (query, "nobody"):
        with pytest.raises(KeyError, match=f"training items, never of queries; got '{strange}' and 0 more"):
            session.answer_items([strange], label_oracle(items))


def test_a_run_that_cannot_be_leaves_its_folder_to_another(tmp_path):
    embeddings = arrays(np.eye(12), np.arange(12) % 2, queries=2, seed=0)
    with pytest.raises(ValueError, match="items must have images; got features only"):
        ActiveSession(tmp_path, embeddings, replace(QUICK, side=8))
    assert ActiveSession(tmp_path, embeddings, QUICK).round == 0


def test_labels_that_are_there_train_without_any_pair_chosen(tmp_path, items):
    session = play(tmp_path, items, QUICK, 1)
    session.answer_items([items.keys[i] for i in items.splits["train"][:20]], label_oracle(items))
    row = session.train(partial=True)
    assert row["items_labelled"] == 20
    assert "select" not in row["seconds"]


def test_every_item_of_a_pool_of_odd_size_can_be_labelled(tmp_path, items):
    pool = [items.keys[i] for i in items.splits["train"]]
    assert len(pool) % 2 == 1
    session = play(tmp_path, items, replace(QUICK, budget_items=len(pool), acquisition="random"), 1)
    session.answer_items(pool, label_oracle(items))
    assert session.train()["items_labelled"] == len(pool)
    assert session.finished == "the budget is spent"


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "cpu:no"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path, items, device):
    with pytest.raises(ValueError, match=f"device must be one that torch can use here; got '{device}'"):
        ActiveSession(tmp_path / "run", items, QUICK, device=device)
    assert not (tmp_path / "run").exists()


def test_picks_carry_terms_and_a_certificate(tmp_path, items):
    session = play(tmp_path, items, QUICK, 1)
    proposal = session.propose()
    assert len(proposal.pairs) == 4
    assert proposal.certificate["exact"]
    terms = np.array([proposal.scores[name] for name in ("uncertainty", "representativeness", "diversity")])
    np.testing.assert_allclose(terms.sum(0), proposal.scores["total"], rtol=1e-5, atol=1e-6)
    pool = {items.keys[i] for i in items.splits["train"]}
    assert {key for pair in proposal.pairs for key in pair} <= pool


@pytest.mark.parametrize("question", ["classes", "pairs"])
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_the_same_seed_gives_the_same_run(tmp_path, items, question, reading):
    settings = replace(QUICK, question=question, reading=reading, space="codes")
    a, b = (play(tmp_path / name, items, settings, 3) for name in "ab")
    assert [numbers(row) for row in a.history] == [numbers(row) for row in b.history]
    assert a.propose().pairs == b.propose().pairs
    c = play(tmp_path / "c", items, replace(settings, seed=1), 3)
    assert numbers(c.history[-1]) != numbers(a.history[-1])


def test_reopened_it_asks_the_same_next_question_and_ends_with_the_same_numbers(tmp_path, items):
    whole = play(tmp_path / "whole", items, QUICK, 3)
    oracle = label_oracle(items)
    for _ in range(60):  # a new session for every single step, as if killed after each
        session = ActiveSession(tmp_path / "broken", items, QUICK)
        if session.round == 3:
            break
        questions = session.questions() if session.round else []
        if questions:
            again = ActiveSession(tmp_path / "broken", items)
            assert again.questions() == questions
            again.answer(questions[0], oracle(questions[0]), who="oracle", seconds=0.0)
        else:
            session.train()
    assert [numbers(r) for r in session.history] == [numbers(r) for r in whole.history]
    assert (session.codes() == whole.codes()).all()


KILLED = """
import sys
from dhaps_core.data.sources import digits
from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from dhaps_core.hashing.training_settings import TrainingSettings
training = TrainingSettings(least=20, most=20, batch=64, unlabelled_batch=64)
items = digits(seed=0)
made = Settings(method="dpsh", reading="closed", picks=4, bits=16, hidden=32, training=training)
session = ActiveSession(sys.argv[1], items, made)
stop = int(sys.argv[2])
def progress(step, steps, loss):
    if session.round == 1 and step == stop:
        print("training", flush=True)
        sys.stdin.read()
while session.round < 3:
    session.run_round(label_oracle(items), progress=progress)
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_training_nothing_is_lost(tmp_path, items):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), "10"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    assert process.stdout.readline() == b"training\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    session = ActiveSession(tmp_path / "killed", items)
    assert session.round == 1
    assert session.counts()["answers"] == 8
    assert session.questions() == []
    while session.round < 3:
        session.run_round(label_oracle(items))
    whole = play(tmp_path / "whole", items, QUICK, 3)
    assert [numbers(r) for r in session.history] == [numbers(r) for r in whole.history]


def test_cancelled_training_leaves_the_round_as_it_was(tmp_path, items):
    session = play(tmp_path, items, QUICK, 1)
    session.answer_all(label_oracle(items))
    with pytest.raises(Cancelled):
        session.train(progress=lambda *_: True)
    assert session.round == 1
    assert session.train()["items_labelled"] == 8


def test_a_late_or_double_answer_never_lands_on_another_pair(tmp_path, items):
    session = play(tmp_path, items, replace(QUICK, question="pairs", reading="published"), 1)
    first, second = session.questions()[:2]
    row = session.answer(first, "different", who="anna", seconds=1.0)
    assert session.answer(first, "same", who="anna", seconds=1.0) == row
    assert [answer.value for answer in session.store.answers()] == ["different"]
    assert session.questions()[0] == second


def test_contradictions_are_refused_with_their_chain(tmp_path, items):
    session = play(tmp_path, items, replace(QUICK, question="pairs"), 1)
    question = session.questions()[0]
    a, b = question.keys
    for key in (a, b):
        session.store.add("class", (key,), 3, who="anna", seconds=1.0, check=session.closure.update)
    with pytest.raises(Contradiction) as caught:
        session.answer(question, "different", who="anna", seconds=1.0)
    assert {answer.keys[0] for answer in caught.value.chain} == {a, b}
    assert len(session.store.answers()) == 2


def test_budgets_stop_the_run(tmp_path, items):
    session = play(tmp_path / "items", items, replace(QUICK, budget_items=13), 3)
    assert session.history[-1]["items_labelled"] == 12
    assert session.finished == "the budget is spent"
    assert session.questions() == []
    session = play(tmp_path / "answers", items, replace(QUICK, question="pairs", budget_answers=5), 3)
    assert session.history[-1]["answers"] == 5
    assert session.finished == "the budget is spent"


@pytest.mark.parametrize(
    "changes", [{"reading": "closed"}, {"question": "pairs", "reading": "published", "picks": 6}]
)
@pytest.mark.parametrize("budget", ["budget_answers", "budget_items"])
def test_what_was_named_since_the_choice_counts_against_the_budget(tmp_path, changes, budget):
    session = played(tmp_path, tiny_items(), 1, replace(TINY, **{budget: 12}, **changes))
    chosen = {key for pair in session.propose().pairs for key in pair}
    each = len(session.questions()[0].keys) if budget == "budget_items" else 1
    others = [key for key in session.picker.place if key not in chosen]
    for named in (4, 8):
        session.name_items(others[:named], "cat", who="anna")
        assert len(session.questions()) == session.left == min(6, (12 - named) // each)
        assert len(session.meanwhile(1)) == session.left
    for question in session.questions():
        session.answer(question, "dog" if question.kind == "class" else "different", who="anna", seconds=1.0)
    assert session.questions() == []
    session.train()
    assert session.history[-1]["answers" if budget == "budget_answers" else "items_labelled"] == 12
    assert session.finished == "the budget is spent"


@pytest.mark.parametrize("question", ["classes", "pairs"])
def test_rounds_of_a_schedule_end_at_its_budgets_also_when_reopened(tmp_path, items, question):
    per_pick = {"classes": 2, "pairs": 1}[question]
    settings = replace(
        QUICK, question=question, method="pts3h", acquisition="random", schedule=(5, 5, 10),
        budget_answers=24 * per_pick,
    )  # fmt: skip
    play(tmp_path, items, settings, 3)
    session = play(tmp_path, items, settings, 4)
    while session.finished is None:
        session.run_round(label_oracle(items))
    assert [row["answers"] for row in session.history] == [n * per_pick for n in (0, 5, 10, 20, 24)]
    assert session.finished == "the budget is spent"


@pytest.mark.parametrize("question", ["classes", "pairs"])
@pytest.mark.parametrize("acquisition", ["dhaps", "random"])
def test_when_every_pair_is_answered_it_says_so(tmp_path, acquisition, question):
    generator = np.random.default_rng(0)
    labels = np.arange(9) % 3
    tiny = arrays(generator.normal(size=(9, 4)) + 3 * labels[:, None], labels, queries=3, seed=0)
    settings = replace(QUICK, acquisition=acquisition, question=question, picks=5)
    session = ActiveSession(tmp_path, tiny, settings)
    for _ in range(20):
        if session.finished:
            break
        session.run_round(label_oracle(tiny))
    assert session.finished == "every pair is answered or implied"
    assert len(session.items.splits["train"]) == 6
    counts = session.counts()
    assert counts["pairs_similar"] + counts["pairs_dissimilar"] == 15
    assert counts["answers"] <= (6 if question == "classes" else 15)


def test_exact_duplicates_are_asked_once(tmp_path):
    generator = np.random.default_rng(0)
    points = np.repeat(generator.normal(size=(6, 4)), 2, axis=0)
    items = arrays(points, queries=0, seed=0)
    session = play(tmp_path, items, replace(QUICK, picks=6), 1, source=lambda _: "x")
    picked = [int(key) for pair in session.propose().pairs for key in pair]
    assert len(picked) == 6
    assert len({key // 2 for key in picked}) == 6


def test_items_without_labels_or_queries_run_and_report_no_metric(tmp_path):
    items = arrays(np.random.default_rng(0).normal(size=(30, 4)), queries=0, seed=0)
    with pytest.raises(NoAnswer, match="needs labelled items"):
        label_oracle(items)
    session = play(tmp_path, items, QUICK, 2, source=lambda question: int(question.keys[0]) % 3)
    assert session.history[-1]["items_labelled"] == 8
    assert "mAP@all" not in session.history[-1]
    keys, distances = session.index().search(session.codes()[:1], 3)
    assert keys[0][0] == "0" or distances[0][0] == 0


def test_a_csv_of_answers_replays_the_run(tmp_path, items):
    first = play(tmp_path / "live", items, QUICK, 3)
    first.store.export_csv(tmp_path / "answers.csv")
    second = play(tmp_path / "replayed", items, QUICK, 3, source=csv_source(tmp_path / "answers.csv"))
    assert [numbers(r) for r in second.history] == [numbers(r) for r in first.history]
    assert [(a.keys, a.value) for a in second.store.answers()] == [
        (a.keys, a.value) for a in first.store.answers()
    ]
    with pytest.raises(NoAnswer, match="must answer every question; got none on class"):
        second.answer_all(csv_source(tmp_path / "answers.csv"))


def test_unsure_is_not_asked_again_and_supervises_nothing(tmp_path, items):
    session = play(tmp_path, items, replace(QUICK, question="pairs"), 2, source=lambda _: "unsure")
    row = session.history[-1]
    assert (row["answers"], row["items_labelled"], row["pairs_similar"]) == (4, 0, 0)
    asked = {answer.keys for answer in session.store.answers()}
    assert not asked & {tuple(sorted(pair)) for pair in session.propose().pairs}


def test_a_folder_belongs_to_its_items_and_settings(tmp_path, items):
    play(tmp_path, items, QUICK, 1)
    with pytest.raises(ValueError, match=r"settings of a run must stay; got .*'bits': \(16, 24\)"):
        ActiveSession(tmp_path, items, replace(QUICK, bits=24))
    with pytest.raises(ValueError, match="items must be those that the splits"):
        ActiveSession(tmp_path, arrays(np.eye(5), queries=0, seed=0))
    # The splits are those of the run, whatever the seed of a later draw.
    again = ActiveSession(tmp_path, digits(seed=5))
    assert (again.items.splits["query"] == items.splits["query"]).all()


def test_questions_need_answers_before_training(tmp_path, items):
    session = ActiveSession(tmp_path, items, QUICK)
    with pytest.raises(ValueError, match="picks need codes; got a run without its unsupervised start"):
        session.propose()
    session.train()
    with pytest.raises(ValueError, match="all questions of round 1 must be answered; got 8 open"):
        session.train()
    assert session.train(partial=True)["items_labelled"] == 0


def test_settings_round_trip_and_refuse_what_is_unknown():
    settings = replace(QUICK, weights=None, reading="published")
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    with pytest.raises(ValueError, match="must be known names; got bit"):
        Settings.from_json(settings.to_json() | {"bit": 3})
    with pytest.raises(ValueError, match="bits must be at least 1; got 0"):
        replace(QUICK, bits=0)
    with pytest.raises(ValueError, match="method must be one of"):
        replace(QUICK, method="magic")
