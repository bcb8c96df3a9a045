"""Methods end to end from pixels, on digits so small that it takes seconds."""

from dataclasses import replace

import pytest

from dhaps_core.data import digits
from dhaps_core.questions import label_oracle
from dhaps_core.rounds import ActiveSession
from dhaps_core.settings import Settings
from dhaps_core.training import TrainingSettings


@pytest.fixture(scope="module")
def items():
    """Digits without their features: the network sees images and nothing else."""
    return replace(digits(seed=0), features=None)


def session(folder, items, method, acquisition):
    settings = Settings(
        method=method, acquisition=acquisition, bits=16, picks=200, side=8, hidden=64,
        training=replace(TrainingSettings.pixels(), least=160, most=160),
    )  # fmt: skip
    return ActiveSession(folder, items, settings)


@pytest.mark.parametrize(
    ("method", "acquisition"), [("dpsh", "random"), ("dsh", "random"), ("pts3h", "random"), ("dpsh", "dhaps")]
)
def test_labels_raise_what_pixels_alone_give(method, acquisition, items, tmp_path):
    opened = session(tmp_path, items, method, acquisition)
    start, trained = (opened.run_round(label_oracle(items)) for _ in range(2))
    assert start["constant_bits"] == trained["constant_bits"] == 0
    assert trained["mAP@all"] > start["mAP@all"] + 0.05


def test_dh_splits_every_bit_from_pixels(items, tmp_path):
    opened = session(tmp_path, items, "dh", "random")
    opened.train()
    row = opened.history[-1]
    assert row["constant_bits"] == 0
    assert row["bit_entropy"] > 0.5
