"""Sources of items: digits, arrays, image folder, CIFAR-10, list files; each gives one frozen ``Items``."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dhaps_core.cifar import Protocol, cifar10
from dhaps_core.images import ArrayImages, FileImages, UnreadableImage
from dhaps_core.items import SPLITS, Items
from dhaps_core.lists import list_files
from dhaps_core.splits import draw_per_class, draw_uniform, hold_out, stratified_counts

__all__ = ["SPLITS", "Items", "arrays", "cifar10", "digits", "image_folder", "list_files", "open_items"]

Labels = npt.NDArray[np.int64] | npt.NDArray[np.bool_]


def digits(*, queries: int = 200, seed: int) -> Items:
    """The 1,797 handwritten digits of scikit-learn: 8x8 images, and their 64 pixels in [0, 1] as features.

    Args:
        queries: digits to hold out, stratified by class.
        seed: seed of the draw.

    Example:
        >>> items = digits(seed=0)
        >>> items.n, len(items.splits["query"]), items.features.shape
        (1797, 200, (1797, 64))
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)  # stored as 0..16
    labels = data.target.astype(np.int64)
    splits, protocol = hold_out(labels, len(labels), queries, seed=seed)
    return Items(
        keys=tuple(str(i) for i in range(len(labels))),
        features=(data.data / 16).astype(np.float32),
        images=ArrayImages(np.repeat(grey[..., None], 3, axis=3)),
        labels=labels,
        class_names=tuple("0123456789"),
        splits=splits,
        protocol=protocol,
        source="scikit-learn digits",
    )


def open_items(name: str, *, protocol: Protocol = "50k", queries: int, seed: int) -> Items:
    """Items of a data set whose kind is seen from what is there.

    Args:
        name: ``digits``; or the path of an .npy or .npz file, of the official CIFAR-10 archive or the folder
            that it unpacks to, of a folder with list files, or of a folder of images.
        protocol: of CIFAR-10.
        queries: items to hold out where the data set has no split of its own; of the digits 200 at most.
        seed: seed of the draw.

    Raises:
        ValueError: if there is nothing of that name, or the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0; got {seed}. Choose another.")
    if name == "digits":
        return digits(queries=min(queries, 200), seed=seed)
    path = Path(name)
    if not path.exists():
        raise ValueError(f"dataset must be 'digits' or a path that exists; got {name!r}. Check the spelling.")
    inside = {entry.name for entry in path.iterdir()} if path.is_dir() else set()
    if path.suffix in {".npy", ".npz"}:
        return arrays(path, queries=queries, seed=seed)
    if path.name.endswith(".tar.gz") or inside & {"test_batch", "test_batch.bin", "cifar-10-batches-py"}:
        return cifar10(path, protocol=protocol, seed=seed)
    if "database.txt" in inside:
        return list_files(path)
    return image_folder(path, queries=queries, seed=seed)


def arrays(
    features: npt.ArrayLike | str | Path,
    labels: npt.ArrayLike | None = None,
    *,
    keys: Sequence[str] | None = None,
    queries: int,
    seed: int,
) -> Items:
    """Items of an array of features, or of an .npy or .npz file.

    An .npz holds ``features`` (or ``X``), optionally ``labels`` (or ``y``) and ``keys``; or an official
    split, ``train`` and ``test`` with optional ``train_y`` and ``test_y``: then train = database = all train
    rows, and the queries are drawn from the test rows. Rows become float32.

    Args:
        features: numbers [n d], or the path of a file.
        labels: whole numbers or text [n], one class each; or 0 and 1 (or bool) [n c], several classes each.
        keys: unique names; row numbers by default (``train/0``, ``test/0`` with an official split).
        queries: items to hold out, stratified by class if each item has one class; 0 is allowed.
        seed: seed of the draw.

    Raises:
        ValueError: if shapes, types or names do not fit, or the file is damaged.

    Example:
        >>> items = arrays([[0.0], [1.0], [5.0], [6.0]], ["low", "low", "high", "high"], queries=2, seed=0)
        >>> items.class_names, items.labels.tolist()
        (('high', 'low'), [1, 1, 0, 0])
    """
    source = "array"
    if isinstance(features, str | Path):
        path = Path(features)
        source = path.name
        stored = _load(path)
        if "train" in stored:
            if labels is not None or keys is not None:
                raise ValueError(f"labels and keys must come from {source}, which has an official split")
            return _official_split(stored, source, queries=queries, seed=seed)
        features, labels, keys = _contents(stored, source, labels, keys)
    rows = _features(features)
    ids, names = _labels(labels)
    splits, protocol = hold_out(ids, len(rows), queries, seed=seed)
    keys = tuple(str(i) for i in range(len(rows))) if keys is None else tuple(str(key) for key in keys)
    return Items(keys, rows, None, ids, names, splits, protocol, source)


def image_folder(path: str | Path, *, queries: int, seed: int, skip_unreadable: bool = False) -> Items:
    """Items of a folder of images: one sub-folder for each class, or a flat folder without labels.

    Every file counts, whatever its name or extension, except hidden ones (``.name``); each is decoded once,
    in parallel, because nothing less finds a truncated file. Items are sorted by key, the path below the
    folder with ``/``. Folders without files are no classes.

    Args:
        path: the folder.
        queries: items to hold out, stratified by class if there are classes; 0 is allowed.
        seed: seed of the draw.
        skip_unreadable: leave out files that cannot be decoded and list them in ``Items.skipped``.

    Raises:
        UnreadableImage: listing every file that cannot be decoded, unless they are skipped.
        ValueError: if there is no image, loose files lie beside class folders, or class folders hold folders.
    """
    path = Path(path)
    files = _files(path)
    images = FileImages([file.relative_to(path).as_posix() for file in files], files)
    skipped = images.check()
    if skipped and not skip_unreadable:
        raise UnreadableImage(skipped)
    unreadable = {key for key, _ in skipped}
    images = images.subset([i for i, key in enumerate(images.keys) if key not in unreadable])
    if not images.keys:
        raise ValueError(f"a folder must hold at least one readable image; got none in {path}")
    flat = "/" not in images.keys[0]
    ids, names = _labels(None if flat else [key.partition("/")[0] for key in images.keys])
    splits, protocol = hold_out(ids, len(images), queries, seed=seed)
    return Items(
        images.keys, None, images, ids, names, splits, protocol, f"folder {path.resolve().name}", skipped
    )


def _files(path: Path) -> list[Path]:
    """Visible files of a flat folder or of its class folders, sorted by their path as text."""
    folders = [entry for entry in _visible(path) if entry.is_dir()]
    loose = [entry for entry in _visible(path) if entry.is_file()]
    inside = [entry for folder in folders for entry in _visible(folder)]
    nested = next((entry for entry in inside if entry.is_dir()), None)
    if nested is not None:
        raise ValueError(
            f"class folders must hold images only; got a folder {nested.relative_to(path).as_posix()}. "
            f"Give the folder whose sub-folders are the classes, such as {nested.parent}"
        )
    classed = [entry for entry in inside if entry.is_file()]
    if loose and classed:
        raise ValueError(
            f"a folder must hold class folders or loose images; got both: {loose[0].name!r} beside "
            f"{classed[0].parent.name!r}. Move one of them away"
        )
    return sorted(loose or classed, key=lambda file: file.relative_to(path).as_posix())


def _visible(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return [path / entry.name for entry in entries if not entry.name.startswith(".")]


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays of an .npz by name, or the one of an .npy as "features"."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"features": loaded}
        with loaded:
            return dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path.name} must be an .npy or .npz file without pickled objects; got: {error}"
        ) from error


def _contents(
    stored: dict[str, npt.NDArray[Any]], source: str, labels: npt.ArrayLike | None, keys: Sequence[str] | None
) -> tuple[npt.NDArray[Any], npt.ArrayLike | None, Sequence[str] | None]:
    """Features, labels and keys by their names in the file, with those given as arguments."""
    found: dict[str, Any] = {"labels": labels, "keys": keys}
    for name, value in stored.items():
        role = {"X": "features", "y": "labels"}.get(name, name)
        if role not in {"features", "labels", "keys"}:
            raise ValueError(
                f"arrays in {source} must be named features (or X), labels (or y) and keys, or train, "
                f"train_y, test, test_y; got {', '.join(stored)}. Load it with numpy and pass the arrays"
            )
        if found.get(role) is not None:
            raise ValueError(f"{role} must be given once; got them twice, at least once in {source}")
        found[role] = value.tolist() if role == "keys" else value
    if "features" not in found:
        raise ValueError(
            f"{source} must have an array named features or X; got {', '.join(stored) or 'none'}"
        )
    return found["features"], found["labels"], found["keys"]


def _official_split(stored: dict[str, npt.NDArray[Any]], source: str, *, queries: int, seed: int) -> Items:
    expected = {"train", "test"} | ({"train_y", "test_y"} if "train_y" in stored else set())
    if set(stored) != expected:
        raise ValueError(
            f"an official split must have train, test and train_y, test_y or neither of the last two; "
            f"got {', '.join(stored)} in {source}"
        )
    m, n = len(stored["train"]), len(stored["train"]) + len(stored["test"])
    rows = _features(np.concatenate([stored["train"], stored["test"]]))
    ids, names = _labels(
        np.concatenate([stored["train_y"], stored["test_y"]]) if "train_y" in stored else None
    )
    everything = np.arange(n, dtype=np.int64)
    generator = np.random.default_rng(seed)
    if ids is not None and ids.ndim == 1:
        of_test = np.bincount(ids[m:], minlength=len(names))
        counts = stratified_counts(of_test, queries, leave=0)
        single = ids.astype(np.int64)
        query = draw_per_class(single, counts, candidates=everything[m:], generator=generator)
        how = "stratified"
    else:
        query = draw_uniform(everything[m:], queries, generator=generator)
        how = "uniform"
    return Items(
        keys=(*(f"train/{i}" for i in range(m)), *(f"test/{i}" for i in range(n - m))),
        features=rows,
        images=None,
        labels=ids,
        class_names=names,
        splits={"train": everything[:m], "query": query, "database": everything[:m]},
        protocol=f"{queries} test rows as queries ({how}, seed {seed}); train = database = {m} train rows",
        source=source,
    )


def _features(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise ValueError(f"features must be numbers [n d]; got {rows.dtype} {rows.shape}")
    return np.ascontiguousarray(rows, dtype=np.float32)


def _labels(values: npt.ArrayLike | None) -> tuple[Labels | None, tuple[str, ...]]:
    """Class ids in sorted order of the classes, or multi-hot; and the class names."""
    if values is None:
        return None, ()
    labels = np.asarray(values)
    if labels.ndim == 2 and (labels.dtype == np.bool_ or np.isin(labels, (0, 1)).all()):
        return labels.astype(np.bool_), tuple(str(c) for c in range(labels.shape[1]))
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        raise ValueError(
            f"labels must be whole numbers or text [n], or 0 and 1 [n c]; got {labels.dtype} {labels.shape}"
        )
    if labels.dtype.kind == "i" and len(labels) and labels.min() < 0:
        raise ValueError(
            f"class labels must be 0 or more; got {labels.min()}. If it means 'unknown', leave labels out "
            "and put the known ones in the label store"
        )
    names, ids = np.unique(labels, return_inverse=True)
    return ids.astype(np.int64), tuple(str(name) for name in names)
