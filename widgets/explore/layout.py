"""Where the items of a collection and the pairs chosen among them lie: the map of the paper's Figure 2a."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from dhaps_core.session.active import ActiveSession

__all__ = ["MOST", "PairLayout", "sample_rows", "tsne"]

MOST = 5000  # points that are drawn
FEWEST = 4  # different points for t-SNE


def sample_rows(
    n: int, chosen: Int64[np.ndarray, " c"], *, most: int = MOST, seed: int
) -> Int64[np.ndarray, " m"]:
    """Ascending positions of the items to draw: all chosen ones, and others at random up to ``most``.

    Example:
        >>> sample_rows(6, np.array([5, 1]), most=3, seed=0).tolist()
        [1, 3, 5]
    """
    others = np.setdiff1d(np.arange(n), chosen)
    room = max(0, most - len(np.unique(chosen)))
    drawn = np.random.default_rng(seed).permutation(others)[:room]
    return np.union1d(chosen, drawn).astype(np.int64)


def tsne(points: Float32[np.ndarray, "m b"], *, seed: int) -> Float32[np.ndarray, "m 2"]:
    """Two-dimensional t-SNE, centred and scaled into [-1, 1]; the same for the same points and seed.

    Equal points lie in one place, and t-SNE sees each once: copies crash or distort it. With fewer than four
    places there is nothing to arrange, and they stand in a row.

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
    places, place = np.unique(points, axis=0, return_inverse=True)
    if len(places) < FEWEST:
        row = np.linspace(-1, 1, len(places)) if len(places) > 1 else np.zeros(len(places))
        return np.stack([row, np.zeros_like(row)], 1).astype(np.float32)[place.reshape(-1)]
    # In a box of side 1, so that squares of distances neither overflow nor vanish.
    low, high = (end.astype(np.float64) for end in (places.min(0), places.max(0)))
    boxed = ((places - low) / (high - low).max()).astype(np.float32)
    perplexity = min(30.0, (len(places) - 1) / 3)
    start = "pca" if points.shape[1] > 1 else "random"
    flat = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(boxed)
    flat -= (flat.max(0) + flat.min(0)) / 2
    return np.asarray(flat / max(float(np.abs(flat).max()), 1e-12), dtype=np.float32)[place.reshape(-1)]


class PairLayout:
    """Positions of items by the codes of the last finished round, kept in that round's folder.

    Args:
        session: the run.
        most: points to draw.
    """

    def __init__(self, session: ActiveSession, *, most: int = MOST) -> None:
        self.session, self.most = session, most
        self.position = {key: i for i, key in enumerate(session.items.keys)}

    def stored(self) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "m 2"]] | None:
        """Rows and their places, if they were computed before and no pair has been chosen since."""
        folder, number = self.session.folder, self.session.round - 1
        if number < 0:
            return None
        rows = folder.read_derived("map_rows.npy", number, dtype=np.int64, shape=(-1,))
        if rows is None or not np.isin(rows, np.arange(self.session.items.n)).all():
            return None
        places = folder.read_derived("map_xy.npy", number, dtype=np.float32, shape=(len(rows), 2))
        if places is None or not np.isin(self.chosen_rows(), rows).all():
            return None
        return rows, places

    def compute(self) -> None:
        """Compute and keep the map of the last finished round: seconds, so in the background."""
        session, number = self.session, self.session.round - 1
        session.propose()  # the pairs that these codes choose belong on their map
        rows = sample_rows(session.items.n, self.chosen_rows(), most=self.most, seed=session.settings.seed)
        points = np.tanh(session.outputs(number)[rows].numpy())
        session.folder.write_array("map_xy.npy", tsne(points, seed=session.settings.seed), number)
        session.folder.write_array("map_rows.npy", rows, number)

    def proposals(self) -> list[Any]:
        """The picks of every round so far, the one in progress included."""
        found = []
        for number in range(1, self.session.round + 1):
            proposal = self.session.proposal(number)
            if proposal is not None:
                found.append((number, list(proposal.pairs)))
        return found

    def chosen_rows(self) -> Int64[np.ndarray, " c"]:
        """Ascending positions of all items of chosen pairs."""
        keys = {key for _, pairs in self.proposals() for pair in pairs for key in pair}
        return np.array(sorted(self.position[key] for key in keys), dtype=np.int64)

    def pairs(self, rows: Int64[np.ndarray, " m"]) -> list[dict[str, Any]]:
        """Every chosen pair: its points on the map, its round, what is known of it, its distance in bits."""
        session = self.session
        codes, snapshot = session.codes(), session.snapshot()
        found = []
        for number, pairs in self.proposals():
            at = np.array([[self.position[key] for key in pair] for pair in pairs]).reshape(-1, 2)
            known = snapshot.relations(at[:, 0], at[:, 1])
            distances = (codes[at[:, 0]] != codes[at[:, 1]]).sum(1)
            places = np.searchsorted(rows, at)
            found += [
                {
                    "points": place.tolist(),
                    "keys": list(pair),
                    "round": number,
                    "known": {1: "same", -1: "different", 0: "open"}[int(relation)],
                    "distance": int(distance),
                }
                for place, pair, relation, distance in zip(places, pairs, known, distances, strict=True)
            ]
        return found
