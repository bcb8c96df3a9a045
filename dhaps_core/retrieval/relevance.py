"""Which database items answer which query: class ids, label sets that overlap, or a matrix."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from dhaps_core.codes import pack_bits

__all__ = ["Relevance"]


@dataclass(frozen=True, eq=False)
class Relevance:
    """Relevance of m database items to q queries; build it with one of the three class methods.

    The arrays given are only read, never written.

    Attributes:
        kind: ``classes``, ``labels`` or ``matrix``.
        query: class ids [1 q], labels packed in words of 32 bits [w q], or the relevance itself [q m].
        database: class ids [1 m], packed labels [w m], or an empty tensor for a matrix.

    Example:
        >>> relevance = Relevance.labels(np.array([[1, 1, 0]]), np.array([[0, 1, 1], [0, 0, 1]]))
        >>> relevance.rows(slice(None))
        tensor([[ True, False]])
    """

    kind: Literal["classes", "labels", "matrix"]
    query: Tensor
    database: Tensor

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
        return cls("classes", *(values.to(dtype)[None] for values in ids))

    @classmethod
    def labels(cls, query: Tensor | np.ndarray, database: Tensor | np.ndarray) -> "Relevance":
        """Relevance of items that share at least one label, from 0 or 1 for each label, [q c] and [m c].

        An item may have none, and then nothing is relevant to it.

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
        packed = (pack_bits(values.bool(), word=4).view(torch.int32) for values in sets)
        return cls("labels", *(values.T.contiguous() for values in packed))

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
                f"{tuple(values.shape)}. Threshold graded relevance first."
            )
        return cls("matrix", values, values.new_empty(0))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of queries and number of database items."""
        q, m = self.query.shape if self.kind == "matrix" else (self.query.shape[1], self.database.shape[1])
        return q, m

    def rows(self, queries: slice, items: slice = slice(None)) -> Bool[Tensor, "q m"]:
        """Relevance of some database items (columns) to some queries."""
        if self.kind == "matrix":
            return self.query[queries, items]
        query: Any = self.query[:, queries, None]
        database: Any = self.database[:, None, items]
        if query.device.type == "cpu":  # NumPy compares ten times as fast as torch
            query, database = query.numpy(), database.numpy()
        return torch.as_tensor(self._alike(query, database))

    def pairs(self, queries: Int64[Tensor, " p"], items: Int64[Tensor, " p"]) -> Bool[Tensor, " p"]:
        """Relevance of one database item to one query, p times, by their positions."""
        if self.kind == "matrix":
            return self.query[queries, items]
        return torch.as_tensor(self._alike(self.query[:, queries], self.database[:, items]))

    def to(self, device: torch.device) -> "Relevance":
        """The same relevance on another device."""
        return Relevance(self.kind, self.query.to(device), self.database.to(device))

    def _alike(self, query: Any, database: Any) -> Any:
        """Whether classes are equal or labels overlap, of arrays or tensors; words along the first axis."""
        if self.kind == "classes":
            return query[0] == database[0]
        shared = query[0] & database[0]
        for one, other in zip(query[1:], database[1:], strict=True):
            shared |= one & other
        return shared != 0


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
