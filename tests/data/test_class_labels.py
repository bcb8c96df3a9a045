"""Labels of every kind: read as what they are, said in the protocol, or refused with what to pass."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from dhaps_core.data.class_labels import read_labels
from dhaps_core.data.sources import arrays
from dhaps_core.session.evaluation import evaluate_codes


def test_a_column_of_ids_is_not_taken_for_one_tag():
    labels = np.array([0, 1, 0, 1, 0, 1])
    features = np.eye(6)
    with pytest.raises(
        ValueError, match=r"got int64 \(6, 1\). One column may be class ids or one tag.*as \[n\]"
    ):
        arrays(features, labels[:, None], queries=2, seed=0)
    items = arrays(features, labels, queries=2, seed=0)
    assert items.labels.tolist() == labels.tolist()
    codes = torch.from_numpy(labels * 2.0 - 1)[:, None].float()  # perfect ones
    assert evaluate_codes(items, codes)["mAP@all"] == 1


def test_how_labels_were_read_stands_in_the_protocol():
    features = np.eye(4)
    for labels, said in [
        ([5, 3, 5, 3], "labels read as one class each, of 2"),
        (np.eye(4), "labels read as one class each, of 4 (every row has exactly one 1)"),
        ([[1, 1], [0, 1], [0, 0], [1, 0]], "labels read as several classes each (multi-hot), of 2"),
    ]:
        assert arrays(features, labels, queries=0, seed=0).protocol.endswith(said)
    assert "labels" not in arrays(features, queries=1, seed=0).protocol


def test_one_hot_rows_give_the_class_ids_that_they_stand_for():
    read = read_labels(np.eye(3)[[2, 0, 1, 2]])
    assert (read.labels.tolist(), read.names) == ([2, 0, 1, 2], ("0", "1", "2"))


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(["b", "a", "b"]),
        pd.Series(["b", "a", "b"], index=[7, 7, 9]),
        pd.Series(["b", "a", "b"], dtype="string"),
        pd.Series(["b", "a", "b"], dtype="category"),
        pd.Categorical(["b", "a", "b"], categories=["c", "b", "a"]),
        pd.Index(["b", "a", "b"]),
        np.array(["b", "a", "b"], dtype=object),
        [np.str_("b"), "a", "b "],
        ("b", "a", "b"),
    ],
)
def test_text_of_pandas_and_of_python_is_text(labels):
    items = arrays(np.eye(3), labels, queries=0, seed=0)
    assert (items.class_names, items.labels.tolist()) == (("a", "b"), [1, 0, 1])


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series([10, 9, 10]),
        pd.Series([10, 9, 10], dtype="Int64"),
        pd.Series([10, 9, 10], dtype="category"),
        np.array([10, 9, 10], np.uint64),
        np.array([10, 9, 10], dtype=object),
        torch.tensor([10, 9, 10]),
        np.ma.array([10, 9, 10]),
        [np.int8(10), 9, 10],
    ],
)
def test_whole_numbers_are_classes_in_the_order_of_the_numbers(labels):
    read = read_labels(labels)
    assert (read.labels.tolist(), read.names) == ([1, 0, 1], ("9", "10"))


def test_numeric_text_is_in_the_order_of_text_and_the_same_class_as_the_number():
    assert read_labels(["10", "9"]).names == ("10", "9")
    assert set(read_labels([10, 9]).names) == set(read_labels(["10", "9"]).names)


def test_large_ids_are_kept_apart():
    read = read_labels(np.array([2**64 - 1, 2**64 - 2], np.uint64))
    assert read.names == ("18446744073709551614", "18446744073709551615")
    assert read_labels([2**63 + 1, 2**63]).labels.tolist() == [1, 0]


def test_columns_of_a_data_frame_name_the_classes():
    read = read_labels(pd.DataFrame({"sea": [1, 0, 1], "sky": [1, 1, 0]}))
    assert read.names == ("sea", "sky")
    assert read.labels.tolist() == [[True, True], [False, True], [True, False]]
    with pytest.raises(ValueError, match="looks like"):
        read_labels(pd.DataFrame({"Sea": [1, 0], "sea": [1, 1]}))


@pytest.mark.parametrize(
    ("labels", "instead"),
    [
        ([0, -1], "put the known ones in the label store"),
        ([1, None], "label store"),
        ([1.0, np.nan], "label store"),
        (pd.Series(["a", None]), "label store"),
        (pd.Series([1, None], dtype="Int64"), "label store"),
        (np.ma.array([1, 2], mask=[False, True]), "label store"),
        (["a", 1], "text and whole mixed. Make them all text"),
        ([True, 1], "bool and whole mixed"),
        ([b"a"], r"label.decode\(\)"),
        (np.array([b"a"]), r"labels.astype\(str\)"),
        ([1.0, 2.0], r"labels.astype\(int\) if they are class ids"),
        ([True, False], r"labels.astype\(int\) for two classes"),
        (np.array(["2020-01-01"], "M8[D]"), "Pass text or whole numbers"),
        ([datetime.date(2020, 1, 1)], "Pass text or whole numbers"),
        ([1j], "Pass text or whole numbers"),
        ([{}], "Pass text or whole numbers"),
        (3, r"labels.reshape\(-1\)"),
        ("abc", r"labels.reshape\(-1\)"),
        ([[0, 1], [1]], "one row of 0 and 1 for each item, all of one length"),
        ([[1, -1], [1, 1]], "labels > 0"),
        (np.zeros((2, 3, 2)), r"labels.reshape\(-1\)"),
        ([["a"], ["b"]], r"pass it as \[n\]"),
        (np.zeros((2, 1), bool), r"pass it as \[n\]"),
        (torch.ones(2, 2, requires_grad=True), "detach"),
        (["Cat", "cat"], "looks like"),
        (["(none)", "a"], r"\(none\)"),
        (["a\0", "a"], "can be seen"),
        ([10**30], "64 bits"),
    ],
)
def test_what_is_no_label_is_refused_with_what_to_pass(labels, instead):
    with pytest.raises(ValueError, match=instead):
        read_labels(labels)


def test_a_sparse_matrix_is_refused_with_what_to_pass():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=r"labels.toarray\(\)"):
        read_labels(sparse.csr_matrix(np.eye(2)))


@given(arrays_of.arrays(arrays_of.scalar_dtypes(), st.integers(0, 4)))
def test_any_array_is_read_or_refused(values):
    try:
        read = read_labels(values)
    except ValueError:
        return
    assert read.labels.dtype == np.int64
    assert read.labels.min(initial=0) >= 0
    assert read.labels.max(initial=-1) < len(read.names)
    assert all(str(value) == read.names[i] for value, i in zip(values, read.labels, strict=True))
