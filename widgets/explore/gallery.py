"""Gallery of the chosen samples, round by round (the paper's Figure 2b)."""

from html import escape
from typing import Any

import ipywidgets
import numpy as np

from widgets.picture_html import row_of, tile
from widgets.shield import card_box
from widgets.workbench import Change, Workbench

__all__ = ["Gallery", "gallery_html"]

SIZE = 160  # pixels of a picture in the HTML
KNOWN = {1: "same", -1: "different", 0: "open"}


def gallery_html(bench: Workbench, number: int, *, most: int = 60) -> str:
    """Pairs chosen in one round, framed by what is known of them; at most so many of them.

    Args:
        bench: the run in use.
        number: the round, from 1.
        most: pairs to show.
    """
    session = bench.session
    proposal = session.proposal(number)
    if proposal is None or not proposal.pairs:
        return f"<p>No pair was chosen in round {number}.</p>"
    position = bench.pictures.position
    snapshot = session.snapshot()
    said = {a.keys[0]: a.value for a in snapshot.answers if a.kind == "class"}
    at = np.array([[position[key] for key in pair] for pair in proposal.pairs])
    known = snapshot.relations(at[:, 0], at[:, 1])
    tiles = []
    for pick, (pair, relation) in enumerate(zip(proposal.pairs, known, strict=True), 1):
        names = [", ".join(map(str, said[key])) for key in pair if key in said]
        lines = [f"{pick}. {KNOWN[int(relation)]}", " | ".join(names or pair)]
        pictures = [(key, bench.pictures.data_uri(key, SIZE)) for key in pair]
        tiles.append(tile(pictures, lines, frame=KNOWN[int(relation)]))
    left = f" (the first {most} of {len(tiles)})" if len(tiles) > most else ""
    return row_of(tiles[:most], f"Round {number}: {len(tiles)} pairs, in the order of choosing{left}")


class Gallery:
    """The gallery with a choice of the round.

    Args:
        bench: the run in use.

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
        elif self.bench.busy is None:
            self._rounds()

    def _rounds(self) -> None:
        rounds = list(range(1, self.bench.session.round + 1))
        self.number.options = rounds
        # The round in progress is hardly answered yet: the one before it has more to show.
        self.number.value = rounds[-2:][0] if rounds else None
        self._draw()

    def _draw(self, _: Any = None) -> None:
        if self.number.value is None:
            self.html.value = f"<p>{escape('No pair was chosen yet: run the unsupervised start.')}</p>"
        else:
            self.html.value = gallery_html(self.bench, self.number.value)
