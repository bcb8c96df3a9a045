"""SSH: one direction after another, each told most by the pairs that the earlier ones got wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn

from dhaps_core.hashing.methods.base import NO_SIZES, ClosedForm, check_relations, standardised
from dhaps_core.hashing.training_set import TrainingSet

__all__ = ["SSH", "pair_sum", "pair_weights"]

_ENTRIES = 1 << 23  # of S at a time


def pair_sum(
    rows: Float[Tensor, "l d"], weights: Callable[[slice], Float[Tensor, "r l"]]
) -> Float[Tensor, "d d"]:
    """Sum over all pairs of w_ij x_i x_j^T, in blocks of rows of w that fit memory."""
    total = rows.new_zeros(rows.shape[1], rows.shape[1])
    for part in _parts(len(rows)):
        total += rows[part].T @ (weights(part) @ rows)
    return (total + total.T) / 2


def pair_weights(
    similarity: Callable[[slice], Int8[Tensor, "r l"]], labelled: int, like: Tensor
) -> Callable[[slice], Float[Tensor, "r l"]]:
    """Rows of S, divided by the number of similar or of dissimilar pairs; unknown pairs and self-pairs are 0.

    Most pairs are dissimilar: with equal weights they would make the adjusted covariance negative. Weights
    have the type and the device of ``like``, whatever its shape.
    """

    def known(part: slice) -> Tensor:
        relation = similarity(part).clone()
        relation[:, part].fill_diagonal_(0)
        return relation

    similar = dissimilar = 0
    for part in _parts(labelled):
        relation = known(part)
        similar += int((relation > 0).sum())
        dissimilar += int((relation < 0).sum())

    def weights(part: slice) -> Tensor:
        relation = known(part)
        # Without dissimilar pairs, the others of a row are unknown: 0 / 1.
        return relation.to(like) / torch.where(relation > 0, similar, max(1, dissimilar))

    return weights


@final
@dataclass(frozen=True)
class SSH(ClosedForm):
    """h_t(x) = sign(w_t^T (x - mean)), the sequential solution: w_1, w_2, ... one by one.

        w_t is the first eigenvector of  M_t = X_l S_t X_l^T + eta X_t X_t^T / m
        S_{t+1} = S_t - alpha |S_1| p p^T where p_i p_j has the wrong sign for S_1,  p = X_l^T w_t
        X_{t+1} = X_t - w_t w_t^T X_t

    S_1 holds the known pairs as :func:`pair_weights` has them, products are by entry, p is scaled to mean
    square 1, and only what is subtracted from S, once for each direction, is ever summed: S_t is not stored.

    A reading from memory (``docs/readings.md``). The labelled rows X_l keep what w_t took from X: c classes
    lie in c - 1 directions, after which deflated rows hold only noise. So does the orthogonal solution, all
    w_t at once from M_1: on held-out training items of CIFAR-10 with 4,238 labels it has mAP .28 at 12 bits
    and falls to .19 at 32, deflated labelled rows .28 and .18, and this reading rises from .38 to .47, as the
    paper's row rises. Without any label this is PCA hashing.

    Args:
        eta: weight of the variance of all items beside the pairs, chosen on held-out training items.
        alpha: how much a pair in the wrong counts for the directions after it, chosen there too.

    References:
        Wang, Kumar, Chang: Semi-Supervised Hashing for Scalable Image Retrieval, CVPR 2010, and
        Semi-Supervised Hashing for Large-Scale Search, IEEE TPAMI 2012.
    """

    name, labels = "ssh", "pairs"
    eta: float = 0.1
    alpha: float = 1.0

    def layers(
        self, features: int, bits: int, *, hidden: int, dropout: float, sizes: Mapping[str, int] = NO_SIZES
    ) -> nn.Sequential:
        """Nothing below the hash layer."""
        return nn.Sequential()

    def check(self, features: Float[Tensor, "m d"], *, bits: int) -> None:
        """Refuse more bits than directions in which the training items differ."""
        rank = int(torch.linalg.matrix_rank(_covariance(features), hermitian=True))
        if bits > rank:
            rule = f"bits of ssh must be at most the {rank} directions in which the training items differ"
            raise ValueError(f"{rule}; got {bits}. Use fewer bits, or another method.")

    def fit(self, training: TrainingSet) -> None:
        """See :meth:`ClosedForm.fit`."""
        layer, at = training.network.hash, training.supervised.numpy()
        device = layer.weight.device

        def similarity(rows: slice) -> Tensor:
            relations = torch.from_numpy(training.relations(at[rows, None], at[None]))
            check_relations(relations)
            return relations.to(device)

        features, supervised = (
            training.inputs[part].to(device) for part in (training.pool, training.supervised)
        )
        weight, bias = self.solve(features, supervised, similarity, bits=training.network.bits)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)

    def solve(
        self,
        features: Float[Tensor, "m d"],
        supervised: Float[Tensor, "l d"],
        similarity: Callable[[slice], Int8[Tensor, "r l"]],
        *,
        bits: int,
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, " b"]]:
        """Weights and biases; the outputs, whose tanh is the relaxed code, have mean square 1.

        Args:
            features: rows of all training items.
            supervised: rows of those that answers tell something about.
            similarity: what is known of some of the latter (rows) with all of them (columns).
            bits: b.
        """
        self.check(features, bits=bits)
        labelled, variance = supervised - features.mean(0), _covariance(features)
        weights = pair_weights(similarity, len(labelled), labelled)
        told, free = pair_sum(labelled, weights), torch.eye(len(variance)).to(variance)
        found: list[Tensor] = []
        for _ in range(bits):
            direction = _first_eigenvector(told + self.eta * free @ variance @ free.T)
            found.append(direction)
            free = free - torch.outer(direction, direction @ free)
            if len(labelled) and len(found) < bits:
                told = told - self.alpha * _violated(labelled, labelled @ direction, weights)
        return standardised(torch.stack(found), features)


def _covariance(features: Float[Tensor, "m d"]) -> Float[Tensor, "d d"]:
    centred = features - features.mean(0)
    covariance: Tensor = centred.T @ centred / len(centred)
    return covariance


def _violated(
    labelled: Float[Tensor, "l d"], projection: Float[Tensor, " l"], weights: Callable[[slice], Tensor]
) -> Float[Tensor, "d d"]:
    """Sum of |s_ij| p_i p_j x_i x_j^T over the pairs where p_i p_j has the wrong sign."""
    p = projection / projection.square().mean().sqrt().clamp_min(1e-12)
    side = torch.where(p >= 0, 1, -1).to(p)
    # Codes agree or not: times the signed weight that is negative exactly where the pair is in the wrong.
    return pair_sum(
        labelled * p[:, None], lambda part: (-side[part, None] * side * weights(part)).clamp_min(0)
    )


def _first_eigenvector(matrix: Float[Tensor, "d d"]) -> Float[Tensor, " d"]:
    """Of the largest eigenvalue; its largest entry is positive, or the sign would depend on the LAPACK."""
    vector = torch.linalg.eigh(matrix.double()).eigenvectors[:, -1].to(matrix)
    signed: Tensor = vector * vector[vector.abs().argmax()].sign()
    return signed


def _parts(rows: int) -> list[slice]:
    step = max(1, _ENTRIES // max(1, rows))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
