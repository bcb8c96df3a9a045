"""What lessons are about: a few digits that one can see whole, with short codes."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from dhaps_core.codes import sign
from dhaps_core.data.sources import digits
from dhaps_core.hashing.quantisation import iterative_quantisation

__all__ = ["Material", "few_digits", "quantised"]


@dataclass(frozen=True, eq=False)
class Material:
    """Items of a lesson, in the order of their classes; their names are their positions.

    Attributes:
        pictures: grey values in [0, 1], 1 being ink.
        labels: class of each item, a digit.
        features: the pixels, as they were given.
        relaxed: relaxed codes u in (-1, 1).
    """

    pictures: Float64[np.ndarray, "n 8 8"]
    labels: Int64[np.ndarray, " n"]
    features: Float32[Tensor, "n 64"]
    relaxed: Float64[Tensor, "n b"]

    @property
    def codes(self) -> Float64[Tensor, "n b"]:
        """Codes h = sign(u) in {-1, +1}."""
        return sign(self.relaxed)

    def __len__(self) -> int:
        return len(self.labels)


def few_digits(classes: str, each: int, *, bits: int, seed: int) -> Material:
    """Some digits of some classes, drawn by the seed; the codes are learnt on all 1,797, without a label.

    Args:
        classes: the digits to take, such as ``"035"``.
        each: items of each class.
        bits: b.
        seed: of the draw and of the rotation.

    Raises:
        ValueError: if a class is no digit or stands twice, or there are not so many items of it.
    """
    items = digits(seed=seed)
    assert items.features is not None
    assert items.labels is not None
    labels = np.asarray(items.labels)
    least = min(
        (int((labels == int(name)).sum()) if name in "0123456789" else 0 for name in classes), default=0
    )
    if len(set(classes)) < len(classes) or not 1 <= each <= least:
        rule = f"classes must be different digits with at least {each} items each, and each 1 or more"
        raise ValueError(f"{rule}; got {classes!r}, the rarest of which has {least}. Take fewer.")
    draw = np.random.default_rng(seed)
    chosen = np.concatenate(
        [np.sort(draw.choice(np.flatnonzero(labels == int(name)), each, replace=False)) for name in classes]
    )
    features = torch.from_numpy(items.features)
    return Material(
        pictures=features[chosen].double().view(-1, 8, 8).numpy(),
        labels=labels[chosen],
        features=features[chosen],
        relaxed=quantised(features, bits, seed=seed)[chosen],
    )


def quantised(features: Float32[Tensor, "n d"], bits: int, *, seed: int) -> Float64[Tensor, "n b"]:
    """Relaxed codes tanh(z) of ITQ: z are the projections of the centred rows, of root mean square 1."""
    rows = features.double()
    rows = rows - rows.mean(0)
    start = torch.randn(bits, rows.shape[1], generator=torch.Generator().manual_seed(seed), dtype=rows.dtype)
    z = rows @ iterative_quantisation(rows, start).T
    return (z / z.square().mean().sqrt()).tanh()
