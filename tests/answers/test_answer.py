"""An answer is one, or is refused in a sentence."""

import numpy as np
import pytest

from dhaps_core.answers.answer import Answer, StoreError
from dhaps_core.data.class_names import NO_CLASS


def said(kind, shown, value, row=1, who="anna", seconds=1.0):
    return Answer.given(kind, shown, value, who=who, seconds=seconds, id=row)


def test_a_class_is_one_however_it_is_written_and_a_pair_has_no_order():
    assert said("class", ("x",), 1).value == said("class", ("x",), "1").value == ("1",)
    assert said("class", ("x",), [1, "1", np.int64(1), " b", "b"]).value == ("1", "b")
    assert said("class", ("x",), np.int64(3)).value == ("3",)
    pair = said("pair", ("b", "a"), "unsure")
    assert (pair.keys, pair.flipped, pair.shown) == (("a", "b"), True, ("b", "a"))
    assert not said("pair", ("a", "b"), "same").flipped


@pytest.mark.parametrize(
    ("kind", "shown", "value", "told"),
    [
        ("pair", ("a", "b"), "skip", "A question that is skipped has no answer"),
        ("pair", ("a", "b"), "Same", "got 'Same'"),
        ("pair", ("a", "a"), "same", "two different items"),
        ("pair", ("a", ""), "same", "at least one character"),
        ("class", ("",), "cat", "at least one character"),
        ("class", ("a",), [], "at least one class"),
        ("class", ("a",), "", "got ''"),
        ("class", ("a",), True, "got True"),
        ("class", ("a",), ["cat", ""], "got ''"),
        ("class", ("a",), 1.0, "Pass the name as a string"),
        ("class", ("a",), b"7", "Pass the name as a string"),
        ("class", ("a",), None, "Pass the name as a string"),
        ("class", ("a",), [str(i) for i in range(1001)], "at most 1000"),
        ("class", ("a",), [NO_CLASS, "cat"], "must stand alone"),
        ("class", ("a", "b"), "cat", "got 'class' with 2 keys"),
        ("pair", ("a", "b", "a"), "same", "two different items"),
        ("guess", ("a",), "cat", "got 'guess'"),
        ("class", ("a\x00",), "cat", "zero byte"),
        ("class", ("a" * 10_000_000,), "cat", "at most 100000"),
        ("class", (7,), "cat", "must be strings"),
    ],
)
def test_what_is_no_answer_is_refused(unchecked, kind, shown, value, told):
    with pytest.raises(StoreError, match=told):
        said(kind, shown, value)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), "1", None, 10**400])
def test_seconds_are_a_number_that_a_clock_can_show(unchecked, seconds):
    with pytest.raises(StoreError, match="seconds must be"):
        said("class", ("a",), 1, seconds=seconds)


@pytest.mark.parametrize("who", ["", " ", None, "anna\x00", "\udcff", "a" * 100_001])
def test_who_must_be_a_name(unchecked, who):
    with pytest.raises(StoreError, match="Say who"):
        said("class", ("a",), 1, who=who)


def test_keys_are_kept_to_the_last_blank_and_in_their_unicode_form():
    for key in (" a ", "cafe\u0301.jpg", "caf\u00e9.jpg", "b\udcff\n"):
        assert said("class", (key,), "cat").keys == (key,)
