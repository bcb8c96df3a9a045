"""Map of the chosen pairs: every item a point, every chosen pair a line that opens its pictures."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import anywidget
import numpy as np
import traitlets

from widgets.background import Job
from widgets.captions import caption
from widgets.card import script, style, with_summary
from widgets.explore.layout import PairLayout
from widgets.workbench import Change, Workbench

__all__ = ["PairMap"]


class PairMap(anywidget.AnyWidget):  # type: ignore[misc]
    """The t-SNE of the codes after the last finished round, computed in the background and kept.

    Args:
        bench: the run in use.
        gather: takes the keys of the items within a lasso; without it the map has none.

    Attributes:
        job: the work in the background; ``job.join()`` waits for the map.
    """

    _esm = script(__file__, "lasso")
    _css = style(__file__)
    points = traitlets.Bytes().tag(sync=True)
    layout_info = traitlets.Dict().tag(sync=True)
    pairs = traitlets.List().tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)
    selects = traitlets.Bool().tag(sync=True)
    marked = traitlets.List().tag(sync=True)

    def __init__(self, bench: Workbench, gather: Callable[[Sequence[str]], None] | None = None) -> None:
        super().__init__(selects=gather is not None)
        self.bench, self._gather, self.job = bench, gather, Job()
        self._lock = threading.RLock()
        self._shown: Any = None
        self.on_msg(self._heard)
        bench.listen(self._changed)
        self._update()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The map where widgets live, and its pairs in numbers everywhere else."""
        title = self.layout_info.get("title", "codes")
        known = Counter(pair["known"] for pair in self.pairs)
        told = ", ".join(f"{count} {name}" for name, count in known.items()) or "none yet"
        html = f"<p><b>Map of the chosen pairs</b> ({escape(title)}): chosen pairs, {told}.</p>"
        return with_summary(super()._repr_mimebundle_(**options), html)

    def mark(self, keys: Sequence[str]) -> None:
        """Mark the points of items, and no others."""
        with self._lock:
            position, shown = self.bench.session.items.position, self._shown
            rows = [] if shown is None else [position[key] for key in keys]
            self.marked = np.flatnonzero(np.isin(shown, rows)).tolist() if rows else []

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        if "want" in message:
            self.send(*self.bench.pictures.asked(message))
        elif "gather" in message and self._gather is not None:
            self._gather(message["gather"])

    def _changed(self, change: Change) -> None:
        if change == "answers" and self._shown is not None:
            self.pairs = PairLayout(self.bench.session).pairs(self._shown)
        elif change in ("round", "run"):
            self._update()

    def _update(self) -> None:
        """Show the map of the last round; where there is none yet, have it computed and come again."""
        with self._lock:
            layout = PairLayout(self.bench.session)
            stored, self._shown = layout.stored(), None  # until it is shown, answers change no map
            if stored is not None:
                self._show(layout, *stored)
            elif self.bench.session.round == 0:
                self.note = "The map needs codes: run the unsupervised start (round 0)."
            elif not self.job.running:
                self.note = "The map is being computed ..."
                self.job.start(lambda _: layout.compute(), done=self._computed)

    def _computed(self) -> None:
        if self.job.error is None:
            self._update()
        else:
            self.note = f"The map could not be computed: {self.job.error}"

    def _show(self, layout: PairLayout, rows: Any, places: Any) -> None:
        items, number = self.bench.session.items, self.bench.session.round - 1
        labels = [] if items.labels is None or items.multi_label else items.labels[rows].tolist()
        parts = (
            [f"{len(rows):,} of {items.n:,} items, all chosen ones among them"] if len(rows) < items.n else []
        )
        if len(rows) > layout.most:
            parts.append(f"{layout.most:,} arranged by t-SNE, the others beside those that they are like")
        with self.hold_sync():
            self.points = np.ascontiguousarray(places, dtype="<f4").tobytes()
            self.layout_info = {
                "keys": [items.keys[i] for i in rows],
                "names": [caption(items, items.keys[i]) for i in rows],
                "labels": labels,
                "class_names": list(items.class_names),
                "pictured": items.images is not None,
                "bits": self.bench.session.settings.bits,
                "title": f"codes after round {number}",
                "part": "; ".join(parts),
            }
            self.pairs = layout.pairs(rows)
            self.note, self.marked = "", []
        self._shown = rows
