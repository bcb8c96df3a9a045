"""The field's list files: ``path 0 1 0 ...`` lines in train.txt, test.txt and database.txt."""

import os
import re
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from dhaps_core.checks import one_of
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import FileImages
from dhaps_core.data.items import LABELLED, Items
from dhaps_core.data.protocols import PROTOCOLS, as_published
from dhaps_core.files import at_home

__all__ = ["list_files"]

_FILES = {"train": "train.txt", "query": "test.txt", "database": "database.txt"}
_LARGEST_LIST = 512 << 20
_OUTSIDE = re.compile(r"[/\\~]|[A-Za-z]:|.*(^|[/\\])\.\.([/\\]|$)")
"""How a path begins or goes on that may lead out of its folder, on any system."""


def list_files(folder: str | Path, *, protocol: str | None = None, allow_overlap: bool = False) -> Items:
    """Items of the three list files that NUS-WIDE, ImageNet-100, COCO and MIRFlickr are published with.

    Each line is an image path, relative to the folder, and one 0 or 1 for each of two classes or more. The
    first line of train.txt sets the number of classes, as its longest run of numbers from the right; every
    other line is split from the right by it, so paths may contain spaces. If every image has exactly one
    class the labels are class ids, otherwise multi-hot (the protocol says which); an image without any class
    is kept, as published lists have them.

    Paths are compared as what they are: ``./a.png`` and ``x//a.png`` are ``a.png`` and ``x/a.png``, an image
    has one name in all three files, and none leads out of the folder, by itself or by a link. A query of
    which train or database has a copy, byte by byte, is counted in the protocol: published lists have some.
    A list may have 512 MiB; reading it takes a few times its size.

    With the name of a published protocol the counts are checked, and the pool becomes every image that is no
    query, as semi-supervised and active methods have it; train.txt is then the labelled set. Without one the
    pool is train.txt. (The lists published with HashNet name images by where they lay on their authors'
    machine: those paths must be made relative to the folder first.)

    Args:
        folder: folder with train.txt, test.txt, database.txt and the images; ``~`` is the home folder.
        protocol: one of :data:`dhaps_core.data.protocols.PROTOCOLS`, or None for lists of one's own.
        allow_overlap: True if test.txt may name images of the other two files.

    Returns:
        Items in order of first appearance in train, database, test; keys are the paths with ``/``.

    Raises:
        FileNotFoundError: if one of the three files is missing.
        ValueError: naming file and line, if a line has no labels, the wrong number of them or one that is not
            0 or 1, repeats an image, contradicts another file's labels, or names an image that does not
            exist, lies outside the folder or has another name too; or if the protocol has other counts.
        UnreadableImage: listing every image that cannot be decoded.
    """
    folder = at_home(folder)
    if protocol is not None:
        one_of("protocol", protocol, PROTOCOLS)
    rows: dict[str, tuple[int, str, str]] = {}  # path -> position, labels, where
    names: dict[Path, str] = {}  # file -> path

    def position(line: str, where: str) -> int:
        """Position of the image of a line, which is new or known."""
        width = next((len(labels) for _, labels, _ in rows.values()), None)
        path, labels = _parse(line, width)
        if path not in rows and (name := names.setdefault(_file(folder, path), path)) != path:
            raise ValueError(f"an image must have one name; {path!r} is {name!r}. Use that one")
        at, known, first = rows.setdefault(path, (len(rows), labels, where))
        if labels != known:
            raise ValueError(f"{path!r} must have the same labels as in {first}; got others")
        return at

    splits = {}
    for split in ("train", "database", "query"):
        listed: dict[int, str] = {}
        for where, line in _lines(folder / _FILES[split]):
            try:
                at = position(line, where)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from error
            if (first := listed.setdefault(at, where)) != where:
                raise ValueError(
                    f"{where}: an image must be listed once; it is in {first}, too: {line!r:.300}"
                )
        splits[split] = np.array(sorted(listed), dtype=np.int64)
    hot = np.array([[label == "1" for label in labels] for _, labels, _ in rows.values()], dtype=np.bool_)
    single = bool((hot.sum(axis=1) == 1).all())
    counts = ", ".join(f"{_FILES[split]} {len(rows)}" for split, rows in splits.items())
    if protocol is not None:
        splits = as_published(protocol, splits, hot)
        single = not PROTOCOLS[protocol].several
        pool = f"pool {len(splits['train'])}, {len(splits[LABELLED])} of them the labelled set"
        counts = f"{protocol}: {counts}; {pool}; database {len(splits['database'])}"
    keys = tuple(rows)
    images = FileImages(keys, [folder / key for key in keys])
    if failures := images.check():
        raise UnreadableImage(failures)
    said = "one class each" if single else "several classes each (multi-hot)"
    return Items(
        keys=keys,
        features=None,
        images=images,
        labels=hot.argmax(axis=1).astype(np.int64) if single else hot,
        class_names=tuple(str(c) for c in range(hot.shape[1])),
        splits=splits,
        protocol=f"{counts}; labels read as {said}, of {hot.shape[1]}{_copies(images.digests(), splits)}",
        source=f"list files in {folder.resolve().name}",
        allow_overlap=allow_overlap,
    )


def _file(folder: Path, path: str) -> Path:
    """The file of a path in a list, links followed."""
    if _OUTSIDE.match(path):
        rule = "an image must be named below its folder, with / and without .."
        raise ValueError(f"{rule}; got {path!r:.300}")
    try:
        file = (folder / path).resolve(strict=True)
        inside = file.is_relative_to(folder.resolve())
        there = os.path.isfile(file)
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        inside, there = True, False
    if not there:
        hint = ". Write / for the backslash" if "\\" in path else ""
        raise ValueError(f"the image must exist in {folder}; got {path!r:.300}{hint}")
    if not inside:
        raise ValueError(f"the image must lie in {folder}; got {path!r}, a link that leads out of it")
    return file


def _copies(digests: tuple[str, ...], splits: dict[str, npt.NDArray[np.int64]]) -> str:
    """How many queries have a copy, under another name, that train or database holds; in words."""
    queries = set(splits["query"].tolist())
    others = {digests[i] for name in ("train", "database") for i in splits[name] if int(i) not in queries}
    count = sum(digests[i] in others for i in queries)
    return f"; exact copies in train or database of {count} queries" if count else ""


def _lines(path: Path) -> list[tuple[str, str]]:
    """("file:line", text) of each line that is not blank."""
    if not os.path.isfile(path):
        rule = f"a folder of lists must have {', '.join(_FILES.values())}"
        raise FileNotFoundError(f"{rule}; got no {path.name}")
    if path.stat().st_size > _LARGEST_LIST:
        raise ValueError(f"{path.name} must have at most {_LARGEST_LIST} bytes; got {path.stat().st_size}")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path.name}:{line}: the file must be UTF-8 text; got {error.reason}") from error
    lines = [(f"{path.name}:{i}", line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise ValueError(f"{path.name} must list at least one image; got an empty file")
    return lines


def _parse(line: str, width: int | None) -> tuple[str, str]:
    """Path of a line and its labels, as text; the first line of train.txt tells how many there are."""
    run = _run_of_numbers(line)
    if run == 0:
        raise ValueError(f"a line must be a path and one 0 or 1 a class; got no labels in {line!r:.200}")
    if width is None and run == 1:
        rule = f"a line must have one 0 or 1 for each of two classes or more; got one number in {line!r:.300}"
        raise ValueError(f"{rule}. If it is a class id, write a 1 in that class's column")
    width = width or run
    # A longer run is a path that ends in a number, or too many labels: a suffix before it tells which.
    if run < width or (run > width and Path(line.rsplit(maxsplit=run)[0]).suffix):
        raise ValueError(f"a line must have {width} labels, as the first line of train.txt; got {run}")
    path, *labels = line.rsplit(maxsplit=width)
    wrong = next((label for label in labels if label not in {"0", "1"}), None)
    if wrong is not None:
        raise ValueError(f"labels must be 0 or 1, one a class; got {wrong!r:.100}")
    return str(PurePosixPath(path)), "".join(labels)


def _run_of_numbers(line: str) -> int:
    """How many words at the end of a line are numbers; the first word belongs to the path."""
    words = line.split()[1:]
    for count, word in enumerate(reversed(words)):
        try:
            float(word)
        except ValueError:
            return count
    return len(words)
