"""The result of a finished round, written into a folder in place of the one before."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.csv_file import write_csv
from dhaps_core.array_files import write_array
from dhaps_core.data.images import Images, UnreadableImage
from dhaps_core.data.items import Items
from dhaps_core.files import make_folder, remove_leftovers, replace_bytes, replace_text, replacing
from dhaps_core.find.parts import (
    ANSWERS,
    CODES,
    CONTENTS,
    ENCODER,
    FAISS,
    FLOATS,
    KEYS,
    NETWORK,
    PICTURES,
    README,
    ResultDamaged,
    read_manifest,
    write_manifest,
)
from dhaps_core.find.readme import readme
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.hashing.inputs import Centring
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.retrieval.index import HammingIndex

__all__ = ["Result", "contents_of", "keep", "pictures_of", "write_pictures", "write_searched"]

SHOWN = 96  # pixels of a picture that is kept for contact sheets


@dataclass(frozen=True, eq=False)
class Result:
    """What a finished round has made.

    Attributes:
        about: run, round, method and counts, for the manifest.
        items: the collection; all of it is searched, queries too.
        packed: codes of all items.
        plan: of the network.
        sizes: of its layers that follow from the answers.
        weights: its safetensors file.
        names: of the classes that it foretells, None of a group without one; empty where it foretells none.
        answers: those that count.
        encoder: what made the features of the images; None where they came as features, or are pixels.
        centring: what makes the network's rows of features; None where it reads images.
        floats: those rows; None where it reads images.
    """

    about: Mapping[str, Any]
    items: Items
    packed: UInt8[np.ndarray, "n w"]
    plan: NetworkPlan
    sizes: Mapping[str, int]
    weights: bytes
    names: Sequence[str | None]
    answers: Sequence[Answer]
    encoder: Encoder | None = None
    centring: Centring | None = None
    floats: Float[Tensor, "n d"] | None = None


def keep(folder: Path, result: Result) -> None:
    """Write a result into a folder, made if it is absent; what was added to the one before is told apart.

    Raises:
        OSError: if something is in the way, or the disk is full; then it loads as before or not at all.
        ValueError: if something else has the name of the folder.
    """
    make_folder(folder)
    remove_leftovers(folder, below=False)  # of processes that were killed
    items = result.items
    contents = contents_of(items)
    shown = _still(folder, PICTURES, contents)
    replace_bytes(folder / NETWORK, result.weights)
    with replacing(folder / ENCODER) as file:
        np.savez(file, **_encoder_arrays(result))  # type: ignore[arg-type]
    write_searched(folder, HammingIndex(result.packed, items.keys, bits=result.plan.bits), contents)
    if result.floats is None:
        (folder / FLOATS).unlink(missing_ok=True)
    else:
        write_array(folder / FLOATS, unit_floats(result.floats.numpy()))
    if items.images is None:
        (folder / PICTURES).unlink(missing_ok=True)
    elif not shown:
        write_pictures(folder, pictures_of(items.images))
    write_csv(result.answers, folder / ANSWERS)
    encoder = result.encoder
    about: dict[str, Any] = {
        **result.about,
        "bits": result.plan.bits,
        "items": items.n,
        "added": 0,
        "classes": list(result.names),
        "plan": asdict(result.plan),
        "sizes": dict(result.sizes),
        "encoder": encoder
        and {"backbone": encoder.backbone, "weights": encoder.weights, "size": encoder.size},
    }
    replace_text(folder / README, readme(about))
    write_manifest(folder, about)


def write_searched(folder: Path, index: HammingIndex, contents: UInt8[np.ndarray, "n 32"]) -> None:
    """Write what is searched: codes and keys for us and for plain faiss, and what the keys stand for."""
    index.save(folder / CODES)
    codes = index.packed()
    plain = faiss.IndexBinaryFlat(8 * codes.shape[1])
    plain.add(codes)
    replace_bytes(folder / FAISS, faiss.serialize_index_binary(plain).tobytes())
    replace_text(folder / KEYS, json.dumps(index.keys) + "\n")
    write_array(folder / CONTENTS, contents)


def contents_of(items: Items) -> UInt8[np.ndarray, "n 32"]:
    """sha256 of each image (of its file), or of each row of features where there are none."""
    if items.images is None:
        assert items.features is not None
        digests = [hashlib.sha256(row.tobytes()).digest() for row in items.features]
    else:
        digests = [bytes.fromhex(digest) for digest in items.images.digests()]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def unit_floats(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Rows of norm 1 in half precision, for cosines: 2 bytes a feature."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float16)


def pictures_of(images: Images) -> list[bytes]:
    """A small JPEG file of each image; empty of one that can no longer be read."""

    def picture(i: int) -> bytes:
        try:
            image = Image.fromarray(images.read(i, at_least=SHOWN))
        except UnreadableImage:
            return b""  # the sheet has its name in its place
        image.thumbnail((SHOWN, SHOWN))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=80)
        return file.getvalue()

    with ThreadPoolExecutor() as pool:
        return list(pool.map(picture, range(len(images))))


def write_pictures(folder: Path, pictures: Sequence[bytes]) -> None:
    """Write the pictures one behind the other, with where each ends."""
    with replacing(folder / PICTURES) as file:
        np.savez(
            file,
            jpeg=np.frombuffer(b"".join(pictures), np.uint8),
            ends=np.cumsum([len(one) for one in pictures], dtype=np.int64),
        )


def _still(folder: Path, name: str, contents: UInt8[np.ndarray, "n 32"]) -> bool:
    """Whether a part that depends on the images alone is there, whole, and of these."""
    try:
        found = read_manifest(folder)["files"]
    except (FileNotFoundError, ResultDamaged):
        return False
    file = io.BytesIO()
    np.save(file, contents)
    stored = file.getvalue() + hashlib.sha256(file.getvalue()).digest()
    return (folder / name).exists() and found.get(CONTENTS) == hashlib.sha256(stored).hexdigest()


def _encoder_arrays(result: Result) -> dict[str, npt.NDArray[Any]]:
    """Everything between an image's embedding and the network, by name; float64 where it was fitted in it."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if result.encoder is not None:
        for name, value in vars(result.encoder.projection).items():
            arrays[f"projection_{name}"] = np.asarray(value)
    if result.centring is not None:
        for name, value in vars(result.centring).items():
            arrays[f"centring_{name}"] = np.asarray(value)
    return arrays
