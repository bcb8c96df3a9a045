"""Binary codes: signs of relaxed codes, packed bits and Hamming distances.

A code is a row of b values in {-1, +1}. Packed, it is ceil(b / 8) bytes, least significant bit first: bit j
of byte i is code 8 i + j, +1 is a set bit, and the bits that fill up the last byte are 0, so they add nothing
to a Hamming distance. This is the order of faiss, and not the default of ``numpy.packbits``.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int, Int8, Num, UInt8
from torch import Tensor

__all__ = [
    "check_codes",
    "check_same_codes",
    "distance_blocks",
    "hamming_distance",
    "pack",
    "pack_bits",
    "sign",
    "unpack",
]

_BLOCK_VALUES = 1 << 22
"""Values of a block of distances by default: 16 MiB in float32."""


def sign(u: Float[Tensor, "*n b"]) -> Float[Tensor, "*n b"]:
    """Codes of relaxed codes: +1 where u >= 0, -1 elsewhere, in the dtype of u.

    Unlike ``torch.sign``, zero (and negative zero) counts as +1: a code has no third value.

    Args:
        u: relaxed codes, usually in [-1, 1]; any real numbers.

    Raises:
        ValueError: if a value is NaN.

    Example:
        >>> sign(torch.tensor([[0.3, 0.0, -0.2]]))
        tensor([[ 1.,  1., -1.]])
    """
    if u.isnan().any():
        raise ValueError("relaxed codes must be numbers; got NaN. Look for a diverged training run.")
    one = torch.ones((), dtype=u.dtype, device=u.device)
    return torch.where(u >= 0, one, -one)


def pack(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> UInt8[Tensor, "n w"]:
    """Packed codes: w = ceil(b / 8) bytes for each item, least significant bit first, +1 a set bit.

    Args:
        codes: -1 or +1, at least one bit.

    Raises:
        ValueError: if a value is not -1 or +1.

    Example:
        >>> pack(torch.tensor([[1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 1.0]]))
        tensor([[1, 1]], dtype=torch.uint8)
    """
    check_codes(codes)
    return pack_bits(codes > 0)


def pack_bits(bits: Bool[Tensor, "n b"]) -> UInt8[Tensor, "n w"]:
    """Packed bits, for anything that is true or false: the layout of :func:`pack`.

    Args:
        bits: at least one for each item.

    Example:
        >>> pack_bits(torch.tensor([[False, True, True]]))
        tensor([[6]], dtype=torch.uint8)
    """
    n, b = bits.shape
    padded = torch.zeros(n, -(-b // 8) * 8, dtype=torch.bool, device=bits.device)
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


def hamming_distance(
    a: Float[Tensor, "q b"] | Int8[Tensor, "q b"], b_: Float[Tensor, "m b"] | Int8[Tensor, "m b"]
) -> Int[Tensor, "q m"] | UInt8[Tensor, "q m"]:
    """Hamming distance, in bits, of every code of one set to every code of the other.

    Args:
        a: codes in {-1, +1}.
        b_: codes in {-1, +1}, same dtype and device.

    Returns:
        Exact distances, uint8 up to 255 bits and int16 beyond. Extra memory does not grow with q.

    Raises:
        ValueError: if a value is not -1 or +1, or if the two sets do not match.

    Example:
        >>> hamming_distance(torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0], [-1.0, 1.0]]))
        tensor([[0, 1]], dtype=torch.uint8)
    """
    dtype = torch.uint8 if a.shape[1] <= 255 else torch.int16
    result = torch.empty(len(a), len(b_), dtype=dtype, device=a.device)
    for rows, distances in distance_blocks(a, b_):
        result[rows] = distances
    return result


def distance_blocks(
    a: Float[Tensor, "q b"] | Int8[Tensor, "q b"],
    b_: Float[Tensor, "m b"] | Int8[Tensor, "m b"],
    block: int | None = None,
) -> Iterator[tuple[slice, Num[Tensor, "_ m"]]]:
    """Hamming distances in blocks of rows, for whoever cannot hold all q m of them.

    Args:
        a: codes in {-1, +1}.
        b_: codes in {-1, +1}, same dtype and device.
        block: rows at a time; chosen to keep a block near 16 MiB when None.

    Yields:
        The rows of ``a``, and their distances to all of ``b_`` as :func:`hamming_distance` gives them. The
        tensor is overwritten by the next block: copy what you keep.

    Raises:
        ValueError: if a value is not -1 or +1, if the two sets do not match, or if block is below 1.
    """
    check_same_codes(a, b_)
    rows = max(1, _BLOCK_VALUES // max(1, len(b_))) if block is None else block
    if rows < 1:
        raise ValueError(f"block must be at least 1 row; got {block}. Leave it out for the default.")
    return _blocks(a, b_, rows)


def check_codes(codes: Tensor) -> None:
    """Refusal of what is not a set of codes.

    Args:
        codes: expected [n b], -1 or +1, at least one bit.

    Raises:
        ValueError: if there is no bit, or a value is not -1 or +1.
    """
    if codes.shape[1] < 1:
        raise ValueError("codes must have at least 1 bit; got 0 bits. Check the width of the hash layer.")
    if not (codes.abs() == 1).all():
        low, high = (float(v) for v in codes.aminmax())
        raise ValueError(f"codes must be -1 or +1; got values in [{low:g}, {high:g}]. Call codes.sign first.")


def check_same_codes(a: Tensor, b_: Tensor) -> None:
    """Refusal of two sets of codes that cannot be compared.

    Args:
        a: codes.
        b_: codes to compare with.

    Raises:
        ValueError: if a value is not -1 or +1, or if bits, dtype or device differ.
    """
    check_codes(a)
    check_codes(b_)
    if (a.shape[1], a.dtype, a.device) != (b_.shape[1], b_.dtype, b_.device):
        raise ValueError(
            "both sets of codes must have the same bits, dtype and device; got "
            f"{a.shape[1]} bits {a.dtype} on {a.device} and {b_.shape[1]} bits {b_.dtype} on {b_.device}. "
            "Encode both with one network."
        )


def _blocks(a: Tensor, b_: Tensor, rows: int) -> Iterator[tuple[slice, Tensor]]:
    (q, bits), m = a.shape, len(b_)
    # distance = sum_j [b_j = 1] - a_j b_j, a_j in {0, 1}: every partial sum is a whole number up to bits, so
    # a float product is exact if the dtype holds them all. bfloat16 does up to 256, and is faster where the
    # processor has it.
    fast = a.device.type == "cuda" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    dtype = torch.bfloat16 if bits <= 256 and fast else torch.float32
    set_bits = b_ > 0
    left = torch.cat([a > 0, a.new_ones(q, 1, dtype=torch.bool)], 1).to(dtype)
    right = torch.cat([1 - 2 * set_bits.to(dtype), set_bits.sum(1, keepdim=True).to(dtype)], 1).T
    product = torch.empty(min(rows, q), m, dtype=dtype, device=a.device)
    distances = torch.empty_like(product, dtype=torch.uint8 if bits <= 255 else torch.int16)
    for start in range(0, q, rows):
        taken = slice(start, min(start + rows, q))
        height = taken.stop - start
        torch.mm(left[taken], right, out=product[:height])
        yield taken, distances[:height].copy_(product[:height])
