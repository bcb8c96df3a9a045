"""k-means whose work is bounded, for the strategies that cluster items."""

import numpy as np
import numpy.typing as npt

__all__ = ["central_items", "turns"]

MOST, FEWEST, WORK = 300, 10, 100_000_000  # turns of k-means; items times clusters times turns


def turns(items: int, clusters: int) -> int:
    """Turns of k-means: 300 at most, as usual, and fewer where items times clusters are many.

    With 600 clusters of 50,000 items a turn takes about a second, and the last of 300 change little.
    """
    return min(max(WORK // (items * clusters), FEWEST), MOST)


def central_items(points: npt.NDArray[np.float64], clusters: int, *, seed: int) -> list[int]:
    """The row nearest to the centre of each cluster of k-means; one for each distinct row if those are fewer.

    Args:
        points: rows [n d].
        clusters: how many, at least 1.
        seed: of k-means.
    """
    from sklearn.cluster import KMeans  # with it the face takes twice as long to import

    clusters = min(clusters, len(np.unique(points, axis=0)))
    if not clusters:
        return []
    model = KMeans(clusters, n_init=1, max_iter=turns(len(points), clusters), random_state=seed)
    distances, labels = model.fit_transform(points), model.labels_
    members = (np.flatnonzero(labels == cluster) for cluster in range(clusters))
    return [int(rows[distances[rows, c].argmin()]) for c, rows in enumerate(members) if len(rows)]
