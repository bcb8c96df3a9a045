"""How much each bit tells: its entropy over the training items, and a warning when a bit tells nothing."""

import warnings

import torch
from jaxtyping import Float, Int8
from torch import Tensor

__all__ = ["ConstantBits", "bit_entropy", "bit_report"]


_FEW = 64  # of so few items a bit may well be the same by chance: that is reported, and no warning


class ConstantBits(UserWarning):
    """Some bits are the same for every training item: they take part in no comparison."""


def bit_entropy(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> Float[Tensor, " b"]:
    """Entropy of each bit over the items, in bits: 1 where half of them have +1, 0 where all agree.

    Args:
        codes: in {-1, +1}.

    Example:
        >>> bit_entropy(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        tensor([0., 1.])
    """
    share = (codes > 0).float().mean(0)
    both = torch.stack([share, 1 - share])
    return -torch.xlogy(both, both).sum(0).div(torch.log(both.new_tensor(2.0))) + 0.0


def bit_report(codes: Float[Tensor, "n b"] | Int8[Tensor, "n b"]) -> dict[str, float | int]:
    """Mean and least entropy of the bits, and the number of constant ones, with a warning if there are any.

    Args:
        codes: of the training items.

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
