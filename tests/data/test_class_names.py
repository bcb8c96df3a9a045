import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhaps_core.data.class_names import NO_CLASS, KnownNames, class_name, distinct_names


def test_a_number_and_its_text_are_one_class():
    numbers = [7, np.int64(7), np.uint8(7), np.array(7), "7", " 7 ", np.str_("7")]
    assert {class_name(one) for one in numbers} == {"7"}
    assert class_name(-1) == class_name("-1") == "-1"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("\uac00", "\u1100\u1161"),
        ("traffic light", "traffic\u00a0 light\n"),
        ("\u212b", "\u00c5"),
    ],
)
def test_unicode_forms_and_blanks_are_one_class(one, other):
    assert class_name(one) == class_name(other)


@pytest.mark.parametrize(
    "value",
    [
        *("", " \t", "x" * 501, "a\udcff", "a\x00b", "\ufeffcat", "so\u00adft", "\u3164", "cat\u2800"),
        *("cat\u200b", "cat\u200d", "c\u200cat", "\u0645\u200d\u200d\u0645", "\u202etac", "\u2066cat\u2069"),
    ],
)
def test_text_that_cannot_be_told_from_other_text_is_refused(value):
    with pytest.raises(ValueError, match="a class name must"):
        class_name(value)


@pytest.mark.parametrize("value", [True, np.True_, 7.0, np.float32(7), None, b"7", np.array([7]), ["7"], 1j])
def test_what_is_neither_text_nor_a_whole_number_is_refused(unchecked, value):
    with pytest.raises(ValueError, match="Pass the name as a string"):
        class_name(value)


def test_a_number_of_thousands_of_digits_is_refused():
    with pytest.raises(ValueError, match="64 bits"):
        class_name(10**5000)


def test_names_of_all_scripts_stay_as_they_are():
    for name in (
        "猫",
        "می\u200cخواهم",
        "👨\u200d👩\u200d👧",
        "❤\ufe0f",
        "007",
        "a, b; c",
        "=1+1",
        "<b>",
        NO_CLASS,
    ):
        assert class_name(name) == name


@given(st.text())
def test_a_name_is_its_own_name(text):
    try:
        name = class_name(text)
    except ValueError:
        return
    assert class_name(name) == name
    assert class_name(unicodedata.normalize("NFD", text)) == name


@pytest.mark.parametrize("other", ["Cat", "CAT", "ｃａｔ", "𝐜𝐚𝐭", "cat\ufe0f"])
def test_a_name_that_looks_like_a_known_one_is_refused(other):
    known = KnownNames(["dog", "cat"])
    known.admit("cat")
    known.admit("cattle")
    with pytest.raises(ValueError, match="looks like 'cat'"):
        known.admit(class_name(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7", "７"),
        ("7", "7.0"),
        ("7", "007"),
        ("0", "-0"),
        ("0.5", ".5"),
        ("0.5", "0,5"),
        ("STRASSE", "straße"),
    ],
)
def test_numbers_and_letters_that_look_alike_are_refused(one, other):
    with pytest.raises(ValueError, match="looks like"):
        KnownNames([one]).admit(class_name(other))
    with pytest.raises(ValueError, match="looks like"):
        distinct_names([one, other])


def test_declared_look_alikes_stand_side_by_side():
    known = KnownNames(["a", "A"])
    known.admit("a")
    known.admit("A")


def test_distinct_names_are_names_in_order():
    assert distinct_names([1, "0", " big  cat"]) == ("1", "0", "big cat")
    for names in ([7, "7"], ["é", "e\u0301"], ["a", "a"]):
        with pytest.raises(ValueError, match="which another name is too"):
            distinct_names(names)


@pytest.mark.parametrize("name", [NO_CLASS, "(None)"])
def test_a_class_cannot_be_called_as_having_none_is(name):
    with pytest.raises(ValueError, match=r"\(none\)"):
        distinct_names(["cat", name])


@pytest.mark.parametrize(
    ("one", "other"), [("1.1", "1.10"), ("1", "-1"), ("1.5", "15"), ("-", "+"), ("1", "1e0")]
)
def test_numbers_and_signs_that_differ_stand_side_by_side(one, other):
    KnownNames([one]).admit(other)
