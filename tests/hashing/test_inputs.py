"""Items as rows of a network: centring, squares with grey borders, augmentation."""

import numpy as np
import pytest
import torch

from dhaps_core.data.images import ArrayImages
from dhaps_core.data.items import Items
from dhaps_core.data.sources import arrays, digits
from dhaps_core.hashing.inputs import ImageRows, feature_rows, image_rows, pixel_references


def test_features_are_centred_on_the_train_items_and_scaled():
    points = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * 7 + 3
    items = arrays(points, np.arange(50) % 2, queries=10, seed=0)
    train = torch.from_numpy(items.splits["train"])
    rows = feature_rows(items, train)[0]
    torch.testing.assert_close(rows[train].mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    assert float(rows[train].square().sum(1).mean()) == pytest.approx(1, rel=1e-5)
    same = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32) * 0 + 2
    assert not feature_rows(arrays(same, queries=0, seed=0), torch.arange(5))[0].any()


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_huge_and_tiny_features_are_scaled_as_others_are(unit):
    points = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    plain = feature_rows(arrays(points, queries=0, seed=0), torch.arange(50))[0]
    scaled = feature_rows(arrays(points * np.float32(unit), queries=0, seed=0), torch.arange(50))[0]
    torch.testing.assert_close(scaled, plain, atol=1e-6, rtol=1e-5)


def test_features_far_from_zero_are_centred_as_float64_has_them():
    points = (np.random.default_rng(0).normal(size=(1000, 4)) + 1e4).astype(np.float32)
    rows = feature_rows(arrays(points, queries=0, seed=0), torch.arange(1000))[0].numpy()
    exact = points.astype(np.float64) - points.astype(np.float64).mean(0)
    exact /= np.sqrt((exact**2).sum(1).mean())
    np.testing.assert_allclose(rows, exact, atol=1e-6)


@pytest.mark.parametrize("value", [0.1, 1e30, 1e-40, 123456.7])
def test_equal_rows_are_zero_and_not_their_rounding_errors(value):
    same = np.full((7, 3), value, dtype=np.float32)
    assert not feature_rows(arrays(same, queries=0, seed=0), torch.arange(7))[0].any()


def test_images_keep_their_shape_in_a_grey_square():
    wide = np.zeros((1, 10, 20, 3), dtype=np.uint8)
    splits = {name: np.arange(name != "query", dtype=np.int64) for name in ("train", "query", "database")}
    items = Items(("a",), None, ArrayImages(wide), None, (), splits, "one", "made")
    square = image_rows(items, side=8)
    assert square.shape == (1, 3, 8, 8)
    assert (square[0, 0, :2] == 128).all()
    assert (square[0, 0, 2:6] == 0).all()
    assert (square[0, 0, 6:] == 128).all()
    with pytest.raises(ValueError, match="must have images; got features only"):
        image_rows(arrays(np.eye(3), queries=0, seed=0), side=8)


def test_augmentation_moves_and_mirrors_and_follows_its_generator():
    pixels = torch.arange(4 * 3 * 16 * 16).view(4, 3, 16, 16).remainder(251).to(torch.uint8)
    plain = ImageRows(pixels)
    assert torch.equal(plain[torch.tensor([2])], plain[torch.tensor([2])])
    moved = [ImageRows(pixels, torch.Generator().manual_seed(s))[torch.arange(4)] for s in (0, 0, 1)]
    assert torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[0], moved[2])
    assert set(moved[0].unique().tolist()) <= set(plain[torch.arange(4)].unique().tolist())


def test_pixel_references_know_digits_apart():
    items = digits(seed=0)
    train = torch.from_numpy(items.splits["train"])
    features = pixel_references(image_rows(items, side=16), train, dims=32)
    assert features.shape == (items.n, 32)
    near = torch.cdist(features[:300], features).topk(2, largest=False).indices[:, 1]
    assert (items.labels[near.numpy()] == items.labels[:300]).mean() > 0.9


def test_pixel_references_of_equal_images_are_zero():
    pixels = torch.full((7, 3, 8, 8), 77, dtype=torch.uint8)
    assert not pixel_references(pixels, torch.arange(7)).any()


def test_pixel_references_of_many_images_and_of_none_to_train_on():
    pixels = torch.randint(
        256, (1500, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    everything = pixel_references(pixels, torch.arange(0))
    torch.testing.assert_close(everything, pixel_references(pixels, torch.arange(1500)))
    assert everything.isfinite().all()
    cells = torch.nn.functional.adaptive_avg_pool2d(pixels.float() / 255, 8).flatten(1)
    inner = (cells - cells.mean(0)) @ (cells - cells.mean(0)).T
    whole = pixel_references(pixels, torch.arange(1500), dims=192)
    torch.testing.assert_close(whole @ whole.T, inner, atol=1e-3, rtol=1e-3)


@pytest.mark.filterwarnings("error")
def test_features_that_lie_in_the_memory_of_a_file_are_read_without_a_word(tmp_path):
    np.savez(tmp_path / "x.npz", features=np.eye(6, dtype=np.float32))
    items = arrays(tmp_path / "x.npz", queries=0, seed=0)
    rows, _ = feature_rows(items, torch.arange(6))
    assert rows.shape == (6, 6)


def test_a_new_row_that_float32_has_no_square_of_is_refused():
    points = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    _, centring = feature_rows(arrays(points, queries=0, seed=0), torch.arange(50))
    assert centring(torch.full((1, 4), 1e10)).square().sum().isfinite()
    with pytest.raises(ValueError, match="rows must be of the size of those that the run learned from"):
        centring(torch.full((1, 4), 1e25))
