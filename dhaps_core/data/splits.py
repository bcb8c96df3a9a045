"""Deterministic draws of queries and training items from a labelled or unlabelled collection.

Every draw takes a ``numpy.random.Generator``; numpy may change its streams between releases (NEP 19), which
is why a run stores the splits it drew (``Items.save_splits``) and does not draw them again.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dhaps_core.checks import whole
from dhaps_core.data.class_labels import Labels

__all__ = ["draw_per_class", "draw_queries", "hold_out", "seeded", "stratified_counts"]

Positions = npt.NDArray[np.int64]


def seeded(seed: Any) -> np.random.Generator:
    """Generator of a draw.

    Raises:
        ValueError: if the seed is no whole number of at least 0.
    """
    number = whole(seed)
    if number is None or number < 0:
        rule = "a whole number" if number is None else "at least 0"
        raise ValueError(f"seed must be {rule}; got {seed!r}. Choose another.")
    return np.random.default_rng(number)


def stratified_counts(sizes: npt.NDArray[np.int64], total: int, *, leave: int) -> npt.NDArray[np.int64]:
    """Number of items to draw from each class: proportional to its size, by largest remainders.

    Args:
        sizes: items of each class, [c].
        total: items to draw in all.
        leave: items of each class that must remain (a class smaller than this gives none).

    Returns:
        Counts, [c], that sum to ``total``; equal remainders go to the lower class id.

    Raises:
        ValueError: if so many cannot be drawn.

    Example:
        >>> stratified_counts(np.array([6, 3, 1]), 5, leave=1).tolist()
        [3, 2, 0]
    """
    room = np.maximum(sizes - leave, 0)
    if whole(total) is None or not 0 <= total <= room.sum():
        rule = f"queries must be between 0 and {room.sum()}, so that {leave} of each class remain"
        raise ValueError(f"{rule}; got {total!r}")
    # In whole numbers of Python: a rounded share could draw one too many.
    of_all = max(int(sizes.sum()), 1)
    shares = [int(total) * size for size in sizes.tolist()]  # of of_all
    counts = np.minimum(np.array([share // of_all for share in shares], dtype=np.int64), room)
    over = [count * of_all - share for share, count in zip(shares, counts.tolist(), strict=True)]
    by_remainder = np.argsort(over, kind="stable")
    # Ends: while counts fall short of total <= room.sum(), a class is open, and each turn draws from it.
    while (short := int(total) - int(counts.sum())) > 0:
        open_classes = by_remainder[counts[by_remainder] < room[by_remainder]]
        counts[open_classes[:short]] += 1
    return counts


def draw_per_class(
    labels: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    *,
    candidates: Positions,
    generator: np.random.Generator,
) -> Positions:
    """Sorted positions of a uniform draw of ``counts[c]`` candidates from each class c, without replacement.

    Args:
        labels: class id of every item, [n].
        counts: items to draw from each class, [c].
        candidates: sorted positions to draw from.
        generator: asked by one class after the other, in the order of their ids.

    Raises:
        ValueError: if a class has fewer candidates than asked for.
    """
    of_candidates = labels[candidates]
    chosen = []
    for c, count in enumerate(counts):
        members = candidates[of_candidates == c]
        if count > len(members):
            raise ValueError(f"class {c} must have at least {count} items to draw from; got {len(members)}")
        chosen.append(generator.permutation(members)[:count])
    return np.sort(np.concatenate(chosen)) if chosen else candidates[:0]


def draw_queries(
    labels: Labels | None, candidates: Positions, total: int, *, leave: int, seed: int
) -> tuple[Positions, str]:
    """Sorted positions of queries among some candidates, and how they were drawn, in words.

    With class ids the draw is stratified and leaves ``leave`` candidates of each class. Multi-label and
    unlabelled items are drawn uniformly: "so many per class" depends on the order in which classes are served
    when an item has several, and no two published splits agree on one.

    Raises:
        ValueError: if so many cannot be drawn.
    """
    generator = seeded(seed)
    if labels is None or labels.ndim == 2:
        if whole(total) is None or not 0 <= total <= len(candidates):
            rule = f"queries must be a whole number between 0 and {len(candidates)}, the items at hand"
            raise ValueError(f"{rule}; got {total!r}. Set queries to {len(candidates)} or fewer.")
        return np.sort(generator.permutation(candidates)[:total]), f"uniform, seed {seed}"
    ids = labels.astype(np.int64)
    counts = stratified_counts(np.bincount(ids[candidates]), total, leave=leave)
    query = draw_per_class(ids, counts, candidates=candidates, generator=generator)
    return query, f"stratified, seed {seed}"


def hold_out(labels: Labels | None, n: int, queries: int, *, seed: int) -> tuple[dict[str, Positions], str]:
    """Splits that hold out ``queries`` items and use all others as both train and database.

    The queries, 0 or more of the n items, are drawn as by :func:`draw_queries`, leaving at least one item of
    each class.

    Returns:
        The splits by name, and the protocol in words.

    Raises:
        ValueError: if labels are not class ids [n] or multi-hot [n c], or if so many queries cannot be drawn.

    Example:
        >>> splits, protocol = hold_out(np.array([0, 0, 1, 1]), 4, 2, seed=0)
        >>> len(splits["query"]), protocol
        (2, '2 queries (stratified, seed 0); train = database = the other 2')
    """
    if whole(n) is None or n < 0:
        raise ValueError(f"n must be a whole number of items; got {n!r:.80}")
    if labels is not None:
        kinds = {1: "iu", 2: "biu"}
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in kinds.get(labels.ndim, ""):
            rule = "labels must be an array of class ids [n] or multi-hot [n c]"
            raise ValueError(f"{rule}; got {labels!r:.80}")
        if len(labels) != n:
            raise ValueError(f"labels must have one row for each of the {n} items; got {len(labels)}")
        if labels.ndim == 1 and n and labels.min() < 0:
            raise ValueError(f"class ids must be at least 0; got {labels.min()}")
    everything = np.arange(n, dtype=np.int64)
    query, how = draw_queries(labels, everything, queries, leave=1, seed=seed)
    rest = np.setdiff1d(everything, query)
    protocol = f"{queries} queries ({how}); train = database = the other {len(rest)}"
    return {"train": rest, "query": query, "database": rest}, protocol
