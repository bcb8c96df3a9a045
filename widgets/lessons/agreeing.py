"""A number worked out by hand beside the one of the function that is used: a tick where both agree."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["agree"]


def agree(what: str, by_hand: npt.ArrayLike, by_core: Any, *, within: float = 1e-9) -> None:
    """Print a tick if two results are the same, number by number.

    Args:
        what: name of the result.
        by_hand: numbers of any shape.
        by_core: the same by the function, a number, an array or a tensor.
        within: greatest difference of two numbers that count as equal, beside 1 and the numbers themselves.

    Raises:
        ValueError: if they differ, with the first place where they do.

    Example:
        >>> agree("half", 1 / 2, 0.5)
        ✓ half: by hand and by the function 0.5
    """
    hand, core = np.asarray(by_hand, dtype=float), np.asarray(by_core, dtype=float)
    if hand.shape != core.shape:
        rule = f"{what}: both results must have one shape"
        raise ValueError(f"{rule}; got {hand.shape} by hand and {core.shape} by the function.")
    # Written so that NaN agrees with nothing.
    apart = ~(np.abs(hand - core) <= within * np.maximum(1, np.abs(core)))
    if apart.any():
        at = tuple(int(i) for i in np.argwhere(apart)[0])
        where = f" at {at}" if at else ""
        raise ValueError(
            f"✗ {what}: both results must agree; got {hand[at]:.10g} by hand and {core[at]:.10g} by the "
            f"function{where}. One of them is wrong: look which."
        )
    if core.ndim == 0:
        print(f"✓ {what}: by hand and by the function {core:.6g}")  # noqa: T201 - it is the cell's output
    else:
        shape = " x ".join(map(str, core.shape))
        print(f"✓ {what}: {shape} numbers, by hand and by the function the same")  # noqa: T201 - as above
