"""Neighbour browser: a query and its nearest codes, in two rounds, right and wrong where labels are known."""

from dataclasses import dataclass
from typing import Any

import ipywidgets

from dhaps_core.session.active import ActiveSession
from widgets.picture_html import row_of, tile
from widgets.shield import card_box
from widgets.workbench import Change, Workbench

__all__ = ["Neighbour", "NeighbourBrowser", "nearest", "neighbours_html"]

SIZE = 160  # pixels of a picture in the HTML


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


def nearest(session: ActiveSession, query: str, number: int, *, k: int) -> list[Neighbour]:
    """The k database items nearest to a query by the codes of a round; the query itself is left out."""
    items = session.items
    at = items.keys.index(query)
    k = min(k, len(items.splits["database"]) - int(at in items.splits["database"]))
    if k < 1:
        return []
    codes = session.codes(number)
    keys, distances = session.index(number).search(
        codes[at : at + 1], min(k + 1, len(items.splits["database"]))
    )
    position = {key: items.keys.index(key) for key in keys[0]}
    return [
        Neighbour(key, int(distance), _verdict(session, at, position[key]), _classes(session, position[key]))
        for key, distance in zip(keys[0], distances[0], strict=True)
        if key != query
    ][:k]


def neighbours_html(bench: Workbench, query: str, numbers: list[int], *, k: int = 16) -> str:
    """The query, and a row of its nearest items for each of some rounds."""
    session = bench.session
    at = session.items.keys.index(query)
    lines = ["query", _classes(session, at) or query]
    rows = [row_of([tile([(query, bench.pictures.data_uri(query, SIZE))], lines)])]
    for number in dict.fromkeys(numbers):
        found = nearest(session, query, number, k=k)
        tiles = [
            tile(
                [(one.key, bench.pictures.data_uri(one.key, SIZE))],
                [f"{one.distance} bit{'s' * (one.distance != 1)}", one.classes or one.key],
                frame=one.verdict,
            )
            for one in found
        ]
        judged = [one.verdict == "right" for one in found if one.verdict != "open"]
        score = f": {sum(judged)} of {len(judged)} right" if judged else ""
        rows.append(row_of(tiles, f"Nearest after round {number}{score}"))
    return "".join(rows)


class NeighbourBrowser:
    """The browser with a choice of the query and of the two rounds to compare.

    Args:
        bench: the run in use.
        k: neighbours in a row.

    Attributes:
        box: what to display.
    """

    def __init__(self, bench: Workbench, *, k: int = 16) -> None:
        self.bench, self.k = bench, k
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
        if change != "answers" and self.bench.busy is None:
            self._rounds()

    def _rounds(self) -> None:
        finished = list(range(self.bench.session.round))
        for control in (self.before, self.after):
            control.options = finished
        if finished:
            self.before.value, self.after.value = finished[0], finished[-1]
        self._draw()

    def _draw(self, _: Any = None) -> None:
        finished = self.bench.session.round  # of another run, perhaps, than the controls still show
        chosen = (self.before.value, self.after.value)
        rounds = [number for number in chosen if number is not None and number < finished]
        if not rounds:
            self.html.value = "<p>Neighbours need codes: run the unsupervised start (round 0).</p>"
        else:
            query = self.keys[self.number.value - 1]
            self.html.value = neighbours_html(self.bench, query, rounds, k=self.k)


def _classes(session: ActiveSession, at: int) -> str:
    """Classes of an item by its labels."""
    items = session.items
    if items.labels is None:
        return ""
    if items.multi_label:
        return ", ".join(name for name, has in zip(items.class_names, items.labels[at], strict=True) if has)
    return items.class_names[int(items.labels[at])]


def _verdict(session: ActiveSession, query: int, other: int) -> str:
    labels = session.items.labels
    if labels is None:
        return "open"
    shared = (
        bool((labels[query] & labels[other]).any()) if labels.ndim == 2 else labels[query] == labels[other]
    )
    return "right" if shared else "wrong"
