"""New items put among what a result searches: all of them, or none."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dhaps_core.array_files import write_array
from dhaps_core.checks import shown
from dhaps_core.codes import pack, sign
from dhaps_core.find.added import read_rows, rows_of, write_rows
from dhaps_core.find.keep import contents_of_rows, unit_floats, write_searched
from dhaps_core.find.parts import (
    ADDED,
    ANSWERS,
    CODES,
    CONTENTS,
    ENCODER,
    FLOATS,
    KEYS,
    NETWORK,
    PICTURES,
    README,
    ResultInUse,
    read_manifest,
    read_part,
    replaced,
    write_manifest,
)
from dhaps_core.find.pictures import read_pictures, small_pictures, write_pictures
from dhaps_core.find.queries import Reader, pictures_in, rows_in
from dhaps_core.hashing.network import HashNetwork, encode
from dhaps_core.keys import item_keys
from dhaps_core.retrieval.index import HammingIndex

__all__ = ["NowThere", "add"]


class NowThere(NamedTuple):
    """What came of adding.

    Attributes:
        added: keys of what is new.
        known: (key, key in the collection) of what was left out: its content is there.
    """

    added: list[str]
    known: list[tuple[str, str]]


def add(
    folder: Path,
    about: Mapping[str, Any],
    given: Sequence[Any],
    keys: Iterable[str] | None,
    *,
    reader: Reader,
    network: HashNetwork,
) -> NowThere:
    """Add items to the result in a folder; see :meth:`dhaps_core.find.loaded.Loaded.add`.

    Args:
        folder: of the result.
        about: its manifest, as it was when it was loaded.
        given: paths, pixels or rows of features.
        keys: their names, or None for those of the files.
        reader: what makes rows of them.
        network: what encodes these.
    """
    contents, names = _contents(given), _names(given, keys)
    index = HammingIndex.load(folder / CODES)
    before = read_part(folder, CONTENTS, dtype=np.uint8, shape=(len(index), 32))
    chosen, done = _chosen(names, contents, index.keys, [row.tobytes() for row in before])
    if not chosen:
        return done
    new = [given[i] for i in chosen]
    rows = reader(new)
    codes = pack(sign(encode(network, rows))).numpy()
    with replaced(folder) as place:
        if read_manifest(folder) != about:
            rule = f"{folder} must be as it was loaded; another process has changed it"
            raise ResultInUse(f"{rule}. Load it again, then add.")
        told = np.frombuffer(b"".join(contents[i] for i in chosen), np.uint8).reshape(-1, 32)
        longer = HammingIndex(
            np.concatenate([index.packed(), codes]), [*index.keys, *done.added], bits=index.bits
        )
        write_searched(place, longer, np.concatenate([before, told]))
        kept, earlier = rows_of(rows), read_rows(folder, about)
        write_rows(place / ADDED, kept if earlier is None else np.concatenate([earlier, kept]))
        if (folder / FLOATS).exists():
            floats = read_part(folder, FLOATS, dtype=np.float16, shape=(len(index), kept.shape[1]))
            write_array(place / FLOATS, np.concatenate([floats, unit_floats(kept)]))
        if (folder / PICTURES).exists():
            images = pictures_in(new)
            shown_now = [b""] * len(new) if images is None else small_pictures(images)
            write_pictures(place / PICTURES, read_pictures(folder / PICTURES, len(index)) + shown_now)
        rest = {name: value for name, value in about.items() if name not in ("version", "files")}
        rest["added"] = about["added"] + len(new)
        write_manifest(folder, place, rest, stay=(NETWORK, ENCODER, ANSWERS, README))
    return done


def _names(given: Sequence[Any], keys: Iterable[str] | None) -> tuple[str, ...]:
    if keys is not None:
        names = item_keys(keys)
        if len(names) != len(given):
            raise ValueError(f"keys must be as many as the {len(given)} images; got {len(names)}.")
        return names
    if not all(isinstance(one, str | Path) for one in given):
        raise ValueError(f"keys must be given with arrays, one each; got none. {KEYS} has those there are.")
    return item_keys(Path(one).name for one in given)


def _contents(given: Sequence[Any]) -> list[bytes]:
    """sha256 of each item: of its file, its pixels, or its features."""
    images = pictures_in(given)
    if images is not None:
        return [bytes.fromhex(digest) for digest in images.digests()]
    return contents_of_rows(rows_in(given))


def _chosen(
    names: Sequence[str], contents: Sequence[bytes], keys: Sequence[str], before: Sequence[bytes]
) -> tuple[list[int], NowThere]:
    """Positions of what is new, and what came of all."""
    there = dict(zip(keys, before, strict=True))
    where = {content: key for key, content in reversed(there.items())}
    chosen, done = [], NowThere([], [])
    for i, (name, content) in enumerate(zip(names, contents, strict=True)):
        if there.get(name, content) != content:
            rule = "the name of an image must be new, or stand for what it stands for"
            raise ValueError(f"{rule}; got {shown(name)} with other content. Give it another: keys=[...].")
        if content in where:
            done.known.append((name, where[content]))
        else:
            chosen.append(i)
            done.added.append(name)
            there[name], where[content] = content, name
    return chosen, done
