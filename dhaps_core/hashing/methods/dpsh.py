"""DPSH: the pairwise likelihood, and the pairwise loss of DH-APS."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float, Int8
from torch import Tensor
from torch.nn.functional import softplus

from dhaps_core.hashing.methods.base import Batch, Objective, pair_mean, quantisation
from dhaps_core.hashing.network import relax

__all__ = ["DPSH", "pairwise_likelihood"]


def pairwise_likelihood(theta: Float[Tensor, "l l"], similarity: Int8[Tensor, "l l"]) -> Float[Tensor, "l l"]:
    """Negative log-likelihood log(1 + exp(theta)) - y theta of every pair, y = 1 if similar, else 0.

    Example:
        >>> import torch
        >>> theta, similar = torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.int8)
        >>> float(pairwise_likelihood(theta, similar))  # log 2
        0.6931...
    """
    return softplus(theta) - (similarity > 0) * theta


@final
@dataclass(frozen=True)
class DPSH(Objective):
    """J = mean over pairs of log(1 + exp(theta)) - y theta, plus eta times the quantisation penalty.

    theta = <u_i, u_j> / 2. Two readings: u = tanh(z), where the paper's u is linear and unbounded, and means
    replace its sums. Similar and dissimilar pairs are averaged separately, and the penalty |sign(u) - u|^2 is
    a mean over items and bits, so eta is about 1 % of the paper's 10. The loop adds its similarity term on
    unlabelled rows (ours, ``docs/readings.md``): it is the start without labels; with many known pairs it
    weighs about as much as the likelihood, until no unlabelled item is left.

    Args:
        eta: weight of the quantisation penalty, at least 0.

    References:
        Li, Wang, Kang: Feature Learning based Deep Supervised Hashing with Pairwise Labels, IJCAI 2016.
    """

    name, labels, prior = "dpsh", "pairs", True
    eta: float = 0.1

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Pairwise likelihood and quantisation of the supervised rows."""
        u = relax(batch.supervised)
        likelihood = pairwise_likelihood(u @ u.T / 2, batch.similarity)
        return {
            "likelihood": pair_mean(likelihood, batch.similarity),
            "quantisation": self.eta * quantisation(u),
        }
