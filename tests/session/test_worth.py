"""The question ``both``: which of two questions places an item in less time, and rounds of both."""

from dataclasses import replace

import pytest

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.placing import Ask
from dhaps_core.session.settings import Settings
from dhaps_core.session.worth import FIRM, item_to_name, seconds_of
from tests.given import TINY, played, tiny_items

BOTH = replace(TINY, question="both", picks=12, method="piq")
SECONDS = {"class": 4.0, "pair": 2.0}


@pytest.fixture(scope="module")
def items():
    return tiny_items()


def timed(kind, seconds, number):
    keys, value = (("a",), "x") if kind == "class" else (("a", "b"), "same")
    question = f"1.{number}"
    return Answer.given(kind, keys, value, who="anna", seconds=seconds, id=number, question=question)


def test_seconds_are_the_medians_of_the_answers_and_of_the_usual_ones():
    assert seconds_of([timed("class", 0.0, 1)]) == SECONDS  # no person took no time
    many = [timed("class", 1.5, i) for i in range(FIRM + 1)] + [timed("pair", 600.0, 9)]
    assert seconds_of(many) == {"class": 1.5, "pair": 2.0}  # a pause counts as one


def test_items_named_together_do_not_tell_how_long_a_name_takes(tmp_path, items):
    session = played(tmp_path, items, 1, BOTH)
    keys = [items.keys[row] for row in items.splits["train"]]
    session.name_items(keys[:20], "x", who="anna", seconds=8.0)
    assert seconds_of(session.answers()) == SECONDS


def ask(*odds, unnamed=(), classed=(False, True), size=2, doubted=None):
    return Ask((7, 3), doubted, 0.5, classed=classed, size=size, odds=(odds, unnamed))


def test_an_item_of_a_likely_group_is_compared_and_a_puzzling_one_is_named():
    # p .9 and .1 of none: 2 + .1 * 4 = 2.4 seconds of comparing, 4 of naming.
    assert item_to_name(ask(9.0), SECONDS) is None
    # .3, .3, .3 and .1 of none: 2 + .7 * 2 + .4 * 2 + .1 * 4 = 4.6.
    assert item_to_name(ask(3.0, 3.0, 3.0), SECONDS) == 7
    # Of .5 and .4: 2 + .5 * 2 + .1 * 4 = 3.4 seconds; who names in 3 is asked for the name.
    assert item_to_name(ask(5.0, 4.0), SECONDS) is None
    assert item_to_name(ask(5.0, 4.0), SECONDS | {"class": 3.0}) == 7
    # Where the likely groups have no name, a name tells little: 4 / (1 - .9).
    assert item_to_name(ask(unnamed=(3.0, 3.0, 3.0), classed=(False, False), size=1), SECONDS) is None
    # The first items: two that are hardly the same (.1) are named rather than compared, 4 / .9 < 2 + .9 * 4.
    assert item_to_name(ask(unnamed=(1 / 9,), classed=(False, False), size=1), SECONDS) == 7


def test_a_group_without_a_name_is_named_first_and_doubts_are_asked_as_they_are():
    assert item_to_name(ask(unnamed=(9.0,), classed=(False, False)), SECONDS) == 3
    assert item_to_name(ask(unnamed=(9.0,), classed=(False, False), size=1), SECONDS) is None
    assert item_to_name(ask(3.0, 3.0, 3.0, classed=(True, True)), SECONDS) is None
    doubt = ask(9.0, classed=(False, False), doubted=timed("pair", 1.0, 1))
    assert item_to_name(doubt, SECONDS) is None


def by_hand(folder, items):
    """Two rounds by somebody who is slow with names."""
    session = played(folder, items, 1, BOTH)
    while session.round < 3:
        for question in iter(lambda: next(iter(session.questions()), None), None):
            seconds = {"class": 9.0, "pair": 1.0}[question.kind]
            session.answer(question, label_oracle(items)(question), who="anna", seconds=seconds)
        session.train()
    return session


def test_rounds_ask_both_kinds_and_replay(tmp_path, items):
    session, again = (by_hand(tmp_path / name, items) for name in ("one", "two"))
    kinds = [answer.kind for answer in session.answers()]
    assert len(kinds) == 24
    assert kinds.count("pair") > 12  # names take long
    assert "class" in kinds
    assert [one.shown for one in again.answers()] == [one.shown for one in session.answers()]
    snapshot = session.snapshot()
    assert len(snapshot.class_names) == 4
    placed = [one for one in snapshot.supervised.tolist() if snapshot.classed[one]]
    assert all(
        items.class_names[items.labels[one]] == snapshot.class_names[snapshot.classes[one]] for one in placed
    )


def test_a_name_that_is_skipped_is_asked_as_a_comparison(tmp_path, items):
    session = played(tmp_path, items, 1, BOTH)
    while (question := session.questions()[0]).kind == "pair":
        session.answer(question, label_oracle(items)(question), who="anna", seconds=1.0)
    pairs = [one.shown for one in session.answers() if one.kind == "pair"]
    assert session.pairs_of(1) == pairs  # a name that is asked for is no pair
    session.skip([question.id])
    now = session.questions()[0]
    assert now.kind == "pair"
    assert question.keys[0] in now.keys


def test_both_is_refused_where_there_are_no_groups(tmp_path):
    several = arrays([[0.0, 1], [1, 0], [1, 1]] * 4, [[1, 0], [0, 1], [1, 1]] * 4, queries=2, seed=0)
    with pytest.raises(ValueError, match="the question 'both' places items among groups that are the same"):
        ActiveSession(tmp_path, several, Settings(question="both", bits=4, method="dpsh"))
    with pytest.raises(ValueError, match="'published' asks about the pairs that it chose"):
        Settings(question="both", reading="published", method="dpsh")
    with pytest.raises(ValueError, match="got the question 'both'"):
        Settings(question="both", method="ssdh")


def test_an_oracle_leaves_the_round_to_a_person_who_was_asked(tmp_path, items):
    session = played(tmp_path, items, 1, BOTH)
    session.show_questions("anna")
    question = session.questions()[0]
    session.answer(question, label_oracle(items)(question), who="anna", seconds=3.0)
    assert "anna" in session.reserved
