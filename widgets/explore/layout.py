"""Where the items and the pairs chosen among them lie, and what is known of these: the paper's Figure 2a."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.session.active import ActiveSession

__all__ = ["PairLayout", "known_of", "positions_of", "sample_rows", "tsne"]

MOST = 5000  # points that are drawn
FEWEST = 4  # different points for t-SNE
KNOWN = {1: "same", -1: "different", 0: "open"}


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


def positions_of(items: Items, pairs: Sequence[tuple[str, str]]) -> Int64[np.ndarray, "p 2"]:
    """Positions of the two items of each pair."""
    found = [[items.position[key] for key in pair] for pair in pairs]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def known_of(snapshot: Snapshot, at: Int64[np.ndarray, "p 2"]) -> list[str]:
    """What the answers say of pairs of positions: ``same``, ``different`` or ``open``."""
    return [KNOWN[relation] for relation in snapshot.relations(at[:, 0], at[:, 1]).tolist()]


class PairLayout:
    """Places of at most so many items by the codes of the last finished round, kept with that round."""

    def __init__(self, session: ActiveSession, *, most: int = MOST) -> None:
        self.session, self.most = session, most

    def stored(self) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "m 2"]] | None:
        """Rows and their places, if they were computed before and no pair has been chosen since."""
        if self.session.round == 0:
            return None
        kept = self.session.kept_array("map", dtype=np.float64, shape=(-1, 3))
        if kept is None or not np.isin(kept[:, 0], np.arange(self.session.items.n)).all():
            return None
        rows, places = kept[:, 0].astype(np.int64), kept[:, 1:].astype(np.float32)
        return (rows, places) if np.isin(self.chosen_rows(), rows).all() else None

    def compute(self) -> None:
        """Compute and keep the map of the last finished round: seconds, so in the background."""
        session, number = self.session, self.session.round - 1
        session.propose()  # the pairs that these codes choose belong on their map
        rows = sample_rows(session.items.n, self.chosen_rows(), most=self.most, seed=session.settings.seed)
        places = tsne(np.tanh(session.outputs(number)[rows].numpy()), seed=session.settings.seed)
        session.keep_array("map", np.column_stack([rows, places]).astype(np.float64), number)

    def chosen(self) -> list[tuple[int, tuple[str, str]]]:
        """Every pair of a round so far behind its number, those of the round in progress included."""
        session = self.session
        return [(one.round, pair) for one in session.proposals() for pair in session.pairs_of(one.round)]

    def chosen_rows(self) -> Int64[np.ndarray, " c"]:
        """Ascending positions of all items of chosen pairs, and of those to be placed."""
        position, chosen = self.session.items.position, self.session.proposals()
        keys = [key for one in chosen for key in (*chain(*one.pairs), *one.order)]
        keys += [key for _, pair in self.chosen() for key in pair]
        return np.unique(np.array([position[key] for key in keys], dtype=np.int64))

    def pairs(self, rows: Int64[np.ndarray, " m"]) -> list[dict[str, Any]]:
        """Every chosen pair: its points on the map, its round, what is known of it, its distance in bits."""
        session, chosen = self.session, self.chosen()
        at, codes = positions_of(session.items, [pair for _, pair in chosen]), session.codes()
        found = zip(
            chosen,
            np.searchsorted(rows, at).tolist(),
            known_of(session.snapshot(), at),
            (codes[at[:, 0]] != codes[at[:, 1]]).sum(1).tolist(),
            strict=True,
        )
        return [
            {"points": points, "keys": list(pair), "round": number, "known": known, "distance": distance}
            for (number, pair), points, known, distance in found
        ]
