"""How much likelier than by chance two items are near each other: all that is known before any answer."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from dhaps_core.hashing.neighbours import NeighbourGraph

__all__ = ["Affinity"]

HIGHEST = 6e4  # what half precision holds


class Affinity:
    """Affinities of the n items of a neighbour graph.

    What one item gives to every other by the graph, over its mean, is its column: above 1 where it reaches
    farther than to an item at random, so that a class of a tenth of all items comes to about 10 within. The
    affinity of two items is the mean of both directions.

    Each column is found by itself and kept, in half precision: it is the same whatever was asked before, so
    that a session that is opened again goes on with the same numbers.

    Args:
        graph: of all items.
    """

    def __init__(self, graph: NeighbourGraph) -> None:
        self._graph = graph
        self._columns: dict[int, np.ndarray] = {}

    def __call__(self, places: Sequence[int]) -> Float32[np.ndarray, "m m"]:
        """Affinities among some items, by their places in the graph: symmetric, at least 0."""
        if not places:
            return np.zeros((0, 0), dtype=np.float32)
        given = np.stack([self._column(place)[list(places)] for place in places]).astype(np.float32)
        return np.asarray((given + given.T) / 2, dtype=np.float32)

    def _column(self, place: int) -> np.ndarray:
        if (found := self._columns.get(place)) is None:
            evidence = np.zeros((len(self._graph), 1), dtype=np.float32)
            evidence[place] = 1
            spread = self._graph.spread(evidence)[:, 0]
            found = self._columns[place] = np.minimum(spread / spread.mean(), HIGHEST).astype(np.float16)
        return found
