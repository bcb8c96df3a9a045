"""Inputs of public complaints about other tools, where no other test has them; docs/traps.md says which."""

import numpy as np
import pytest
import torch

from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.contract import random_pairs
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.select import select
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.sources import arrays
from dhaps_core.hashing.methods.base import Batch
from dhaps_core.hashing.methods.dpsh import DPSH
from dhaps_core.hashing.methods.dsh import DSH
from dhaps_core.hashing.methods.ssdh import SSDH
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.evaluation import evaluate_codes
from dhaps_core.session.settings import Settings


def batch(outputs, labels):
    relation = torch.where(labels[:, None] == labels, 1, -1).to(torch.int8)
    return Batch(outputs=outputs, similarity=relation, generator=torch.Generator().manual_seed(0))


def test_one_query_and_a_database_of_five_have_every_metric():
    items = arrays(np.eye(6, dtype=np.float32), [0, 0, 0, 1, 1, 0], queries=1, seed=0)
    row = evaluate_codes(items, torch.ones(6, 4))
    assert 0 < row["mAP@all"] <= 1
    assert set(row["precision_at"]) == {"1", "2", "5"}


@pytest.mark.parametrize("bits", [12, 24, 36, 48])
def test_dsh_is_the_published_loss_pair_by_pair(bits):
    generator = torch.Generator().manual_seed(0)
    z, labels = torch.randn(7, bits, generator=generator).double(), torch.arange(7) % 3
    total, regularised, pairs = 0.0, 0.0, 0
    off = (z.abs() - 1).abs().sum(1)
    for i in range(7):
        for j in range(i):
            regularised += 0.01 * float(off[i] + off[j])  # of both items of a pair
            d = float((z[i] - z[j]).square().sum())
            total += d / 2 if labels[i] == labels[j] else max(0.0, 2 * bits - d) / 2
            pairs += 1
    terms = DSH(least_similar=0.0).loss(batch(z, labels))
    assert float(terms["contrastive"]) == pytest.approx(total / pairs)
    assert float(terms["regulariser"]) == pytest.approx(regularised / pairs)


def test_dpsh_is_the_published_loss_pair_by_pair():
    generator = torch.Generator().manual_seed(0)
    z, labels = torch.randn(6, 8, generator=generator).double(), torch.arange(6) % 2
    u = z.tanh()
    kinds = {1: [], 0: []}
    for i in range(6):
        for j in range(6):
            if i != j:
                theta, same = float(u[i] @ u[j]) / 2, int(labels[i] == labels[j])
                kinds[same].append(np.log1p(np.exp(theta)) - same * theta)
    wanted = (np.mean(kinds[1]) + np.mean(kinds[0])) / 2  # both kinds weigh alike: ours
    assert float(DPSH().loss(batch(z, labels))["likelihood"]) == pytest.approx(wanted)


def test_a_classifier_of_an_item_with_two_classes_reaches_both():
    method = SSDH()
    head = method.head(4, 4, 3)
    with torch.no_grad():
        head.weight.copy_(20 * torch.eye(3, 4))
        head.bias.fill_(-10)
    hidden = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    given = Batch(
        outputs=torch.zeros(1, 4), similarity=torch.ones(1, 1, dtype=torch.int8),
        generator=torch.Generator(), classes=torch.tensor([[True, True, False]]), hidden=hidden, head=head,
    )  # fmt: skip
    # A softmax over classes could not fall below 2 log 2.
    assert float(method.loss(given)["classes"].detach()) < 0.001


def test_only_items_that_were_labelled_are_labelled():
    # An item without a label is not one whose labels are all zero.
    snapshot = Snapshot([str(i) for i in range(10)], [], multi_label=True)
    assert len(snapshot.supervised) == 0
    assert not snapshot.classed.any()


@pytest.mark.parametrize("picks", [1, 10, 12, 13])
@pytest.mark.parametrize("strategy", ["closed", "published", "matched", "random"])
def test_every_strategy_takes_any_number_of_pairs(strategy, picks):
    generator = torch.Generator().manual_seed(0)
    space = torch.randn(24, 5, generator=generator)
    if strategy == "random":
        everything = torch.ones(24, dtype=torch.bool)
        pairs = random_pairs(everything, picks=picks, generator=generator)
    else:
        kind, kernel = Closed if strategy == "closed" else Published, {}
        if strategy == "matched":
            kernel = {"kernel": "matched"}
        problem = kind(space.tanh(), space=space, bandwidth=1.0, **kernel)
        pairs = select(problem, picks=picks, generator=generator).pairs
    assert len(pairs) == min(picks, 12)
    assert pairs.flatten().unique().numel() == pairs.numel()
    assert bool((pairs[:, 0] < pairs[:, 1]).all())


def test_twenty_pairs_are_asked_at_once_and_in_one_order_for_ever(tmp_path):
    points = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    items = arrays(points, keys=[f"{59 - i:02}" for i in range(60)], queries=0, seed=0)
    quick = TrainingSettings(least=2, most=2, batch=8, unlabelled_batch=8)
    settings = Settings(picks=20, bits=8, hidden=8, question="pairs", reading="published", training=quick)
    session = ActiveSession(tmp_path, items, settings)
    session.train()
    asked = [question.keys for question in session.questions()]
    assert len(asked) == len(set(asked)) == 20
    session.answer(session.questions()[0], "same", who="anna", seconds=1.0)
    assert [question.keys for question in ActiveSession(tmp_path, items).questions()] == asked[1:]
