"""Live neighbours: the nearest codes of each item that the labelling card shows, after the last round."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anywidget
import traitlets

from widgets.captions import caption
from widgets.card import script, style
from widgets.explore.neighbours import near_codes
from widgets.labeller.answer_view import said_of
from widgets.labeller.labeller import Labeller
from widgets.workbench import Change, Workbench

__all__ = ["LiveNeighbours"]

SHOWN = 8  # neighbours of an item
PAUSE = 0.25  # seconds that an item is on the card before it is looked up: who answers faster needs it not


class LiveNeighbours(anywidget.AnyWidget):  # type: ignore[misc]
    """A row of nearest items for each item on the card, with what people said of them.

    It follows in a thread of its own: the next key waits neither for the search nor for a picture. What the
    items' labels say of the neighbours is not shown, as it would tell what is asked.

    Args:
        bench: the run in use.
        card: whose items are looked up.
        gather: lays out an item and the neighbours shown of it, to be named together.
    """

    _esm = script(__file__)
    _css = style(__file__)
    rows = traitlets.List().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    pictured = traitlets.Bool().tag(sync=True)

    def __init__(self, bench: Workbench, card: Labeller, gather: Callable[[Sequence[str]], None]) -> None:
        super().__init__(pictured=bench.items.images is not None)
        self.bench, self._card, self._gather = bench, card, gather
        self._lock, self._wanted = threading.Lock(), 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="dhaps-near")
        self._asked: tuple[Any, ...] = ()
        card.observe(lambda _: self._follow(), "view")
        bench.listen(self._changed)
        self.on_msg(self._heard)
        self._follow()

    def join(self) -> None:
        """Wait until what was asked for is shown."""
        self._worker.submit(lambda: None).result()

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        if "want" in message:
            self._worker.submit(lambda: self.send(*self.bench.pictures.asked(message)))
        elif "take" in message:
            for row in self.rows:
                if row["key"] == message["take"]:
                    self._gather([row["key"], *(one["key"] for one in row["near"])])

    def _changed(self, change: Change) -> None:
        if change in ("round", "run"):
            self._follow()
        elif change == "answers":
            self._worker.submit(self._say_again)

    def _follow(self) -> None:
        """Have the items of the card looked up, unless they are already, or others come before their turn."""
        session = self.bench.session
        keys = tuple(item["key"] for item in self._card.view["items"])
        with self._lock:
            if (state := (session.name, session.round, keys)) == self._asked:
                return
            self._asked = state
            self._wanted += 1
            ticket = self._wanted
        self._worker.submit(self._look_up, ticket, keys)

    def _look_up(self, ticket: int, keys: tuple[str, ...]) -> None:
        time.sleep(PAUSE)
        if ticket != self._wanted:
            return
        session = self.bench.session
        if (number := session.round - 1) < 0:
            self.rows, self.note = [], "Neighbours need codes: they are there after the start."
            return
        said = said_of(session.answers())
        asked = [item["key"] for item in self._card.view["items"] if item["asked"]]
        rows = []
        for key in keys:
            near = [
                {
                    "key": other,
                    "name": caption(session.items, other),
                    "distance": distance,
                    "said": said.get(other, ""),
                }
                for other, distance in near_codes(session, key, number, k=SHOWN)
            ]
            rows.append({"key": key, "near": near, "asked": key in asked[:1]})
        with self.hold_sync():
            self.rows = rows
            self.note = f"nearest codes after round {number}, in bits" if rows else ""

    def _say_again(self) -> None:
        """Show what people have said meanwhile of the neighbours that are shown."""
        said = said_of(self.bench.session.answers())
        self.rows = [
            {**row, "near": [{**one, "said": said.get(one["key"], "")} for one in row["near"]]}
            for row in self.rows
        ]
