"""The reading ``covered`` (ours): items that stand for most of what is uncertain and not yet covered.

With a kernel k of who stands for whom, w_i the uncertainty of item i and S the labelled and picked items,

    F(S) = sum_i w_i max_{s in S} k(i, s)

is what S covers. Representativeness is what an item would cover alone, sum_i w_i k(i, a); diversity is what
of it is covered already; uncertainty is w. F is monotone and submodular, so picking the item that adds most,
again and again, covers at least 1 - 1/e of what any as many items could (Nemhauser, Wolsey, Fisher 1978).

w_i is 1 - the margin between the two greatest class probabilities, to a power that grows with what such
probabilities give to held-out answers, up to 1 where that is a half: uncertainty enters when the model has
something to say, and with a hundred classes and few answers all items weigh nearly the same.

Each term can be switched off by a weight of 0: without uncertainty all items weigh 1, without diversity
nothing counts as covered, without representativeness every item stands for itself alone. Any other weight of
uncertainty is a factor of that exponent, of diversity of what is covered, and of representativeness of k
between different items. None of the three is the poster's (``docs/readings.md``).

References:
    Bae, Wang, Sutherland: Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024.
    Bae, Oliveira, Sutherland: Uncertainty Herding, ICLR 2025.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from dhaps_core.acquisition.problem import Weights

__all__ = ["COVERED", "TERMS", "Cover", "margin_uncertainty"]

COVERED = Weights(1.0, 1.0, 1.0)
TERMS = ("uncertainty", "representativeness", "diversity", "total")


class Cover:
    """What labelled items cover, and what each other item would add.

    Args:
        kernel: [n n], sparse, symmetric, entries of at least 0, 1 on the diagonal, in float32.
        weights: w of each item, at least 0.
        diversity: how much of what is covered is taken off what an item adds; 1 is F, 0 forgets S.

    Attributes:
        alone: what each item would cover alone.
        gains: what each item adds to what is covered, in float64.

    Example:
        >>> near = sparse.csr_matrix(np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]], dtype=np.float32))
        >>> cover = Cover(near, np.ones(3))
        >>> cover.gains.tolist()
        [1.5, 1.5, 1.0]
        >>> cover.add(0)
        >>> cover.gains.tolist()  # item 1 adds the half of itself that item 0 does not stand for
        [0.0, 0.5, 1.0]
    """

    def __init__(
        self, kernel: sparse.csr_matrix, weights: Float[np.ndarray, " n"], *, diversity: float = 1.0
    ) -> None:
        self._kernel, self._weights, self._diversity = kernel, weights.astype(np.float64), diversity
        self._covered = np.zeros(len(weights))
        self.alone: Float[np.ndarray, " n"] = kernel.T @ self._weights
        self.gains = self.alone.copy()

    @classmethod
    def of(
        cls,
        kernel: sparse.csr_matrix,
        uncertainty: Float[np.ndarray, " n"],
        labelled: Sequence[int],
        *,
        weights: Weights,
    ) -> "Cover":
        """Cover by some labelled items, with the weights of the three terms."""
        if weights.representativeness != 1:
            kernel = kernel * weights.representativeness
            kernel.setdiag(1)
            kernel.eliminate_zeros()
        cover = cls(kernel, uncertainty**weights.uncertainty, diversity=weights.diversity)
        for item in labelled:
            cover.add(item)
        return cover

    def pick(self, candidates: Bool[np.ndarray, " n"], count: int) -> dict[int, dict[str, float]]:
        """Candidates in the order of picking, each that which adds most, with its terms, as costs.

        Their total is minus what the item adds; diversity is what of it was covered, representativeness minus
        what it covers alone and weighed by nothing, uncertainty what weighing takes off that.
        """
        left, found = candidates.copy(), {}
        plain = np.asarray(self._kernel.sum(axis=0), dtype=np.float64).ravel()
        for _ in range(min(count, int(left.sum()))):
            item = self.best(left)
            alone, gain = float(self.alone[item]), float(self.gains[item])
            costs = float(plain[item]) - alone, -float(plain[item]), alone - gain, -gain
            found[item] = dict(zip(TERMS, costs, strict=True))
            left[item] = False
            self.add(item)
        return found

    def add(self, item: int) -> None:
        """Take an item as labelled: what it stands for is covered."""
        kernel, (rows, values) = self._kernel, self._column(item)
        new = self._diversity * values
        better = new > self._covered[rows]
        rows, new = rows[better], new[better]
        starts, counts = kernel.indptr[rows], np.diff(kernel.indptr)[rows]
        entries = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        old = np.repeat(self._covered[rows], counts)
        added = np.repeat(new, counts)
        values = kernel.data[entries].astype(np.float64)
        lost = np.maximum(values - old, 0) - np.maximum(values - added, 0)
        lost *= np.repeat(self._weights[rows], counts)
        np.subtract.at(self.gains, kernel.indices[entries], lost)
        self._covered[rows] = new

    def best(self, candidates: Bool[np.ndarray, " n"]) -> int:
        """The candidate that adds most; of those that are equal but for rounding, the first."""
        gains = np.where(candidates, self.gains, -np.inf)
        most = gains.max()
        return int(np.argmax(gains >= most - 1e-9 * max(1.0, abs(most))))

    def _column(self, item: int) -> tuple[Int[np.ndarray, " e"], Float[np.ndarray, " e"]]:
        part = slice(self._kernel.indptr[item], self._kernel.indptr[item + 1])
        return self._kernel.indices[part], self._kernel.data[part].astype(np.float64)


def margin_uncertainty(probabilities: Float[np.ndarray, "n c"]) -> Float[np.ndarray, " n"]:
    """1 - the difference between the two greatest probabilities of each item; 1 where no class is known yet.

    Example:
        >>> margin_uncertainty(np.array([[0.9, 0.1], [0.5, 0.5]])).round(2).tolist()
        [0.2, 1.0]
    """
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
    uncertainty: Float[np.ndarray, " n"] = 1 - (first - second)
    return uncertainty
