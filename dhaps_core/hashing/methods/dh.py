"""DH: unsupervised codes from a tanh network that starts at the principal components."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dhaps_core.hashing.methods.base import NO_SIZES, Batch, Objective, quantisation
from dhaps_core.hashing.network import HashNetwork, relax
from dhaps_core.hashing.training_set import TrainingSet

__all__ = ["DH", "Centre", "orthogonality"]


def orthogonality(weight: Float[Tensor, "k d"]) -> Float[Tensor, ""]:
    """||W W^T - I||_F^2, or ||W^T W - I||_F^2 where W has more rows than columns: the former cannot reach 0.

    Example:
        >>> float(orthogonality(torch.tensor([[1.0, 1.0]])))  # (1 + 1 - 1)^2
        1.0
    """
    gram = weight @ weight.T if len(weight) <= weight.shape[1] else weight.T @ weight
    return (gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device)).square().sum()


class Centre(nn.Module):
    """Features minus their mean over the training items, scaled so that the kept components have variance 1.

    Without it the tanh layers see features of whatever scale, and bits become constant.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The centred rows."""
        return (x - self.mean) * self.scale


@final
@dataclass(frozen=True)
class DH(Objective):
    """Quantisation, minus balance, plus orthogonality and decay of the weights; no labels.

        1/2 mean (sign(u) - u)^2 - balance/2 mean (u - mean u)^2
            + orthogonal/2 sum_m ||W_m W_m^T - I||_F^2 + decay/2 sum_m (||W_m||_F^2 + ||c_m||^2)

    on u = tanh(W_3 h_2 + c_3), h_m = tanh(W_m h_{m-1} + c_m). W_1 starts at the principal components of the
    centred backbone features, the later layers at the rectangular identity. The objective, its start and its
    three layers of 60-30-16, 80-50-32 and 100-80-64 for 16, 32 and 64 bits are a reading from memory
    (``docs/readings.md``); widths of other code lengths are interpolated. The published weights 100, 0.001,
    0.001 belong to sums over GIST features; for the means used here 3 and 0.1 were chosen on held-out
    training items of CIFAR-10, Tiny ImageNet and the digits. The optimiser adds no decay of its own to that
    of the objective; where it did, as in earlier versions, mAP of the digits at 32 bits, seeds 0 to 2, was
    .660, .644, .670, and is .656, .640, .670 (CIFAR-10, seed 0: .325 and .324).

    Args:
        balance: weight of the variance of each bit.
        orthogonal: weight of the distance from orthonormal rows.
        decay: weight of the squared weights and biases.

    References:
        Erin Liong, Lu, Wang, Moulin, Zhou: Deep Hashing for Compact Binary Codes Learning, CVPR 2015.
    """

    name, labels, prior, decays = "dh", "none", False, True
    balance: float = 3.0
    orthogonal: float = 0.1
    decay: float = 0.001

    def layers(
        self, features: int, bits: int, *, hidden: int, dropout: float, sizes: Mapping[str, int] = NO_SIZES
    ) -> nn.Sequential:
        """Two tanh layers; a layer is never wider than the features, nor narrower than the code if it can."""
        wide, narrow = (
            min(features, max(bits, round(float(np.interp(log2(bits), (4, 5, 6), published)))))
            for published in ((60, 80, 100), (30, 50, 80))
        )
        first, second = nn.Linear(features, wide), nn.Linear(wide, narrow)
        return nn.Sequential(Centre(features), first, nn.Tanh(), second, nn.Tanh())

    def initialise(self, network: HashNetwork, training: TrainingSet) -> None:
        """Principal components of a sample first, then identities."""
        sample = training.sample()
        first, *later = _linear_layers(network)
        centre = network.hidden[0]
        assert isinstance(centre, Centre)
        mean = sample.mean(0)
        values, components = torch.linalg.eigh((sample - mean).T @ (sample - mean) / len(sample))
        with torch.no_grad():
            centre.mean.copy_(mean)
            centre.scale.copy_(values[-first.out_features :].mean().clamp_min(1e-12).rsqrt())
            first.weight.copy_(components.flip(1)[:, : first.out_features].T)
            first.bias.zero_()
            for layer in later:
                nn.init.eye_(layer.weight)
                layer.bias.zero_()

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The four terms, over all rows."""
        u = relax(batch.outputs)
        terms = {
            "quantisation": quantisation(u) / 2,
            "balance": -self.balance / 2 * (u - u.mean(0)).square().mean(),
        }
        if batch.network is not None:
            layers = _linear_layers(batch.network)
            orthogonal = torch.stack([orthogonality(layer.weight) for layer in layers]).sum()
            norms = torch.stack([layer.weight.square().sum() + layer.bias.square().sum() for layer in layers])
            terms["orthogonal"] = self.orthogonal / 2 * orthogonal
            terms["decay"] = self.decay / 2 * norms.sum()
        return terms


def _linear_layers(network: HashNetwork) -> list[nn.Linear]:
    return [layer for layer in (*network.hidden, network.hash) if isinstance(layer, nn.Linear)]
