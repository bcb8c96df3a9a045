"""Settings: whatever comes in, they can run and be kept, or one sentence says why not."""

import json
import math
import sys
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhaps_core.acquisition.problem import Weights
from dhaps_core.checks import Range, check_fields, one_of
from dhaps_core.data.sources import arrays, digits
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import ClosedForm
from dhaps_core.hashing.methods.piq import ForetellingMethod
from dhaps_core.hashing.training_settings import USUAL, TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings

pytestmark = pytest.mark.usefixtures("unchecked")
PUBLISHED = {"kernel": "matched", "reading": "published"}
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=4),
    st.fractions(), st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
    st.sampled_from(
        [np.int64(3), np.float32(0.5), np.bool_(True), np.array([1, 2]), 10**400, Weights(), object(),
         "dhaps", "random", "pairs", "classes", "published", "matched", "codes", "ssh", "ssdh", "graphbit"]
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernel": "matched", "reading": "closed"}, "'matched' is defined for the reading 'published'; got"),
        ({"kernel": "matched"}, "the reading 'covered' has no kernel, which must stay 'invariant'; got"),
        ({"kernel": "gauss"}, "kernel must be one of invariant, matched"),
        ({"bandwidth_scale": 0}, "bandwidth_scale must be a number from 1e-06; got 0.0"),
        ({"bandwidth_scale": 1e-30}, "bandwidth_scale must be"),
        ({"beta": -1}, "beta must be a number from 0; got -1"),
        ({"beta": 1e300}, "beta must be at most 1,000,000"),
        ({"implication": math.nan}, "implication must be a finite number; got nan"),
        ({"implication": -0.5}, "implication must be a number from 0"),
        ({"budget_items": -5}, "budget_items must be at least 0; got -5"),
        ({"budget_items": 1}, "budget_items must be 0 or enough for one pair, 2; got 1"),
        ({"budget_answers": 1}, "budget_answers must be 0 or enough for one pair, 2; got 1"),
        ({"weights": Weights(0.0, 0.0, 0.0)}, "one of the terms of selection must weigh something"),
        (
            {"weights": Weights(0.0, 1.0, 1.0), "beta": 0, "reading": "closed"},
            "one of the terms of selection must weigh something",
        ),
        ({"weights": {"uncertainty": 1.0}}, "weights must be of the type Weights; got {'uncertainty': 1.0}"),
        ({"weights": (1.0, 1.0, 1.0)}, "weights must be of the type Weights"),
        ({"picks": 2.5}, r"picks must be a whole number; got 2.5 \(float\)"),
        ({"picks": True}, "picks must be a whole number; got True"),
        ({"schedule": 5}, r"schedule must be a list; got 5 \(int\)"),
        ({"schedule": [5, 0]}, "each of schedule must be at least 1; got 0"),
        ({"schedule": [5, "5"]}, r"each of schedule must be a whole number; got '5' \(str\)"),
        ({"picks": 10**400}, "picks must be at most 1,000,000,000; got a number of 1329 bits"),
        ({"calibrated": "false"}, "calibrated must be True or False; got 'false'"),
        ({"calibrated": 0}, "calibrated must be True or False; got 0"),
        ({"hidden": True}, "hidden must be a whole number; got True"),
        ({"hidden": 10**9}, "hidden must be at most 65,536"),
        ({"bits": "32"}, "bits must be a whole number; got '32'"),
        ({"bits": 10**6}, "bits must be at most 4,096"),
        ({"bits": 512, "method": "graphbit"}, "bits of graphbit must be at most 256; got 512"),
        ({"bits": 1, "method": "sdsh"}, "bits of sdsh must be at least 2; got 1"),
        ({"dropout": math.nan}, "dropout must be a finite number; got nan"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\); got -0.1"),
        ({"side": 7.5}, "side must be a whole number; got 7.5"),
        ({"side": 1}, "side of residual_cnn must be at least 8; got 1"),
        (
            {"side": 24, "network": "efficientnet_lite0"},
            "side of efficientnet_lite0 must be at least 32; got 24",
        ),
        ({"seed": -1}, "seed must be at least 0; got -1"),
        ({"seed": None}, "seed must be a whole number; got None"),
        ({"method": "DPSH"}, "method must be one of"),
        ({"question": "pair"}, "question must be one of classes, pairs, both; got 'pair'. Did you mean"),
        ({"training": {}}, "training must be of the type TrainingSettings; got {}"),
    ],
)
def test_what_cannot_run_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": math.inf}, "learning_rate must be a finite number; got inf"),
        ({"learning_rate": 0}, r"learning_rate must be in \(0, 1\]; got 0.0"),
        ({"learning_rate": 0.5}, "learning_rate must be at most highest_rate; got 0.5 and 0.006"),
        ({"highest_rate": 1.0, "decay": 3.0}, "what a weight loses in a step, must be below 1; got 3"),
        ({"epochs": 2.5}, "epochs must be a whole number; got 2.5"),
        ({"batch": "64"}, "batch must be a whole number; got '64'"),
        ({"batch": 10**6}, "batch must be at most 16,384"),
        ({"mmd": None}, "mmd must be a finite number; got None"),
        ({"prior_items": -1}, "prior_items must be at least 0; got -1"),
    ],
)
def test_training_that_cannot_run_is_refused_when_it_is_made(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**wrong)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "1", True, None, 1e9])
def test_weights_are_numbers_that_leave_the_others_their_say(wrong):
    with pytest.raises(ValueError, match=r"representativeness.* must be"):
        Weights(representativeness=wrong)


@pytest.mark.parametrize("kind", [Settings, TrainingSettings, Weights])
@given(data=st.data())
def test_any_value_of_any_field_gives_settings_that_are_kept_or_a_value_error(kind, data):
    name = data.draw(st.sampled_from([field.name for field in fields(kind)]))
    value = data.draw(ANYTHING)
    try:
        made = kind(**{name: value})
    except ValueError as error:
        if len(str(error).splitlines()) == 1:
            return
        raise
    settings = (
        made
        if kind is Settings
        else Settings(**{"training" if kind is TrainingSettings else "weights": made})
    )
    text = json.dumps(settings.to_json(), allow_nan=False)
    assert Settings.from_json(json.loads(text)) == settings


def test_numbers_of_any_library_become_plain_ones():
    settings = Settings(
        seed=np.int64(4), bits=np.uint8(16), beta=1, dropout=Fraction(1, 4), picks=np.int32(3),
        schedule=[np.int64(5), 10],
    )  # fmt: skip
    assert json.loads(json.dumps(settings.to_json())) == settings.to_json()
    assert [type(value) for value in (settings.seed, settings.bits, settings.beta)] == [int, int, float]
    assert settings == Settings(seed=4, bits=16, beta=1.0, dropout=0.25, picks=3, schedule=(5, 10))


@pytest.mark.parametrize(
    ("trained", "steps", "batch", "rate"),
    [
        ({}, (200, 3000), 256, 1e-3),
        ({"network": "efficientnet_lite0"}, (200, 3000), 256, 1e-3),  # without a side no image is read
        ({"side": 32}, (150, 1500), 128, 3e-3),
        ({"side": 96, "network": "efficientnet_lite0"}, (100, 300), 64, 5e-4),
    ],
)
def test_training_defaults_follow_from_what_is_trained(trained, steps, batch, rate):
    usual = Settings(**trained).training
    assert ((usual.least, usual.most), usual.batch, usual.learning_rate) == (steps, batch, rate)
    assert Settings(**trained, training=None).training == usual
    given = TrainingSettings(least=7)  # the embeddings' but for one, whatever is trained
    assert Settings(**trained, training=given).training == given
    shorter = replace(Settings(**trained, training=replace(usual, least=7)), bits=16).training
    assert (shorter.least, shorter.batch) == (7, batch)


def test_a_run_keeps_the_training_that_it_was_begun_with(tmp_path):
    kept = Settings(side=32).to_json()
    assert kept["training"] == vars(USUAL["residual_cnn"])  # numbers, not the name of a default
    before = kept | {"training": vars(TrainingSettings())}  # as sessions from pixels were begun by mistake
    assert Settings.from_json(before).training == TrainingSettings()


def test_settings_that_were_kept_before_there_was_a_schedule_had_none():
    kept = Settings(picks=7).to_json()
    del kept["schedule"]
    assert Settings.from_json(kept) == Settings(picks=7)
    assert [Settings.from_json(kept).picks_of(number) for number in (1, 2, 9)] == [7, 7, 7]


def damaged(change):
    return json.loads(json.dumps(Settings(weights=Weights()).to_json())) | change


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (None, "settings must be names with values; got None"),
        ([1], r"settings must be names with values; got \[1\]"),
        (damaged({"bit": 3}), "settings must be known names; got bit. Use the version that wrote them"),
        ({"seed": 0}, "settings must be complete; there is no bits, picks,"),
        (damaged({"training": None}), "training must be names with values; got None"),
        (damaged({"training": {"epochs": 50}}), "training must be complete; there is no least"),
        (damaged({"training": [50]}), r"training must be names with values; got \[50\]"),
        (damaged({"weights": {"uncertainty": 1.0, "beta": 2}}), "weights must be known names; got beta"),
        (damaged({"weights": 3}), "weights must be names with values; got 3"),
        (damaged({"bits": 10**4000}), "bits must be at most 4,096; got a number of"),
        (damaged(json.loads('{"beta": NaN}')), "beta must be a finite number; got nan"),
        (damaged(json.loads('{"dropout": -Infinity}')), "dropout must be a finite number; got -inf"),
    ],
)
def test_damaged_settings_of_a_folder_are_refused_in_one_sentence(stored, message):
    with pytest.raises(ValueError, match=message) as caught:
        Settings.from_json(stored)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Settings(method="ssh", bits=16),
            "at most the 6 directions in which the training items differ; got 16",
        ),
        (
            Settings(method="ssh", bits=8),
            "at most the 6 directions in which the training items differ; got 8",
        ),
        (Settings(side=16), "items must have images; got features only"),
    ],
)
def test_what_the_items_do_not_allow_is_refused_before_the_folder_is_bound(tmp_path, settings, message):
    flat = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    items = arrays(np.hstack([flat, flat]), np.arange(60) % 3, queries=10, seed=0)
    with pytest.raises(ValueError, match=message):
        ActiveSession(tmp_path / "run", items, settings)
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.stat().st_size]
    quick = TrainingSettings(least=2, most=2, batch=8, unlabelled_batch=8)
    session = ActiveSession(
        tmp_path / "run", items, Settings(method="dpsh", bits=4, hidden=4, training=quick)
    )
    assert session.train()["round"] == 0


def test_a_network_that_is_not_installed_is_refused_before_the_folder_is_bound(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ImportError, match="pretrained"):
        ActiveSession(tmp_path / "run", digits(seed=0), Settings(side=32, network="efficientnet_lite0"))
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file() and path.stat().st_size]


def test_the_matched_kernel_runs_with_its_reading(tmp_path):
    points = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    quick = TrainingSettings(least=2, most=2, batch=8, unlabelled_batch=8)
    settings = Settings(**PUBLISHED, bits=4, hidden=4, picks=2, training=quick)
    session = ActiveSession(tmp_path, arrays(points, np.arange(40) % 2, queries=8, seed=0), settings)
    session.train()
    assert len(session.propose().pairs) == 2


def test_every_method_says_how_long_its_codes_may_be():
    for name, method in METHODS.items():
        for bits in (method.least_bits, method.most_bits):
            assert Settings(method=name, bits=bits).bits == bits
        assert (
            issubclass(method, ClosedForm | ForetellingMethod)
            or Settings(method=name, bits=8, side=32).side == 32
        )


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wrong", [math.nan, "1", None, True])
def test_weights_of_a_method_are_finite_numbers(name, wrong):
    for field in fields(METHODS[name]):
        with pytest.raises(ValueError, match=f"{field.name} must be a"):
            METHODS[name](**{field.name: wrong})


def test_a_new_field_is_checked_by_its_annotation_alone():
    @dataclass(frozen=True)
    class Later:
        share: Annotated[float, Range(0, 1)] = 0.5
        name: str | None = None

        def __post_init__(self):
            check_fields(self)

    assert replace(Later(), share=1) == Later(1.0)
    for wrong in ({"share": 2}, {"share": "1"}, {"name": 3}):
        with pytest.raises(ValueError, match="must be"):
            Later(**wrong)


def test_a_word_is_itself_and_of_its_own_kind():
    assert type(one_of("kernel", np.str_("matched"), ("invariant", "matched"))) is str
    for wrong in (0, None, ["matched"], "Matched"):
        with pytest.raises(ValueError, match="kernel must be one of"):
            one_of("kernel", wrong, ("invariant", "matched"))
