"""Histograms of Hamming distances from every query to the database items of each grade of relevance.

With b bits a ranking has at most b + 1 places: these hold all that a metric needs, and nothing is sorted.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from dhaps_core.checks import shown, whole
from dhaps_core.hamming import marked_distance_counts
from dhaps_core.keys import item_key, positions
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["DistanceHistograms", "distance_histograms"]


@dataclass(frozen=True, eq=False)
class DistanceHistograms:
    """Histograms of the distances of q rankings, and what was ranked.

    Attributes:
        grades: number of database items of each grade 0..g-1 at each distance 0..b, [q b+1 g]; the grade is
            the number of classes that an item shares with the query.
        bits: b.
        database: number of database items, those left out included.
        exclude_self: whether the item that has the query's key was left out of its ranking.
        excluded: number of items left out, over all queries.
        overlap: number of queries whose key is also a database key; None if no keys were given.
    """

    grades: Int64[Tensor, "q v g"]
    bits: int
    database: int
    exclude_self: bool
    excluded: int
    overlap: int | None

    @cached_property
    def items(self) -> Int64[Tensor, "q v"]:
        """Number of database items at each distance."""
        return self.grades.sum(2)

    @cached_property
    def relevant(self) -> Int64[Tensor, "q v"]:
        """Number of relevant items at each distance."""
        return self.grades[..., 1:].sum(2)

    @cached_property
    def shared(self) -> Int64[Tensor, "q v"]:
        """Sum of the grades at each distance: over its items, the number of classes shared with the query."""
        return (self.grades * torch.arange(self.grades.shape[2], device=self.grades.device)).sum(2)

    @cached_property
    def items_before(self) -> Int64[Tensor, "q v"]:
        """Number of items nearer than each distance."""
        return self.items.cumsum(1) - self.items

    @cached_property
    def relevant_before(self) -> Int64[Tensor, "q v"]:
        """Number of relevant items nearer than each distance."""
        return self.relevant.cumsum(1) - self.relevant

    @cached_property
    def shortest(self) -> int:
        """Length of the shortest ranking."""
        return int(self.items.sum(1).min())

    def first(self, k: int | None) -> Int64[Tensor, "q v"]:
        """How many of the first k items of each ranking are at each distance; None is the whole ranking.

        Raises:
            ValueError: if k is below 1 or above the length of the shortest ranking.
        """
        if k is None:
            return self.items
        return (self.cut(k) - self.items_before).clamp(min=0).minimum(self.items)

    def cut(self, k: int) -> int:
        """A cut-off that every ranking reaches.

        Raises:
            ValueError: if k is below 1 or above the length of the shortest ranking.
        """
        cut = whole(k)
        if cut is None or not 1 <= cut <= self.shortest:
            rule = f"k must be from 1 to the {self.shortest} items of the shortest ranking, and whole"
            raise ValueError(f"{rule}; got {shown(k)}. Give a smaller k, or None for the whole ranking.")
        return cut


def distance_histograms(
    query_codes: Float[Tensor, "q b"] | Int8[Tensor, "q b"],
    database_codes: Float[Tensor, "m b"] | Int8[Tensor, "m b"],
    relevance: Relevance,
    *,
    query_keys: Sequence[Hashable] | None = None,
    database_keys: Sequence[Hashable] | None = None,
    exclude_self: bool = False,
) -> DistanceHistograms:
    """Histograms of q rankings of m database items, exact, in memory that does not grow with q m.

    Args:
        query_codes: at least one, of -1 and +1.
        database_codes: at least one, on the same device.
        relevance: which items are relevant to which query.
        query_keys: one key for each query, text or whole numbers; with both sets the overlap is counted.
        database_keys: one key for each database item, all different.
        exclude_self: leave the item that has the query's own key out of its ranking.

    Raises:
        ValueError: if the shapes, the codes or the keys do not fit together.

    Example:
        >>> codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> classes = torch.tensor([0, 0, 1])
        >>> h = distance_histograms(codes[:1], codes, Relevance.classes(classes[:1], classes))
        >>> h.items, h.relevant
        (tensor([[1, 1, 1]]), tensor([[1, 1, 0]]))
    """
    q, m = len(query_codes), len(database_codes)
    if not q or not m or relevance.shape != (q, m):
        raise ValueError(
            "relevance must cover at least one query and one database item, as the codes do; got codes of "
            f"{q} queries and {m} items, and relevance of {relevance.shape[0]} and {relevance.shape[1]}. "
            "Build both from the same splits."
        )
    pairs = _pairs_of_equal_keys(query_keys, database_keys, q, m)
    if exclude_self and pairs is None:
        raise ValueError("exclude_self must know the items; got no keys. Give query_keys and database_keys.")
    relevance = relevance.to(query_codes.device)
    counts = marked_distance_counts(query_codes, database_codes, relevance.rows, grades=relevance.grades)
    if exclude_self and pairs is not None:
        i, j = pairs.to(query_codes.device)
        at = i, (query_codes[i] != database_codes[j]).sum(1), relevance.pairs(i, j).long()
        counts[at] -= 1  # a query has one such item at most
    return DistanceHistograms(
        grades=counts,
        bits=query_codes.shape[1],
        database=m,
        exclude_self=exclude_self,
        excluded=pairs.shape[1] if exclude_self and pairs is not None else 0,
        overlap=None if pairs is None else pairs.shape[1],
    )


def _pairs_of_equal_keys(
    query_keys: Sequence[Hashable] | None, database_keys: Sequence[Hashable] | None, q: int, m: int
) -> Int64[Tensor, "two p"] | None:
    """Positions of a query and of the database item that has its key, for each query that has one."""
    if query_keys is None and database_keys is None:
        return None
    if query_keys is None or database_keys is None or (len(query_keys), len(database_keys)) != (q, m):
        raise ValueError(
            f"keys must be given for all {q} queries and all {m} database items, or for neither; got "
            f"{[None if k is None else len(k) for k in (query_keys, database_keys)]}. Pass both."
        )
    position = positions(map(item_key, database_keys))
    found = [(i, position[key]) for i, key in enumerate(map(item_key, query_keys)) if key in position]
    return torch.tensor(found, dtype=torch.int64).view(-1, 2).T
