"""Items as the rows that a network reads, and as the reference features that need no label."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dhaps_core.data.items import Items
from dhaps_core.hashing.network import PIXEL_MEAN, PIXEL_STD

__all__ = ["ImageRows", "augment", "feature_rows", "image_rows", "pixel_references"]


class ImageRows:
    """Images as float rows, standardised as ``network.PIXEL_MEAN`` says, augmented when asked.

    Args:
        pixels: 8-bit RGB of every item.
        augmentation: applied to a float batch, or None.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "n 3 side side"],
        augmentation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.pixels = pixels
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, positions: Tensor) -> Float[Tensor, "n 3 side side"]:
        batch = (self.pixels[positions].float() - PIXEL_MEAN) / PIXEL_STD
        return batch if self.augmentation is None else self.augmentation(batch)


def augment(generator: torch.Generator, *, margin: float = 0.125) -> Callable[[Tensor], Tensor]:
    """Random mirror and shift, as used for CIFAR-10: each image flips with probability 1/2 and moves.

    Args:
        generator: CPU generator of the draws.
        margin: greatest shift, as a share of the side; the border is reflected.
    """

    def apply(batch: Tensor) -> Tensor:
        n, _, height, width = batch.shape
        border = round(margin * width)
        flip = torch.rand(n, generator=generator) < 0.5
        batch = torch.where(flip.to(batch.device)[:, None, None, None], batch.flip(3), batch)
        padded = torch.nn.functional.pad(batch, [border] * 4, mode="reflect")
        shift = torch.randint(2 * border + 1, (2, n), generator=generator).to(batch.device)
        y = shift[0][:, None] + torch.arange(height, device=batch.device)
        x = shift[1][:, None] + torch.arange(width, device=batch.device)
        rows = torch.arange(n, device=batch.device)[:, None, None, None]
        channels = torch.arange(3, device=batch.device)[None, :, None, None]
        return padded[rows, channels, y[:, None, :, None], x[:, None, None, :]]

    return apply


def feature_rows(items: Items, train: Tensor) -> Float[Tensor, "n d"]:
    """The items' embeddings, centred on the train items and scaled to mean squared norm 1 there.

    Without centring, cosines of non-negative features (pixels, activations) are all large and say little.

    Args:
        items: with features.
        train: positions that mean and scale are taken from; the features themselves if there are none.

    Raises:
        ValueError: if the items have no features.
    """
    if items.features is None:
        rule = "items must have features; got images only"
        raise ValueError(f"{rule}. Embed them (dhaps_core.hashing.embed) or train from pixels.")
    features = torch.from_numpy(items.features)
    if not len(train):
        return features
    # In float64, from a row as the origin: far from zero float32 has no digits left for a mean and none for
    # small differences, it has no squares of large ones, and equal rows would differ from their mean.
    centred = features.double() - features[train[0]].double()
    centred -= centred[train].mean(0)
    norm = centred[train].square().sum(1).mean().sqrt()
    return (centred / norm if norm > 0 else centred).float()


def image_rows(items: Items, *, side: int) -> UInt8[Tensor, "n 3 side side"]:
    """All images as 8-bit RGB squares in memory (3 side^2 bytes an item): scaled to fit, grey borders.

    Args:
        items: with images.
        side: pixels.

    Raises:
        ValueError: if the items have no images.
    """
    if items.images is None:
        raise ValueError("items must have images; got features only. Train on the features.")
    out = np.full((items.n, side, side, 3), 128, dtype=np.uint8)
    for i in range(items.n):
        image = Image.fromarray(items.images[i])
        scale = side / max(image.size)
        size = [max(1, round(length * scale)) for length in image.size]
        small = np.asarray(image.resize((size[0], size[1]), Image.Resampling.BICUBIC))
        top, left = (side - size[1]) // 2, (side - size[0]) // 2
        out[i, top : top + size[1], left : left + size[0]] = small
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def pixel_references(
    pixels: UInt8[Tensor, "n 3 side side"], train: Tensor, *, dims: int = 64, grid: int = 8
) -> Float[Tensor, "n d"]:
    """Features that need no label and no network: a grid of mean colours, centred, on its main directions.

    Args:
        pixels: 8-bit RGB images.
        train: positions that mean and directions are taken from; all if there are none.
        dims: most directions kept.
        grid: cells along each side.
    """
    parts = [adaptive_avg_pool2d(part.float() / 255, grid).flatten(1) for part in pixels.split(1024)]
    cells = torch.cat(parts).double()
    train = train if len(train) else torch.arange(len(cells))
    centred = cells - cells[train[0]]  # as in feature_rows: equal images are exactly 0
    centred -= centred[train].mean(0)
    covariance = centred[train].T @ centred[train] / len(train)
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :dims]
    references: Tensor = centred @ directions
    return references.float()
