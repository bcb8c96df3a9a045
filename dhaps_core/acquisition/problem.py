"""One round's selection problem: the pool, what is labelled, and the cost of picking a pair.

The two readings of "which pairs count as labelled" differ only in the coefficients kept here; the solvers
(`greedy`, `quadratic`) see costs and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from dhaps_core.checks import check_fields
from dhaps_core.pairs import Kernel, Points, exponents, pair_kernel

__all__ = ["LOG2", "Calibration", "Pool", "Reading", "Weights", "uncertainty"]

LOG2 = 0.6931471805599453  # the least uncertainty of a pair

Reading = Literal["closed", "published"]
Known = Callable[[Tensor, Tensor], Tensor]
MOST_WEIGHT = 1e6


@dataclass(frozen=True)
class Weights:
    """Weights of the three terms; 0 switches a term off, so that each can be ablated.

    With all three at 1 the reading ``published`` is s1 + beta 2/(l+q)^2 (s2 + s3), beta being the common
    factor of the last two. For ``closed`` the uncertainty is small beside the others: 0.03 by default.

    Raises:
        ValueError: on what is no number, or below 0 (the solvers' bounds need costs that only rise), or so
            large (over a million) that float32 keeps nothing of the other terms.
    """

    uncertainty: float = 0.03
    representativeness: float = 1.0
    diversity: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(
                    f"weight {name!r} must be 0 or more; got {value}. Use 0 to switch the term off."
                )
            if value > MOST_WEIGHT:
                raise ValueError(f"weight {name!r} must be at most {MOST_WEIGHT:g}; got {value:g}. Lower it.")


@dataclass(frozen=True)
class Calibration:
    """Log-odds of "similar" as a line in theta: slope * theta + intercept. The default leaves theta alone."""

    slope: float = 1.0
    intercept: float = 0.0


def uncertainty(theta: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
    """Greatest pairwise negative log-likelihood over the answer, least (log 2) where the model is undecided.

    Args:
        theta: log-odds of "similar".

    Returns:
        sup_y log(1 + exp(theta)) - y theta = softplus(|theta|), at least log 2.

    Example:
        >>> uncertainty(torch.tensor([0.0]))
        tensor([0.6931])

    References:
        Wang et al., ECCV 2020: s1.
    """
    return softplus(theta.abs(), threshold=40)  # beyond the default of 20, float64 would lose half its digits


@dataclass(frozen=True)
class Pool:
    """Everything a solver needs; all tensors on one device, and but for the space of one dtype: float64.

    Attributes:
        relaxed: relaxed codes in [-1, 1], for theta = <u_a, u_b> / 2.
        space: points the kernel compares (codes, relaxed codes or embeddings).
        bandwidth: sigma of the kernel.
        means: :func:`dhaps_core.pairs.kernel_means` of the space, all above 0.
        candidates: items that may be picked.
        labelled_pairs: L of the reading ``published``.
        labelled_items: S of the reading ``closed``.
        picks: q, pairs to choose.
        reading: see :mod:`dhaps_core.acquisition.select`.
        weights: weights of the three terms.
        beta: common factor of representativeness and diversity.
        credit: subtracted from a pair's cost for each of its items (answers that imply more).
        calibration: log-odds from theta.
        known: tells which pairs are answered or implied, for positions that broadcast; None = none.
    """

    relaxed: Float[Tensor, "n b"]
    space: Float[Tensor, "n d"]
    bandwidth: float
    means: Float[Tensor, " n"]
    candidates: Bool[Tensor, " n"]
    labelled_pairs: Int[Tensor, "l 2"]
    labelled_items: Int[Tensor, " s"]
    picks: int
    reading: Reading
    weights: Weights
    beta: float
    credit: Float[Tensor, " n"]
    calibration: Calibration
    known: Known | None

    @property
    def population(self) -> int:
        """Number of pairs of the population P x P: ordered, (i, i) included, so that its mean factorises."""
        return len(self.means) ** 2

    @property
    def published_scale(self) -> tuple[float, float, float, float]:
        """Factors of uncertainty, mean kernel, kernel with L, and kernel with picks, reading ``published``.

        s2 counts the *unlabelled* pairs only, so part of the kernel with L sits in representativeness.
        """
        total = len(self.labelled_pairs) + self.picks
        step = 2 * self.beta / total**2
        share = total / self.population
        labelled = self.weights.representativeness * share + self.weights.diversity * (1 - share)
        return (
            self.weights.uncertainty / total,
            step * total * self.weights.representativeness,
            step * labelled,
            step * self.weights.diversity,
        )

    @property
    def closed_scale(self) -> float:
        """Factor of the item-level kernel terms, reading ``closed``: in units of the largest mean."""
        return self.beta / float(self.means.max())

    def uncertainties(self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> Float[Tensor, "p r"]:
        """Uncertainty of every pair of ``rows`` with ``columns``."""
        theta = self.relaxed[rows] @ self.relaxed[columns].T / 2
        return uncertainty(theta * self.calibration.slope + self.calibration.intercept)

    def pair_uncertainties(self, pairs: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
        """Uncertainty of the given pairs."""
        theta = (self.relaxed[pairs[:, 0]] * self.relaxed[pairs[:, 1]]).sum(1) / 2
        return uncertainty(theta * self.calibration.slope + self.calibration.intercept)

    @cached_property
    def _points(self) -> Points:
        return Points.of(self.space, bandwidth=self.bandwidth)

    @cached_property
    def kernel_rounding(self) -> float:
        """Bound on the relative rounding error of a kernel.

        A sum of d products errs by 4 sqrt(d) units in the last place of the sizes that are summed, but for a
        chance of one in thousands of pairs (Higham, Mary, SISC 2019).
        """
        # Without a product, the relative error of an exponent weighs: kernels below exp(-50) are nothing.
        size = 50.0 if self._points.wide else self._points.reach
        width = self.space.shape[1] + 2
        return float(torch.finfo(self.means.dtype).eps / 2 * (4 + 4 * width**0.5 * size))

    @cached_property
    def other_rounding(self) -> float:
        """Bound on the rounding error of all other terms of a cost, and of the sum of the terms."""
        unit, width = torch.finfo(self.means.dtype).eps / 2, self.relaxed.shape[1]
        odds = abs(self.calibration.slope) * float(self.relaxed.square().sum(1).max()) / 2
        doubt = 4 * (width + 2) ** 0.5 * (odds + abs(self.calibration.intercept)) + 4
        largest, credit = float(self.means.max()), float(self.credit.abs().max())
        if self.reading == "closed":
            shared = self.closed_scale * (self.weights.representativeness + self.weights.diversity) * largest
            return float(unit * (self.weights.uncertainty * doubt + 8 * (shared + credit)))
        uncertain, mean, _, diverse = self.published_scale
        return float(unit * (uncertain * doubt + 8 * (mean * largest * largest + diverse + credit)))

    def errors(self, pairs: Int[Tensor, "p 2"], costs: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Bounds on the rounding errors of the costs of pairs.

        Without its credits and its means a cost is its uncertainty, at least log 2, and kernels.
        """
        if self.reading == "closed":
            own = self.closed_scale * self.weights.representativeness * self.means[pairs].sum(1)
            least = self.weights.uncertainty * LOG2
        else:
            uncertain, mean, _, _ = self.published_scale
            own, least = mean * self.means[pairs].prod(1), uncertain * LOG2
        kernels = (costs - least + own + self.credit[pairs].sum(1)).clamp_min(0)
        return self.other_rounding + 2 * self.kernel_rounding * kernels

    @property
    def cost_size(self) -> float:
        """Size of the terms of a cost: what its rounding is measured by."""
        largest, credit = float(self.means.max()), float(self.credit.abs().max())
        if self.reading == "closed":
            shared = self.weights.representativeness + self.weights.diversity
            return self.weights.uncertainty + self.closed_scale * shared * largest + credit
        uncertain, mean, _, diverse = self.published_scale
        return uncertain + mean * largest * largest + diverse + credit

    @cached_property
    def rounding(self) -> float:
        """Bound on the rounding error of the cost of any pair."""
        if self.reading == "closed":
            kernels = 3 * self.closed_scale * self.weights.diversity
        else:
            _, _, labelled, diverse = self.published_scale
            kernels = diverse * (self.picks + 1) + labelled * len(self.labelled_pairs)
        return self.other_rounding + 2 * self.kernel_rounding * kernels

    def kernels(
        self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"] | None = None
    ) -> Float[Tensor, "p r"]:
        """Item kernel of ``rows`` with ``columns`` (all items by default), on the space."""
        others = self._points if columns is None else self._points[columns]
        return exponents(self._points[rows], others).exp_()

    def kernels_within(self, pairs: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
        """Item kernel of the two items of each pair, on the space."""
        first, second = self._points.scaled[pairs.T]
        squared: Tensor = (first - second).square().sum(1)
        return (squared / -2).exp_()

    def pair_kernels(
        self, pairs: Int[Tensor, "p 2"], others: Int[Tensor, "r 2"], kind: Kernel = "invariant"
    ) -> Float[Tensor, "p r"]:
        """Pair kernel of the given pairs, on the space."""
        points = self.space[pairs].to(self.means.dtype), self.space[others].to(self.means.dtype)
        return pair_kernel(*points, bandwidth=self.bandwidth, kind=kind)

    def forbidden(self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> Bool[Tensor, "p r"]:
        """Pairs that must not be asked: an item with itself, answered or implied pairs."""
        out = rows[:, None] == columns[None]
        if self.known is not None:
            out |= self.known(rows[:, None], columns[None])
        return out

    def feasible_pairs(self) -> Int[Tensor, "p 2"]:
        """Every pair that may be asked, as (smaller, larger) positions: for small pools only."""
        items = self.candidates.nonzero().flatten()
        upper = torch.triu_indices(len(items), len(items), 1, device=items.device)
        pairs = items[upper.T]
        if self.known is not None:
            pairs = pairs[~self.known(pairs[:, 0], pairs[:, 1])]
        return pairs
