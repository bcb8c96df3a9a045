"""The training loop and its shared terms: hand-worked values, and every kind of poor supervision."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dhaps_core.hashing import training
from dhaps_core.hashing.image_networks import ResidualCNN
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import Objective, pair_mean
from dhaps_core.hashing.methods.dpsh import DPSH, pairwise_likelihood
from dhaps_core.hashing.methods.graphbit import GraphBit
from dhaps_core.hashing.methods.pts3h import PTS3H
from dhaps_core.hashing.methods.sdsh import SDSH
from dhaps_core.hashing.network import Dropout, HashNetwork, encode
from dhaps_core.hashing.shared_terms import code_mmd, similarity_loss
from dhaps_core.hashing.training import Cancelled, _follow, train
from dhaps_core.hashing.training_settings import TrainingSettings
from tests.given import DEVICE
from tests.reference import closed_mmd_squared

FAST = TrainingSettings(least=30, most=30, batch=32, unlabelled_batch=32)


class Given:
    """Supervision written down as a matrix of relations."""

    def __init__(self, supervised, relation):
        self.supervised = np.asarray(supervised, dtype=np.int64)
        self.relation = np.asarray(relation, dtype=np.int8)
        self.classes = np.full(len(self.relation), -1)
        self.class_names = ()
        self.classed = self.classes >= 0
        self.groups = np.arange(len(self.relation))

    def relations(self, a, b):
        return self.relation[a, b]


def two_blobs(n=40):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 2
    points = torch.randn(n, 6, generator=generator) * 0.3 + labels[:, None] * 2 - 1
    relation = torch.where(labels[:, None] == labels, 1, -1).numpy()
    return points, labels, relation


def run(
    points, supervision, *, seed=0, network=None, method=None, settings=FAST, references="points", **more
):
    network = network or HashNetwork(6, 8, hidden=16, generator=torch.Generator().manual_seed(seed)).to(
        DEVICE
    )
    losses = train(
        network,
        method or DPSH(),
        points,
        supervision,
        pool=torch.arange(len(points)),
        references=points if isinstance(references, str) else references,
        settings=settings,
        generator=torch.Generator().manual_seed(seed),
        **more,
    )
    return network, losses


def test_pairwise_likelihood_by_hand():
    theta = torch.tensor([[0.0, 2.0], [-3.0, 1.0]])
    similar = torch.tensor([[1, -1], [1, 0]], dtype=torch.int8)
    expected = [[math.log(2), math.log1p(math.exp(2))], [math.log1p(math.exp(-3)) + 3, math.log1p(math.e)]]
    torch.testing.assert_close(pairwise_likelihood(theta, similar), torch.tensor(expected))


def test_pair_mean_weighs_both_kinds_equally():
    values = torch.tensor([[9.0, 1, 2], [1, 9, 4], [2, 4, 9]])
    both = torch.tensor([[1, 1, -1], [1, 1, -1], [-1, -1, 1]], dtype=torch.int8)
    assert float(pair_mean(values, both)) == (1 + 3) / 2  # diagonal left out; (2 + 4 + 2 + 4) / 4 = 3
    assert float(pair_mean(values, both.clamp_max(0))) == 3
    assert float(pair_mean(values, both * 0)) == 0


def test_pair_mean_keeps_the_weight_of_similar_pairs_within_bounds():
    values = torch.tensor([[9.0, 1, 2], [1, 9, 4], [2, 4, 9]])
    relation = torch.tensor([[1, 1, -1], [1, 1, -1], [-1, -1, 1]], dtype=torch.int8)
    # The one similar pair has the value 1, the two dissimilar ones 3 on average.
    for least, most, share in ((0.0, 1.0, 1 / 3), (0.4, 1.0, 0.4), (0.0, 0.25, 0.25), (0.5, 0.5, 0.5)):
        value = float(pair_mean(values, relation, least=least, most=most))
        assert value == pytest.approx(share * 1 + (1 - share) * 3)
    alone = relation.clamp_min(0)
    assert float(pair_mean(values, alone, least=0.1, most=0.2)) == 1


def test_similarity_loss_by_hand():
    u = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    features = torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    cosine = 1 / math.sqrt(2)
    assert float(similarity_loss(u, features)) == pytest.approx((2 * (0 - cosine) ** 2) / 4)


def test_similarity_term_weighs_by_the_scarcer_kind_of_pairs():
    points, _, relation = two_blobs()
    # Of items 0, 2, 4, 1 there are 6 similar and 6 dissimilar ordered pairs; of 0, 2, 4, 6, 1 it is 12 and 8.
    for supervised, known in (([0, 2, 4, 1], 12), ([0, 2, 4, 6, 1], 16), ([0, 2, 4], 6), ([0], None)):
        given = Given(supervised, relation)
        one = replace(FAST, least=1, most=1)
        with_prior, without = (
            run(points, given, settings=replace(one, prior_items=items))[1]["similarity"] for items in (40, 0)
        )
        assert with_prior / without == pytest.approx(1 + 40**2 / known if known else 1)


def test_code_mmd_is_that_between_all_pairs_and_all_pairs_of_the_labelled():
    u = torch.tanh(torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    chosen = torch.tensor([0, 3, 7])
    assert float(code_mmd(u, u[chosen])) == pytest.approx(closed_mmd_squared(u, chosen, bandwidth=2.0))
    assert float(code_mmd(u, u)) == pytest.approx(0, abs=1e-12)


def test_loss_falls_and_codes_separate_two_blobs():
    points, labels, relation = two_blobs()
    network, losses = run(points, Given(range(40), relation))
    _, first = run(points, Given(range(40), relation), settings=replace(FAST, least=1, most=1))
    assert losses["likelihood"] < first["likelihood"]
    codes = encode(network, points).sign()
    within = (codes[labels == 0][0] == codes[labels == 0]).float().mean()
    across = (codes[labels == 0][0] == codes[labels == 1]).float().mean()
    assert within > across + 0.3


def test_same_seed_same_weights_and_no_global_randomness():
    points, _, relation = two_blobs()
    state = torch.get_rng_state()
    np_state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what is checked
    a, _ = run(points, Given(range(40), relation))
    torch.manual_seed(123)
    b, _ = run(points, Given(range(40), relation))
    c, _ = run(points, Given(range(40), relation), seed=1)
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y)
    assert not torch.equal(a.hash.weight, c.hash.weight)
    assert (np.random.get_state()[1] == np_state).all()  # noqa: NPY002
    torch.set_rng_state(state)


@pytest.mark.parametrize(
    ("supervised", "relation"),
    [
        (range(4), np.ones((40, 40))),  # one class only, only similar answers
        (range(4), -np.ones((40, 40))),  # only different answers
        ([3], np.ones((40, 40))),  # a single item
        ([], np.zeros((40, 40))),  # no label at all: the unsupervised start
        (range(4), np.zeros((40, 40))),  # only "unsure"
    ],
)
def test_poor_supervision_trains(supervised, relation):
    points, _, _ = two_blobs()
    network, losses = run(points, Given(supervised, relation), settings=replace(FAST, mmd=0.5))
    assert all(math.isfinite(value) for value in losses.values())
    assert encode(network, points).isfinite().all()


def test_batch_of_one_trains_from_embeddings_and_pixels():
    points, _, relation = two_blobs()
    tiny = replace(FAST, batch=1, unlabelled_batch=1, least=3, most=3)
    run(points, Given(range(4), relation), settings=tiny)
    images = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    backbone = ResidualCNN(8, generator=torch.Generator().manual_seed(0))
    network = HashNetwork(backbone.features, 8, backbone=backbone, generator=torch.Generator().manual_seed(0))
    _, losses = run(images, Given(range(4), relation), network=network, references=points, settings=tiny)
    assert math.isfinite(losses["similarity"])


def test_encoding_one_equals_encoding_a_batch():
    images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    backbone = ResidualCNN(8, generator=torch.Generator().manual_seed(0))
    network = HashNetwork(
        backbone.features, 12, backbone=backbone, generator=torch.Generator().manual_seed(0)
    )
    whole = encode(network, images)
    single = torch.cat([encode(network, images, torch.tensor([i])) for i in range(6)])
    torch.testing.assert_close(single, whole, rtol=1e-4, atol=1e-5)


def test_any_module_is_a_backbone():
    points, _, relation = two_blobs()
    network = HashNetwork(
        4, 8, backbone=nn.Linear(6, 4), hidden=0, generator=torch.Generator().manual_seed(0)
    )
    _, losses = run(points, Given(range(8), relation), network=network)
    assert math.isfinite(losses["likelihood"])


def test_progress_can_cancel():
    points, _, relation = two_blobs()
    seen = []

    def progress(step, steps, loss):
        seen.append((step, steps, loss))
        return step == 3

    with pytest.raises(Cancelled, match="step 3 of 30"):
        run(points, Given(range(40), relation), progress=progress)
    assert [step for step, _, _ in seen] == [1, 2, 3]


def test_number_of_steps_follows_the_labels():
    settings = TrainingSettings(epochs=50, least=200, most=1500, batch=256)
    assert [settings.steps(n) for n in (0, 500, 5000, 50_000)] == [200, 200, 977, 1500]
    # 14,700 items want 2,872 steps; where the cut is deeper, the rate stops at its bound.
    rates = [settings.rate(n) for n in (0, 5000, 14_700, 50_000)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * 2872 / 1500, 6e-3])


def test_dropout_keeps_the_mean_and_needs_a_generator():
    layer = Dropout(0.25)
    x = torch.ones(1000, 10)
    with pytest.raises(ValueError, match="needs a generator"):
        layer(x)
    layer.generator = torch.Generator().manual_seed(0)
    assert float(layer(x).mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(layer.eval()(x), x)


def test_without_answers_and_without_the_similarity_term_weights_stay_as_they_were_drawn():
    points, _, relation = two_blobs()
    drawn = HashNetwork(6, 8, hidden=16, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    network, losses = run(points, Given([], relation), settings=replace(FAST, similarity=0.0, mmd=1.0))
    assert losses == {}
    assert not network.training
    for mine, theirs in zip(network.parameters(), drawn.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    _, losses = run(points, Given(range(8), relation), settings=replace(FAST, similarity=0.0, mmd=1.0))
    assert losses.keys() == {"likelihood", "quantisation", "mmd"}


def test_weight_decay_that_an_objective_has_is_not_added_again():
    points, _, relation = two_blobs()

    def learnt(method, decay):
        network = HashNetwork(
            6,
            8,
            hidden=method.layers(6, 8, hidden=16, dropout=0.0),
            dropout=0.0,
            generator=torch.Generator().manual_seed(0),
        ).to(DEVICE)
        settings = replace(FAST, decay=decay, steps_without_labels=30)
        return run(points, Given(range(8), relation), network=network, method=method, settings=settings)[0]

    for kind in METHODS.values():
        # The layers of piqnet are solved first, and ssdh wants classes.
        if issubclass(kind, Objective) and kind.name not in {"piqnet", "ssdh"}:
            light, heavy = (learnt(kind(), decay).hash.weight for decay in (0.0, 10.0))
            assert torch.equal(light, heavy) == kind.decays, kind.name
    assert [name for name, kind in METHODS.items() if getattr(kind, "decays", False)] == ["dh"]


def test_nothing_to_learn_from_and_diverging_losses_are_errors():
    points, _, relation = two_blobs()
    with pytest.raises(ValueError, match="needs answers or reference features; got neither"):
        run(points, Given([], relation), references=None)
    with pytest.raises(ValueError, match="loss must be finite; got nan at step 0"):
        run(points * float("nan"), Given(range(4), relation))
    with pytest.raises(ValueError, match="features and bits must be at least 1; got 6 and 0"):
        HashNetwork(6, 0, generator=torch.Generator())


def test_a_teacher_is_the_moving_average_of_the_student():
    teacher, student = (
        HashNetwork(2, 1, hidden=0, generator=torch.Generator().manual_seed(s)) for s in (0, 1)
    )
    expected = 0.75 * teacher.hash.weight.detach() + 0.25 * student.hash.weight.detach()
    student.shift.fill_(3)
    _follow(teacher, student, 0.75)
    torch.testing.assert_close(teacher.hash.weight.detach(), expected)
    assert teacher.shift.tolist() == [3]  # buffers are taken over


def batches_of(monkeypatch, method):
    """The batches that a method's loss gets, collected while it trains."""
    seen, loss = [], type(method).loss
    monkeypatch.setattr(type(method), "loss", lambda self, batch: (seen.append(batch), loss(self, batch))[1])
    return seen


def test_the_teacher_follows_the_student_and_sees_another_view(monkeypatch):
    points, _, relation = two_blobs()
    seen = batches_of(monkeypatch, method := PTS3H())
    network = HashNetwork(6, 8, hidden=16, dropout=0.3, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    network.eval()  # as a training leaves it
    teachers = []
    monkeypatch.setattr(training, "_follow", lambda *given: (_follow(*given), teachers.append(given[0]))[0])
    run(points, Given(np.arange(20), relation), method=method, network=network)
    first = seen[0]
    assert not torch.equal(first.outputs, first.teacher)  # equal weights, other dropout
    mine, theirs = network.hash.weight, teachers[-1].hash.weight
    start = HashNetwork(6, 8, hidden=16, generator=torch.Generator().manual_seed(0)).to(DEVICE).hash.weight
    assert not torch.equal(theirs, mine)
    assert (theirs - start).abs().max() > 0
    assert len(teachers) == len(seen) == FAST.least


def test_unlabelled_rows_are_rows_that_nobody_answered_about(monkeypatch):
    points, _, relation = two_blobs()
    seen = batches_of(monkeypatch, method := DPSH())
    marked = points.clone()
    marked[:20, 0] = 100.0  # labelled
    network = HashNetwork(6, 8, hidden=0, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    with torch.no_grad():
        network.hash.weight[0] = torch.tensor([1e3, 0, 0, 0, 0, 0])
    settings = replace(FAST, least=1, most=1)
    run(marked, Given(np.arange(20), relation), method=method, network=network, settings=settings)
    far = seen[0].outputs[:, 0] > 1e4
    assert far[:20].all()
    assert not far[20:].any()


def test_answers_about_queries_teach_nothing():
    points, _, relation = two_blobs()
    pool = torch.arange(30)
    networks = []
    for supervised in (np.arange(20), np.concatenate([np.arange(20), np.arange(30, 40)])):
        network = HashNetwork(6, 8, hidden=16, generator=torch.Generator().manual_seed(0)).to(DEVICE)
        train(
            network, DPSH(), points, Given(supervised, relation), pool=pool, references=points,
            settings=FAST, generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        networks.append(network)
    assert torch.equal(networks[0].hash.weight, networks[1].hash.weight)


@pytest.mark.parametrize("method", [SDSH(rotations=20), GraphBit(), PTS3H()], ids=lambda method: method.name)
def test_training_begins_anew_whatever_was_found_before(method):
    points, _, relation = two_blobs()
    codes = []
    for used in (False, True):
        hidden = 16 if not isinstance(method, GraphBit) else nn.Sequential()
        network = HashNetwork(6, 8, hidden=hidden, generator=torch.Generator().manual_seed(0)).to(DEVICE)
        if used:
            network.rotation.copy_(torch.eye(8).flip(0))
            network.shift.fill_(2)
            network.eval()
        run(points, Given(np.arange(20), relation), method=method, network=network)
        codes.append(encode(network, points))
    assert torch.equal(*codes)


def test_methods_without_labels_have_steps_of_their_own(monkeypatch):
    points, _, relation = two_blobs()
    seen = batches_of(monkeypatch, method := GraphBit())
    for most, expected in ((50, 7), (5, 5)):
        seen.clear()
        settings = TrainingSettings(steps_without_labels=7, least=3, most=most, unlabelled_batch=16)
        network = HashNetwork(6, 8, hidden=nn.Sequential(), generator=torch.Generator().manual_seed(0))
        run(points, Given(np.arange(20), relation), method=method, network=network, settings=settings)
        assert len(seen) == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "batch must be at least 1; got 0. Set"),
        ({"unlabelled_batch": 0}, "unlabelled_batch must be at least 1; got 0"),
        ({"least": 0}, "least must be at least 1; got 0"),
        ({"least": 9, "most": 5}, "least must be at most most; got 9 and 5. Raise most or lower least"),
        ({"similarity": -1.0}, "similarity must be a number from 0; got -1.0"),
        ({"decay": math.nan}, "decay must be a finite number; got nan"),
    ],
)
def test_settings_that_cannot_train_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(**wrong)
