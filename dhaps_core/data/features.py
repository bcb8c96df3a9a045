"""Features as they come (arrays, pandas, tensors): checked to be numbers that float32 can tell apart."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["far_row", "first_equal", "read_features"]

_MOST_LOST = 1e-4
"""Most of the features' variance that rounding to float32 may take away."""
_ROUNDING = 1e-12
"""Differences below this share of the values are rounding errors of whoever computed them in float64."""


def read_features(values: Any) -> npt.NDArray[np.float32]:
    """Features as float32 [n d], from anything that NumPy takes for an array.

    Raises:
        ValueError: if they are not real numbers [n d], or if float32 cannot hold them: too large, or with
            differences that are small beside the values (coordinates far from their origin, time stamps).

    Example:
        >>> read_features([[1, 2], [3, 4]]).dtype
        dtype('float32')
    """
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise ValueError("features must be known; got masked values. Leave those rows out, or fill them")
    if hasattr(values, "toarray"):
        raise ValueError("features must be a dense array [n d]; got a sparse matrix. Pass features.toarray()")
    try:
        rows = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"features must be numbers [n d]; got {type(values).__name__}: {error}") from error
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        hint = {1: " One feature an item is features.reshape(-1, 1)"}.get(rows.ndim, "")
        hint = " Pass features.astype(float)" if rows.ndim == 2 and rows.dtype.kind == "O" else hint
        raise ValueError(f"features must be numbers [n d]; got {rows.dtype} {rows.shape}.{hint}".rstrip("."))
    if not len(rows):
        raise ValueError(f"features must have at least one row; got {rows.shape}")
    with np.errstate(over="ignore", under="ignore"):
        single = np.ascontiguousarray(rows, dtype=np.float32)
    if rows.dtype.itemsize > single.dtype.itemsize or rows.dtype.kind in "iu":
        _check_held(rows, single)
    return single


def first_equal(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Position of the first row with the same numbers, for each row [n]; 0.0 and -0.0 are the same.

    Example:
        >>> first_equal(np.array([[1.0], [0.0], [1.0], [-0.0]], dtype=np.float32)).tolist()
        [0, 1, 0, 1]
    """
    rows = np.ascontiguousarray(rows + np.float32(0))  # turns -0.0 into 0.0
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
    _, index, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    return index[inverse].astype(np.int64)


def far_row(rows: npt.NDArray[np.float32]) -> int | None:
    """Position of a row so far from the others that float32, once they are centred, cannot tell these apart.

    Such a row is a slip: a sentinel such as 1e20, or another unit. None of rows as they should be.

    Example:
        >>> far_row(np.array([[0.0], [1.0], [2.0], [1e9]], dtype=np.float32))
        3
    """
    some = rows[:: len(rows) // 1000 + 1] / 2  # halves, so that no difference overflows
    middle = np.median(some, axis=0).astype(np.float32)
    far = np.concatenate([_farthest(rows[i : i + 4096], middle) for i in range(0, len(rows), 4096)])
    apart = far[far > 0]
    usual = np.quantile(apart, 0.5, method="lower") if len(apart) else np.float32(0)
    return int(far.argmax()) if usual < np.finfo(np.float32).eps * far.max() else None


def _farthest(rows: npt.NDArray[np.float32], middle: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Largest difference of each row from the middle, both halved."""
    apart: npt.NDArray[np.float32] = np.abs(rows / 2 - middle).max(axis=1)
    return apart


def _check_held(rows: npt.NDArray[Any], single: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(rows).all():
        return  # not finite: refused with the names of the rows
    if not np.isfinite(single).all():
        rule = f"features must be below {np.finfo(np.float32).max:.2g} in size, to fit in float32"
        raise ValueError(f"{rule}; got {np.abs(rows).max():.2g}. Divide them by a constant")
    spread = np.subtract(rows.max(axis=0), rows.min(axis=0), dtype=np.float64)
    told = spread > _ROUNDING * np.abs(rows).max(axis=0).astype(np.float64)
    if not told.any():
        return
    # Over the largest spread, so that no square over- or underflows.
    unit, exact = spread.max(), rows[:, told].astype(np.float64)
    differs, error = (exact - exact[0]) / unit, (exact - single[:, told]) / unit
    if error.var(axis=0).sum() > _MOST_LOST * differs.var(axis=0).sum():
        got = f"values up to {np.abs(rows).max():.3g} that differ by {unit:.3g} at most"
        way = "Subtract the mean of each column, and divide by a constant if they are tiny"
        raise ValueError(f"features must keep their differences in float32; got {got}. {way}")
