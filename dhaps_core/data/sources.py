"""Sources of items: digits, arrays, image folder, CIFAR-10, list files; each gives one frozen ``Items``."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, SupportsIndex, cast, get_args

import numpy as np
import numpy.typing as npt

from dhaps_core.array_files import read_arrays
from dhaps_core.checks import one_of
from dhaps_core.data.cifar import Protocol, cifar10, under_protocol
from dhaps_core.data.class_labels import read_labels
from dhaps_core.data.class_names import distinct_names
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.features import read_features
from dhaps_core.data.folders import folder_files
from dhaps_core.data.images import ArrayImages, FileImages
from dhaps_core.data.items import Items
from dhaps_core.data.lists import list_files
from dhaps_core.data.protocols import PROTOCOLS
from dhaps_core.data.splits import draw_queries, hold_out, seeded
from dhaps_core.files import at_home
from dhaps_core.keys import item_keys

__all__ = ["arrays", "cifar10", "digits", "image_folder", "list_files", "open_items"]


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


def open_items(name: str | Path, *, protocol: str = "50k", queries: int, seed: int) -> Items:
    """Items of a data set whose kind is seen from what is there.

    Args:
        name: ``digits``; or the path of an .npy or .npz file, of the official CIFAR-10 archive or the folder
            that it unpacks to, of a folder with list files, or of a folder of images; ``~`` is one's home.
        protocol: of CIFAR-10, the archive or an .npz of its embeddings in the official split, ``59k``,
            ``54k`` or ``50k``; of list files one whose counts are checked
            (:data:`dhaps_core.data.protocols.PROTOCOLS`). Left out, it is ``50k``, also of all other data.
        queries: items to hold out where the data set has no split of its own; of the digits 200 at most.
        seed: seed of the draw.

    Raises:
        ValueError: if there is nothing of that name, the protocol is not one of that kind of source, the seed
            is negative, or as the source says.
        FileNotFoundError: if a part of a data set is missing.
        UnreadableImage: if images cannot be decoded.
    """
    seeded(seed)
    one_of("protocol", protocol, (*get_args(Protocol), *PROTOCOLS))
    if not isinstance(name, str | Path):
        raise ValueError(f"dataset must be 'digits' or a path; got {name!r:.100}. Pass a text")  # noqa: TRY004
    if name == "digits":
        _no_protocol(protocol, name)
        return digits(queries=min(queries, 200), seed=seed)
    path = at_home(name)
    if not os.path.exists(path):
        got = f"{name!r}, and nothing at {path.absolute()}"  # a relative path begins where the notebook runs
        raise ValueError(f"dataset must be 'digits' or a path that exists; got {got}. Check the spelling.")
    if os.path.isfile(path) and not path.name.endswith((".npy", ".npz", ".tar.gz")):
        rule = "dataset must be a folder, an .npy, .npz or .tar.gz file, or 'digits'"
        raise ValueError(f"{rule}; got the file {name!r}. For images give their folder")
    try:
        inside = set(os.listdir(path)) if os.path.isdir(path) else set()
    except OSError as error:
        rule = "dataset must be a folder that can be opened"
        raise ValueError(f"{rule}; got {path}: {error.strerror}") from error
    if path.name.endswith(".tar.gz") or inside & {"test_batch", "test_batch.bin", "cifar-10-batches-py"}:
        return cifar10(path, protocol=cast("Protocol", protocol), seed=seed)
    if "database.txt" in inside:
        return list_files(path, protocol=None if protocol == "50k" else protocol)
    if path.suffix in {".npy", ".npz"} and protocol in {"59k", "54k"}:
        items = arrays(path, queries=0, seed=seed)
        return under_protocol(items, protocol=cast("Protocol", protocol), seed=seed)
    _no_protocol(protocol, name)
    if path.suffix in {".npy", ".npz"}:
        return arrays(path, queries=queries, seed=seed)
    return image_folder(path, queries=queries, seed=seed)


def _no_protocol(protocol: str, name: str | Path) -> None:
    """Refuse a protocol that could only be passed over."""
    if protocol != "50k":
        rule = "a protocol must be one of CIFAR-10 or of three list files"
        raise ValueError(f"{rule}; got {protocol!r} for {str(name)!r}, which is neither. Leave it out.")


def arrays(
    features: Any,
    labels: Any = None,
    *,
    keys: Iterable[str | SupportsIndex] | None = None,
    queries: int,
    seed: int,
) -> Items:
    """Items of an array of features, or of an .npy or .npz file.

    An .npz holds ``features`` (or ``X``), optionally ``labels`` (or ``y``) and ``keys``; or an official
    split, ``train`` and ``test`` with optional ``train_y`` and ``test_y``: then train = database = all train
    rows, and the queries are drawn from the test rows. Rows become float32.

    Args:
        features: numbers [n d] (see :func:`dhaps_core.data.features.read_features`), or the path of a file.
        labels: whole numbers or text [n], one class each; or 0 and 1 (or bool) [n c], several classes each;
            also of pandas. How they were read stands in the protocol (see
            :func:`dhaps_core.data.class_labels.read_labels`).
        keys: unique names, or whole numbers; row numbers by default (``train/0``, ``test/0`` with an official
            split).
        queries: items to hold out, stratified by class if each item has one class; 0 is allowed.
        seed: seed of the draw.

    Raises:
        ValueError: if shapes, types or names do not fit, or the file is damaged or unpacks to too much.
        FileNotFoundError: if there is no such file.

    Example:
        >>> items = arrays([[0.0], [1.0], [5.0], [6.0]], ["low", "low", "high", "high"], queries=2, seed=0)
        >>> items.class_names, items.labels.tolist()
        (('high', 'low'), [1, 1, 0, 0])
    """
    source = "array"
    if isinstance(features, str | Path):
        path = at_home(features)
        source = path.name
        stored = read_arrays(path)
        if "train" in stored:
            if labels is not None or keys is not None:
                raise ValueError(f"labels and keys must come from {source}, which has an official split")
            return _official_split(stored, source, queries=queries, seed=seed)
        features, labels, keys = _contents(stored, source, labels, keys)
    rows = read_features(features)
    of = read_labels(labels)
    splits, protocol = hold_out(of.labels, len(rows), queries, seed=seed)
    names = item_keys(range(len(rows)) if keys is None else keys)
    return Items(names, rows, None, of.labels, of.names, splits, _said(protocol, of.said), source)


def image_folder(path: str | Path, *, queries: int, seed: int, skip_unreadable: bool = False) -> Items:
    """Items of a folder of images: one sub-folder for each class, or a flat folder without labels.

    Every file counts, whatever its name or extension: links (also those that lead nowhere) and texts too.
    Each is decoded once, in parallel, because nothing less finds a truncated file. Left out, and listed in
    ``Items.skipped``, is what is hidden (``.name``), what systems leave behind (``__MACOSX``, ``Thumbs.db``
    and the like) and folders without files, which are no classes. Items are sorted by key, the path below
    the folder with ``/``.

    Args:
        path: the folder; ``~`` is the home folder.
        queries: items to hold out, stratified by class if there are classes; 0 is allowed.
        seed: seed of the draw.
        skip_unreadable: leave out files that cannot be decoded and list them in ``Items.skipped`` too.

    Raises:
        UnreadableImage: listing every file that cannot be decoded and every folder that cannot be opened,
            unless they are skipped.
        ValueError: if it is no folder, there is no image, loose files lie beside class folders, class folders
            hold folders, two of them are or look like one class, or skip_unreadable is no bool.
    """
    if type(skip_unreadable) is not bool:
        raise ValueError(f"skip_unreadable must be True or False; got {skip_unreadable!r:.80}.")
    path = at_home(path)
    if not os.path.isdir(path):
        got = "a file" if os.path.exists(path) else "nothing of that name"
        rule = f"a folder of images must be a folder; got {got}: {path.absolute()}"
        raise ValueError(f"{rule}. Check the spelling")
    folder = folder_files(path)
    images = FileImages([file.relative_to(path).as_posix() for file in folder.files], folder.files)
    unreadable = (*folder.closed, *images.check())
    if unreadable and not skip_unreadable:
        raise UnreadableImage(unreadable)
    bad = {key for key, _ in unreadable}
    images = images.subset([i for i, key in enumerate(images.keys) if key not in bad])
    if not images.keys:
        rule = "a folder must hold at least one readable image"
        raise ValueError(f"{rule}; got none in {path}. Look at the path.")
    classes = [key.partition("/")[0] for key in images.keys] if "/" in images.keys[0] else None
    distinct_names(sorted(set(classes or ())))
    of = read_labels(classes)
    splits, protocol = hold_out(of.labels, len(images), queries, seed=seed)
    source = f"folder {path.resolve().name}"
    skipped = (*unreadable, *folder.left_out)
    return Items(images.keys, None, images, of.labels, of.names, splits, protocol, source, skipped)


def _contents(
    stored: dict[str, npt.NDArray[Any]], source: str, labels: Any, keys: Iterable[str | SupportsIndex] | None
) -> tuple[npt.NDArray[Any], Any, Iterable[str | SupportsIndex] | None]:
    """Features, labels and keys by their names in the file, with those given as arguments."""
    found: dict[str, Any] = {"labels": labels, "keys": keys}
    for name, value in stored.items():
        role = {"": "features", "X": "features", "y": "labels"}.get(name, name)
        if role not in {"features", "labels", "keys"}:
            names = "features (or X), labels (or y) and keys, or train, train_y, test, test_y"
            got = f"{', '.join(stored)}. Load it with numpy and pass the arrays"
            raise ValueError(f"arrays in {source} must be named {names}; got {got}")
        if found.get(role) is not None:
            raise ValueError(f"{role} must be given once; got them twice, at least once in {source}")
        found[role] = value.tolist() if role == "keys" else value
    if "features" not in found:
        got = ", ".join(stored) or "none"
        raise ValueError(f"{source} must have an array named features or X; got {got}")
    return found["features"], found["labels"], found["keys"]


def _official_split(stored: dict[str, npt.NDArray[Any]], source: str, *, queries: int, seed: int) -> Items:
    expected = {"train", "test"} | ({"train_y", "test_y"} if "train_y" in stored else set())
    if set(stored) != expected:
        rule = "an official split must have train, test and train_y, test_y or neither of the last two"
        raise ValueError(f"{rule}; got {', '.join(stored)} in {source}")
    rows = read_features(_stacked(stored, "train", "test", source))
    of = read_labels(_stacked(stored, "train_y", "test_y", source) if "train_y" in stored else None)
    m, n = len(stored["train"]), len(rows)
    if of.labels is not None and (len(of.labels) != n or len(stored["train_y"]) != m):
        got = f"{len(stored['train_y'])} and {len(stored['test_y'])} in {source}"
        raise ValueError(
            f"labels must have one row for each of the {m} train and {n - m} test rows; got {got}"
        )
    train, test = np.split(np.arange(n, dtype=np.int64), [m])
    query, how = draw_queries(of.labels, test, queries, leave=0, seed=seed)
    protocol = f"{queries} test rows as queries ({how}); train = database = {m} train rows"
    return Items(
        keys=(*(f"train/{i}" for i in range(m)), *(f"test/{i}" for i in range(n - m))),
        features=rows,
        images=None,
        labels=of.labels,
        class_names=of.names,
        splits={"train": train, "query": query, "database": train},
        protocol=_said(protocol, of.said),
        source=source,
    )


def _stacked(stored: dict[str, npt.NDArray[Any]], first: str, second: str, source: str) -> npt.NDArray[Any]:
    one, other = stored[first], stored[second]
    texts = {array.dtype.kind == "U" for array in (one, other)}
    if 0 in (one.ndim, other.ndim) or one.shape[1:] != other.shape[1:] or len(texts) > 1:
        got = f"{one.dtype} {one.shape} and {other.dtype} {other.shape} in {source}"
        raise ValueError(f"{first} and {second} must be rows of one kind; got {got}")
    return np.concatenate([one, other])


def _said(protocol: str, labels: str) -> str:
    return f"{protocol}; {labels}" if labels else protocol
