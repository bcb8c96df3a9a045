"""Places on a plane: points arranged by t-SNE, laid upon an earlier map, and others placed beside them."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

__all__ = ["FEWEST", "aligned", "beside", "sample_rows", "tsne"]

FEWEST = 4  # different points for t-SNE
SPREAD = 20.0  # standard deviation of a t-SNE of some thousand points, about, before it is scaled
AGAIN = {"early_exaggeration": 2.0, "max_iter": 500}  # from the last map on: half the way is gone
NEAR, BLOCK = 3, 1000  # arranged points that another is placed by, and points that are placed at once


def sample_rows(n: int, chosen: Int64[np.ndarray, " c"], *, most: int, seed: int) -> Int64[np.ndarray, " m"]:
    """Ascending positions of the items to draw: all chosen ones, and others at random up to ``most``.

    Example:
        >>> sample_rows(6, np.array([5, 1]), most=3, seed=0).tolist()
        [1, 3, 5]
    """
    others = np.setdiff1d(np.arange(n), chosen)
    room = max(0, most - len(np.unique(chosen)))
    drawn = np.random.default_rng(seed).permutation(others)[:room]
    return np.union1d(chosen, drawn).astype(np.int64)


def tsne(
    points: Float32[np.ndarray, "m b"], *, seed: int, start: Float32[np.ndarray, "m 2"] | None = None
) -> Float32[np.ndarray, "m 2"]:
    """Two-dimensional t-SNE, centred and scaled into [-1, 1]; the same for the same points, seed and start.

    Equal points lie in one place, and t-SNE sees each once: copies crash or distort it. With fewer than four
    places there is nothing to arrange, and they stand in a row.

    Args:
        points: one a row.
        seed: of the run.
        start: places to begin from, those of an earlier map; the main directions of the points by default.

    Raises:
        ValueError: if a value is not finite.

    References:
        van der Maaten, Hinton: Visualizing Data using t-SNE, JMLR 2008.
    """
    from sklearn.manifold import TSNE

    if not np.isfinite(points).all():
        wrong = int((~np.isfinite(points)).sum())
        raise ValueError(
            f"points must be finite; got {wrong} values that are not. Look for a diverged training run."
        )
    places, first, place = np.unique(points, axis=0, return_index=True, return_inverse=True)
    if len(places) < FEWEST:
        row = np.linspace(-1, 1, len(places)) if len(places) > 1 else np.zeros(len(places))
        return np.stack([row, np.zeros_like(row)], 1).astype(np.float32)[place.reshape(-1)]
    # In a box of side 1, so that squares of distances neither overflow nor vanish.
    low, high = (end.astype(np.float64) for end in (places.min(0), places.max(0)))
    boxed = ((places - low) / (high - low).max()).astype(np.float32)
    perplexity = min(30.0, (len(places) - 1) / 3)
    options: dict[str, Any] = {"init": "pca" if points.shape[1] > 1 else "random"}
    if start is not None and (spread := float(start[first].std())) > 0:
        begun = (start[first] - start[first].mean(0)) / spread * SPREAD
        options = {"init": begun.astype(np.float32), **AGAIN}
    flat = TSNE(perplexity=perplexity, random_state=seed, **options).fit_transform(boxed)
    return _in_square(flat)[place.reshape(-1)]


def aligned(
    places: Float32[np.ndarray, "m 2"], to: Float32[np.ndarray, "m 2"], shared: Bool[np.ndarray, " m"]
) -> Float32[np.ndarray, "m 2"]:
    """Places turned, mirrored, scaled and moved so that the shared points lie as near as may be to others.

    A map has no up and no left; so what seems to move between two maps has moved. Scaled down where it would
    not fit into [-1, 1].

    References:
        Schoenemann, Carroll: Fitting one matrix to another under choice of a central dilation and a rigid
        motion, Psychometrika 1970.

    Example:
        >>> corner = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.25]], np.float32)
        >>> bool(np.allclose(aligned(-2 * corner, corner, np.ones(3, bool)), corner, atol=1e-6))
        True
    """
    middle, aim = places[shared].mean(0), to[shared].mean(0)
    a, b = places[shared] - middle, to[shared] - aim
    if not (whole := float((a**2).sum())):
        return places
    left, length, right = np.linalg.svd(a.T @ b)
    turned = (places - middle) @ (left @ right) * (length.sum() / whole) + aim
    return np.asarray(turned / max(1.0, float(np.abs(turned).max())), dtype=np.float32)


def beside(
    points: Float32[np.ndarray, "n b"],
    arranged: Int64[np.ndarray, " m"],
    places: Float32[np.ndarray, "m 2"],
    *,
    seed: int,
) -> Float32[np.ndarray, "n 2"]:
    """Places of all points: the arranged ones at theirs, each other among the three that it is most like.

    Points that are equal would hide each other, so those that are not arranged lie a little aside.
    """
    found = np.zeros((len(points), 2), np.float32)
    found[arranged] = places
    others = np.setdiff1d(np.arange(len(points)), arranged)
    aside = np.random.default_rng(seed).normal(scale=0.004, size=(len(others), 2)).astype(np.float32)
    known, near = points[arranged], min(NEAR, len(arranged))
    for at in range(0, len(others), BLOCK):
        block = others[at : at + BLOCK]
        squares = (known**2).sum(1) - 2 * points[block] @ known.T
        nearest = np.argpartition(squares, near - 1, axis=1)[:, :near]
        found[block] = places[nearest].mean(1) + aside[at : at + BLOCK]
    return np.clip(found, -1, 1)


def _in_square(places: np.ndarray) -> Float32[np.ndarray, "m 2"]:
    places = places - (places.max(0) + places.min(0)) / 2
    return np.asarray(places / max(float(np.abs(places).max()), 1e-12), dtype=np.float32)
