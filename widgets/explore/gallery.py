"""Gallery of the chosen samples, round by round (the paper's Figure 2b)."""

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from widgets.captions import caption
from widgets.explore.layout import known_of, positions_of
from widgets.explore.tiles import row_of, tile
from widgets.shield import card_box
from widgets.workbench import Change, Workbench

__all__ = ["Gallery", "gallery_html"]

SIZE = 160  # pixels of a picture in the HTML
MOST = 60  # pairs that are shown


def gallery_html(bench: Workbench, number: int) -> str:
    """Pairs chosen in a round (from 1), framed by what is known of them; the first if they are many."""
    session = bench.session
    if not (chosen := session.pairs_of(number)):
        return f"<p>No pair was chosen in round {number}.</p>"
    snapshot, pairs = session.snapshot(), chosen[:MOST]
    said = {answer.keys[0]: answer.value for answer in snapshot.answers if answer.kind == "class"}
    known_ones = known_of(snapshot, positions_of(session.items, pairs))
    tiles = []
    for pick, (pair, known) in enumerate(zip(pairs, known_ones, strict=True), 1):
        names = [", ".join(map(str, said[key])) for key in pair if key in said]
        called = [caption(session.items, key) for key in pair]
        files = [bench.pictures.picture(key, SIZE) for key in pair]
        pictures = list(zip(called, files, strict=True))
        tiles.append(tile(pictures, [f"{pick}. {known}", " | ".join(names or called)], frame=known))
    left = f" (the first {MOST} of them)" if len(chosen) > MOST else ""
    return row_of(tiles, f"Round {number}: {len(chosen)} pairs, in the order of choosing{left}")


def offer(control: Any, options: Sequence[int], value: int | None, draw: Callable[..., None]) -> None:
    """Offer values in a dropdown and choose one of them; what observes its value draws nothing on the way."""
    control.unobserve(draw, "value")
    control.options, control.value = options, value
    control.observe(draw, "value")


class Gallery:
    """The gallery with a choice of the round.

    Attributes:
        box: what to display.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.number = ipywidgets.Dropdown(description="round")
        self.html = ipywidgets.HTML()
        self.box = card_box([self.number, self.html], "gallery")
        self.number.observe(self._draw, "value")
        bench.listen(self._changed)
        self._rounds()

    def _changed(self, change: Change) -> None:
        if change == "answers":
            self._draw()
        elif change in ("round", "run"):
            self._rounds()

    def _rounds(self) -> None:
        rounds = list(range(1, self.bench.session.round + 1))
        # The round in progress is hardly answered yet: the one before it has more to show.
        offer(self.number, rounds, rounds[-2:][0] if rounds else None, self._draw)
        self._draw()

    def _draw(self, _: Any = None) -> None:
        if self.number.value is None:
            self.html.value = "<p>No pair was chosen yet: run the unsupervised start.</p>"
        else:
            self.html.value = gallery_html(self.bench, self.number.value)
