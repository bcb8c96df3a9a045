"""The cheapest of all pairs from bounds, against the list of all costs."""

from dataclasses import replace

import pytest
import torch

from dhaps_core.acquisition import published, shortlist
from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.quadratic import solve_greedy
from tests.acquisition.given import SIGMA, make_problem, on

NONE = torch.zeros(0, 2, dtype=torch.long)

CASES = {
    "as it is": {},
    "nothing labelled": {"labelled": False},
    "uncertainty rules": {"weights": Weights(1.0, 1e-6, 1e-6)},
    "no uncertainty": {"weights": Weights(0.0, 1.0, 1.0)},
    "kernels rule": {"weights": Weights(0.01, 1.0, 1.0), "beta": 50.0},
    "wide kernel": {"bandwidth": 8.0},
    "narrow kernel": {"bandwidth": 0.3},
    "credits": {"credit": torch.linspace(0, 0.02, 120, dtype=torch.float64).flip(0)},
    "calibrated": {"calibration": Calibration(-0.7, 1.3)},
    "half of the items": {"candidates": torch.arange(120) % 2 == 0},
    "some pairs known": {"known": lambda a, b: (a + b) % 3 == 0},
}


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(shortlist, "TILE", (16, 32))
    monkeypatch.setattr(shortlist, "FIRST_ROWS", 4)


def problem_of(case):
    return make_problem(120, 10, 3, **CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_cost_of_a_pair_is_what_it_adds_to_the_objective(case):
    problem = problem_of(case)
    form, _ = problem.form(6)
    picked = torch.tensor([5, 700])
    costs = problem.costs(form.pairs, form.pairs[picked], 6)
    for place in (0, 17, 1000):
        added = form.value(torch.cat([picked, torch.tensor([place])])) - form.value(picked)
        assert float(costs[place]) == pytest.approx(added, rel=1e-9)


@pytest.mark.parametrize("most", [1, 25])
@pytest.mark.parametrize("case", CASES)
def test_the_list_holds_the_cheapest_of_all_pairs(case, most):
    problem = problem_of(case)
    every = problem.feasible_pairs()
    picks = every[torch.tensor([5, 700])]
    free = problem.candidates.clone()
    free[picks] = False
    every = every[free[every].all(1)]
    costs = problem.costs(every, picks, 6)
    found = problem.shortlist(6, free, picks, most=most)
    assert len(found.pairs) >= most
    assert float(costs.sort().values[most - 1]) <= found.bound
    wanted = every[costs <= found.bound]
    assert found.pairs.tolist() == wanted.tolist()
    torch.testing.assert_close(found.costs, costs[costs <= found.bound])
    again = problem.shortlist(6, free, picks, most=most, worst=found.bound)  # its bound may be a nearer one
    assert most <= len(again.pairs) <= len(wanted)
    assert again.pairs.tolist() == every[costs <= again.bound].tolist()


def test_threads_change_nothing():
    problem = make_problem(400, 12)
    before, found = torch.get_num_threads(), {}
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found[threads] = problem.shortlist(8, problem.candidates, problem.labelled_pairs, most=40)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert torch.equal(found[1].pairs, found[3].pairs)
    assert torch.equal(found[1].costs, found[3].costs)
    assert (found[1].bound, found[1].scored) == (found[3].bound, found[3].scored)


def test_few_pairs_are_all_listed():
    problem = make_problem(9, 6)
    found = problem.shortlist(2, problem.candidates, NONE, most=100)
    assert found.pairs.tolist() == problem.feasible_pairs().tolist()
    assert found.bound == float("inf")


def test_almost_no_pair_is_scored_where_uncertainty_rules():
    problem = make_problem(1500, 16, weights=Weights(1.0, 1e-6, 1e-6))
    found = problem.shortlist(2, problem.candidates, NONE, most=50)
    assert found.scored < 1500 * 1499 / 2 / 20


@pytest.mark.parametrize("case", CASES)
def test_greedy_with_many_short_lists_is_greedy_over_all_pairs(case, monkeypatch):
    monkeypatch.setattr(published, "LISTED", 3)
    problem = problem_of(case)
    form, _ = problem.form(15)
    picks, scored, margin = problem.greedy(15)
    assert picks.tolist() == form.pairs[solve_greedy(form)].tolist()
    assert margin >= 0
    assert scored < 15 * len(form.pairs)


def test_greedy_stops_when_every_item_is_used(monkeypatch):
    monkeypatch.setattr(published, "LISTED", 2)
    problem = make_problem(9, 6)
    picks, _, _ = problem.greedy(20)
    assert len(picks) == 4
    alone = replace(problem, candidates=torch.arange(9) == 2)
    assert len(alone.greedy(20)[0]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_float32_bounds_stay_below_costs_of_float32_codes(seed):
    problem = make_problem(400, 64, seed, dtype=torch.float32)
    costs = problem.costs(problem.feasible_pairs(), NONE, 8)
    found = problem.shortlist(8, problem.candidates, NONE, most=300)
    missing = int((costs < found.bound * (1 - 1e-6)).sum()) - len(found.pairs)
    assert missing <= 0


@pytest.mark.parametrize("case", CASES)
def test_picks_on_the_device_are_greedy_over_all_pairs(case, device):
    problem = problem_of(case)
    form, _ = problem.form(10)
    picks, _, margin = on(device, problem).greedy(10)
    assert picks.device.type == device.type
    assert picks.tolist() == form.pairs[solve_greedy(form)].tolist()
    assert margin >= 0


def test_closed_picks_on_the_device_are_those_of_the_cpu(device):
    problem = make_problem(120, 10, 3, reading="closed")
    picks, _, margin = on(device, problem).greedy(10)
    assert picks.tolist() == problem.greedy(10)[0].tolist()
    assert margin >= 0


def test_with_near_ties_everywhere_few_pairs_are_scored(monkeypatch):
    """Each pick then needs a list of its own; what is left of one says how far the next has to look."""
    monkeypatch.setattr(shortlist, "TILE", (32, 64))
    monkeypatch.setattr(published, "LISTED", 64)
    scored = []

    def listed(problem, *args, **options):
        scored.append((found := made(problem, *args, **options)).scored)
        return found

    made = published.Published.shortlist
    monkeypatch.setattr(published.Published, "shortlist", listed)
    make_problem(600, 16).greedy(1)
    assert scored.pop() < 2000  # of 179,700
    make_problem(600, 16, bandwidth=2 * SIGMA).greedy(24)
    assert len(scored) == 24
    assert max(scored[2:]) < 1500
