"""SDSH: triplets on the unit sphere under a spring loss; then a rotation found on training codes."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from dhaps_core.hashing.methods.base import Batch, Objective, mean
from dhaps_core.hashing.network import HashNetwork
from dhaps_core.hashing.training_set import TrainingSet

__all__ = ["SDSH", "climb_rotation", "spring"]


def spring(difference: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
    """Loss (2 sqrt 2 - sqrt(4 - D))^2 of D = |z_a - z_p|^2 - |z_a - z_n|^2 in [-4, 4]: 0 at -4, 8 at 4.

    Example:
        >>> spring(torch.tensor([-4.0, 0.0])).round(decimals=4)
        tensor([0.0000, 0.6863])
    """
    # The root's gradient is infinite at D = 4.
    return (8**0.5 - (4 - difference).clamp_min(1e-6).sqrt()).square()


@final
@dataclass(frozen=True)
class SDSH(Objective):
    """Mean spring loss over triplets of z / |z|, then h = sign(z R).

    For every similar pair (a, p) of the batch one n is drawn from the quarter of the rows dissimilar to a
    that lie nearest to it: a reading (``docs/readings.md``) of the authors' trainer, which carries the
    hardest quarter over to its next batch. Drawn from all of them, most triplets tell little: with 15,000
    labels, mAP on held-out training items of CIFAR-10 was .60, and is .69 so. The paper's triplets come from
    class labels; relations, which class labels give, are all that is needed. R starts at the identity and
    climbs by random plane rotations of shrinking angle, kept when the training mAP rises: 800 of them as in
    the authors' code, on at most ``sample`` labelled items against themselves (theirs: 2,000 against 16,000).
    The loop adds its similarity term on unlabelled rows (ours).

    Args:
        hardest: share of the dissimilar rows, nearest first, that n is drawn from.
        rotations: plane rotations tried.
        sample: labelled items of the search.

    References:
        Pidhorskyi, Jones, Motiian, Adjeroh, Doretto: Deep Supervised Hashing with Spherical Embedding,
        ACCV 2018.
    """

    name, labels, prior = "sdsh", "pairs", True
    least_bits = 2  # on a sphere of one dimension, z / |z| has no gradient
    hardest: float = 0.25
    rotations: int = 800
    sample: int = 500

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Spring loss of the drawn triplets of the supervised rows."""
        z = normalize(batch.supervised, dim=1, eps=1e-6)  # at 0 the gradient is 1 / eps
        distances = 2 - 2 * z @ z.T
        negative = batch.similarity < 0
        pairs = ((batch.similarity > 0).fill_diagonal_(False) & negative.any(1)[:, None]).nonzero()
        a, p = pairs.T
        # One n for each pair: the position of a uniform draw among the dissimilar rows nearest to a.
        draws = torch.rand(len(pairs), generator=batch.generator).to(z)
        order = distances.detach().where(negative, torch.inf).argsort(dim=1)
        hard = (self.hardest * negative.sum(1)).ceil()
        n = order[a, (draws * hard[a]).long()]
        return {"spring": mean(spring(distances[a, p] - distances[a, n]))}

    @torch.no_grad()
    def binarise(self, network: HashNetwork, head: nn.Module | None, training: TrainingSet) -> None:
        """The rotation that hill-climbing finds on labelled training items."""
        supervised, generator = training.supervised, training.generator
        chosen = supervised[torch.randperm(len(supervised), generator=generator)[: self.sample]]
        if len(chosen) < 2 or network.bits < 2:
            return
        outputs, score = normalize(training.encode(chosen), dim=1), training.scorer(chosen)
        network.rotation.copy_(climb_rotation(outputs, score, rotations=self.rotations, generator=generator))


def climb_rotation(
    outputs: Float[Tensor, "n b"],
    score: Callable[[Tensor], float],
    *,
    rotations: int,
    generator: torch.Generator,
) -> Float[Tensor, "b b"]:
    """Rotation R for which the score of outputs R, [n b] again, is high.

    Random plane rotations are tried and kept if it rises; their largest angle shrinks linearly from pi / 4.
    """
    bits = outputs.shape[1]
    rotation, best = torch.eye(bits, dtype=outputs.dtype), score(outputs)
    outputs = outputs.clone()
    for step in range(rotations):
        i, j = torch.randperm(bits, generator=generator)[:2].tolist()
        angle = (2 * torch.rand((), generator=generator) - 1) * pi / 4 * (1 - step / rotations)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2).to(outputs)
        before = outputs[:, [i, j]]
        outputs[:, [i, j]] = before @ turn
        value = score(outputs)
        if value > best:
            best = value
            rotation[:, [i, j]] = rotation[:, [i, j]] @ turn
        else:
            outputs[:, [i, j]] = before
    return rotation
