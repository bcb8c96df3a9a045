import numpy as np
import pytest
import torch

from dhaps_core import codes
from dhaps_core.codes import distance_blocks, hamming_distance, pack, sign, unpack
from tests import reference


def random_codes(n, bits, generator, dtype=torch.float32):
    return sign(torch.randn(n, bits, generator=generator)).to(dtype)


def test_zero_and_negative_zero_are_plus_one():
    u = torch.tensor([[0.0, -0.0, 1e-30, -1e-30, 5.0, -torch.inf]])
    assert sign(u).tolist() == [[1, 1, 1, -1, 1, -1]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sign_keeps_the_dtype(dtype):
    assert sign(torch.tensor([[0.5, -0.5]], dtype=dtype)).dtype == dtype


def test_sign_leaves_its_input_alone():
    u = torch.tensor([[0.5, 0.0]])
    sign(u)
    assert u.tolist() == [[0.5, 0.0]]


def test_sign_of_nan_raises():
    with pytest.raises(ValueError, match="NaN"):
        sign(torch.tensor([[0.5, torch.nan]]))


def test_a_zero_code_bit_does_not_half_count():
    # torch.sign would leave 0 in the code, at distance 1/2 from both neighbours.
    code = sign(torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    both = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, -1.0]])
    assert hamming_distance(code, both).tolist() == [[0, 1]]


def test_bit_order_is_least_significant_first():
    # Most significant first, the order of numpy.packbits, would give 0x1F.
    code = sign(torch.tensor([[-1.0, -1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0]]))
    assert pack(code).tolist() == [[0xF8]]
    ordered = torch.tensor([[-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0]])
    assert pack(ordered).tolist() == [[0xF0]]
    assert np.packbits((code.numpy() > 0), axis=1).tolist() == [[0x1F]]


def test_second_byte_starts_with_bit_eight_and_padding_is_zero():
    code = -torch.ones(1, 12)
    code[0, 8] = 1
    assert pack(code).tolist() == [[0, 1]]
    assert pack(torch.ones(1, 12)).tolist() == [[0xFF, 0x0F]]


@pytest.mark.parametrize("bits", [*range(1, 18), 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300])
@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.float64])
def test_packing_round_trip_and_numpy_agree(bits, dtype, generator, device):
    code = random_codes(9, bits, generator, dtype).to(device)
    packed = pack(code)
    assert packed.shape == (9, -(-bits // 8))
    assert packed.device == code.device
    assert (unpack(packed, bits) == code).all()
    wanted = np.packbits(code.cpu().numpy() > 0, axis=1, bitorder="little")
    assert (packed.cpu().numpy() == wanted).all()


def test_packed_codes_of_twelve_bits_keep_their_distances(generator):
    a, b = random_codes(7, 12, generator), random_codes(11, 12, generator)
    xor = pack(a)[:, None] ^ pack(b)
    assert (np.bitwise_count(xor.numpy()).sum(2) == hamming_distance(a, b).numpy()).all()


def test_packing_no_items():
    assert pack(torch.ones(0, 5)).shape == (0, 1)


@pytest.mark.parametrize("wrong", [0.0, 0.5, 2.0, torch.nan])
def test_values_other_than_plus_minus_one_are_refused(wrong):
    bad = torch.tensor([[1.0, wrong]])
    for use in (pack, lambda c: hamming_distance(c, c)):
        with pytest.raises(ValueError, match=r"-1 or \+1.*sign"):
            use(bad)


def test_unpack_refuses_other_widths_and_set_padding():
    with pytest.raises(ValueError, match="ceil"):
        unpack(torch.zeros(2, 2, dtype=torch.uint8), 8)
    with pytest.raises(ValueError, match="past 4"):
        unpack(torch.full((2, 1), 0x10, dtype=torch.uint8), 4)


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


@pytest.mark.parametrize("capability", ["AVX512", "DEFAULT"])
def test_both_product_dtypes_are_exact(capability, generator, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    a, b = random_codes(40, 256, generator), random_codes(50, 256, generator)
    a[0], b[0], b[1] = 1, 1, -1
    assert (hamming_distance(a, b) == (a[:, None] != b).sum(2)).all()


@pytest.mark.parametrize("block", [None, 1, 3, 7, 100])
def test_blocks_cover_all_rows_in_order(block, generator):
    a, b = random_codes(7, 16, generator), random_codes(5, 16, generator)
    seen = [(rows, distances.clone()) for rows, distances in distance_blocks(a, b, block)]
    assert [i for rows, _ in seen for i in range(7)[rows]] == list(range(7))
    assert torch.equal(torch.cat([d for _, d in seen]), hamming_distance(a, b))


def test_a_block_of_the_default_size_stays_small(generator, monkeypatch):
    monkeypatch.setattr(codes, "_BLOCK_VALUES", 100)
    a, b = random_codes(50, 8, generator), random_codes(30, 8, generator)
    assert max(len(d) for _, d in distance_blocks(a, b)) == 3


def test_no_items_have_no_distances():
    assert hamming_distance(torch.ones(0, 4), torch.ones(3, 4)).shape == (0, 3)
    assert hamming_distance(torch.ones(3, 4), torch.ones(0, 4)).shape == (3, 0)


def test_sets_that_do_not_match_are_refused(unchecked):
    a = torch.ones(2, 8)
    for b in (torch.ones(2, 7), torch.ones(2, 8, dtype=torch.float64)):
        with pytest.raises(ValueError, match="same bits, dtype and device"):
            hamming_distance(a, b)
    with pytest.raises(ValueError, match="at least 1 row"):
        distance_blocks(a, a, 0)
    with pytest.raises(ValueError, match="at least 1 bit"):
        pack(torch.ones(2, 0))
