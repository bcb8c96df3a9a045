"""The result of a finished round, written into a folder in place of the one before."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from torch import Tensor

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.csv_file import write_csv
from dhaps_core.array_files import write_array
from dhaps_core.codes import pack, sign
from dhaps_core.data.items import Items
from dhaps_core.files import replace_bytes, replace_text, replacing
from dhaps_core.find.added import carried, rows_of, write_rows
from dhaps_core.find.network import network_of
from dhaps_core.find.parts import (
    ADDED,
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
    read_part,
    replaced,
    write_manifest,
)
from dhaps_core.find.pictures import small_pictures, write_pictures
from dhaps_core.find.readme import readme
from dhaps_core.hashing.encoder import Encoder
from dhaps_core.hashing.inputs import Centring
from dhaps_core.hashing.network import encode
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.retrieval.index import HammingIndex

__all__ = ["Result", "contents_of_rows", "keep", "unit_floats", "write_index", "write_searched"]


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
    """Write a result into a folder, made if it is absent; what was added to the one before stays, if it can.

    Raises:
        OSError: if something is in the way, or the disk is full; then it loads as before.
        ResultInUse: if another process changes it.
        ValueError: if something else has the name of the folder.

    Warns:
        AddedLeftOut: if what was added cannot stay.
    """
    items, plan, encoder = result.items, result.plan, result.encoder
    with replaced(folder) as new:
        replace_bytes(new / NETWORK, result.weights)
        with replacing(new / ENCODER) as file:
            np.savez(file, **_encoder_arrays(result))  # type: ignore[arg-type]
        before, added = _before(folder), None
        if before is not None:
            width = (3, plan.side, plan.side) if plan.side else (plan.features,)
            added = carried(folder, before, encoder=new / ENCODER, keys=items.keys, width=width)
        packed, keys, contents = result.packed, list(items.keys), contents_of(items)
        floats = None if result.floats is None else unit_floats(result.floats.numpy())
        if added is not None:
            network = network_of(new / NETWORK, plan, dict(result.sizes))
            packed = np.concatenate([packed, pack(sign(encode(network, added.inputs))).numpy()])
            keys, contents = [*keys, *added.keys], np.concatenate([contents, added.contents])
            write_rows(new / ADDED, added.rows)
            if floats is not None:
                floats = np.concatenate([floats, unit_floats(rows_of(added.inputs))])
        write_searched(new, HammingIndex(packed, keys, bits=plan.bits), contents)
        if floats is not None:
            write_array(new / FLOATS, floats)
        stay = (PICTURES,) if before is not None and _same_contents(folder, before, contents) else ()
        if items.images is not None and not (stay and (folder / PICTURES).exists()):
            shown = [] if added is None else added.pictures
            write_pictures(new / PICTURES, [*small_pictures(items.images), *shown])
            stay = ()
        write_csv(result.answers, new / ANSWERS)
        about: dict[str, Any] = {
            **result.about,
            "bits": plan.bits,
            "items": items.n,
            "added": 0 if added is None else len(added.keys),
            "classes": list(result.names),
            "plan": asdict(plan),
            "sizes": dict(result.sizes),
            "encoder": encoder
            and {"backbone": encoder.backbone, "weights": encoder.weights, "size": encoder.size},
        }
        replace_text(new / README, readme(about))
        write_manifest(folder, new, about, stay=stay)


def write_searched(new: Path, index: HammingIndex, contents: UInt8[np.ndarray, "n 32"]) -> None:
    """Write what is searched, and what its keys stand for."""
    write_index(new, index)
    write_array(new / CONTENTS, contents)


def write_index(folder: Path, index: HammingIndex) -> None:
    """Write codes and keys into a folder, for us and for plain faiss."""
    index.save(folder / CODES)
    codes = index.packed()
    import faiss  # not at the first import, which it makes a tenth of a second longer

    plain = faiss.IndexBinaryFlat(8 * codes.shape[1])
    plain.add(codes)
    replace_bytes(folder / FAISS, faiss.serialize_index_binary(plain).tobytes())
    replace_text(folder / KEYS, json.dumps(index.keys) + "\n")


def contents_of(items: Items) -> UInt8[np.ndarray, "n 32"]:
    """sha256 of each image (of its file), or of each row of features where there are none."""
    if items.images is None:
        assert items.features is not None
        digests = contents_of_rows(items.features)
    else:
        digests = [bytes.fromhex(digest) for digest in items.images.digests()]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def contents_of_rows(rows: npt.NDArray[np.float32]) -> list[bytes]:
    """sha256 of each row of features; 0.0 and -0.0 are one number, as where duplicates are found."""
    return [hashlib.sha256(row.tobytes()).digest() for row in rows + np.float32(0)]


def unit_floats(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Rows [n d] of norm 1 in half precision, for cosines: 2 bytes a feature."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float16)


def _before(folder: Path) -> dict[str, Any] | None:
    """Manifest of the result that is in a folder, if it is a whole one."""
    try:
        return read_manifest(folder)
    except ResultDamaged:
        return None


def _same_contents(folder: Path, before: dict[str, Any], contents: UInt8[np.ndarray, "n 32"]) -> bool:
    """Whether the items of the result in a folder are these, so that their pictures are, too."""
    if before.get("items", 0) + before.get("added", 0) != len(contents):
        return False
    shape = contents.shape
    found = read_part(folder, CONTENTS, dtype=np.uint8, shape=shape)
    return np.array_equal(found, contents)


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
