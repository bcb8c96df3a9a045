"""Neighbour browser: a query and its nearest codes, in two rounds, right and wrong where labels are known."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ipywidgets

from dhaps_core.data.items import Items
from dhaps_core.session.active import ActiveSession
from widgets.captions import caption
from widgets.explore.gallery import SIZE, offer
from widgets.explore.tiles import row_of, tile
from widgets.shield import card_box
from widgets.workbench import Change, Workbench

__all__ = ["Neighbour", "NeighbourBrowser", "near_codes", "nearest", "neighbours_html"]

SHOWN = 16  # neighbours in a row


@dataclass(frozen=True)
class Neighbour:
    """One item near a query.

    Attributes:
        key: the item.
        distance: between the codes, in bits.
        verdict: ``right`` if it shares a class with the query, else ``wrong``; ``open`` without labels.
        classes: its classes by the items' labels, empty without labels.
    """

    key: str
    distance: int
    verdict: str
    classes: str


def near_codes(session: ActiveSession, query: str, number: int, *, k: int) -> list[tuple[str, int]]:
    """Keys and distances in bits of the k database items whose codes are nearest to those of another item."""
    items = session.items
    if not len(items.splits["database"]):
        return []
    index = session.index(number)
    code = session.codes(number, rows=[items.position[query]])
    keys, distances = index.search(code, min(k + 1, len(index)))
    found = zip(keys[0], distances[0].tolist(), strict=True)
    return [(key, distance) for key, distance in found if key != query][:k]


def nearest(session: ActiveSession, query: str, number: int, *, k: int) -> list[Neighbour]:
    """The k database items nearest to a query by the codes of a round; the query itself is left out."""
    items = session.items
    return [
        Neighbour(key, distance, _verdict(items, query, key), _classes(items, key))
        for key, distance in near_codes(session, query, number, k=k)
    ]


def neighbours_html(bench: Workbench, query: str, numbers: Iterable[int]) -> str:
    """The query, and a row of its nearest items for each of some rounds."""
    session, picture = bench.session, bench.pictures.picture
    called = caption(session.items, query)
    lines = ["query", _classes(session.items, query) or called]
    rows = [row_of([tile([(called, picture(query, SIZE))], lines)])]
    for number in dict.fromkeys(numbers):
        found = nearest(session, query, number, k=SHOWN)
        tiles = [
            tile(
                [(caption(session.items, one.key), picture(one.key, SIZE))],
                [f"{one.distance} bit{'s' * (one.distance != 1)}", one.classes or one.key],
                frame=one.verdict,
            )
            for one in found
        ]
        judged = [one.verdict == "right" for one in found if one.verdict != "open"]
        score = f": {sum(judged)} of {len(judged)} right" if judged else ""
        rows.append(row_of(tiles, f"Nearest after round {number}{score}"))
    return "".join(rows)


def _classes(items: Items, key: str) -> str:
    return ", ".join(items.classes_of(items.position[key]))


def _verdict(items: Items, query: str, key: str) -> str:
    if items.labels is None:
        return "open"
    return "right" if items.related(items.position[query], items.position[key]) else "wrong"


class NeighbourBrowser:
    """The browser with a choice of the query and of the two rounds to compare.

    Attributes:
        box: what to display.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        splits = bench.items.splits
        rows = splits["query"] if len(splits["query"]) else splits["database"]
        self.keys = [bench.items.keys[i] for i in rows]
        self.number = ipywidgets.BoundedIntText(
            min=1, max=len(self.keys), value=1, description="query", layout={"width": "170px"}
        )
        self.previous = ipywidgets.Button(description="previous", layout={"width": "90px"})
        self.following = ipywidgets.Button(description="next", layout={"width": "90px"})
        self.before = ipywidgets.Dropdown(description="before", layout={"width": "170px"})
        self.after = ipywidgets.Dropdown(description="after", layout={"width": "170px"})
        self.html = ipywidgets.HTML()
        controls = [self.number, self.previous, self.following, self.before, self.after]
        self.box = card_box([ipywidgets.HBox(controls), self.html], "neighbours")
        for control in (self.number, self.before, self.after):
            control.observe(self._draw, "value")
        self.previous.on_click(lambda _: self._step(-1))
        self.following.on_click(lambda _: self._step(1))
        bench.listen(self._changed)
        self._rounds()

    def _step(self, by: int) -> None:
        self.number.value = 1 + (self.number.value - 1 + by) % len(self.keys)

    def _changed(self, change: Change) -> None:
        if change in ("round", "run"):
            self._rounds()

    def _rounds(self) -> None:
        finished = list(range(self.bench.session.round))
        for control, at in ((self.before, 0), (self.after, -1)):
            offer(control, finished, finished[at] if finished else None, self._draw)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        finished = self.bench.session.round  # of another run, perhaps, than the controls still show
        chosen = (self.before.value, self.after.value)
        rounds = [number for number in chosen if number is not None and number < finished]
        if not rounds:
            self.html.value = "<p>Neighbours need codes: run the unsupervised start (round 0).</p>"
        else:
            self.html.value = neighbours_html(self.bench, self.keys[self.number.value - 1], rounds)
