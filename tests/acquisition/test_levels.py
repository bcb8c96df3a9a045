"""What a greedy step of ``closed`` minimises: the squared MMD of items, which is not that of pairs."""

import itertools

import pytest
import torch

from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.select import select
from dhaps_core.data.sources import digits
from dhaps_core.pairs import median_bandwidth, pair_kernel
from tests.acquisition.given import SIGMA, make_problem
from tests.reference import closed_mmd_squared

KERNELS_ALONE = Weights(0.0, 1.0, 1.0)


def item_mmd_squared(points, chosen):
    """Between the points and the chosen ones of them, by loops."""

    def mean(left, right):
        values = [
            torch.exp(-(points[i] - points[j]).square().sum() / (2 * SIGMA**2)) for i in left for j in right
        ]
        return float(sum(values) / len(values))

    everyone = range(len(points))
    return mean(everyone, everyone) - 2 * mean(everyone, chosen) + mean(chosen, chosen)


def after(problem, level, pair):
    chosen = [*problem.labelled_items.tolist(), *pair]
    if level == "items":
        return item_mmd_squared(problem.space, chosen)
    return closed_mmd_squared(problem.space, torch.tensor(chosen), bandwidth=SIGMA)


def free_pairs(problem):
    labelled = set(problem.labelled_items.tolist())
    return [pair for pair in itertools.combinations(range(len(problem.space)), 2) if not labelled & {*pair}]


@pytest.mark.parametrize("seed", range(3))
def test_a_step_is_the_change_of_the_item_level_mmd_exactly(seed):
    problem = make_problem(9, 6, seed, reading="closed", weights=KERNELS_ALONE)
    size, largest, differences = len(problem.labelled_items), float(problem.means.max()), []
    for pair in free_pairs(problem):
        step = float(problem.scores(torch.tensor([pair]), 1)["total"])
        differences.append(largest * step - (size + 2) / 2 * after(problem, "items", pair))
    assert max(differences) - min(differences) < 1e-12


def test_the_pair_level_may_want_another_pair():
    wanted = {"items": [], "pairs": []}
    for seed in range(5):
        problem = make_problem(9, 6, seed, reading="closed", weights=KERNELS_ALONE)
        problem.candidates[problem.labelled_items] = False
        for level, found in wanted.items():
            found.append(min(free_pairs(problem), key=lambda pair: after(problem, level, pair)))
        assert tuple(select(problem, picks=1).pairs[0].tolist()) == wanted["items"][-1]
    assert wanted["items"] != wanted["pairs"]


def inner_products(problem, chosen):
    """Of the kernel means: of all items with the chosen ones, and of these with themselves."""
    return float(problem.means[chosen].mean()), float(problem.kernels(chosen, chosen).mean())


def weighted_pair_mmd_squared(points, shares):
    """Between all ordered pairs of the points and the pairs of two items drawn by their shares."""
    n = len(points)
    pairs = torch.cartesian_prod(torch.arange(n), torch.arange(n))
    more = 1 / n**2 - shares[pairs].prod(1)
    return float(more @ pair_kernel(points[pairs], points[pairs], bandwidth=SIGMA) @ more)


def test_the_first_order_change_of_the_pair_level_weighs_redundancy_by_another_factor():
    # With A = <m_P, m_S> and B = <m_S, m_S> the item level is C - 2 A + B, the pair level C^2 - 2 A^2 + B^2.
    problem = make_problem(9, 6, 1, reading="closed")
    chosen, c = problem.labelled_items, float(problem.means.mean())
    a, b = inner_products(problem, chosen)
    shares = torch.zeros(9, dtype=torch.float64).index_fill_(0, chosen, 1 / len(chosen))
    assert item_mmd_squared(problem.space, chosen.tolist()) == pytest.approx(c - 2 * a + b)
    now = weighted_pair_mmd_squared(problem.space, shares)
    assert now == pytest.approx(closed_mmd_squared(problem.space, chosen, bandwidth=SIGMA))
    assert now == pytest.approx(c**2 - 2 * a**2 + b**2)
    assert b / a > 1.2
    for item in range(9):
        # A small step from S towards an item, and the changes of A and B by it.
        moved = (1 - 1e-6) * shares + 1e-6 * torch.eye(9, dtype=torch.float64)[item]
        change = (weighted_pair_mmd_squared(problem.space, moved) - now) / 1e-6
        nearer = float(problem.means[item]) - a
        redundant = 2 * (float(problem.kernels(torch.tensor([item]), chosen).mean()) - b)
        assert change / (2 * a) == pytest.approx(b / a * redundant - 2 * nearer, rel=1e-4, abs=1e-5)


def test_that_factor_is_large_as_long_as_few_items_are_labelled():
    features = torch.from_numpy(digits(seed=0).features).double()
    bandwidth = median_bandwidth(features, scale=0.1, generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(len(features), 1)
    problem = Closed(nothing, space=features, bandwidth=bandwidth, weights=KERNELS_ALONE)
    picks = select(problem, picks=50).pairs.flatten()
    factors = []
    for size in (2, 10, 100):
        a, b = inner_products(problem, picks[:size])
        factors.append(b / a)
    assert factors == pytest.approx([37, 11, 2.5], rel=0.1)
    everyone = torch.arange(len(features))
    a, b = inner_products(problem, everyone)
    assert b / a == pytest.approx(1)
