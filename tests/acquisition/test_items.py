"""What each strategy of items does that another does not."""

import numpy as np
import pytest
import torch

from dhaps_core.acquisition import badge, herding
from dhaps_core.acquisition.badge import Badge
from dhaps_core.acquisition.clusters import central_items, turns
from dhaps_core.acquisition.contract import random_pairs
from dhaps_core.acquisition.dropquery import DropQuery
from dhaps_core.acquisition.herding import MaxHerding, UncertaintyHerding
from dhaps_core.acquisition.peers import CoreSet, Margin
from tests.acquisition.given import make_pool


def items(strategy, pool, count):
    return strategy.items(pool, count, pool.generator())


def two_classes(uncertain, n=40, *, least=0.9):
    """Probabilities of two classes: sure of all items but some."""
    first = torch.full((n,), least)
    first[uncertain] = 0.5
    return lambda: torch.stack([first, 1 - first], 1)


def clusters(*sizes, d=8, spread=0.02, seed=0):
    """Points around the axes, as many around each as is said, and the position of each centre."""
    generator, points = torch.Generator().manual_seed(seed), []
    for axis, size in enumerate(sizes):
        noise = spread * torch.randn((size - 1) // 2, d, generator=generator)
        noise = torch.cat([torch.zeros(2 - size % 2, d), noise, -noise])  # its mean is 0
        points.append(torch.eye(d)[axis] + noise)
    return torch.cat(points), torch.tensor([0, *sizes[:-1]]).cumsum(0).tolist()


def test_margin_picks_what_is_undecided():
    pytest.importorskip("skactiveml")
    probabilities = torch.tensor([[0.6, 0.3, 0.1]]).repeat(40, 1)
    probabilities[17] = torch.tensor([0.4, 0.35, 0.25])
    probabilities[8] = torch.tensor([0.5, 0.48, 0.02])
    probabilities[3] = torch.tensor([0.5, 0.5, 0.0])  # labelled
    pool = make_pool(probabilities=lambda: probabilities)
    assert items(Margin(), pool, 2) == [8, 17]


def test_margin_is_random_without_probabilities():
    pytest.importorskip("skactiveml")
    pool = make_pool(probabilities=lambda: torch.zeros(40, 0))
    drawn = random_pairs(pool.candidates, picks=5, generator=pool.generator())
    assert torch.equal(Margin().choose(pool, picks=5).pairs, drawn)


def test_coreset_picks_the_farthest_item_and_then_the_farthest_from_that():
    pytest.importorskip("skactiveml")
    pool = make_pool()
    pool.features[20], pool.features[30] = 90.0, -50.0
    pool.features[31] = -49.0
    assert items(CoreSet(), pool, 2) == [20, 30]


def test_maxherding_picks_the_centre_of_the_greatest_cluster_and_then_of_the_next():
    points, starts = clusters(10, 60, 30, 20)
    pool = make_pool(120, labelled=0, features=points)
    assert items(MaxHerding(), pool, 2) == [starts[1], starts[2]]
    known = make_pool(120, features=points, labelled=11)  # a cluster and the centre of the greatest
    assert items(MaxHerding(), known, 2) == [starts[2], starts[3]]


def test_uncertainty_herding_picks_where_most_is_uncertain():
    points, starts = clusters(10, 60, 30, 20)
    uncertain = torch.arange(starts[3], 120)
    pool = make_pool(120, features=points, labelled=2, probabilities=two_classes(uncertain, 120))
    assert items(UncertaintyHerding(), pool, 1) == [starts[3]]
    assert items(MaxHerding(), pool, 1) == [starts[1]]


def test_without_probabilities_uncertainty_herding_is_maxherding():
    pool = make_pool(probabilities=lambda: torch.zeros(40, 0))
    assert items(UncertaintyHerding(), pool, 9) == items(MaxHerding(), pool, 9)


def test_near_labels_make_uncertainty_herding_margin_sampling():
    points, _ = clusters(21, 61, 41, spread=0.2)
    points[1] = points[0] + 1e-3  # labelled, as is the first
    first = torch.linspace(0.55, 0.95, 123)
    pool = make_pool(
        123, labelled=2, features=points, probabilities=lambda: torch.stack([first, 1 - first], 1)
    )
    assert items(UncertaintyHerding(), pool, 4) == [2, 3, 4, 5]


def test_the_least_distance_is_that_of_items_that_differ():
    points = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    assert herding._least_distance(points) == pytest.approx(0.4**0.5)
    assert herding._least_distance(points[[0, 2]]) == float("inf")
    assert herding._least_distance(points[:0]) == float("inf")


@pytest.mark.parametrize("kind", [MaxHerding, UncertaintyHerding])
def test_large_pools_are_covered_by_a_sample_and_every_candidate_may_be_picked(kind, monkeypatch):
    monkeypatch.setattr(herding, "WHOLE", 100)
    monkeypatch.setattr(herding, "SAMPLE", 60)
    points, starts = clusters(10, 160, 130, 100, spread=0.01)
    pool = make_pool(400, features=points, labelled=2)
    # Many items at the centre of a cluster, most of them outside the sample, would do as well.
    found = items(kind(), pool, 3)
    assert sorted(np.searchsorted(starts, found, side="right").tolist()) == [2, 3, 4]
    assert found == items(kind(), pool, 3)


def test_badge_draws_by_the_distances_of_gradients(monkeypatch):
    pool = make_pool()
    points, probabilities = pool.directions().double(), pool.probabilities().double()
    errors = probabilities - torch.eye(5).double()[probabilities.argmax(1)]
    gradients = (errors[:, :, None] * points[:, None]).flatten(1)[6:]
    weights, drawn = [], badge._draw

    def draw(given, generator):
        weights.append(given.clone())
        return drawn(given, generator)

    monkeypatch.setattr(badge, "_draw", draw)
    found = items(Badge(), pool, 6)
    assert found[0] == 6 + int(gradients.norm(dim=1).argmax())
    chosen = torch.tensor(found) - 6
    assert len(set(found)) == 6
    for turn in range(1, 6):
        wanted = torch.cdist(gradients, gradients[chosen[:turn]]).square().amin(1)
        assert torch.allclose(weights[turn], wanted, atol=1e-9)


def test_badge_without_probabilities_is_k_means_plus_plus():
    points, starts = clusters(10, 10, 10, 10, spread=1e-6)
    pool = make_pool(40, labelled=0, features=points)
    found = items(Badge(), pool, 4)
    assert sorted(np.searchsorted(starts, found, side="right").tolist()) == [1, 2, 3, 4]
    firsts = {items(Badge(), make_pool(40, seed, labelled=0, features=points), 1)[0] for seed in range(20)}
    assert len(firsts) > 5


def test_dropquery_picks_items_whose_class_hangs_on_few_features():
    generator = torch.Generator().manual_seed(0)
    signs = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
    features = signs[:, None] * (1 + 0.1 * torch.rand(40, 64, generator=generator))
    unsure = torch.arange(10, 40, 3)
    features[unsure[:, None], torch.arange(31)] *= -1
    first = torch.sigmoid(features.sum(1))
    pool = make_pool(features=features, probabilities=lambda: torch.stack([first, 1 - first], 1))
    found = items(DropQuery(), pool, 6)
    assert len(found) == 6
    assert set(found) <= set(unsure.tolist())


def test_dropquery_finds_the_linear_model_behind_probabilities():
    from dhaps_core.acquisition.dropquery import _linear

    generator = torch.Generator().manual_seed(0)
    points = torch.randn(200, 6, generator=generator, dtype=torch.float64)
    model = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    model -= model.mean(1, keepdim=True)
    found = _linear(points, (points @ model[:-1] + model[-1]).softmax(1))
    assert torch.allclose(found, model, atol=1e-6)


def test_dropquery_without_probabilities_takes_the_centres_of_clusters():
    points, starts = clusters(10, 10, 10, 10)
    pool = make_pool(40, labelled=0, features=points)
    found = items(DropQuery(), pool, 4)
    assert sorted(np.searchsorted(starts, found, side="right").tolist()) == [1, 2, 3, 4]


def test_central_items_by_hand():
    points = np.array([[0.0], [1.0], [2.5], [10.0], [11.0], [12.5], [12.5]])
    assert sorted(central_items(points, 2, seed=0)) == [1, 4]
    assert sorted(central_items(points[[0, 0, 3]], 5, seed=0)) == [0, 2]
    assert central_items(points[:0], 5, seed=0) == []


def test_turns_of_k_means():
    assert turns(2_000, 100) == 300
    assert turns(50_000, 100) == 20
    assert turns(1_000_000, 1_000) == 10
