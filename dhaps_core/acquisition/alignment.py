"""The discrepancy of two sets of pairs as printed: the least over the orders of all pairs at once."""

import torch
from jaxtyping import Float
from torch import Tensor

from dhaps_core.pairs import item_kernel

__all__ = ["aligned_mmd_squared"]

MOST_PAIRS = 16  # of both sets: half of 2^16 orders are tried


def aligned_mmd_squared(
    x: Float[Tensor, "p 2 d"], t: Float[Tensor, "r 2 d"], *, bandwidth: float | None = None
) -> Float[Tensor, ""]:
    """Squared distance of the means of two sets of pairs, at the orders of their pairs that bring it lowest.

        min over k_1, k_2 of || 1/p sum_i T_{k_1,i} f(x_i) - 1/r sum_j T_{k_2,j} f(t_j) ||^2

    with f(x) the two codes of a pair side by side, as printed; or, with a bandwidth, the product of their
    images by the Gaussian item kernel. A swap T leaves the half (f + T f)/2 of a pair as it is and turns the
    sign of the other, (f - T f)/2, and the two are orthogonal. So

        value = distance of the means of the first halves + min over signs of that of the others

    With a bandwidth the first term is the squared MMD of the kernel ``invariant``, and the second at most
    (1/p + 1/r) / 2, what random signs leave on average: in large sets ``invariant`` is the alignment. The
    least over signs is a problem of balancing vectors: all are tried, so this is a reference for small sets,
    which no solver uses. ``matched`` takes the better order for any two pairs by themselves: a reading
    (``docs/readings.md``).

    Args:
        x: pairs of points, in any order each.
        t: pairs to compare with; with x at most 16, and at least one of each.
        bandwidth: sigma of the kernel; None compares the points themselves.

    Raises:
        ValueError: if there are more pairs, or a set is empty.

    Example:
        >>> near, far = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[[2.0], [0.0]]])
        >>> float(aligned_mmd_squared(near, far))
        0.0

    References:
        Wang et al., ECCV 2020: "Rewriting the MMD between two sets".
    """
    p, r = len(x), len(t)
    if not (p and r and p + r <= MOST_PAIRS):
        rule = f"both sets must have a pair, and at most {MOST_PAIRS} in all"
        raise ValueError(f"{rule}; got {p} and {r}. For larger ones take the kernel 'invariant'.")
    a, b = torch.cat([x, t]).double().unbind(1)
    if bandwidth is None:
        straight, swapped = a @ a.T + b @ b.T, a @ b.T + b @ a.T
    else:
        (aa, ab), (ba, bb) = (
            [item_kernel(left, right, bandwidth=bandwidth) for right in (a, b)] for left in (a, b)
        )
        straight, swapped = aa * bb, ab * ba
    share = torch.cat([a.new_full((p,), 1 / p), a.new_full((r,), -1 / r)])
    places = torch.arange(p + r - 1, device=a.device)
    signs = 1 - 2 * (torch.arange(2 ** (p + r - 1), device=a.device)[:, None] >> places & 1)
    signs = torch.cat([torch.ones_like(signs[:, :1]), signs], 1) * share  # turning all signs changes nothing
    turned = torch.einsum("oi,ij,oj->o", signs, straight - swapped, signs).min() / 2
    return share @ (straight + swapped) @ share / 2 + turned.clamp_min(0)
