import numpy as np
import pytest
import torch

from dhaps_core.codes import pack, pack_bits, sign, unpack


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


def test_packing_no_items():
    assert pack(torch.ones(0, 5)).shape == (0, 1)


@pytest.mark.parametrize("wrong", [0.0, 0.5, 2.0, torch.nan])
def test_values_other_than_plus_minus_one_are_refused(wrong):
    bad = torch.tensor([[1.0, wrong]])
    with pytest.raises(ValueError, match=r"-1 or \+1.*sign"):
        pack(bad)


def test_unpack_refuses_other_widths_and_set_padding():
    with pytest.raises(ValueError, match="ceil"):
        unpack(torch.zeros(2, 2, dtype=torch.uint8), 8)
    with pytest.raises(ValueError, match="past 4"):
        unpack(torch.full((2, 1), 0x10, dtype=torch.uint8), 4)


def test_no_bits_are_refused():
    with pytest.raises(ValueError, match="at least 1 bit"):
        pack(torch.ones(2, 0))


@pytest.mark.parametrize("bits", [1, 8, 31, 33, 64, 65])
@pytest.mark.parametrize("word", [1, 4, 8])
def test_packed_rows_are_filled_up_to_whole_words(bits, word, generator):
    given = torch.rand(5, bits, generator=generator) < 0.5
    packed = pack_bits(given, word=word).numpy()
    assert packed.shape[1] % word == 0 <= packed.shape[1] * 8 - bits < 8 * word
    wanted = np.packbits(given.numpy(), axis=1, bitorder="little")
    assert (packed[:, : wanted.shape[1]] == wanted).all()
    assert not packed[:, wanted.shape[1] :].any()
