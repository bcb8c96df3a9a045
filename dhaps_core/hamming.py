"""Hamming distances of codes: of every pair, and how many items lie at each distance.

Counting never holds all distances. On a CPU it goes query by query through chunks of the items that stay in
the cache, in threads: XOR of packed words, their set bits, and a histogram. Elsewhere it is a product of
blocks and one histogram for all queries of a block. Both are exact.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int, Int8, Int64, UInt8
from torch import Tensor

from dhaps_core.blocks import block_cells, block_threads
from dhaps_core.codes import check_codes, pack_bits

__all__ = ["distance_counts", "hamming_distance", "marked_distance_counts"]

Marks = Callable[[slice, slice], Bool[Tensor, "_ _"] | UInt8[Tensor, "_ _"] | Int[Tensor, "_ _"]]
"""Marks of some items for some queries: whole numbers from 0, or whether there is one."""

_Count = Callable[[slice, slice, Tensor | None], Int64[Tensor, "_ _"]]
"""Counts of the keys of some queries and some items, a row for each query.

A key is the distance d, or g d + mark where there are g different marks.
"""

_QUERIES, _ITEMS = 16, 1 << 16
"""Size of a block on a CPU: what one query needs stays in the cache, and all of it is a few MiB."""


def hamming_distance(
    a: Float[Tensor, "q b"] | Int8[Tensor, "q b"], b_: Float[Tensor, "m b"] | Int8[Tensor, "m b"]
) -> Int[Tensor, "q m"] | UInt8[Tensor, "q m"]:
    """Hamming distance, in bits, of every code of one set to every code of the other.

    Args:
        a: codes in {-1, +1}.
        b_: codes in {-1, +1}, same dtype and device.

    Returns:
        Exact distances, uint8 up to 255 bits and int16 beyond.

    Raises:
        ValueError: if a value is not -1 or +1, or if the two sets do not match.

    Example:
        >>> hamming_distance(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
        tensor([[0, 1]], dtype=torch.uint8)
    """
    _check_same(a, b_)
    return _distances(a, b_).to(torch.uint8 if a.shape[1] <= 255 else torch.int16)


def distance_counts(
    a: Float[Tensor, "q b"] | Int8[Tensor, "q b"], b_: Float[Tensor, "m b"] | Int8[Tensor, "m b"]
) -> Int64[Tensor, "q v"]:
    """Number of codes of the second set at each distance 0..b from each of the first, v = b + 1.

    Raises:
        ValueError: as :func:`hamming_distance`.

    Example:
        >>> distance_counts(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
        tensor([[1, 1, 0]])
    """
    return _counts(a, b_, None, 1)


def marked_distance_counts(
    a: Float[Tensor, "q b"] | Int8[Tensor, "q b"],
    b_: Float[Tensor, "m b"] | Int8[Tensor, "m b"],
    marks: Marks,
    *,
    grades: int = 2,
) -> Int64[Tensor, "q v g"]:
    """Number of codes at each distance as in :func:`distance_counts`, those with each mark by themselves.

    Args:
        a: codes in {-1, +1}.
        b_: codes in {-1, +1}, same dtype and device.
        marks: from some rows of ``a`` and some of ``b_`` to the mark of each pair of them; it is called from
            several threads.
        grades: g, how many marks there are: all are below it.

    Raises:
        ValueError: as :func:`hamming_distance`.
    """
    return _counts(a, b_, marks, grades).view(len(a), -1, grades)


def _counts(a: Tensor, b_: Tensor, marks: Marks | None, grades: int) -> Int64[Tensor, "q k"]:
    _check_same(a, b_)
    keys = (a.shape[1] + 1) * grades
    counts = torch.zeros(len(a), keys, dtype=torch.int64, device=a.device)
    way = _count_by_words if a.device.type == "cpu" else _count_by_product
    count, step = way(a, b_, keys, grades), block_cells(a.device, _QUERIES * _ITEMS) // _ITEMS

    def work(start: int) -> None:
        rows = slice(start, min(start + step, len(a)))
        for first in range(0, len(b_), _ITEMS):
            items = slice(first, min(first + _ITEMS, len(b_)))
            counts[rows] += count(rows, items, None if marks is None else marks(rows, items))

    with block_threads(a.device) as each:
        list(each(work, range(0, len(a), step)))
    return counts


def _count_by_product(a: Tensor, b_: Tensor, keys: int, grades: int) -> _Count:
    def count(rows: slice, items: slice, marks: Tensor | None) -> Tensor:
        key = _distances(a[rows], b_[items]).long()
        if marks is not None:
            key = grades * key + marks
        key += keys * torch.arange(len(key), device=key.device)[:, None]
        return torch.bincount(key.flatten(), minlength=keys * len(key)).view(-1, keys)

    return count


def _count_by_words(a: Tensor, b_: Tensor, keys: int, grades: int) -> _Count:
    # NumPy counts the bits of bytes seven times as fast as those of words, so up to three bytes are faster.
    bits = a.shape[1]
    width = 1 if bits <= 24 else 4 if bits <= 32 else 8
    query, database = (
        pack_bits(codes > 0, word=width).numpy().view(f"u{width}").T.copy() for codes in (a, b_)
    )

    def count(rows: slice, items: slice, marks: Tensor | None) -> Tensor:
        first, *others = database[:, items]
        n = len(first)
        differ, more = np.empty_like(first), np.empty(n, np.uint8)
        padded: npt.NDArray[Any] = np.zeros(n + n % 2, np.uint8 if keys <= 256 else np.int32)
        key, values = padded[:n], torch.from_numpy(padded)
        pairwise = keys <= 64  # two bytes read as one number: half as many to count, in a table that is small
        if pairwise:
            values = values.view(torch.int16)
        marked = None if marks is None else marks.numpy()
        if marked is not None and marked.dtype == np.bool_:
            marked = marked.view(np.uint8)
        counts = np.empty((rows.stop - rows.start, keys), np.int64)
        for i, (own, *rest) in enumerate(query[:, rows].T):
            np.bitwise_count(np.bitwise_xor(first, own, out=differ), out=key)
            for words, word in zip(others, rest, strict=True):
                key += np.bitwise_count(np.bitwise_xor(words, word, out=differ), out=more)
            if marked is not None:
                key *= grades
                np.add(key, marked[i], out=key, casting="unsafe")  # all marks are below the grades
            if pairwise:
                pairs = torch.bincount(values, minlength=256 * keys).numpy().reshape(keys, 256)
                np.add(pairs.sum(1), pairs[:, :keys].sum(0), out=counts[i])
            else:
                counts[i] = torch.bincount(values, minlength=keys)
        counts[:, 0] -= n % 2
        return torch.from_numpy(counts)

    return count


def _distances(a: Tensor, b_: Tensor) -> Float[Tensor, "q m"]:
    # Exact in every precision that torch may be told to multiply in: factors are -1 and 1, sums are whole.
    return (a.float() @ b_.float().T).sub_(a.shape[1]).div_(-2)


def _check_same(a: Tensor, b_: Tensor) -> None:
    check_codes(a)
    check_codes(b_)
    if (a.shape[1], a.dtype, a.device) != (b_.shape[1], b_.dtype, b_.device):
        raise ValueError(
            "both sets of codes must have the same bits, dtype and device; got "
            f"{a.shape[1]} bits {a.dtype} on {a.device} and {b_.shape[1]} bits {b_.dtype} on {b_.device}. "
            "Encode both with one network."
        )
