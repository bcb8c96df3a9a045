"""What a card shows of one item: its picture; where there is none, features and nearest known items."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dhaps_core.data.items import Items
from widgets.captions import caption

__all__ = ["ItemViews"]

PROFILE = 64  # bars of the little plot
NEAREST = 3


class ItemViews:
    """Plain values for items on the screen."""

    def __init__(self, items: Items) -> None:
        self.items = items

    def of(self, key: str, said: Mapping[str, str], *, asked: bool) -> dict[str, Any]:
        """One item.

        Args:
            key: the item.
            said: class of each item that was given one.
            asked: whether the question is about this item.
        """
        view: dict[str, Any] = {
            "key": key,
            "name": caption(self.items, key),
            "asked": asked,
            "pictured": self.items.images is not None,
            "said": said.get(key),
        }
        if self.items.images is None:
            view |= {"profile": self.profile(key), "near": self.nearest_known(key, said)}
        return view

    def profile(self, key: str) -> list[float]:
        """Features of an item in [-1, 1] of the largest, averaged into at most 64 bars."""
        assert self.items.features is not None
        row = self.items.features[self.items.position[key]]
        means = np.array([part.mean() for part in np.array_split(row, min(PROFILE, len(row)))])
        return np.round(means / max(float(np.abs(means).max()), 1e-12), 3).tolist()  # type: ignore[no-any-return]

    def nearest_known(self, key: str, said: Mapping[str, str]) -> list[dict[str, Any]]:
        """The items with a given class that are nearest by the cosine of their features."""
        assert self.items.features is not None
        position = self.items.position
        others = [other for other in said if other != key and other in position]
        if not others:
            return []
        rows = self.items.features[[position[other] for other in others]]
        own = self.items.features[position[key]]
        norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(own)
        cosines = rows @ own / np.maximum(norms, 1e-12)
        return [
            {"key": others[i], "said": said[others[i]], "cosine": round(float(cosines[i]), 2)}
            for i in np.argsort(-cosines, kind="stable")[:NEAREST]
        ]
