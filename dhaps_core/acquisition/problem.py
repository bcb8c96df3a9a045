"""The selection problem: a pool, what is known of it, and what a pair costs by the terms of DH-APS.

With L the l labelled pairs, U the unlabelled ones, n_p = l + u, and a in {0,1}^u with sum q:

    s1 = 1/(l+q) sum_x a_x sup_y J(x, y)          s2 = -(l+q)/n_p 1'K_UU a
    s3 = 1/2 a'K_UU a + (u-q)/n_p 1'K_LU a        minimise s1 + beta 2/(l+q)^2 (s2 + s3)

and s2 + s3 is (l+q)^2/2 MMD^2(all pairs, L + Q) up to a constant. The poster prints the three terms, and no
factor between them: 2/(l+q)^2 is the one with which the last two are that MMD^2, as its bound on the risk has
it. Nor does it print a kernel or a bandwidth (:mod:`dhaps_core.pairs`). The population of "all pairs" is
P x P, the n^2 ordered pairs of the pool: its mean kernel is a product of item means, exactly.

Two readings of "labelled pairs": ``published`` takes L and Q as the chosen pairs. ``closed`` (ours) takes all
pairs among the labelled and picked items S, because the items of a chosen pair get class labels and then
every pair among labelled items is supervision; it picks by the MMD of the items, not of their pairs.

All of this is a reading: ``docs/readings.md`` has each place where the poster is silent, what else could be
meant, and what it changes.

References:
    Wang, Zheng, Lu, Zhou: Deep Hashing with Active Pairwise Supervision, ECCV 2020.
    Wang, Ye: Querying Discriminative and Representative Samples for Batch Mode Active Learning, KDD 2013.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from math import inf, isfinite
from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.means import pool_kernel_means, sampled
from dhaps_core.acquisition.quadratic import MOST_PAIRS, QuadraticForm
from dhaps_core.checks import Range, check_fields, check_positions
from dhaps_core.pairs import Points, exponents

__all__ = ["LOG2", "Known", "Problem", "Rounding", "Weights", "uncertainty"]

LOG2 = 0.6931471805599453  # the least uncertainty of a pair

Known = Callable[[Tensor, Tensor], Tensor]
WEIGHT = Range(0.0, 1e6)
FILLED_IN: Any = None
UNFITTED = Calibration()


@dataclass(frozen=True)
class Weights:
    """Weights of the three terms; 0 switches a term off, so that each can be ablated.

    With all three at 1 the reading ``published`` is s1 + beta 2/(l+q)^2 (s2 + s3), beta being the common
    factor of the last two. For ``closed`` the uncertainty is small beside the others: 0.03 by default, which
    no paper has. It was chosen, with a bandwidth scale of 0.1, in the first trials of this project, on digits
    and on embeddings of CIFAR-10, Tiny ImageNet and TrashNet: three of them are in our tables, which it
    flatters, the scenes are not (``docs/readings.md``).

    Raises:
        ValueError: on what is no number, or below 0 (the solvers' bounds need costs that only rise), or so
            large (over a million) that float32 keeps nothing of the other terms.
    """

    uncertainty: Annotated[float, WEIGHT] = 0.03
    representativeness: Annotated[float, WEIGHT] = 1.0
    diversity: Annotated[float, WEIGHT] = 1.0

    def __post_init__(self) -> None:
        check_fields(self)


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
class Rounding:
    """Bounds on the rounding errors of costs, computed in float64 from what the problem was given.

    Attributes:
        fixed: of all terms of a cost but its kernels, and of the sum of the terms.
        kernel: of a kernel, relative.
        kernels: most that kernels can add to a cost.
        size: of the terms of a cost, which its rounding is measured by.
    """

    fixed: float
    kernel: float
    kernels: float
    size: float

    @property
    def most(self) -> float:
        """Of the cost of any pair."""
        return self.fixed + 2 * self.kernel * self.kernels

    def of(self, kernels: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Of costs with so much of kernels in them, each."""
        return self.fixed + 2 * self.kernel * kernels.clamp_min(0)


@dataclass(frozen=True, eq=False)
class Problem(ABC):
    """A pool and the costs of its pairs, all tensors on one device; see `closed` and `published`.

    Positions count from 0 in the pool. What is left out is filled in, and what costs are made of is float64.

    Attributes:
        relaxed: relaxed codes in [-1, 1], for the uncertainty of each pair: theta = <u_a, u_b> / 2.
        space: points that the kernel compares: codes (as published), relaxed codes or embeddings.
        bandwidth: sigma of the kernel; see :func:`dhaps_core.pairs.median_bandwidth`.
        weights: weights of the three terms.
        beta: common factor of representativeness and diversity, 0 or more.
        candidates: items that may be picked; all by default.
        known: tells for broadcasting positions, the two of a pair in either order, which pairs are answered
            or implied: never asked again. None: none is.
        credit: subtracted from a pair's cost for each of its items (answers that imply more); 0 by default.
        calibration: log-odds of "similar" from theta; the default takes theta itself.
        means: kernel means of the space; computed by default, and from 200,001 items on to be given. See
            :func:`dhaps_core.acquisition.means.pool_kernel_means`.
        note: the approximation made, in words; empty if there is none.

    Raises:
        ValueError: on shapes that do not fit, and values that are not finite or no bound can hold for.
    """

    relaxed: Float[Tensor, "n b"]
    _: KW_ONLY
    space: Float[Tensor, "n d"]
    bandwidth: float
    weights: Weights = Weights()
    beta: float = 1.0
    candidates: Bool[Tensor, " n"] = FILLED_IN
    known: Known | None = None
    credit: Float[Tensor, " n"] = FILLED_IN
    calibration: Calibration = UNFITTED
    means: Float[Tensor, " n"] = FILLED_IN
    note: str = field(default="", init=False)

    def __post_init__(self) -> None:
        n, line = len(self.relaxed), self.calibration
        if n < 2:
            raise ValueError(f"a pool must have 2 items or more; got {n}. Add items.")
        if not 0 <= self.beta < inf:
            raise ValueError(f"beta must be a number, at least 0; got {self.beta}.")
        if not (isfinite(line.slope) and isfinite(line.intercept)):
            raise ValueError(f"the calibration must be finite; got {line}. Fit it again, or leave it out.")
        given, none = vars(self), torch.zeros(n, dtype=torch.float64, device=self.relaxed.device)
        missing: dict[str, Callable[[], Tensor]] = {
            "candidates": lambda: torch.ones_like(none, dtype=torch.bool),
            "credit": lambda: none,
            "means": lambda: pool_kernel_means(self.space.double(), bandwidth=self.bandwidth),
            "labelled_items": lambda: none.new_zeros(0, dtype=torch.long),
            "labelled_pairs": lambda: none.new_zeros((0, 2), dtype=torch.long),
        }
        for name in ("relaxed", "space", *(name for name in missing if name in given)):
            values = given[name] = missing[name]() if given[name] is FILLED_IN else given[name]
            shape = {"relaxed": "[n, b]", "space": "[n, d]", "labelled_pairs": "[l, 2]"}.get(name, "[n]")
            if values.ndim != 1 + (shape != "[n]") or (shape == "[l, 2]" and values.shape[1] != 2):
                raise ValueError(f"{name} must have the shape {shape}; got {list(values.shape)}.")
            if name.startswith("labelled"):
                check_positions(name, values, n)
                continue
            fits = values.isfinite() if name != "means" else values.isfinite() & (values > 0)
            if name == "candidates" and values.dtype != torch.bool:
                fits = torch.zeros_like(fits)
            if len(values) != n or not bool(fits.all()):
                kind = {"candidates": "true or false", "means": "finite and above 0"}.get(name, "finite")
                got = f"{len(values)} of {values.dtype}, {int((~fits).sum())} of them wrong"
                raise ValueError(f"{name} must be {kind} for each of the {n} items; got {got}.")
            given[name] = values.double() if name in {"relaxed", "credit", "means"} else values
        given["note"] = sampled(n)

    # --- what a reading defines ----------------------------------------------------------------------------

    @abstractmethod
    def greedy(self, picks: int) -> tuple[Int[Tensor, "q 2"], int, float]:
        """Greedy picks, each the cheapest of ALL pairs; pairs scored; the least margin of the certificate.

        Branch and bound: a pair that was not scored has a cost of at least a known bound, and a pick is made
        only when its cost is at most that bound. The difference ``bound - cost`` is the margin.

        Costs that differ by no more than rounding can explain count as equal, and of equal pairs the first
        by position is picked: so picks depend neither on the size of a block, nor on threads, nor on the
        device.
        """

    @abstractmethod
    def dense(self, pairs: Int[Tensor, "u 2"], picks: int) -> QuadraticForm:
        """The objective over some pairs; differences between sets of them are those of the reading."""

    @abstractmethod
    def sizes(self, picks: int) -> tuple[float, float, float]:
        """Factor of a cost's uncertainty, size of its other terms, and most that kernels can add to it."""

    # --- what readings share -------------------------------------------------------------------------------

    def scores(self, pairs: Int[Tensor, "q 2"], picks: int) -> dict[str, Float[Tensor, " q"]]:
        """What each greedy pick added to the objective, term by term, replayed in the order of picking."""
        return self.dense(pairs, picks).scores(torch.arange(len(pairs), device=pairs.device))

    @property
    def factorises(self) -> bool:
        """Whether sums over all pairs are exact products, which the greedy solver needs."""
        return True

    @property
    def pairs_among(self) -> int:
        """Number of pairs of candidates, known ones included."""
        free = int(self.candidates.sum())
        return free * (free - 1) // 2

    @cached_property
    def points(self) -> Points:
        """Points of the space, in bandwidths."""
        return Points.of(self.space, bandwidth=self.bandwidth)

    def kernels(
        self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"] | None = None
    ) -> Float[Tensor, "p r"]:
        """Item kernel of ``rows`` with ``columns`` (all items by default), on the space."""
        others = self.points if columns is None else self.points[columns]
        return exponents(self.points[rows], others).exp_()

    def uncertainties(self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> Float[Tensor, "p r"]:
        """Uncertainty of every pair of ``rows`` with ``columns``."""
        return self._doubt(self.relaxed[rows] @ self.relaxed[columns].T)

    def pair_uncertainties(self, pairs: Int[Tensor, "p 2"]) -> Float[Tensor, " p"]:
        """Uncertainty of the given pairs."""
        a, b = pairs.T
        return self._doubt(self.relaxed[a].mul_(self.relaxed[b]).sum(1))

    def _doubt(self, products: Float[Tensor, "*p"]) -> Float[Tensor, "*p"]:
        return uncertainty(self.calibration.log_odds(products / 2))

    def forbidden(self, rows: Int[Tensor, " p"], columns: Int[Tensor, " r"]) -> Bool[Tensor, "p r"]:
        """Pairs that must not be asked: an item with itself, answered or implied pairs."""
        out = rows[:, None] == columns[None]
        if self.known is not None:
            out |= self.known(rows[:, None], columns[None])
        return out

    def feasible_pairs(self) -> Int[Tensor, "p 2"]:
        """Every pair that may be asked, as (smaller, larger) positions: for small pools only."""
        items = self.candidates.nonzero().flatten()
        return self.unknown(items[torch.triu_indices(len(items), len(items), 1, device=items.device).T])

    def unknown(self, pairs: Int[Tensor, "p 2"]) -> Int[Tensor, "u 2"]:
        """Those of some pairs that are neither answered nor implied."""
        if self.known is None or not len(pairs):
            return pairs
        return pairs[~self.known(pairs[:, 0], pairs[:, 1])]

    def form(self, picks: int, generator: torch.Generator | None = None) -> tuple[QuadraticForm, str]:
        """The problem written out over all feasible pairs, and the approximation made in words: here none.

        Raises:
            ValueError: if there are more pairs than a dense matrix should hold.
        """
        if self.pairs_among > MOST_PAIRS:
            rule = f"this solver takes at most {MOST_PAIRS} pairs"
            raise ValueError(f"{rule}; got {self.pairs_among}. Use the greedy solver.")
        return self.dense(self.feasible_pairs(), picks), ""

    def rounding(self, picks: int) -> Rounding:
        """Bounds on the rounding errors of the costs.

        A sum of d products errs by 4 sqrt(d) units in the last place of the sizes that are summed, but for a
        chance of one in thousands of pairs (Higham, Mary, SISC 2019).
        """
        unit, line = torch.finfo(torch.float64).eps / 2, self.calibration
        # Without a product, the relative error of an exponent weighs: kernels below exp(-50) are nothing.
        reach = 50.0 if self.points.wide else self.points.reach
        odds = abs(line.slope) * float(self.relaxed.square().sum(1).max()) / 2
        doubt = 4 * (self.relaxed.shape[1] + 2) ** 0.5 * (odds + abs(line.intercept)) + 4
        uncertain, shared, kernels = self.sizes(picks)
        others = shared + float(self.credit.abs().max())
        return Rounding(
            fixed=unit * (uncertain * doubt + 8 * others),
            kernel=unit * (4 + 4 * (self.space.shape[1] + 2) ** 0.5 * reach),
            kernels=kernels,
            size=uncertain + others,
        )
