"""Networks that learn from images below the hash layer: a small one from scratch, and a pretrained one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dhaps_core.hashing.backbones import efficientnet_lite0
from dhaps_core.hashing.inputs import PIXEL_MEAN, PIXEL_STD
from dhaps_core.hashing.network import seed_parameters

__all__ = ["CUT", "FineTuned", "ResidualCNN"]

CUT = 8
"""Blocks of :class:`FineTuned`, of 16, that stay as they are."""


class ResidualCNN(nn.Module):
    """Small residual network for images of 32 to 64 pixels: three stages, then centred, pooled features.

    With group normalisation 22 of 32 bits were the same for every image. In evaluation batch normalisation
    uses the statistics of training, so encode(one) = encode(batch). The last one has no ReLU after it:
    features that are all positive lie close together, and what follows makes the same bits of most images.

    Args:
        width: channels of the first stage. At 16, one core trains on 700 CIFAR-10 images a second.
        generator: CPU generator of the initial weights.

    Attributes:
        features: width of the output, 4 * width.
    """

    def __init__(self, width: int = 16, *, generator: torch.Generator) -> None:
        super().__init__()
        self.features = 4 * width
        self.layers = nn.Sequential(
            _convolution(3, width),
            _Residual(width),
            _convolution(width, 2 * width, stride=2),
            _Residual(2 * width),
            _convolution(2 * width, 4 * width, stride=2),
            _Residual(4 * width),
            nn.BatchNorm2d(4 * width),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        seed_parameters(self, generator=generator)

    def forward(self, x: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n d"]:
        """Pooled features of a batch of images."""
        pooled: Tensor = self.layers(x.contiguous(memory_format=torch.channels_last))
        return pooled


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(_convolution(width, width), _convolution(width, width))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.layers(x)
        return x + changed


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class FineTuned(nn.Module):
    """EfficientNet-Lite0 as the first part of a hash network, trained on from its ImageNet weights.

    The stem and the first CUT of 16 blocks stay as they are: their edges and colours serve any images, and
    what they make of an image has to be computed once (:mod:`dhaps_core.hashing.stage`). So do all batch
    statistics: a batch of 128 images would estimate them badly.

    Raises:
        ImportError: as :func:`dhaps_core.hashing.backbones.efficientnet_lite0`.
    """

    features = 1280
    """Width of the output."""

    def __init__(self) -> None:
        super().__init__()
        backbone = efficientnet_lite0()
        self.pooled = backbone.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        network = self.pooled.network
        for part in (network._conv_stem, network._bn0, *network._blocks[:CUT]):
            part.requires_grad_(False)
        # The weights expect (pixel / 255 - mean) / std; image rows come standardised for any network.
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (backbone.mean, backbone.std))
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", PIXEL_STD / 255 / std)
        self.register_buffer("shift", (PIXEL_MEAN / 255 - mean) / std)
        self.eval()

    def train(self, mode: bool = True) -> "FineTuned":
        """Nothing in here behaves differently in training."""
        return super().train(False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Pooled features of a batch of image rows (c = 3), or of what :meth:`lower` made of them."""
        maps, network = self.lower(x) if x.shape[1] == 3 else x, self.pooled.network
        maps = maps.contiguous(memory_format=torch.channels_last)
        for block in network._blocks[CUT:]:
            maps = block(maps)
        pooled: Tensor = network._swish(network._bn1(network._conv_head(maps))).float().mean(dim=(2, 3))
        return pooled

    def lower(self, x: Float[Tensor, "n 3 side side"]) -> Float[Tensor, "n c h w"]:
        """What the layers that never change make of a batch of image rows."""
        images = torch.addcmul(self.shift, x, self.scale).contiguous(memory_format=torch.channels_last)
        network = self.pooled.network
        maps: Tensor = network._swish(network._bn0(network._conv_stem(images)))
        for block in network._blocks[:CUT]:
            maps = block(maps)
        return maps

    def shape_of(self, side: int) -> tuple[int, int, int]:
        """Channels, height and width of what :meth:`lower` makes of images of that side."""
        blank = torch.zeros(1, 3, side, side, device=self.scale.device)
        with torch.no_grad():
            channels, height, width = self.lower(blank)[0].shape
        return channels, height, width
