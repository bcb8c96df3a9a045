"""Distances and kernels between items and between *pairs* of items.

A pair is unordered, so everything here is unchanged when the two items of a pair are swapped.

Distances come from products, |a|^2 + |b|^2 - 2ab, which lose digits where |a| is large beside |a - b|. So all
products here are of points in float64, moved to a common centre and divided by the bandwidth: an offset, a
scale or a setting that lets float32 products round (TF32, bfloat16) changes nothing.

The poster prints the distance d of two pairs and writes K for their "correlation", without a formula and
without a bandwidth: that K is Gaussian, in d or of the items, and the median heuristic are readings
(``docs/readings.md``).

References:
    Wang, Zheng, Lu, Zhou: Deep Hashing with Active Pairwise Supervision, ECCV 2020.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from dhaps_core.blocks import block_cells
from dhaps_core.checks import one_of

__all__ = [
    "Kernel",
    "Points",
    "exponents",
    "item_kernel",
    "kernel_means",
    "median_bandwidth",
    "pair_distance",
    "pair_kernel",
]

Kernel = Literal["invariant", "matched"]

_WIDE = 1e4  # squared distance from the centre, in bandwidths, from which on products lose digits
_FARTHEST = 1e150  # distance in bandwidths whose square is still a number
_TILE = 512  # rows and columns of kernels at a time, on a CPU


@dataclass(frozen=True)
class Points:
    """Points around a common centre, in bandwidths: what kernels are made from.

    Attributes:
        scaled: the points.
        half: -|x|^2 / 2 of each, which a product of points needs beside it to give an exponent.
        wide: whether some are so far out that products lose digits even in float64.
    """

    scaled: Float64[Tensor, "n d"]
    half: Float64[Tensor, " n"]
    wide: bool

    @classmethod
    def of(cls, points: Float[Tensor, "n d"], *, bandwidth: float) -> "Points":
        """Codes or embeddings of one set, by a bandwidth sigma.

        Raises:
            ValueError: if the bandwidth is not a positive number, or a point is not finite.
        """
        return _scaled(points, bandwidth=bandwidth)[0]

    def __len__(self) -> int:
        return len(self.half)

    def __getitem__(self, chosen: slice | Int[Tensor, " r"]) -> "Points":
        return Points(self.scaled[chosen], self.half[chosen], self.wide)

    @cached_property
    def reach(self) -> float:
        """Greatest squared distance of a point from the centre."""
        return -2 * float(self.half.detach().min()) if len(self) else 0.0


def pair_distance(x: Float[Tensor, "p 2 d"], t: Float[Tensor, "r 2 d"]) -> Float[Tensor, "p r"]:
    """Distance of the better alignment of two pairs: min over the swap of the sum of item distances.

    Args:
        x: pairs of codes (or of any points), the two items along the second axis.
        t: pairs to compare with.

    Returns:
        d(x, t) = min(|x_a - t_a| + |x_b - t_b|, |x_b - t_a| + |x_a - t_b|), Euclidean norms; between codes
        in {-1, +1} one norm is 2 sqrt(Hamming distance in bits). This is the second line that is printed; the
        first, the norm of both differences at once, is another number: a reading (``docs/readings.md``).

    Example:
        >>> pair_distance(torch.tensor([[[1.0], [-1.0]]]), torch.tensor([[[-1.0], [-1.0]]]))
        tensor([[2.]])

    References:
        Wang et al., ECCV 2020, "Designing the acquisition function".
    """
    a, b = x.unbind(1)
    t_a, t_b = t.unbind(1)
    straight = _distance(a, t_a) + _distance(b, t_b)
    swapped = _distance(b, t_a) + _distance(a, t_b)
    return torch.minimum(straight, swapped)


def item_kernel(
    a: Float[Tensor, "p d"], b: Float[Tensor, "r d"], *, bandwidth: float
) -> Float[Tensor, "p r"]:
    """Gaussian kernel of two sets of points, exp(-|a - b|^2 / 2 sigma^2), in (0, 1].

    Between codes in {-1, +1} this is exp(-2 Hamming / sigma^2).

    Args:
        a: points.
        b: points.
        bandwidth: sigma, in the units of the points, above 0.

    Returns:
        In the dtype of ``a``, at least float32.

    Raises:
        ValueError: if the bandwidth is not a positive number.
    """
    return exponents(*_scaled(a, b, bandwidth=bandwidth)).exp().to(_dtype(a))


def pair_kernel(
    x: Float[Tensor, "p 2 d"],
    t: Float[Tensor, "r 2 d"],
    *,
    bandwidth: float,
    kind: Kernel = "invariant",
) -> Float[Tensor, "p r"]:
    """Kernel between unordered pairs, in [0, 1].

    Args:
        x: pairs of points.
        t: pairs of points.
        bandwidth: sigma, above 0.
        kind: ``invariant`` = 1/2 [k(x_a,t_a) k(x_b,t_b) + k(x_b,t_a) k(x_a,t_b)] averages over the swap:
            it is positive definite, and its sums over all pairs factorise. ``matched`` takes the better
            order, exp(-d(x,t)^2 / 2 sigma^2), d being published: it is not positive definite in general, and
            aligns any two pairs by themselves. The printed MMD aligns whole sets of pairs at once:
            :mod:`dhaps_core.acquisition.alignment`.

    Raises:
        ValueError: on another kind, or a bandwidth that is not a positive number.

    Example:
        >>> x = torch.tensor([[[1.0], [-1.0]]])
        >>> float(pair_kernel(x, x.flip(1), bandwidth=1.0, kind="matched"))
        1.0
    """
    if one_of("kind", kind, get_args(Kernel)) == "matched":
        left, right = _scaled(x.flatten(0, 1), t.flatten(0, 1), bandwidth=bandwidth)
        distance = pair_distance(left.scaled.view(x.shape), right.scaled.view(t.shape))
        return (distance.square() / -2).exp().to(_dtype(x))
    a, b = x.unbind(1)
    t_a, t_b = t.unbind(1)
    straight = item_kernel(a, t_a, bandwidth=bandwidth) * item_kernel(b, t_b, bandwidth=bandwidth)
    swapped = item_kernel(b, t_a, bandwidth=bandwidth) * item_kernel(a, t_b, bandwidth=bandwidth)
    return (straight + swapped) / 2


def median_bandwidth(
    points: Float[Tensor, "n d"], *, generator: torch.Generator, scale: float = 1.0, sample: int = 2000
) -> float:
    """Bandwidth sigma with 2 sigma^2 = scale * median squared distance of distinct points (median heuristic).

    Args:
        points: at least two items.
        generator: CPU generator; draws the sample, so every device sees the same one.
        scale: factor on the median, above 0; small values make a narrow kernel.
        sample: the median is taken over the pairs of at most this many items; of distinct ones if all that
            were drawn are equal.

    Returns:
        Sigma; 1 if all points are equal, where every bandwidth gives the same kernel.

    Raises:
        ValueError: if there are fewer than two points, or if one is not finite.
    """
    if len(points) < 2 or not 0 < scale < float("inf"):
        raise ValueError(f"the median heuristic needs 2 points and scale > 0; got {len(points)} and {scale}.")
    centre, size = _box(points)
    if not size < float("inf"):
        raise ValueError(
            f"points must be finite; got {int((~points.isfinite()).sum())} values that are not. Drop them."
        )
    if size == 0:
        return 1.0
    chosen = points[torch.randperm(len(points), generator=generator)[:sample].to(points.device)]
    squared = torch.pdist(((chosen.double() - centre) / size).float()).square()
    if not bool((squared > 0).any()):
        chosen = points.unique(dim=0)
        chosen = chosen[torch.randperm(len(chosen), generator=generator)[:sample].to(points.device)]
        squared = torch.pdist((chosen.double() - centre) / size).square()
    return size * float((scale * squared[squared > 0].double().median() / 2).sqrt())


def kernel_means(
    points: Float[Tensor, "n d"], *, bandwidth: float, block: int | None = None
) -> Float[Tensor, " n"]:
    """Mean kernel of every item with the whole collection, m(a) = mean_i k(a, i), exact.

    The matrix of kernels is symmetric, so each block above the diagonal serves its rows and its columns:
    half of the products, a tile at a time.

    Args:
        points: codes or embeddings.
        bandwidth: sigma, above 0.
        block: rows and columns of a tile; by default it stays in the cache, and on a GPU it fills it.

    Returns:
        Means in (0, 1], float64 sums returned in the dtype of the points, at least float32.
    """
    dtype, n = _dtype(points), len(points)
    scaled = Points.of(points, bandwidth=bandwidth)
    block = block or isqrt(block_cells(points.device, _TILE**2))
    sums = torch.zeros(n, dtype=torch.float64, device=points.device)
    for start in range(0, n, block):
        mine = slice(start, start + block)
        for left in range(start, n, block):
            theirs = slice(left, left + block)
            # The exponent needs all digits; of the kernel itself, those of the answer are enough.
            kernel = exponents(scaled[mine], scaled[theirs]).to(dtype).exp_()
            sums[mine] += kernel.sum(1, dtype=torch.float64)
            if left > start:
                sums[theirs] += kernel.sum(0, dtype=torch.float64)
    return (sums / n).to(dtype)


def _distance(a: Float[Tensor, "p d"], b: Float[Tensor, "r d"]) -> Float[Tensor, "p r"]:
    # The product form of cdist loses half of the digits for near points.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def exponents(points: Points, others: Points) -> Float64[Tensor, "p r"]:
    """Exponents -|a - b|^2 / 2 sigma^2 of points around one centre, by products where those keep digits."""
    if points.wide:
        return _distance(points.scaled, others.scaled).square_().div_(-2)
    # The side with fewer rows last: for two rows it is four times as fast.
    if len(others) > len(points):
        return exponents(others, points).T
    product = torch.addmm(others.half, points.scaled, others.scaled.T)
    return product.add_(points.half[:, None]).clamp_max_(0)


def _scaled(*sets: Float[Tensor, "_ d"], bandwidth: float) -> list[Points]:
    """Points in float64 around the centre of the box that holds all sets, in units of the bandwidth.

    The centre of the box, unlike the mean, is the same for every order of the points, and that of codes is 0.
    """
    if not 0 < bandwidth < float("inf"):
        raise ValueError(f"bandwidth must be a positive number; got {bandwidth}. Use median_bandwidth.")
    ends = [end for points in sets if len(points) for end in points.detach().aminmax(dim=0)]
    if ends:
        centre, size = _box(torch.stack(ends))
        if not size / bandwidth < _FARTHEST:
            rule = f"points must be finite and near enough for the bandwidth {bandwidth}"
            raise ValueError(
                f"{rule}; got a box of size {size:g}. Drop broken points, or use median_bandwidth."
            )
    else:
        centre = torch.zeros(sets[0].shape[1], dtype=torch.float64, device=sets[0].device)
    scaled = [torch.sub(points, centre).div_(bandwidth) for points in sets]
    halves = [torch.linalg.vecdot(points, points) / -2 for points in scaled]
    wide = any(bool((half < -_WIDE / 2).any()) for half in halves)
    return [Points(points, half, wide) for points, half in zip(scaled, halves, strict=True)]


def _box(points: Float[Tensor, "n d"]) -> tuple[Float64[Tensor, " d"], float]:
    """Centre of the box that holds the points, and half of its greatest side."""
    low, high = (end.double() / 2 for end in (points.amin(0), points.amax(0)))
    return low + high, float((high - low).max())


def _dtype(points: Tensor) -> torch.dtype:
    return torch.promote_types(points.dtype, torch.float32)
