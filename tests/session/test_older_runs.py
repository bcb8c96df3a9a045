"""A run folder as an older dhaps wrote it, made from what it wrote: it opens, tells the same, and goes on."""

import base64
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from dhaps_core.answers.questions import PersonAsked, label_oracle
from dhaps_core.answers.store import LabelStore
from dhaps_core.data.sources import arrays
from dhaps_core.session.active import ActiveSession

# 10 items, 3 bits: an unsupervised start, one round with an oracle, one pair that anna is being asked about.
TRAINING = {
    "epochs": 50, "least": 2, "most": 2, "batch": 256, "unlabelled_batch": 256, "steps_without_labels": 1000,
    "learning_rate": 0.001, "highest_rate": 0.006, "decay": 0.01, "similarity": 1.0, "anchor": 0.0,
    "prior_items": 40, "mmd": 0.0,
}  # fmt: skip
SETTINGS = {
    "seed": 0, "bits": 3, "picks": 1, "acquisition": "dhaps", "question": "classes", "method": "dpsh",
    "reading": "closed", "kernel": "invariant", "space": "embeddings", "bandwidth_scale": 0.1,
    "weights": None, "beta": 1.0, "calibrated": None, "implication": 0.5, "budget_items": None,
    "budget_answers": None,
    "side": 0, "network": "residual_cnn", "hidden": 0, "dropout": 0.3, "training": TRAINING,
}  # fmt: skip
PROTOCOL = (
    "2 queries (stratified, seed 0); train = database = the other 8; labels read as one class each, of 2"
)
ABOUT = {
    "settings": SETTINGS, "source": "array", "protocol": PROTOCOL,
    "fingerprint": "ffe95d6379c847d433e9f7f09ec7c7681ee0c14d3ee65ab3d1e120915ebbb50d",
    "versions": {"dhaps": "0.1.0", "torch": "2.13.0+cpu", "numpy": "2.4.6", "scikit-learn": "1.9.1"},
}  # fmt: skip
PARTS = [
    "12e7d698ad768762ab19cac2c78aca8aa88a747e1290152c1826d109a30a524c",
    "a5fc1f4ded5c7e0980ec6caa98f18ac39057d0a5b6971431679ced73e781c721",
    "b9b32ae97eafcaee08abf886bb3448193749010becfb83231fcdeef2a865715e",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
]
ROWS = [
    {
        "round": 0, "items_labelled": 0, "answers": 0, "pairs_similar": 0, "pairs_dissimilar": 0,
        "mAP@all": 0.8275992063492064, "queries": 2, "database": 8, "bits": 3, "self": "no overlap",
        "precision_at": {"1": 1.0, "2": 0.85, "5": 0.5933333333333334},
        "by_radius": {"precision": [1.0, 0.625, 0.5714285714285714, 0.5], "recall": [0.5, 0.75, 1.0, 1.0]},
        "losses": {"similarity": 0.6847209334373474}, "watermark": 0,
        "seconds": {"train": 1.6581671370004187, "encode": 0.0001524580002296716, "evaluate": 0.00245708399},
        "files": {
            "weights.safetensors": "5b9c61627a1149550209b33197e151698306bc4eeda5666dee4ca034116e9ea8",
            "codes.npy": "1bed5ec71da895e30de2014b7cc750ebc16e6270a80bacffa9725cd6e455cce9",
        },
    },
    {
        "round": 1, "items_labelled": 2, "answers": 2, "pairs_similar": 0, "pairs_dissimilar": 1,
        "mAP@all": 1.0, "queries": 2, "database": 8, "bits": 3, "self": "no overlap",
        "precision_at": {"1": 1.0, "2": 1.0, "5": 0.8},
        "by_radius": {"precision": [0.5, 1.0, 0.75, 0.5], "recall": [0.5, 1.0, 1.0, 1.0]},
        "losses": {"likelihood": 0.5773887634277344, "quantisation": 0.04033418744802475}, "watermark": 2,
        "seconds": {"train": 0.0089164, "encode": 0.000121912, "evaluate": 0.0039233, "select": 0.0083710},
        "files": {
            "weights.safetensors": "d3b98d33e33bf1e4e6783ad140675e98e2eb54ce0c968e4d7b806cf2ed54f187",
            "codes.npy": "f7dbb6118603826916ee86c58ca0893ae88dfff4b96dd868e022f5a213a243df",
        },
    },
]  # fmt: skip
WEIGHTS = (
    "YAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJzaGEyNTYiOiI1MDEwZDQzMDM2ZWRlYmFjNGRiMjNmZmU2NjNhNTk4ZGIyN2EyZGE3ZjM1"
    "NDllNDRiNDc3NDc2ZTMwYjZjYzMyIn0sImhhc2guYmlhcyI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6"
    "WzAsMTJdfSwiaGFzaC53ZWlnaHQiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzMsM10sImRhdGFfb2Zmc2V0cyI6WzEyLDQ4XX0sInJv"
    "dGF0aW9uIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlszLDNdLCJkYXRhX29mZnNldHMiOls0OCw4NF19LCJzaGlmdCI6eyJkdHlwZSI6"
    "IkYzMiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6Wzg0LDk2XX19ICAgICAgjMtUui7LVLqTy1S6dBrOPsWx0b4I4+Y9H9KDPeIy"
    "wT4mvL6+vbXrPo5e6L7/PY69AACAPwAAAAAAAAAAAAAAAAAAgD8AAAAAAAAAAAAAAAAAAIA/AAAAAAAAAAAAAAAA"
)
CODES = (
    "k05VTVBZAQB2AHsnZGVzY3InOiAnfHUxJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDEwLCAxKSwgfSAgICAgICAg"
    "ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoFAgUCBwIFAgUCHRiofTDlwORIkN/t1TqwzJBl"
    "80Cqfk0edBQhvNJXxFs="
)
CERTIFICATE = {
    "exact": True, "pairs": 15, "scored": 15, "margin": None, "lower_bound": None, "note": "",
    "rounding": 1.8212819736955545e-13,
}  # fmt: skip
SCORES = {
    "uncertainty": [0.0268095], "representativeness": [-1.2275050], "diversity": [0.4143686],
    "total": [-0.7863268],
}  # fmt: skip


def older_items():
    labels = np.arange(10) % 2
    features = np.eye(2, 3)[labels] + np.arange(30).reshape(10, 3) % 7 / 10
    return arrays(features, labels, queries=2, seed=0)


def signed(content):
    """A JSON object with its digest, as every version writes it."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "sha256": digest}, indent=1)


@pytest.fixture
def older_run(tmp_path):
    run = tmp_path / "run"
    for number in range(3):
        (run / f"round-{number:03}").mkdir(parents=True)
    train = np.array([0, 1, 2, 3, 5, 6, 7, 8])
    np.savez_compressed(
        run / "splits.npz", protocol=np.array(PROTOCOL), allow_overlap=np.array(False),
        parts=np.array(PARTS), train=train, query=np.array([4, 9]), database=train,
    )  # fmt: skip
    with LabelStore(run / "labels.sqlite") as store:
        for key, name in (("3", "1"), ("8", "0")):
            store.add("class", (key,), name, who="oracle", seconds=0.0, question=f'1.["{key}"]')
        seal = store.seal(2)
        store.add("class", ("2",), "0", who="anna", seconds=1.5, question='2.["2"]')
    picks = [["3", "8"]], [["2", "7"]]
    chosen = {"scores": SCORES, "certificate": CERTIFICATE, "seconds": 0.0117}
    (run / "round-001" / "weights.safetensors").write_bytes(base64.b64decode(WEIGHTS))
    (run / "round-001" / "codes.npy").write_bytes(base64.b64decode(CODES))
    for name, content in {
        "settings.json": ABOUT,
        "metrics.json": {**ABOUT, "table": {"row": "DH-APS"}, "rounds": ROWS},
        "skipped.json": {"questions": ['2.["7"]']},
        "owner.json": {"process": 7, "host": "there", "doing": "notes 'table'", "since": "2026-01-01"},
        "round-000/metrics.json": ROWS[0],
        "round-001/metrics.json": ROWS[1],
        "round-001/picks.json": {**chosen, "pairs": picks[0], "watermark": 0, "seal": "0" * 32},
        "round-002/picks.json": {**chosen, "pairs": picks[1], "watermark": 2, "seal": seal},
        "round-002/asked.json": {"who": "anna"},
    }.items():
        (run / name).write_text(signed(content))
    return run


def test_a_run_of_an_older_dhaps_opens_in_silence_and_tells_the_same(older_run):
    before = {path: path.read_bytes() for path in older_run.rglob("*.json")}
    session = ActiveSession(older_run, older_items())
    assert (session.round, session.history) == (2, ROWS)
    assert [proposal.pairs for proposal in session.proposals()] == [(("3", "8"),), (("2", "7"),)]
    assert session.propose().certificate == CERTIFICATE
    assert [question.id for question in session.questions()] == session.skipped == ['2.["7"]']
    assert [(answer.keys, answer.value, answer.who) for answer in session.answers()] == [
        (("3",), ("1",), "oracle"), (("8",), ("0",), "oracle"), (("2",), ("0",), "anna"),
    ]  # fmt: skip
    counts = {"items_labelled": 3, "answers": 3, "pairs_similar": 1, "pairs_dissimilar": 2}
    assert session.counts() == counts
    assert session.codes().tolist() == [[1, -1, 1], [-1, 1, -1]] * 2 + [[1, 1, 1]] + [
        [-1, 1, -1], [1, -1, 1], [-1, 1, -1], [1, -1, 1], [-1, 1, -1],
    ]  # fmt: skip
    outputs = [[0.4297, -0.2100, 0.5162], [-0.5168, 0.1947, -0.6155], [0.7586, -0.1638, 0.9146]]
    np.testing.assert_allclose(session.outputs()[:3], outputs, atol=1e-4)
    assert session.reserved.startswith("questions that anna was asked must be left to them; 1 of round 2")
    assert {path: path.read_bytes() for path in older_run.rglob("*.json")} == before


def test_a_run_of_an_older_dhaps_goes_on(older_run):
    items = older_items()
    session, oracle = ActiveSession(older_run, items), label_oracle(items)
    with pytest.raises(PersonAsked):
        session.run_round(oracle)
    for question in session.questions():
        session.answer(question, oracle(question), who="anna", seconds=1.0)
    assert session.train()["items_labelled"] == 4
    assert session.run_round(oracle)["round"] == 3
    again = ActiveSession(older_run, items)
    assert [row["round"] for row in again.history] == [0, 1, 2, 3]
    assert json.loads((older_run / "metrics.json").read_text())["table"] == {"row": "DH-APS"}
    with pytest.raises(ValueError, match=r"settings of a run must stay; got .*'bits': \(3, 4\)"):
        ActiveSession(older_run, items, replace(session.settings, bits=4))
