"""Coverage by chosen items: by hand, against kernels written out, and chosen lazily as by all gains."""

from math import exp

import pytest
import torch

from dhaps_core.acquisition import facility_location
from dhaps_core.acquisition.facility_location import Coverage, cover

NOTHING = torch.arange(0)


def make(points, *, bandwidth=1.0, population=None, weights=None, chosen=NOTHING):
    population = torch.arange(len(points)) if population is None else population
    weights = torch.ones(len(population)) if weights is None else weights
    return Coverage(points, bandwidth=bandwidth, population=population, weights=weights, chosen=chosen)


def drawn(n, d, *, seed=0, dtype=torch.float64):
    """Points in clusters."""
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(7, d, generator=generator, dtype=torch.float64)
    spread = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return (centres[torch.arange(n) % 7] + spread).to(dtype)


def slow_gains(points, *, bandwidth, population, weights, chosen):
    kernel = torch.cdist(points.double(), points.double()[population]).square().div(-2 * bandwidth**2).exp()
    covered = kernel[chosen].amax(0) if len(chosen) else torch.zeros(len(population), dtype=torch.float64)
    return (kernel - covered).clamp_min(0) @ (weights.double() / weights.double().sum())


def slow_cover(points, candidates, count, **given):
    chosen, picks = given.pop("chosen"), []
    for _ in range(count):
        gains = slow_gains(points, chosen=chosen, **given)[candidates]
        if not gains.max() > 1e-9:
            break
        picks.append(int(candidates[(gains >= gains.max() - 1e-12).nonzero()[0]]))
        chosen = torch.cat([chosen, torch.tensor(picks[-1:])])
    return picks


def test_gains_by_hand():
    points = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    near, far, farther = exp(-1 / 2), exp(-4 / 2), exp(-9 / 2)
    coverage = make(points, weights=torch.tensor([1.0, 2.0, 1.0]))
    wanted = [(1 + 2 * near + farther) / 4, (near + 2 + far) / 4, (farther + 2 * far + 1) / 4]
    assert coverage.gains(torch.arange(3)).tolist() == pytest.approx(wanted)
    coverage.add(1)
    assert coverage.covered.tolist() == pytest.approx([near, 1, far])
    assert coverage.gains(torch.arange(3)).tolist() == pytest.approx([(1 - near) / 4, 0, (1 - far) / 4])


def test_what_weighs_nothing_need_not_be_covered():
    points = torch.tensor([[0.0], [0.1], [5.0]])
    coverage = make(points, weights=torch.tensor([0.0, 0.0, 3.0]))
    assert coverage.gains(torch.arange(3)).tolist() == pytest.approx([0, 0, 1], abs=1e-5)
    assert cover(coverage, torch.arange(3), 3) == [2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bandwidth", [0.1, 1.0, 4.0])
def test_gains_and_their_bounds_against_kernels_written_out(dtype, bandwidth, device, monkeypatch):
    monkeypatch.setattr(facility_location, "CELLS", 1 << 12)
    monkeypatch.setattr(facility_location, "COLUMNS", 64)
    points, population = drawn(300, 5, dtype=dtype), torch.arange(0, 300, 2)
    given = {"bandwidth": bandwidth, "population": population, "weights": 1 + population.float()}
    chosen, items = torch.arange(0, 90, 9), torch.arange(299, -1, -1)
    coverage = Coverage(
        points.to(device),
        bandwidth=bandwidth,
        population=population.to(device),
        weights=given["weights"].to(device),
        chosen=chosen[:-1].to(device),
    )
    coverage.add(int(chosen[-1]))
    wanted = slow_gains(points, chosen=chosen, **given)[items]
    found = coverage.gains(items.to(device)).cpu()
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-12)
    bounds = coverage.bounds(items.to(device)).cpu()
    assert bool((bounds >= found - 1e-12).all())
    assert bool((bounds <= 1.01 * found + 1e-3).all())


@pytest.mark.parametrize("many", [8, 1024])
@pytest.mark.parametrize("seed", range(4))
def test_the_lazy_choice_is_the_greedy_one(seed, many, monkeypatch):
    monkeypatch.setattr(facility_location, "AT_ONCE", 3)
    monkeypatch.setattr(facility_location, "MANY", many)
    points = drawn(200, 3, seed=seed, dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    candidates = torch.randperm(200, generator=generator)[:120].sort().values
    population = torch.randperm(200, generator=generator)[:150]
    weights = torch.rand(150, generator=generator)
    given = {"bandwidth": 0.7, "population": population, "weights": weights, "chosen": torch.arange(5 * seed)}
    assert cover(make(points, **given), candidates, 25) == slow_cover(points, candidates, 25, **given)


def test_of_equal_items_the_first_is_chosen_and_none_that_adds_nothing():
    points = torch.tensor([[0.0], [4.0], [0.0], [4.0], [0.0]])
    coverage = make(points)
    assert cover(coverage, torch.tensor([2, 3, 4, 0, 1]), 5) == [2, 3]
    assert cover(coverage, torch.tensor([2, 3, 4, 0, 1]), 5) == []
    assert cover(make(points), NOTHING, 5) == []


def test_only_proportions_of_weights_count_and_an_offset_of_the_points_does_not():
    points = drawn(50, 4)
    weights = torch.rand(50, generator=torch.Generator().manual_seed(0))
    plain = make(points, weights=weights).gains(torch.arange(50))
    moved = make(points + 1e4, weights=1e-30 * weights).gains(torch.arange(50))
    assert torch.allclose(plain, moved, rtol=1e-5)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1e-9], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_weights_must_weigh(weights):
    with pytest.raises(ValueError, match="weights must be at least 0, with a positive sum; got"):
        make(torch.tensor([[0.0], [1.0]]), weights=torch.tensor(weights))


def test_threads_do_not_matter():
    points, before, picks = drawn(3000, 16, dtype=torch.float32), torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        picks.append(cover(make(points, bandwidth=2.0), torch.arange(3000), 12))
    torch.set_num_threads(before)
    assert picks[0] == picks[1]
    assert len(picks[0]) == 12
