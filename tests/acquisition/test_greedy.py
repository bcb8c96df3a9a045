"""Greedy selection ends, with the picks of brute force, whatever the numbers are: bounded work, no clock."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.acquisition import closed, published, quadratic, shortlist
from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.means import pool_kernel_means
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.quadratic import QuadraticForm
from dhaps_core.acquisition.select import select
from dhaps_core.acquisition.strategies import READINGS
from dhaps_core.pairs import median_bandwidth
from tests.acquisition.given import make_problem
from tests.reference import cost_tables, greedy_picks, written_out


def test_the_selection_that_never_ended_ends_with_the_picks_of_brute_force(real_data):
    with np.load(real_data / "selection_hang.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    problem = Closed(
        arrays["relaxed"], space=arrays["space"], bandwidth=float(arrays["bandwidth"]), means=arrays["means"],
        labelled_items=arrays["labelled"], candidates=arrays["candidates"],
    )  # fmt: skip
    found = select(problem, picks=50)
    picks = found.pairs.tolist()
    for pick, costs in zip(picks, cost_tables(written_out(problem, 50), picks), strict=False):
        assert pick == list(divmod(int(costs.argmin()), 2000))
    assert len(picks) == 50
    assert found.certificate.exact
    assert found.certificate.scored < 50 * found.certificate.pairs / 100


POINTS = {
    "drawn": lambda g, n: torch.randn(n, 3, generator=g),
    "ties": lambda g, n: torch.randint(0, 2, (n, 2), generator=g).float(),
    "equal": lambda g, n: torch.full((n, 3), 0.3),
    "two places": lambda g, n: torch.where(torch.rand(n, 1, generator=g) < 0.5, 1.0, 7.0),
    "near ties": lambda g, n: 1 + 1e-6 * torch.randn(n, 3, generator=g),
    "a dense cluster": lambda g, n: (
        torch.where(torch.arange(n)[:, None] < n - 2, 1e-3, 5.0) * torch.randn(n, 2, generator=g)
    ),
    "huge": lambda g, n: 1e20 * torch.randn(n, 3, generator=g),
    "tiny": lambda g, n: 1e-20 * torch.randn(n, 3, generator=g),
    "denormal": lambda g, n: 1e-41 * torch.randn(n, 3, generator=g),
    "far from the origin": lambda g, n: 1e4 + torch.randn(n, 3, generator=g),
    "constant columns": lambda g, n: torch.cat([torch.ones(n, 2), torch.randn(n, 1, generator=g)], 1),
}
CODES = {
    "drawn": lambda g, n: torch.tanh(2 * torch.randn(n, 4, generator=g)),
    "collapsed": lambda g, n: torch.full((n, 4), 0.99),
    "zero": lambda g, n: torch.zeros(n, 4),
    "signs": lambda g, n: torch.where(torch.rand(n, 4, generator=g) < 0.5, -1.0, 1.0),
    "near zero": lambda g, n: 1e-20 * torch.randn(n, 4, generator=g),
}
WEIGHTS = [(0.03, 1.0, 1.0), (1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
WEIGHTS += [(0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1e-30, 1.0, 1.0)]


CHOICES = st.fixed_dictionaries(
    {
        "n": st.integers(2, 14),
        "seed": st.integers(0, 10_000),
        "points": st.sampled_from(sorted(POINTS)),
        "codes": st.sampled_from(sorted(CODES)),
        "scale": st.sampled_from([0.1, 1.0]),
        "labelled": st.integers(0, 6),
        "ask again": st.booleans(),
        "answered": st.sampled_from([None, 0.0, 0.3, 1.0]),
        "picks": st.integers(1, 6),
        "reading": st.sampled_from(["closed", "published"]),
        "beta": st.sampled_from([1.0, 0.0, 1e3]),
        "weights": st.sampled_from(WEIGHTS),
        "credit": st.sampled_from([0.0, 1.0, 1e6]),
        "line": st.sampled_from([(1.0, 0.0), (-3.0, 0.5), (0.0, 0.0)]),
    }
)


def problem_of(choice):
    """A problem of the chosen kind."""
    n, g = choice["n"], torch.Generator().manual_seed(choice["seed"])
    space, relaxed = POINTS[choice["points"]](g, n), CODES[choice["codes"]](g, n)
    draw = torch.Generator().manual_seed(0)
    bandwidth = median_bandwidth(space, generator=draw, scale=choice["scale"])
    labelled = torch.randperm(n, generator=g)[: min(choice["labelled"], n // 2)]
    free = torch.ones(n, dtype=torch.bool)
    free[labelled] = choice["ask again"]
    known = torch.rand(n, n, generator=g) < (choice["answered"] or 0.0)
    known = known | known.T
    own = {
        "closed": {"labelled_items": labelled},
        "published": {"labelled_pairs": labelled[: len(labelled) // 2 * 2].view(-1, 2)},
    }
    return READINGS[choice["reading"]](
        relaxed, space=space, bandwidth=bandwidth, candidates=free,
        beta=choice["beta"], weights=Weights(*choice["weights"]),
        known=None if choice["answered"] is None else lambda a, b: known[a, b],
        credit=choice["credit"] * torch.randint(0, 2, (n,), generator=g).float(),
        calibration=Calibration(*choice["line"]), means=pool_kernel_means(space, bandwidth=bandwidth),
        **own[choice["reading"]],
    )  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(CHOICES)
def test_every_pick_is_the_cheapest_of_all_pairs_and_no_pair_is_scored_again_and_again(choice):
    problem = problem_of(choice)
    found = select(problem, picks=choice["picks"])
    picks = found.pairs.tolist()
    tables = list(cost_tables(written_out(problem, choice["picks"]), picks))
    for (a, b), costs, told in zip(picks, tables[:-1], found.scores["total"].tolist(), strict=True):
        size = 1 + np.abs(costs[np.isfinite(costs)]).max()
        assert costs[a, b] <= costs.min() + 1e-9 * size
        assert told == pytest.approx(costs[a, b], abs=1e-9 * size)
    assert len(picks) == choice["picks"] or np.isinf(tables[-1]).all()
    assert found.certificate.exact
    assert found.certificate.scored <= 2 * (len(picks) + 1) * max(1, found.certificate.pairs)


@pytest.mark.parametrize("reading", ["closed", "published"])
@pytest.mark.parametrize("points", ["ties", "equal", "two places"])
def test_of_equal_pairs_the_first_by_position_is_picked(points, reading):
    g = torch.Generator().manual_seed(3)
    problem = make_problem(40, 6, reading=reading, dtype=torch.float32)
    space, relaxed = POINTS[points](g, 40), CODES["collapsed"](g, 40)
    means = pool_kernel_means(space, bandwidth=2.0)
    problem = replace(problem, relaxed=relaxed, space=space, means=means)
    assert select(problem, picks=8).pairs.tolist() == greedy_picks(written_out(problem, 8))


SIZES = {
    (closed, "PREFIX"): (2, 7),
    (closed, "FIRST_ROWS"): (1, 5),
    (closed, "CELLS"): (1, 50),
    (closed, "BEHIND"): (1, 1000),
    (published, "LISTED"): (1, 9),
    (shortlist, "TILE"): ((4, 6), (16, 8)),
    (shortlist, "FIRST_ROWS"): (1, 200),
    (shortlist, "WAVE"): (1, 3),
    (published, "SCORED"): (1, 100),
    (published, "SUMMED"): (1, 100),
    (published, "COLUMNS"): (0, 2),
}


@pytest.mark.parametrize("space", ["embeddings", "codes"])
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_picks_do_not_depend_on_the_size_of_any_block_nor_on_threads(reading, space, monkeypatch):
    problem = make_problem(90, 6, 5, reading=reading, dtype=torch.float32)
    if space == "embeddings":
        points = torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).round(decimals=1)
        problem = make_problem(90, 6, 5, reading=reading, dtype=torch.float32, space=points)
    wanted = select(problem, picks=12).pairs.tolist()
    assert len(wanted) == 12
    for (module, name), values in SIZES.items():
        for value in values:
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                assert select(problem, picks=12).pairs.tolist() == wanted, (name, value)
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found = select(problem, picks=12).pairs.tolist()
        torch.set_num_threads(before)
        assert found == wanted


@pytest.mark.parametrize(
    "cell", [(1, 0, 1), (64, 0, 128), (64, 128, 200), (64, 30, 40), (5, 0, 3), (7, 7, 9), (3, 5, 6)]
)
def test_cells_above_the_diagonal_are_counted(cell):
    rows, first, stop = cell
    slow = sum(column > row for row in range(rows) for column in range(first, stop))
    assert closed._above_diagonal(rows, first, stop) == slow


def test_a_list_that_cannot_hold_all_equal_pairs_holds_the_first(monkeypatch):
    monkeypatch.setattr(published, "LISTED", 3)
    monkeypatch.setattr(shortlist, "TILE", (4, 8))
    ones = torch.ones(20, 2, dtype=torch.float64)
    problem = make_problem(20, 6, labelled=False, space=ones, means=ones[:, 0])
    problem = replace(problem, relaxed=torch.ones_like(problem.relaxed))
    picks, scored, _ = problem.greedy(10)
    assert picks.tolist() == [[i, i + 1] for i in range(0, 20, 2)]
    assert scored <= 10 * 190


def test_swaps_end_where_rounding_would_go_round_in_circles():
    # In float32 the change of a swap errs by more than any fixed threshold.
    g = torch.Generator().manual_seed(0)
    pairs = torch.tensor([[i, j] for i in range(12) for j in range(i + 1, 12)])
    load = 1e4 + 1e-3 * torch.randn(len(pairs), generator=g)
    none = torch.zeros_like(load)
    terms = {"uncertainty": load, "representativeness": none, "diversity": none}
    form = QuadraticForm(pairs, terms, none, torch.full((len(pairs), len(pairs)), 1e3), 4)
    values, value = [], QuadraticForm.value

    def watched(self, chosen):
        values.append(value(self, chosen))
        assert len(values) < 500
        return values[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuadraticForm, "value", watched)
        chosen = quadratic._improve(form, torch.tensor([0, 21, 38, 51]))
    assert len(pairs[chosen].unique()) == 8
    assert value(form, chosen) == min(values)


@pytest.mark.usefixtures("unchecked")
def test_numbers_that_no_bound_can_hold_for_are_refused():
    for reading in ("closed", "published"):
        problem = make_problem(8, 6, reading=reading)
        for change, message in (
            (
                {"credit": torch.full((8,), float("nan"))},
                "credit must be finite for each of the 8 items; got 8 of torch.float32, 8 of them wrong",
            ),
            ({"credit": torch.zeros(7)}, "credit must be finite for each of the 8 items; got 7"),
            ({"means": torch.zeros(8)}, "means must be finite and above 0"),
            ({"calibration": Calibration(float("inf"), 0.0)}, "the calibration must be finite"),
            ({"beta": float("nan")}, "beta must be a number, at least 0; got nan"),
            ({"bandwidth": 1e-200, "means": torch.ones(8)}, "near enough for the bandwidth 1e-200"),
        ):
            with pytest.raises(ValueError, match=message):
                select(replace(problem, **change), picks=2)
    with pytest.raises(ValueError, match=r"labelled_items must be positions .* of the 8 items"):
        make_problem(reading="closed", labelled_items=torch.tensor([8]))
    with pytest.raises(ValueError, match=r"labelled_pairs must be positions .* of the 8 items"):
        make_problem(labelled_pairs=torch.tensor([[0, -1]]))
