"""Questions while a round is trained: what is asked, what it counts for; rounds stay what they are."""

from dataclasses import replace

import pytest

from dhaps_core.answers.questions import label_oracle, round_of
from dhaps_core.data.sources import digits
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.errors import RunDamaged
from dhaps_core.session.proposals import AHEAD
from tests.given import BRIEF, played, training


@pytest.fixture(scope="module")
def items():
    return digits(seed=0)


def started(folder, items, settings=BRIEF):
    session = played(folder, items, 1, settings)
    session.choose_ahead()
    return session


def answer_all(session, items, questions):
    oracle = label_oracle(items)
    for question in questions:
        session.answer(question, oracle(question), who="me", seconds=1.0)


def test_while_a_round_is_trained_its_open_questions_come_first_and_then_as_many_chosen_ahead(
    tmp_path, items
):
    session = started(tmp_path, items)
    own = session.questions()
    asked = session.meanwhile(1)
    assert asked[:8] == own
    assert len(asked) == 16
    assert len({key for question in asked for key in question.keys}) == 16
    assert [question.pick for question in asked] == [i // 2 for i in range(16)]
    assert {round_of(question.id) for question in asked} == {1}
    assert session.pair_of(asked[8]) == session.ahead(1).pairs[0]
    assert session.pair_of(asked[1]) == session.propose().pairs[0]


@pytest.mark.parametrize("acquisition", ["dhaps", "random", "typiclust", "margin", "maxherding"])
@pytest.mark.parametrize("reading", ["closed", "covered", "published"])
def test_no_item_is_asked_twice_whatever_chooses(tmp_path, items, acquisition, reading):
    session = started(tmp_path, items, replace(BRIEF, acquisition=acquisition, reading=reading))
    answer_all(session, items, session.questions())
    session.train()
    session.choose_ahead()
    keys = [key for question in session.meanwhile(2) for key in question.keys]
    assert len(keys) == len(set(keys)) == 16


def test_they_are_chosen_once_and_the_same_from_the_same_seed(tmp_path, items):
    first, second = (started(tmp_path / name, items) for name in "ab")
    assert first.ahead(1) == second.ahead(1)
    kept = (tmp_path / "a" / "round-001" / AHEAD).read_bytes()
    answer_all(first, items, first.questions())
    first.choose_ahead()
    assert (tmp_path / "a" / "round-001" / AHEAD).read_bytes() == kept


def test_answers_given_meanwhile_count_from_the_next_round_on(tmp_path, items):
    """The round is the one that it would be without them; the next one knows them and asks for none again."""
    session, plain = started(tmp_path / "run", items), started(tmp_path / "plain", items)
    for one in (session, plain):
        answer_all(one, items, one.questions())
    with training(session):
        ahead = session.meanwhile(1)
        answer_all(session, items, ahead[:5])
    plain.train()
    assert session.history[1]["watermark"] == plain.history[1]["watermark"] == 8
    assert session.history[1]["items_labelled"] == 8
    assert (session.codes() == plain.codes()).all()
    assert session.counts()["items_labelled"] == 13
    picked = {key for pair in session.propose().pairs for key in pair}
    assert not picked & {key for question in ahead[:5] for key in question.keys}
    session.train(partial=True)
    assert session.history[2]["items_labelled"] == 13


def test_a_run_that_was_answered_meanwhile_opens_again(tmp_path, items):
    session = started(tmp_path, items)
    answer_all(session, items, session.meanwhile(1))
    session.train()
    again = ActiveSession(tmp_path, items)
    assert again.counts()["items_labelled"] == 16
    assert again.ahead(1) == session.ahead(1)


def test_a_budget_holds_ahead_too(tmp_path, items):
    session = started(tmp_path, items, replace(BRIEF, budget_items=12))
    assert len(session.propose().pairs) == 4
    assert len(session.ahead(1).pairs) == 2
    spent = started(tmp_path / "spent", items, replace(BRIEF, budget_items=8))
    assert spent.ahead(1).pairs == ()


def test_placing_goes_on_for_as_many_answers_again(tmp_path, items):
    session, oracle = started(tmp_path, items, replace(BRIEF, question="pairs")), label_oracle(items)
    while found := session.questions():
        session.answer(found[0], oracle(found[0]), who="me", seconds=1.0)
    more = 0
    while found := session.meanwhile(1):
        session.answer(found[0], oracle(found[0]), who="me", seconds=1.0)
        more += 1
    assert more == 4
    assert session.questions() == []


def test_before_anything_was_chosen_nothing_is_asked(tmp_path, items):
    session = ActiveSession(tmp_path, items, BRIEF)
    assert session.meanwhile(0) == session.meanwhile(1) == []


def test_what_was_chosen_ahead_and_is_damaged_is_named(tmp_path, items):
    started(tmp_path, items)
    (tmp_path / "round-001" / AHEAD).write_text("{")
    with pytest.raises(RunDamaged, match="ahead"):
        ActiveSession(tmp_path, items).meanwhile(1)
