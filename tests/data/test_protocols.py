"""Published protocols of list files: counts checked, a pool wider than the labelled set, cut-offs."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dhaps_core.data import protocols
from dhaps_core.data.cifar import cifar10_splits
from dhaps_core.data.items import LABELLED, Items
from dhaps_core.data.protocols import PROTOCOLS, as_published
from dhaps_core.data.sources import list_files, open_items
from dhaps_core.session.evaluation import NAMED_CUTS


def positions(*rows):
    return np.array(rows, dtype=np.int64)


def hot(n, c, *, several=False):
    """Classes of n made images: image i has class i modulo c, and every third the next one too if several."""
    classes = np.zeros((n, c), dtype=np.bool_)
    classes[np.arange(n), np.arange(n) % c] = True
    if several:
        classes[::3, 1:] |= classes[::3, :-1]
    return classes


def published(one, *, train_in_database=True):
    """Splits as three lists of a protocol have them: queries first, then train, then the rest."""
    n = one.queries + one.pool
    ends = one.queries, one.queries + one.labelled
    start = ends[0] if train_in_database else ends[1]
    splits = {"query": np.arange(ends[0]), "train": np.arange(*ends), "database": np.arange(start, n)}
    return splits, hot(n, one.classes, several=one.several)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("train_in_database", [True, False])
def test_lists_of_the_published_counts_are_taken(name, train_in_database):
    one = PROTOCOLS[name]
    splits, classes = published(one, train_in_database=train_in_database)
    found = as_published(name, splits, classes)
    assert [len(found[split]) for split in ("query", LABELLED, "train")] == [
        one.queries,
        one.labelled,
        one.pool,
    ]
    assert len(found["database"]) == one.pool - (0 if train_in_database else one.labelled)
    assert np.isin(found[LABELLED], found["train"]).all()
    assert not np.isin(found["query"], np.union1d(found["train"], found["database"])).any()


def test_the_numbers_are_those_of_their_sources():
    found = {
        name: (one.classes, one.queries, one.labelled, one.pool, one.cut_off)
        for name, one in PROTOCOLS.items()
    }
    assert found == {
        "CIFAR-10": (10, 1_000, 5_000, 59_000, None),
        "NUS-WIDE": (21, 2_100, 10_500, 193_734, 5_000),
        "ImageNet-100": (100, 5_000, 10_000, 128_503, 1_000),
        "ImageNet-100-13k": (100, 5_000, 13_000, 128_503, 1_000),
        "COCO": (80, 5_000, 10_000, 117_218, 5_000),
        "MIRFlickr": (38, 1_000, 4_000, 24_000, None),
    }


def test_every_customary_cut_off_is_measured():
    assert {one.cut_off for one in PROTOCOLS.values()} - {None} <= set(NAMED_CUTS)


def test_the_lists_of_coco_have_their_queries_in_the_database():
    """112,218 lines: the pool without train.txt, and the 5,000 queries."""
    one = PROTOCOLS["COCO"]
    splits, classes = published(one, train_in_database=False)
    splits["database"] = np.union1d(splits["database"], splits["query"])
    assert len(splits["database"]) == 112_218
    found = as_published("COCO", splits, classes)
    assert len(found["database"]) == 107_218
    assert not np.isin(found["query"], found["database"]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda splits, classes: ({**splits, "query": splits["query"][:-1]}, classes),
            r"lists of ImageNet-100 must have 5000 images in test\.txt; got 4999\. The HashNet paper",
        ),
        (
            lambda splits, classes: ({**splits, "train": np.arange(5_000, 18_000)}, classes),
            r"must have 10000 images in train\.txt; got 13000\. .*have 130: ImageNet-100-13k\.",
        ),
        (
            lambda splits, classes: ({**splits, "database": splits["database"][:-1]}, classes),
            r"must have 128503 images that are no queries in train\.txt and database\.txt; got 128502\.",
        ),
        (
            lambda splits, classes: ({**splits, "train": positions(5_000)}, classes[:, 1:]),
            r"must have 100 classes, 10000 images in train\.txt; got 99, 1\.",
        ),
        (
            lambda splits, classes: (splits, classes | (np.arange(len(classes)) == 7)[:, None]),
            r"each image of ImageNet-100 must have one class; got 1 with none or several\.",
        ),
    ],
)
def test_each_count_that_differs_is_named(change, message):
    splits, classes = change(*published(PROTOCOLS["ImageNet-100"]))
    with pytest.raises(ValueError, match=message):
        as_published("ImageNet-100", splits, classes)


# --- made lists of the right shape, scaled down here --------------------------------------------------------

SCALED = {
    "CIFAR-10": {"queries": 4, "labelled": 6, "pool": 20},
    "NUS-WIDE": {"queries": 4, "labelled": 6, "pool": 25},
    "ImageNet-100": {"queries": 3, "labelled": 100, "pool": 110},
    "COCO": {"queries": 4, "labelled": 6, "pool": 90},
    "MIRFlickr": {"queries": 4, "labelled": 6, "pool": 40},
}


def write_lists(folder, one, *, queries_in_database=False, train_in_database=True):
    """A folder with images and three list files of a protocol's shape."""
    splits, classes = published(one, train_in_database=train_in_database)
    if queries_in_database:
        splits["database"] = np.union1d(splits["database"], splits["query"])
    for i in range(len(classes)):
        path = folder / "images" / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, 255 - i, 7)).save(path)
    for split, file in {"train": "train.txt", "query": "test.txt", "database": "database.txt"}.items():
        lines = [
            f"images/{i:04}.png {' '.join('01'[int(one)] for one in classes[i])}\n" for i in splits[split]
        ]
        (folder / file).write_text("".join(lines))
    return folder


@pytest.fixture(params=SCALED)
def scaled(request, monkeypatch):
    """Name of a protocol whose counts are those of `SCALED` in this test."""
    small = replace(PROTOCOLS[request.param], **SCALED[request.param])
    monkeypatch.setitem(protocols.PROTOCOLS, request.param, small)
    return request.param


def test_made_lists_of_every_protocol_become_items(tmp_path, scaled):
    one = PROTOCOLS[scaled]
    folder = write_lists(tmp_path, one, train_in_database=scaled not in {"COCO", "MIRFlickr"})
    items = open_items(folder, protocol=scaled, queries=99, seed=0)
    assert items.multi_label == one.several
    assert len(items.class_names) == one.classes
    sizes = {name: len(rows) for name, rows in items.splits.items()}
    assert sizes["train"] == one.pool
    assert sizes[LABELLED] == one.labelled
    assert sizes["query"] == one.queries
    assert sizes["database"] == one.pool - (one.labelled if scaled in {"COCO", "MIRFlickr"} else 0)
    said = f"pool {one.pool}, {one.labelled} of them the labelled set; database {sizes['database']};"
    assert items.protocol.startswith(f"{scaled}: train.txt {one.labelled}, database.txt ")
    assert said in items.protocol
    (folder / "test.txt").write_text((folder / "test.txt").read_text().split("\n")[0])
    with pytest.raises(ValueError, match=f"lists of {scaled} must have {one.queries} images in test"):
        list_files(folder, protocol=scaled)


def test_the_same_lists_without_a_protocol_are_ones_own(tmp_path, scaled):
    folder = write_lists(tmp_path, PROTOCOLS[scaled])
    items = open_items(folder, queries=99, seed=0)
    assert LABELLED not in items.splits
    assert len(items.splits["train"]) == PROTOCOLS[scaled].labelled


@pytest.mark.parametrize("scaled", ["COCO"], indirect=True)
def test_queries_in_a_published_database_are_left_out_and_counted(tmp_path, scaled):
    folder = write_lists(tmp_path, PROTOCOLS[scaled], queries_in_database=True, train_in_database=False)
    items = list_files(folder, protocol=scaled)
    assert "database.txt 88, test.txt 4; pool 90, 6 of them the labelled set; database 84;" in items.protocol
    with pytest.raises(ValueError, match="queries must not be in database; got 4 that are"):
        list_files(folder)


@pytest.mark.parametrize("scaled", ["NUS-WIDE"], indirect=True)
def test_a_query_in_train_is_refused(tmp_path, scaled):
    folder = write_lists(tmp_path, PROTOCOLS[scaled])
    lines = (folder / "train.txt").read_text().splitlines()[1:]
    (folder / "train.txt").write_text("\n".join([*lines, (folder / "test.txt").read_text().splitlines()[0]]))
    with pytest.raises(
        ValueError, match=r"queries must not be in train; got 1 that are, first 'images/0000\.png'"
    ):
        list_files(folder, protocol=scaled)


def test_a_protocol_that_would_be_passed_over_is_refused(unchecked, tmp_path):
    lists = write_lists(tmp_path / "lists", replace(PROTOCOLS["CIFAR-10"], **SCALED["CIFAR-10"]))
    with pytest.raises(ValueError, match=r"protocol must be one of CIFAR-10, NUS-WIDE, .*; got '59k'"):
        open_items(lists, protocol="59k", queries=0, seed=0)
    for wrong in ("NUSWIDE", None, 3, np.ones(2)):
        with pytest.raises(ValueError, match=r"protocol must be one of 59k, .*, MIRFlickr; got"):
            open_items(lists, protocol=wrong, queries=0, seed=0)
    np.savez(tmp_path / "x.npz", features=np.eye(4), labels=[0, 0, 1, 1])
    for name in ("digits", tmp_path / "x.npz"):
        with pytest.raises(ValueError, match="one of CIFAR-10 or of three list files; got 'NUS-WIDE' for"):
            open_items(name, protocol="NUS-WIDE", queries=1, seed=0)


def test_embeddings_of_cifar_have_its_protocols_too(tmp_path):
    rows, labels = np.arange(60_000, dtype=np.float32)[:, None], np.arange(60_000) % 10
    official = {"train": rows[:50_000], "test": rows[50_000:]}
    named = {"train_y": labels[:50_000], "test_y": labels[50_000:]}
    np.savez(tmp_path / "e.npz", **official, **named)
    items = open_items(tmp_path / "e.npz", protocol="54k", queries=1000, seed=3)
    expected = cifar10_splits(labels, 50_000, protocol="54k", seed=3)
    assert {name: rows.tolist() for name, rows in items.splits.items()} == {
        name: rows.tolist() for name, rows in expected.items()
    }
    assert items.protocol.startswith("CIFAR-10 54k: 1,000 queries")
    assert items.protocol.endswith("(seed 3)")
    assert items.features[59_999] == 59_999
    np.savez(
        tmp_path / "short.npz", train=rows[:20], test=rows[20:40], train_y=labels[:20], test_y=labels[:20]
    )
    np.savez(tmp_path / "unlabelled.npz", **official)
    np.savez(tmp_path / "one.npz", features=rows, labels=labels)
    for name, got in {
        "short": "20 train of 40 items, 10",
        "unlabelled": "50000 train of 60000 items, 0",
        "one": "60000 train of 60000 items, 10",
    }.items():
        with pytest.raises(
            ValueError, match=rf"embeddings under 59k must be CIFAR-10's .*; got {got} classes"
        ):
            open_items(tmp_path / f"{name}.npz", protocol="59k", queries=1000, seed=3)


# --- the labelled set of a pool -----------------------------------------------------------------------------


def four(**more):
    """Four items a b c d; d is the query, a and b are the pool."""
    rows = {"train": positions(0, 1), "query": positions(3), "database": positions(0, 1, 2)} | more
    features = np.eye(4, dtype=np.float32)
    return Items(tuple("abcd"), features, None, None, (), rows, "by hand", "test")


def test_the_labelled_set_is_stored_and_restored_with_the_splits(tmp_path):
    items = four(labelled=positions(1))
    items.save_splits(tmp_path / "splits.npz")
    again = four().with_splits(tmp_path / "splits.npz")
    assert again.splits[LABELLED].tolist() == [1]
    assert again.fingerprint() == items.fingerprint() != four().fingerprint()
    four().save_splits(tmp_path / "splits.npz")
    assert LABELLED not in items.with_splits(tmp_path / "splits.npz").splits


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (positions(1, 2), "the labelled set must be in train, the pool; got 1 that are not, first 'c'"),
        (positions(1, 0), "split 'labelled' must be sorted without repeats"),
        (np.array([1.0]), "split 'labelled' must be int64"),
        (positions(9), r"split 'labelled' must be in 0\.\.3"),
    ],
)
def test_a_labelled_set_is_part_of_the_pool(rows, message):
    with pytest.raises(ValueError, match=message):
        four(labelled=rows)
