"""Greedy selection ends, with the picks of brute force, whatever the numbers are: bounded work, no clock."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dhaps_core.acquisition import greedy, quadratic, shortlist
from dhaps_core.acquisition.means import KernelMeans, pool_kernel_means
from dhaps_core.acquisition.quadratic import QuadraticForm
from dhaps_core.acquisition.select import Calibration, Weights, select_pairs
from dhaps_core.pairs import median_bandwidth
from tests.acquisition.test_select import arguments, make_pool
from tests.reference import Problem, cost_tables, greedy_picks


def problem_of(relaxed, given_):
    """The same problem for brute force, in float64."""
    n, weights, line = len(relaxed), given_["weights"], given_["calibration"]
    rows = torch.arange(n)
    known = given_["known"]
    return Problem(
        relaxed=relaxed.double().numpy(),
        space=given_["space"].double().numpy(),
        means=given_["means"].values.double().numpy(),
        bandwidth=given_["bandwidth"],
        reading=given_["reading"],
        picks=given_["picks"],
        weights=(weights.uncertainty, weights.representativeness, weights.diversity),
        beta=given_["beta"],
        labelled_items=given_["labelled_items"].tolist(),
        labelled_pairs=given_["labelled_pairs"].tolist(),
        candidates=given_["candidates"].numpy(),
        forbidden=np.zeros((n, n), bool) if known is None else known(rows[:, None], rows).numpy(),
        credit=given_["credit"].double().numpy(),
        slope=line.slope,
        intercept=line.intercept,
    )


def test_the_selection_that_never_ended_ends_with_the_picks_of_brute_force(real_data):
    with np.load(real_data / "selection_hang.npz") as stored:
        arrays = {name: torch.from_numpy(stored[name]) for name in stored.files}
    asked = {
        "picks": 50, "space": arrays["space"], "bandwidth": float(arrays["bandwidth"]), "beta": 1.0,
        "means": KernelMeans(arrays["means"]), "labelled_items": arrays["labelled"], "reading": "closed",
        "candidates": arrays["candidates"], "weights": Weights(), "calibration": Calibration(), "known": None,
        "labelled_pairs": torch.zeros(0, 2, dtype=torch.long), "credit": torch.zeros(2000),
    }  # fmt: skip
    found = select_pairs(arrays["relaxed"], **asked)
    picks = found.pairs.tolist()
    for pick, costs in zip(picks, cost_tables(problem_of(arrays["relaxed"], asked), picks), strict=False):
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


def asked_of(choice):
    """Relaxed codes, and the other arguments of the selection."""
    n, g = choice["n"], torch.Generator().manual_seed(choice["seed"])
    space, relaxed = POINTS[choice["points"]](g, n), CODES[choice["codes"]](g, n)
    draw = torch.Generator().manual_seed(0)
    bandwidth = median_bandwidth(space, generator=draw, scale=choice["scale"])
    labelled = torch.randperm(n, generator=g)[: min(choice["labelled"], n // 2)]
    free = torch.ones(n, dtype=torch.bool)
    free[labelled] = choice["ask again"]
    known = torch.rand(n, n, generator=g) < (choice["answered"] or 0.0)
    known = known | known.T
    return relaxed, {
        "picks": choice["picks"], "space": space, "bandwidth": bandwidth, "candidates": free,
        "reading": choice["reading"], "beta": choice["beta"], "weights": Weights(*choice["weights"]),
        "labelled_items": labelled, "labelled_pairs": labelled[: len(labelled) // 2 * 2].view(-1, 2),
        "known": None if choice["answered"] is None else lambda a, b: known[a, b],
        "credit": choice["credit"] * torch.randint(0, 2, (n,), generator=g).float(),
        "calibration": Calibration(*choice["line"]),
        "means": pool_kernel_means(space, bandwidth=bandwidth),
    }  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(CHOICES)
def test_every_pick_is_the_cheapest_of_all_pairs_and_no_pair_is_scored_again_and_again(choice):
    relaxed, asked = asked_of(choice)
    found = select_pairs(relaxed, **asked)
    picks = found.pairs.tolist()
    tables = list(cost_tables(problem_of(relaxed, asked), picks))
    for (a, b), costs, told in zip(picks, tables[:-1], found.scores["total"].tolist(), strict=True):
        size = 1 + np.abs(costs[np.isfinite(costs)]).max()
        assert costs[a, b] <= costs.min() + 1e-9 * size
        assert told == pytest.approx(costs[a, b], abs=1e-9 * size)
    assert len(picks) == asked["picks"] or np.isinf(tables[-1]).all()
    assert found.certificate.exact
    assert found.certificate.scored <= 2 * (len(picks) + 1) * max(1, found.certificate.pairs)


@pytest.mark.parametrize("reading", ["closed", "published"])
@pytest.mark.parametrize("points", ["ties", "equal", "two places"])
def test_of_equal_pairs_the_first_by_position_is_picked(points, reading):
    g = torch.Generator().manual_seed(3)
    pool = make_pool(40, 6, reading=reading, picks=8, dtype=torch.float32)
    space, relaxed = POINTS[points](g, 40), CODES["collapsed"](g, 40)
    asked = arguments(pool) | {"space": space, "means": pool_kernel_means(space, bandwidth=2.0)}
    found = select_pairs(relaxed, **asked)
    assert found.pairs.tolist() == greedy_picks(problem_of(relaxed, asked))


SIZES = {
    (greedy, "PREFIX"): (2, 7),
    (greedy, "FIRST_ROWS"): (1, 5),
    (greedy, "CELLS"): (1, 50),
    (greedy, "BEHIND"): (1, 1000),
    (greedy, "LISTED"): (1, 9),
    (shortlist, "TILE"): ((4, 6), (16, 8)),
    (shortlist, "FIRST_ROWS"): (1, 200),
    (shortlist, "WAVE"): (1, 3),
    (shortlist, "SCORED"): (1, 100),
    (shortlist, "COLUMNS"): (0, 2),
}


@pytest.mark.parametrize("space", ["embeddings", "codes"])
@pytest.mark.parametrize("reading", ["closed", "published"])
def test_picks_do_not_depend_on_the_size_of_any_block_nor_on_threads(reading, space, monkeypatch):
    pool = make_pool(90, 6, 5, reading=reading, picks=12, dtype=torch.float32)
    if space == "embeddings":
        pool = replace(
            pool, space=torch.randn(90, 5, generator=torch.Generator().manual_seed(0)).round(decimals=1)
        )
    wanted = select_pairs(pool.relaxed, **arguments(pool)).pairs.tolist()
    assert len(wanted) == 12
    for (module, name), values in SIZES.items():
        for value in values:
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                assert select_pairs(pool.relaxed, **arguments(pool)).pairs.tolist() == wanted, (name, value)
    before = torch.get_num_threads()
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        found = select_pairs(pool.relaxed, **arguments(pool)).pairs.tolist()
        torch.set_num_threads(before)
        assert found == wanted


@pytest.mark.parametrize(
    "cell", [(1, 0, 1), (64, 0, 128), (64, 128, 200), (64, 30, 40), (5, 0, 3), (7, 7, 9), (3, 5, 6)]
)
def test_cells_above_the_diagonal_are_counted(cell):
    rows, first, stop = cell
    slow = sum(column > row for row in range(rows) for column in range(first, stop))
    assert greedy._above_diagonal(rows, first, stop) == slow


def test_a_list_that_cannot_hold_all_equal_pairs_holds_the_first(monkeypatch):
    monkeypatch.setattr(greedy, "LISTED", 3)
    monkeypatch.setattr(shortlist, "TILE", (4, 8))
    pool = make_pool(20, 6, picks=10, labelled_pairs=torch.zeros(0, 2, dtype=torch.long))
    pool = replace(
        pool, space=torch.ones(20, 2, dtype=torch.float64), means=torch.ones(20, dtype=torch.float64)
    )
    pool = replace(pool, relaxed=torch.ones_like(pool.relaxed))
    picks, scored, _ = greedy.greedy_published(pool)
    assert picks.tolist() == [[i, i + 1] for i in range(0, 20, 2)]
    assert scored <= 10 * 190


def test_swaps_end_where_rounding_would_go_round_in_circles():
    # In float32 the change of a swap errs by more than any fixed threshold.
    g = torch.Generator().manual_seed(0)
    pairs = torch.tensor([[i, j] for i in range(12) for j in range(i + 1, 12)])
    load = 1e4 + 1e-3 * torch.randn(len(pairs), generator=g)
    terms = {name: torch.zeros_like(load) for name in ("uncertainty", "representativeness", "diversity")}
    form = QuadraticForm(pairs, load, torch.full((len(pairs), len(pairs)), 1e3), 4, terms)
    values, value = [], QuadraticForm.value

    def watched(self, chosen):
        values.append(value(self, chosen))
        assert len(values) < 500
        return values[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuadraticForm, "value", watched)
        chosen = quadratic._improve_by_swaps(form, torch.tensor([0, 21, 38, 51]))
    assert form.disjoint(chosen)
    assert value(form, chosen) == min(values)


@pytest.mark.usefixtures("unchecked")
def test_numbers_that_no_bound_can_hold_for_are_refused():
    pool = make_pool(8, 6)
    for change, message in (
        (
            {"credit": torch.full((8,), float("nan"))},
            "credit must be finite for each of the 8 items; got 8, of which 8",
        ),
        ({"credit": torch.zeros(7)}, "credit must be finite for each of the 8 items; got 7"),
        ({"means": KernelMeans(torch.zeros(8))}, "means must be above 0 and finite"),
        ({"calibration": Calibration(float("inf"), 0.0)}, "the calibration must be finite"),
        ({"beta": float("nan")}, "beta at least 0; got 2 and nan"),
        ({"labelled_items": torch.tensor([8])}, "labelled_items must be positions of the 8 items"),
        ({"labelled_pairs": torch.tensor([[0, -1]])}, "labelled_pairs must be positions of the 8 items"),
        ({"bandwidth": 1e-200, "means": KernelMeans(torch.ones(8))}, "near enough for the bandwidth 1e-200"),
    ):
        for reading in ("closed", "published"):
            with pytest.raises(ValueError, match=message):
                select_pairs(pool.relaxed, **(arguments(pool) | {"reading": reading} | change))
