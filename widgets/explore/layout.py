"""Where the items and the pairs chosen among them lie, and what is known of these: the paper's Figure 2a."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from dhaps_core.answers.snapshot import Snapshot
from dhaps_core.data.items import Items
from dhaps_core.session.active import ActiveSession
from widgets.explore.places import FEWEST, aligned, beside, sample_rows, tsne

__all__ = ["PairLayout", "known_of", "positions_of"]

MOST = 5000  # points that t-SNE arranges; the others are drawn beside those that they are like
DRAWN = 50_000  # points on the map
KNOWN = {1: "same", -1: "different", 0: "open"}


def positions_of(items: Items, pairs: Sequence[tuple[str, str]]) -> Int64[np.ndarray, "p 2"]:
    """Positions of the two items of each pair."""
    found = [[items.position[key] for key in pair] for pair in pairs]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def known_of(snapshot: Snapshot, at: Int64[np.ndarray, "p 2"]) -> list[str]:
    """What the answers say of pairs of positions: ``same``, ``different`` or ``open``."""
    return [KNOWN[relation] for relation in snapshot.relations(at[:, 0], at[:, 1]).tolist()]


class PairLayout:
    """Places of items by the codes of the last finished round, kept with that round.

    Each map starts from the one before and is laid upon it, so that what keeps its place in the codes keeps
    it on the screen.

    Args:
        session: the run.
        most: items that t-SNE arranges; the others are placed beside them.
    """

    def __init__(self, session: ActiveSession, *, most: int = MOST) -> None:
        self.session, self.most = session, most

    def stored(self) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "m 2"]] | None:
        """Rows and their places, if they were computed before and no pair has been chosen since."""
        if self.session.round == 0:
            return None
        kept = self._kept(self.session.round - 1)
        return None if kept is None or not np.isin(self.chosen_rows(), kept[0]).all() else kept

    def compute(self) -> None:
        """Compute and keep the map of the last finished round: seconds, so in the background."""
        session, number = self.session, self.session.round - 1
        session.propose()  # the pairs that these codes choose belong on their map
        seed, n = session.settings.seed, session.items.n
        chosen = self.chosen_rows()
        rows = sample_rows(n, chosen, most=DRAWN, seed=seed)
        arranged = np.searchsorted(
            rows, np.intersect1d(sample_rows(n, chosen, most=self.most, seed=seed), rows)
        )
        points = np.tanh(session.outputs(number)[rows].numpy())
        last = self._kept(number - 1) if number else None
        shared = np.isin(rows, last[0]) if last is not None else np.zeros(len(rows), bool)
        if last is None or shared[arranged].sum() < FEWEST:
            places = tsne(points[arranged], seed=seed)
        else:
            before = np.zeros((len(rows), 2), np.float32)
            before[shared] = last[1][np.searchsorted(last[0], rows[shared])]
            before = beside(points, np.flatnonzero(shared), before[shared], seed=seed)
            places = tsne(points[arranged], seed=seed, start=before[arranged])
            places = aligned(places, before[arranged], shared[arranged])
        places = beside(points, arranged, places, seed=seed)
        session.keep_array("map", np.column_stack([rows, places]).astype(np.float64), number)

    def _kept(self, number: int) -> tuple[Int64[np.ndarray, " m"], Float32[np.ndarray, "m 2"]] | None:
        kept = self.session.kept_array("map", number, dtype=np.float64, shape=(-1, 3))
        if kept is None or not np.isin(kept[:, 0], np.arange(self.session.items.n)).all():
            return None
        return kept[:, 0].astype(np.int64), kept[:, 1:].astype(np.float32)

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
