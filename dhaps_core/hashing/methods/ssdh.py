"""SSDH: classification and triplets on labelled items, neighbourhood and pseudo-label terms on all."""

from dataclasses import dataclass
from math import ceil, floor
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from dhaps_core.hashing.methods.base import Batch, Objective, mean
from dhaps_core.hashing.methods.dsh import squared_distances
from dhaps_core.hashing.network import relax

__all__ = ["SSDH", "contrastive", "draw"]

TRIES = 10  # draws of a triplet whose p and n share a class, before its anchor is left out


def draw(allowed: Bool[Tensor, "n m"], generator: torch.Generator) -> Int[Tensor, " n"]:
    """For each row, one of the allowed columns, uniformly; column 0 where none is.

    Example:
        >>> draw(torch.tensor([[False, True], [True, False]]), torch.Generator())
        tensor([1, 0])
    """
    noise = torch.rand(allowed.shape, generator=generator).to(allowed.device)
    return noise.where(allowed, -1.0).argmax(1)


def contrastive(
    distances: Float[Tensor, "n n"], near: Bool[Tensor, "n n"], far: Bool[Tensor, "n n"], margin: float,
    generator: torch.Generator,
) -> Float[Tensor, ""]:  # fmt: skip
    """1/2 mean over anchors of d(a, p)^2 + max(0, margin - d(a, n))^2, from squared distances.

    For each anchor (row) one p is drawn from the near rows and one n from the far ones; 0 without anchors.
    """
    positive, negative = _drawn(distances, near, far, generator)
    # The root's gradient is infinite at 0, where two rows are equal: they stay where they are.
    return mean(positive + (margin - negative.clamp_min(1e-12).sqrt()).clamp_min(0).square()) / 2


def _drawn(distances: Tensor, near: Tensor, far: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """From each anchor, a row with near and far ones, the distances of one of either kind."""
    rows, anchors = torch.arange(len(distances), device=distances.device), near.any(1) & far.any(1)
    positive, negative = (distances[rows, draw(kind, generator)][anchors] for kind in (near, far))
    return positive, negative


@final
@dataclass(frozen=True)
class SSDH(Objective):
    """L_cls + L_triplet + weight (L_graph + L_pseudo) on h = (1 + u) / 2 in [0, 1]^b.

    - L_cls: sigmoid cross-entropy of a classifier beside the hash layer, labelled rows; it suits several
      classes per item too.
    - L_triplet: 1/2 mean max(0, 1 + |h_a - h_p|^2 - |h_a - h_n|^2), one triplet for each labelled anchor;
      left out where ten draws find no p and n that share no class (with several an item they may).
    - L_graph: contrastive; p among the 8 nearest of the batch, n among the ranks 114 to 123 of 128 (120 to
      123 for 12 bits), taken as shares of the batch.
    - L_pseudo: contrastive, unlabelled anchors; p has the anchor's likeliest class and not its least likely
      one, n the reverse. Labelled rows have the classes that they were given, the others their likeliest.

    Weights, margins and ranks are those of the authors' code, with three readings (``docs/readings.md``): the
    anchor is not its own neighbour, nor its own p (there it is); the margin, there 2.5 for 12 bits and 3 for
    more, is 3 but at most 0.72 of the cube's diameter, which is 2.49 for 12 bits; and a batch has other
    numbers of labelled and unlabelled rows.

    Args:
        weight: lambda of the two unsupervised terms, 0.1 in the paper.
        neighbours: nearest rows that count as near.

    References:
        Zhang, Peng: SSDH: Semi-supervised Deep Hashing for Large Scale Image Retrieval, IEEE TCSVT 2017.
    """

    name, labels, prior = "ssdh", "classes", False
    weight: float = 0.1
    neighbours: int = 8

    def head(self, features: int, bits: int, classes: int) -> nn.Module:
        """The classifier."""
        return nn.Linear(features, classes)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The four terms.

        Raises:
            ValueError: if supervised rows come without any account of their classes.
        """
        labelled, classes = len(batch.similarity), batch.classes
        if classes is None:
            raise ValueError(
                "ssdh needs class labels; got answers to pairs only. Ask for classes, or use pts3h."
            )
        assert batch.head is not None
        h = (1 + relax(batch.outputs)) / 2
        distances, logits = squared_distances(h), batch.head(batch.hidden)
        known = classes.any(1) if batch.classed is None else batch.classed
        classified = binary_cross_entropy_with_logits(
            logits[:labelled][known], classes[known].to(h), reduction="none"
        )
        margin = min(3.0, 0.72 * h.shape[1] ** 0.5)
        near, far = self._graph(distances.detach().clone(), 120 if h.shape[1] <= 12 else 114)
        alike, unlike = self._pseudo(logits.detach(), classes, known)
        return {
            "classes": mean(classified.sum(1)),
            "triplets": self._triplets(distances[:labelled, :labelled], batch),
            "graph": self.weight * contrastive(distances, near, far, margin, batch.generator),
            "pseudo": self.weight * contrastive(distances, alike, unlike, margin, batch.generator),
        }

    @staticmethod
    def _triplets(distances: Tensor, batch: Batch) -> Tensor:
        similar, dissimilar = (batch.similarity > 0).fill_diagonal_(False), batch.similarity < 0
        anchors = (similar.any(1) & dissimilar.any(1)).nonzero().flatten()
        hinges = [distances.new_zeros(0)]
        for _ in range(TRIES):
            if not len(anchors):
                break
            p, n = (draw(kind[anchors], batch.generator) for kind in (similar, dissimilar))
            apart = batch.similarity[p, n] <= 0
            hinges.append((1 + distances[anchors, p] - distances[anchors, n])[apart].clamp_min(0))
            anchors = anchors[~apart]
        return mean(torch.cat(hinges)) / 2

    @staticmethod
    def _pseudo(logits: Tensor, classes: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """From each anchor, a row whose class nobody told, the rows that count as alike and as unlike."""
        top, bottom = logits.argmax(1), logits.argmin(1)
        told, has = known.nonzero().flatten(), one_hot(top, logits.shape[1]).bool()
        has[told] = classes[told]
        likely, unlikely = has[:, top].T, has[:, bottom].T
        alike = (likely & ~unlikely).fill_diagonal_(False)
        alike[told] = False
        return alike, unlikely & ~likely

    def _graph(self, distances: Tensor, first: int) -> tuple[Tensor, Tensor]:
        n = len(distances)
        near, far = torch.zeros(2, n, n, dtype=torch.bool, device=distances.device)
        distances.fill_diagonal_(-1)  # the anchor itself comes first
        nearest = distances.topk(1 + min(self.neighbours, n // 2), largest=False).indices[:, 1:]
        last, skipped = n - floor(first / 128 * n), n - ceil(124 / 128 * n)
        farthest = distances.topk(max(1, last)).indices[:, skipped if skipped < last else 0 :]
        return near.scatter_(1, nearest, True), far.scatter_(1, farthest, True)
