"""Hamming distances and their counts, against distances one after the other."""

import numpy as np
import pytest
import torch

from dhaps_core import hamming
from dhaps_core.codes import pack, sign
from dhaps_core.hamming import distance_counts, hamming_distance, marked_distance_counts
from tests import reference


def random_codes(n, bits, generator, dtype=torch.float32):
    return sign(torch.randn(n, bits, generator=generator)).to(dtype)


def test_a_zero_code_bit_does_not_half_count():
    # torch.sign would leave 0 in the code, at distance 1/2 from both neighbours.
    code = sign(torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    both = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, -1.0]])
    assert hamming_distance(code, both).tolist() == [[0, 1]]


def test_packed_codes_of_twelve_bits_keep_their_distances(generator):
    a, b = random_codes(7, 12, generator), random_codes(11, 12, generator)
    xor = pack(a)[:, None] ^ pack(b)
    assert (np.bitwise_count(xor.numpy()).sum(2) == hamming_distance(a, b).numpy()).all()


@pytest.mark.parametrize("bits", [1, 7, 8, 12, 32, 64, 129, 255, 256, 257, 300])
@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.float64])
def test_distance_is_the_number_of_different_bits(bits, dtype, generator, device):
    a = random_codes(6, bits, generator, dtype).to(device)
    b = torch.cat([random_codes(5, bits, generator, dtype).to(device), a[:1], -a[:1]])
    distance = hamming_distance(a, b)
    assert distance.tolist() == reference.hamming(a.tolist(), b.tolist())
    assert distance.dtype == (torch.uint8 if bits <= 255 else torch.int16)
    assert distance.device == a.device
    assert (distance[0, 5], distance[0, 6]) == (0, bits)


def test_no_items_have_no_distances():
    assert hamming_distance(torch.ones(0, 4), torch.ones(3, 4)).shape == (0, 3)
    assert hamming_distance(torch.ones(3, 4), torch.ones(0, 4)).shape == (3, 0)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_distances_are_exact_in_every_precision_of_products(precision, generator):
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    a, b = random_codes(40, 1001, generator), random_codes(50, 1001, generator)
    a[0], b[0], b[1] = 1, 1, -1
    found = hamming_distance(a, b)
    torch.set_float32_matmul_precision(before)
    assert (found == (a[:, None] != b).sum(2)).all()


@pytest.mark.parametrize("way", ["_count_by_words", "_count_by_product"])
@pytest.mark.parametrize("bits", [1, 8, 12, 16, 24, 25, 32, 33, 63, 64, 100, 127, 128, 129, 255, 256, 300])
def test_counts_are_those_of_the_distances(way, bits, generator, device, monkeypatch):
    monkeypatch.setattr(hamming, "_count_by_words", getattr(hamming, way))  # on a CPU, both ways
    monkeypatch.setattr(hamming, "_QUERIES", 4)
    monkeypatch.setattr(hamming, "_ITEMS", 51)  # the last chunk is shorter, and of another parity
    a, b = random_codes(10, bits, generator), random_codes(2 * 51 + 38, bits, generator)
    b[0], b[1] = a[0], -a[0]
    marked = torch.rand(10, 140, generator=generator) < 0.3
    a_, b_, marked_ = a.to(device), b.to(device), marked.to(device)
    counts = distance_counts(a_, b_)
    by_mark = marked_distance_counts(a_, b_, lambda rows, items: marked_[rows, items])
    distances = reference.hamming(a.tolist(), b.tolist())
    for i, row in enumerate(distances):
        with_mark = [d for d, mark in zip(row, marked[i], strict=True) if mark]
        assert counts[i].tolist() == reference.histogram(row, bits)
        assert by_mark[i, :, 1].tolist() == reference.histogram(with_mark, bits)
    assert torch.equal(by_mark.sum(2), counts)
    assert counts.device == a_.device


def test_no_items_have_no_counts():
    assert distance_counts(torch.ones(0, 4), torch.ones(3, 4)).shape == (0, 5)
    assert not distance_counts(torch.ones(3, 4), torch.ones(0, 4)).any()


@pytest.mark.parametrize("wrong", [0.0, 0.5, 2.0, torch.nan])
def test_values_other_than_plus_minus_one_are_refused(wrong):
    bad = torch.tensor([[1.0, wrong]])
    for use in (hamming_distance, distance_counts):
        with pytest.raises(ValueError, match=r"-1 or \+1.*sign"):
            use(bad, bad)


def test_sets_that_do_not_match_are_refused(unchecked):
    a = torch.ones(2, 8)
    for b in (torch.ones(2, 7), torch.ones(2, 8, dtype=torch.float64)):
        with pytest.raises(ValueError, match="same bits, dtype and device"):
            hamming_distance(a, b)
        with pytest.raises(ValueError, match="same bits, dtype and device"):
            distance_counts(a, b)
