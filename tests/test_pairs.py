"""Pair distances, kernels and the MMD: hand-worked values, slow double loops, properties."""

import itertools
import math

import pytest
import torch

from dhaps_core.pairs import (
    item_kernel,
    kernel_means,
    median_bandwidth,
    pair_distance,
    pair_kernel,
)
from tests.reference import closed_mmd_squared, mmd_squared

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def random_codes(n, b, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, b), generator=generator).to(dtype) * 2 - 1


def slow_kernel(a, b, bandwidth):
    return math.exp(-float((a - b).square().sum()) / (2 * bandwidth**2))


def slow_invariant(x, t, bandwidth):
    straight = slow_kernel(x[0], t[0], bandwidth) * slow_kernel(x[1], t[1], bandwidth)
    swapped = slow_kernel(x[1], t[0], bandwidth) * slow_kernel(x[0], t[1], bandwidth)
    return (straight + swapped) / 2


def test_distance_by_hand():
    # Hamming distances 1 and 0 straight, 2 and 3 swapped: 2 sqrt(1) + 0 against 2 sqrt(2) + 2 sqrt(3).
    x = torch.tensor([[[1.0, 1, 1], [-1, -1, 1]]])
    t = torch.tensor([[[1.0, 1, -1], [-1, -1, 1]]])
    assert pair_distance(x, t).item() == pytest.approx(2.0)
    assert pair_distance(x, t.flip(1)).item() == pytest.approx(2.0)


def test_the_two_printed_lines_of_the_distance_may_prefer_different_orders_from_10_bits_on():
    # The pairs differ in 1 and 10 bits as they are, and in 6 and 3 bits swapped; no bit is left over.
    codes = torch.ones(4, 10)
    x_a, x_b, t_a, t_b = codes
    t_a[0] = x_b[0] = -1
    x_b[1:7] = -1
    t_b[7:] = -1
    bits = [[int((a != b).sum()) for b in (t_a, t_b)] for a in (x_a, x_b)]
    straight, swapped = [bits[0][0], bits[1][1]], [bits[1][0], bits[0][1]]
    sums, squares = (
        [sum(value**power for value in way) for way in (straight, swapped)] for power in (0.5, 1)
    )
    assert sums[0] < sums[1]
    assert squares[0] > squares[1]
    distance = pair_distance(torch.stack([x_a, x_b])[None], torch.stack([t_a, t_b])[None])
    assert float(distance) == pytest.approx(2 * sums[0])


def test_kernels_by_hand():
    x = torch.tensor([[[1.0, 1], [-1, 1]]], dtype=torch.float64)
    t = torch.tensor([[[1.0, 1], [1, -1]]], dtype=torch.float64)
    # Hamming: a-a 0, b-b 2, b-a 1, a-b 1. sigma^2 = 2, so k = exp(-Hamming).
    sigma = math.sqrt(2)
    expected = (math.exp(-2) + math.exp(-2)) / 2
    assert pair_kernel(x, t, bandwidth=sigma).item() == pytest.approx(expected)
    # matched: min(0 + 2 sqrt 2, 2 + 2)^2 = 8, over 2 sigma^2 = 4.
    assert pair_kernel(x, t, bandwidth=sigma, kind="matched").item() == pytest.approx(math.exp(-2))


@BOTH
def test_swap_changes_nothing(dtype):
    x, t = random_codes(12, 8, 1, dtype).view(6, 2, 8), random_codes(10, 8, 2, dtype).view(5, 2, 8)
    for function in (
        pair_distance,
        lambda p, q: pair_kernel(p, q, bandwidth=2.0),
        lambda p, q: pair_kernel(p, q, bandwidth=2.0, kind="matched"),
    ):
        torch.testing.assert_close(function(x.flip(1), t), function(x, t))
        torch.testing.assert_close(function(x, t.flip(1)), function(x, t))


def test_item_kernel_on_codes_is_a_function_of_hamming_distance():
    codes = random_codes(20, 16)
    hamming = (codes[:, None] != codes[None]).sum(2)
    expected = torch.exp(-2 * hamming.double() / 3.0**2)
    torch.testing.assert_close(item_kernel(codes, codes, bandwidth=3.0), expected)


def test_invariant_kernel_is_positive_definite_and_matched_is_not_always():
    codes = random_codes(60, 6, 3).view(30, 2, 6)
    assert torch.linalg.eigvalsh(pair_kernel(codes, codes, bandwidth=2.0)).min() > -1e-9
    every = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)), dtype=torch.float64)
    pairs = torch.stack([torch.stack(p) for p in itertools.combinations(every, 2)])
    matched = pair_kernel(pairs, pairs, bandwidth=3.0, kind="matched")
    assert torch.linalg.eigvalsh(matched).min() < -1e-3
    # So the "squared MMD" of two sets of pairs can be negative: along the worst direction of centred weights.
    centre = torch.eye(len(pairs), dtype=torch.float64) - 1 / len(pairs)
    worst = torch.linalg.eigh(centre @ matched @ centre).eigenvectors[:, 0] > 0
    shares = torch.where(worst, 1 / worst.sum(), -1 / (~worst).sum()).double()
    assert shares @ matched @ shares < -0.04


@BOTH
def test_kernel_means_equal_the_double_loop(dtype):
    points = torch.randn(37, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    slow = torch.tensor([[slow_kernel(a, b, 1.5) for b in points] for a in points], dtype=dtype).mean(1)
    for block in (1, 8, 37, 64):
        torch.testing.assert_close(kernel_means(points, bandwidth=1.5, block=block), slow)


def test_the_mean_over_all_ordered_pairs_is_the_product_of_item_means():
    points = random_codes(9, 6)
    pairs = torch.tensor([[0, 1], [3, 8], [5, 2]])
    everything = list(itertools.product(range(9), repeat=2))
    slow = torch.tensor(
        [
            sum(slow_invariant(points[p], points[list(t)], 2.0) for t in everything) / len(everything)
            for p in pairs
        ],
        dtype=points.dtype,
    )
    torch.testing.assert_close(kernel_means(points, bandwidth=2.0)[pairs].prod(1), slow)


def test_the_mmd_of_closed_sets_of_pairs_follows_from_item_means():
    points, chosen = random_codes(8, 5), torch.tensor([1, 4, 6])
    population = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    supervised = torch.cartesian_prod(chosen, chosen)
    slow = 0.0
    for (x, y), sign in {("P", "P"): 1, ("S", "S"): 1, ("P", "S"): -2}.items():
        sets = {"P": population, "S": supervised}
        kernels = [slow_invariant(points[i], points[j], 2.0) for i in sets[x] for j in sets[y]]
        slow += sign * sum(kernels) / len(kernels)
    m = kernel_means(points, bandwidth=2.0)
    within = item_kernel(points[chosen], points[chosen], bandwidth=2.0).mean()
    closed = m.mean() ** 2 - 2 * m[chosen].mean() ** 2 + within**2
    assert float(closed) == pytest.approx(slow, abs=1e-12)
    assert mmd_squared(points[population], points[supervised], 2.0) == pytest.approx(slow, abs=1e-12)
    assert closed_mmd_squared(points, chosen, bandwidth=2.0) == pytest.approx(slow, abs=1e-12)


def test_mmd_is_never_negative_and_zero_on_equal_sets():
    for seed in range(20):
        x, t = random_codes(12, 6, seed).view(6, 2, 6), random_codes(8, 6, seed + 99).view(4, 2, 6)
        assert mmd_squared(x, t, 2.0) > 0
        assert mmd_squared(x, x.flip(1), 2.0) == pytest.approx(0, abs=1e-12)


def test_median_bandwidth():
    points = torch.tensor([[0.0], [1.0], [3.0]])  # squared distances 1, 4, 9
    generator = torch.Generator().manual_seed(0)
    assert median_bandwidth(points, generator=generator) == pytest.approx(math.sqrt(2))
    assert median_bandwidth(points, generator=generator, scale=0.5) == pytest.approx(1.0)
    assert median_bandwidth(torch.ones(5, 2), generator=generator) == 1.0  # any gives the same kernel
    with pytest.raises(ValueError, match="points must be finite; got 1 values"):
        median_bandwidth(torch.tensor([[0.0], [math.nan]]), generator=generator)


def test_errors_say_what_must_hold():
    x = random_codes(4, 3).view(2, 2, 3)
    with pytest.raises(ValueError, match="positive number; got 0"):
        pair_kernel(x, x, bandwidth=0.0)
