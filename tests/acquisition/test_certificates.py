"""What certificates and scores say: far from the origin, in reduced precision, for each solver."""

import itertools
from dataclasses import replace

import pytest
import torch

from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.quadratic import solve_exhaustive, solve_relaxed
from dhaps_core.acquisition.select import select
from dhaps_core.pairs import (
    item_kernel,
    kernel_means,
    median_bandwidth,
    pair_kernel,
)
from tests.acquisition.given import everything, make_problem, on


def drawn(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# Digits.

MOVES = {
    "an offset of 100 norms": lambda x: x + 100 * x.norm(dim=1).max(),
    "another offset in each column": lambda x: x + 1e4 * torch.arange(x.shape[1]),
    "scaled to 1e18": lambda x: x * 2.0**60,
    "scaled to 1e-18": lambda x: x * 2.0**-60,
    "constant columns beside": lambda x: torch.cat([x, torch.full((len(x), 3), 1e6)], 1),
    "not contiguous": lambda x: x.T.contiguous().T,
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_picks_of_a_moved_float32_space_are_those_of_its_float64_values(move, reading):
    space = MOVES[move](drawn(300, 16))
    bandwidth = median_bandwidth(space, generator=torch.Generator().manual_seed(0), scale=0.1)
    moved = {"space": space, "bandwidth": bandwidth}
    problem = make_problem(300, 8, reading=reading, dtype=torch.float32, **moved)
    found = select(problem, picks=50)
    exact = space.double()
    exact = (exact - exact.mean(0)) / bandwidth
    moved |= {"space": exact, "bandwidth": 1.0}
    wanted = select(make_problem(300, 8, reading=reading, dtype=torch.float32, **moved), picks=50)
    assert found.pairs.tolist() == wanted.pairs.tolist()
    assert found.certificate.exact
    assert found.certificate.rounding < 1e-9


@pytest.mark.parametrize("move", MOVES)
def test_kernels_of_moved_points_are_those_of_the_points(move):
    points = (drawn(40, 6) * 64).round() / 64  # so that the moves are exact in float32
    moved, sigma = MOVES[move](points), 1.5
    scale = {"scaled to 1e18": 2.0**60, "scaled to 1e-18": 2.0**-60}.get(move, 1.0)
    exact = moved.double()
    squared = (exact[:, None] - exact).square().sum(-1) / (2 * (sigma * scale) ** 2)
    kernel, sigma = (-squared).exp(), sigma * scale
    rows = torch.arange(40).view(-1, 2)
    pairs = moved[rows]
    torch.testing.assert_close(
        item_kernel(moved, moved, bandwidth=sigma).double(), kernel, rtol=1e-6, atol=1e-7
    )
    means = kernel.mean(1)
    torch.testing.assert_close(kernel_means(moved, bandwidth=sigma).double(), means, rtol=1e-6, atol=0)
    torch.testing.assert_close(pool_kernel_means(moved, bandwidth=sigma).double(), means, rtol=1e-6, atol=0)
    straight = kernel[rows[:, 0]][:, rows[:, 0]] * kernel[rows[:, 1]][:, rows[:, 1]]
    swapped = kernel[rows[:, 1]][:, rows[:, 0]] * kernel[rows[:, 0]][:, rows[:, 1]]
    invariant = pair_kernel(pairs, pairs, bandwidth=sigma).double()
    torch.testing.assert_close(invariant, (straight + swapped) / 2, rtol=1e-6, atol=1e-7)
    distance = squared.sqrt()
    better = torch.minimum(
        distance[rows[:, 0]][:, rows[:, 0]] + distance[rows[:, 1]][:, rows[:, 1]],
        distance[rows[:, 1]][:, rows[:, 0]] + distance[rows[:, 0]][:, rows[:, 1]],
    )
    matched = pair_kernel(pairs, pairs, bandwidth=sigma, kind="matched").double()
    torch.testing.assert_close(matched, (-better.square()).exp(), rtol=1e-6, atol=1e-7)


def test_a_far_outlier_does_not_blur_the_others():
    points = torch.cat([1e-3 * drawn(200, 4), torch.full((1, 4), 1e3)])
    sigma = 1e-3
    exact = (points.double()[:, None] - points.double()).square().sum(-1).div(-2 * sigma**2).exp()
    kernel = item_kernel(points.double(), points, bandwidth=sigma)
    torch.testing.assert_close(kernel, exact, rtol=1e-9, atol=1e-12)
    problem = make_problem(201, 8, reading="closed", dtype=torch.float32, space=points, bandwidth=sigma)
    found = select(problem, picks=20)
    alone = points.double() - points[0].double()
    wanted = make_problem(201, 8, reading="closed", dtype=torch.float32, space=alone, bandwidth=sigma)
    wanted = select(wanted, picks=20)
    assert found.pairs.tolist() == wanted.pairs.tolist()
    assert found.certificate.exact


@pytest.mark.parametrize("precision", ["high", "medium"])
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_picks_do_not_depend_on_the_precision_allowed_to_float32_products(precision, reading, device):
    space = 100 + drawn(400, 64)
    problem = make_problem(400, 32, reading=reading, dtype=torch.float32, space=space, bandwidth=3.0)
    problem = on(device, problem)
    wanted = select(problem, picks=40)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = select(replace(problem), picks=40)
    finally:
        torch.set_float32_matmul_precision(before)
    assert found.pairs.tolist() == wanted.pairs.tolist()
    assert found.certificate.exact
    torch.testing.assert_close(found.scores["total"], wanted.scores["total"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_means_keep_their_digits_in_every_dtype_of_the_space(dtype):
    space = (drawn(500, 8) * 8).round().div(8).to(dtype)
    means = pool_kernel_means(space, bandwidth=0.5)
    wanted = pool_kernel_means(space.double(), bandwidth=0.5)
    torch.testing.assert_close(means.double(), wanted, rtol=1e-6, atol=0)


def test_where_too_few_digits_are_known_no_pick_is_called_exact():
    found = select(make_problem(30, 6, reading="closed", calibration=Calibration(1e12, 0.0)), picks=3)
    assert not found.certificate.exact
    assert "costs are known to" in found.certificate.note


def test_bandwidth_where_all_that_were_drawn_are_equal():
    points = torch.zeros(5000, 3)
    points[4321] = 2.0
    generator = torch.Generator().manual_seed(0)
    assert median_bandwidth(points, generator=generator, sample=50) == pytest.approx((12 / 2) ** 0.5)
    assert median_bandwidth(1e30 * drawn(50, 3), generator=generator) > 1e29
    assert 0 < median_bandwidth(1e-30 * drawn(50, 3), generator=generator) < 1e-29


# Scores.


@pytest.mark.parametrize(
    ("reading", "kernel", "solver"),
    [
        *itertools.product(["closed"], ["invariant"], ["exhaustive", "relaxed"]),
        *itertools.product(["published"], ["invariant", "matched"], ["greedy", "exhaustive", "relaxed"]),
    ],
)
@pytest.mark.parametrize("labelled", [True, False])
def test_scores_sum_to_the_objective_of_the_kernel_that_made_the_picks(reading, kernel, solver, labelled):
    problem = make_problem(
        9, 6, 4, reading=reading, labelled=labelled, beta=1.7, weights=Weights(0.3, 1.2, 0.7),
        credit=0.1 * drawn(9, 1)[:, 0].double(), calibration=Calibration(-1.3, 0.4),
        **({"kernel": kernel} if reading == "published" else {}),
    )  # fmt: skip
    found = select(problem, picks=3, solver=solver)
    form, _ = problem.form(3)
    chosen = torch.tensor([form.pairs.tolist().index(pair) for pair in found.pairs.tolist()])
    scores = found.scores
    assert float(scores["total"].sum()) == pytest.approx(form.value(chosen), rel=1e-9)
    parts = scores["uncertainty"] + scores["representativeness"] + scores["diversity"]
    torch.testing.assert_close(scores["total"], parts - problem.credit[found.pairs].sum(1))


def test_representativeness_of_matched_picks_is_of_the_matched_kernel():
    problem = make_problem(10, 6, labelled=False, kernel="matched")
    found = select(problem, picks=3)
    points, pairs = problem.space, found.pairs
    everyone = torch.cartesian_prod(torch.arange(10), torch.arange(10))
    kernels = pair_kernel(points[pairs], points[everyone], bandwidth=problem.bandwidth, kind="matched")
    step = 2 * problem.beta / 3**2
    torch.testing.assert_close(found.scores["representativeness"], -step * 3 * kernels.mean(1))
    own = pair_kernel(points[pairs], points[pairs], bandwidth=problem.bandwidth, kind="matched")
    diverse = step * (own.diagonal() / 2 + own.tril(-1).sum(1))
    torch.testing.assert_close(found.scores["diversity"], diverse)


# How many pairs there are.


def crossing(reading="published"):
    """Items 0..3 where the cheapest pair (1, 2) leaves none beside it, and (0, 1), (2, 3) are disjoint."""
    allowed = torch.zeros(4, 4, dtype=torch.bool)
    for a, b in ((0, 1), (1, 2), (2, 3)):
        allowed[a, b] = allowed[b, a] = True
    credit = torch.tensor([0.0, 9.0, 9.0, 0.0], dtype=torch.float64)
    return make_problem(
        4, 6, 1, reading=reading, labelled=False, known=lambda a, b: ~allowed[a, b], credit=credit
    )


@pytest.mark.parametrize("reading", ["closed", "published"])
def test_exhaustive_search_finds_the_two_disjoint_pairs_that_greedy_cannot(reading):
    problem = crossing(reading)
    found = select(problem, picks=2, solver="exhaustive")
    assert found.pairs.tolist() == [[0, 1], [2, 3]]
    assert found.certificate.exact
    for solver in ("greedy", "relaxed"):
        one = select(problem, picks=2, solver=solver)
        assert one.pairs.tolist() == [[1, 2]]
        assert (
            "1 of 2 picks: beside these no pair is left, other picks may leave more" in one.certificate.note
        )
    assert not one.certificate.exact


@pytest.mark.parametrize("solver", ["greedy", "exhaustive", "relaxed"])
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_no_feasible_pair_is_no_pick_for_any_solver(solver, reading):
    found = select(replace(crossing(reading), known=everything), picks=2, solver=solver)
    assert found.pairs.shape == (0, 2)
    assert found.scores["total"].shape == (0,)


def test_a_star_holds_one_pair_however_many_are_asked():
    form, _ = make_problem(7, 6, labelled=False, known=lambda a, b: (a != 0) & (b != 0)).form(3)
    assert len(form.pairs) == 6
    best = min(range(6), key=lambda place: form.value(torch.tensor([place])))
    assert solve_exhaustive(form).tolist() == [best]
    chosen, bound = solve_relaxed(replace(form, picks=1))
    assert chosen.tolist() == [best]
    assert bound <= form.value(chosen) + 1e-9


def test_a_bound_on_fewer_pairs_is_not_called_one_on_as_many_as_were_asked_for():
    two, one = (select(crossing(), picks=2, solver=solver) for solver in ("exhaustive", "relaxed"))
    assert len(one.pairs) < len(two.pairs)
    assert one.certificate.lower_bound is None


@pytest.mark.usefixtures("unchecked")
def test_relaxed_picks_as_many_as_greedy_and_leaves_no_pair_beside_them():
    for seed in range(40):
        g = torch.Generator().manual_seed(seed)
        known = torch.rand(15, 15, generator=g) < 0.85
        known = known | known.T
        problem = make_problem(
            15, 6, seed, reading="closed", labelled=False, known=lambda a, b, known=known: known[a, b]
        )
        found = {solver: select(problem, picks=7, solver=solver).pairs for solver in ("greedy", "relaxed")}
        assert len(found["relaxed"]) >= len(found["greedy"])
        free = torch.ones(15, dtype=torch.bool)
        free[found["relaxed"]] = False
        assert not bool((free[:, None] & free & ~known & ~torch.eye(15, dtype=torch.bool)).any())


@pytest.mark.usefixtures("unchecked")
def test_costs_that_are_no_numbers_are_refused_and_not_called_the_end():
    for reading in ("closed", "published"):
        problem = make_problem(8, 6, reading=reading)
        for change in (
            {"beta": 1.7e308, "weights": Weights(1.0, 5.0, 5.0)},
            {"credit": torch.full((8,), 1e308, dtype=torch.float64)},
            {"credit": torch.full((8,), -1e308, dtype=torch.float64)},
            {"calibration": Calibration(1e308, 0.0)},
            {"means": problem.means * (1e-310 if reading == "closed" else 1e300)},
        ):
            with pytest.raises(
                ValueError, match=r"must give costs that are numbers|must be finite and above 0"
            ):
                select(replace(problem, **change), picks=2)


@pytest.mark.usefixtures("unchecked")
def test_masks_in_place_of_positions_and_numbers_in_place_of_masks_are_refused():
    mask = torch.tensor([False, False, True, True, True, True, True, True])
    for reading, name, value, message in (
        ("closed", "candidates", mask.long(), "true or false for each of the 8 items; got 8 of torch.int64"),
        (
            "closed",
            "candidates",
            mask.float(),
            "true or false for each of the 8 items; got 8 of torch.float32",
        ),
        ("closed", "labelled_items", mask, "labelled_items must be positions .* got bool"),
        ("closed", "labelled_items", torch.tensor([1.0]), "labelled_items must be .* got float32"),
        (
            "published",
            "labelled_pairs",
            mask.view(4, 2),
            "labelled_pairs must be positions .* got bool",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make_problem(reading=reading, **{name: value})
    for picks in (2.5, float("nan")):
        with pytest.raises(ValueError, match="picks must be at least 1, a whole number"):
            select(make_problem(), picks=picks)
    pairs = torch.zeros(1, 2, 3)
    with pytest.raises(ValueError, match="kind must be one of invariant, matched"):
        pair_kernel(pairs, pairs, bandwidth=1.0, kind="match")
