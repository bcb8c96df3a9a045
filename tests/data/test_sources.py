"""Items, their splits and every source."""

import gzip
import io
import os
import pickle
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dhaps_core.data import cifar
from dhaps_core.data import sources as data
from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import ArrayImages
from dhaps_core.data.items import LABELLED, Items
from dhaps_core.data.sources import arrays, cifar10, digits, image_folder, list_files
from dhaps_core.data.splits import draw_per_class, hold_out, stratified_counts


def positions(*rows):
    return np.array(rows, dtype=np.int64)


def overlap(items):
    """Keys that are both query and database."""
    both = np.intersect1d(items.splits["query"], items.splits["database"])
    return tuple(items.keys[i] for i in both)


def small(**changes):
    """Four items a b c d in two classes; d is the query."""
    parts = {
        "keys": ("a", "b", "c", "d"),
        "features": np.eye(4, dtype=np.float32),
        "images": None,
        "labels": positions(0, 1, 0, 1),
        "class_names": ("x", "y"),
        "splits": {"train": positions(0, 1), "query": positions(3), "database": positions(0, 1, 2)},
        "protocol": "by hand",
        "source": "test",
    }
    return Items(**(parts | changes))


def splits(**changes):
    return small().splits | changes


def png(path, colour="red", size=(3, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "PNG")


@pytest.fixture
def shared():
    root = os.environ.get("DHAPS_DATA")
    if root is None:
        pytest.skip("DHAPS_DATA is not set")
    return Path(root)


# --- items --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": ("a", "b", "a", "d")}, "distinct; got 'a' twice"),
        ({"keys": ("a", "b", "c\udcff", "d")}, "valid text"),
        ({"features": None}, "features or images"),
        ({"features": np.eye(3, dtype=np.float32)}, "one row for each of the 4 keys; got 3"),
        ({"features": np.zeros((4, 0), np.float32)}, "at least one column"),
        ({"features": np.full((4, 1), np.nan, np.float32)}, "finite; got NaN or infinity in 4 rows"),
        ({"images": ArrayImages(np.zeros((3, 1, 1, 3), np.uint8))}, "as many as the 4 keys; got 3"),
        ({"labels": positions(0, 1)}, "labels must have one row"),
        ({"labels": positions(0, 1, 2, 0)}, r"in 0\.\.1; got values in 0\.\.2"),
        ({"labels": np.zeros((4, 3), np.bool_)}, "2 columns"),
        ({"labels": None}, "empty without labels"),
        ({"splits": {"train": positions(0)}}, "named train, query, database"),
        ({"splits": splits(train=positions(1, 0))}, "sorted without repeats"),
        ({"splits": splits(train=positions(0, 0))}, "sorted without repeats"),
        ({"splits": splits(train=positions(0, 4))}, r"in 0\.\.3; got 0\.\.4"),
        ({"splits": splits(train=positions(-1, 2))}, r"got -1\.\.2"),
        ({"splits": splits(database=positions(0, 3))}, "not be in database; got 1 that are, first 'd'"),
        ({"splits": splits(train=positions(3))}, "not be in train"),
    ],
)
def test_items_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.parametrize("value", [[[1.0]] * 4, torch.zeros(4, 1), ..., "rows", 4])
def test_parts_of_items_are_arrays(unchecked, value):
    for changes in ({"features": value}, {"labels": value}, {"splits": splits(train=value)}):
        with pytest.raises(ValueError, match="must be an array of NumPy; got"):
            small(**changes)
    with pytest.raises(ValueError, match="splits must be positions by name; got"):
        small(splits=value)
    with pytest.raises(ValueError, match="split 'train' must be an array of NumPy; got NoneType"):
        small(splits=splits(train=None))


def test_stated_overlap_is_allowed_and_reported():
    items = small(splits=splits(database=positions(0, 3)), allow_overlap=True)
    assert overlap(items) == ("d",)
    assert overlap(small()) == ()


def test_fingerprint_changes_with_each_part():
    images = ArrayImages(np.zeros((4, 1, 1, 3), np.uint8))
    variants = [
        small(),
        small(keys=("a", "b", "c", "e")),
        small(features=2 * np.eye(4, dtype=np.float32)),
        small(labels=positions(0, 1, 1, 1)),
        small(class_names=("x", "z")),
        small(splits=splits(train=positions(0))),
        small(images=images),
        small(images=ArrayImages(np.ones((4, 1, 1, 3), np.uint8))),
    ]
    assert len({items.fingerprint() for items in variants}) == len(variants)
    assert small().fingerprint() == small().fingerprint()


def test_splits_are_stored_and_tied_to_the_items(tmp_path):
    path = tmp_path / "splits.npz"
    items = small()
    items.save_splits(path)
    other = small(splits=splits(train=positions(2), query=positions()), protocol="another")
    again = other.with_splits(path)
    assert again.fingerprint() == items.fingerprint()
    assert again.protocol == "by hand"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="got other features"):
        small(features=2 * np.eye(4, dtype=np.float32)).with_splits(path)
    with pytest.raises(ValueError, match="got other keys, labels"):
        small(keys=tuple("abce"), labels=positions(0, 0, 0, 0)).with_splits(path)


def test_stored_overlap_stays_stated(tmp_path):
    items = small(splits=splits(database=positions(0, 3)), allow_overlap=True)
    items.save_splits(tmp_path / "splits.npz")
    assert overlap(small().with_splits(tmp_path / "splits.npz")) == ("d",)


def test_damaged_splits_are_refused_with_the_name_of_their_file(tmp_path):
    path = tmp_path / "splits.npz"
    small().save_splits(path)
    whole = path.read_bytes()
    stored = dict(np.load(path))
    for content in (b"", b"no", whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"splits.npz must be an .npy or .npz file"):
            small().with_splits(path)
    for changed in (
        {"train": np.array([0.5])},
        {"train": np.array([[0]])},
        {"parts": np.array(["a"])},
        {"protocol": np.array(7)},
        {"more": np.array(7)},
    ):
        np.savez(path, **(stored | changed))
        with pytest.raises(ValueError, match=r"splits.npz must hold the splits, protocol and content"):
            small().with_splits(path)
    np.savez(path, **(stored | {"train": np.array([0, 99])}))
    with pytest.raises(ValueError, match=r"must be in 0\.\.3; got 0\.\.99"):
        small().with_splits(path)
    with pytest.raises(FileNotFoundError):
        small().with_splits(tmp_path / "none.npz")


def test_duplicates_point_to_the_first_equal_row():
    features = np.array([[1, 2], [0, 0], [1, 2], [0, 0]], dtype=np.float32)
    assert small(features=features).duplicates().tolist() == [0, 1, 0, 1]
    images = ArrayImages(np.array([5, 6, 6, 5], np.uint8).reshape(4, 1, 1, 1).repeat(3, axis=3))
    assert small(features=None, images=images).duplicates().tolist() == [0, 1, 1, 0]


def test_a_copy_of_a_query_stands_for_itself_in_the_pool():
    """30 images twice, 20 queries: the first copy of all 60 is often a query, and is never asked."""
    features = np.repeat(np.random.default_rng(0).normal(size=(30, 4)), 2, axis=0)
    items = arrays(features, queries=20, seed=0)
    pool = items.splits["train"]
    stands = items.duplicates(pool)
    asked = pool[stands[pool] == pool]
    assert sorted(asked // 2) == sorted(set(pool // 2))
    first = items.duplicates()  # whose copy in the pool would never be asked
    assert len(set(pool // 2)) > (first[pool] == pool).sum()
    copied = items.splits["query"][np.isin(items.splits["query"] // 2, pool // 2)]
    assert np.isin(stands[copied], asked).all()


def test_equal_images_are_duplicates_whatever_their_features_are():
    """40 images five times each; a projection gives equal rows other last bits."""
    generator = np.random.default_rng(0)
    pixels = np.repeat(generator.integers(0, 256, (40, 4, 4, 3), dtype=np.uint8), 5, axis=0)
    everything = np.arange(200, dtype=np.int64)
    rows = {"train": everything, "query": everything[:0], "database": everything}
    features = np.repeat(generator.normal(size=(40, 8)), 5, axis=0) + 1e-7 * generator.normal(size=(200, 8))
    keys = tuple(map(str, everything))
    items = Items(keys, features.astype(np.float32), ArrayImages(pixels), None, (), rows, "all", "test")
    assert len(np.unique(items.features, axis=0)) > 40
    assert items.duplicates().tolist() == (everything // 5 * 5).tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_duplicates_match_a_slow_search(values, given):
    features = np.array(values, dtype=np.float32)[:, None]
    items = arrays(features, queries=0, seed=0)
    assert items.duplicates().tolist() == [values.index(value) for value in values]
    pool = given.draw(st.lists(st.integers(0, len(values) - 1), unique=True))
    inside = {values[i]: i for i in sorted(pool, reverse=True)}
    wanted = [inside.get(value, values.index(value)) for value in values]
    assert items.duplicates(positions(*pool)).tolist() == wanted


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [range(3), np.arange(3), pd.Index([0, 1, 2]), (str(i) for i in range(3))])
def test_keys_become_text(keys):
    assert arrays(np.eye(3), keys=keys, queries=0, seed=0).keys == ("0", "1", "2")


def test_keys_that_differ_in_case_or_unicode_form_are_keys_of_their_own():
    keys = ("a", "A", "\u00e9", "e\u0301")
    assert arrays(np.eye(4), keys=keys, queries=0, seed=0).keys == keys


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["a", "b", "a"], "distinct; got 'a' twice"),
        ([7, "7", "b"], "distinct; got '7' twice"),
        (["a", "b", ""], "at least one character"),
        (["a", "b"], "one row for each of the 2 keys; got 3"),
        (["a", "b", None], "text or whole numbers; got None"),
        ([1.0, 2.0, 3.0], "text or whole numbers; got 1.0"),
        ([True, False, 2], "text or whole numbers; got True"),
        ([b"a", b"b", b"c"], "text or whole numbers; got b'a'"),
        (["a\0", "a", "b"], "no zero byte; got 'a"),
        (["a" * 100_001, "a", "b"], "at most 100000 characters"),
        (3, "a list, one for each item; got int"),
        ("abc", "a list, one for each item; got str 'abc'"),  # not three characters
        ({"a", "b", "c"}, "a list, one for each item; got set .*in the order of the items"),  # which has none
    ],
)
def test_what_is_no_key_is_refused(unchecked, keys, message):
    with pytest.raises(ValueError, match=message):
        arrays(np.eye(3), keys=keys, queries=0, seed=0)


# --- draws --------------------------------------------------------------------------------------------------


def test_stratified_counts_by_hand():
    assert stratified_counts(positions(6, 3, 1), 5, leave=1).tolist() == [3, 2, 0]  # shares 3, 1.5, 0.5
    assert stratified_counts(positions(6, 3, 1), 7, leave=1).tolist() == [5, 2, 0]  # the third has no room
    assert stratified_counts(positions(5, 0, 5), 3, leave=0).tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="between 0 and 7"):
        stratified_counts(positions(6, 3, 1), 8, leave=1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.integers(0, 100), st.integers(0, 1))
def test_stratified_counts_fill_exactly_within_room(sizes, percent, leave):
    room = np.maximum(positions(*sizes) - leave, 0)
    total = int(room.sum()) * percent // 100
    counts = stratified_counts(positions(*sizes), total, leave=leave)
    assert counts.sum() == total
    assert ((counts >= 0) & (counts <= room)).all()


def test_shares_are_exact_where_floats_round_them_up():
    """2^52 + 1 of 2^53 + 2 items: a quotient in float64 would be 1 too many."""
    sizes = positions(2**26 + 1, 2**26 - 1, 2**26)
    counts = stratified_counts(sizes, 3 * 2**26 - 3, leave=1)
    assert counts.sum() == 3 * 2**26 - 3
    assert (counts <= sizes - 1).all()


@pytest.mark.parametrize("queries", [True, 2.0, np.nan, "2", None, -1, 99])
@pytest.mark.parametrize("labels", [None, [0, 0, 1, 1]])
def test_queries_are_a_whole_number_that_can_be_drawn(unchecked, queries, labels):
    with pytest.raises(ValueError, match="queries must be"):
        arrays(np.eye(4), labels, queries=queries, seed=0)


@pytest.mark.parametrize("seed", [True, 1.0, -1, "1", None])
def test_a_seed_is_a_whole_number(unchecked, seed, tmp_path):
    for draw in (
        lambda: arrays(np.eye(4), queries=1, seed=seed),
        lambda: digits(seed=seed),
        lambda: cifar.cifar10_splits(positions(0), 1, protocol="59k", seed=seed),
        lambda: data.open_items("digits", queries=1, seed=seed),
    ):
        with pytest.raises(ValueError, match=r"seed must be (at least 0|a whole number); got"):
            draw()


def test_whole_numbers_of_numpy_are_whole_numbers(unchecked):
    one = arrays(np.eye(4), queries=np.int64(2), seed=np.uint8(3))
    assert one.fingerprint() == arrays(np.eye(4), queries=2, seed=3).fingerprint()


@pytest.mark.parametrize("n", [torch.ones(1, 2), 4.0, True, "4", None, -1])
def test_the_number_of_items_is_a_whole_number(unchecked, n):
    with pytest.raises(ValueError, match="n must be a whole number of items; got"):
        hold_out(None, n, 0, seed=0)


@pytest.mark.parametrize(
    "labels",
    ["0011", [0, 0, 1, 1], torch.zeros(4), np.zeros(4), np.zeros((4, 1, 1), int), np.array(["a"] * 4)],
)
def test_labels_of_a_draw_are_class_ids_or_multi_hot(unchecked, labels):
    with pytest.raises(ValueError, match=r"labels must be an array of class ids \[n\] or multi-hot"):
        hold_out(labels, 4, 1, seed=0)
    with pytest.raises(ValueError, match="class ids must be at least 0; got -1"):
        hold_out(np.array([0, -1, 0, 0]), 4, 1, seed=0)


def test_hold_out_depends_on_the_seed_only():
    labels = np.arange(100, dtype=np.int64) % 4
    first, again, other = (hold_out(labels, 100, 20, seed=seed)[0] for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["query"], other["query"])
    assert np.bincount(labels[first["query"]]).tolist() == [5, 5, 5, 5]
    assert sorted([*first["query"], *first["train"]]) == list(range(100))


def test_hold_out_leaves_a_relevant_item_of_each_class():
    labels = positions(0, 0, 1, 1, 2)
    held, protocol = hold_out(labels, 5, 2, seed=0)
    assert sorted(set(labels[held["database"]])) == [0, 1, 2]
    assert "stratified" in protocol
    with pytest.raises(ValueError, match="between 0 and 2"):
        hold_out(labels, 5, 3, seed=0)


def test_a_class_without_enough_items_is_named():
    with pytest.raises(ValueError, match="class 1 must have at least 2 items to draw from; got 1"):
        draw_per_class(
            positions(0, 0, 1),
            positions(1, 2),
            candidates=positions(0, 1, 2),
            generator=np.random.default_rng(0),
        )


# --- digits and arrays --------------------------------------------------------------------------------------


def test_digits():
    items = digits(queries=100, seed=3)
    assert np.bincount(items.labels[items.splits["query"]]).tolist() == [10] * 10
    assert items.features.max() == 1
    assert items.images[0].shape == (8, 8, 3)
    assert items.images[0][0, 2].tolist() == [80, 80, 80]  # 5 of 16, on 0..255: 79.7


def test_unlabelled_arrays_need_no_queries():
    items = arrays(np.zeros((3, 2)), queries=0, seed=0)
    assert items.keys == ("0", "1", "2")
    assert items.labels is None
    assert items.splits["query"].size == 0
    assert len(arrays(np.zeros((3, 2)), queries=1, seed=0).splits["database"]) == 2


def test_class_ids_are_made_dense_and_named():
    items = arrays(np.zeros((3, 1)), [7, 3, 7], queries=0, seed=0)
    assert (items.labels.tolist(), items.class_names) == ([1, 0, 1], ("3", "7"))
    multi = arrays(np.zeros((2, 1)), [[1, 1], [0, 0]], queries=1, seed=0)
    assert multi.multi_label
    assert multi.labels.tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros(3), None, r"numbers \[n d\]"),
        ([["a"]], None, r"numbers \[n d\]"),
        (np.zeros((2, 1)), [0, -1], "label store"),
        (np.zeros((2, 1)), [0.5, 1], "whole numbers or text"),
        (np.zeros((2, 1)), [[0, 2], [1, 0]], "whole numbers or text"),
        (np.zeros((2, 1)), [0], "labels must have one row"),
        ([[np.inf]], None, "finite"),
    ],
)
def test_arrays_are_checked(features, labels, message):
    with pytest.raises(ValueError, match=message):
        arrays(features, labels, queries=0, seed=0)


def test_array_files(tmp_path):
    rows = np.arange(8, dtype=np.float16).reshape(4, 2)
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "named.npz", X=rows, y=[0, 0, 1, 1], keys=list("abcd"))
    plain = arrays(tmp_path / "rows.npy", queries=0, seed=0)
    assert plain.features.dtype == np.float32
    assert plain.source == "rows.npy"
    named = arrays(str(tmp_path / "named.npz"), queries=2, seed=0)
    assert named.keys == tuple("abcd")
    assert named.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="labels must be given once"):
        arrays(tmp_path / "named.npz", [0, 0, 1, 1], queries=0, seed=0)


def test_array_files_are_checked(tmp_path):
    np.savez(tmp_path / "mulan.npz", X=np.zeros((1, 1)), Y=np.zeros((1, 1)))
    np.savez(tmp_path / "half.npz", train=np.zeros((1, 1)), train_y=[0], test=np.zeros((1, 1)))
    np.savez(tmp_path / "number.npz", train=np.zeros((1, 1)), train_y=[0], test=np.zeros((1, 1)), test_y=0)
    np.savez(tmp_path / "name.npz", X=np.zeros((3, 1)), keys=np.array("abc"))
    np.savez(tmp_path / "empty.npz")
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("no")
    for name, message in {
        "mulan.npz": "got X, Y",
        "half.npz": "official split",
        "number.npz": r"train_y and test_y must be rows of one kind; got int64 \(1,\) and int64 \(\)",
        "name.npz": "keys must be a list, one for each item; got str 'abc'",
        "empty.npz": "features or X",
        "object.npy": "without pickled objects",
        "text.npy": "without pickled objects",
    }.items():
        with pytest.raises(ValueError, match=message):
            arrays(tmp_path / name, queries=0, seed=0)


def test_official_split_of_arrays(tmp_path):
    np.savez(
        tmp_path / "official.npz",
        train=np.zeros((4, 2), np.float16),
        train_y=[0, 1, 0, 1],
        test=np.ones((6, 2), np.float16),
        test_y=[0, 1, 0, 1, 0, 1],
    )
    items = arrays(tmp_path / "official.npz", queries=4, seed=0)
    assert items.splits["train"].tolist() == items.splits["database"].tolist() == [0, 1, 2, 3]
    assert items.splits["query"].min() >= 4
    assert np.bincount(items.labels[items.splits["query"]]).tolist() == [2, 2]
    assert items.keys[:1] + items.keys[-1:] == ("train/0", "test/5")
    assert len(arrays(tmp_path / "official.npz", queries=6, seed=0).splits["query"]) == 6


def test_cifar_embeddings(shared):
    path = shared / "cifar10_efflite0_224px_pca256.npz"
    if not path.exists():
        pytest.skip(f"no {path.name}")
    items = arrays(path, queries=1000, seed=0)
    assert items.features.shape == (60_000, 256)
    assert np.bincount(items.labels[items.splits["query"]]).tolist() == [100] * 10


# --- image folders ------------------------------------------------------------------------------------------


def test_class_folders_with_any_file_name(tmp_path):
    for name in (
        "猫/图像 (1) #2 %20.png",
        "猫/UPPER.PNG",
        "dog/no_extension",
        "dog/.hidden",
        ".git/x",
        "empty/.x",
    ):
        png(tmp_path / name)
    items = image_folder(tmp_path, queries=0, seed=0)
    assert items.keys == ("dog/no_extension", "猫/UPPER.PNG", "猫/图像 (1) #2 %20.png")
    assert items.class_names == ("dog", "猫")
    assert items.labels.tolist() == [0, 1, 1]
    assert items.images[2].shape == (2, 3, 3)
    assert items.duplicates().tolist() == [0, 0, 0]


def test_flat_folders_have_no_labels(tmp_path):
    for i in range(5):
        png(tmp_path / f"{i}.png")
    items = image_folder(tmp_path, queries=2, seed=0)
    assert items.labels is None
    assert len(items.splits["query"]) == 2


def test_two_folders_of_five(tmp_path):
    for name in ("a", "b"):
        for i in range(5):
            png(tmp_path / name / f"{i}.png")
    items = image_folder(tmp_path, queries=2, seed=0)
    assert items.labels[items.splits["query"]].tolist() == [0, 1]


def test_unreadable_files_are_all_named_or_recorded(tmp_path):
    png(tmp_path / "a" / "good.png")
    (tmp_path / "a" / "bad.png").write_bytes(b"no")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "empty.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"(?s)got 2 that.*a/bad.png: not an image.*b/empty.png: empty"):
        image_folder(tmp_path, queries=0, seed=0)
    items = image_folder(tmp_path, queries=0, seed=0, skip_unreadable=True)
    assert items.keys == ("a/good.png",)
    assert [key for key, _ in items.skipped] == ["a/bad.png", "b/empty.png"]
    assert items.class_names == ("a",)


def test_ambiguous_folders_are_refused(tmp_path):
    png(tmp_path / "train" / "cat" / "x.png")
    with pytest.raises(ValueError, match="got a folder train/cat"):
        image_folder(tmp_path, queries=0, seed=0)
    png(tmp_path / "train" / "loose.png")
    with pytest.raises(ValueError, match=r"got both: 'loose.png' beside 'cat'"):
        image_folder(tmp_path / "train", queries=0, seed=0)
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="at least one readable image"):
        image_folder(tmp_path / "none", queries=0, seed=0)


# --- CIFAR-10 -----------------------------------------------------------------------------------------------

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def cifar_files(binary, rows=10):
    """The files of one archive version, with ``rows`` images a batch; the same images in both versions."""
    generator = np.random.default_rng(0)
    files = {}
    for name in BATCHES:
        planes = generator.integers(0, 256, (rows, 3072), dtype=np.uint8)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        if binary:
            files[f"{name}.bin"] = np.column_stack([labels, planes]).tobytes()
        else:
            batch = {b"batch_label": name.encode(), b"labels": labels.tolist(), b"data": planes}
            files[name] = pickle.dumps(batch, protocol=2)
    if binary:
        files["batches.meta.txt"] = ("\n".join(NAMES) + "\n\n").encode()
    else:
        files["batches.meta"] = pickle.dumps({b"label_names": [name.encode() for name in NAMES]}, protocol=2)
    return files


def unpacked(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def packed(path, folder, files):
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_both_versions_packed_or_not_give_the_same_images(tmp_path):
    python, binary = cifar_files(binary=False), cifar_files(binary=True)
    paths = [
        unpacked(tmp_path / "cifar-10-batches-py", python),
        unpacked(tmp_path / "parent" / "cifar-10-batches-bin", binary),
        tmp_path / "parent",
        packed(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", python),
        packed(tmp_path / "cifar-10-binary.tar.gz", "cifar-10-batches-bin", binary),
    ]
    first = np.frombuffer(binary["data_batch_1.bin"], np.uint8)
    for path in paths:
        pixels, labels, train_rows, names = cifar.read_cifar10(path)
        assert pixels.shape == (60, 32, 32, 3)
        assert pixels[0, 0, 1].tolist() == [first[1 + 1], first[1 + 1024 + 1], first[1 + 2048 + 1]]
        assert labels.tolist() == list(range(10)) * 6
        assert (train_rows, names) == (50, tuple(NAMES))


class Malicious:
    def __reduce__(self):
        return os.system, ("echo owned",)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_pickle_is_refused(tmp_path, protocol):
    files = cifar_files(binary=False)
    files["data_batch_3"] = pickle.dumps({b"data": Malicious(), b"labels": [0]}, protocol=protocol)
    folder = unpacked(tmp_path / "cifar-10-batches-py", files)
    with pytest.raises(ValueError, match="data_batch_3 must be a pickle of numpy arrays and nothing else"):
        cifar.read_cifar10(folder)


def test_damaged_archives_are_named(tmp_path):
    python, binary = cifar_files(binary=False), cifar_files(binary=True)
    cases = {
        "cut pickle": (python | {"test_batch": python["test_batch"][:-50]}, ValueError, "test_batch must"),
        "no labels": (
            python | {"test_batch": pickle.dumps({b"data": 1})},
            ValueError,
            "dict with 'labels'|uint8",
        ),
        "cut record": (binary | {"test_batch.bin": b"123"}, ValueError, "whole records of 3073"),
    }
    for name, (files, kind, message) in cases.items():
        with pytest.raises(kind, match=message):
            cifar.read_cifar10(unpacked(tmp_path / name, files))
    del binary["data_batch_2.bin"]
    with pytest.raises(FileNotFoundError, match="data_batch_2"):
        cifar.read_cifar10(unpacked(tmp_path / "missing", binary))
    with pytest.raises(FileNotFoundError, match="data_batch_2"):
        cifar.read_cifar10(packed(tmp_path / "missing.tar.gz", "x", binary))
    (tmp_path / "text.tar.gz").write_text("no")
    whole = packed(tmp_path / "cut.tar.gz", "x", cifar_files(binary=True)).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    for name in ("text.tar.gz", "cut.tar.gz"):
        with pytest.raises(ValueError, match=f"{name} must be a complete"):
            cifar.read_cifar10(tmp_path / name)
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match="CIFAR-10 must"):
            cifar.read_cifar10(path)


def test_a_pickle_that_writes_past_its_array_is_refused(tmp_path):
    """A field of a dtype at an offset of 24 bytes, and an item set there: numpy would write it."""
    fields = (3, "|", None, ("a",), {"a": (np.dtype("u1"), 24)}, 8, 1, 0)
    dtype = Reduced(np.dtype, ("u1", False, True), fields)
    array = Reduced(*np.empty(0).__reduce__()[:2], (1, (8,), dtype, False, b"x" * 8), iter([(("a", 0), 1)]))
    files = cifar_files(binary=False)
    files["data_batch_2"] = pickle.dumps({b"data": array, b"labels": [0]}, protocol=2)
    with pytest.raises(ValueError, match="data_batch_2 must be a pickle of numpy arrays and nothing else"):
        cifar.read_cifar10(unpacked(tmp_path / "cifar-10-batches-py", files))


class Reduced:
    def __init__(self, function, arguments, state, items=None):
        self.parts = (function, arguments, state, None, items)

    def __reduce__(self):
        return self.parts


@pytest.mark.parametrize(
    "batch",
    [
        {b"data": [[0] * 3072], b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.int64), b"labels": [0]},
        {b"data": np.zeros((1, 3071), np.uint8), b"labels": [0]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [True]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [[0]]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": ["0"]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": np.zeros((1, 1), np.int64)},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": np.array([10])},
        {b"data": np.zeros((1, 3072), np.uint8)},
        [0],
        0,
    ],
)
def test_a_batch_of_other_parts_is_refused(tmp_path, batch):
    files = cifar_files(binary=False) | {"test_batch": pickle.dumps(batch, protocol=2)}
    with pytest.raises(ValueError, match=r"test_batch must hold|a CIFAR-10 pickle must|must have 10 classes"):
        cifar.read_cifar10(unpacked(tmp_path / "cifar-10-batches-py", files))


def tar(path, members):
    """A tar of (name, content, changes of its header)."""
    with tarfile.open(path, "w") as archive:
        for name, content, changes in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for attribute, value in changes.items():
                setattr(member, attribute, value)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_archives_of_links_bombs_and_doubles_are_refused(tmp_path):
    files = cifar_files(binary=True, rows=1)
    rest = [(f"c/{name}", content, {}) for name, content in files.items() if name != "data_batch_2.bin"]
    link = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0}
    test = files["data_batch_2.bin"]
    path = tmp_path / "a.tar.gz"
    with pytest.raises(FileNotFoundError, match=r"must have data_batch_2.bin"):
        cifar.read_cifar10(tar(path, [*rest, ("c/data_batch_2.bin", b"", link)]))
    twice = [(f"{folder}/data_batch_2.bin", test, {}) for folder in "cd"]
    with pytest.raises(ValueError, match=r"must have data_batch_2.bin once"):
        cifar.read_cifar10(tar(path, [*rest, *twice]))
    with pytest.raises(ValueError, match=r"must have few files"):
        cifar.read_cifar10(tar(path, [(f"{i}", b"", {}) for i in range(1001)]))
    huge = tarfile.TarInfo("c/data_batch_2.bin")
    huge.size = 3 << 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(huge.tobuf())
        file.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"data_batch_2.bin must have at most 67108864 bytes; got 322122547"):
        cifar.read_cifar10(path)
    names = tarfile.TarInfo("x")
    names.type, names.size = tarfile.XHDTYPE, 3 << 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(names.tobuf())
        file.write(bytes(70 << 20))
    with pytest.raises(ValueError, match=r"a.tar.gz must unpack to at most"):
        cifar.read_cifar10(path)
    # Names that lead elsewhere are only names: nothing is unpacked.
    members = [(f"/../{name}", content, {}) for name, content in files.items()]
    assert cifar.read_cifar10(tar(path, members))[2] == 5


def test_an_archive_that_unpacks_for_ever_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_LARGEST_ARCHIVE", 1 << 20)
    other = tarfile.TarInfo("other")
    other.size = 1 << 40
    with gzip.open(tmp_path / "a.tar.gz", "wb", compresslevel=1) as file:
        file.write(other.tobuf())
        file.write(bytes(4 << 20))
    with pytest.raises(ValueError, match=r"a.tar.gz must unpack to at most 1048576 bytes"):
        cifar.read_cifar10(tmp_path / "a.tar.gz")


def test_files_too_large_and_pipes_of_an_unpacked_archive_are_refused(tmp_path):
    folder = unpacked(tmp_path / "cifar-10-batches-bin", cifar_files(binary=True))
    with (folder / "data_batch_1.bin").open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"data_batch_1.bin must have at most"):
        cifar.read_cifar10(folder)
    (folder / "data_batch_1.bin").unlink()
    os.mkfifo(folder / "data_batch_1.bin")
    with pytest.raises(FileNotFoundError, match=r"must have data_batch_1.bin"):
        cifar.read_cifar10(folder)


def test_an_incomplete_archive_is_refused(tmp_path):
    folder = unpacked(tmp_path / "cifar-10-batches-bin", cifar_files(binary=True))
    with pytest.raises(ValueError, match="50000 train and 10000 test images; got 50 and 10"):
        cifar10(folder, protocol="59k", seed=0)


@pytest.mark.slow
def test_a_full_size_archive(tmp_path):
    folder = unpacked(tmp_path / "cifar-10-batches-bin", cifar_files(binary=True, rows=10_000))
    items = cifar10(folder, protocol="54k", seed=1)
    assert items.n == 60_000
    assert (items.keys[0], items.keys[-1]) == ("train/00000", "test/09999")
    assert items.protocol.startswith("CIFAR-10 54k")
    assert items.images[59_999].shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [
        ("59k", {"train": 59_000, "query": 1_000, "database": 59_000, LABELLED: 5_000}),
        ("54k", {"train": 59_000, "query": 1_000, "database": 54_000, LABELLED: 5_000}),
        ("50k", {"train": 50_000, "query": 10_000, "database": 50_000}),
    ],
)
def test_protocols(protocol, sizes):
    labels = np.arange(60_000, dtype=np.int64) % 10
    rows = cifar.cifar10_splits(labels, 50_000, protocol=protocol, seed=0)
    assert {name: len(some) for name, some in rows.items()} == sizes
    for name, some in rows.items():
        assert set(np.bincount(labels[some])) == {sizes[name] // 10}
    if protocol != "50k":
        shared = np.intersect1d(rows[LABELLED], rows["database"])
        assert len(shared) == (5_000 if protocol == "59k" else 0)
    keys = tuple(map(str, range(60_000)))
    items = replace(arrays(np.zeros((60_000, 1)), keys=keys, queries=0, seed=0), splits=rows)
    assert overlap(items) == ()


def test_the_two_drawn_protocols_share_queries_and_labelled_images():
    labels = np.arange(60_000, dtype=np.int64) % 10
    a, b = (cifar.cifar10_splits(labels, 50_000, protocol=p, seed=4) for p in ("59k", "54k"))
    for name in ("query", LABELLED, "train"):
        assert np.array_equal(a[name], b[name])
    assert a["query"].max() >= 50_000  # drawn from all 60,000


# --- list files ---------------------------------------------------------------------------------------------


def lists(folder, train, test="q.png 1 0", database="d.png 0 1"):
    folder.mkdir(exist_ok=True)
    for name in ("t.png", "q.png", "d.png", "a b.png", "c.png", "d 1 2"):
        png(folder / name)
    for name, text in {"train.txt": train, "test.txt": test, "database.txt": database}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_single_label_lists(tmp_path):
    items = list_files(
        lists(tmp_path, "t.png 1 0\na b.png 0 1\n\n", database="\ufefft.png 1 0\r\nd 1 2 0 1\r\n")
    )
    assert items.keys == ("t.png", "a b.png", "d 1 2", "q.png")
    assert items.labels.tolist() == [0, 1, 1, 0]
    assert {name: rows.tolist() for name, rows in items.splits.items()} == {
        "train": [0, 1],
        "database": [0, 2],
        "query": [3],
    }
    assert items.protocol == (
        "train.txt 2, database.txt 2, test.txt 1; labels read as one class each, of 2; "
        "exact copies in train or database of 1 queries"
    )


def test_multi_label_lists_keep_images_without_a_class(tmp_path):
    items = list_files(lists(tmp_path, "t.png 1 1\na b.png 0 0"))
    assert items.multi_label
    assert items.labels.sum(axis=1).tolist() == [2, 0, 1, 1]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("t.png", "q.png 1 0", "train.txt:1: .*got no labels"),
        ("t.png 1 0\nc.png", "q.png 1 0", "train.txt:2: .*got no labels"),
        ("t.png 1 0\nc.png 1", "q.png 1 0", "train.txt:2: a line must have 2 labels, .*got 1"),
        ("t.png 1 0\nc.png 1 0 0", "q.png 1 0", "train.txt:2: a line must have 2 labels, .*got 3"),
        ("t.png 1 0", "q.png 1 0 0", "test.txt:1: a line must have 2 labels"),
        ("t.png 1 2", "q.png 1 0", "train.txt:1: labels must be 0 or 1, one a class; got '2'"),
        ("t.png 1 0.5", "q.png 1 0", "train.txt:1: labels must be 0 or 1, one a class; got '0.5'"),
        ("t.png 1 0\nx.png 1 0", "q.png 1 0", "train.txt:2: the image must exist .*'x.png'"),
        ("t.png 1 0\nt.png 1 0", "q.png 1 0", "train.txt:2: an image must be listed once"),
        (
            "t.png 1 0\nd.png 1 0",
            "q.png 1 0",
            "database.txt:1: 'd.png' must have the same labels as in train.txt:2",
        ),
        ("t.png 1 0", "t.png 1 0", "not be in train"),
        ("\n", "q.png 1 0", "train.txt must list at least one image"),
        ("t.png 1\nc.png 0", "q.png 1", "train.txt:1: .*two classes or more; got one number"),
        ("t.png 3\nc.png 7", "q.png 1", "If it is a class id, write a 1 in that class's column"),
        ("../secret.png 1 0", "q.png 1 0", "train.txt:1: an image must be named below its folder"),
        ("x/../t.png 1 0", "q.png 1 0", "must be named below its folder"),
        ("x\\..\\t.png 1 0", "q.png 1 0", "must be named below its folder"),
        ("/etc/passwd 1 0", "q.png 1 0", "must be named below its folder"),
        ("C:\\t.png 1 0", "q.png 1 0", "must be named below its folder"),
        ("\\\\server\\t.png 1 0", "q.png 1 0", "must be named below its folder"),
        ("~/t.png 1 0", "q.png 1 0", "must be named below its folder"),
        ("out.png 1 0", "q.png 1 0", "train.txt:1: the image must lie in .* a link that leads out of it"),
        ("outside/secret.png 1 0", "q.png 1 0", "a link that leads out of it"),
        ("round.png 1 0", "q.png 1 0", "the image must exist"),
        ("pipe.png 1 0", "q.png 1 0", "the image must exist"),
        ("x 1 0", "q.png 1 0", "the image must exist"),
        ("images\\t.png 1 0", "q.png 1 0", "the image must exist .*Write / for the backslash"),
        ("a%20b.png 1 0", "q.png 1 0", "the image must exist"),
        ("t.png\0 1 0", "q.png 1 0", "the image must exist"),
        ("x" * 5000 + " 1 0", "q.png 1 0", "the image must exist"),
        ("# images 1 0", "q.png 1 0", "the image must exist"),
        ("t.png 1 0", "./t.png 1 0", "queries must not be in train; got 1 that are, first 't.png'"),
        ("t.png 1 0", ".//./t.png 1 0", "queries must not be in train"),
        ("t.png 1 0\n./t.png 1 0", "q.png 1 0", "train.txt:2: an image must be listed once"),
        ("t.png 1 0", "alias.png 1 0", "test.txt:1: an image must have one name; 'alias.png' is 't.png'"),
        ("t.png 1 0", "again/t.png 1 0", "an image must have one name; 'again/t.png' is 't.png'"),
        ("t.png 1 0\rc.png 1 0", "q.png 1 0", "train.txt:1: .*"),
    ],
)
def test_list_errors_name_file_and_line(tmp_path, train, test, message):
    png(tmp_path / "secret.png")
    folder = lists(tmp_path / "lists", train, test)
    for name, target in {
        "out.png": tmp_path / "secret.png",
        "outside": tmp_path,
        "round.png": "round.png",
        "alias.png": "t.png",
        "again": ".",
    }.items():
        (folder / name).symlink_to(target)
    (folder / "x").mkdir()
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(ValueError, match=message):
        list_files(folder)


def test_paths_of_lists_are_kept_as_what_they_are(tmp_path):
    folder = lists(tmp_path, "./t.png 1 0\n\tx//./y.png\t1 0 \n", test="q.png 0 1")
    png(folder / "x" / "y.png", "green")
    assert list_files(folder).keys == ("t.png", "x/y.png", "d.png", "q.png")


def test_copies_of_queries_under_another_name_are_counted(tmp_path):
    folder = lists(tmp_path, "t.png 1 0", test="q.png 1 0\nc.png 0 1")
    png(folder / "q.png", "green")
    items = list_files(folder)
    assert items.protocol.endswith(
        "labels read as one class each, of 2; exact copies in train or database of 1 queries"
    )
    png(folder / "c.png", "blue")
    assert "copies" not in list_files(folder).protocol


def test_a_list_too_large_is_refused_before_it_is_read(tmp_path):
    folder = lists(tmp_path, "t.png 1 0")
    with (folder / "train.txt").open("r+b") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
    with pytest.raises(ValueError, match=r"train.txt must have at most 536870912 bytes; got 1099511627776"):
        list_files(folder)


def test_lists_that_share_queries_must_say_so(tmp_path):
    folder = lists(tmp_path, "t.png 1 0", test="d.png 0 1")
    with pytest.raises(ValueError, match="allow_overlap=True"):
        list_files(folder)
    assert overlap(list_files(folder, allow_overlap=True)) == ("d.png",)


def test_list_files_must_be_there_and_readable(tmp_path):
    folder = lists(tmp_path, "t.png 1 0")
    (folder / "train.txt").write_bytes(b"t.png 1 0\n\xff 1 0\n")
    with pytest.raises(ValueError, match=r"train.txt:2: the file must be UTF-8"):
        list_files(folder)
    (folder / "train.txt").write_text("t.png 1 0")
    (folder / "d.png").write_bytes(b"no")
    with pytest.raises(UnreadableImage, match=r"d.png"):
        list_files(folder)
    (folder / "database.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"got no database.txt"):
        list_files(folder)


def test_data_loads_without_torch():
    code = "import sys, dhaps_core.data.sources; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
