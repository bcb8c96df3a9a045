"""Counts from a live closure against listing every pair, while answers come, are undone and are revised."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.answers.tally import Tally
from dhaps_core.keys import positions
from tests.answers.test_closure import MANY, SAID, say
from tests.answers.test_snapshot import COPIES, pairs_known

STEPS = st.lists(st.integers(0, 11), max_size=4)


def listed(keys, answers, **more):
    """The counts, from what is known of each pair of items."""
    snapshot = Snapshot(keys, answers, **more)
    similar, dissimilar = pairs_known(snapshot)
    return {
        "items_labelled": len(snapshot.answered),
        "answers": len(answers),
        "pairs_similar": similar,
        "pairs_dissimilar": dissimilar,
    }


def follow(keys, said, withdrawn, **more):
    """Compare after every answer, then after each of some answers is withdrawn."""
    closure = Closure(multi_label=more.get("multi_label", False))
    tally, kept = Tally(positions(keys), copies=more.get("copies")), []
    given = say(*said)
    states = [lambda answer=answer: [*kept, answer] for answer in given]
    states += [lambda place=place: kept[:place] + kept[place + 1 :] for place in withdrawn]
    for state in states:
        try:
            closure.update(state())
        except Contradiction:
            continue
        kept = state()
        assert tally.count(closure) == listed(keys, kept, **more)


@pytest.mark.parametrize("multi_label", [False, True])
@given(data=st.data(), copies=st.none() | COPIES, withdrawn=STEPS)
@settings(max_examples=150, deadline=None)
def test_counts_are_those_of_listing_all_pairs(multi_label, data, copies, withdrawn):
    said = data.draw(MANY if multi_label else SAID)
    keys = data.draw(st.sampled_from(["abcdefgh", "hgfedcba"]))
    follow(keys, said, withdrawn, multi_label=multi_label, copies=copies)


@pytest.mark.parametrize("multi_label", [False, True])
@given(data=st.data(), withdrawn=STEPS)
@settings(max_examples=50, deadline=None)
def test_items_of_nowhere_connect_and_are_not_counted(multi_label, data, withdrawn):
    said = data.draw(MANY if multi_label else SAID)
    follow("abcde", said, withdrawn, multi_label=multi_label, copies=np.array([0, 0, 2, 2, 0]))


def test_copies_are_joined_for_the_count_alone():
    closure = Closure()
    closure.update(say(("a", "cat"), ("bc", "different")))
    tally = Tally(positions("abcd"), copies=np.array([0, 0, 2, 0]))
    wanted = {"items_labelled": 3, "answers": 2, "pairs_similar": 3, "pairs_dissimilar": 3}
    assert tally.count(closure) == wanted
    closure.update(say(("a", "cat"), ("bc", "different"), ("b", "dog")))  # a copy seen otherwise by somebody
    assert tally.count(closure)["pairs_similar"] == 1


@pytest.mark.parametrize("several", [False, True])
def test_a_count_takes_no_pass_over_the_collection(several):
    n = 1_000_000
    tally = Tally(positions(map(str, range(n))))
    closure = Closure(multi_label=several)
    for i in range(500):
        classes = (f"class {i % 7}", f"class {i % 11}")[: 1 + several]
        closure.add(Answer(i + 1, "class", (str(i),), classes, "anna", 1.0))
    start = time.process_time()
    for _ in range(10):
        counts = tally.count(closure)
    assert time.process_time() - start < 0.5
    assert counts["pairs_similar"] + counts["pairs_dissimilar"] == 500 * 499 // 2
