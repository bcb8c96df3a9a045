"""The acquisition objective against brute force, and every solver against the others."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from dhaps_core.acquisition import greedy
from dhaps_core.acquisition import means as kernel_means
from dhaps_core.acquisition import select as acquisition
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.problem import Pool
from dhaps_core.acquisition.quadratic import quadratic_form, solve_exhaustive, solve_greedy, solve_relaxed
from dhaps_core.acquisition.select import Calibration, Weights, select_pairs, select_random, uncertainty
from dhaps_core.pairs import kernel_means as item_means
from dhaps_core.pairs import mmd_squared, pair_kernel

SIGMA = 2.0


def make_pool(n=8, b=6, seed=0, *, reading="published", dtype=torch.float64, picks=2, **changes):
    generator = torch.Generator().manual_seed(seed)
    relaxed = torch.tanh(torch.randn(n, b, generator=generator, dtype=torch.float64) * 2).to(dtype)
    space = torch.where(relaxed >= 0, 1.0, -1.0).to(dtype)
    pool = Pool(
        relaxed=relaxed,
        space=space,
        bandwidth=SIGMA,
        means=item_means(space, bandwidth=SIGMA),
        candidates=torch.ones(n, dtype=torch.bool),
        labelled_pairs=torch.tensor([[0, 1], [2, 5]]),
        labelled_items=torch.tensor([0, 1, 2, 5]),
        picks=picks,
        reading=reading,
        weights=Weights(1.0, 1.0, 1.0),
        beta=1.0,
        credit=torch.zeros(n, dtype=dtype),
        calibration=Calibration(),
        known=None,
    )
    return replace(pool, **changes)


def arguments(pool):
    """The same problem for the public function."""
    return {
        "picks": pool.picks, "space": pool.space, "bandwidth": pool.bandwidth, "reading": pool.reading,
        "weights": pool.weights, "beta": pool.beta, "labelled_pairs": pool.labelled_pairs,
        "labelled_items": pool.labelled_items, "candidates": pool.candidates, "known": pool.known,
        "credit": pool.credit, "calibration": pool.calibration,
    }  # fmt: skip


def printed_terms(pool, chosen):
    """s1, s2, s3 of the paper by loops over explicit sets of pairs, population P x P."""
    n, q = len(pool.space), len(chosen)
    everything = list(itertools.product(range(n), repeat=2))
    labelled = [tuple(p) for p in pool.labelled_pairs.tolist()]
    unlabelled = [p for p in everything if p not in labelled]
    n_p, u, total = len(everything), len(unlabelled), len(labelled) + q

    def k(x, t):
        points = pool.space
        return float(pair_kernel(points[list(x)][None], points[list(t)][None], bandwidth=SIGMA))

    s1 = sum(math.log1p(math.exp(abs(float(pool.relaxed[a] @ pool.relaxed[b]) / 2))) for a, b in chosen)
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
    pool = make_pool(6, 4)
    everything = torch.cartesian_prod(torch.arange(6), torch.arange(6))
    differences = []
    for chosen in itertools.combinations(itertools.combinations(range(6), 2), 2):
        if {tuple(p) for p in pool.labelled_pairs.tolist()} & set(chosen):
            continue
        _, s2, s3, total = printed_terms(pool, chosen)
        supervised = torch.cat([pool.labelled_pairs, torch.tensor(chosen)])
        mmd = mmd_squared(pool.space[everything], pool.space[supervised], bandwidth=SIGMA)
        differences.append(s2 + s3 - total**2 / 2 * float(mmd))
    assert len(differences) > 50
    assert max(differences) - min(differences) < 1e-9


def test_quadratic_form_and_scores_are_the_printed_objective():
    pool = make_pool(7, 5, beta=1.7, weights=Weights(0.8, 1.3, 0.6))
    pairs = torch.tensor([p for p in itertools.combinations(range(7), 2) if p not in {(0, 1), (2, 5)}])
    form = quadratic_form(pool, pairs)
    from dhaps_core.acquisition.select import separate_terms

    for picked in ([0, 18], [3, 12], [7, 16]):
        chosen = [tuple(p) for p in pairs[picked].tolist()]
        s1, s2, s3, total = printed_terms(pool, chosen)
        scale = pool.beta * 2 / total**2
        expected = 0.8 * s1 + scale * (1.3 * s2 + 0.6 * s3)
        assert form.value(torch.tensor(picked)) == pytest.approx(expected)
        terms = separate_terms(pool, pairs[picked])
        assert float(terms["uncertainty"].sum()) == pytest.approx(0.8 * s1)
        assert float(terms["representativeness"].sum()) == pytest.approx(scale * 1.3 * s2)
        assert float(terms["diversity"].sum()) == pytest.approx(scale * 0.6 * s3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(8))
def test_published_greedy_is_greedy_over_all_pairs(seed, dtype):
    pool = make_pool(60, 8, seed, picks=12, dtype=dtype, weights=Weights(0.5, 1.0, 1.0), beta=3.0)
    form = quadratic_form(pool, pool.feasible_pairs())
    slow = form.pairs[solve_greedy(form)]
    found = select_pairs(pool.relaxed, **arguments(pool))
    assert found.certificate.exact
    assert found.certificate.pairs == 60 * 59 // 2
    if dtype == torch.float64:
        assert found.pairs.tolist() == slow.tolist()
    everyone = {tuple(p): i for i, p in enumerate(form.pairs.tolist())}
    value = form.value(torch.tensor([everyone[tuple(p)] for p in found.pairs.tolist()]))
    assert value == pytest.approx(form.value(solve_greedy(form)), rel=1e-5)


def closed_step(pool, chosen, pair):
    """Cost of one pick of the reading `closed`, by loops."""

    def k(i, j):
        return math.exp(-float((pool.space[i] - pool.space[j]).square().sum()) / (2 * SIGMA**2))

    a, b = pair
    theta = float(pool.relaxed[a] @ pool.relaxed[b]) / 2
    g = sum(k(a, s) + k(b, s) for s in chosen)
    m = [sum(k(i, j) for j in range(len(pool.space))) / len(pool.space) for i in range(len(pool.space))]
    inner = pool.weights.diversity * (g + k(a, b)) / (len(chosen) + 2)
    inner -= pool.weights.representativeness * (m[a] + m[b])
    return pool.weights.uncertainty * math.log1p(math.exp(abs(theta))) + pool.beta / max(m) * inner


@pytest.mark.parametrize("seed", range(4))
def test_closed_greedy_takes_the_best_of_all_pairs_at_every_step(seed):
    pool = make_pool(14, 6, seed, reading="closed", picks=4, weights=Weights(0.1, 1.2, 0.9), beta=0.8)
    candidates = pool.candidates.clone()
    candidates[pool.labelled_items] = False
    pool = replace(pool, candidates=candidates)
    found = select_pairs(pool.relaxed, **arguments(pool))
    assert found.certificate.exact
    chosen, free = pool.labelled_items.tolist(), candidates.nonzero().flatten().tolist()
    for pick, total in zip(found.pairs.tolist(), found.scores["total"].tolist(), strict=True):
        costs = {pair: closed_step(pool, chosen, pair) for pair in itertools.combinations(free, 2)}
        best = min(costs, key=costs.get)
        assert pick == list(best)
        assert total == pytest.approx(costs[best])
        chosen += best
        free = [i for i in free if i not in best]


@pytest.mark.parametrize("seed", range(4))
def test_closed_greedy_does_not_depend_on_how_many_items_it_puts_in_order(seed, monkeypatch):
    pool = make_pool(90, 6, seed, reading="closed", picks=12, weights=Weights(0.5, 1.0, 1.0))
    found = select_pairs(pool.relaxed, **arguments(pool))
    monkeypatch.setattr(greedy, "PREFIX", 2)
    again = select_pairs(pool.relaxed, **arguments(pool))
    assert again.pairs.tolist() == found.pairs.tolist()
    assert again.certificate.exact


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_sampled_means_are_no_certificate(reading, monkeypatch):
    monkeypatch.setattr(kernel_means, "EXACT_ITEMS", 50)
    pool = make_pool(60, 8, reading=reading, dtype=torch.float32)
    found = select_pairs(pool.relaxed, **arguments(pool), generator=torch.Generator().manual_seed(0))
    assert not found.certificate.exact
    assert "kernel means over a random" in found.certificate.note


def test_a_dense_problem_passes_on_that_means_were_sampled(monkeypatch):
    monkeypatch.setattr(kernel_means, "EXACT_ITEMS", 50)
    pool = make_pool(80, 8, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    found = select_pairs(pool.relaxed, **arguments(pool), kernel="matched", generator=generator)
    assert not found.certificate.exact
    assert found.certificate.note.startswith("kernel means over a random")
    assert "; matched kernel: sums over all pairs from" in found.certificate.note


def test_a_huge_pool_is_cut_to_the_greatest_means_and_says_so(monkeypatch):
    monkeypatch.setattr(kernel_means, "EXACT_ITEMS", 50)
    monkeypatch.setattr(acquisition, "MOST_CANDIDATES", 20)
    pool = make_pool(60, 8, dtype=torch.float32, picks=8)
    found = select_pairs(pool.relaxed, **arguments(pool), generator=torch.Generator().manual_seed(0))
    means = pool_kernel_means(pool.space, bandwidth=SIGMA, generator=torch.Generator().manual_seed(0))
    assert set(found.pairs.flatten().tolist()) <= set(means.values.topk(20).indices.tolist())
    assert found.certificate.pairs == 20 * 19 // 2
    assert not found.certificate.exact
    assert found.certificate.note.endswith("; pairs among the 20 items with the greatest of them")


def test_closed_bound_looks_at_few_of_many_pairs():
    pool = make_pool(3000, 16, reading="closed", picks=40, weights=Weights(0.03, 1.0, 1.0))
    found = select_pairs(pool.relaxed, **arguments(pool))
    assert found.certificate.exact
    assert found.certificate.margin >= 0
    assert found.certificate.scored / 40 < found.certificate.pairs / 100
    assert len(found.pairs.unique()) == 80


@pytest.mark.parametrize("reading", ["published", "closed"])
@pytest.mark.parametrize("seed", range(3))
def test_solvers_against_each_other(reading, seed):
    pool = make_pool(9, 6, seed, reading=reading, picks=3, beta=2.0, weights=Weights(0.2, 1.0, 1.0))
    form = quadratic_form(pool, pool.feasible_pairs())
    best = form.value(solve_exhaustive(form))
    chosen, bound = solve_relaxed(form)
    assert bound <= best + 1e-9
    assert form.disjoint(chosen)
    assert form.value(chosen) >= best - 1e-9
    assert form.value(solve_greedy(form)) >= best - 1e-9
    assert form.value(chosen) - best < 0.1 * abs(best)


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_one_pick_is_the_same_for_every_exact_solver(reading):
    for seed in range(6):
        pool = make_pool(12, 6, seed, reading=reading, picks=1, weights=Weights(0.1, 1.0, 1.0))
        found = {
            solver: select_pairs(pool.relaxed, solver=solver, **arguments(pool)).pairs.tolist()
            for solver in ("greedy", "exhaustive", "relaxed")
        }
        assert found["greedy"] == found["exhaustive"] == found["relaxed"]


def test_matched_kernel_small_pool_is_exact_and_large_pool_says_what_it_did():
    pool = make_pool(12, 6, picks=3)
    small = select_pairs(pool.relaxed, kernel="matched", **arguments(pool))
    assert small.certificate.exact
    everything = torch.cartesian_prod(torch.arange(12), torch.arange(12))
    form = quadratic_form(pool, pool.feasible_pairs(), kind="matched", population=everything)
    assert small.pairs.tolist() == form.pairs[solve_greedy(form)].tolist()
    pool = make_pool(300, 8, picks=5)
    generator = torch.Generator().manual_seed(0)
    large = select_pairs(pool.relaxed, kernel="matched", generator=generator, **arguments(pool))
    assert not large.certificate.exact
    assert "random pairs" in large.certificate.note
    assert len(large.pairs.unique()) == 10
    with pytest.raises(ValueError, match="got no generator"):
        select_pairs(pool.relaxed, kernel="matched", **arguments(pool))


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_known_pairs_are_never_asked_and_candidates_are_obeyed(reading):

    def known(a, b):
        return (a + b) % 3 == 0

    candidates = torch.arange(40) % 4 != 0
    pool = make_pool(40, 6, reading=reading, picks=30, known=known, candidates=candidates)
    found = select_pairs(pool.relaxed, **arguments(pool))
    assert 10 <= len(found.pairs) <= 15  # 30 candidates make at most 15 disjoint pairs
    assert not known(*found.pairs.unbind(1)).any()
    assert candidates[found.pairs].all()
    nothing = select_pairs(
        pool.relaxed, **(arguments(pool) | {"known": lambda a, b: torch.ones_like(a + b, dtype=torch.bool)})
    )
    assert nothing.pairs.shape == (0, 2)
    assert nothing.scores["total"].shape == (0,)


@pytest.mark.parametrize("reading", ["published", "closed"])
def test_credit_draws_the_picks(reading):
    pool = make_pool(40, 6, reading=reading, picks=1)
    credit = torch.zeros(40, dtype=torch.float64)
    credit[[7, 31]] = 50.0
    found = select_pairs(pool.relaxed, **(arguments(pool) | {"credit": credit}))
    assert found.pairs.tolist() == [[7, 31]]
    assert found.certificate.exact


def test_weights_ablate_one_term_each():
    pool = make_pool(30, 6, picks=1, reading="closed")
    only = {
        "uncertainty": Weights(1.0, 0.0, 0.0),
        "representativeness": Weights(0.0, 1.0, 0.0),
        "diversity": Weights(0.0, 0.0, 1.0),
    }
    found = {k: select_pairs(pool.relaxed, **(arguments(pool) | {"weights": w})) for k, w in only.items()}
    pairs = pool.feasible_pairs()
    least = pool.pair_uncertainties(pairs).argmin()
    assert found["uncertainty"].pairs[0].tolist() == pairs[least].tolist()
    # With representativeness alone the two densest items are picked.
    dense = pool.means[found["representativeness"].pairs[0]].sum()
    torch.testing.assert_close(dense, pool.means.topk(2).values.sum())
    for name, selection in found.items():
        for term in only:
            assert (float(selection.scores[term].abs().sum()) > 0) == (term == name)


def test_calibration_moves_the_most_uncertain_pair():
    pool = make_pool(30, 6, picks=1, reading="closed", weights=Weights(1.0, 0.0, 0.0))
    shifted = select_pairs(
        pool.relaxed, **(arguments(pool) | {"calibration": Calibration(slope=1.0, intercept=-1.5)})
    ).pairs[0]
    theta = float(pool.relaxed[shifted[0]] @ pool.relaxed[shifted[1]]) / 2
    assert theta == pytest.approx(1.5, abs=0.2)


def test_random_picks_are_disjoint_unknown_and_set_by_the_generator():
    candidates = torch.arange(20) < 11

    def known(a, b):
        return (a - b).abs() == 1

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return select_random(candidates, picks=9, generator=generator, known=known)

    pairs = draw(0)
    assert len(pairs) in {4, 5}
    assert len(pairs.unique()) == pairs.numel()
    assert not known(*pairs.unbind(1)).any()
    assert draw(0).tolist() == pairs.tolist() != draw(1).tolist()


@pytest.mark.usefixtures("unchecked")
def test_errors_say_what_must_hold():
    pool = make_pool()
    for change, message in (
        ({"picks": 0}, "picks must be at least 1"),
        ({"reading": "open"}, "reading must be one of closed, published; got 'open'"),
        ({"space": pool.space[:3]}, "must describe the same items"),
        ({"space": pool.space * float("nan")}, "space must be finite; got 48"),
        ({"reading": "closed", "kernel": "matched"}, "needs the invariant kernel"),
    ):
        with pytest.raises(ValueError, match=message):
            select_pairs(pool.relaxed, **(arguments(pool) | change))
    with pytest.raises(ValueError, match="weight 'diversity' must be 0 or more; got -1"):
        Weights(1.0, 1.0, -1.0)
    large = make_pool(400, 6)
    with pytest.raises(ValueError, match="takes at most 20000 pairs; got 79800"):
        select_pairs(large.relaxed, solver="exhaustive", **arguments(large))
