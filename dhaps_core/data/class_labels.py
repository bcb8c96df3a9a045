"""Class labels as they come (numbers, text, columns): what kind they are is settled and said."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dhaps_core.data.class_names import class_name, distinct_names

__all__ = ["ClassLabels", "Labels", "read_labels"]

Labels = npt.NDArray[np.int64] | npt.NDArray[np.bool_]

_ACCEPTED = "labels must be whole numbers or text [n], one class each, or 0 and 1 [n c], several classes each"


@dataclass(frozen=True)
class ClassLabels:
    """Labels of one kind.

    Attributes:
        labels: class ids, int64 [n] in 0..c-1; or multi-hot, bool [n c]; or None.
        names: of the c classes.
        said: how the labels were read, in words for a protocol; empty without labels.
    """

    labels: Labels | None
    names: tuple[str, ...]
    said: str


def read_labels(values: Any) -> ClassLabels:
    """Class ids or multi-hot labels from what people have, with nothing left to guess unsaid.

    - [n] whole numbers or text (also of pandas): one class each. Classes are in the order of the numbers, or
      of the text (so "10" comes before "9"). Text is taken as `class_name` has it.
    - [n c] of 0 and 1 (bool, int or float), c of 2 or more: one class each if every row has exactly one 1,
      as list files are read; else several each. A data frame's columns name the classes.

    Everything else is refused: [n 1] may be ids or one tag, -1 or NaN may mean "unknown", floats and dates
    are measurements, True and False are no names.

    None gives none.

    Raises:
        ValueError: saying what to pass instead.

    Example:
        >>> read_labels(["b", "a", "b"])
        ClassLabels(labels=array([1, 0, 1]), names=('a', 'b'), said='labels read as one class each, of 2')
        >>> read_labels([[1, 1], [0, 1]]).said
        'labels read as several classes each (multi-hot), of 2'
    """
    if values is None:
        return ClassLabels(None, (), "")
    array = _array(values)
    if array.ndim == 2:
        return _columns(array, getattr(values, "columns", None))
    if array.ndim == 1:
        return _ids(array)
    raise _refused(array, "For one class each pass labels.reshape(-1)" if array.size else "")


def _array(values: Any) -> npt.NDArray[Any]:
    if np.ma.isMaskedArray(values) and np.ma.is_masked(values):
        raise _unknown("masked values")
    if hasattr(values, "toarray"):
        raise ValueError(f"{_ACCEPTED}; got a sparse matrix. Pass labels.toarray()")
    try:
        # Without a type named, NumPy would turn [1, "a"] into text and [1, None] into anything.
        whole = values if hasattr(values, "__array__") else np.asarray(values, dtype=object)
        array = np.asarray(whole)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{_ACCEPTED}; got {type(values).__name__}: {error}") from error
    return _typed(array) if array.dtype.kind == "O" else array


def _typed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array of Python objects as numbers or text, if all of them are of one kind."""
    flat = array.reshape(-1).tolist()
    kinds = {_kind(value) for value in flat}
    if "unknown" in kinds:
        raise _unknown("None or NaN")
    if len(kinds) > 1 and not kinds <= {"bool", "number"} and not kinds <= {"whole", "number"}:
        raise ValueError(f"{_ACCEPTED}; got {' and '.join(sorted(kinds))} mixed. Make them all text")
    if kinds == {"whole"} and max(abs(int(value)) for value in flat) >= 2**63:
        return array
    if "other" in kinds:
        other = next(value for value in flat if _kind(value) == "other")
        raise ValueError(f"{_ACCEPTED}; got {type(other).__name__}. {_instead(other)}")
    if kinds == {"text"}:
        flat = [class_name(value) for value in flat]  # NumPy would drop zero bytes at the end of a text
    typed = np.array(flat) if flat else np.empty(0, np.int64)
    return typed.reshape(array.shape)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.integer):
        return "whole"
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return "unknown"
    if isinstance(value, float | np.floating):
        return "unknown" if np.isnan(value) else "number"
    return "other"


def _instead(value: Any) -> str:
    if isinstance(value, bytes):
        return "Pass text: [label.decode() for label in labels]"
    if isinstance(value, list | tuple):
        return "For several classes each pass one row of 0 and 1 for each item, all of one length"
    return "Pass text or whole numbers"


def _columns(array: npt.NDArray[Any], columns: Iterable[Any] | None) -> ClassLabels:
    n, c = array.shape
    if c < 2:
        raise _refused(array, "One column may be class ids or one tag: for one class each pass it as [n]")
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise _refused(array, "Multi-hot labels are 0 and 1: labels > 0, if they are -1 and 1")
    hot = array.astype(np.bool_)
    names = distinct_names(range(c) if columns is None else columns)
    if n and (hot.sum(axis=1) == 1).all():
        said = f"labels read as one class each, of {c} (every row has exactly one 1)"
        return ClassLabels(hot.argmax(axis=1).astype(np.int64), names, said)
    return ClassLabels(hot, names, f"labels read as several classes each (multi-hot), of {c}")


def _ids(array: npt.NDArray[Any]) -> ClassLabels:
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise _unknown("NaN")
    if array.dtype.kind not in "iuUO":
        hints = {
            "f": "Pass labels.astype(int) if they are class ids",
            "b": "Pass labels.astype(int) for two classes",
            "S": "Pass labels.astype(str)",
        }
        raise _refused(array, hints.get(array.dtype.kind, "Pass text or whole numbers"))
    if array.dtype.kind == "U":
        array = np.array([class_name(name) for name in array.tolist()], dtype=object)
    elif len(array) and array.min() < 0:
        raise _unknown(str(array.min()))
    found, ids = np.unique(array, return_inverse=True)
    names = distinct_names(found.tolist())
    return ClassLabels(ids.astype(np.int64), names, f"labels read as one class each, of {len(names)}")


def _unknown(got: str) -> ValueError:
    way = "If it means 'unknown', leave labels out and put the known ones in the label store"
    return ValueError(f"class labels must be known, 0 or more; got {got}. {way}")


def _refused(array: npt.NDArray[Any], instead: str) -> ValueError:
    return ValueError(f"{_ACCEPTED}; got {array.dtype} {array.shape}. {instead}".rstrip(". "))
