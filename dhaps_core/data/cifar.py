"""CIFAR-10 from its official archives, python or binary version, packed or not, and its three protocols."""

import gzip
import io
import os
import tarfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from dhaps_core.checks import one_of
from dhaps_core.data.batch_pickles import read_pickle
from dhaps_core.data.decoding import Pixels
from dhaps_core.data.images import ArrayImages
from dhaps_core.data.items import LABELLED, Items
from dhaps_core.data.splits import draw_per_class, seeded
from dhaps_core.files import at_home

__all__ = ["Protocol", "cifar10", "cifar10_splits", "read_cifar10", "under_protocol"]

Protocol = Literal["59k", "54k", "50k"]
Ids = npt.NDArray[np.int64]

_CLASSES = 10
_RECORD = 1 + 3 * 32 * 32
_TRAIN, _TEST = 50_000, 10_000
_LARGEST_FILE = 64 << 20
"""Twice what a file of the official archives has (31 MB; a pickle by Python 3 writes bytes as text)."""
_LARGEST_ARCHIVE = 512 << 20
_MOST_MEMBERS = 1000
_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
_FILES = {*_BATCHES, "batches.meta", *(f"{name}.bin" for name in _BATCHES), "batches.meta.txt"}
_PROTOCOLS = {
    "59k": "CIFAR-10 59k: 1,000 queries (100 a class) of all 60,000; pool the other 59,000, 5,000 of them "
    "(500 a class) the labelled set; database the same 59,000",
    "54k": "CIFAR-10 54k: 1,000 queries (100 a class) of all 60,000; pool the other 59,000, 5,000 of them "
    "(500 a class) the labelled set; database the 54,000 without the labelled set",
    "50k": "CIFAR-10 50k: queries the official 10,000 test images; train = database = the official 50,000",
}


def cifar10(path: str | Path, *, protocol: Protocol, seed: int) -> Items:
    """CIFAR-10 as items with images, split by one of the field's three protocols.

    An archive may unpack to 512 MiB, each file in it to 64 MiB; reading one takes up to 1 GiB of memory.

    Args:
        path: ``cifar-10-python.tar.gz`` or ``cifar-10-binary.tar.gz``, or the folder that one unpacks to (or
            its parent); ``~`` is the home folder. Both versions hold the same images in the same order and
            give the same items.
        protocol: see :func:`cifar10_splits`.
        seed: seed of the draw; unused by "50k".

    Returns:
        60,000 items with the keys ``train/00000`` .. ``test/09999``, rows of the official files.

    Raises:
        FileNotFoundError: if a file of the archive is missing.
        ValueError: if the archive is damaged, incomplete or too large, or a pickle in it asks for anything
            but numpy arrays.

    References:
        Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009.
    """
    one_of("protocol", protocol, _PROTOCOLS)
    pixels, labels, train_rows, names = read_cifar10(path)
    if (train_rows, len(labels)) != (_TRAIN, _TRAIN + _TEST):
        got = f"{train_rows} and {len(labels) - train_rows} in {Path(path).name}"
        rule = f"CIFAR-10 must have {_TRAIN} train and {_TEST} test images"
        raise ValueError(f"{rule}; got {got}. The archive is incomplete: fetch it again")
    keys = [f"train/{i:05}" for i in range(train_rows)] + [f"test/{i:05}" for i in range(_TEST)]
    splits = cifar10_splits(labels, train_rows, protocol=protocol, seed=seed)
    stated = _stated(protocol, seed)
    return Items(tuple(keys), None, ArrayImages(pixels), labels, names, splits, stated, "CIFAR-10")


def under_protocol(items: Items, *, protocol: Protocol, seed: int) -> Items:
    """Embeddings of CIFAR-10, which their file has in the official split, under another protocol.

    Args:
        items: of an .npz with ``train`` and ``test`` in the order of the official files.
        protocol: see :func:`cifar10_splits`.
        seed: seed of the draw.

    Raises:
        ValueError: if the items are not 50,000 and 10,000 of ten classes.
    """
    single = items.labels is not None and not items.multi_label
    classes, train, n = len(items.class_names), items.splits["train"], items.n
    if (
        not single
        or classes != _CLASSES
        or not np.array_equal(train, np.arange(_TRAIN))
        or n != _TRAIN + _TEST
    ):
        rule = f"embeddings under {protocol} must be CIFAR-10's {_TRAIN} train and {_TEST} test images"
        way = "Give an .npz with train, train_y, test, test_y, or leave the protocol out"
        raise ValueError(
            f"{rule}, of ten classes; got {len(train)} train of {n} items, {classes} classes. {way}"
        )
    splits = cifar10_splits(cast("Ids", items.labels), _TRAIN, protocol=protocol, seed=seed)
    return replace(items, splits=splits, protocol=_stated(protocol, seed))


def _stated(protocol: Protocol, seed: int) -> str:
    """A protocol in words."""
    return _PROTOCOLS[protocol] + ("" if protocol == "50k" else f" (seed {seed})")


def cifar10_splits(labels: Ids, train_rows: int, *, protocol: Protocol, seed: int) -> dict[str, Ids]:
    """Positions of each split under a protocol; the choice alone moves mAP by about a point.

    - "59k" (DPSH): 100 queries a class of all images, 500 labelled a class of the rest; the database is
      everything but the queries, the labelled set included.
    - "54k" (HashNet): the same, but the labelled set is not in the database.
    - "50k": read here as the official test images for queries and the official 50,000 for both others. (Some
      papers draw 1,000 queries a class from all 60,000 under this name.)

    In the first two the pool ("train") is every image that is no query, as the semi-supervised methods have
    it: they learn from the other 54,000 without labels, and an active method may ask about any of them. The
    5,000 ("labelled") are what the fully supervised methods learn from. Labels that an active method asks
    for in "54k" may be of database images: the database is the same for every row.

    Labels [n] are those of the official train images first, ``train_rows`` of them.

    Raises:
        ValueError: if the protocol is unknown or a class has too few images.
    """
    one_of("protocol", protocol, _PROTOCOLS)
    everything = np.arange(len(labels), dtype=np.int64)
    if protocol == "50k":
        official = everything[:train_rows]
        return {"train": official, "query": everything[train_rows:], "database": official}
    generator = seeded(seed)
    query = draw_per_class(labels, np.full(_CLASSES, 100), candidates=everything, generator=generator)
    rest = np.setdiff1d(everything, query)
    labelled = draw_per_class(labels, np.full(_CLASSES, 500), candidates=rest, generator=generator)
    database = rest if protocol == "59k" else np.setdiff1d(rest, labelled)
    return {"train": rest, "query": query, "database": database, LABELLED: labelled}


def read_cifar10(path: str | Path) -> tuple[Pixels, Ids, int, tuple[str, ...]]:
    """Pixels [n 32 32 3], class ids [n], number of official train images (they come first), class names."""
    path = at_home(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"CIFAR-10 must be an archive or a folder; {path} does not exist")
    try:
        contents = _folder(path) if os.path.isdir(path) else _archive(path)
    except (tarfile.TarError, EOFError, OSError, RecursionError, zlib.error) as error:
        rule = f"{path.name} must be a complete .tar.gz, or a folder that can be read"
        raise ValueError(f"{rule}; got: {error}. Fetch it again") from error
    binary = "test_batch.bin" in contents
    files = [f"{name}.bin" for name in _BATCHES] if binary else _BATCHES
    told = "batches.meta.txt" if binary else "batches.meta"
    if missing := [name for name in (*files, told) if name not in contents]:
        rule = f"CIFAR-10 must have {', '.join(missing)}"
        got = f"{', '.join(sorted(contents)) or 'no file of it'} in {path}"
        raise FileNotFoundError(f"{rule}; got {got}. Give what the official archive unpacks to")
    batches = [(_parse_binary if binary else _parse_python)(contents[name], name) for name in files]
    names = _names(contents[told], text=binary)
    planes = np.concatenate([pixels for pixels, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    if len(names) != _CLASSES or not len(labels) or not 0 <= labels.min() <= labels.max() < _CLASSES:
        got = f"{len(names)} names, labels to {labels.max(initial=-1)}"
        raise ValueError(f"CIFAR-10 must have 10 classes; got {got}")
    # Each row is the red, the green and the blue plane, 1,024 bytes each.
    images = np.ascontiguousarray(planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, labels, len(labels) - len(batches[-1][1]), names


def _folder(path: Path) -> dict[str, bytes]:
    """Files of one version in a folder, by name; none if it has none."""
    for folder in (path, path / "cifar-10-batches-py", path / "cifar-10-batches-bin"):
        found = {name for name in _FILES if os.path.isfile(folder / name)}
        if "test_batch" in found:
            found -= {name for name in found if name.endswith(".bin")}
        if found & {"test_batch", "test_batch.bin"}:
            for name in found:
                _check_size(name, (folder / name).stat().st_size)
            return {name: (folder / name).read_bytes() for name in found}
    return {}


def _archive(path: Path) -> dict[str, bytes]:
    """As `_folder`, of an archive; it is read once, front to back, so no more is unpacked than is allowed."""
    contents: dict[str, bytes] = {}
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Bounded(gzip.GzipFile(fileobj=file) if packed else file, path.name)
        with tarfile.open(fileobj=cast("Any", stream), mode="r|") as archive:
            for count, member in enumerate(archive):
                stream.here = 0
                if count >= _MOST_MEMBERS:
                    rule = f"{path.name} must have few files"
                    raise ValueError(f"{rule}; got {count} and more. It is not CIFAR-10")
                name = Path(member.name).name
                if name not in _FILES or not member.isreg() or member.issparse():
                    continue
                if name in contents:
                    raise ValueError(f"{path.name} must have {name} once; got it twice")
                _check_size(name, member.size)
                part = archive.extractfile(member)
                contents[name] = part.read() if part else b""
    return contents


class _Bounded:
    """A stream of which no more is read than a CIFAR-10 archive has, in all and from one file to the next."""

    def __init__(self, file: io.BufferedIOBase, name: str) -> None:
        self.file, self.name, self.all, self.here = file, name, 0, 0

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.all, self.here = self.all + len(data), self.here + len(data)
        if self.all > _LARGEST_ARCHIVE or self.here > _LARGEST_FILE + (1 << 20):
            rule = f"{self.name} must unpack to at most {_LARGEST_ARCHIVE} bytes, {_LARGEST_FILE} each file"
            raise ValueError(f"{rule}; got more. It is not CIFAR-10")
        return data


def _check_size(name: str, size: int) -> None:
    if size > _LARGEST_FILE:
        raise ValueError(f"{name} must have at most {_LARGEST_FILE} bytes; got {size}. It is not CIFAR-10")


def _parse_binary(data: bytes, name: str) -> tuple[Pixels, Ids]:
    if not data or len(data) % _RECORD:
        raise ValueError(f"{name} must be whole records of {_RECORD} bytes; got {len(data)} bytes")
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _parse_python(data: bytes, name: str) -> tuple[Pixels, Ids]:
    planes, labels = _entries(data, name, "data", "labels")
    if type(labels) is list and all(type(label) is int and 0 <= label < _CLASSES for label in labels):
        labels = np.array(labels, dtype=np.int64)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        raise ValueError(f"{name} must hold a class id from 0 to {_CLASSES - 1} for each image; got others")
    array = isinstance(planes, np.ndarray)
    if not array or planes.dtype != np.uint8 or planes.shape != (len(labels), _RECORD - 1):
        got = f"{planes.dtype} {planes.shape}" if array else type(planes).__name__
        raise ValueError(f"{name} must hold uint8 [{len(labels)} {_RECORD - 1}]; got {got}")
    return planes, labels.astype(np.int64)


def _names(data: bytes, *, text: bool) -> tuple[str, ...]:
    """Names of the classes in the file that tells them, text or a pickle."""
    if text:
        return tuple(data.decode(errors="replace").split())
    (found,) = _entries(data, "batches.meta", "label_names")
    return tuple(_text(name) for name in found if type(name) in {str, bytes}) if type(found) is list else ()


def _entries(data: bytes, name: str, *wanted: str) -> list[Any]:
    """Entries of a pickled dict; its keys are bytes from Python 2, and text if Python 3 wrote it again."""
    try:
        value = read_pickle(data)
    except ValueError as error:
        rule = f"{name} must be a pickle of numpy arrays and nothing else, and is refused: {error}"
        raise ValueError(f"{rule}. Fetch the official archive again") from error
    entries = {_text(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}
    if missing := [entry for entry in wanted if entry not in entries]:
        rule = f"a CIFAR-10 pickle must be a dict with {missing[0]!r}"
        raise ValueError(f"{rule}; got {', '.join(entries)} in {name}")
    return [entries[entry] for entry in wanted]


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
