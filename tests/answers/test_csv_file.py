"""The CSV file of answers: as people and spreadsheets write it, and without loss."""

import csv
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.csv_file import read_csv, write_csv
from dhaps_core.data.class_names import NO_CLASS
from tests.answers.test_answer import said

TEXT = st.text(min_size=1, max_size=6)  # hypothesis leaves out lone surrogates; one example below has one
CELL = st.text(st.sampled_from("a=+-@'\",;\t\r\n [{＝|%"), min_size=1, max_size=8)
NAME = st.one_of(
    st.text("a=+-@'\",; [{＝|%é猫", min_size=1, max_size=8).filter(str.strip),
    st.integers(-(2**63), 2**63),
    st.sampled_from(["1", "true", "null", "007", "-0", '"', "[1]", " a", NO_CLASS]),
)
KEY = st.one_of(TEXT, CELL).filter(lambda key: "\x00" not in key)


def test_csv_is_readable_by_hand(tmp_path):
    path = tmp_path / "answers.csv"
    write_csv(
        [said("class", ("x.jpg",), "cat"), said("class", ("y",), "7"), said("pair", ("b", "a"), "same")], path
    )
    assert path.read_text() == (
        "kind,a,b,value,who,seconds\nclass,x.jpg,,cat,anna,1.0\nclass,y,,7,anna,1.0\npair,b,a,same,anna,1.0\n"
    )
    path.write_text(
        "\ufeffwho,kind,a,b,value,seconds\nbo,class,x,,7,2\nbo,class,y,,true,2\n", encoding="utf-8"
    )
    assert [(answer.value, answer.id) for answer in read_csv(path)] == [(("7",), 1), (("true",), 2)]


@given(
    st.lists(
        st.tuples(
            st.lists(NAME, min_size=1, max_size=3), st.lists(KEY, min_size=2, max_size=2, unique=True), KEY
        ),
        max_size=5,
    )
)
def test_csv_loses_nothing(tmp_path_factory, several):
    path = tmp_path_factory.mktemp("csv") / "answers.csv"
    answers = []
    for classes, pair, who in [*several, (["cat"], ["caf\udce9.jpg", "a,\n\r\"'"], "anna")]:
        named = [one for one in classes if one != NO_CLASS] or NO_CLASS
        answers.append(said("class", pair[:1], named, len(answers) + 1, f"a{who}"))
        answers.append(said("pair", pair, "different", len(answers) + 1, f"{who}a"))
    write_csv(answers, path)
    assert read_csv(path) == answers
    assert [p.name for p in path.parent.iterdir()] == ["answers.csv"]


HAND = "kind,a,b,value,who,seconds\nclass,x é.jpg,,7,anna,1.5\npair,b,a,same,anna,0\n"


@pytest.mark.parametrize(
    "content",
    [
        HAND.encode(),
        HAND.encode("utf-8-sig"),
        HAND.encode("utf-16"),
        b"\xfe\xff" + HAND.replace(",", "\t").encode("utf-16-be"),
        HAND.replace(",", ";").replace("1.5", "1,5").encode("utf-8-sig"),
        HAND.replace(",", "\t").replace("1.5", "1,5").replace("\n", "\r\n").encode("utf-16"),
        b"sep=;\r\n" + HAND.replace(",", ";").encode(),
        HAND.replace("\n", "\r").encode(),
        HAND.replace("\n", ",,\n").encode() + b",,,,,,,\n\n  ,,,,,\n",
        HAND.replace("kind,a", '" Kind ",A').replace("class", "Class ").replace("same", " Same").encode(),
        HAND.replace("who,seconds", "seconds,who").replace("anna,1.5", "1.5,anna")
        .replace("anna,0", "0,anna").encode(),
        HAND.replace("7", '"""7"""').encode(),
        HAND.replace(",7,", ',"[7]",').encode(),
    ],
)  # fmt: skip
def test_what_excel_and_people_write_is_read_the_same(tmp_path, content):
    path = tmp_path / "answers.csv"
    path.write_bytes(content)
    assert read_csv(path) == [
        said("class", ("x é.jpg",), "7", 1, seconds=1.5),
        said("pair", ("b", "a"), "same", 2, seconds=0.0),
    ]


@pytest.mark.parametrize(
    "key", ["=1+1", "@SUM(A1)", "+1", "-1.jpg", "\t=1", "＝1", "a;=1+1", 'a,"\n=1', "'=1", "x\t-1"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_exported_cell_is_a_formula_whatever_separator_is_expected(tmp_path, key, separator):
    path = tmp_path / "answers.csv"
    answers = [said("class", (key,), "-1", who="=2+5"), said("pair", (key, "b"), "same", 2)]
    write_csv(answers, path)
    with path.open(newline="") as file:
        cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]
    assert read_csv(path) == answers


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
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna,soon\n", "line 2: seconds must be a number"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna,nan\n", "line 2: seconds must be a number"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat,anna,1_0\n", "line 2: seconds must be a number"),
        ('kind,a,b,value,who,seconds\nclass,a,,cat,anna,"1,5"\n', "line 2: seconds must be a number"),
        ("kind,a,b,value,who,seconds,who\n", "got 'who' besides"),
        ("kind,a,b,value,who,seconds,note\nclass,a,,cat,anna,1,why\n", "got 'note' besides"),
        ('kind,a,b,value,who,seconds\n"cl\nass",a,,cat,anna,1\n', "line 3: kind must be"),
        ("kind,a,b,value,who,seconds\nclass,a,,cat\u200b,anna,1\n", r"line 2: .*got 'cat\\u200b'"),
        ("kind,a,b,value,who,seconds\nclass,a,," + "[" * 100_000 + ",anna,1\n", "line 2: a value that"),
        ("kind,a,b,value,who,seconds\nclass,a,," + "x" * 200_000 + ",anna,1\n", "line 2: field larger"),
        ("kind,a,b,value,who,seconds\nclass,a,,c\x00t,anna,1\n", "line 2: text must not hold a zero byte"),
        (
            "kind,a,b,value,who,seconds\nclass,a,,[1,anna,1\n",
            r"line 2: a value that .* must be JSON.*got '\[1'",
        ),
        (
            'kind,a,b,value,who,seconds\nclass,a,,"""big"" cat",anna,1\n',
            "line 2: a value that .*must be JSON",
        ),
        ('kind,a,b,value,who,seconds\nclass,a,,"cat,anna,1\n', "unexpected end"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path, text, told):
    path = tmp_path / "answers.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=told):
        read_csv(path)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-32"])
def test_text_that_is_not_utf8_is_refused_with_its_line_and_the_way_out(tmp_path, encoding):
    path = tmp_path / "answers.csv"
    path.write_bytes(HAND.encode(encoding))
    with pytest.raises(StoreError, match=r"line [12]: text must .*Save the file anew as UTF-8"):
        read_csv(path)


def test_what_is_no_file_or_too_large_is_refused_without_reading_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "absent.csv", tmp_path / "pipe.csv"):
        with pytest.raises(StoreError, match="it must be a file"):
            read_csv(path)
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(StoreError, match="at most 104857600 bytes"):
        read_csv(tmp_path / "large.csv")
