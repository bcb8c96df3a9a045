"""Published protocols of list files as data: their counts, checked, and each data set's customary cut-off."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dhaps_core.data.items import LABELLED

__all__ = ["PROTOCOLS", "ListProtocol", "as_published"]

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ListProtocol:
    """What a published protocol says of its three list files, and how the field evaluates on it.

    Attributes:
        classes: c, columns of 0 and 1.
        several: whether an image may have several classes, or none; else each has exactly one.
        queries: images in test.txt.
        labelled: images in train.txt: the labels of the supervised and the semi-supervised rows.
        pool: images that are no queries, in train.txt, database.txt or both; labels may be asked of any.
        cut_off: k of the mAP@k that the field reports; None for the whole ranking.
        follows: whose counts these are, and what others have.
    """

    classes: int
    several: bool
    queries: int
    labelled: int
    pool: int
    cut_off: int | None
    follows: str


_IMAGENET = ListProtocol(
    classes=100,
    several=False,
    queries=5_000,
    labelled=10_000,
    pool=128_503,
    cut_off=1_000,
    follows="The HashNet paper: 100 labels a class. The lists published with it have 130: ImageNet-100-13k",
)

PROTOCOLS: Mapping[str, ListProtocol] = {
    "CIFAR-10": ListProtocol(
        classes=10,
        several=False,
        queries=1_000,
        labelled=5_000,
        pool=59_000,
        cut_off=None,
        follows="DPSH, with train.txt in the database (59,000); the lists of DHN have it out (54,000)",
    ),
    "NUS-WIDE": ListProtocol(
        classes=21,
        several=True,
        queries=2_100,
        labelled=10_500,
        pool=193_734,
        cut_off=5_000,
        follows="DPSH: 195,834 images of the 21 most frequent concepts. HashNet's own images are others",
    ),
    "ImageNet-100": _IMAGENET,
    "ImageNet-100-13k": replace(
        _IMAGENET,
        labelled=13_000,
        follows="The lists published with HashNet: 130 labels a class. Its paper says 100: ImageNet-100",
    ),
    "COCO": ListProtocol(
        classes=80,
        several=True,
        queries=5_000,
        labelled=10_000,
        pool=117_218,
        cut_off=5_000,
        follows="HashNet: COCO 2014. Its published database.txt has 112,218 lines, queries in and train out",
    ),
    "MIRFlickr": ListProtocol(
        classes=38,
        several=True,
        queries=1_000,
        labelled=4_000,
        pool=24_000,
        cut_off=None,
        follows="DeepHash-pytorch: all 38 annotations, train.txt not in the database. Others have 24 classes",
    ),
}
"""By name. Sources, beside the papers: the lists and configurations of thuml/HashNet (85387b8) and of
swuxyj/DeepHash-pytorch (ab14068). The lines of ImageNet-100, COCO and MIRFlickr, and of train and test of
NUS-WIDE, were counted; NUS-WIDE's database and CIFAR-10 are as DeepHash-pytorch states them. Both have these
cut-offs for NUS-WIDE, ImageNet-100 and COCO; those of CIFAR-10 and MIRFlickr are DeepHash-pytorch's."""


def as_published(
    name: str, splits: Mapping[str, Positions], hot: npt.NDArray[np.bool_]
) -> dict[str, Positions]:
    """Splits of three list files in which the pool is every image that is no query, if the counts are right.

    Args:
        name: of the protocol, one of :data:`PROTOCOLS`.
        splits: positions listed in train.txt (``train``), test.txt (``query``) and ``database.txt``.
        hot: classes of every image, [n c].

    Returns:
        ``train``, the pool; ``labelled``, what train.txt lists; ``query``; and ``database``, of which queries
        are left out, since each would find itself first (COCO's published list has them in).

    Raises:
        ValueError: naming every count that differs, and whose counts were expected. (A query in train.txt
            stays in the pool, which ``Items`` refuses by name.)
    """
    published = PROTOCOLS[name]
    train, query, database = (splits[one] for one in ("train", "query", "database"))
    database = np.setdiff1d(database, query)
    pool = np.union1d(train, database)
    counts = {
        "classes": (published.classes, hot.shape[1]),
        "images in test.txt": (published.queries, len(query)),
        "images in train.txt": (published.labelled, len(train)),
        "images that are no queries in train.txt and database.txt": (
            published.pool,
            len(np.setdiff1d(pool, query)),
        ),
    }
    if wrong := {what: both for what, both in counts.items() if both[0] != both[1]}:
        rule = ", ".join(f"{expected} {what}" for what, (expected, _) in wrong.items())
        got = ", ".join(str(found) for _, found in wrong.values())
        raise ValueError(f"lists of {name} must have {rule}; got {got}. {published.follows}.")
    if not published.several and (others := np.flatnonzero(hot.sum(axis=1) != 1)).size:
        rule = f"each image of {name} must have one class"
        raise ValueError(f"{rule}; got {others.size} with none or several. {published.follows}.")
    return {"train": pool, "query": query, "database": database, LABELLED: train}
