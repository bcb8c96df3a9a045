"""A box of plain ipywidgets that looks like a card and keeps its keys to itself."""

from collections.abc import Sequence
from typing import Any

import anywidget
import ipywidgets

from widgets.card import script, style

__all__ = ["card_box"]


class Shield(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: it guards the box it lies in, because D D on a button would delete the cell."""

    _esm = script("shield")
    _css = style("shield")


def card_box(children: Sequence[Any], name: str) -> Any:
    """Box of widgets, one below the other, with the style and the keyboard guard of a card.

    Args:
        children: ipywidgets.
        name: its class is ``dhaps-NAME``.
    """
    box = ipywidgets.VBox([*children, Shield()])
    box.add_class("dhaps-card").add_class(f"dhaps-{name}")
    return box
