"""A folder of images in shards of 1,024, each encoded on its own and kept in a file of its own.

What is written is found again: whoever starts once more, after a crash or with other workers, encodes the
shards that have no file yet. The plan says which images are in which shard, and by which result they are
encoded; with another folder of images or another result it is another plan, and refused.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from dhaps_core.array_files import read_arrays
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import FileImages
from dhaps_core.files import make_folder, replacing
from dhaps_core.find.loaded import Loaded, load
from dhaps_core.find.parts import MANIFEST, NETWORK
from dhaps_core.json_files import DamagedFileError, member, read_object, write_object

__all__ = ["SHARD", "Plan", "Shard", "encode_shard", "images_below", "open_plan", "shards"]

SHARD = 1024
PHOTOS = {".heic", ".heif", ".hif"}  # of phones: Pillow knows these names only where a plugin is registered
PLAN = "plan.json"
WAY = "Give another --out, or delete this folder to begin anew."


@dataclass(frozen=True)
class Plan:
    """Which images are encoded, by what.

    Attributes:
        images: the folder.
        names: paths of the images in it, in order.
        result: folder of the result that encodes.
        network: digest of its network.
        bits: of its codes.
        out: folder of the shards.
    """

    images: Path
    names: tuple[str, ...]
    result: Path
    network: str
    bits: int
    out: Path

    @property
    def numbers(self) -> range:
        """Of its shards."""
        return range(-(-len(self.names) // SHARD))

    def path(self, number: int) -> Path:
        """File of a shard."""
        return self.out / f"shard-{number:06}.npz"

    def names_of(self, number: int) -> tuple[str, ...]:
        """Images of a shard."""
        return self.names[number * SHARD : (number + 1) * SHARD]

    @property
    def missing(self) -> list[int]:
        """Shards without a file."""
        return [number for number in self.numbers if not self.path(number).exists()]


class Shard(NamedTuple):
    """What came of a shard.

    Attributes:
        codes: packed, of the images that can be read, [m w].
        names: theirs.
        unreadable: (name, reason) of the others.
    """

    codes: npt.NDArray[np.uint8]
    names: list[str]
    unreadable: list[tuple[str, str]]


def images_below(folder: Path) -> tuple[list[str], int]:
    """Paths of the files below a folder, at any depth, that have a name of an image; how many have not.

    Hidden files and folders are passed over; links are followed.

    Raises:
        ValueError: if a folder cannot be opened, or comes twice by a link.
    """
    kinds, names, others = PHOTOS | set(Image.registered_extensions()), [], 0
    met: dict[str, str] = {}
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_closed):
        if (other := met.setdefault(os.path.realpath(where), where)) != where:
            got = f"{where}, which is {other} by a link"
            raise ValueError(f"each folder must be there once; got {got}. Take the link away.")
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for file in sorted(files):
            if file.startswith("."):
                continue
            if Path(file).suffix.lower() in kinds:
                names.append(Path(where, file).relative_to(folder).as_posix())
            else:
                others += 1
    return names, others


def _closed(error: OSError) -> None:
    rule = f"every folder of images must be one that can be opened; got {error.filename}: {error.strerror}"
    raise ValueError(f"{rule}. Open it to this user, or move it away.") from error


def open_plan(images: Path, names: Sequence[str], result: Path, out: Path) -> Plan:
    """The plan of a folder of shards, written if there is none.

    Raises:
        ValueError: if there is another one, the result encodes no images, or out is no folder.
        DamagedFileError: if it cannot be read.
        FileNotFoundError: if there is no result.
    """
    loaded = load(result)
    if not loaded.reader.plan.side and loaded.reader.encoder is None:
        rule = f"{result} must be of a run that learned from images"
        raise ValueError(f"{rule}; got one of rows of features. Encode these by load(...).packed(rows).")
    network = _network(loaded)
    listed = hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()
    about = {"images": str(images), "count": len(names), "names": listed, "network": network, "shard": SHARD}
    make_folder(out)
    if (path := out / PLAN).exists():
        found = read_object(path, advice=WAY)
        if differ := sorted(name for name, value in about.items() if found.get(name) != value):
            what = {"names": "other images in that folder", "network": "another result"}
            got = ", ".join(dict.fromkeys(what.get(name, f"another {name}") for name in differ))
            raise ValueError(f"{out} must be of these images and this result; got {got}. {WAY}")
    else:
        write_object(path, about)
    return Plan(images, tuple(names), result, network, loaded.index.bits, out)


def _network(loaded: Loaded) -> str:
    path = loaded.folder / MANIFEST
    digest: str = member(loaded.about, "files", dict, path=path, advice=WAY)[NETWORK]
    return digest


def encode_shard(
    result: Path, network: str, images: Path, names: Sequence[str], path: Path
) -> tuple[int, int]:
    """Encode the images of a shard and write its file; how many there are, and how many cannot be read.

    Raises:
        ValueError: if the result has another network than the plan: codes of two do not compare.
    """
    loaded, unreadable = _loaded(result), []
    if _network(loaded) != network:
        rule = f"{result} must stay as it was when encoding began; its run has replaced it"
        raise ValueError(f"{rule}. Encode by a copy of the result. {WAY}")
    try:
        codes = _codes(loaded, images, names)
    except UnreadableImage:
        unreadable = list(FileImages(names, [images / name for name in names]).check())
        failed = {name for name, _ in unreadable}
        names = [name for name in names if name not in failed]
        codes = _codes(loaded, images, names)
    told = json.dumps({"names": list(names), "unreadable": unreadable}).encode()
    with replacing(path) as file:
        np.savez(file, codes=codes, told=np.frombuffer(told, np.uint8))
    return len(names) + len(unreadable), len(unreadable)


def _codes(loaded: Loaded, images: Path, names: Sequence[str]) -> npt.NDArray[np.uint8]:
    if not names:
        return np.empty((0, loaded.index.packed().shape[1]), np.uint8)
    return loaded.packed([images / name for name in names])


def shards(plan: Plan) -> Iterator[Shard]:
    """What the files of all shards hold, in order.

    Raises:
        DamagedFileError: if one is not what was written.
    """
    return (_read(plan, number) for number in plan.numbers)


def _read(plan: Plan, number: int) -> Shard:
    path = plan.path(number)
    try:
        arrays = read_arrays(path)
        codes, told = arrays["codes"], json.loads(arrays["told"].tobytes())
        names, unreadable = list(told["names"]), [(str(a), str(b)) for a, b in told["unreadable"]]
        whole = sorted([*names, *(name for name, _ in unreadable)]) == sorted(plan.names_of(number))
    except (LookupError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} must be a shard; got {error}. Delete it, and start again.") from error
    if not whole or codes.dtype != np.uint8 or codes.ndim != 2 or len(codes) != len(names):
        raise DamagedFileError(f"{path} must be a shard of its images; got another. Delete it, start again.")
    return Shard(codes, names, unreadable)


@cache
def _loaded(result: Path) -> Loaded:
    """The result, loaded once a process."""
    return load(result)
