"""A bar for work that a cell waits for, as long as there is no run that could show its own."""

from typing import Any

import ipywidgets

from widgets.progress import Estimate, Work
from widgets.shield import card_box

__all__ = ["Bar"]


class Bar:
    """How far something counted is; called with how many are done, how many there are, and seconds left.

    Args:
        what: is counted, as in "300 of 1,000 images".

    Attributes:
        box: what to display.

    Example:
        >>> bar = Bar("images")
        >>> bar(300, 1000, 12.0)
        >>> bar.text.value
        '300 of 1,000 images: about 12 s left'
    """

    def __init__(self, what: str) -> None:
        self._what, self._estimate, self._done = what, Estimate(None), 0
        self._bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "300px"})
        self.text = ipywidgets.Label()
        self.box: Any = card_box([ipywidgets.HBox([self._bar, self.text])], "wait")

    def __call__(self, done: int, total: int, left: float | None) -> None:
        """Show that so many are done of all, and the seconds left."""
        self._bar.value = done / max(1, total)
        counted = f"{done:,} of {total:,} {self._what}"
        self.text.value = Work(counted, None, left if done < total else None).line

    def one(self, total: int) -> None:
        """Show that one more is done of all; what is left is estimated by how long those took."""
        self._done += 1
        self(self._done, total, self._estimate.at("", self._done, total).left)
