"""PTS3H: the pairwise likelihood on labelled rows, and agreement with a teacher on all pairs."""

from dataclasses import dataclass
from math import exp
from typing import final

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from dhaps_core.hashing.methods.base import Batch, Objective, pair_mean, quantisation
from dhaps_core.hashing.methods.dpsh import pairwise_likelihood
from dhaps_core.hashing.network import relax

__all__ = ["PTS3H", "ramp", "teacher_similarity"]


def ramp(progress: float, length: float) -> float:
    """Sigmoid ramp-up exp(-5 (1 - t)^2), t = progress / length up to 1.

    Example:
        >>> ramp(0.5, 0.5), round(ramp(0.0, 0.5), 4)
        (1.0, 0.0067)
    """
    return exp(-5 * (1 - min(1.0, progress / length)) ** 2)


def teacher_similarity(cosines: Float[Tensor, "*n"], *, low: float, high: float) -> Int8[Tensor, "*n"]:
    """+1 where the cosine of the teacher's codes is at least ``high``, -1 where at most ``low``, else 0."""
    return (cosines >= high).to(torch.int8) - (cosines <= low).to(torch.int8)


@final
@dataclass(frozen=True)
class PTS3H(Objective):
    """L_sup + ramp(t) (consistency L_1 + quantised L_2) + quantisation: a reading from memory.

    - L_sup: the pairwise likelihood of :mod:`dhaps_core.hashing.methods.dpsh` over the labelled pairs.
    - L_1: mean over all pairs of the batch of (<u_i, u_j>/b - <t_i, t_j>/b)^2: a student's similarities
      should be those of the teacher, which sees another view (augmentation and dropout) of the same rows.
    - L_2: the likelihood again on pairs nobody labelled, with labels that the teacher gives where it is sure.

    No code is public (``docs/readings.md``). The teacher's weights are a moving average of the student's, and
    the student gives the codes; which of the two the authors evaluate was not found, nor their thresholds.
    Weights and thresholds were chosen on held-out training items of CIFAR-10. Ramp and moving average are
    those of mean teacher, but for its smaller momentum in the beginning. The loop's similarity term is added
    on unlabelled rows (ours): with 490 labels the teacher alone knows too little.

    Args:
        consistency: weight of L_1.
        quantised: weight of L_2.
        eta: weight of the quantisation penalty, as in DPSH.
        low: teacher's similarity at most this means dissimilar.
        high: at least this means similar.
        rise: share of the training over which the ramp rises.
        momentum: of the teacher, the same all along.

    References:
        Zhang, Li, Zhang: Pairwise Teacher-Student Network for Semi-Supervised Hashing, arXiv 1902.00643.
        Tarvainen, Valpola: Mean teachers are better role models, NeurIPS 2017.
    """

    name, labels, prior = "pts3h", "pairs", True
    consistency: float = 1.0
    quantised: float = 0.1
    eta: float = 0.1
    low: float = 0.1
    high: float = 0.7
    rise: float = 0.4
    momentum: float = 0.99

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Likelihood of the labelled pairs, the two terms of the teacher over all pairs, quantisation."""
        assert batch.teacher is not None
        labelled, bits = len(batch.similarity), batch.outputs.shape[1]
        u, teacher = relax(batch.outputs), relax(batch.teacher)
        theta, target = u @ u.T / 2, teacher @ teacher.T / bits
        told = teacher_similarity(target, low=self.low, high=self.high)
        told[:labelled, :labelled] *= batch.similarity == 0
        weight = ramp(batch.progress, self.rise)
        likelihood = pairwise_likelihood(theta[:labelled, :labelled], batch.similarity)
        return {
            "likelihood": pair_mean(likelihood, batch.similarity),
            "consistency": weight * self.consistency * (2 * theta / bits - target).square().mean(),
            "quantised": weight * self.quantised * pair_mean(pairwise_likelihood(theta, told), told),
            "quantisation": self.eta * quantisation(u),
        }
