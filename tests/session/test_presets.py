"""Presets: what a name stands for, what goes before it, and a run of it that replays."""

import json
from dataclasses import replace

import pytest

from dhaps_core.answers.questions import label_oracle
from dhaps_core.hashing.training_settings import USUAL, TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.presets import PRESETS
from dhaps_core.session.settings import Settings
from tests.given import tiny_items

QUICK = TrainingSettings(least=2, most=2)
SMALL = {"bits": 8, "hidden": 0, "picks": 3, "training": QUICK}


def test_the_usual_preset_changes_nothing():
    assert Settings.preset("usual") == Settings()
    assert Settings.preset("usual", bits=12, side=32) == Settings(bits=12, side=32)


def test_the_paper_is_the_poster_to_the_letter():
    found = Settings.preset("paper")
    assert (found.acquisition, found.method) == ("dhaps", "dpsh")
    assert (found.reading, found.kernel, found.space) == ("published", "matched", "codes")
    assert (found.beta, found.weights, found.bandwidth_scale) == (1.0, None, 1.0)
    assert found.training == replace(USUAL["embeddings"], similarity=0.0, mmd=1.0, decay=0.01)


def test_what_is_given_goes_before_the_preset():
    found = Settings.preset("paper", mmd=0.0, space="embeddings", bits=48)
    assert (found.training.mmd, found.training.similarity) == (0.0, 0.0)
    assert (found.space, found.kernel, found.bits) == ("embeddings", "matched", 48)
    found = Settings.preset("paper", training=QUICK)
    assert found.training == replace(QUICK, similarity=0.0, mmd=1.0)
    found = Settings.preset("paper", side=32)
    assert found.training == replace(USUAL["residual_cnn"], similarity=0.0, mmd=1.0)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("papre", {}, "preset must be one of usual, paper; got 'papre'. Did you mean paper"),
        (None, {}, "preset must be one of usual, paper; got None"),
        ("paper", {"reading": "closed"}, "the kernel 'matched' is defined for the reading 'published'; got"),
        ("paper", {"reading": "covered"}, "the reading 'covered' has no kernel, which must stay"),
        ("paper", {"question": "both"}, "asks about the pairs that it chose, and 'both' about others; got"),
        ("paper", {"mmd": -1.0}, "mmd must be a number from 0; got -1"),
        ("usual", {"similarity": "1"}, "similarity must be a finite number; got '1'"),
    ],
)
def test_what_does_not_go_together_is_refused(name, given, message):
    with pytest.raises(ValueError, match=message):
        Settings.preset(name, **given)


def test_a_name_that_is_no_setting_is_refused():
    with pytest.raises(TypeError, match="bandwith"):
        Settings.preset("paper", bandwith=1.0)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_several_rounds_and_replays_from_what_its_folder_keeps(tmp_path, name):
    items, rows = tiny_items(), []
    settings = Settings.preset(name, **SMALL)
    for folder in ("first", "again"):
        session = ActiveSession(tmp_path / folder, items, settings)
        rows.append([session.run_round(label_oracle(items)) for _ in range(4)])
        stored = json.loads((tmp_path / folder / "settings.json").read_text())["settings"]
        settings = Settings.from_json(stored)
    assert settings == Settings.preset(name, **SMALL)
    assert [row["items_labelled"] for row in rows[0]] == [0, 6, 12, 18]
    for mine, theirs in zip(*rows, strict=True):
        assert mine["mAP@all"] == theirs["mAP@all"]
        assert mine["files"] == theirs["files"]


def test_the_start_of_the_paper_learns_nothing_and_its_rounds_have_no_similarity_term(tmp_path):
    items = tiny_items()
    session = ActiveSession(tmp_path, items, Settings.preset("paper", **SMALL))
    start, first = (session.run_round(label_oracle(items)) for _ in range(2))
    assert start["losses"] == {}
    assert first["losses"].keys() == {"likelihood", "quantisation", "mmd"}
