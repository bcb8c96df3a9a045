import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.data.class_names import NO_CLASS

WORDS = st.sampled_from(["same", "same", "different", "unsure"])
ITEMS = st.sampled_from("abcdefgh")
PAIRS = st.tuples(st.lists(ITEMS, min_size=2, max_size=2, unique=True), WORDS)
CLASSES = st.tuples(ITEMS, st.sampled_from([1, "2", "x"]))
SAID = st.lists(st.one_of(PAIRS, PAIRS, CLASSES), max_size=12)
MANY = st.lists(
    st.one_of(
        PAIRS,
        st.tuples(ITEMS, st.lists(st.integers(1, 4), min_size=1, max_size=2)),
        st.tuples(ITEMS, st.just([NO_CLASS])),
    ),
    max_size=14,
)


def say(*said):
    """Answers: ("ab", "same") on a pair, ("a", class) or ("a", [classes]) on an item."""
    return [
        Answer.given(
            "class" if len(shown) == 1 else "pair", tuple(shown), value, who="anna", seconds=1.0, id=i
        )
        for i, (shown, value) in enumerate(said, 1)
    ]


def slow_closure(answers):
    """Sets of ordered pairs that are the same and different, by brute force; None if the answers conflict."""
    classes = {a.value for a in answers if a.kind == "class"}
    nodes = [*"abcdefgh", *classes]
    same = {(x, x) for x in nodes}
    different = {(x, y) for x in classes for y in classes if x != y}
    for answer in answers:
        x, y = answer.keys if answer.kind == "pair" else (answer.keys[0], answer.value)
        if answer.value != "unsure":
            (different if answer.value == "different" else same).update([(x, y), (y, x)])
    for via, x, y in itertools.product(nodes, nodes, nodes):  # Floyd and Warshall: via is the slow index
        if (x, via) in same and (via, y) in same:
            same.add((x, y))
    different |= {(x, y) for (p, q) in different for x in nodes for y in nodes if {(x, p), (q, y)} <= same}
    return None if same & different else (same, different)


def slow_overlaps(answers):
    """Whether answers agree where items may have several classes."""
    classes = {key: {c for a in answers if a.keys == (key,) for c in a.value} for key in "abcdefgh"}
    words = {}
    for answer in answers:
        if answer.kind == "pair" and answer.value != "unsure":
            words.setdefault(answer.keys, set()).add(answer.value)
    for (a, b), said in words.items():
        if classes[a] and classes[b]:
            said.add("same" if (classes[a] & classes[b]) - {NO_CLASS} else "different")
    return all(len(said) == 1 for said in words.values())


def refused(closure, answer):
    """The chain that refuses an answer, or None."""
    try:
        closure.add(answer)
    except Contradiction as error:
        return list(error.chain) if error.answer is answer else pytest.fail("another answer is named")
    return None


@pytest.mark.parametrize(
    ("said", "chain"),
    [
        ([("ab", "same"), ("bc", "same"), ("ac", "different")], [1, 2]),
        ([("ab", "same"), ("bc", "different"), ("ac", "same")], [1, 2]),
        ([("ab", "same"), ("bc", "same"), ("ac", "same"), ("ac", "different")], [3]),
        ([("ab", "same"), ("bc", "same"), ("cd", "different"), ("de", "same"), ("ae", "same")], [1, 2, 3, 4]),
        ([("a", "x"), ("b", "y"), ("ab", "same")], [1, 2]),
        ([("a", "x"), ("b", "x"), ("ab", "different")], [1, 2]),
        ([("a", 1), ("a", "2")], [1]),
        ([("a", "x"), ("ab", "same"), ("b", "y")], [2, 1]),
        ([("a", "x"), ("ab", "different"), ("b", "x")], [2, 1]),
        ([("a", "x"), ("c", "y"), ("ab", "same"), ("ac", "different"), ("bc", "same")], [3, 4]),
        ([("ab", "different"), ("bc", "different"), ("ac", "same")], None),
        ([("ab", "unsure"), ("ab", "same"), ("ab", "unsure")], None),
    ],
)
def test_chains_worked_by_hand(said, chain):
    *before, last = say(*said)
    closure = Closure()
    closure.update(before)
    found = refused(closure, last)
    assert (found and [answer.id for answer in found]) == chain


def test_the_message_can_be_read():
    closure = Closure()
    with pytest.raises(Contradiction) as caught:
        closure.update(say(("ab", "same"), ("b", "cat"), ("a", 7)))
    assert str(caught.value) == (
        "answers must agree with each other; got a is '7' (answer 3, anna), against "
        "a same b (answer 1, anna); b is 'cat' (answer 2, anna). Retract or revise one of them."
    )


def test_a_withdrawn_answer_is_forgotten_and_a_refused_one_never_known():
    answers = say(("ab", "same"), ("bc", "same"), ("ac", "different"))
    closure = Closure()
    for _ in range(2):
        with pytest.raises(Contradiction):
            closure.update(answers)
    closure.update([answers[0], answers[2]])
    with pytest.raises(Contradiction):
        closure.add(answers[1])
    closure.update([])
    closure.update(answers[1:])


def test_several_classes_need_multi_label():
    (answer,) = say(("a", ["x", "y"]))
    with pytest.raises(ValueError, match="set multi_label=True"):
        Closure().add(answer)
    Closure(multi_label=True).add(answer)


@given(SAID)
@settings(max_examples=300, deadline=None)
def test_answers_are_refused_by_the_shortest_chain_and_only_if_they_conflict(said):
    closure, kept = Closure(), []
    for answer in say(*said):
        chain = refused(closure, answer)
        if slow_closure([*kept, answer]) is not None:
            assert chain is None
            kept.append(answer)
            continue
        assert set(chain) <= set(kept)
        assert slow_closure([*chain, answer]) is None
        for fewer in itertools.combinations(kept, len(chain) - 1):
            assert slow_closure([*fewer, answer]) is not None
        ends = list(zip([answer, *chain], [*chain, answer], strict=True))
        assert all(set(x.keys) & set(y.keys) or (x.kind, y.kind) == ("class", "class") for x, y in ends)


@given(MANY)
@settings(max_examples=300, deadline=None)
def test_with_several_classes_answers_are_refused_only_if_they_conflict(said):
    closure, kept = Closure(multi_label=True), []
    for answer in say(*said):
        chain = refused(closure, answer)
        if slow_overlaps([*kept, answer]):
            assert chain is None
            kept.append(answer)
        else:
            assert set(chain) <= set(kept)
            assert not slow_overlaps([*chain, answer])


def test_long_chains_are_fast_and_do_not_recurse():
    n = 20_000
    start = time.process_time()
    closure = Closure()
    for i in range(n):
        closure.add(Answer(i + 1, "pair", (f"{i:05}", f"{i + 1:05}"), "same", "anna", 1.0))
    with pytest.raises(Contradiction) as caught:
        closure.add(Answer(n + 1, "pair", ("00000", f"{n:05}"), "different", "anna", 1.0))
    assert [answer.id for answer in caught.value.chain] == list(range(1, n + 1))
    assert "... 19988 more ..." in str(caught.value)
    assert time.process_time() - start < 5


def test_many_enemies_are_merged_fast():
    n = 5_000  # leaves that differ from one hub and from a partner each, then are joined one by one
    start = time.process_time()
    closure = Closure()
    answers = [("hub", f"leaf{i}", "different") for i in range(n)]
    answers += [(f"leaf{i}", f"partner{i}", "different") for i in range(n)]
    answers += [(f"leaf{i}", f"leaf{i + 1}", "same") for i in range(n - 1)]
    for i, (a, b, word) in enumerate(answers, 1):
        closure.add(Answer(i, "pair", (a, b), word, "anna", 1.0))
    with pytest.raises(Contradiction) as caught:
        closure.add(Answer(0, "pair", ("leaf0", "partner9"), "same", "anna", 1.0))
    assert len(caught.value.chain) == 10
    assert time.process_time() - start < 5
