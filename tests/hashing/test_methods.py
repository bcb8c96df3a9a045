"""Loss values of each method, worked by hand."""

import math
from dataclasses import replace
from functools import partial
from math import log, log1p, pi, sqrt

import pytest
import torch
from torch import nn

from dhaps_core.answers.answer import Answer
from dhaps_core.answers.questions import label_oracle
from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.codes import ConstantBits, bit_entropy, bit_report, sign
from dhaps_core.data.sources import digits
from dhaps_core.hashing.methods.base import Batch
from dhaps_core.hashing.methods.dh import DH, orthogonality
from dhaps_core.hashing.methods.dpsh import DPSH
from dhaps_core.hashing.methods.dsh import DSH, squared_distances
from dhaps_core.hashing.methods.graphbit import GraphBit, Instructions
from dhaps_core.hashing.methods.piq import (
    PIQ,
    Auto,
    Follow,
    PIQNetwork,
    Slope,
    foretold_same,
    probability_same,
)
from dhaps_core.hashing.methods.pts3h import PTS3H, ramp, teacher_similarity
from dhaps_core.hashing.methods.sdsh import SDSH, climb_rotation, spring
from dhaps_core.hashing.methods.ssdh import SSDH, contrastive, draw
from dhaps_core.hashing.methods.ssh import SSH, pair_sum, pair_weights
from dhaps_core.hashing.network import HashNetwork, encode
from dhaps_core.hashing.quantisation import iterative_quantisation
from dhaps_core.hashing.training import train
from dhaps_core.hashing.training_set import TrainingSet
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.hashing.test_foretelling import islands

HALF = math.atanh(0.5)  # relaxes to 1/2


def batch(outputs, similarity=(), **more):
    outputs = torch.tensor(outputs, dtype=torch.float64)
    relation = torch.tensor(similarity, dtype=torch.int8).view(len(similarity), len(similarity))
    return Batch(outputs=outputs, similarity=relation, generator=torch.Generator().manual_seed(0), **more)


def training_on(network, rows, relation=None):
    """The training set of rows that are all labelled, or none of them."""
    positions = torch.arange(len(rows))
    supervised = positions[: 0 if relation is None else None]
    generator = torch.Generator().manual_seed(0)
    return TrainingSet(
        network, rows, lambda a, b: relation.numpy()[a, b], pool=positions, supervised=supervised,
        generator=generator,
    )  # fmt: skip


def loss(method, given):
    return {name: float(value.detach()) for name, value in method.loss(given).items()}


def test_dh():
    terms = loss(DH(balance=2.0), batch([[HALF, HALF], [-HALF, HALF]]))
    # |u| = 1/2 everywhere: 1/2 (1/2)^2; the first bit has variance 1/4, the second none.
    assert terms == pytest.approx({"quantisation": 1 / 8, "balance": -2 / 2 * (1 / 4 + 0) / 2})
    assert float(orthogonality(torch.eye(3)[:2])) == 0
    assert float(orthogonality(torch.tensor([[2.0], [0.0]]))) == 9  # more rows than columns: W^T W = 4


def test_dh_keeps_weights_orthogonal_and_small():
    network = HashNetwork(2, 1, hidden=nn.Sequential(nn.Linear(2, 1)), generator=torch.Generator())
    with torch.no_grad():
        network.hidden[0].weight.copy_(torch.tensor([[1.0, 1.0]]))  # |w|^2 - 1 = 1
        network.hidden[0].bias.fill_(2)
        network.hash.weight.fill_(3)  # 9 - 1 = 8
        network.hash.bias.fill_(1)
    terms = loss(DH(orthogonal=0.5, decay=0.1), batch([[0.0]], network=network))
    assert terms["orthogonal"] == pytest.approx(0.5 / 2 * (1 + 64))
    assert terms["decay"] == pytest.approx(0.1 / 2 * (2 + 4 + 9 + 1))


def test_dh_starts_at_the_principal_components():
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(500, 6, generator=generator) * torch.tensor([1.0, 5.0, 1, 1, 9.0, 1]) + 3
    network = HashNetwork(6, 4, hidden=DH().layers(6, 4, hidden=0, dropout=0.0), generator=generator)
    DH().initialise(network, training_on(network, sample))
    first, second = network.hidden[1], network.hidden[3]
    assert first.weight.abs().argmax(1).tolist()[:2] == [4, 1]
    assert torch.equal(second.weight, torch.eye(len(second.weight), first.out_features))
    assert float(network(sample).detach().mean(0).abs().max()) < 0.2


@pytest.mark.parametrize(
    ("bits", "widths"), [(16, (60, 30)), (32, (80, 50)), (64, (100, 80)), (8, (60, 30)), (128, (128, 128))]
)
def test_dh_widths_are_the_published_ones(bits, widths):
    layers = DH().layers(512, bits, hidden=0, dropout=0.0)
    assert (layers[1].out_features, layers[3].out_features) == widths


def test_graphbit():
    third = math.log(2)  # p = 2/3
    terms = loss_terms = GraphBit().terms(torch.tensor([[0.0], [0.0]]), torch.tensor([[third], [third]]))
    assert float(terms["balance"]) == pytest.approx(100 * (2 / 3 - 1 / 2) ** 2)
    assert float(loss_terms["ambiguity"]) == pytest.approx(-20 * log(2 / 3), rel=1e-5)
    assert float(terms["agreement"]) == pytest.approx(40 * (1 / 2 - 2 / 3) ** 2)


def test_graphbit_averages_what_instructors_say():
    head = Instructions(1, 2)
    nn.init.zeros_(head.tell.bias)
    head.tell.weight.data = torch.tensor(
        [[0.0], [5.0], [0.0], [0.0]]
    )  # bit 0 tells bit 1: five times the input
    assert head(torch.ones(1, 1), torch.tensor([[1.0, 3.0]])).tolist() == [[1, 3]]
    head.edges[0, 1] = True
    assert head(torch.ones(1, 1), torch.tensor([[1.0, 3.0]])).tolist() == [[1, (3 + 5) / 2]]


def test_graphbit_never_adds_a_loop_or_a_reversed_edge():
    generator = torch.Generator().manual_seed(0)
    alone = 0.3 * torch.randn(30, 5, generator=generator)
    head = Instructions(5, 5)
    nn.init.zeros_(head.tell.bias)
    head.tell.weight.data = 3 * torch.eye(5).repeat(5, 1)  # every bit is sure of what the others only guess
    for _ in range(40):
        GraphBit()._search(head, alone, alone, generator)
    assert head.edges.any()
    assert not head.edges.diagonal().any()
    assert not (head.edges & head.edges.T).any()


def test_graphbit_trains_with_a_graph(monkeypatch):
    points = torch.randn(300, 6, generator=torch.Generator().manual_seed(0))
    found = []
    monkeypatch.setattr(GraphBit, "binarise", lambda self, network, head, known: found.append(head))
    network = HashNetwork(6, 8, hidden=nn.Sequential(), generator=torch.Generator().manual_seed(0))
    losses = train(
        network, GraphBit(), points, Snapshot([str(i) for i in range(300)], []), pool=torch.arange(300),
        references=None, settings=TrainingSettings(), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert found[0].edges.sum() > 5
    assert found[0].policy.abs().max() > 0
    assert losses["agreement"] > 0


def test_graphbit_learns_which_edges_to_draw():
    generator = torch.Generator().manual_seed(0)
    alone = 0.1 * torch.randn(50, 2, generator=generator)
    head = Instructions(2, 2)
    nn.init.zeros_(head.tell.bias)
    # Bit 0 tells bit 1 what it thinks, but surer; bit 1 tells bit 0 the opposite of what it thinks.
    head.tell.weight.data = torch.tensor([[0.0, 0], [0, 30], [-1, 0], [0, 0]])
    for _ in range(60):
        GraphBit(policy_rate=1.0)._search(head, alone, alone, generator)
        head.edges.zero_()
    assert head.policy.argmax() == 1  # [0, 1]
    assert head.policy[0, 1] > 1
    assert head.policy[1, 0] == head.policy.min()


def test_itq_finds_the_corners():
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).repeat(25, 1)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    rows = torch.zeros(100, 3)
    rows[:, :2] = (corners + 0.1 * torch.randn(100, 2, generator=generator)) @ turn
    directions = iterative_quantisation(rows - rows.mean(0), torch.randn(2, 3, generator=generator))
    torch.testing.assert_close(directions @ directions.T, torch.eye(2))
    # Each bit is one of the two signs: along an axis of the square, not along its diagonal.
    assert (directions[:, :2] @ turn.T).abs().amax(1).tolist() == pytest.approx([1, 1], abs=0.02)
    more = iterative_quantisation(rows, torch.randn(5, 3, generator=generator))
    torch.testing.assert_close(more.T @ more, torch.eye(3), atol=1e-5, rtol=0)


def test_graphbit_starts_centred():
    sample = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)) + 3
    network = HashNetwork(6, 4, hidden=nn.Sequential(), generator=torch.Generator().manual_seed(0))
    GraphBit().initialise(network, training_on(network, sample))
    outputs = network(sample).detach()
    assert float(outputs.mean(0).abs().max()) < 1e-4
    assert float(outputs.square().mean()) == pytest.approx(1, rel=1e-4)


def test_graphbit_folds_what_is_told_into_the_hash_layer_and_splits_the_training_set():
    generator = torch.Generator().manual_seed(0)
    network = HashNetwork(3, 3, hidden=nn.Sequential(), generator=generator)
    head = Instructions(3, 3)
    head.edges[0, 1] = head.edges[2, 1] = head.edges[0, 2] = True
    rows = torch.randn(50, 3, generator=generator)
    with torch.no_grad():
        network.hash.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
        instructed = head(rows, network(rows))
        GraphBit().binarise(network, head, training_on(network, rows))
        thresholds = instructed.sigmoid().mean(0)
        torch.testing.assert_close(network(rows) - network.shift, instructed)
        torch.testing.assert_close((network(rows) > 0), instructed.sigmoid() > thresholds)


def test_graphbit_thresholds_are_finite_where_a_bit_is_constant():
    network = HashNetwork(2, 2, hidden=nn.Sequential(), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.hash.bias.fill_(40)
    rows = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    GraphBit().binarise(network, Instructions(2, 2), training_on(network, rows))
    assert network(rows).isfinite().all()


def test_ssh_weighs_similar_and_dissimilar_pairs_equally():
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [-2.0, -1.0]])
    relation = torch.tensor([[1, 1, -1], [1, 1, -1], [-1, -1, 1]], dtype=torch.int8)
    similar = torch.tensor([[1.0, 0.5], [0.5, 0.0]])  # mean of x_0 x_1^T and its transpose
    dissimilar = torch.tensor([[-2.0, -1.0], [-1.0, -0.5]])  # mean over x_0, x_1 with x_2, both orders
    weights = pair_weights(lambda part: relation[part], 3, rows)
    assert weights(slice(0, 2)).tolist() == [[0, 0.5, -0.25], [0.5, 0, -0.25]]
    torch.testing.assert_close(pair_sum(rows, weights), similar - dissimilar)
    assert relation.diagonal().tolist() == [1, 1, 1]  # what was given is left alone


def sequential_projections(rows, labelled, relation, bits, eta, alpha):
    """SSH as its docstring has it, with S_t stored and changed pair by pair."""
    counts = {1: 0, -1: 0}
    pairs = [(i, j) for i in range(len(labelled)) for j in range(len(labelled)) if i != j]
    for i, j in pairs:
        if relation[i, j]:
            counts[int(relation[i, j])] += 1
    s = torch.zeros(len(labelled), len(labelled), dtype=rows.dtype)
    for i, j in pairs:
        if relation[i, j]:
            s[i, j] = relation[i, j] / counts[int(relation[i, j])]
    scale, rest, found = s.abs(), rows - rows.mean(0), []
    x = labelled - rows.mean(0)
    for _ in range(bits):
        w = torch.linalg.eigh(x.T @ s @ x + eta * rest.T @ rest / len(rest)).eigenvectors[:, -1]
        p = x @ w / (x @ w).square().mean().sqrt()
        for i, j in pairs:
            if p[i] * p[j] * relation[i, j] < 0:
                s[i, j] -= alpha * scale[i, j] * p[i] * p[j]
        rest = rest - torch.outer(rest @ w, w)
        found.append(w)
    return torch.stack(found)


def test_ssh_is_the_sequential_solution():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 7, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (20,), generator=generator)
    relation = torch.where(labels[:, None] == labels, 1, -1).to(torch.int8)
    relation[:4, 10:] = 0
    relation[10:, :4] = 0
    weight, _ = SSH(eta=0.3, alpha=0.7).solve(rows, rows[:20], lambda part: relation[part], bits=5)
    expected = sequential_projections(rows, rows[:20], relation, 5, 0.3, 0.7)
    cosines = (nn.functional.normalize(weight, dim=1) * expected).sum(1)
    torch.testing.assert_close(cosines.abs(), torch.ones(5).double(), rtol=1e-6, atol=0)


def test_ssh_without_labels_is_pca():
    rows = torch.randn(80, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight, bias = SSH().solve(rows, rows[:0], lambda part: torch.zeros(0, 0, dtype=torch.int8), bits=5)
    components = torch.linalg.eigh(torch.cov(rows.T)).eigenvectors.flip(1)
    cosines = nn.functional.normalize(weight, dim=1) @ components
    torch.testing.assert_close(cosines.abs(), torch.eye(5).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close((rows @ weight.T + bias).mean(0), torch.zeros(5).double())


def test_ssh_has_no_more_directions_than_the_training_items():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(50, 3, generator=generator) @ torch.randn(3, 8, generator=generator)
    nothing = rows[:0]
    assert SSH().solve(rows, nothing, lambda part: torch.zeros(0, 0), bits=3)[0].shape == (3, 8)
    with pytest.raises(
        ValueError, match="at most the 3 directions in which the training items differ; got 4"
    ):
        SSH().solve(rows, nothing, lambda part: torch.zeros(0, 0), bits=4)


def test_ssh_finds_the_direction_that_the_labels_tell():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 2, generator=generator) * torch.tensor([2.0, 0.1])
    rows[:, 1] += torch.where(torch.arange(200) % 2 == 0, 1.0, -1.0)
    relation = torch.where(torch.arange(200)[:, None] % 2 == torch.arange(200) % 2, 1, -1).to(torch.int8)
    weight, bias = SSH(eta=0.01).solve(rows, rows, lambda part: relation[part], bits=1)
    assert ((rows @ weight.T + bias > 0)[::2, 0].float().mean() - 0.5).abs() > 0.4
    pca, _ = SSH().solve(rows, rows[:0], lambda part: relation[part], bits=1)
    assert abs(float(pca[0, 1])) < 0.2 * abs(float(pca[0, 0]))


def test_ssdh_triplets_and_classes():
    head = nn.Linear(1, 2).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # every class has p = 1/2
    given = batch(
        [[HALF], [HALF], [-HALF]],
        [[1, 1, -1], [1, 1, -1], [-1, -1, 1]],
        classes=torch.tensor([[True, False], [True, False], [False, True]]),
        hidden=torch.ones(3, 1, dtype=torch.float64),
        head=head,
    )
    terms = loss(SSDH(), given)
    assert terms["classes"] == pytest.approx(2 * log(2))
    # h = 3/4, 3/4, 1/4: two anchors with d(a,p) = 0, d(a,n)^2 = 1/4; the third has no similar row.
    assert terms["triplets"] == pytest.approx((1 + 0 - 1 / 4) / 2)
    assert terms["pseudo"] == 0  # no unlabelled row


def test_ssdh_with_one_class_or_a_batch_of_unknown_classes():
    def given(classes):
        head = nn.Linear(1, len(classes[0])).double()
        nn.init.ones_(head.weight)
        hidden = torch.ones(4, 1, dtype=torch.float64)
        rows = [[HALF], [-HALF], [HALF], [-HALF]]
        return batch(rows, [[1, 1], [1, 1]], classes=torch.tensor(classes), hidden=hidden, head=head)

    # Of one class nothing is unlike: unlabelled rows are neither pulled nor pushed.
    assert loss(SSDH(), given([[True], [True]]))["pseudo"] == 0
    # Answers to pairs may fill a batch although classes are known of other items.
    assert loss(SSDH(), given([[False, False], [False, False]]))["classes"] == 0


def test_ssdh_learns_that_an_item_has_none_of_the_classes():
    head = nn.Linear(1, 2).double()
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    classes, known = torch.tensor([[False, False], [True, False]]), torch.tensor([True, True])
    hidden = torch.ones(2, 1, dtype=torch.float64)
    given = batch([[HALF], [HALF]], [[1, -1], [-1, 1]], classes=classes, hidden=hidden, head=head)
    assert loss(SSDH(), given)["classes"] == pytest.approx(2 * log(2))  # the first row is left out
    SSDH().loss(replace(given, classed=known))["classes"].backward()
    assert head.bias.grad.tolist() == pytest.approx([0, 0.5])  # once up and once down; twice down


def test_ssdh_weighs_what_needs_no_label():
    points = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    classes, head = torch.tensor([[True, False, False]]), nn.Linear(4, 3).double()

    def terms(method):
        return loss(method, batch(points.tolist(), [[1]], classes=classes, hidden=points, head=head))

    tenth, whole = terms(SSDH(weight=0.1)), terms(SSDH(weight=1.0))
    for name in ("graph", "pseudo"):
        assert 0 < tenth[name] == pytest.approx(0.1 * whole[name])
    assert terms(SSDH()) == tenth  # as published


def test_ssdh_draws_unlabelled_rows_to_their_likely_class_and_from_their_unlikely_one():
    # Rows 1 to 3 are unlabelled; likeliest classes 0, 0, 0, 1 and least likely ones 1, 1, 1, 0.
    head = nn.Linear(1, 2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.bias.zero_()
    hidden = torch.tensor([[1.0], [1], [1], [-1]], dtype=torch.float64)
    far = math.atanh(0.8)
    rows, classes = [[far], [HALF], [HALF], [-far]], torch.tensor([[True, False]])
    given = batch(rows, [[1]], classes=classes, hidden=hidden, head=head)
    # h = .9, .75, .75, .1. Anchors 1 and 2: p is 0 or the other, n is 3; anchor 3 has nobody like itself.
    near, away = (0.15**2, 0.0), (0.72 - 0.65) ** 2  # the margin is 0.72 on one bit
    possible = [0.1 * (x + y + 2 * away) / 2 / 2 for x in near for y in near]
    assert any(loss(SSDH(), given)["pseudo"] == pytest.approx(value) for value in possible)


def test_ssdh_labelled_rows_keep_their_classes_whatever_the_classifier_says():
    # Of three classes the unlabelled anchor 3 is likeliest in 0 and least likely in 2. The classifier says
    # class 1 of rows 0 to 2; they were given 0, 2, and 0 with 2. Row 4 has no label and is in 2 by it.
    logits = torch.tensor([[0.0, 9, 1]] * 3 + [[2.0, 1, 0], [0.0, 1, 2]])
    classes = torch.tensor([[True, False, False], [False, False, True], [True, False, True]])
    alike, unlike = SSDH._pseudo(logits, classes, torch.tensor([True, True, True]))
    assert alike.nonzero().tolist() == [[3, 0], [4, 1]]
    assert unlike[3].nonzero().flatten().tolist() == [1, 4]  # row 2 has both: neither
    # Row 1, whose class nobody told, is an anchor, too, and a partner by what the classifier says.
    alike, unlike = SSDH._pseudo(logits, classes, torch.tensor([True, False, True]))
    assert not alike[[0, 2]].any()
    assert unlike[1].nonzero().flatten().tolist() == [0, 2, 3]
    assert unlike[3].nonzero().flatten().tolist() == [4]


def test_ssdh_leaves_out_triplets_whose_p_and_n_share_a_class():
    # Classes {A}, {A, B}, {B}, {C}: anchors 0 and 2 have p = 1, which shares one with 2 and 0; so n is 3.
    relation = [[1, 1, -1, -1], [1, 1, 1, -1], [-1, 1, 1, -1], [-1, -1, -1, 1]]
    distances = torch.tensor([[0.0, 0.25, 9, 1], [0.25, 0, 0.5, 2], [9, 0.5, 0, 1.25], [1, 2, 1.25, 0]])
    given = batch([[0.0]] * 4, relation)
    found = float(SSDH._triplets(distances.double(), given))
    # 1 + .25 - 1 and 1 + .5 - 1.25 of anchors 0 and 2; anchor 1 draws 0 or 2: 1 + .25 - 2 or 1 + .5 - 2.
    assert found == pytest.approx((0.25 + 0.25 + 0) / 3 / 2)
    # Without row 3 nothing is left of these, nor of anchor 1, which has no dissimilar row.
    few = batch([[0.0]] * 3, [row[:3] for row in relation[:3]])
    assert float(SSDH._triplets(distances[:3, :3].double(), few)) == 0


def test_ssdh_contrastive():
    distances = torch.tensor([[0.0, 1, 4], [1, 0, 9], [4, 9, 0]])
    near = torch.tensor([[False, True, False], [True, False, False], [False, False, False]])
    far = torch.tensor([[False, False, True]] * 3)
    # anchors 0 and 1: 1 + (2.5 - 2)^2 and 1 + 0, the third has no near row.
    value = contrastive(distances, near, far, 2.5, torch.Generator())
    assert float(value) == pytest.approx((1.25 + 1) / 2 / 2)


def test_ssdh_graph_takes_the_published_ranks():
    distances = (torch.arange(128)[:, None] - torch.arange(128)).abs().float() + 0.001 * torch.arange(128)
    near, far = SSDH()._graph(distances.clone(), 114)
    assert near[0].nonzero().flatten().tolist() == list(range(1, 9))
    assert far[0].nonzero().flatten().tolist() == list(range(114, 124))
    _, far = SSDH()._graph(distances.clone(), 120)
    assert far[0].nonzero().flatten().tolist() == list(range(120, 124))


def test_draw_is_uniform_over_what_is_allowed():
    allowed = torch.tensor([[False, True, True, False]]).expand(4000, 4)
    found = draw(allowed, torch.Generator().manual_seed(0)).bincount(minlength=4)
    assert found[0] == found[3] == 0
    assert abs(int(found[1]) - 2000) < 150


def test_pts3h():
    u = [[HALF, HALF], [HALF, -HALF]]
    given = batch(u, [[1, -1], [-1, 1]], teacher=torch.tensor([[0.0, 0], [0, 0]]).double(), progress=1.0)
    terms = loss(PTS3H(consistency=2.0, low=0.1, high=0.7), given)
    assert terms["likelihood"] == pytest.approx(log(2))  # theta = 0
    # <u_i, u_j>/2 = 1/4 on the diagonal, 0 beside it; the teacher says 0 everywhere.
    assert terms["consistency"] == pytest.approx(2 * (2 * (1 / 4) ** 2) / 4)
    assert terms["quantised"] == 0  # every pair is labelled
    assert terms["quantisation"] == pytest.approx(0.1 * 1 / 4)


def test_pts3h_teacher_labels_what_nobody_did():
    given = batch([[HALF], [-HALF]], teacher=torch.tensor([[9.0], [-9.0]]).double(), progress=1.0)
    assert loss(PTS3H(quantised=1.0), given)["quantised"] == pytest.approx(log1p(math.exp(-1 / 8)), rel=1e-6)
    assert teacher_similarity(torch.tensor([0.7, 0.5, 0.1]), low=0.1, high=0.7).tolist() == [1, 0, -1]
    assert (ramp(1.0, 0.4), ramp(0.0, 0.4)) == (1, pytest.approx(math.exp(-5)))


def test_dsh():
    # Trap: | |u| - 1 | summed over bits is 1.0 for [.5, -.5], with abs and not sign; a pair has it twice.
    terms = loss(DSH(alpha=1.0), batch([[0.5, -0.5]], [[1]]))
    assert terms == pytest.approx({"contrastive": 0, "regulariser": 2 * 1.0})
    # Known pairs: a similar one with d^2 = 1, a dissimilar one with d^2 = 2; b = 2, so the margin is 4.
    given = batch([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [[1, 1, -1], [1, 1, 0], [-1, 0, 1]])
    assert loss(DSH(), given)["contrastive"] == pytest.approx((1 + 2) / 2 / 2)
    far = batch([[0.0, 0.0], [1.0, 2.0]], [[1, -1], [-1, 1]])
    assert loss(DSH(), far)["contrastive"] == 0
    assert squared_distances(far.outputs)[0, 1] == 5


def test_dsh_has_twice_the_gradient_of_the_authors_code():
    z = torch.tensor([[0.5], [2.0], [-0.25]], dtype=torch.float64)
    same = torch.tensor([[1, 1, -1], [1, 1, -1], [-1, -1, 1]], dtype=torch.int8)
    # Of n = 3 rows: (z_i - z_j) / n(n-1) for a similar pair, minus that for a dissimilar one within the
    # margin of 2 (d^2 = .5625 is, 5.0625 is not); and alpha / n times the sign that leads from -1 and +1.
    pairs = [(0.5 - 2) / 6 - (0.5 + 0.25) / 6, (2 - 0.5) / 6, (0.5 + 0.25) / 6]
    theirs = [pair + 0.3 / 3 * sign for pair, sign in zip(pairs, (-1, 1, 1), strict=True)]
    given = Batch(outputs=z.requires_grad_(), similarity=same, generator=torch.Generator())
    sum(DSH(alpha=0.3).loss(given).values()).backward()
    assert z.grad.flatten().tolist() == pytest.approx([2 * value for value in theirs])


def test_dsh_similar_pairs_weigh_at_least_a_tenth():
    # 4 rows, one bit, margin 2: the similar pair has d^2 = 1, the dissimilar ones 1, 1, 4, 4 and 0.
    relation = [[1, 1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, -1], [-1, -1, -1, 1]]
    given = batch([[0.0], [1.0], [2.0], [2.0]], relation)
    similar, others = 1, (2 - 0 + 2 - 1 + 2 - 1) / 5  # max(0, 2 - d^2): two pairs are beyond the margin
    for least, share in ((0.1, 1 / 6), (0.5, 0.5)):
        value = loss(DSH(least_similar=least), given)["contrastive"]
        assert value == pytest.approx((share * similar + (1 - share) * others) / 2)


def test_dsh_margin_follows_the_bits():
    far = batch([[1.0] * 36, [-1.0] + [1.0] * 35], [[1, -1], [-1, 1]])
    assert loss(DSH(), far)["contrastive"] == pytest.approx((72 - 4) / 2)


def test_dpsh():
    terms = loss(DPSH(), batch([[HALF, HALF], [HALF, HALF]], [[1, 1], [1, 1]]))
    assert terms == pytest.approx({"likelihood": log1p(math.exp(1 / 4)) - 1 / 4, "quantisation": 0.1 / 4})


def test_sdsh():
    assert spring(torch.tensor([-4.0, 4.0])).tolist() == pytest.approx([0, 8], abs=0.01)
    given = batch([[3.0, 0.0], [0.0, 2.0], [-5.0, 0.0]], [[1, 1, -1], [1, 1, 0], [-1, 0, 1]])
    # On the sphere |a - p|^2 = 2, |a - n|^2 = 4; the other similar row has no dissimilar one.
    assert loss(SDSH(), given)["spring"] == pytest.approx((2 * sqrt(2) - sqrt(6)) ** 2)


def test_sdsh_has_a_small_gradient_at_the_centre_of_the_sphere():
    given = batch([[0.0, 0.0], [0.0, 2.0], [-5.0, 0.0]], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    given.outputs.requires_grad_()
    SDSH().loss(given)["spring"].backward()
    assert 0 < given.outputs.grad.abs().max() < 1e7


def test_sdsh_draws_from_the_nearest_dissimilar_rows():
    angles = torch.tensor([0.0, 0.1, 1.0, 1.5, 2.0, 3.0])
    outputs = torch.stack([angles.cos(), angles.sin()], 1).tolist()
    relation = [[0] * 6 for _ in range(6)]
    relation[0][1:] = [1, -1, -1, -1, -1]
    near, half = 2 - 2 * math.cos(0.1), [2 - 2 * math.cos(angle) for angle in (1.0, 1.5)]
    values = [float(spring(torch.tensor(near - far))) for far in half]
    # One of four is a quarter; of the nearest two, either.
    assert loss(SDSH(), batch(outputs, relation))["spring"] == pytest.approx(values[0], rel=1e-5)
    drawn = {
        round(
            float(
                SDSH(hardest=0.5).loss(
                    replace(batch(outputs, relation), generator=torch.Generator().manual_seed(seed))
                )["spring"]
            ),
            4,
        )
        for seed in range(20)
    }
    assert drawn == {round(value, 4) for value in values}


def test_sdsh_rotation_is_a_rotation_and_raises_the_score():
    generator = torch.Generator().manual_seed(0)
    angle = torch.tensor(pi / 4)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    corners = torch.tensor([[1.0, 1.0], [1, -1], [-1, 1], [-1, -1]]).repeat(20, 1)
    points = (corners + 0.3 * torch.randn(80, 2, generator=generator)) @ turn

    def score(turned):
        return float((turned.sign() * corners).mean())

    rotation = climb_rotation(points, score, rotations=100, generator=generator)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(2))
    assert score(points @ rotation) > score(points) + 0.3


def test_sdsh_turns_the_codes_of_labelled_training_items():
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[1.0, 1.0], [1, -1], [-1, 1], [-1, -1]]).repeat(10, 1)
    angle = torch.tensor(pi / 4)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    network = HashNetwork(2, 2, hidden=nn.Sequential(), generator=generator)
    with torch.no_grad():
        network.hash.weight.copy_(turn)
    relation = torch.where((corners[:, None] == corners).all(2), 1, -1).to(torch.int8)
    known = training_on(network, corners + 0.3 * torch.randn(40, 2, generator=generator), relation)
    score = known.scorer(known.pool)
    before = score(known.encode(known.pool))
    SDSH(rotations=100).binarise(network, None, known)
    torch.testing.assert_close(network.rotation @ network.rotation.T, torch.eye(2))
    assert score(known.encode(known.pool)) > before + 0.3


def test_bit_entropy_is_reported_and_a_constant_bit_warned_about():
    codes = torch.tensor([[1.0, 1.0, -1.0], [1, 1, -1], [1, -1, -1], [1, -1, 1]])
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    torch.testing.assert_close(bit_entropy(codes), torch.tensor([0.0, 1.0, quarter]))
    with pytest.warns(ConstantBits, match="1 of 3 bits are the same for all 64 training items"):
        report = bit_report(codes.repeat(16, 1))
    assert bit_report(codes) == report  # four items prove nothing: no warning
    assert report["constant_bits"] == 1
    assert report["bit_entropy"] == pytest.approx((1 + quarter) / 3)


def test_piq_without_answers_is_itq():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 6, generator=generator)
    network = HashNetwork(6, 4, hidden=PIQ().layers(6, 4, hidden=0, dropout=0.0), generator=generator)
    PIQ().fit(training_on(network, rows))
    x = torch.nn.functional.normalize(rows, dim=1)
    centred = x - x.mean(0)
    turned = network.hash.weight / network.hash.weight.norm(dim=1, keepdim=True)
    components = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -4:]
    assert torch.allclose(turned @ components @ components.T, turned, atol=1e-4)  # in the main directions
    assert torch.allclose(turned @ turned.T, torch.eye(4), atol=1e-4)  # a rotation of them
    projected = centred @ turned.T
    fixed = iterative_quantisation(centred, turned)
    assert torch.equal(sign(centred @ fixed.T), sign(projected))  # and no further turn helps


def test_piqnet_by_hand():
    p = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    assert probability_same(p, p, several=False).tolist() == [[0.5, 0.5], [0.5, 1.0]]
    # Of two classes by themselves: 1 - (1 - 1/4)^2 and 1 - (1 - 1/2).
    assert probability_same(p, p, several=True).flatten().tolist() == pytest.approx(
        [7 / 16, 0.5, 0.5, 1], abs=1e-5
    )
    network = HashNetwork(
        2, 1, hidden=PIQNetwork().layers(2, 1, hidden=0, dropout=0.0), generator=torch.Generator()
    )
    hidden = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # at a right angle; no class is known: s = 1 and 0
    given = Batch(
        torch.zeros(2, 1),
        torch.zeros(0, 0, dtype=torch.int8),
        torch.Generator(),
        hidden=hidden,
        head=Slope(),
        network=network,
    )
    with torch.no_grad():
        term = PIQNetwork().loss(given)["foretold"]
    # The codes are equal, so the odds are 5 - 3 for all four pairs.
    assert float(term) == pytest.approx((2 * math.log1p(math.exp(2)) + 2 * math.log1p(math.exp(-2))) / 4)
    same = torch.tensor([[1, -1], [-1, 1]], dtype=torch.int8)
    with torch.no_grad():
        told = PIQNetwork().loss(replace(given, similarity=-same))["foretold"]
    assert float(told) == pytest.approx(float(term))  # two of each kind, the other way round


def test_what_is_foretold_of_two_items_by_hand():
    x = torch.tensor([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]])
    p = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    near = 0.6**3  # a right angle and beyond count nothing
    same = foretold_same(x, p, several=False)
    assert same[0].tolist() == pytest.approx([1, near + (1 - near) / 2, 0])
    assert foretold_same(x, p[:, :0], several=False)[0].tolist() == pytest.approx([1, near, 0])


def test_follow_by_hand():
    """Of three rows the first two are known to differ; the third is foretold to be as the first."""
    foretold = torch.tensor([[1.0, 0.9, 0.8], [0.9, 1.0, 0.1], [0.8, 0.1, 1.0]])
    given = Batch(
        torch.tensor([[3.0], [-3.0], [3.0]]),
        torch.tensor([[1, -1], [-1, 1]], dtype=torch.int8),
        torch.Generator(),
        head=Slope(),
        foretold=foretold,
    )
    with torch.no_grad():
        terms = Follow(quantisation=1.0).loss(given)
    alike, apart = math.log1p(math.exp(-2)), math.log1p(math.exp(-8))  # log-odds of equal codes 2, else -8
    wanted = 3 * alike + 2 * apart + 2 * (alike + 0.2 * 2) + 2 * (apart + 0.1 * 8)
    assert float(terms["foretold"]) == pytest.approx(wanted / 9)
    assert float(terms["quantisation"]) == pytest.approx((1 - math.tanh(3)) ** 2, rel=1e-3)
    assert float(foretold[0, 1]) == pytest.approx(0.9)  # what was foretold stays as it was


def test_follow_learns_about_items_that_nobody_answered_about():
    """Four answers on two islands: the codes of all other items follow."""
    rows, labels = islands(200)
    keys, pool = [str(i) for i in range(200)], torch.arange(200)
    picked = [int(i) for c in labels.unique() for i in (labels == c).nonzero().flatten()[:2]]
    answers = [
        Answer.given("class", (keys[i],), str(int(labels[i])), who="a", seconds=1.0, id=n)
        for n, i in enumerate(picked)
    ]
    network = HashNetwork(6, 8, hidden=16, dropout=0.0, generator=torch.Generator().manual_seed(0))
    train(
        network, Follow(), rows, Snapshot(keys, answers), pool=pool, references=rows,
        settings=TrainingSettings(least=200, most=200), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    codes = sign(encode(network, rows))
    alike = codes @ codes.T / 8
    same = labels[:, None] == labels[None]
    assert float(alike[same].mean()) > 0.9
    assert float(alike[~same].mean()) < 0.2


@pytest.mark.parametrize(("known", "taken"), [(79, "piq"), (80, "piqnet")])
def test_auto_trains_on_from_piq_once_enough_is_known(known, taken):
    rows, labels = islands(150)
    network = HashNetwork(
        6, 4, hidden=Auto().layers(6, 4, hidden=8, dropout=0.0), generator=torch.Generator()
    )
    keys = [str(i) for i in range(150)]
    give = partial(Answer.given, "class", who="anna", seconds=1.0)
    answers = [give((keys[i],), str(int(labels[i])), id=i) for i in range(known)]
    losses = train(
        network, Auto(), rows, Snapshot(keys, answers), pool=torch.arange(150), references=rows,
        settings=TrainingSettings(least=3, most=3), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert network.learned["method"] == taken
    assert bool(losses) == (taken == "piqnet")


def test_piqnet_draws_known_and_other_items_alike(monkeypatch):
    rows, labels = islands(1000)
    drawn = []

    def loss(self, batch):
        drawn.append((len(batch.similarity), len(batch.outputs)))
        return {"nothing": 0 * batch.outputs.sum()}

    monkeypatch.setattr(PIQNetwork, "loss", loss)
    network = HashNetwork(
        6, 4, hidden=PIQNetwork().layers(6, 4, hidden=8, dropout=0.0), generator=torch.Generator()
    )
    keys = [str(i) for i in range(1000)]
    answers = [
        Answer.given("class", (keys[i],), str(int(labels[i])), who="a", seconds=1.0, id=i) for i in range(100)
    ]
    train(
        network, PIQNetwork(), rows, Snapshot(keys, answers), pool=torch.arange(1000), references=rows,
        settings=TrainingSettings(), generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert len(drawn) == 800
    assert {count for _, count in drawn} == {128}
    assert 0.09 < sum(known for known, _ in drawn) / (800 * 128) < 0.11  # a tenth, as of all items


def test_piqnet_moves_the_outputs_by_their_signs():
    """The cross-entropy is that of the codes, and its gradient reaches the outputs that it would move."""
    network = HashNetwork(
        2, 1, hidden=PIQNetwork().layers(2, 1, hidden=0, dropout=0.0), generator=torch.Generator()
    )
    outputs = torch.tensor([[0.1], [-2.0]], requires_grad=True)
    hidden = torch.tensor([[1.0, 0.0], [1.0, 0.0]])  # equal items, whose codes differ
    given = Batch(
        outputs,
        torch.zeros(0, 0, dtype=torch.int8),
        torch.Generator(),
        hidden=hidden,
        head=Slope(),
        network=network,
    )
    term = PIQNetwork(quantisation=0.0).loss(given)["foretold"]
    same, apart = 5.0 - 3.0, -5.0 - 3.0  # log-odds of equal codes, and of different ones
    wanted = (2 * math.log1p(math.exp(-same)) + 2 * math.log1p(math.exp(-apart))) / 4
    assert term.item() == pytest.approx(wanted)
    term.backward()
    assert outputs.grad[0] > 0 > outputs.grad[1]  # towards each other


@pytest.mark.parametrize("seed", range(3))
def test_piq_is_never_worse_for_having_been_told(seed, tmp_path):
    items = digits(seed=seed)
    settings = Settings(bits=32, picks=5, acquisition="random", seed=seed, method="piq")
    session = ActiveSession(tmp_path, items, settings)
    start, told = (session.run_round(label_oracle(items))["mAP@all"] for _ in range(2))
    assert told > start
