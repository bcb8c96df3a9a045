"""Which pair is asked next: groups and affinities worked out by hand, and every set of a few answers."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.closure import Closure
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.session.doubts import bridges
from dhaps_core.session.groups import Groups
from dhaps_core.session.placing import WORTH, next_pair

LIKELY, POSSIBLE, UNLIKELY = np.exp([2.0, 1.0, -3.0])  # odds 3.3, 0.74 and 0.0018 of "same" before any answer


def answers_of(*said):
    """Answers on pairs of letters, as in "ab same"."""
    words = {"=": "same", "!": "different", "?": "unsure"}
    return [
        Answer.given("pair", (one[0], one[2]), words[one[1]], who="anna", seconds=1.0, id=i)
        for i, one in enumerate(said, 1)
    ]


def matrix(keys, **affinities):
    """Affinities of letters: those given by pairs, else unlikely."""
    found = np.full((len(keys), len(keys)), UNLIKELY)
    for pair, value in affinities.items():
        a, b = map(keys.index, pair)
        found[a, b] = found[b, a] = value
    return found


def asked(keys, near, said=(), order=None, skipped=()):
    """The letters that are asked about next, the item to be placed first; and which answer is doubted."""
    snapshot = Snapshot(keys, answers_of(*said))
    order = range(len(keys)) if order is None else map(keys.index, order)
    found = next_pair(
        snapshot,
        list(order),
        lambda at: near[np.ix_(at, at)],
        pool=range(len(keys)),
        skipped=[tuple(map(keys.index, pair)) for pair in skipped],
    )
    return None if found is None else "".join(keys[one] for one in found.pair)


def test_the_first_items_that_may_be_the_same_are_compared_and_the_later_one_is_placed():
    near = matrix("abcd", ac=LIKELY, bd=LIKELY)
    assert asked("abcd", near) == "ca"  # b came into play without a question
    assert asked("abcd", near, ["a=c"]) == "db"
    assert asked("abcd", near, ["a=c"], order="cab") is not None  # nothing is likely: all groups are compared
    assert asked("abcd", near, order="dcab") == "ac"


def test_an_item_is_asked_against_the_likeliest_group_first_and_then_against_the_next():
    near = matrix("abcx", ax=POSSIBLE, bx=LIKELY)
    assert asked("abcx", near) == "xb"
    assert asked("abcx", near, ["x!b"]) == "ax"  # a comes into play after b and x, so it is placed
    assert asked("abcx", near, ["x!b", "x=a"]) == "ca"  # nothing is likely any more; x and b are known apart
    assert asked("abcx", near, ["x!b", "x=a", "c!a"]) == "cb"
    assert asked("abcx", near, ["x!b", "x=a", "c!a", "c!b"]) is None


def test_groups_of_several_items_are_compared_where_an_item_by_itself_is_not():
    far = {a + b: np.exp(-1.2) for a in "abc" for b in "def"}  # log-odds about -3 of being the same
    near = matrix(
        "abcdefgh", ab=LIKELY, ac=LIKELY, bc=LIKELY, de=LIKELY, df=LIKELY, ef=LIKELY, gh=LIKELY, **far
    )
    pieces = ["a=b", "b=c", "d=e", "e=f"]
    assert set(asked("abcdefgh", near, pieces)) & set("abc")  # "same" would imply nine pairs ...
    assert set(asked("abcdefgh", near, pieces)) & set("def")
    assert asked("abcdefgh", near, [*pieces, "a!d"]) == "hg"
    assert asked("abcdefgh", near, pieces[:2], order="dgh") == "hg"  # ... and of d alone it would imply three


def test_what_the_closure_knows_is_not_asked():
    near = matrix("abcd", ab=LIKELY, ac=LIKELY, bc=LIKELY, ad=POSSIBLE, bd=POSSIBLE, cd=LIKELY)
    assert asked("abcd", near, ["a=b", "b=c"]) in ("da", "db", "dc")
    assert asked("abcd", near, ["a=b", "b=c", "d!a"]) not in ("db", "dc")  # but for a doubt, which is below


def test_the_representative_is_the_most_central_item_and_another_one_after_unsure():
    keys = "abcx"
    near = matrix(keys, ab=LIKELY, bc=LIKELY, ac=POSSIBLE, ax=LIKELY, bx=LIKELY, cx=LIKELY)
    said = ["a=b", "b=c"]
    assert asked(keys, near, said) == "xb"
    assert asked(keys, near, [*said, "x?b"]) == "xa"
    assert asked(keys, near, [*said, "x?b", "x?a"]) is None  # two are enough: nobody can tell


def test_after_two_unsure_answers_the_next_group_is_asked():
    near = matrix("abcdx", ab=LIKELY, cd=LIKELY, ax=LIKELY, bx=LIKELY, cx=POSSIBLE, dx=POSSIBLE)
    said = ["a=b", "c=d"]
    first = asked("abcdx", near, said)
    second = asked("abcdx", near, [*said, f"x?{first[1]}"])
    assert {first[1], second[1]} == {"a", "b"}
    assert asked("abcdx", near, [*said, "x?a", "x?b"])[1] in "cd"


def test_an_item_that_was_skipped_waits_for_the_others():
    near = matrix("abcx", ax=LIKELY, bx=POSSIBLE, bc=POSSIBLE)
    assert asked("abcx", near, order="abxc") == "xa"
    assert asked("abcx", near, order="abxc", skipped=["xa"]) == "cb"
    # Of a group already, it is compared with others: only these two are left alone.
    assert asked("abcx", near, ["c=x"], skipped=["xa"], order="ab") == "bc"


def test_the_items_to_be_placed_come_one_by_one():
    near = matrix("abcd", ab=LIKELY, cd=LIKELY)
    assert asked("abcd", near, ["a=b"], order="cd") == "dc"
    near[0, 2] = near[2, 0] = POSSIBLE
    assert asked("abcd", near, order="acbd") == "ca"  # before b is there, which is likelier


def classes_and_near(draw, n):
    labels = np.array([draw.integers(0, 3) for _ in range(n)])
    same = labels[:, None] == labels[None]
    near = np.exp(draw.normal(np.where(same, 1.5, -2.0), 1.0))
    return labels, (near + near.T) / 2


@pytest.mark.parametrize("seed", range(20))
def test_with_clear_affinities_no_fewer_answers_would_do(seed):
    draw, n, keys = np.random.default_rng(seed), 5, "abcde"
    labels = draw.integers(0, 3, n)
    near = np.where(labels[:, None] == labels[None], LIKELY**2, UNLIKELY**2)
    pairs = ["".join(pair) for pair in combinations(keys, 2)]
    truth = {(a + b): "!="[int(labels[keys.index(a)] == labels[keys.index(b)])] for a, b in pairs}
    said = []
    while (pair := asked(keys, near, said)) is not None:
        said.append(pair[0] + truth["".join(sorted(pair))] + pair[1])
    groups = len(set(labels))
    assert len(said) == n - groups + groups * (groups - 1) // 2

    def tells_all(chosen):
        snapshot = Snapshot(keys, answers_of(*(pair[0] + truth[pair] + pair[1] for pair in chosen)))
        return snapshot.relations(*np.triu_indices(n, 1)).all()

    assert not any(map(tells_all, combinations(pairs, len(said) - 1)))


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_next_question_never_is_an_implied_one_and_never_the_same_again(seed):
    draw, keys = np.random.default_rng(seed), "abcdefghij"
    labels, near = classes_and_near(draw, len(keys))
    answers, closure, left = [], Closure(), 80
    while left:
        left -= 1
        snapshot = Snapshot(keys, answers)
        ask = next_pair(snapshot, range(10), lambda at: near[np.ix_(at, at)], pool=range(10))
        if ask is None:
            break
        (a, b), relation = ask.pair, snapshot.relations(*np.array(ask.pair)[:, None])[0]
        assert tuple(sorted((keys[a], keys[b]))) not in {answer.keys for answer in answers}
        if ask.doubted is None:
            assert relation == 0
            assert 0 < ask.same < 1
        else:
            assert relation == {"same": 1, "different": -1}[ask.doubted.value]
            assert ask.doubted in answers
        word = "same" if labels[a] == labels[b] else "different"
        word = "unsure" if draw.random() < 0.1 else word
        answers.append(
            Answer.given("pair", (keys[a], keys[b]), word, who="o", seconds=0.0, id=len(answers) + 1)
        )
        closure.update(answers)
    assert left  # it comes to an end
    unsure = any(answer.value == "unsure" for answer in answers)
    assert unsure or Snapshot(keys, answers).relations(*np.triu_indices(10, 1)).all()


def test_odds_are_a_line_in_the_log_affinity_that_answers_move():
    near = matrix("abcd", ab=LIKELY, ac=LIKELY, bd=LIKELY)
    no_answer = Groups(Snapshot("abcd", []), range(4), lambda at: near[np.ix_(at, at)])
    assert np.log(no_answer.odds[0, 1]) == pytest.approx(1.5 * 2 - 1.8)
    assert np.log(no_answer.odds[0, 3]) == pytest.approx(1.5 * -3 - 1.8)
    assert no_answer.odds[0, 1] / (1 + no_answer.odds[0, 1]) > WORTH > np.exp(-6.3)
    told = Groups(Snapshot("abcd", answers_of("a!b", "a!c")), range(4), lambda at: near[np.ix_(at, at)])
    assert told.odds[1, 3] < no_answer.odds[1, 3]  # near ones turned out to differ
    # Newton's method found the maximum: there the slope of the penalised likelihood is 0.
    x, p = np.array([2.0, 1.0]), 1 / (1 + np.exp(-(told.line @ [2.0, 1.0])))
    np.testing.assert_allclose(2 * p * x + np.array([8.0, 4.0]) * (told.line - [1.5, -1.8]), 0, atol=1e-8)


# --- answers that look wrong --------------------------------------------------------------------------------


def test_bridges_are_the_answers_without_which_a_part_falls_in_two():
    said = answers_of("a=b", "b=c", "c=a", "c=d")
    edges = [("abcd".index(one.keys[0]), "abcd".index(one.keys[1]), one) for one in said]
    ((answer, side),) = bridges(4, edges)
    assert answer is said[3]
    assert side.tolist() in ([False, False, False, True], [True, True, True, False])
    assert [one.id for one, _ in bridges(4, edges[1:])] == [2, 3, 4]
    tied = [*edges[1:], (0, 1, None)]  # a and b have one class
    assert [one.id for one, _ in bridges(4, tied)] == [4]


CLOSE = np.exp(3.0)


def doubt_of(keys, near, said):
    found = next_pair(
        Snapshot(keys, answers_of(*said)), [], lambda at: near[np.ix_(at, at)], pool=range(len(keys))
    )
    return found if found is not None and found.doubted is not None else None


def test_a_difference_within_what_looks_like_one_group_is_asked_again_by_another_pair():
    keys = "abcd"
    near = np.full((4, 4), CLOSE)
    said = ["a=b", "c=d", "a!c"]
    found = doubt_of(keys, near, said)
    assert answers_of(*said)[2] == found.doubted
    first = {keys[one] for one in found.pair}
    assert first != {"a", "c"}
    assert len(first & {"a", "b"}) == len(first & {"c", "d"}) == 1
    assert set(found.third) not in (set(found.pair), {0, 2})
    x, y = sorted(first)
    assert doubt_of(keys, near, [*said, f"{x}!{y}"]) is None  # it was confirmed


def test_a_same_across_what_looks_like_two_groups_is_asked_again():
    keys = "abcdef"
    near = matrix(keys, **dict.fromkeys(("ab", "ac", "bc", "de", "df", "ef"), CLOSE))
    said = ["a=b", "b=c", "d=e", "e=f", "c=d"]
    found = doubt_of(keys, near, said)
    assert found.doubted.id == 5
    assert found.same < 0.01
    sides = [{keys[one] in "abc" for one in pair} for pair in (found.pair, found.third)]
    assert sides == [{True, False}] * 2


def test_what_looks_right_is_not_doubted():
    keys = "abcdef"
    near = matrix(keys, **dict.fromkeys(("ab", "ac", "bc", "de", "df", "ef"), CLOSE))
    assert doubt_of(keys, near, ["a=b", "b=c", "d=e", "e=f", "c!d"]) is None
    assert doubt_of("ab", np.full((2, 2), CLOSE), ["a!b"]) is None  # there is no other pair


def test_classes_that_were_given_are_not_doubted():
    near = np.full((4, 4), CLOSE)
    classes = [
        Answer.given("class", (key,), name, who="anna", seconds=1.0, id=i)
        for i, (key, name) in enumerate([("a", "x"), ("b", "x"), ("c", "y"), ("d", "y")], 1)
    ]
    pairs = [replace_id(one, 4) for one in answers_of("a!c", "a=b")]
    snapshot = Snapshot("abcd", [*classes, *pairs])
    assert next_pair(snapshot, [], lambda at: near[np.ix_(at, at)], pool=range(4)) is None


def replace_id(answer, by):
    return Answer.given("pair", answer.keys, answer.value, who=answer.who, seconds=1.0, id=answer.id + by)
