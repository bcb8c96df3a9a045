"""Log-odds that two items are similar, fitted on the pairs whose answer is known."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int8
from torch import Tensor

__all__ = ["Calibration", "fit_calibration"]

PRIOR_SHARE = 0.1  # before any answer: the most alike tenth of random pairs is taken as similar ...
PRIOR_WEIGHT = 10.0  # ... with the weight of this many answers


@dataclass(frozen=True)
class Calibration:
    """Log-odds of "similar" as a line in theta: slope * theta + intercept. The default leaves theta alone."""

    slope: float = 1.0
    intercept: float = 0.0

    def log_odds(self, theta: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """Log-odds that each pair is similar."""
        return theta * self.slope + self.intercept

    def probability(self, theta: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        """Model's probability that each pair is similar, in [0, 1]."""
        return self.log_odds(theta).sigmoid()


def fit_calibration(
    theta: Float[Tensor, " p"], relation: Int8[Tensor, " p"], *, random_theta: Float[Tensor, " r"]
) -> Calibration:
    """Line slope * theta + intercept whose logistic is the share of similar pairs at that theta.

    With many classes most pairs are dissimilar, so theta = 0 is far from even odds. A few pseudo-answers on
    random pairs keep the line finite and rising where the answers separate perfectly, are all of one kind, or
    are not there yet (in the manner of Platt's smoothed targets). A reading: ``docs/readings.md``.

    Args:
        theta: <u_a, u_b> / 2 of the pairs.
        relation: +1 similar, -1 dissimilar; pairs with 0 are left out.
        random_theta: theta of random pairs, at least one.

    Raises:
        ValueError: if relation is not one for each pair, there is no random pair, or a theta is not finite.

    References:
        Platt: Probabilistic Outputs for Support Vector Machines, 1999.
    """
    from sklearn.linear_model import LogisticRegression  # with it the face takes twice as long to import

    if len(theta) != len(relation) or not len(random_theta):
        got = f"{len(theta)} thetas, {len(relation)} relations and {len(random_theta)} random pairs"
        raise ValueError(f"each pair must have a relation, and there must be random pairs; got {got}.")
    if bad := int((~torch.cat([theta, random_theta]).isfinite()).sum()):
        raise ValueError(f"theta must be finite; got {bad} that are not. Look at the network's outputs.")
    theta, random_theta = theta.double(), random_theta.double()
    known = relation != 0
    x = torch.cat([theta[known], random_theta]).cpu().numpy()
    similar = torch.cat([relation[known] > 0, random_theta >= random_theta.quantile(1 - PRIOR_SHARE)])
    weight = np.ones(len(x))
    weight[len(x) - len(random_theta) :] = PRIOR_WEIGHT / len(random_theta)
    target = similar.cpu().numpy()
    if target.all():
        return Calibration()  # every pair of the pool looks alike: nothing to tell apart yet
    model = LogisticRegression(C=1e2, max_iter=500)
    model.fit(x[:, None], target, sample_weight=weight)
    return Calibration(float(model.coef_[0, 0]), float(model.intercept_[0]))
