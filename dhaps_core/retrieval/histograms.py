"""Histograms of Hamming distances from every query to all database items and to the relevant ones.

With b bits a ranking has at most b + 1 places, so these two histograms hold all that a metric needs: no sort,
and no matrix of distances.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import local

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from dhaps_core.block_threads import block_threads
from dhaps_core.codes import check_same_codes
from dhaps_core.keys import item_key
from dhaps_core.retrieval.bitplanes import (
    MAX_WORDS,
    WORD,
    DistanceTables,
    LabelTables,
    Planes,
    and_counts,
    histograms_of,
    words,
)
from dhaps_core.retrieval.relevance import Relevance

__all__ = ["DistanceHistograms", "distance_counts", "distance_histograms"]

_BLOCK_WORDS = 1 << 16
"""Words of a plane of one block of queries: half a MiB, so that the planes in use stay in the cache."""


@dataclass(frozen=True, eq=False)
class DistanceHistograms:
    """Histograms of the distances of q rankings, and what was ranked.

    Attributes:
        items: number of database items at each distance 0..b, [q b+1].
        relevant: number of relevant ones among them, [q b+1].
        bits: b.
        database: number of database items, those left out included.
        exclude_self: whether the item that has the query's key was left out of its ranking.
        excluded: number of items left out, over all queries.
        overlap: number of queries whose key is also a database key; None if no keys were given.
    """

    items: Int64[Tensor, "q v"]
    relevant: Int64[Tensor, "q v"]
    bits: int
    database: int
    exclude_self: bool
    excluded: int
    overlap: int | None


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
        query_codes: codes in {-1, +1}, at least one.
        database_codes: codes in {-1, +1}, at least one, on the same device.
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
    check_same_codes(query_codes, database_codes)
    relevance = relevance.to(query_codes.device)
    items, relevant = _histograms(query_codes > 0, database_codes > 0, relevance)
    if exclude_self and pairs is not None:
        i, j = (torch.tensor(p, dtype=torch.int64, device=query_codes.device) for p in pairs)
        at = (i, (query_codes[i] != database_codes[j]).sum(1))
        items.index_put_(at, items.new_tensor(-1), accumulate=True)
        relevant.index_put_(at, -relevance.pairs(i, j).long(), accumulate=True)
    return DistanceHistograms(
        items=items,
        relevant=relevant,
        bits=query_codes.shape[1],
        database=m,
        exclude_self=exclude_self,
        excluded=len(pairs[0]) if exclude_self and pairs is not None else 0,
        overlap=None if pairs is None else len(pairs[0]),
    )


def _pairs_of_equal_keys(
    query_keys: Sequence[Hashable] | None, database_keys: Sequence[Hashable] | None, q: int, m: int
) -> tuple[list[int], list[int]] | None:
    if query_keys is None and database_keys is None:
        return None
    if query_keys is None or database_keys is None or (len(query_keys), len(database_keys)) != (q, m):
        raise ValueError(
            f"keys must be given for all {q} queries and all {m} database items, or for neither; got "
            f"{[None if k is None else len(k) for k in (query_keys, database_keys)]}. Pass both."
        )
    queries, database = [item_key(key) for key in query_keys], [item_key(key) for key in database_keys]
    position = {key: j for j, key in enumerate(database)}
    if len(position) != m:
        raise ValueError(
            f"database keys must all differ; got {m - len(position)} repeated. Remove the duplicates."
        )
    found = [(i, position[key]) for i, key in enumerate(queries) if key in position]
    return [i for i, _ in found], [j for _, j in found]


def distance_counts(
    query_codes: Float[Tensor, "q b"] | Int8[Tensor, "q b"],
    database_codes: Float[Tensor, "m b"] | Int8[Tensor, "m b"],
) -> Int64[Tensor, "q v"]:
    """Number of database items at each distance 0..b of each query, exact, in bounded memory.

    Args:
        query_codes: codes in {-1, +1}, at least one.
        database_codes: codes in {-1, +1}, at least one, on the same device.

    Raises:
        ValueError: if the codes do not fit together.
    """
    check_same_codes(query_codes, database_codes)
    query, database = query_codes > 0, database_codes > 0

    counts = torch.zeros(query.shape[1] + 1, len(query), dtype=torch.int64, device=query.device)
    _for_blocks(query, database, lambda _: lambda block: _count(block, counts))
    return histograms_of(counts)


@dataclass(frozen=True)
class _Block:
    """Binary digits of the distances of some queries to a chunk of the database."""

    rows: slice  # queries
    size: int  # items of the chunk
    digits: list[Tensor]
    memory: Planes


def _for_blocks(
    query: Bool[Tensor, "q b"],
    database: Bool[Tensor, "m b"],
    begin: Callable[[slice], Callable[[_Block], None]],
) -> None:
    """Work on all distances, a chunk of the database and a block of queries at a time.

    Args:
        query: bits of the queries.
        database: bits of the items.
        begin: from a chunk of the database to the work on its blocks, which runs in several threads: each
            block has its own queries, and is gone when the work on it is done.
    """
    q, own = len(query), local()
    with block_threads(query.device) as each:
        for first in range(0, len(database), MAX_WORDS * WORD):
            chunk = slice(first, first + MAX_WORDS * WORD)
            items = database[chunk]
            tables = DistanceTables(query, items)
            step = max(1, _BLOCK_WORDS // tables.width)
            blocks = [slice(start, min(start + step, q)) for start in range(0, q, step)]
            list(each(partial(_run, begin(chunk), tables, len(items), own), blocks))


def _run(work: Callable[[_Block], None], tables: DistanceTables, size: int, own: local, rows: slice) -> None:
    """Work on one block, with memory that the thread keeps for its next block."""
    shape = rows.stop - rows.start, tables.width
    if getattr(own, "shape", None) != shape:
        own.shape, own.memory = shape, Planes(*shape, tables.bits, tables.device)
    digits = tables.digits(rows, own.memory)
    work(_Block(rows, size, digits, own.memory))
    own.memory.give(*digits)


def _count(block: _Block, counts: Int64[Tensor, "v q"]) -> None:
    counts[0, block.rows] += block.size
    counts[1:, block.rows] += and_counts(block.digits, len(counts) - 1, block.memory)


def _histograms(
    query: Bool[Tensor, "q b"], database: Bool[Tensor, "m b"], relevance: Relevance
) -> Int64[Tensor, "two q v"]:
    """Histograms of all and of relevant items."""
    (q, bits), device = query.shape, query.device
    counts = torch.zeros(2, bits + 1, q, dtype=torch.int64, device=device)
    if relevance.kind == "classes":
        # Sorted by class, the relevant items of a query are neighbours, and so are the queries of a class:
        # the second histogram reads a narrow window only.
        database_order, query_order = relevance.database.argsort(), relevance.query.argsort()
        database, query = database[database_order], query[query_order]
        classes, wanted = relevance.database[database_order], relevance.query[query_order]
        spans = [torch.searchsorted(classes, wanted, right=right) for right in (False, True)]

    def begin(chunk: slice) -> Callable[[_Block], None]:
        if relevance.kind == "labels":
            labels = LabelTables(relevance.query, relevance.database[chunk])

        def work(block: _Block) -> None:
            rows = block.rows
            _count(block, counts[0])
            if relevance.kind == "classes":
                low, high = ((span[rows] - chunk.start).clamp(0, block.size) for span in spans)
                columns, mask = _window(low, high, block.digits[0].shape[1])
                masked = [digit.take_along_dim(columns, 1).bitwise_and_(mask) for digit in block.digits]
                window = Planes(len(mask), mask.shape[1], bits, device)
            else:
                if relevance.kind == "labels":
                    mask = labels.shared(rows)
                else:
                    mask = words(relevance.query[rows, chunk])
                masked = [digit.bitwise_and_(mask) for digit in block.digits]
                window = block.memory
            counts[1, :1, rows] += and_counts([mask], 1, window)
            counts[1, 1:, rows] += and_counts(masked, bits, window)

        return work

    _for_blocks(query, database, begin)
    if relevance.kind == "classes":
        counts = counts[:, :, query_order.argsort()]
    return histograms_of(counts)


def _window(
    low: Int64[Tensor, " q"], high: Int64[Tensor, " q"], width: int
) -> tuple[Int64[Tensor, "q w"], Int64[Tensor, "q w"]]:
    """The words that hold the items low..high-1 of each query, and the mask of these items in them."""
    first = low // WORD
    needed = max(1, int(torch.where(high > low, -(-high // WORD) - first, 0).max()))
    columns = first[:, None] + torch.arange(-(-needed // 8) * 8, device=low.device)
    offsets = columns * WORD
    mask = _ones_below(high[:, None] - offsets) & ~_ones_below(low[:, None] - offsets)
    return columns.clamp_(max=width - 1), mask


def _ones_below(place: Int64[Tensor, "q w"]) -> Int64[Tensor, "q w"]:
    """Words whose bits below the place are set; none for places under 0, all from 64 on."""
    ones = (torch.ones_like(place) << place.clamp(0, WORD - 1)) - 1
    return torch.where(place >= WORD, -1, ones)
