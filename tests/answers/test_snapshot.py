import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure, Contradiction
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.answers.tally import Tally
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.keys import positions
from tests.answers.test_closure import MANY, SAID, refused, say, slow_closure


def matrix(snapshot):
    at = np.arange(len(snapshot.keys))
    return snapshot.relations(at[:, None], at)


def pairs_known(snapshot):
    """Pairs known to be similar and dissimilar, by listing them."""
    upper = matrix(snapshot)[np.triu_indices(len(snapshot.keys), 1)]
    return int((upper == 1).sum()), int((upper == -1).sum())


def counted(snapshot, copies=None):
    """Pairs known to be similar and dissimilar, as the tally counts them."""
    closure = Closure(multi_label=snapshot.multi_label)
    closure.update(snapshot.answers)
    counts = Tally(positions(snapshot.keys), copies=copies).count(closure)
    assert counts["items_labelled"] == len(snapshot.answered)
    return counts["pairs_similar"], counts["pairs_dissimilar"]


def accepted(said, **more):
    closure = Closure(**more)
    return [answer for answer in say(*said) if refused(closure, answer) is None]


def test_pair_answers_imply_more():
    snapshot = Snapshot("abcde", say(("ab", "same"), ("cb", "same"), ("cd", "different"), ("ae", "unsure")))
    assert matrix(snapshot).tolist() == [
        [1, 1, 1, -1, 0],
        [1, 1, 1, -1, 0],
        [1, 1, 1, -1, 0],
        [-1, -1, -1, 1, 0],
        [0, 0, 0, 0, 1],
    ]
    assert counted(snapshot) == (3, 3)
    assert snapshot.unsure_pairs.tolist() == [[0, 4]]
    assert snapshot.component_sizes.tolist() == [3, 3, 3, 1, 1]


def test_classes_are_hubs():
    said = [("d", "x"), ("a", 1), ("b", "2"), ("bc", "same"), ("ce", "different"), ("f", "x")]
    snapshot = Snapshot("abcdefg", say(*said))
    assert snapshot.class_names == ("x", "1", "2")
    assert snapshot.classes.tolist() == [1, 2, 2, 0, -1, 0, -1]
    assert matrix(snapshot)[4].tolist() == [0, -1, -1, 0, 1, 0, 0]
    assert matrix(snapshot)[3].tolist() == [-1, -1, -1, 1, 0, 1, 0]
    assert counted(snapshot) == (2, 8 + 2)


def test_with_several_classes_sharing_one_is_similar_and_nothing_is_closed():
    said = [
        ("a", ["sky", "sea"]),
        ("b", ["sky"]),
        ("c", ["sea", "man"]),
        ("cd", "same"),
        ("de", "same"),
        ("bc", "different"),
    ]
    snapshot = Snapshot("abcdef", say(*said), multi_label=True)
    assert matrix(snapshot).tolist() == [
        [1, 1, 1, 0, 0, 0],
        [1, 1, -1, 0, 0, 0],
        [1, -1, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert snapshot.class_names == ("sky", "sea", "man")
    assert snapshot.classes[:4].tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert counted(snapshot) == (4, 1)
    assert snapshot.component_sizes.tolist() == [1] * 6


def test_an_item_with_none_of_several_classes_is_known_and_similar_to_no_other():
    said = say(("a", [NO_CLASS]), ("b", [NO_CLASS]), ("c", ["sky"]), ("ab", "different"))
    snapshot = Snapshot("abcd", said, multi_label=True)
    assert matrix(snapshot).tolist() == [[1, -1, -1, 0], [-1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 1]]
    assert snapshot.class_names == ("sky",)
    assert snapshot.supervised.tolist() == [0, 1, 2]
    assert counted(snapshot) == (0, 3)
    with pytest.raises(Contradiction):
        Closure(multi_label=True).update(say(("a", [NO_CLASS]), ("b", [NO_CLASS]), ("ab", "same")))
    one_class = Snapshot("ab", say(("a", NO_CLASS), ("b", NO_CLASS)))  # there it is a class like others
    assert matrix(one_class).tolist() == [[1, 1], [1, 1]]


def test_classes_of_several_people_are_joined():
    snapshot = Snapshot("ab", say(("a", ["x"]), ("a", ["y"]), ("b", ["y"])), multi_label=True)
    assert snapshot.classes.tolist() == [[True, True], [False, True]]
    assert snapshot.classed.tolist() == [True, True]


@pytest.mark.parametrize("multi_label", [False, True])
def test_no_answers_at_all(multi_label):
    snapshot = Snapshot("abc", [], multi_label=multi_label)
    assert matrix(snapshot).tolist() == np.eye(3, dtype=int).tolist()
    assert counted(snapshot) == (0, 0)
    assert snapshot.unsure_pairs.shape == (0, 2)
    nothing = Snapshot([], say(("ab", "same"), ("c", 1)), multi_label=multi_label)
    assert matrix(nothing).shape == (0, 0)
    assert counted(nothing) == (0, 0)


def test_an_absent_item_still_connects():
    said = say(("ax", "same"), ("xb", "same"), ("xc", "different"), ("x", "cat"), ("ay", "unsure"))
    snapshot = Snapshot("abc", said)
    assert matrix(snapshot).tolist() == [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    assert snapshot.classes.tolist() == [0, 0, -1]
    assert snapshot.component_sizes.tolist() == [2, 2, 1]
    assert counted(snapshot) == (1, 2)
    assert matrix(Snapshot("abc", say(("ax", "same"), ("bx", "same")), multi_label=True))[0].tolist() == [
        1,
        0,
        0,
    ]


def test_only_same_only_different_or_one_class_is_enough():
    assert pairs_known(Snapshot("abc", say(("ab", "different"), ("ac", "different")))) == (0, 2)
    assert pairs_known(Snapshot("abc", say(("ab", "same")))) == (1, 0)
    assert pairs_known(Snapshot("abc", say(("a", 1), ("b", 1)))) == (1, 0)


def test_what_a_snapshot_refuses():
    with pytest.raises(Contradiction):
        Snapshot("ab", say(("ab", "same"), ("ab", "different")))
    with pytest.raises(ValueError, match="got 'a' twice"):
        Snapshot("aba", [])
    with pytest.raises(ValueError, match="set multi_label=True"):
        Snapshot("a", say(("a", [1, 2])))
    snapshot = Snapshot("ab", [])
    for bad in (-1, 2):
        with pytest.raises(IndexError, match=r"positions must be in 0 \.\. 1"):
            snapshot.relations(np.array([0]), np.array([bad]))
    with pytest.raises(ValueError, match="read-only"):
        snapshot.classes[0] = 1


@given(SAID, st.permutations("abcdefgh"))
@settings(max_examples=300, deadline=None)
def test_relations_are_the_closure(said, keys):
    answers = accepted(said)
    snapshot = Snapshot(keys, answers)
    same, different = slow_closure(answers)
    slow = [[((a, b) in same) - ((a, b) in different) for b in keys] for a in keys]
    assert matrix(snapshot).tolist() == slow
    assert counted(snapshot) == pairs_known(snapshot)
    assert snapshot.component_sizes.tolist() == [row.count(1) for row in slow]
    fewer = Snapshot(keys[:5], answers)
    assert matrix(fewer).tolist() == [row[:5] for row in slow[:5]]
    assert counted(fewer) == pairs_known(fewer)


@given(MANY)
@settings(max_examples=200, deadline=None)
def test_relations_with_several_classes_are_the_overlaps(said):
    answers = accepted(said, multi_label=True)
    snapshot = Snapshot("abcdefgh", answers, multi_label=True)
    classes = {key: {c for a in answers if a.keys == (key,) for c in a.value} for key in "abcdefgh"}
    words = {
        a.keys: {"same": 1, "different": -1}[a.value] for a in answers if a.value in ("same", "different")
    }
    for i, a in enumerate(snapshot.keys):
        for j, b in enumerate(snapshot.keys):
            known = bool(classes[a] and classes[b])
            by_class = (1 if (classes[a] & classes[b]) - {NO_CLASS} else -1) if known else 0
            value = 1 if i == j else words.get((min(a, b), max(a, b)), by_class)
            assert matrix(snapshot)[i, j] == value
    assert counted(snapshot) == pairs_known(snapshot)


# Copies


def test_copies_inherit_the_answer_and_cost_none():
    copies = np.array([0, 0, 2, 0, 4, 4])
    snapshot = Snapshot("abcdef", say(("b", "cat"), ("c", "dog"), ("ce", "different")), copies=copies)
    assert snapshot.classes.tolist() == [0, 0, 1, 0, -1, -1]
    assert matrix(snapshot)[:3].tolist() == [
        [1, 1, -1, 1, 0, 0],
        [1, 1, -1, 1, 0, 0],
        [-1, -1, 1, -1, -1, -1],
    ]
    assert matrix(snapshot)[4].tolist() == [0, 0, -1, 0, 1, 1]
    assert snapshot.answered.tolist() == [1, 2, 4]
    assert snapshot.supervised.tolist() == [0, 1, 2, 3, 4, 5]
    assert counted(snapshot, copies) == (3 + 1, 3 + 2)
    untouched = Snapshot("abcdef", say(("ab", "unsure")), copies=copies)
    assert (untouched.supervised.tolist(), counted(untouched, copies)) == ([], (0, 0))


def test_a_copy_that_somebody_saw_differently_keeps_its_own_answer():
    copies = np.zeros(4, dtype=np.int64)
    snapshot = Snapshot("abcd", say(("a", "glass"), ("b", "metal"), ("bd", "same")), copies=copies)
    assert snapshot.classes.tolist() == [0, 1, 0, 1]
    assert matrix(snapshot)[0].tolist() == [1, -1, 1, -1]
    several = [("a", ["sky"]), ("b", ["sea"]), ("d", [NO_CLASS])]
    snapshot = Snapshot("abcd", say(*several), copies=copies, multi_label=True)
    assert matrix(snapshot)[2].tolist() == [1, -1, 1, -1]


def test_copies_of_an_item_without_a_class_are_similar_to_each_other_alone():
    said = say(("a", [NO_CLASS]), ("c", [NO_CLASS]), ("de", "same"))
    copies = np.array([0, 0, 2, 3, 4, 3])
    snapshot = Snapshot("abcdef", said, copies=copies, multi_label=True)
    assert matrix(snapshot)[:2].tolist() == [[1, 1, -1, 0, 0, 0]] * 2
    assert matrix(snapshot)[5].tolist() == [0, 0, 0, 1, 1, 1]
    assert counted(snapshot, copies) == pairs_known(snapshot) == (1 + 3, 2)


@pytest.mark.parametrize("copies", [[0, 0], [0, 0, 3], [0, 0, -1], [0, 0, 1]])
def test_copies_must_be_of_items_that_are_none(unchecked, copies):
    with pytest.raises(ValueError, match="copies must give each of the 3 items"):
        Snapshot("abc", [], copies=np.array(copies))


COPIES = st.lists(st.integers(0, 3), min_size=8, max_size=8).map(
    lambda groups: np.array([groups.index(group) for group in groups])
)


def originals(copies, answers):
    """Copies with the first of theirs that an answer is about."""
    heard = {key for a in answers if a.value != "unsure" for key in a.keys}
    for i, key in enumerate("abcdefgh"):
        first = [k for j, k in enumerate("abcdefgh") if copies[j] == copies[i] and k in heard]
        if first and first[0] != key:
            yield key, first[0], key in heard


@given(SAID, COPIES)
@settings(max_examples=150, deadline=None)
def test_relations_with_copies_are_the_closure_with_one_more_same_where_that_agrees(said, copies):
    answers = accepted(said)
    snapshot = Snapshot("abcdefgh", answers, copies=copies)
    for key, first, _ in originals(copies, answers):
        (joined,) = say((key + first, "same"))
        if slow_closure([*answers, joined]) is not None:
            answers.append(joined)
    same, different = slow_closure(answers)
    slow = [[((a, b) in same) - ((a, b) in different) for b in "abcdefgh"] for a in "abcdefgh"]
    assert matrix(snapshot).tolist() == slow
    assert counted(snapshot, copies) == pairs_known(snapshot)
    assert snapshot.component_sizes.tolist() == [row.count(1) for row in slow]


@given(MANY, COPIES)
@settings(max_examples=150, deadline=None)
def test_relations_of_copies_with_several_classes_are_those_of_their_original(said, copies):
    answers = accepted(said, multi_label=True)
    snapshot = Snapshot("abcdefgh", answers, multi_label=True, copies=copies)
    plain = Snapshot("abcdefgh", answers, multi_label=True)
    stands_for = {key: key for key in "abcdefgh"}
    stands_for |= {key: first for key, first, heard in originals(copies, answers) if not heard}
    at = np.array(["abcdefgh".index(stands_for[key]) for key in "abcdefgh"])
    assert matrix(snapshot).tolist() == matrix(plain)[np.ix_(at, at)].tolist()
    assert counted(snapshot, copies) == pairs_known(snapshot)
    assert snapshot.answered.tolist() == plain.supervised.tolist()


def test_the_same_number_of_answers_may_imply_much_more():
    keys = [f"{i:04}" for i in range(1001)]
    apart = [Answer(i + 1, "pair", (keys[2 * i], keys[2 * i + 1]), "same", "anna", 1.0) for i in range(500)]
    chain = [Answer(i + 1, "pair", (keys[i], keys[i + 1]), "same", "anna", 1.0) for i in range(500)]
    assert counted(Snapshot(keys, apart)) == (500, 0)
    assert counted(Snapshot(keys, chain)) == (501 * 500 // 2, 0)


def test_a_chain_of_twenty_thousand():
    """Neither recursion nor a square of its length: four times as long, it takes about four times as long."""

    def took(n):
        keys = [f"{i:05}" for i in range(n + 1)]
        answers = [Answer(i + 1, "pair", (keys[i], keys[i + 1]), "same", "anna", 1.0) for i in range(n)]
        start = time.process_time()
        snapshot = Snapshot(keys, answers)
        assert snapshot.relations(np.array([0]), np.array([n])).tolist() == [1]
        assert counted(snapshot) == ((n + 1) * n // 2, 0)
        return time.process_time() - start

    took(5_000)  # whatever is loaded first
    assert took(20_000) < 10 * took(5_000)


@pytest.mark.parametrize("kind", ["pairs", "classes", "several"])
def test_blocks_of_a_large_pool_are_fast(kind):
    n, items, rng = 50_000, 5_000, np.random.default_rng(0)
    keys = [f"{i:05}" for i in range(n)]
    asked = np.sort(rng.permutation(n)[:items])
    label = rng.integers(0, 10, size=n)
    answers = []
    for i, (at, following) in enumerate(itertools.pairwise(asked), 1):
        pair = keys[at], keys[following]
        if kind == "pairs":
            word = "same" if label[at] == label[following] else "different"
            answers.append(Answer(i, "pair", pair, word, "anna", 1.0))
        else:
            one, other = str(label[at]), str(10 + label[at] % 7)
            value = (one,) if kind == "classes" else (one, other)
            answers.append(Answer(i, "class", pair[:1], value, "anna", 1.0))
    snapshot = Snapshot(keys, answers, multi_label=kind == "several")
    rows, columns = asked[:512], np.arange(n)
    start = time.process_time()
    block = snapshot.relations(rows[:, None], columns[None, :])
    assert time.process_time() - start < 3
    assert block.shape == (512, n)
    for r, s in zip(rng.integers(0, 512, 50), rng.permutation(items)[:50], strict=True):
        other = asked[s : s + 1]
        assert block[r, other[0]] == snapshot.relations(other, rows[r : r + 1])[0]
    if kind == "classes":
        expected = np.where(label[rows][:, None] == label[asked[:-1]][None, :], 1, -1)
        np.testing.assert_array_equal(block[:, asked[:-1]], expected)
    start = time.process_time()
    counted(snapshot)
    assert time.process_time() - start < 1


def test_supervised_items_are_those_in_a_known_relation_or_with_a_class():
    answers = [
        Answer.given("pair", ("a", "b"), "same", who="anna", seconds=1.0, id=1),
        Answer.given("pair", ("d", "f"), "different", who="anna", seconds=1.0, id=2),
        Answer.given("pair", ("e", "g"), "unsure", who="anna", seconds=1.0, id=3),
        Answer.given("class", ("h",), "cat", who="anna", seconds=1.0, id=4),
    ]
    for multi_label in (False, True):
        supervised = Snapshot("abcdefgh", answers, multi_label=multi_label).supervised
        # With several classes per item a pair answer links items, too: similar is not the same.
        assert supervised.tolist() == [0, 1, 3, 5, 7]
