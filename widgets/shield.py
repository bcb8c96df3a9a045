"""A box of plain ipywidgets that looks like a card and keeps its keys to itself."""

from collections.abc import Sequence
from typing import Any

import anywidget
import ipywidgets

from widgets.card import script, style, with_summary

__all__ = ["card_box"]


class Shield(anywidget.AnyWidget):  # type: ignore[misc]
    """Nothing to see: it guards the box it lies in, because D D on a button would delete the cell."""

    _esm = script(__file__)
    _css = style(__file__)


class CardBox(ipywidgets.VBox):  # type: ignore[misc]
    """A box that is not empty where widgets cannot be shown."""

    def _repr_mimebundle_(self, **options: Any) -> Any:
        name = next(one for one in self._dom_classes if one.startswith("dhaps-") and one != "dhaps-card")
        return with_summary(super()._repr_mimebundle_(**options), f"<p><b>{name[6:]}</b></p>")


def card_box(children: Sequence[Any], name: str) -> Any:
    """Box of ipywidgets, one below the other, with the style and the keyboard guard of a card.

    Its class is ``dhaps-NAME``.
    """
    box = CardBox([*children, Shield()])
    box.add_class("dhaps-card").add_class(f"dhaps-{name}")
    return box
