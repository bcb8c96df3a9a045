"""Counting Hamming distances 64 items at a time, on bit planes.

A plane holds one bit of every item: the bits of 64 items are one 64-bit word. Adding up the planes in which a
query and the items differ (with the logic of a hardware adder) gives the binary digits of all distances as
planes. Then the number of items whose distance has every digit of a set S is the popcount of an AND, and a
Moebius inversion turns the counts of S = 0..b into the histogram of distances. Everything is exact.

References:
    Warren: Hacker's Delight, 2nd ed., 2012, section 5-1 (carry-save adders and population counts).
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from dhaps_core.codes import pack_bits

__all__ = [
    "MAX_WORDS",
    "WORD",
    "DistanceTables",
    "LabelTables",
    "Planes",
    "and_counts",
    "histograms_of",
    "words",
]

WORD = 64
"""Items in a word."""

MAX_WORDS = 1024
"""Words in a row of a plane, at most: the popcount of a row must fit the 16-bit lanes of its sum."""

_GROUP_BITS = 7  # the widest group of bits whose distance fits three digits


def words(bits: Bool[Tensor, "n m"]) -> Int64[Tensor, "n w"]:
    """Planes of bits: first item in the lowest bit of the first word, filled up with 0 to 8 words.

    Args:
        bits: one row for each plane, one column for each item.
    """
    n, m = bits.shape
    packed = torch.zeros(n, -(-m // (8 * WORD)) * WORD, dtype=torch.uint8, device=bits.device)
    packed[:, : -(-m // 8)] = pack_bits(bits)
    return packed.view(torch.int64)


class Planes:
    """Memory for planes of one shape, taken and given back.

    The logic on a plane is so cheap that page faults of fresh memory would take as long again.

    Args:
        rows: queries.
        width: words, a multiple of 8, at most MAX_WORDS.
        bits: b, the number of counts to take at once.
        device: of the planes.
    """

    def __init__(self, rows: int, width: int, bits: int, device: torch.device) -> None:
        self._free: list[Tensor] = []
        self._shape = rows, width
        self._device = device
        # Bytes for the popcounts of b planes, and room for their sums.
        self.counts, self.lanes = torch.empty(2, bits, rows, width, dtype=torch.uint8, device=device)

    def take(self) -> Int64[Tensor, "q w"]:
        """A plane to write on."""
        if self._free:
            return self._free.pop()
        return torch.empty(self._shape, dtype=torch.int64, device=self._device)

    def give(self, *planes: Int64[Tensor, "q w"]) -> None:
        """Return planes that nobody reads any more.

        Args:
            planes: of this shape.
        """
        self._free += planes


class DistanceTables:
    """Distances of all queries to some database items, ready to be added up for any block of queries.

    The bits are cut into groups of 7. Queries share the few patterns that a group can have, so the digits of
    a group's distance are worked out once for each pattern that occurs.

    Args:
        query: bits of the queries [q b].
        items: bits of database items [m b], m at most 64 MAX_WORDS.
    """

    def __init__(self, query: Bool[Tensor, "q b"], items: Bool[Tensor, "m b"]) -> None:
        planes = words(items.T)
        self.bits, self.width = planes.shape
        self.device = planes.device
        # What fills up the last words is no item: no digit is set for it, so no AND counts it.
        valid = words(items.new_ones(1, len(items)))
        self._groups: list[tuple[Tensor, list[Tensor]]] = []
        for row, patterns, own in _grouped(query, planes):
            differs = [(plane ^ pattern) & valid for pattern, plane in zip(patterns, own, strict=True)]
            memory = Planes(len(differs[0]), self.width, 0, own.device)
            self._groups.append((row, _add_up([differs], memory)))

    def digits(self, rows: slice, memory: Planes) -> list[Int64[Tensor, "q w"]]:
        """Binary digits of the distances, lowest first; planes of the memory, to be given back.

        Args:
            rows: which queries.
            memory: planes of as many rows.
        """
        columns: list[list[Tensor]] = [[], [], []]
        for row, digits in self._groups:
            for weight, digit in enumerate(digits):
                columns[weight].append(torch.index_select(digit, 0, row[rows], out=memory.take()))
        return _add_up(columns, memory)


class LabelTables:
    """Items that share a label with a query, ready to be looked up for any block of queries.

    Args:
        query: labels of the queries [q c].
        items: labels of database items [m c], m at most 64 MAX_WORDS.
    """

    def __init__(self, query: Bool[Tensor, "q c"], items: Bool[Tensor, "m c"]) -> None:
        self._groups: list[tuple[Tensor, Tensor]] = []
        for row, patterns, own in _grouped(query, words(items.T)):
            shared = torch.zeros_like(patterns[0] & own[0])
            for pattern, plane in zip(patterns, own, strict=True):
                shared |= plane & pattern
            self._groups.append((row, shared))

    def shared(self, rows: slice) -> Int64[Tensor, "q w"]:
        """Planes with a 1 for each item that has at least one label of the query.

        Args:
            rows: which queries.
        """
        (row, first), *others = self._groups
        mask = first[row[rows]]
        for row, shared in others:
            mask |= shared[row[rows]]
        return mask


def and_counts(digits: list[Int64[Tensor, "q w"]], bits: int, memory: Planes) -> Int64[Tensor, "b q"]:
    """Number of items whose distance has every binary digit of S (and maybe others), for S = 1..b.

    Args:
        digits: planes of binary digits, lowest first.
        bits: b, the greatest distance: a larger S is in no distance.
        memory: planes of the same shape.
    """
    # S is its parent, S without its lowest digit, and that digit. In rising order the parent is always the
    # last set that ended in its own lowest digit, so one plane for each digit is kept.
    own = [memory.take() for _ in digits]
    kept = list(digits)
    for s in range(1, bits + 1):
        lowest, parent = _lowest(s), s & (s - 1)
        kept[lowest] = digits[lowest]
        if parent:
            kept[lowest] = torch.bitwise_and(kept[_lowest(parent)], digits[lowest], out=own[lowest])
        _popcount(kept[lowest], out=memory.counts[s - 1])
    memory.give(*own)
    return _total(memory.counts[:bits], memory.lanes[:bits])


def histograms_of(counts: Int64[Tensor, "*two v q"]) -> Int64[Tensor, "*two q v"]:
    """Histograms of the distances 0..b from their AND-counts: count(S) = sum of hist(T), T containing S.

    Args:
        counts: for S = 0..b, v = b + 1.
    """
    hist = counts.transpose(-1, -2).clone(memory_format=torch.contiguous_format)
    v = hist.shape[-1]
    for digit in range((v - 1).bit_length()):
        without = [s for s in range(v) if not s >> digit & 1 and s | 1 << digit < v]
        hist[..., without] -= hist[..., [s | 1 << digit for s in without]]
    return hist


def _grouped(query: Tensor, planes: Tensor) -> Iterator[tuple[Tensor, list[Tensor], Tensor]]:
    """For each group of bits: the pattern of each query, the bits of each pattern as 0 or -1, the planes."""
    groups = -(-query.shape[1] // _GROUP_BITS)
    for bits, own in zip(query.T.tensor_split(groups), planes.tensor_split(groups), strict=True):
        place = torch.arange(len(bits), device=bits.device)[:, None]
        patterns, row = torch.unique((bits.long() << place).sum(0), return_inverse=True)
        yield row, [-(patterns[:, None] >> j & 1) for j in range(len(bits))], own


def _add_up(columns: list[list[Tensor]], memory: Planes) -> list[Tensor]:
    """Digits of a sum of planes; column i holds those of weight 2^i, which are overwritten or given back."""
    digits = []
    while columns:
        column, *columns = columns
        while len(column) > 1:
            columns = columns or [[]]
            x, y, spare = column.pop(), column.pop(), memory.take()
            if column:
                z = column.pop()
                torch.bitwise_xor(x, y, out=spare)
                torch.bitwise_xor(x, z, out=y)
                columns[0].append(y.bitwise_and_(spare).bitwise_xor_(x))
                column.append(z.bitwise_xor_(spare))
                memory.give(x, spare)
            else:
                columns[0].append(torch.bitwise_and(x, y, out=spare))
                column.append(x.bitwise_xor_(y))
                memory.give(y)
        digits += column
    return digits


def _lowest(s: int) -> int:
    return (s & -s).bit_length() - 1


def _popcount(plane: Int64[Tensor, "q w"], *, out: UInt8[Tensor, "q w"]) -> None:
    if plane.device.type == "cpu":
        # Unsigned, because numpy counts the bits of the absolute value.
        np.bitwise_count(plane.numpy().view(np.uint64), out=out.numpy())
    else:
        out.copy_(_popcount_by_halves(plane))


def _popcount_by_halves(plane: Int64[Tensor, "q w"]) -> Int64[Tensor, "q w"]:
    """Popcount from sums of 2, 4, 8 and then all 64 bits, where torch has no instruction for it."""
    pairs = plane - (plane >> 1 & 0x5555555555555555)
    nibbles = (pairs & 0x3333333333333333) + (pairs >> 2 & 0x3333333333333333)
    octets = nibbles + (nibbles >> 4) & 0x0F0F0F0F0F0F0F0F
    return octets * 0x0101010101010101 >> 56 & 0xFF


def _total(counts: UInt8[Tensor, "b q w"], lanes: UInt8[Tensor, "b q w"]) -> Int64[Tensor, "b q"]:
    """Sums of bytes up to 64 along rows of up to 1024: eight at a time, in 16-bit lanes; overwrites both."""
    even, odd = counts.view(torch.int64), lanes.view(torch.int64)
    torch.bitwise_right_shift(even, 8, out=odd)
    sums = even.bitwise_and_(0x00FF00FF00FF00FF).add_(odd.bitwise_and_(0x00FF00FF00FF00FF)).sum(-1)
    return sums.unsqueeze(-1).view(torch.int16).sum(-1)
