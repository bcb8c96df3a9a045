"""What every method must do; each test runs for all of them."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import label_oracle
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.codes import ConstantBits, bit_entropy, sign
from dhaps_core.data.class_names import NO_CLASS
from dhaps_core.data.sources import arrays, digits
from dhaps_core.hashing.image_networks import ResidualCNN
from dhaps_core.hashing.methods import METHODS
from dhaps_core.hashing.methods.base import Batch, ClosedForm, Objective
from dhaps_core.hashing.methods.graphbit import Instructions
from dhaps_core.hashing.methods.piq import Auto, ForetellingMethod, foretold_same
from dhaps_core.hashing.network import HashNetwork, encode, seed_parameters
from dhaps_core.hashing.training import train
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.given import DEVICE
from tests.hashing import test_methods

FAST = TrainingSettings(least=40, most=40, batch=32, unlabelled_batch=32)
NAMES = tuple(METHODS)
OBJECTIVES = tuple(name for name in NAMES if issubclass(METHODS[name], Objective))
FORETOLD = tuple(name for name in NAMES if issubclass(METHODS[name], ForetellingMethod))  # they read features
ON_PIXELS = tuple(name for name in OBJECTIVES if name not in FORETOLD)
SAMPLING = {"ssdh", "sdsh"}  # their losses draw triplets: only the expected value is free of the order
# cuDNN convolves in TF32 and by another algorithm for another size of batch.
PIXELS_CLOSE = {"rtol": 1e-4, "atol": 1e-5} if DEVICE.type == "cpu" else {"rtol": 1e-2, "atol": 2e-2}


class Given:
    """Supervision written down: class ids (-1 unknown) or multi-hot of all items, or relations alone."""

    def __init__(self, classes, *, pairs_only=False):
        self.classes = np.asarray(classes)
        several = self.classes.ndim == 2
        self.supervised = np.flatnonzero(self.classes.any(1) if several else self.classes >= 0)
        self.class_names = () if pairs_only else tuple(range(3))
        self.classed = np.zeros(len(self.classes), dtype=bool)
        self.classed[self.supervised] = not pairs_only
        sets = self.classes if several else self.classes[:, None] == np.arange(3)
        known = sets.any(1)
        self.relation = np.where(sets.astype(int) @ sets.T.astype(int) > 0, 1, -1)
        self.relation = (self.relation * (known[:, None] & known)).astype(np.int8)
        self.groups = np.arange(len(known))
        if not several:
            self.groups[self.supervised] = len(known) + self.classes[self.supervised]
        if pairs_only:
            self.classes = np.full(len(known), -1)

    def relations(self, a, b):
        return self.relation[a, b]


def make(name):
    """The method with its defaults, but for a shorter search of SDSH's rotation."""
    return METHODS[name](rotations=10) if name == "sdsh" else METHODS[name]()


def blobs(n=96, d=12):
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(3, d, generator=generator) * 2
    labels = torch.arange(n) % 3
    return centres[labels] + torch.randn(n, d, generator=generator), labels


POINTS, LABELS = blobs()
HALF = torch.where(torch.arange(96) < 48, LABELS, -1).numpy()  # the first half is labelled


def build(method, features=12, bits=8, seed=0, backbone=None):
    generator = torch.Generator().manual_seed(seed)
    hidden = method.layers(features, bits, hidden=24, dropout=0.3)
    return HashNetwork(features, bits, hidden=hidden, backbone=backbone, generator=generator).to(DEVICE)


def fit(name, classes=HALF, *, inputs=POINTS, seed=0, settings=FAST, network=None, pairs_only=False, bits=8):
    method = make(name)
    network = network or build(method, inputs.shape[1], bits, seed)
    losses = train(
        network,
        method,
        inputs,
        Given(classes, pairs_only=pairs_only),
        pool=torch.arange(len(inputs)),
        references=inputs.flatten(1),
        settings=settings,
        generator=torch.Generator().manual_seed(seed),
    )
    return network, losses


def one_batch(method, network, rows, labelled, *, relation=None, classes="given", progress=0.9):
    weight = network.hash.weight
    head = method.head(network.hash.in_features, network.bits, 3)
    if head is not None:
        seed_parameters(head, generator=torch.Generator().manual_seed(3))  # on the CPU, as its generator
        head.to(weight)
    if isinstance(head, Instructions):
        head.edges.copy_(torch.ones_like(head.edges).triu(1))  # bits that nobody listens to learn nothing
    hidden = network.embed(POINTS[rows].to(weight))
    mine = LABELS[rows[:labelled]].to(DEVICE)
    if relation is None:
        relation = torch.where(mine[:, None] == mine, 1, -1)
    if isinstance(classes, str):
        classes = mine[:, None] == torch.arange(3, device=DEVICE)
    return Batch(
        outputs=network.hash(hidden),
        similarity=relation.to(DEVICE, torch.int8),
        generator=torch.Generator().manual_seed(5),
        classes=classes,
        hidden=hidden,
        head=head,
        teacher=network.hash(hidden).detach() * 0.9,
        network=network,
        foretold=foretold_same(normalize(POINTS[rows]), torch.zeros(len(rows), 0), several=False).to(weight),
        progress=progress,
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_are_finite_and_not_zero(name):
    method = make(name)
    network = build(method).eval()
    given = one_batch(method, network, torch.arange(48, 96), 24)
    torch.stack(list(method.loss(given).values())).sum().backward()
    modules = [network] if given.head is None else [network, given.head]
    gradients = {name: weight.grad for module in modules for name, weight in module.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    for module in (network.hash, given.head):
        assert module is None or any(float(weight.grad.abs().max()) > 0 for weight in module.parameters())


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in SAMPLING])
def test_loss_does_not_depend_on_the_order_of_the_batch(name):
    method = make(name)
    network = build(method).double().eval()
    rows = torch.arange(40)
    moved = torch.cat([rows[:24].flip(0), rows[24:].flip(0)])
    terms = [method.loss(one_batch(method, network, order, 24, progress=0.1)) for order in (rows, moved)]
    values = [{name: float(value.detach()) for name, value in one.items()} for one in terms]
    assert values[0] == pytest.approx(values[1])


def test_closed_form_does_not_depend_on_the_order_of_the_items():
    method = METHODS["ssh"]()
    relation = torch.from_numpy(Given(LABELS.numpy()).relation)
    order = torch.randperm(96, generator=torch.Generator().manual_seed(0))
    first = method.solve(POINTS, POINTS, lambda part: relation[part], bits=3)
    again = method.solve(POINTS[order], POINTS[order], lambda part: relation[order][:, order][part], bits=3)
    for mine, other in zip(first, again, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_codes_and_global_randomness_plays_no_part(name):
    state = torch.get_rng_state()
    first = encode(fit(name)[0], POINTS)
    torch.manual_seed(99)
    again = encode(fit(name)[0], POINTS)
    torch.set_rng_state(state)
    assert torch.equal(first, again)
    if issubclass(METHODS[name], Objective):
        assert not torch.equal(first, encode(fit(name, seed=1)[0], POINTS))


@pytest.mark.parametrize("name", NAMES)
def test_codes_are_signs_that_do_not_collapse(name):
    codes = sign(encode(fit(name)[0], POINTS))
    assert set(codes.unique().tolist()) <= {-1.0, 1.0}
    assert float(bit_entropy(codes).mean()) > 0.3
    assert len(codes.unique(dim=0)) >= 3


@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_falls(name):
    classes = LABELS.numpy() if METHODS[name].labels != "none" else HALF
    long = replace(FAST, least=150, most=150, similarity=0.0)
    before = fit(name, classes, settings=replace(long, least=1, most=1))[1]
    after = fit(name, classes, settings=long)[1]
    assert sum(after.values()) < sum(before.values())


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS[name].labels != "none"])
def test_labels_bring_the_classes_together(name):
    codes = sign(encode(fit(name, settings=replace(FAST, least=150, most=150))[0], POINTS))
    agreement = codes @ codes.T / 8
    alike = LABELS[:, None] == LABELS
    # Of three classes only two directions tell anything: the other eigenvectors of ssh are noise.
    least = 0.25 if name == "ssh" else 0.5
    assert float(agreement[alike].mean() - agreement[~alike].mean()) > least


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "classes",
    [
        np.full(96, -1),  # no label at all: the unsupervised start
        np.where(np.arange(96) % 3 == 0, 0, -1),  # one class only
        np.where(np.arange(96) == 5, 2, -1),  # one item
    ],
    ids=["none", "one class", "one item"],
)
def test_poor_supervision_trains(name, classes):
    assert encode(fit(name, classes, settings=replace(FAST, least=3, most=3))[0], POINTS).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_several_classes_an_item(name):
    sets = np.stack([LABELS.numpy() == 0, LABELS.numpy() >= 1, np.arange(96) % 2 == 0], axis=1)
    sets[60:] = False
    assert encode(fit(name, sets, settings=replace(FAST, least=3, most=3))[0], POINTS).isfinite().all()


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS[name].labels == "classes"])
def test_only_items_without_any_class_train(name):
    keys = [f"{i:02}" for i in range(96)]
    give = partial(Answer.given, "class", value=NO_CLASS, who="anna", seconds=1.0)
    answers = [give(shown=(key,), id=i) for i, key in enumerate(keys[:4])]
    snapshot = Snapshot(keys, answers, multi_label=True)
    network, method = build(make(name)), make(name)
    train(
        network, method, POINTS, snapshot, pool=torch.arange(96), references=POINTS, settings=FAST,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert encode(network, POINTS).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_batch_of_one_trains(name):
    tiny = replace(FAST, batch=1, unlabelled_batch=1, least=3, most=3)
    assert encode(fit(name, settings=tiny)[0], POINTS).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bits", [1, 5, 12])
def test_any_number_of_bits(name, bits):
    if bits < METHODS[name].least_bits:
        with pytest.raises(ValueError, match=f"bits of {name} must be at least 2; got 1"):
            Settings(method=name, bits=bits)
        return
    outputs = encode(fit(name, bits=bits, settings=replace(FAST, least=3, most=3))[0], POINTS)
    assert outputs.shape == (96, bits)


def test_more_bits_than_features():
    for name in OBJECTIVES:
        assert fit(name, bits=33, settings=replace(FAST, least=2, most=2))[0].bits == 33
    with pytest.raises(ValueError, match=r"bits of ssh must be at most the 12 directions.*got 33"):
        fit("ssh", bits=33)


@pytest.mark.parametrize("name", NAMES)
def test_encoding_one_equals_encoding_a_batch(name):
    network, _ = fit(name)
    whole = encode(network, POINTS)
    single = torch.cat([encode(network, POINTS, torch.tensor([i])) for i in range(5)])
    torch.testing.assert_close(single, whole[:5], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_wrong_relations_are_refused(name, unchecked):
    method = make(name)
    network = build(method).eval()
    with pytest.raises(ValueError, match=r"similarity must be \+1, -1 or 0; got values in 0 .. 7. Use \+1"):
        one_batch(method, network, torch.arange(9), 4, relation=torch.eye(4) * 7)
    with pytest.raises(ValueError, match="supervised rows must be among the batch's 9; got 12"):
        one_batch(method, network, torch.arange(9), 4, relation=torch.zeros(12, 12))
    with pytest.raises(
        ValueError, match="classes must have one row for each of the 4 supervised rows; got 2"
    ):
        one_batch(method, network, torch.arange(9), 4, classes=torch.zeros(2, 3, dtype=torch.bool))


@pytest.mark.parametrize("name", NAMES)
def test_answers_to_pairs_train_or_are_refused(name):
    if METHODS[name].labels == "classes":
        with pytest.raises(
            ValueError, match=f"{name} needs class labels; got answers to pairs only. Ask for"
        ):
            fit(name, pairs_only=True)
        method = make(name)
        with pytest.raises(ValueError, match=f"{name} needs class labels; got answers to pairs only"):
            method.loss(one_batch(method, build(method).eval(), torch.arange(9), 4, classes=None))
    else:
        assert encode(fit(name, pairs_only=True)[0], POINTS).isfinite().all()


@pytest.mark.parametrize("name", ON_PIXELS)
def test_end_to_end_from_pixels(name):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(3, 3, 8, 8, generator=generator)[LABELS]
    images = images + 0.5 * torch.randn(96, 3, 8, 8, generator=generator)
    backbone = ResidualCNN(8, generator=torch.Generator().manual_seed(0))
    network = build(make(name), backbone.features, backbone=backbone)
    before = [weight.clone() for weight in backbone.parameters()]
    fit(name, inputs=images, network=network)
    assert all(not torch.equal(a, b) for a, b in zip(before, backbone.parameters(), strict=True))
    outputs = encode(network, images)
    single = torch.cat([encode(network, images, torch.tensor([i])) for i in range(5)])
    torch.testing.assert_close(single, outputs[:5], **PIXELS_CLOSE)
    assert float(bit_entropy(sign(outputs)).mean()) > 0.3
    assert len(sign(outputs).unique(dim=0)) >= 3
    again = build(make(name), backbone.features, seed=1, backbone=ResidualCNN(8, generator=torch.Generator()))
    again.load_state_dict(network.state_dict())
    assert torch.equal(encode(again, images), outputs)


def test_the_closed_form_refuses_wrong_relations(unchecked):
    wrong = Given(HALF)
    wrong.relation = wrong.relation * 7
    network = build(METHODS["ssh"]())
    with pytest.raises(ValueError, match=r"similarity must be \+1, -1 or 0; got values in -7 .. 7"):
        train(
            network, METHODS["ssh"](), POINTS, wrong, pool=torch.arange(96), references=POINTS,
            settings=FAST, generator=torch.Generator(),
        )  # fmt: skip


def test_what_learns_from_embeddings_refuses_pixels():
    for name in set(NAMES) - set(ON_PIXELS):
        assert issubclass(METHODS[name], ClosedForm | ForetellingMethod)
        with pytest.raises(ValueError, match=f"{name} learns from embeddings; got side 32. Set side to 0"):
            Settings(method=name, side=32)


def play(folder, items, name):
    """Two rounds of a method."""
    settings = Settings(method=name, bits=8, hidden=16, picks=6, training=FAST)
    session = ActiveSession(folder, items, settings, device=str(DEVICE))
    while session.round < 2:
        session.run_round(label_oracle(items))
    return session


@pytest.fixture(scope="module", params=NAMES)
def played(request, tmp_path_factory):
    points, labels = blobs(120)
    items = arrays(points.numpy(), labels.numpy(), queries=30, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantBits)  # eight bits for three classes
        return play(tmp_path_factory.mktemp("run"), items, request.param)


def test_a_session_reopens_to_the_same_codes(played):
    again = ActiveSession(played.folder.path, played.items)
    assert np.array_equal(again.codes(), played.codes())
    assert np.array_equal(sign(again.outputs()).numpy(), played.codes())
    row, train_rows = again.history[-1], played.items.splits["train"]
    assert row["bit_entropy"] > 0
    assert row["constant_bits"] == int((np.ptp(played.codes()[train_rows], axis=0) == 0).sum())


@pytest.mark.filterwarnings("ignore::dhaps_core.codes.ConstantBits")
def test_queries_play_no_part_in_training_and_selection(played, tmp_path):
    items, queries = played.items, played.items.splits["query"]
    features, labels = items.features.copy(), items.labels.copy()
    features[queries] = 1e3
    labels[queries] = (labels[queries] + 1) % 3
    other = play(tmp_path, replace(items, features=features, labels=labels), played.settings.method)
    sizes = played.history[1]["layers"]
    assert other.history[1]["layers"] == sizes
    like = played.model.build(1, sizes).state_dict()
    mine, theirs = (session.folder.read_weights(1, like) for session in (played, other))
    assert all(torch.equal(mine[weight], theirs[weight]) for weight in mine)
    assert np.array_equal(*(session.codes()[items.splits["database"]] for session in (played, other)))
    assert played.history[-1]["mAP@all"] != other.history[-1]["mAP@all"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"side": -3}, "side must be at least 0; got -3"),
        ({"hidden": -1}, "hidden must be at least 0; got -1"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"network": "vgg"}, "network must be one of residual_cnn, efficientnet_lite0; got 'vgg'"),
        ({"method": "ssdh", "question": "pairs"}, "ssdh learns from class labels; got the question 'pairs'"),
    ],
)
def test_settings_that_no_method_can_use_are_refused_before_anybody_answers(wrong, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_of_every_method_is_worked_by_hand(name):
    mine = [test for test in vars(test_methods) if test.startswith(f"test_{name}")]
    assert mine, f"test_methods.py must have a test_{name} with a loss value that is worked by hand"


def test_methods_are_final_and_named_as_they_are_known():
    for name, method in METHODS.items():
        assert method.name == name
        assert method.__final__
        kinds = issubclass(method, Objective), issubclass(method, ClosedForm), method is Auto
        assert sum(kinds) == 1


def test_labels_beat_the_start_on_digits(tmp_path):
    items = digits(seed=0)
    settings = Settings(method="dpsh", acquisition="random", picks=100, bits=16, hidden=64)
    session = ActiveSession(tmp_path, items, settings)
    start, trained = (session.run_round(label_oracle(items)) for _ in range(2))
    assert trained["mAP@all"] > start["mAP@all"] + 0.05
