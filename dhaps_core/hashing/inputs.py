"""Items as the rows that a network reads, and as the reference features that need no label."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, pad

from dhaps_core.data.images import Images
from dhaps_core.data.items import Items

__all__ = [
    "Centring",
    "Inputs",
    "ImageRows",
    "feature_rows",
    "image_rows",
    "images_of",
    "pixel_references",
    "squares",
]

FARTHEST = 1e15
"""Most that a centred row may be, in root mean squared norms: float32 squares it, and sums the squares."""
PIXEL_MEAN, PIXEL_STD = 127.5, 64.0
"""Networks read images as (pixel - mean) / std: about -2 to 2."""


@runtime_checkable
class Inputs(Protocol):
    """Rows that a network reads: indexing by positions gives one float batch."""

    def __len__(self) -> int: ...

    def __getitem__(self, positions: Tensor) -> Tensor: ...


class ImageRows:
    """Images, 8-bit RGB, as rows standardised as :data:`PIXEL_MEAN` says; with a CPU generator, augmented."""

    def __init__(
        self, pixels: UInt8[Tensor, "n 3 side side"], generator: torch.Generator | None = None
    ) -> None:
        self.pixels, self.generator = pixels, generator

    def __len__(self) -> int:
        return len(self.pixels)

    def augmented(self, generator: torch.Generator) -> "ImageRows":
        """The same images, mirrored and shifted by chance."""
        return ImageRows(self.pixels, generator)

    def __getitem__(self, positions: Tensor) -> Float[Tensor, "n 3 side side"]:
        rows = (self.pixels[positions].float() - PIXEL_MEAN) / PIXEL_STD
        return rows if self.generator is None else _augmented(rows, self.generator)


def _augmented(
    rows: Float[Tensor, "n 3 side side"], generator: torch.Generator
) -> Float[Tensor, "n 3 side side"]:
    """Random mirror and shift, as used for CIFAR-10: by at most an eighth of the side, borders reflected."""
    n, side = len(rows), rows.shape[-1]
    border = round(side / 8)
    flip = torch.rand(n, generator=generator) < 0.5
    rows = torch.where(flip[:, None, None, None], rows.flip(3), rows)
    padded = pad(rows, [border] * 4, mode="reflect")
    corners = torch.randint(2 * border + 1, (2, n), generator=generator).T.tolist()
    # Slices: one index of all pixels takes three times as long.
    return torch.stack(
        [image[:, y : y + side, x : x + side] for image, (y, x) in zip(padded, corners, strict=True)]
    )


def image_rows(items: Items, *, side: int) -> UInt8[Tensor, "n 3 side side"]:
    """All images as 8-bit RGB squares in memory (3 side^2 bytes an item): scaled to fit, grey borders.

    Raises:
        ValueError: if the items have no images.
    """
    return squares(images_of(items), side=side)


def images_of(items: Items) -> Images:
    """The images of items, of which a network is to learn.

    Raises:
        ValueError: if they have none.
    """
    if items.images is None:
        raise ValueError("items must have images; got features only. Train on the features.")
    return items.images


def squares(images: Images, *, side: int, at: Sequence[int] | None = None) -> UInt8[Tensor, "n 3 side side"]:
    """Images as :func:`image_rows` prepares those of items: those at some positions, or all."""
    at = range(len(images)) if at is None else at
    out = np.full((len(at), side, side, 3), 128, dtype=np.uint8)
    for place, i in enumerate(at):
        image = Image.fromarray(images[i])
        scale = side / max(image.size)
        width, height = (max(1, round(length * scale)) for length in image.size)
        top, left = (side - height) // 2, (side - width) // 2
        small = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
        out[place, top : top + height, left : left + width] = small
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, eq=False)
class Centring:
    """Embeddings centred on train rows and scaled: ((x - origin) - mean) / norm, in float64.

    Without centring, cosines of non-negative features (pixels, activations) are all large and say little.

    Attributes:
        origin: a train row, from which all are centred; see :meth:`centred`.
        mean: of the train rows, seen from the origin.
        norm: root of the mean squared norm of the centred train rows; 1 where that is 0.
    """

    origin: Float[Tensor, " d"]
    mean: Float64[Tensor, " d"]
    norm: float

    @classmethod
    def fit(cls, features: Float[Tensor, "n d"], train: Tensor) -> "Centring":
        """What the rows at the train positions [m] tell; without any, one that changes nothing."""
        if not len(train):
            zeros = torch.zeros(features.shape[1])
            return cls(zeros, zeros.double(), 1.0)
        origin = features[train[0]]
        mean = (features.double() - origin.double())[train].mean(0)
        found = cls(origin, mean, 1.0)
        norm = float(found.centred(features)[train].square().sum(1).mean().sqrt())
        return cls(origin, mean, norm if norm > 0 else 1.0)

    def __call__(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Any rows; the squared norm of the train rows is 1 on average.

        Raises:
            ValueError: if they have another number of features, or are so far away that float32 has no
                square of them.
        """
        if rows.shape[1] != len(self.origin):
            rule = f"rows must have the {len(self.origin)} features that the run learned from"
            raise ValueError(f"{rule}; got {rows.shape[1]}. Make them with the same network.")
        centred = self.centred(rows) / self.norm
        most = float(centred.abs().max()) if centred.numel() else 0.0
        if most > FARTHEST:
            rule = "rows must be of the size of those that the run learned from"
            raise ValueError(f"{rule}; got one that is {most:.2g} times as far. Leave it out.")
        return centred.float()

    def centred(self, rows: Float[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
        """Any rows minus the mean of the train rows, by way of the origin.

        Far from zero float32 has no digits left for a mean and none for small differences, it has no squares
        of large numbers, and equal rows would differ from their mean.
        """
        centred = rows.double() - self.origin.double()
        centred -= self.mean
        return centred


def feature_rows(items: Items, train: Tensor) -> tuple[Float[Tensor, "n d"], Centring]:
    """The items' embeddings, centred and scaled by the train items [m], and what does the same to any others.

    Raises:
        ValueError: if the items have no features.
    """
    if items.features is None:
        rule = "items must have features; got images only"
        raise ValueError(f"{rule}. Embed them (dhaps_core.hashing.embed) or train from pixels.")
    features = torch.tensor(items.features)  # a copy: of memory that a file lends, torch warns
    centring = Centring.fit(features, train)
    return centring(features), centring


def pixel_references(
    pixels: UInt8[Tensor, "n 3 side side"], train: Tensor, *, dims: int = 64
) -> Float[Tensor, "n d"]:
    """Features that need no label and no network: 8 x 8 mean colours, centred, on their main directions.

    Mean and directions, ``dims`` at most, are those of the train items [m], or of all if there are none.
    """
    parts = [adaptive_avg_pool2d(part.float() / 255, 8).flatten(1) for part in pixels.split(1024)]
    train = train if len(train) else torch.arange(len(pixels))
    rows = torch.cat(parts)
    centred = Centring.fit(rows, train).centred(rows)
    covariance = centred[train].T @ centred[train] / len(train)
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :dims]
    references: Tensor = centred @ directions
    return references.float()
