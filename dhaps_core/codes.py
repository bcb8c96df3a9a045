"""Binary codes: signs of relaxed codes, packed bits, and how much each bit tells.

A code is a row of b values in {-1, +1}. Packed, it is ceil(b / 8) bytes, least significant bit first: bit j
of byte i is code 8 i + j, +1 is a set bit, and the bits that fill up the last byte are 0, so they add nothing
to a Hamming distance. This is the order of faiss, and not the default of ``numpy.packbits``.
"""

import warnings

import torch
from jaxtyping import Bool, Float, Int8, UInt8
from torch import Tensor

__all__ = ["ConstantBits", "bit_entropy", "bit_report", "check_codes", "pack", "pack_bits", "sign", "unpack"]

_FEW = 64  # of so few items a bit may well be the same by chance: that is reported, and no warning


class ConstantBits(UserWarning):
    """Some bits are the same for every training item: they take part in no comparison."""


def sign(u: Float[Tensor, "*n b"]) -> Float[Tensor, "*n b"]:
    """Codes of relaxed codes: +1 where u >= 0, -1 elsewhere, in the dtype of u.

    Unlike ``torch.sign``, zero (and negative zero) counts as +1: a code has no third value.

    Raises:
        ValueError: if a value is NaN.

    Example:
        >>> sign(torch.tensor([[0.3, 0.0, -0.2]]))
        tensor([[ 1.,  1., -1.]])
    """
    if u.isnan().any():
        raise ValueError("relaxed codes must be numbers; got NaN. Look for a diverged training run.")
    return (u >= 0).to(u.dtype).mul_(2).sub_(1)


def pack(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> UInt8[Tensor, "n w"]:
    """Packed codes: w = ceil(b / 8) bytes for each item, least significant bit first, +1 a set bit.

    Raises:
        ValueError: if there is no bit, or a value is not -1 or +1.

    Example:
        >>> pack(torch.tensor([[1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0]]))
        tensor([[1, 1]], dtype=torch.uint8)
    """
    check_codes(codes)
    return pack_bits(codes > 0)


def pack_bits(bits: Bool[Tensor, "n b"], *, word: int = 1) -> UInt8[Tensor, "n w"]:
    """Packed bits, for anything that is true or false: the layout of :func:`pack`.

    Args:
        bits: at least one for each item.
        word: bytes that a row is a multiple of, filled up with 0, so that it can be read as numbers.

    Example:
        >>> pack_bits(torch.tensor([[False, True, True]]))
        tensor([[6]], dtype=torch.uint8)
    """
    n, b = bits.shape
    padded = torch.zeros(n, -(-b // (8 * word)) * 8 * word, dtype=torch.bool, device=bits.device)
    padded[:, :b] = bits
    # Eight bools are one word of eight bytes 0 or 1; the product moves byte j to bit j of the top byte.
    words = padded.view(torch.int64) * 0x0102040810204080
    return (words >> 56 & 0xFF).to(torch.uint8)


def unpack(packed: UInt8[Tensor, "n w"], bits: int) -> Int8[Tensor, "n b"]:
    """Codes in {-1, +1} of packed ones: the inverse of :func:`pack`.

    Args:
        packed: bytes, least significant bit first.
        bits: b; the bytes hold it with fewer than 8 bits to spare, all of them 0.

    Raises:
        ValueError: if the number of bytes is not ceil(bits / 8), or if a spare bit is set.

    Example:
        >>> unpack(torch.tensor([[6]], dtype=torch.uint8), 3)
        tensor([[-1,  1,  1]], dtype=torch.int8)
    """
    n, width = packed.shape
    if bits < 1 or width != -(-bits // 8):
        raise ValueError(
            f"codes of 1 bit or more must have ceil(bits / 8) bytes; got {width} for {bits} bits. Check bits."
        )
    shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)
    values = (packed[:, :, None] >> shifts & 1).view(n, width * 8)
    if values[:, bits:].any():
        raise ValueError(f"bits past {bits} must be 0; got a set bit. Check bits and the bit order.")
    return values[:, :bits].to(torch.int8) * 2 - 1


def check_codes(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> None:
    """Refusal of what is not a set of codes.

    Raises:
        ValueError: if there is no bit, or a value is not -1 or +1.
    """
    if codes.shape[1] < 1:
        raise ValueError("codes must have at least 1 bit; got 0 bits. Check the width of the hash layer.")
    if not (codes.abs() == 1).all():
        low, high = (float(v) for v in codes.aminmax())
        raise ValueError(f"codes must be -1 or +1; got values in [{low:g}, {high:g}]. Call codes.sign first.")


def bit_entropy(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> Float[Tensor, " b"]:
    """Entropy of each bit over the items, in bits: 1 where half of them have +1, 0 where all agree.

    Example:
        >>> bit_entropy(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        tensor([0., 1.])
    """
    share = (codes > 0).float().mean(0)
    both = torch.stack([share, 1 - share])
    return -torch.xlogy(both, both).sum(0).div(torch.log(both.new_tensor(2.0))) + 0.0


def bit_report(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> dict[str, float | int]:
    """Mean and least entropy of the bits, and the number of constant ones, with a warning if there are any.

    Warns:
        ConstantBits: if a bit is the same for every one of at least 64 items.
    """
    entropy = bit_entropy(codes)
    constant = int((entropy == 0).sum())
    if constant and len(codes) >= _FEW:
        warnings.warn(
            f"{constant} of {len(entropy)} bits are the same for all {len(codes)} training items. "
            "Label more classes, train longer, or use fewer bits.",
            ConstantBits,
            stacklevel=2,
        )
    return {
        "bit_entropy": float(entropy.mean()),
        "bit_entropy_least": float(entropy.min()),
        "constant_bits": constant,
    }
