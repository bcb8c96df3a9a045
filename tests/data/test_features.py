"""Features as they come: what float32 can tell apart, and nothing else."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from dhaps_core.data.features import far_row, first_equal, read_features
from dhaps_core.data.sources import arrays

POINTS = np.random.default_rng(0).normal(size=(50, 4))


@pytest.mark.parametrize(
    "values",
    [
        POINTS,
        POINTS.tolist(),
        np.asfortranarray(POINTS),
        POINTS.astype(">f8"),
        POINTS.astype(np.longdouble),
        pd.DataFrame(POINTS),
        torch.from_numpy(POINTS),
        np.ma.array(POINTS),
    ],
)
def test_numbers_of_every_kind_are_the_same_features(values):
    rows = read_features(values)
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, POINTS.astype(np.float32))


@pytest.mark.parametrize("unit", [1e-30, 1e30, 1])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_what_float32_can_tell_apart_is_taken(unit, offset):
    rows = read_features((POINTS + offset) * unit).astype(float)
    spread = rows - rows[0]
    wanted = (POINTS - POINTS[0]) * unit
    assert np.abs(spread - wanted).max() < 1e-2 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (POINTS + 1e9, "must keep their differences in float32; got values up to 1e.09 that differ by"),
        (np.arange(10).reshape(5, 2) + 2**40, "Subtract the mean of each column"),
        (np.array([[2**24], [2**24 + 1]]), "must keep their differences"),
        (np.c_[POINTS, 1e9 + POINTS], "must keep their differences"),
        (POINTS * 1e-50, "divide by a constant if they are tiny"),
        (POINTS * 1e-300, "must keep their differences"),
        (POINTS * 1e40, "to fit in float32; got 2.4e.40. Divide them by a constant"),
        (POINTS * 1e300, "Divide them by a constant"),
        (POINTS * 1j, "numbers .n d.; got complex128"),
        (POINTS[0], r"features.reshape\(-1, 1\)"),
        (POINTS[:0], r"at least one row; got \(0, 4\)"),
        (POINTS[None], r"numbers \[n d\]"),
        ([["a"]], r"numbers \[n d\]"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), r"features.astype\(float\)"),
        ([[1], [1, 2]], "inhomogeneous"),
        (np.ma.array(POINTS, mask=POINTS > 0), "masked values"),
        (torch.ones(2, 2, requires_grad=True), "detach"),
        (np.array([["2020-01-01"]], "M8[D]"), r"numbers \[n d\]"),
    ],
)
def test_what_is_lost_or_no_number_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        read_features(values)


def test_constant_features_are_taken_with_their_rounding_errors():
    noise = np.full((5, 2), 0.1) + 1e-17 * np.arange(10).reshape(5, 2)
    for values in (np.full((5, 2), 1e9), np.zeros((3, 2)), noise, np.c_[POINTS, 1 + 1e-16 * POINTS[:, 0]]):
        assert read_features(values).shape == values.shape


def test_values_that_are_not_finite_are_named_by_their_key():
    for bad in (np.nan, np.inf, -np.inf):
        values = POINTS.copy()
        values[7, 1] = bad
        with pytest.raises(ValueError, match="NaN or infinity in 1 rows, first '7'"):
            arrays(values, queries=0, seed=0)


def test_a_sparse_matrix_is_refused_with_what_to_pass():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=r"features.toarray\(\)"):
        read_features(sparse.csr_matrix(np.eye(2)))


few = st.sampled_from([0.0, -0.0, 1.0, 1e-40])


@given(arrays_of.arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 2)), elements=few))
def test_the_first_equal_row_is_that_of_a_slow_search(rows):
    values = rows.tolist()
    assert first_equal(rows).tolist() == [values.index(value) for value in values]


def test_a_row_beside_which_float32_forgets_the_others_is_named():
    points = POINTS.copy()
    points[20] = 1e25
    with pytest.raises(ValueError, match=r"must be of one size.*values up to 1e\+25 in '20'"):
        arrays(points, queries=0, seed=0)


@pytest.mark.parametrize(
    "rows", [[[1], [1e30]], [[0], [0], [1e9]], [[3e38], [-3e38], [0]], [[5]] * 4], ids=str
)
def test_rows_of_which_none_is_alone_are_taken(rows):
    assert far_row(np.array(rows, np.float32)) is None
