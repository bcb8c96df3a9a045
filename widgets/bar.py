"""A bar for work that a cell waits for, as long as there is no run that could show its own."""

from typing import Any

import ipywidgets

from widgets.progress import Work
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
        self._what = what
        self._bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "300px"})
        self.text = ipywidgets.Label()
        self.box: Any = card_box([ipywidgets.HBox([self._bar, self.text])], "bar")

    def __call__(self, done: int, total: int, left: float) -> None:
        """Show that so many are done of all, and the seconds left."""
        self._bar.value = done / max(1, total)
        self.text.value = Work(
            f"{done:,} of {total:,} {self._what}", None, left if done < total else None
        ).line
