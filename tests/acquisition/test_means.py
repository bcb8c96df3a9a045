"""Kernel means by counts of distances and by samples, against kernels written out."""

import pytest
import torch

from dhaps_core.acquisition import means as kernel_means
from dhaps_core.acquisition.means import pool_kernel_means, sampled
from dhaps_core.hamming import distance_counts
from dhaps_core.pairs import item_kernel


def points(n, d, *, codes, dtype=torch.float64):
    drawn = torch.randn(n, d, generator=torch.Generator().manual_seed(n), dtype=dtype)
    return torch.where(drawn >= 0, 1.0, -1.0).to(dtype) if codes else drawn


def test_counts_of_distances_by_hand():
    codes = torch.tensor([[1, 1, 1], [1, 1, -1], [-1, -1, -1]], dtype=torch.int8)
    assert distance_counts(codes[:2], codes).tolist() == [[1, 1, 0, 1], [1, 1, 1, 0]]


@pytest.mark.parametrize(("n", "bits"), [(1, 1), (37, 5), (300, 32), (70, 129)])
def test_counts_of_distances_equal_the_matrix(n, bits):
    codes = points(n, bits, codes=True)
    distances = (codes[:, None] != codes).sum(-1)
    slow = torch.stack([(distances == d).sum(1) for d in range(bits + 1)], 1)
    assert torch.equal(distance_counts(codes, codes), slow)


def test_counts_do_not_depend_on_threads():
    codes = points(1300, 16, codes=True)  # several blocks of queries
    before, counts = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        counts.append(distance_counts(codes, codes))
    torch.set_num_threads(before)
    assert torch.equal(*counts)
    assert torch.equal(counts[0].sum(1), torch.full((1300,), 1300))


@pytest.mark.parametrize("codes", [True, False])
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_means_are_the_means_of_the_kernel_matrix(codes, dtype, rel, device):
    space = points(200, 6, codes=codes, dtype=dtype)  # 64 possible codes: many are equal
    slow = item_kernel(space, space, bandwidth=1.3).mean(1)
    means = pool_kernel_means(space.to(device), bandwidth=1.3)
    torch.testing.assert_close(means.cpu(), slow, rtol=rel, atol=0)
    assert sampled(200) == ""


@pytest.mark.parametrize("codes", [True, False])
def test_a_bandwidth_that_is_none_is_refused(codes):
    with pytest.raises(ValueError, match=r"bandwidth must be a positive number; got -1"):
        pool_kernel_means(points(10, 4, codes=codes), bandwidth=-1.0)


@pytest.mark.parametrize("codes", [True, False])
def test_means_of_huge_pools_are_sampled_and_say_so(codes, monkeypatch):
    monkeypatch.setattr(kernel_means, "EXACT_ITEMS", 100)
    monkeypatch.setattr(kernel_means, "SAMPLED_ITEMS", 40)
    space = points(150, 8, codes=codes)
    means = pool_kernel_means(space, bandwidth=2.0, generator=torch.Generator().manual_seed(4))
    sample = torch.randperm(150, generator=torch.Generator().manual_seed(4))[:40]
    torch.testing.assert_close(means, item_kernel(space, space[sample], bandwidth=2.0).mean(1))
    assert sampled(150) == "kernel means over a random 40 of the 150 items"
    with pytest.raises(ValueError, match=r"need a generator; got 150 items and none"):
        pool_kernel_means(space, bandwidth=2.0)
