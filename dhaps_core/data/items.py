"""The frozen collection that everything else works on: keys, features or images, labels, named splits.

An item is known by its key (relative path, or row number); arrays use its position in the whole collection,
never a position within what remains of some pool.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Integer

from dhaps_core.array_files import read_arrays
from dhaps_core.checks import check_positions
from dhaps_core.data.class_labels import Labels
from dhaps_core.data.features import far_row, first_equal
from dhaps_core.data.images import Images
from dhaps_core.files import replacing
from dhaps_core.json_files import DamagedFileError, is_text
from dhaps_core.keys import item_keys, positions

__all__ = ["LABELLED", "SPLITS", "Items"]

SPLITS = ("train", "query", "database")
LABELLED = "labelled"
_BESIDE = 1 << 20  # bytes of a file of splits beside the positions: names, protocol, digests


@dataclass(frozen=True, eq=False)
class Items:
    """Items of one collection and how they are split.

    Attributes:
        keys: unique name of each item, n of them.
        features: embedding of each item, float32 [n d], finite; or None.
        images: lazy images, n of them; or None. Features, images or both must be there.
        labels: class ids, int64 [n] in 0..c-1; or multi-hot, bool [n c]; or None. For evaluation and oracles
            only: what people have answered lives in the label store.
        class_names: c names; none without labels.
        splits: sorted unique positions (int64) under "train" (the pool that selection draws from), "query"
            and "database". Queries are in neither of the others unless ``allow_overlap``. Where a protocol
            labels a part of the pool only, that part is "labelled": what fully supervised rows learn from.
        protocol: how the splits were made, in words; it travels with every result.
        source: where the items came from.
        skipped: (file, reason) of each file left out.
        allow_overlap: True if queries may be in train or database, as some published protocols have it.

    Raises:
        ValueError: if the parts do not fit together.

    Example:
        >>> rows = {name: np.arange(2) + 2 * (name == "query") for name in SPLITS}
        >>> items = Items(tuple("abcd"), np.eye(4, dtype=np.float32), None, None, (), rows, "by hand", "doc")
        >>> items.n, items.multi_label, items.position["c"]
        (4, False, 2)
    """

    keys: tuple[str, ...]
    features: npt.NDArray[np.float32] | None
    images: Images | None
    labels: Labels | None
    class_names: tuple[str, ...]
    splits: dict[str, npt.NDArray[np.int64]]
    protocol: str
    source: str
    skipped: tuple[tuple[str, str], ...] = ()
    allow_overlap: bool = False

    def __post_init__(self) -> None:
        _check_types(self)
        _check_content(self)
        _check_labels(self)
        _check_splits(self)

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.keys)

    @property
    def multi_label(self) -> bool:
        """Whether labels are multi-hot, so that an item can have several classes or none."""
        return self.labels is not None and self.labels.ndim == 2

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Position of each item by its key."""
        return positions(self.keys)

    def classes_of(self, position: int) -> tuple[str, ...]:
        """Names of the classes of an item; none of one without a class, or without labels.

        Raises:
            ValueError: if there is no item at that position.
        """
        check_positions("position", np.asarray(position), self.n)
        if self.labels is None:
            return ()
        row = self.labels[position]
        return tuple(self.class_names[c] for c in (np.flatnonzero(row) if self.multi_label else [row]))

    def related(
        self, a: int | Integer[np.ndarray, "*#p"], b: int | Integer[np.ndarray, "*#p"]
    ) -> Bool[np.ndarray, "*p"]:
        """Whether the labels say that two items are similar: they are of one class, or share one of several.

        Args:
            a: positions of the first items.
            b: positions of the second ones. The shapes broadcast: [r 1] and [1 s] give the block [r s].

        Raises:
            ValueError: if there are no labels, or something is no position.
        """
        if self.labels is None:
            raise ValueError("items must have labels to be related by them; got none. Let a person tell.")
        for name, at in (("a", a), ("b", b)):
            check_positions(name, np.asarray(at), self.n)
        x, y = self.labels[a], self.labels[b]
        return np.asarray((x & y).any(axis=-1) if self.multi_label else x == y)

    def fingerprint(self) -> str:
        """Hex sha256 of keys, labels, features, images and splits: equal only if all of them are."""
        return _sha256(*self._parts().values(), *(self.splits[name] for name in _names(self.splits)))

    def content(self) -> str:
        """Hex sha256 of keys, labels, features and images, however they are split."""
        return _sha256(*self._parts().values())

    def duplicates(self, pool: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
        """Position of the item that stands for all with exactly the content of each item, [n].

        Content is the bytes of the image; without images, the numbers of the features. (Features made from
        images do not tell: a projection makes equal rows differ in their last bits.)

        Args:
            pool: positions whose items stand for their copies wherever they are: of each content the first
                that is in the pool, and the first of all where none is. Without it, the first of all.
        """
        if self.images is None:
            assert self.features is not None
            first = first_equal(self.features)
        else:
            seen: dict[str, int] = {}
            digests = self.images.digests()
            first = np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)], dtype=np.int64)
        if pool is None:
            return first
        stands = np.arange(self.n, dtype=np.int64)
        ordered = np.sort(np.asarray(pool, dtype=np.int64))[::-1]
        stands[first[ordered]] = ordered  # where several are given, the last one stays: the lowest
        return stands[first]

    def save_splits(self, path: str | Path) -> None:
        """Writes splits and protocol to an .npz file without pickles, tied to the content of these items."""
        rows: dict[str, Any] = {name: self.splits[name] for name in _names(self.splits)}
        rows |= {"protocol": self.protocol, "allow_overlap": self.allow_overlap}
        with replacing(path) as file:
            np.savez_compressed(file, parts=list(self._parts().values()), **rows)

    def with_splits(self, path: str | Path) -> "Items":
        """These items with the splits and the protocol of a file that ``save_splits`` wrote.

        Raises:
            DamagedFileError: if the file is damaged.
            ValueError: if keys, labels or content are not those that the splits were saved with.
            FileNotFoundError: if there is no such file.
        """
        path = Path(path)
        stored = read_arrays(path, most=_BESIDE + 8 * (len(SPLITS) + 1) * self.n)
        parts = self._parts()
        kinds = {"protocol": ("U", 0), "allow_overlap": ("b", 0), "parts": ("U", 1)}
        kinds |= dict.fromkeys(_names(stored), ("i", 1))
        found = {name: (array.dtype.kind, array.ndim) for name, array in stored.items()}
        if found != kinds or len(stored["parts"]) != len(parts):
            rule = f"{path} must hold the splits, protocol and content that save_splits writes"
            raise DamagedFileError(f"{rule}; got {', '.join(stored)}.")
        then = dict(zip(parts, stored["parts"].tolist(), strict=True))
        if changed := [name for name in parts if parts[name] != then[name]]:
            rule = f"items must be those that the splits in {path.name} were drawn for"
            way = "Load the same source with the same files, or start a new run"
            raise ValueError(f"{rule}; got other {', '.join(changed)}. {way}")
        return replace(
            self,
            splits={name: stored[name].astype(np.int64) for name in _names(stored)},
            protocol=str(stored["protocol"]),
            allow_overlap=bool(stored["allow_overlap"]),
        )

    def _parts(self) -> dict[str, str]:
        """Hex sha256 of each part that splits depend on."""
        digests = self.images.digests() if self.images is not None else ()
        return {
            "keys": _sha256(*self.keys),
            "labels": _sha256(*self.class_names, *(() if self.labels is None else (self.labels,))),
            "features": _sha256(*(() if self.features is None else (self.features,))),
            "images": _sha256(*digests),
        }


def _names(splits: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the splits that are to be there, in their order, and of the one that may be."""
    return (*SPLITS, LABELLED) if LABELLED in splits else SPLITS


def _sha256(*parts: str | npt.NDArray[Any]) -> str:
    """Digest in which the border between two parts cannot move: each is preceded by its type and size."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            text = part.encode()
            digest.update(f"str {len(text)};".encode())
            digest.update(text)
        else:
            digest.update(f"{part.dtype.str} {part.shape};".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _check_types(items: Items) -> None:
    if item_keys(items.keys) != items.keys:
        raise ValueError("keys must be a tuple of text; got others. Pass item_keys(keys)")
    for key in items.keys:
        if not is_text(key):
            raise ValueError(f"keys must be valid text; got {key!r}. Rename the file")
    splits: object = items.splits
    if not isinstance(splits, dict):
        raise ValueError(f"splits must be positions by name; got {type(splits).__name__}")  # noqa: TRY004
    given = {"features": items.features, "labels": items.labels}
    arrays = {name: value for name, value in given.items() if value is not None}
    for name, value in (arrays | {f"split {name!r}": rows for name, rows in splits.items()}).items():
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{name} must be an array of NumPy; got {type(value).__name__}")  # noqa: TRY004


def _check_content(items: Items) -> None:
    features, images = items.features, items.images
    if features is None and images is None:
        raise ValueError("items must have features or images; got neither")
    if images is not None and len(images) != items.n:
        raise ValueError(f"images must be as many as the {items.n} keys; got {len(images)}")
    if features is None:
        return
    if features.dtype != np.float32 or features.ndim != 2:
        raise ValueError(f"features must be float32 [n d]; got {features.dtype} {features.shape}")
    if len(features) != items.n:
        raise ValueError(f"features must have one row for each of the {items.n} keys; got {len(features)}")
    if features.shape[1] == 0:
        raise ValueError(f"features must have at least one column; got {features.shape}")
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        got = f"NaN or infinity in {len(bad)} rows, first {items.keys[bad[0]]!r}"
        raise ValueError(f"features must be finite; got {got}")
    if (far := far_row(features)) is not None:
        got = f"values up to {np.abs(features[far]).max():.3g} in {items.keys[far]!r}, far from all others"
        way = "Leave that item out, or divide its column by a constant"
        raise ValueError(f"features must be of one size, so that float32 tells items apart; got {got}. {way}")


def _check_labels(items: Items) -> None:
    labels, c = items.labels, len(items.class_names)
    if labels is None:
        if c:
            raise ValueError(f"class_names must be empty without labels; got {c} names")
        return
    if len(labels) != items.n:
        raise ValueError(f"labels must have one row for each of the {items.n} keys; got {len(labels)}")
    if labels.dtype == np.int64 and labels.ndim == 1:
        if items.n and not 0 <= labels.min() <= labels.max() < c:
            raise ValueError(f"class ids must be in 0..{c - 1}; got values in {labels.min()}..{labels.max()}")
    elif labels.dtype == np.bool_ and labels.ndim == 2:
        if labels.shape[1] != c:
            raise ValueError(f"multi-hot labels must have {c} columns, one a class; got {labels.shape[1]}")
    else:
        raise ValueError(f"labels must be int64 [n] or bool [n c]; got {labels.dtype} {labels.shape}")


def _check_splits(items: Items) -> None:
    if set(items.splits) != set(_names(items.splits)):
        raise ValueError(f"splits must be named {', '.join(SPLITS)}; got {', '.join(items.splits) or 'none'}")
    for name, rows in items.splits.items():
        if rows.dtype != np.int64 or rows.ndim != 1:
            raise ValueError(f"split {name!r} must be int64 positions [n]; got {rows.dtype} {rows.shape}")
        if (np.diff(rows) <= 0).any():
            raise ValueError(f"split {name!r} must be sorted without repeats; got positions out of order")
        if len(rows) and not 0 <= rows[0] <= rows[-1] < items.n:
            raise ValueError(f"split {name!r} must be in 0..{items.n - 1}; got {rows[0]}..{rows[-1]}")
    outside = np.setdiff1d(items.splits.get(LABELLED, ()), items.splits["train"])
    if len(outside):
        got = f"{len(outside)} that are not, first {items.keys[int(outside[0])]!r}"
        raise ValueError(f"the labelled set must be in train, the pool; got {got}. Add them to train.")
    if items.allow_overlap:
        return
    for name in ("train", "database"):
        both = np.intersect1d(items.splits["query"], items.splits[name])
        if len(both):
            got = f"{len(both)} that are, first {items.keys[both[0]]!r}"
            way = "Take them out, or set allow_overlap=True if the protocol means it"
            raise ValueError(f"queries must not be in {name}; got {got}. {way}")
