import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhaps_core.answers import Answer, StoreError, read_csv, write_csv

TEXT = st.text(min_size=1, max_size=6)  # hypothesis leaves out lone surrogates; one example below has one
CLASS = st.one_of(TEXT, st.integers(), st.sampled_from(["1", "true", "null", "007", "-0", '"', "[1]", " a"]))


def said(kind, shown, value, row=1, who="anna", seconds=1.0):
    return Answer.given(kind, shown, value, who=who, seconds=seconds, id=row)


def test_classes_keep_their_type_and_a_pair_has_no_order():
    assert said("class", ("x",), 1).value == (1,)
    assert said("class", ("x",), "1").value == ("1",)
    assert said("class", ("x",), [1, "1", np.int64(1), "b"]).value == (1, "1", "b")
    assert said("class", ("x",), np.int64(3)).value == (3,)
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
    ],
)
def test_what_is_no_answer_is_refused(kind, shown, value, told):
    with pytest.raises(StoreError, match=told):
        said(kind, shown, value)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_seconds_and_who_are_checked(seconds):
    with pytest.raises(StoreError, match="seconds must be"):
        said("class", ("a",), 1, seconds=seconds)
    with pytest.raises(StoreError, match="Say who"):
        said("class", ("a",), 1, who="")


def test_csv_is_readable_by_hand(tmp_path):
    path = tmp_path / "answers.csv"
    write_csv(
        [said("class", ("x.jpg",), "cat"), said("class", ("y",), "7"), said("pair", ("b", "a"), "same")], path
    )
    assert path.read_text() == (
        'kind,a,b,value,who,seconds\nclass,x.jpg,,cat,anna,1.0\nclass,y,,"""7""",anna,1.0\npair,b,a,same,anna,1.0\n'
    )
    path.write_text(
        "\ufeffwho,kind,a,b,value,seconds\nbo,class,x,,7,2\nbo,class,y,,true,2\n", encoding="utf-8"
    )
    assert [(answer.value, answer.id) for answer in read_csv(path)] == [((7,), 1), (("true",), 2)]


@given(
    st.lists(
        st.tuples(
            st.lists(CLASS, min_size=1, max_size=3), st.lists(TEXT, min_size=2, max_size=2, unique=True)
        )
    )
)
def test_csv_loses_nothing(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("csv") / "answers.csv"
    answers = []
    for classes, pair in [*several, (["\udcff"], ["caf\udce9.jpg", "a,\n\r\"'\x00"])]:
        answers.append(said("class", pair[:1], classes, len(answers) + 1))
        answers.append(said("pair", pair, "different", len(answers) + 1))
    write_csv(answers, path)
    assert read_csv(path) == answers
    assert [p.name for p in path.parent.iterdir()] == ["answers.csv"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "first line must name"),
        ("kind,a,b,value\n", "first line must name"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna\n", "line 2: a row must have one cell"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna,1,2\n", "line 2: a row must have one cell"),
        ("kind,a,b,value,who,seconds\npair,a,b,same,anna,1\npair,a,b,skip,anna,1\n", "line 3: .*got 'skip'"),
        ("kind,a,b,value,who,seconds\nclass,a,b,cat,anna,1\n", "line 2: kind must be"),
        ("kind,a,b,value,who,seconds\nguess,a,b,cat,anna,1\n", "line 2: kind must be"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna,soon\n", "line 2: could not convert"),
        ("kind,a,b,value,who,seconds\nclass,a,,[1,anna,1\n", "line 2: "),
        ('kind,a,b,value,who,seconds\nclass,a,,"cat,anna,1\n', "unexpected end"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path, text, told):
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(StoreError, match=told):
        read_csv(path)
