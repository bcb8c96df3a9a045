"""The session is the door: what is asked of it needs no file, is read once, and is checked by itself."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.closure import Contradiction
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.session.active import ActiveSession
from tests.given import TINY, played, tiny_items

# Asked as they were chosen, so known beforehand.
PAIRS = replace(TINY, question="pairs", picks=12, reading="published", method="dpsh")


@pytest.fixture(scope="module")
def items():
    return tiny_items()


@pytest.fixture
def reads(monkeypatch):
    """How often each file below a run was read, by its name."""
    counted = Counter()
    whole = Path.read_bytes

    def read(path):
        counted[path.name] += 1
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return counted


def test_a_round_is_read_once(tmp_path, items, reads):
    played(tmp_path, items, 3).store.close()
    session = ActiveSession(tmp_path, items)
    reads.clear()
    for _ in range(3):
        assert session.round == len(session.history) == 3
        for number in (1, 2):
            assert session.codes(number).shape == (items.n, 8)
            assert session.index(number) is session.index(number)
        assert session.outputs(2) is session.outputs()
    assert reads == {"codes.npy": 2, "weights.safetensors": 1}
    session.codes()[:] = 0
    session.history.clear()
    assert abs(session.codes()).min() == 1
    assert session.round == 3
    for number in (0, 1, 2):
        session.index(number)
    assert len(session._indexes) == 2  # to compare two rounds, not to keep all


def test_a_second_session_learns_of_a_round_where_it_acts(tmp_path, items):
    session, other = played(tmp_path, items, 2), ActiveSession(tmp_path, items)
    watching = ActiveSession(tmp_path, items, read_only=True)
    session.run_round(label_oracle(items))
    assert other.round == watching.round == len(other.history) == 2
    assert other.refresh() == watching.refresh() == 3
    assert other.history == watching.history == session.history
    assert (other.codes() == session.codes()).all()
    session.run_round(label_oracle(items))
    asked = session.questions()
    assert other.round == 3
    assert other.answer(asked[0], "0", who="anna", seconds=1.0) == session.answers()[-1].id
    assert other.round == 4  # the question is of a round that it had not seen
    assert other.questions() == asked[1:]
    session.train(partial=True)
    assert other.train(partial=True)["round"] == 5
    assert [row["round"] for row in session.history] == [0, 1, 2, 3, 4]
    session.note("table", {})  # and rounds that somebody else has finished stay in the summary
    assert len(ActiveSession(tmp_path, items).history) == session.round == 6


def test_picks_of_every_round_are_told(tmp_path, items):
    session = played(tmp_path, items, 3)
    assert [proposal.round for proposal in session.proposals()] == [1, 2]
    chosen = session.propose()
    assert session.proposals() == [session.proposal(1), session.proposal(2), chosen]
    assert ActiveSession(tmp_path, items).proposals() == session.proposals()
    assert len(chosen.questions("classes")) == 2 * len(chosen.questions("pairs")) == 6


def test_an_answer_that_is_retracted_opens_its_question(tmp_path, items):
    session = played(tmp_path, items, 1, PAIRS)
    question = session.questions()[0]
    row = session.answer(question, "same", who="me", seconds=1.0)
    row = session.revise(row, "different", who="me")
    assert session.counts()["answers"] == 1
    session.retract(row, who="me")
    assert not session.answers()
    assert session.counts()["pairs_dissimilar"] == 0
    assert session.questions()[0] == question
    session.answer(question, "same", who="me", seconds=1.0)
    with pytest.raises(StoreError, match="must be an answer that counts"):
        session.retract(row, who="me")


def test_undo_redo_and_revise_check_for_contradictions_themselves(tmp_path, items):
    session = played(tmp_path, items, 1, PAIRS)
    a, b, c = (items.keys[i] for i in session.items.splits["train"][:3])
    rows = [session.store.add("pair", pair, "same", who="me", seconds=1.0) for pair in ((a, b), (b, c))]
    third = session.store.add("pair", (a, c), "same", who="me", seconds=1.0)
    with pytest.raises(Contradiction) as caught:
        session.revise(third, "different", who="me")
    assert [answer.id for answer in caught.value.chain] == rows
    assert session.undo(who="nobody") is None
    assert session.undo(who="me") == third
    assert session.counts()["answers"] == 2
    other = session.store.add("pair", (c, a), "different", who="anna", seconds=1.0)
    with pytest.raises(Contradiction):
        session.redo(who="me")  # the store alone would have let it count, next to its contrary
    assert [answer.id for answer in session.answers()] == [*rows, other]
    with pytest.raises(Contradiction):
        session.counts()  # anna's went past the door: whoever writes by hand sees to it himself
    assert session.undo(who="anna") == other
    assert session.redo(who="me") is not None
    assert session.counts() == {"items_labelled": 3, "answers": 3, "pairs_similar": 3, "pairs_dissimilar": 0}
    revised = session.revise(rows[0], "unsure", who="me")
    assert [answer.value for answer in session.answers() if answer.id == revised] == ["unsure"]
    with pytest.raises(StoreError, match="must be an answer that counts"):
        session.revise(rows[0], "same", who="me")
    assert session.undo() == revised
    assert session.answers()[0].value == "same"


STEPS = st.lists(
    st.tuples(st.sampled_from(["answer", "undo", "redo", "revise"]), st.integers(0, 99)), max_size=20
)


@pytest.mark.parametrize("question", ["pairs", "classes"])
@pytest.mark.parametrize("several", [False, True])
def test_counts_of_now_are_those_of_listing_all_pairs(tmp_path, question, several):
    points = np.repeat(np.random.default_rng(0).normal(size=(15, 4)).astype(np.float32), 2, axis=0)
    labels = np.arange(30) // 2 % 3
    several_of = np.eye(3, dtype=bool)[labels] | (labels == 0)[:, None]
    items = arrays(points, several_of if several else labels, queries=4, seed=0)
    session = played(tmp_path, items, 1, replace(PAIRS, question=question, acquisition="random"))
    asked = session.questions()
    said = (
        ["same", "different", "unsure"]
        if question == "pairs"
        else [["0", "1"], ["2"], "(none)"]
        if several
        else ["0", "1", "2"]
    )

    @given(STEPS)
    @settings(max_examples=15, deadline=None)
    def follow(steps):
        for step, i in steps:
            answers = session.answers()
            try:
                if step == "answer":
                    session.answer(asked[i % len(asked)], said[i % 3], who="me", seconds=0.0)
                elif step == "revise" and answers:
                    session.revise(answers[i % len(answers)].id, said[i % 3], who="me")
                elif step in ("undo", "redo"):
                    getattr(session, step)(who="me")
            except Contradiction:
                assert session.answers() == answers
            assert session.counts() == listed(session) == session.counts(session.snapshot())

    follow()


def listed(session):
    snapshot = session.snapshot()
    known = snapshot.relations(*np.triu_indices(session.items.n, 1))
    return {
        "items_labelled": len(snapshot.answered),
        "answers": len(snapshot.answers),
        "pairs_similar": int((known == 1).sum()),
        "pairs_dissimilar": int((known == -1).sum()),
    }


def test_skipped_questions_are_kept_by_name(tmp_path, items):
    session = played(tmp_path, items, 1)
    assert session.skipped == []
    names = [question.id for question in session.questions()[:2]]
    session.skip(names)
    assert ActiveSession(tmp_path, items, read_only=True).skipped == names
    session.folder.write_json("skipped.json", {"questions": 7})
    assert session.skipped == []


def test_a_run_beside_another_tells_its_rounds(tmp_path, items):
    session = played(tmp_path / "one", items, 2)
    other = played(tmp_path / "two", items, 3, replace(TINY, acquisition="random"))
    assert session.history_beside("two") == other.history
    assert session.history_beside("three") == []
    assert session.runs_beside() == ["one", "two"]
    assert (session.name, other.name) == ("one", "two")
