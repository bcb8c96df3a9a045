"""The files of a result folder, and its manifest: written last, with the digest of every other file.

A process that is killed while it writes leaves files that are not those of the manifest; then nothing is
loaded, and whoever opens the run again makes the folder whole.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dhaps_core.files import at_home, digest
from dhaps_core.json_files import DamagedFileError, member, read_object, write_object

__all__ = [
    "ANSWERS", "CODES", "CONTENTS", "ENCODER", "FAISS", "FLOATS", "KEYS", "MANIFEST", "NETWORK", "PARTS",
    "PICTURES", "README", "WAY", "ResultDamaged", "is_whole", "read_manifest", "write_manifest",
]  # fmt: skip

MANIFEST, README = "result.json", "README.md"
NETWORK, ENCODER = "network.safetensors", "encoder.npz"
CODES, KEYS, FAISS = "codes.npz", "keys.json", "index.faiss"
CONTENTS, ANSWERS = "contents.npy", "answers.csv"
FLOATS, PICTURES = "floats.npy", "pictures.npz"
PARTS = (NETWORK, ENCODER, CODES, KEYS, FAISS, CONTENTS, FLOATS, PICTURES, ANSWERS, README)
"""All but the manifest, in the order of writing."""
MAY_BE_AWAY = frozenset({FLOATS, PICTURES, ANSWERS, README, KEYS, FAISS})
"""What a person may take out: encoding and searching need none of them."""
WAY = "Open its run again with result=... and it is made whole, or call session.export(folder)."
_VERSION = 1


class ResultDamaged(DamagedFileError):  # noqa: N818 - the name of the thing, as one would say it
    """A folder that holds no result, half of one, or parts of two; the message says how to go on."""


def write_manifest(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the manifest of the parts that are in a folder now; from here on they belong together."""
    files = {name: digest(folder / name) for name in PARTS if (folder / name).exists()}
    write_object(folder / MANIFEST, {"version": _VERSION, **about, "files": files})


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """What the manifest of a folder tells, after a look at every file that it names.

    Raises:
        FileNotFoundError: if there is no such folder.
        ResultDamaged: if it holds no result, one of its parts is missing, or they do not belong together.
    """
    folder = at_home(folder)
    if not folder.is_dir():
        rule = f"{folder} must be a folder with the result of a run"
        got = "a file" if folder.exists() else "nothing"
        raise FileNotFoundError(f"{rule}; got {got}. Look at the path.")
    try:
        found = read_object(folder / MANIFEST, advice=WAY, error=ResultDamaged, signed=True)
    except FileNotFoundError:
        rule = f"{folder} must have {MANIFEST}, which makes its files a result"
        raise ResultDamaged(f"{rule}; got none. Give the folder that a run keeps up to date. {WAY}") from None
    if found.get("version") != _VERSION:
        rule = f"{folder / MANIFEST} must be of version {_VERSION}"
        raise ResultDamaged(f"{rule}; got {found.get('version')!r:.40}. Use the dhaps that wrote it. {WAY}")
    for name, told in member(found, "files", dict, path=folder / MANIFEST, advice=WAY).items():
        _check_part(folder, name, told)
    for name in PARTS:
        if name not in found["files"] and (folder / name).exists():
            raise ResultDamaged(f"{folder} must hold one result; got {name}, of another one. {WAY}")
    return found


def is_whole(folder: Path, about: Mapping[str, Any]) -> bool:
    """Whether a folder holds the whole result that some entries of its manifest tell of."""
    try:
        found = read_manifest(folder)
    except (FileNotFoundError, ResultDamaged):
        return False
    return all(found.get(name) == value for name, value in about.items())


def _check_part(folder: Path, name: str, told: object) -> None:
    if name not in PARTS:
        raise ResultDamaged(f"{folder / MANIFEST} must name the parts of a result; got {name!r:.80}. {WAY}")
    path = folder / name
    if not path.exists():
        if name not in MAY_BE_AWAY:
            raise ResultDamaged(f"{folder} must have all of a result; got no {name}: half a copy. {WAY}")
    elif not path.is_file() or digest(path) != told:
        rule = f"{folder} must hold files that were written together"
        raise ResultDamaged(f"{rule}; got another {name} than {MANIFEST} tells of. {WAY}")
