"""Projections: fitted on train rows alone, in float64, whatever the scale of the features."""

from dataclasses import replace

import numpy as np
import pytest

from dhaps_core.data.images import ArrayImages
from dhaps_core.data.sources import arrays, digits
from dhaps_core.hashing.backbones import pixels
from dhaps_core.hashing.embed import embed
from dhaps_core.hashing.encoder import embedded
from dhaps_core.hashing.projection import Projection


def projected(rows, train, dims):
    return Projection.fit(rows, train, dims)(rows)


def test_a_projection_is_fitted_on_train_rows():
    items = digits(queries=200, seed=0)
    train = items.splits["train"]
    rows = projected(items.features, train, 10)
    assert rows.shape == (1797, 10)
    np.testing.assert_allclose((rows[train] ** 2).sum(axis=1).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(rows[train].mean(axis=0), 0, atol=1e-5)
    changed = items.features.copy()
    changed[items.splits["query"]] += 5
    assert np.allclose(projected(changed, train, 10)[train], rows[train], atol=1e-5)
    # Against the eigenvectors of the correlation matrix.
    x = items.features.astype(np.float64)
    spread = x[train].std(axis=0)
    z = (x - x[train].mean(axis=0)) / np.where(spread == 0, 1, spread)
    axes = np.linalg.eigh(z[train].T @ z[train])[1][:, ::-1][:, :10]
    slow = z @ axes
    slow /= np.sqrt((slow[train] ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(rows), np.abs(slow), atol=1e-3)


def test_equal_rows_stay_equal_to_the_bit():
    generator = np.random.default_rng(0)
    for n, copies, d in [(40, 5, 192), (333, 3, 64)]:
        rows = np.repeat(generator.normal(size=(n, d)).astype(np.float32), copies, axis=0)
        generator.shuffle(rows)
        components = projected(rows, np.arange(0, len(rows), 2), 32)
        assert len(np.unique(components, axis=0)) == len(np.unique(rows, axis=0)) == n


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_scale_and_offset_leave_the_components_alone(unit):
    rows = np.random.default_rng(0).normal(size=(60, 5))
    plain = projected(rows.astype(np.float32), np.arange(40), 3)
    scaled = projected((rows * unit).astype(np.float32), np.arange(40), 3)
    moved = projected((rows + 1e4).astype(np.float32), np.arange(40), 3)
    np.testing.assert_allclose(np.abs(scaled), np.abs(plain), atol=1e-4)
    np.testing.assert_allclose(np.abs(moved), np.abs(plain), atol=1e-2)  # float32 lost the digits before


def test_constant_columns_are_left_out_of_the_components():
    rows = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    constant = np.full((60, 1), 0.1, np.float32)
    np.testing.assert_allclose(
        np.abs(projected(np.hstack([rows, constant]), np.arange(60), 5)),
        np.abs(projected(rows, np.arange(60), 5)),
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="train rows must differ"):
        projected(np.full((7, 2), 0.1, np.float32), np.arange(7), 1)


def test_rows_out_of_all_proportion_to_the_train_rows_are_refused():
    rows = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    rows[:40] *= 1e-30
    rows[40:] *= 1e30
    with pytest.raises(ValueError, match="rows must be near the train rows"):
        projected(rows, np.arange(40), 3)


def test_what_cannot_be_projected_is_refused():
    with pytest.raises(ValueError, match=r"dims must be in 1\.\.2"):
        projected(np.eye(3, dtype=np.float32), np.array([0, 1]), 3)
    with pytest.raises(ValueError, match="train rows must differ"):
        projected(np.ones((3, 2), np.float32), np.array([0, 1, 2]), 1)


def test_other_rows_go_through_the_same_projection():
    items = digits(queries=200, seed=0)
    train, others = items.splits["train"], items.splits["query"]
    fitted = Projection.fit(items.features[train], np.arange(len(train)), 10)
    whole = projected(items.features, train, 10)
    np.testing.assert_allclose(fitted(items.features[others]), whole[others], atol=1e-6)


def test_embedded_items_have_the_main_directions_of_their_images(tmp_path):
    items = replace(digits(queries=100, seed=0), features=None)
    made, encoder = embedded(items, pixels(8), cache=tmp_path, dims=12)
    raw = embed(items, pixels(8), size=32, cache=tmp_path)  # 32 px is what these pixels are made for
    assert len(list(tmp_path.iterdir())) == 1
    assert np.array_equal(made.features, projected(raw, items.splits["train"], 12))
    assert np.array_equal(encoder.projection(raw[:5]), encoder.projection(raw)[:5])
    assert made.keys == items.keys


def test_few_items_have_few_directions(tmp_path):
    images = ArrayImages(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
    items = replace(arrays(np.zeros((5, 1)), queries=2, seed=0), features=None, images=images)
    made, _ = embedded(items, pixels(8), cache=tmp_path)
    assert made.features.shape == (5, 3)
