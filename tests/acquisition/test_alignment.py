"""The printed discrepancy of sets of pairs: by hand, against every order of every pair, and its bounds."""

import itertools

import pytest
import torch

from dhaps_core.acquisition.alignment import aligned_mmd_squared
from tests.reference import mmd_squared

SIGMA = 1.5


def pairs(values):
    return torch.tensor(values, dtype=torch.float64)[..., None]


def drawn(count, seed, d=3):
    return torch.randn(count, 2, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orders(some):
    """The pairs in every order of each."""
    for swaps in itertools.product([False, True], repeat=len(some)):
        yield torch.stack([pair.flip(0) if swap else pair for pair, swap in zip(some, swaps, strict=True)])


def ordered_mmd_squared(x, t):
    """Of ordered pairs, by the product of item kernels, in loops over them."""

    def k(one, other):
        return float(torch.exp(-(one - other).square().sum() / (2 * SIGMA**2)))

    def mean(left, right):
        values = [k(one[0], other[0]) * k(one[1], other[1]) for one in left for other in right]
        return sum(values) / len(values)

    return mean(x, x) + mean(t, t) - 2 * mean(x, t)


def test_by_hand():
    assert float(aligned_mmd_squared(pairs([[0, 2]]), pairs([[2, 0]]))) == 0  # swapped
    # (0, 2) and (1, 1) have one sum; what is left is the difference, 1 and 1 away in either order.
    assert float(aligned_mmd_squared(pairs([[0, 2]]), pairs([[1, 1]]))) == pytest.approx(2)
    # Two of them in turned orders have the mean (1, 1): without a kernel (0, 2) twice is like (1, 1).
    twice = pairs([[0, 2], [0, 2]])
    assert float(aligned_mmd_squared(twice, pairs([[1, 1]]))) == pytest.approx(0)
    assert float(aligned_mmd_squared(twice, pairs([[1, 1]]), bandwidth=1.0)) > 0.1
    # Sums 3 and 5 differ by 2: halved, 1 for either item.
    assert float(aligned_mmd_squared(twice + 0.5, pairs([[2.5, 2.5]]))) == pytest.approx(2)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_least_over_every_order_of_every_pair(seed):
    x, t = drawn(3, seed), drawn(2, seed + 10)
    every = [(one, other) for one in orders(x) for other in orders(t)]
    assert len(every) == 2**5
    printed = min(float((one.mean(0) - other.mean(0)).square().sum()) for one, other in every)
    assert float(aligned_mmd_squared(x, t)) == pytest.approx(printed)
    with_kernel = min(ordered_mmd_squared(one, other) for one, other in every)
    assert float(aligned_mmd_squared(x, t, bandwidth=SIGMA)) == pytest.approx(with_kernel)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 5), (8, 8)])
def test_the_invariant_kernel_bounds_it_from_below_and_nearly_from_above(sizes):
    (p, r), seeds = sizes, range(5)
    for seed in seeds:
        x, t = drawn(p, seed), drawn(r, seed + 10)
        found, bound = float(aligned_mmd_squared(x, t, bandwidth=SIGMA)), mmd_squared(x, t, SIGMA)
        assert bound - 1e-12 <= found <= bound + (1 / p + 1 / r) / 2


def test_what_is_too_large_or_empty_is_refused():
    for p, r in ((9, 8), (0, 3), (3, 0)):
        with pytest.raises(ValueError, match=f"at most 16 in all; got {p} and {r}. For larger ones take"):
            aligned_mmd_squared(drawn(p, 0), drawn(r, 1))
