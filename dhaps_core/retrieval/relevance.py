"""Which database items answer which query, and how well: class ids, label sets that overlap, or a matrix.

An item's *grade* for a query is the number of classes that they share. It is relevant from grade 1 on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int, Int64, UInt8
from torch import Tensor

from dhaps_core.checks import check_positions
from dhaps_core.codes import pack_bits

__all__ = ["Relevance"]

_BYTE = 256  # numbers that one byte tells apart


@dataclass(frozen=True, eq=False)
class Relevance:
    """Relevance of m database items to q queries; build it with one of the three class methods.

    The arrays given are only read, never written.

    Attributes:
        kind: ``classes``, ``labels`` or ``matrix``.
        query: class ids [1 q], labels packed in words of 32 bits [w q], or the relevance itself [q m].
        database: class ids [1 m], packed labels [w m], or an empty tensor for a matrix.
        grades: g; all grades are below it.

    Example:
        >>> relevance = Relevance.labels(np.array([[1, 1, 0]]), np.array([[1, 1, 1], [0, 1, 1], [0, 0, 1]]))
        >>> relevance.rows(slice(None))
        tensor([[2, 1, 0]], dtype=torch.uint8)
    """

    kind: Literal["classes", "labels", "matrix"]
    query: Tensor
    database: Tensor
    grades: int = 2

    @classmethod
    def classes(cls, query: Tensor | np.ndarray, database: Tensor | np.ndarray) -> "Relevance":
        """Relevance of items of the same class, from class ids [q] and [m].

        Raises:
            ValueError: if the ids are not whole numbers from 0 in one row.
        """
        ids = _tensor(query), _tensor(database)
        for values in ids:
            whole = not (values.is_floating_point() or values.dtype == torch.bool)
            if values.ndim != 1 or not whole or (len(values) and values.min() < 0):
                raise ValueError(
                    f"class ids must be whole numbers from 0, one for each item; got {values.dtype} of shape "
                    f"{tuple(values.shape)}. An item without a class can be neither query nor database."
                )
        few = all(not len(values) or values.max() < 1 << 15 for values in ids)
        dtype = torch.int16 if few else torch.int64  # there is less to read for each query
        own, others = (values.to(dtype)[None] for values in ids)
        return cls("classes", own, others)

    @classmethod
    def labels(cls, query: Tensor | np.ndarray, database: Tensor | np.ndarray) -> "Relevance":
        """Relevance of items that share at least one label, from 0 or 1 for each label, [q c] and [m c].

        An item may have none, and then nothing is relevant to it. The grade is the number of labels shared.

        Raises:
            ValueError: if the label sets have another shape or another value.
        """
        sets = _tensor(query), _tensor(database)
        for values in sets:
            fits = values.ndim == 2 and values.shape[1] == sets[0].shape[1]
            if not fits or not values.shape[1] or not ((values == 0) | (values == 1)).all():
                raise ValueError(
                    "label sets must be 0 or 1 for each of the same labels; got shapes "
                    f"{tuple(sets[0].shape)} and {tuple(sets[1].shape)}. Class ids go to Relevance.classes."
                )
        most = min(int(values.sum(1).max()) if len(values) else 0 for values in sets)
        packed = (pack_bits(values.bool(), word=4).view(torch.int32) for values in sets)
        own, others = (values.T.contiguous() for values in packed)
        return cls("labels", own, others, grades=max(1, most) + 1)

    @classmethod
    def matrix(cls, relevant: Tensor | np.ndarray) -> "Relevance":
        """Relevance as it is given, bool [q m]: True where a database item is relevant to a query.

        Raises:
            ValueError: if it is not a bool matrix.
        """
        values = _tensor(relevant)
        if values.ndim != 2 or values.dtype != torch.bool:
            raise ValueError(
                f"relevance must be a bool matrix [queries, database]; got {values.dtype} of shape "
                f"{tuple(values.shape)}. Grades come from label sets: Relevance.labels."
            )
        return cls("matrix", values, values.new_empty(0))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of queries and number of database items."""
        q, m = self.query.shape if self.kind == "matrix" else (self.query.shape[1], self.database.shape[1])
        return q, m

    def rows(
        self, queries: slice, items: slice = slice(None)
    ) -> Bool[Tensor, "q m"] | UInt8[Tensor, "q m"] | Int[Tensor, "q m"]:
        """Grades of some database items (columns) for some queries; bool where there are only two."""
        if self.kind == "matrix":
            return self.query[queries, items]
        query: Any = self.query[:, queries, None]
        database: Any = self.database[:, None, items]
        if query.device.type == "cpu":  # NumPy compares ten times as fast as torch
            query, database = query.numpy(), database.numpy()
        return torch.as_tensor(self._shared(query, database))

    def pairs(
        self, queries: Int64[Tensor, " p"], items: Int64[Tensor, " p"]
    ) -> Bool[Tensor, " p"] | UInt8[Tensor, " p"] | Int[Tensor, " p"]:
        """Grade of one database item for one query, p times, by their positions.

        Raises:
            ValueError: if they are not as many positions each, of queries and of database items.
        """
        if queries.shape != items.shape:
            rule = "queries and items must be as many"
            raise ValueError(f"{rule}; got shapes {list(queries.shape)} and {list(items.shape)}.")
        for name, at, count in zip(("queries", "items"), (queries, items), self.shape, strict=True):
            check_positions(name, at, count)
        if self.kind == "matrix":
            return self.query[queries, items]
        return torch.as_tensor(self._shared(self.query[:, queries], self.database[:, items]))

    def to(self, device: torch.device) -> "Relevance":
        """The same relevance on another device."""
        return Relevance(self.kind, self.query.to(device), self.database.to(device), self.grades)

    def _shared(self, query: Any, database: Any) -> Any:
        """Number of shared classes, of arrays or tensors; words along the first axis."""
        if self.kind == "classes":
            return query[0] == database[0]
        words = zip(query, database, strict=True)
        first, *others = (torch.as_tensor(_set_bits(one & other)) for one, other in words)
        if self.grades > _BYTE:
            first = first.int()
        for one in others:
            first += one
        return first


def _set_bits(words: Any) -> Any:
    """Number of set bits, as bytes, of an array or a tensor of words of 32 bits."""
    if isinstance(words, np.ndarray):
        return np.bitwise_count(words.view(np.uint32))
    # torch has no such function: sums of 2, 4, 8, ... neighbours, in place in the word.
    words = (words & 0x55555555) + (words >> 1 & 0x55555555)
    words = (words & 0x33333333) + (words >> 2 & 0x33333333)
    words = words + (words >> 4) & 0x0F0F0F0F
    words = words + (words >> 8)
    return (words + (words >> 16) & 0x3F).to(torch.uint8)


def _tensor(values: Tensor | np.ndarray) -> Tensor:
    if isinstance(values, Tensor):
        return values
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype == np.uint64:
        raise ValueError(
            f"labels must be numbers that torch has; got {array.dtype}. Number the classes from 0."
        )
    # torch takes no steps backwards, and warns of memory it may not write to, although nothing here writes.
    plain = array.flags.writeable and array.flags.c_contiguous
    return torch.from_numpy(array if plain else array.copy())
