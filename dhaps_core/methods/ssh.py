"""SSH: eigenvectors of a covariance that is adjusted by the pairs known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from dhaps_core.methods.base import ClosedForm, Labels, WithLayers
from dhaps_core.network import HashNetwork

__all__ = ["SSH", "adjusted_covariance"]

_BLOCK = 2048


def adjusted_covariance(
    centred: Float[Tensor, "m d"],
    supervised: Float[Tensor, "l d"],
    similarity: Callable[[slice], Int8[Tensor, "r l"]],
    eta: float,
) -> Float[Tensor, "d d"]:
    """X_l S X_l^T + eta X X^T, each part divided by what it sums over, so that neither rules by its size.

    Args:
        centred: all training rows X, minus their mean.
        supervised: rows X_l of the supervised items, minus the same mean.
        similarity: rows of S: +1 similar, -1 dissimilar, 0 unknown.
        eta: weight of the variance of all items.
    """
    d = centred.shape[1]
    sums, counts = {sign: centred.new_zeros(d, d) for sign in (1, -1)}, {1: 0, -1: 0}
    for start in range(0, len(supervised), _BLOCK):
        rows = similarity(slice(start, start + _BLOCK)).clone()
        rows[torch.arange(len(rows)), torch.arange(start, start + len(rows))] = 0  # self-pairs tell nothing
        for sign in sums:
            kind = (rows == sign).to(centred)
            counts[sign] += int(kind.sum())
            sums[sign] += supervised[start : start + _BLOCK].T @ (kind @ supervised)
    known = [sign * sums[sign] / counts[sign] for sign in sums if counts[sign]]
    total: Tensor = sum(known, start=eta * (centred.T @ centred) / len(centred))
    return (total + total.T) / 2


@final
@dataclass(frozen=True)
class SSH(ClosedForm, WithLayers):
    """h_k(x) = sign(w_k^T (x - mean)), w_k the first eigenvectors of the adjusted covariance.

    A reading from memory of the orthogonal solution; the relaxed one, L U with L L^T = I + M / rho, gave the
    same codes. Similar and dissimilar pairs are averaged separately, because most pairs are dissimilar and
    would make the matrix negative. Without any label this is PCA hashing.

    Args:
        eta: weight of the variance of all items beside the pairs, chosen on held-out training items.

    References:
        Wang, Kumar, Chang: Semi-Supervised Hashing for Scalable Image Retrieval, CVPR 2010.
    """

    name: ClassVar[str] = "ssh"
    labels: ClassVar[Labels] = "pairs"
    eta: float = 0.1

    def layers(self, features: int, bits: int) -> nn.Sequential:
        """None: the hash function is linear."""
        if bits > features:
            msg = (
                f"bits of ssh must be at most the {features} features, one eigenvector each; got {bits}. "
                "Use fewer bits, or another method."
            )
            raise ValueError(msg)
        return nn.Sequential()

    def initialise(self, network: HashNetwork, sample: Float[Tensor, "s d"]) -> None:
        """Nothing: the weights are solved for."""

    def solve(
        self,
        features: Float[Tensor, "m d"],
        supervised: Float[Tensor, "l d"],
        similarity: Callable[[slice], Int8[Tensor, "r l"]],
        *,
        bits: int,
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
        """Eigenvectors, scaled so that the outputs, whose tanh is the relaxed code, have mean square 1."""
        mean = features.mean(0)
        matrix = adjusted_covariance(features - mean, supervised - mean, similarity, self.eta)
        vectors = torch.linalg.eigh(matrix.double()).eigenvectors.flip(1)[:, :bits].T.to(features)
        # An eigenvector's sign is free; without a rule it would depend on the LAPACK at hand.
        largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
        vectors = vectors * largest.sign()
        spread = ((features - mean) @ vectors.T).square().mean().sqrt().clamp_min(1e-12)
        return vectors / spread, -(vectors / spread) @ mean
