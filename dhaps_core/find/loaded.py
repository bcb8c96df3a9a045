"""A result folder, opened: it encodes and searches without the run, the items or the notebook."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float16, Int8, UInt8

from dhaps_core.checks import shown, whole
from dhaps_core.codes import pack, sign
from dhaps_core.files import at_home
from dhaps_core.find.adding import NowThere, add
from dhaps_core.find.network import foreteller_of, network_of
from dhaps_core.find.parts import (
    CODES,
    CONTENTS,
    FLOATS,
    MANIFEST,
    NETWORK,
    PICTURES,
    WAY,
    ResultDamaged,
    ResultInUse,
    read_manifest,
    read_part,
    seen,
)
from dhaps_core.find.pictures import read_pictures
from dhaps_core.find.queries import Reader
from dhaps_core.find.rerank import same
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.inputs import Inputs
from dhaps_core.hashing.network import encode
from dhaps_core.json_files import member
from dhaps_core.retrieval.index import HammingIndex

__all__ = ["Hit", "Loaded", "load"]

TRIES = 5  # of reading a result that others write meanwhile


class Hit(NamedTuple):
    """One item that was found.

    Attributes:
        key: its name.
        distance: between the codes, in bits.
        score: how surely it is the same, at most 1; None unless it was put in order by the floats.
    """

    key: str
    distance: int
    score: float | None = None


def load(folder: str | Path, *, backbone: Backbone | None = None) -> "Loaded":
    """The result of a run, to encode and search with.

    Args:
        folder: that a run keeps up to date, or a copy of it, anywhere.
        backbone: the network that embeds images; one of ours is found by its name, when it is first needed.

    Raises:
        FileNotFoundError: if there is no such folder.
        ResultDamaged: if its files are damaged, missing, or not of one result.
        ResultInUse: if others replace it again and again while it is read.

    Example:
        >>> import tempfile
        >>> from dhaps_core import ActiveSession, Settings, digits, label_oracle
        >>> items, folder = digits(seed=0), tempfile.mkdtemp()
        >>> session = ActiveSession(f"{folder}/run", items, Settings(bits=16), result=f"{folder}/result")
        >>> rows = [session.run_round(label_oracle(items)) for _ in range(2)]
        >>> [hit.key for hit in load(f"{folder}/result").search(items.features[7], 1, rerank=50)]
        ['7']
    """
    folder = at_home(folder).absolute()
    for _ in range(TRIES):
        before = seen(folder)
        try:
            found = Loaded(folder, backbone)
        except (ValueError, OSError):
            if seen(folder) == before:
                raise
            continue
        if seen(folder) == before:  # or its parts may be of two results, each whole
            return found
    rule = f"{folder} must stay as it is while it is read; others replaced it {TRIES} times"
    raise ResultInUse(f"{rule}. Load it again.")


class Loaded:
    """See :func:`load`.

    Queries are paths or uint8 arrays [h w 3] where the collection came as images, and rows of the same
    features [d] where it came as those. Each call raises ValueError where what it is given is something else,
    and ImportError where the network that embeds needs a package that is not installed.

    Attributes:
        folder: absolute.
        about: what its manifest tells.
        index: the codes by their keys.
        network: what encodes.
        floats: unit rows behind the codes [n d], float16, or None if the folder has none.
        foreteller: the layer of the network that foretells classes, or None.
    """

    def __init__(self, folder: Path, backbone: Backbone | None) -> None:
        self.folder, self.about = folder, read_manifest(folder)
        self.reader = Reader.load(folder, self.about, backbone)
        self.index = HammingIndex.load(folder / CODES)
        bits, plan = self.reader.plan.bits, self.reader.plan
        if self.index.bits != bits:
            rule = f"{folder} must have codes of {bits} bits"
            raise ResultDamaged(f"{rule}; got {self.index.bits}. {WAY}")
        self.network = network_of(folder / NETWORK, plan, self.about.get("sizes"))
        n = len(self.index)
        self.contents: UInt8[np.ndarray, "n 32"] = read_part(folder, CONTENTS, dtype=np.uint8, shape=(n, 32))
        self.floats: Float16[np.ndarray, "n d"] | None = None
        if (folder / FLOATS).exists():
            self.floats = read_part(folder, FLOATS, dtype=np.float16, shape=(n, plan.features))
        self.foreteller = foreteller_of(self.network)
        self._names = self._classes()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that are foretold; none where the learner does not, or nobody named one."""
        return tuple(name for name in self._names if name is not None)

    def encode(self, images: Iterable[Any]) -> Int8[np.ndarray, "q b"]:
        """Codes in {-1, +1} of new images, or of new rows of features."""
        return self._codes(self._read(images))

    def packed(self, images: Iterable[Any]) -> UInt8[np.ndarray, "q w"]:
        """Those codes as faiss reads them: eight bits a byte, least significant bit first."""
        rows: UInt8[np.ndarray, "q w"] = pack(torch.from_numpy(self.encode(images))).numpy()
        return rows

    def search(self, image: Any, k: int = 10, *, rerank: int = 0) -> list[Hit]:
        """The k items that are nearest to one image, nearest first.

        Args:
            image: a path, pixels, or a row of features.
            k: at most the number of items.
            rerank: length of the shortlist by Hamming distance that is put in order by the floats
                (:func:`dhaps_core.find.rerank.same`); 0 leaves the order of the codes, and ties to that of
                the collection.

        Raises:
            ValueError: if k or rerank is out of range, or the folder has no floats.
        """
        return self.search_all([image], k, rerank=rerank)[0]

    def search_all(self, images: Iterable[Any], k: int = 10, *, rerank: int = 0) -> list[list[Hit]]:
        """:meth:`search` for each of some images, which are embedded together."""
        shortlist = self._shortlist(k, rerank)
        rows = self._read(images)
        keys, distances = self.index.search(self._codes(rows), shortlist)
        found = [list(map(Hit, *one)) for one in zip(keys, distances.tolist(), strict=True)]
        return [self._ordered(rows, i, hits)[:k] for i, hits in enumerate(found)] if rerank else found

    def within(self, image: Any, radius: int, *, rerank: bool = False) -> list[Hit]:
        """All items at most so many bits from one image, nearest first, or the surest.

        Raises:
            ValueError: if radius is no whole number from 0, or the folder has no floats and is to re-rank.
        """
        if rerank:
            self._check_floats()
        rows = self._read([image])
        ((keys, distances),) = self.index.within(self._codes(rows), radius)
        hits = list(map(Hit, keys, distances.tolist()))
        return self._ordered(rows, 0, hits) if rerank else hits

    def predict(self, images: Iterable[Any]) -> list[dict[str, float]]:
        """Probability of each named class for each image, the likeliest first.

        Of items of one class they sum to 1, less what goes to groups that nobody named.

        Raises:
            ValueError: if the run foretells no class: its learner does not, or none was named.
        """
        names = self._names
        if self.foreteller is None or not self.classes:
            learner = self.reader.plan.method
            got = f"{learner}, which foretells none" if not names else "groups that nobody named"
            if learner in ("auto", "piq", "piqnet") and not names:
                got = "a round before two were named"
            way = "Name classes, with the learner auto, piq or piqnet"
            raise ValueError(f"classes must be foretold to predict; got {got}. {way}.")
        rows = self._read(images)
        with torch.no_grad():
            inputs = torch.nn.functional.normalize(rows[torch.arange(len(rows))], dim=1)
            probabilities = self.foreteller.of_rows(inputs).tolist()
        told = [{name: p for name, p in zip(names, row, strict=True) if name} for row in probabilities]
        return [dict(sorted(one.items(), key=lambda item: -item[1])) for one in told]

    def pictures(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Small JPEG files of some items, empty where there is none."""
        if not (self.folder / PICTURES).exists():
            return dict.fromkeys(keys, b"")
        found = read_pictures(self.folder / PICTURES, len(self))
        return {key: found[self.index.position[key]] for key in keys}

    def add(self, images: Iterable[Any], keys: Iterable[str] | None = None) -> "NowThere":
        """Put new images, or rows of features, among what is searched, on the disk and here.

        They stay through later rounds of the run, which encode them anew.

        Args:
            images: as queries are given.
            keys: their names; by default the names of the files, without their folders.

        Returns:
            What was added, and what was left out because the same content is there already.

        Raises:
            ValueError: if a name is there already and stands for other content, or comes twice; nothing is
                added.
            ResultInUse: if another process changes the result, or has changed it since it was loaded.
            OSError: if it cannot be written; then it is as before.
        """
        done = add(self.folder, self.about, _listed(images), keys, reader=self.reader, network=self.network)
        if done.added:
            vars(self).update(vars(Loaded(self.folder, self.reader.backbone)))
        return done

    # --- inside --------------------------------------------------------------------------------------------

    def _read(self, images: Iterable[Any]) -> Inputs:
        return self.reader(_listed(images))

    def _codes(self, rows: Inputs) -> Int8[np.ndarray, "q b"]:
        codes: Int8[np.ndarray, "q b"] = sign(encode(self.network, rows)).to(torch.int8).numpy()
        return codes

    def _shortlist(self, k: int, rerank: int) -> int:
        """How many to look up by their codes."""
        for name, value in (("k", k), ("rerank", rerank)):
            least, number = int(name == "k"), whole(value)
            if number is None or not least <= number <= len(self):
                rule = f"{name} must be from {least} to the {len(self)} items of the collection"
                raise ValueError(f"{rule}; got {shown(value)}. Take one of these.")
        if rerank:
            self._check_floats()
        return max(k, rerank)

    def _check_floats(self) -> None:
        if self.floats is None:
            side = self.reader.plan.side
            got = "a run from pixels, which has none" if side else f"no {FLOATS} in {self.folder}"
            raise ValueError(f"re-ranking must have the floats behind the codes; got {got}. Search without.")

    def _ordered(self, rows: Inputs, i: int, hits: Sequence[Hit]) -> list[Hit]:
        """Hits by how surely they are the same as the i-th of some rows; ties by their codes."""
        assert self.floats is not None
        at = [self.index.position[hit.key] for hit in hits]
        query = rows[torch.tensor([i])][0]
        scores = same(query, torch.from_numpy(self.floats[at].astype(np.float32)), self.foreteller)
        scored = [Hit(hit.key, hit.distance, score) for hit, score in zip(hits, scores.tolist(), strict=True)]
        return sorted(scored, key=lambda hit: -(hit.score or 0.0))

    def _classes(self) -> list[str | None]:
        """Names of what the network foretells, None of a group without one."""
        path = self.folder / MANIFEST
        names = member(self.about, "classes", list, path=path, advice=WAY)
        columns = self.foreteller.sizes["classes"] if self.foreteller else 0
        if len(names) != columns or not all(isinstance(name, str | None) for name in names):
            rule = f"{path} must name the {columns} classes that its network foretells"
            raise ResultDamaged(f"{rule}; got {shown(names)}. {WAY}")
        return names


def _listed(images: Iterable[Any]) -> list[Any]:
    """What was given, as a list; one path or number is none, nor is a set, which has no order."""
    none = isinstance(images, str | Path | set | frozenset) or not isinstance(images, Iterable)
    if none or not getattr(images, "ndim", 1):
        raise ValueError(f"images must be a list; got {shown(images)}. Write [image] for one.")
    return list(images)
