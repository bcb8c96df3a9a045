"""Tests of what a collection says about its items: where a key stands, which classes, who is similar."""

import copy
import pickle

import numpy as np
import pytest

from dhaps_core.data.sources import arrays
from dhaps_core.keys import positions


def items(labels, keys=tuple("abcd")):
    return arrays(np.arange(8.0).reshape(4, 2), labels, keys=keys, queries=0, seed=0)


def test_a_key_has_one_position():
    known = items(None)
    assert dict(known.position) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert known.position is known.position
    assert copy.deepcopy(known).position == pickle.loads(pickle.dumps(known)).position == known.position
    with pytest.raises(ValueError, match="distinct; got 'b' twice"):
        positions("abcb")


def test_items_of_one_class_are_related():
    known = items(["cat", "dog", "cat", "emu"])
    assert [known.classes_of(i) for i in range(4)] == [("cat",), ("dog",), ("cat",), ("emu",)]
    assert known.related(0, 2)
    assert not known.related(0, 1)
    rows = np.arange(4)
    assert known.related(rows[:, None], rows).tolist() == [
        [True, False, True, False],
        [False, True, False, False],
        [True, False, True, False],
        [False, False, False, True],
    ]


def test_items_that_share_one_of_several_classes_are_related():
    known = items([[1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]])
    assert [known.classes_of(i) for i in range(4)] == [("0", "1"), ("1", "2"), ("2",), ()]
    rows = np.arange(4)
    assert known.related(rows[:-1], rows[1:]).tolist() == [True, True, False]
    assert known.related(rows, rows).tolist() == [True, True, True, False]  # of no class: shares none


def test_items_without_labels_are_related_by_nobody():
    assert items(None).classes_of(0) == ()
    with pytest.raises(ValueError, match="must have labels"):
        items(None).related(0, 1)
