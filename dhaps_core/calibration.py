"""Log-odds that two items are similar, fitted on the pairs whose answer is known."""

import numpy as np
import torch
from jaxtyping import Float, Int8
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from dhaps_core.pool import Calibration

__all__ = ["fit_calibration", "probability_same"]


def fit_calibration(theta: Float[Tensor, " p"], relation: Int8[Tensor, " p"]) -> Calibration:
    """Line slope * theta + intercept whose logistic is the share of similar pairs at that theta.

    With many classes most pairs are dissimilar, so theta = 0 is far from even odds. Platt's smoothed targets
    keep the line finite where the answers separate perfectly or are all of one kind.

    Args:
        theta: <u_a, u_b> / 2 of the pairs.
        relation: +1 similar, -1 dissimilar; pairs with 0 are left out.

    Returns:
        The line; the default line (theta itself) when no pair is known.

    References:
        Platt: Probabilistic Outputs for Support Vector Machines, 1999.
    """
    known = relation != 0
    x = theta[known].cpu().double().numpy()
    similar = (relation[known] > 0).cpu().numpy()
    if not len(x):
        return Calibration()
    high = (similar.sum() + 1) / (similar.sum() + 2)
    low = 1 / ((~similar).sum() + 2)
    target = np.where(similar, high, low)
    model = LogisticRegression(C=1e3, max_iter=500)
    model.fit(
        np.concatenate([x, x])[:, None],
        np.repeat([1, 0], len(x)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return Calibration(float(model.coef_[0, 0]), float(model.intercept_[0]))


def probability_same(theta: Float[Tensor, "*p"], calibration: Calibration) -> Float[Tensor, "*p"]:
    """Model's probability that each pair is similar, in [0, 1]."""
    return torch.sigmoid(theta * calibration.slope + calibration.intercept)
