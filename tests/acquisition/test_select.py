"""The acquisition objective against brute force, and every solver against the others."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from dhaps_core.acquisition import closed, published
from dhaps_core.acquisition import means as kernel_means
from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.problem import Weights, uncertainty
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.quadratic import solve_exhaustive, solve_greedy, solve_relaxed
from dhaps_core.acquisition.select import select
from dhaps_core.pairs import pair_kernel
from tests.acquisition.given import SIGMA, everything, make_problem
from tests.reference import mmd_squared


def printed_terms(problem, chosen):
    """s1, s2, s3 of the paper by loops over explicit sets of pairs, population P x P."""
    n, q = len(problem.space), len(chosen)
    everyone = list(itertools.product(range(n), repeat=2))
    labelled = [tuple(p) for p in problem.labelled_pairs.tolist()]
    unlabelled = [p for p in everyone if p not in labelled]
    n_p, u, total = len(everyone), len(unlabelled), len(labelled) + q

    def k(x, t):
        points = problem.space
        return float(pair_kernel(points[list(x)][None], points[list(t)][None], bandwidth=SIGMA))

    relaxed = problem.relaxed
    s1 = sum(math.log1p(math.exp(abs(float(relaxed[a] @ relaxed[b]) / 2))) for a, b in chosen)
    s2 = -total / n_p * sum(k(x, t) for x in chosen for t in unlabelled)
    s3 = 0.5 * sum(k(x, t) for x in chosen for t in chosen)
    s3 += (u - q) / n_p * sum(k(x, t) for x in chosen for t in labelled)
    return s1 / total, s2, s3, total


def test_uncertainty_by_hand():
    torch.testing.assert_close(
        uncertainty(torch.tensor([0.0, -2.0, 2.0])),
        torch.tensor([math.log(2), math.log1p(math.exp(2)), math.log1p(math.exp(2))]),
    )


def test_s2_plus_s3_is_the_mmd_up_to_a_constant():
    problem = make_problem(6, 4)
    everyone = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    differences = []
    for chosen in itertools.combinations(itertools.combinations(range(6), 2), 2):
        if {tuple(p) for p in problem.labelled_pairs.tolist()} & set(chosen):
            continue
        _, s2, s3, total = printed_terms(problem, chosen)
        supervised = torch.cat([problem.labelled_pairs, torch.tensor(chosen)])
        mmd = mmd_squared(problem.space[everyone], problem.space[supervised], SIGMA)
        differences.append(s2 + s3 - total**2 / 2 * mmd)
    assert len(differences) > 50
    assert max(differences) - min(differences) < 1e-9


def test_quadratic_form_and_scores_are_the_printed_objective():
    problem = make_problem(7, 5, beta=1.7, weights=Weights(0.8, 1.3, 0.6))
    pairs = torch.tensor([p for p in itertools.combinations(range(7), 2) if p not in {(0, 1), (2, 5)}])
    form = problem.dense(pairs, 2)
    for picked in ([0, 18], [3, 12], [7, 16]):
        chosen = [tuple(p) for p in pairs[picked].tolist()]
        s1, s2, s3, total = printed_terms(problem, chosen)
        scale = problem.beta * 2 / total**2
        expected = 0.8 * s1 + scale * (1.3 * s2 + 0.6 * s3)
        assert form.value(torch.tensor(picked)) == pytest.approx(expected)
        terms = problem.scores(pairs[picked], 2)
        assert float(terms["uncertainty"].sum()) == pytest.approx(0.8 * s1)
        assert float(terms["representativeness"].sum()) == pytest.approx(scale * 1.3 * s2)
        assert float(terms["diversity"].sum()) == pytest.approx(scale * 0.6 * s3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(8))
def test_published_greedy_is_greedy_over_all_pairs(seed, dtype):
    problem = make_problem(60, 8, seed, dtype=dtype, weights=Weights(0.5, 1.0, 1.0), beta=3.0)
    form, _ = problem.form(12)
    slow = form.pairs[solve_greedy(form)]
    found = select(problem, picks=12)
    assert found.certificate.exact
    assert found.certificate.pairs == 60 * 59 // 2
    assert found.pairs.tolist() == slow.tolist()
    everyone = {tuple(p): i for i, p in enumerate(form.pairs.tolist())}
    value = form.value(torch.tensor([everyone[tuple(p)] for p in found.pairs.tolist()]))
    assert value == pytest.approx(form.value(solve_greedy(form)), rel=1e-5)


def closed_step(problem, chosen, pair):
    """Cost of one pick of the reading `closed`, by loops."""

    def k(i, j):
        return math.exp(-float((problem.space[i] - problem.space[j]).square().sum()) / (2 * SIGMA**2))

    (a, b), n, w = pair, len(problem.space), problem.weights
    theta = float(problem.relaxed[a] @ problem.relaxed[b]) / 2
    g = sum(k(a, s) + k(b, s) for s in chosen)
    m = [sum(k(i, j) for j in range(n)) / n for i in range(n)]
    inner = w.diversity * (g + k(a, b)) / (len(chosen) + 2) - w.representativeness * (m[a] + m[b])
    return w.uncertainty * math.log1p(math.exp(abs(theta))) + problem.beta / max(m) * inner


@pytest.mark.parametrize("seed", range(4))
def test_closed_greedy_takes_the_best_of_all_pairs_at_every_step(seed):
    candidates = ~torch.isin(torch.arange(14), torch.tensor([0, 1, 2, 5]))
    weights = Weights(0.1, 1.2, 0.9)
    problem = make_problem(14, 6, seed, reading="closed", weights=weights, beta=0.8, candidates=candidates)
    found = select(problem, picks=4)
    assert found.certificate.exact
    chosen, free = problem.labelled_items.tolist(), candidates.nonzero().flatten().tolist()
    for pick, total in zip(found.pairs.tolist(), found.scores["total"].tolist(), strict=True):
        costs = {pair: closed_step(problem, chosen, pair) for pair in itertools.combinations(free, 2)}
        best = min(costs, key=costs.get)
        assert pick == list(best)
        assert total == pytest.approx(costs[best])
        chosen += best
        free = [i for i in free if i not in best]


@pytest.mark.parametrize("seed", range(4))
def test_closed_greedy_does_not_depend_on_how_many_items_it_puts_in_order(seed, monkeypatch):
    problem = make_problem(90, 6, seed, reading="closed", weights=Weights(0.5, 1.0, 1.0))
    found = select(problem, picks=12)
    monkeypatch.setattr(closed, "PREFIX", 2)
    again = select(problem, picks=12)
    assert again.pairs.tolist() == found.pairs.tolist()
    assert again.certificate.exact


def sampled(monkeypatch, n, **given):
    """A problem in a pool that is too large for exact means."""
    problem = make_problem(n, 8, dtype=torch.float32, **given)
    monkeypatch.setattr(kernel_means, "EXACT_ITEMS", 50)
    with pytest.raises(ValueError, match="means over more than 50 items need a generator"):
        make_problem(n, 8, **given)
    generator = torch.Generator().manual_seed(0)
    return replace(problem, means=pool_kernel_means(problem.space, bandwidth=SIGMA, generator=generator))


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_sampled_means_are_no_certificate(reading, monkeypatch):
    found = select(sampled(monkeypatch, 60, reading=reading), picks=2)
    assert not found.certificate.exact
    assert "kernel means over a random" in found.certificate.note


def test_a_dense_problem_passes_on_that_means_were_sampled(monkeypatch):
    problem = sampled(monkeypatch, 80, kernel="matched")
    found = select(problem, picks=2, generator=torch.Generator().manual_seed(0))
    assert not found.certificate.exact
    assert found.certificate.note.startswith("kernel means over a random")
    assert "; matched kernel: sums over all pairs from" in found.certificate.note


def test_a_huge_pool_is_cut_to_the_greatest_means_and_says_so(monkeypatch):
    problem = sampled(monkeypatch, 60)
    monkeypatch.setattr(published, "MOST_CANDIDATES", 20)
    found = select(replace(problem), picks=8)
    assert set(found.pairs.flatten().tolist()) <= set(problem.means.topk(20).indices.tolist())
    assert found.certificate.pairs == 20 * 19 // 2
    assert not found.certificate.exact
    assert found.certificate.note.endswith("; pairs among the 20 items with the greatest of them")


def test_closed_bound_looks_at_few_of_many_pairs():
    problem = make_problem(3000, 16, reading="closed", weights=Weights(0.03, 1.0, 1.0))
    found = select(problem, picks=40)
    assert found.certificate.exact
    assert found.certificate.margin >= 0
    assert found.certificate.scored / 40 < found.certificate.pairs / 100
    assert len(found.pairs.unique()) == 80


@pytest.mark.parametrize("reading", ["published", "closed"])
@pytest.mark.parametrize("seed", range(3))
def test_solvers_against_each_other(reading, seed):
    problem = make_problem(9, 6, seed, reading=reading, beta=2.0, weights=Weights(0.2, 1.0, 1.0))
    form, _ = problem.form(3)
    best = form.value(solve_exhaustive(form))
    chosen, bound = solve_relaxed(form)
    assert bound <= best + 1e-9
    assert len(form.pairs[chosen].unique()) == 6
    assert form.value(chosen) >= best - 1e-9
    assert form.value(solve_greedy(form)) >= best - 1e-9
    assert form.value(chosen) - best < 0.1 * abs(best)


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_one_pick_is_the_same_for_every_exact_solver(reading):
    for seed in range(6):
        problem = make_problem(12, 6, seed, reading=reading, weights=Weights(0.1, 1.0, 1.0))
        found = {
            solver: select(problem, picks=1, solver=solver).pairs.tolist()
            for solver in ("greedy", "exhaustive", "relaxed")
        }
        assert found["greedy"] == found["exhaustive"] == found["relaxed"]


def test_matched_kernel_small_pool_is_exact_and_large_pool_says_what_it_did():
    problem = make_problem(12, 6, kernel="matched")
    small = select(problem, picks=3)
    assert small.certificate.exact
    everyone = torch.cartesian_prod(torch.arange(12), torch.arange(12))
    form = problem.dense(problem.feasible_pairs(), 3, everyone)
    assert small.pairs.tolist() == form.pairs[solve_greedy(form)].tolist()
    problem = make_problem(300, 8, kernel="matched")
    large = select(problem, picks=5, generator=torch.Generator().manual_seed(0))
    assert not large.certificate.exact
    assert "random pairs" in large.certificate.note
    assert len(large.pairs.unique()) == 10
    with pytest.raises(ValueError, match="got no generator"):
        select(problem, picks=5)


@pytest.mark.parametrize("picks", [1, 50, 100, 150])
@pytest.mark.parametrize("spread", [1.0, 0.0])
def test_with_the_matched_kernel_a_large_pool_gives_as_many_pairs_as_are_asked_for(picks, spread):
    points = torch.full((300, 4), 0.5) + spread * torch.randn(
        300, 4, generator=torch.Generator().manual_seed(1)
    )
    problem = Published(points.tanh(), space=points, bandwidth=1.0, kernel="matched")
    found = select(problem, picks=picks, generator=torch.Generator().manual_seed(0))
    assert len(found.pairs) == picks
    assert len(found.pairs.unique()) == 2 * picks


def test_with_the_matched_kernel_picks_leave_the_densest_place_of_a_large_pool():
    # Half of the items lie in one spot, where the best pairs of a first step are; the rest in four others.
    spots = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0], [5.0, 5.0]])
    spot = torch.cat([torch.zeros(200, dtype=torch.long), torch.arange(200) % 4 + 1])
    points = spots[spot] + 0.01 * torch.randn(400, 2, generator=torch.Generator().manual_seed(1))
    problem = Published(torch.zeros(400, 2), space=points, bandwidth=1.0, kernel="matched")
    found = select(problem, picks=12, generator=torch.Generator().manual_seed(0))
    assert len(spot[found.pairs].unique()) == 5


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_known_pairs_are_never_asked_and_candidates_are_obeyed(reading):

    def known(a, b):
        return (a + b) % 3 == 0

    candidates = torch.arange(40) % 4 != 0
    problem = make_problem(40, 6, reading=reading, known=known, candidates=candidates)
    found = select(problem, picks=30)
    assert 10 <= len(found.pairs) <= 15  # 30 candidates make at most 15 disjoint pairs
    assert not known(*found.pairs.unbind(1)).any()
    assert candidates[found.pairs].all()
    nothing = select(replace(problem, known=everything), picks=30)
    assert nothing.pairs.shape == (0, 2)
    assert nothing.scores["total"].shape == (0,)


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_credit_draws_the_picks(reading):
    credit = torch.zeros(40, dtype=torch.float64)
    credit[[7, 31]] = 50.0
    found = select(make_problem(40, 6, reading=reading, credit=credit), picks=1)
    assert found.pairs.tolist() == [[7, 31]]
    assert found.certificate.exact


def test_weights_ablate_one_term_each():
    problem = make_problem(30, 6, reading="closed")
    only = {
        "uncertainty": Weights(1.0, 0.0, 0.0),
        "representativeness": Weights(0.0, 1.0, 0.0),
        "diversity": Weights(0.0, 0.0, 1.0),
    }
    found = {name: select(replace(problem, weights=weights), picks=1) for name, weights in only.items()}
    pairs = problem.feasible_pairs()
    least = problem.pair_uncertainties(pairs).argmin()
    assert found["uncertainty"].pairs[0].tolist() == pairs[least].tolist()
    # With representativeness alone the two densest items are picked.
    dense = problem.means[found["representativeness"].pairs[0]].sum()
    torch.testing.assert_close(dense, problem.means.topk(2).values.sum())
    for name, selection in found.items():
        for term in only:
            assert (float(selection.scores[term].abs().sum()) > 0) == (term == name)


def test_calibration_moves_the_most_uncertain_pair():
    line = Calibration(slope=1.0, intercept=-1.5)
    problem = make_problem(30, 6, reading="closed", weights=Weights(1.0, 0.0, 0.0), calibration=line)
    a, b = select(problem, picks=1).pairs[0]
    assert float(problem.relaxed[a] @ problem.relaxed[b]) / 2 == pytest.approx(1.5, abs=0.2)


@pytest.mark.usefixtures("unchecked")
def test_errors_say_what_must_hold():
    problem = make_problem()
    with pytest.raises(ValueError, match="problem must be a Closed or a Published; got 3"):
        select(3, picks=1)
    with pytest.raises(ValueError, match="picks must be at least 1"):
        select(problem, picks=0)
    with pytest.raises(ValueError, match="solver must be one of greedy, exhaustive, relaxed; got 'best'"):
        select(problem, picks=1, solver="best")
    for change, message in (
        (
            {"kernel": "matche"},
            "kernel must be one of invariant, matched; got 'matche'. Did you mean matched",
        ),
        ({"space": problem.space[:3]}, "space must be finite for each of the 8 items; got 3"),
        (
            {"space": problem.space * float("nan")},
            "got 8 of torch.float64, 48 of them wrong",
        ),
        ({"relaxed": problem.relaxed[:1]}, "a pool must have 2 items or more; got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(problem, **change)
    with pytest.raises(ValueError, match="diversity must be a number from 0; got -1"):
        Weights(1.0, 1.0, -1.0)
    large = make_problem(400, 6)
    with pytest.raises(ValueError, match="takes at most 20000 pairs; got 79800"):
        select(large, picks=2, solver="exhaustive")


def test_where_no_term_weighs_anything_the_first_pairs_are_picked_however_short_the_list_is(monkeypatch):
    monkeypatch.setattr("dhaps_core.acquisition.published.LISTED", 3)
    for name, size in {"TILE": (4, 4), "FIRST_ROWS": 2, "WAVE": 2}.items():
        monkeypatch.setattr(f"dhaps_core.acquisition.shortlist.{name}", size)
    for seed in range(5):
        problem = make_problem(9, seed=seed, labelled=False, weights=Weights(0.0, 1.0, 1.0), beta=0.0)
        assert select(problem, picks=3).pairs.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labelled_pairs": torch.tensor([0, 1])}, r"labelled_pairs must have the shape \[l, 2\]; got \[2\]"),
        ({"labelled_pairs": torch.tensor([[0, 1, 2]])}, r"the shape \[l, 2\]; got \[1, 3\]"),
        ({"credit": torch.ones(8, 1)}, r"credit must have the shape \[n\]; got \[8, 1\]"),
        ({"means": torch.ones(8, 1)}, r"means must have the shape \[n\]"),
        ({"candidates": torch.ones(8, 1, dtype=torch.bool)}, r"candidates must have the shape \[n\]"),
        ({"space": torch.ones(8)}, r"space must have the shape \[n, d\]; got \[8\]"),
    ],
)
def test_parts_of_a_problem_have_their_shapes(change, message):
    with pytest.raises(ValueError, match=message):
        replace(make_problem(), **change)
    with pytest.raises(ValueError, match=r"labelled_items must have the shape \[n\]; got \[1, 2\]"):
        replace(make_problem(reading="closed"), labelled_items=torch.tensor([[0, 1]]))


def test_a_reading_has_weights_of_its_own():
    codes = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert Published(codes, space=codes, bandwidth=1.0).weights == Weights(1.0, 1.0, 1.0)
    assert closed.Closed(codes, space=codes, bandwidth=1.0).weights == Weights(0.03, 1.0, 1.0)
