"""Class probabilities that a run gives to the strategies that ask for them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.session.model import Model
from dhaps_core.session.settings import Settings
from tests.given import tiny_items


@pytest.fixture(scope="module")
def items():
    return tiny_items(30)


@pytest.fixture(scope="module")
def model(items):
    return Model(items, Settings(bits=8, hidden=0), torch.device("cpu"), Path("activations"))


def answered(items, rows, *, multi_label=False):
    """Snapshot in which some items have the class that they have."""
    about = [(items.keys[row], items.class_names[int(items.labels[row])]) for row in rows]
    given = (
        Answer.given("class", (key,), name, who="anna", seconds=1.0, id=i)
        for i, (key, name) in enumerate(about, 1)
    )
    return Snapshot(items.keys, list(given), multi_label=multi_label)


def test_probabilities_of_every_item_tell_its_class(items, model):
    snapshot = answered(items, items.splits["train"])
    found = model.probabilities(snapshot)
    train = items.splits["train"]
    assert found.shape == (len(train), len(np.unique(items.labels[items.splits["train"]])))
    assert found.dtype == torch.float32
    assert torch.allclose(found.sum(1), torch.ones(len(train)), atol=1e-5)
    told = found.argmax(1).numpy()
    names = [snapshot.class_names[place] for place in told]
    right = [items.class_names[int(items.labels[row])] for row in items.splits["train"]]
    assert np.mean(np.array(names) == np.array(right)) > 0.8


def test_without_two_classes_there_are_none(items, model):
    train = items.splits["train"]
    same = [row for row in train if items.labels[row] == items.labels[train[0]]]
    for rows in ([], same):
        assert model.probabilities(answered(items, rows)).shape == (len(items.splits["train"]), 0)


def test_what_is_no_item_of_the_pool_teaches_nothing(items, model):
    outside = np.setdiff1d(np.arange(items.n), items.splits["train"])
    assert len(outside)
    assert model.probabilities(answered(items, outside)).shape == (len(items.splits["train"]), 0)


def test_where_items_may_have_several_classes_there_are_none(items, model):
    snapshot = answered(items, items.splits["train"], multi_label=True)
    assert model.probabilities(snapshot).shape == (len(items.splits["train"]), 0)
