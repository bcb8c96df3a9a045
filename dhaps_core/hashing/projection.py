"""Embeddings to a run's features: standardised, and projected to the main directions of the train rows."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64

from dhaps_core.data.features import first_equal

__all__ = ["Projection"]


@dataclass(frozen=True, eq=False)
class Projection:
    """Rows standardised, projected to principal components, and scaled: (((x - origin) - mean) / spread) W^T.

    Everything is fitted on train rows alone, in float64, and applied to any row. A feature that is constant
    on the train rows is centred and otherwise left as it is. Equal rows stay equal, to the bit.

    Attributes:
        origin: a train row, from which all are centred: what is constant is exactly 0, however far from zero.
        mean: of the train rows, seen from the origin.
        spread: their standard deviation, 1 where it is 0.
        components: W, unit directions of decreasing variance.
        offset: of the projected rows.
        norm: root of the mean squared norm of the projected train rows; they are divided by it.

    Example:
        >>> rows = np.array([[0.0, 0.0], [2.0, 2.0]], dtype=np.float32)
        >>> np.abs(Projection.fit(rows, np.array([0, 1]), 1)(rows)).tolist()
        [[1.0], [1.0]]
    """

    origin: Float32[np.ndarray, " d"]
    mean: Float64[np.ndarray, " d"]
    spread: Float64[np.ndarray, " d"]
    components: Float64[np.ndarray, "k d"]
    offset: Float64[np.ndarray, " k"]
    norm: float

    @classmethod
    def fit(cls, rows: Float32[np.ndarray, "n d"], train: Int64[np.ndarray, " l"], dims: int) -> "Projection":
        """The projection of rows to ``dims`` components, fitted on the rows at the train positions.

        Raises:
            ValueError: if dims is out of range or the train rows are all equal.
        """
        from sklearn.decomposition import PCA

        limit = min(rows.shape[1], len(train))
        if not 1 <= dims <= limit:
            rule = f"dims must be in 1..{limit}, at most the features and the train rows"
            raise ValueError(f"{rule}; got {dims}. Keep fewer directions.")
        origin = rows[train[0]].copy()
        moved = rows[train].astype(np.float64) - origin
        mean = moved.mean(axis=0)
        moved -= mean
        spread = np.sqrt(np.square(moved).mean(axis=0))
        if not spread.any():
            raise ValueError(
                "train rows must differ from each other; got equal rows only. Look at the images."
            )
        spread[spread == 0] = 1
        pca = PCA(dims, svd_solver="covariance_eigh").fit(moved / spread)
        found = cls(origin, mean, spread, pca.components_, (pca.mean_[None] @ pca.components_.T)[0], 1.0)
        norm = np.sqrt(np.square(found._components(rows)[train]).sum(axis=1).mean())
        return replace(found, norm=float(norm))

    def __call__(self, rows: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n k"]:
        """Components of any rows; the squared norm of the train rows is 1 on average.

        Raises:
            ValueError: if a row is too far from the train rows for float32.
        """
        with np.errstate(over="ignore"):
            projected = np.asarray(self._components(rows) / self.norm, dtype=np.float32)
        if not np.isfinite(projected).all():
            got = "features nearly constant there and far larger elsewhere"
            raise ValueError(f"rows must be near the train rows; got {got}. Leave those features out.")
        # A product of matrices rounds equal rows differently, by where they stand in their block.
        return projected[first_equal(rows)]

    def _components(self, rows: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n k"]:
        moved = rows.astype(np.float64) - self.origin
        moved -= self.mean
        moved /= self.spread
        components: Float64[np.ndarray, "n k"] = moved @ self.components.T - self.offset
        return components
