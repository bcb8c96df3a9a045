"""The sheet of many items: thumbnails laid over the card, a class, and one key that names all that are in."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from widgets.card import script, style
from widgets.many.state import ManyState
from widgets.sentences import REFUSALS, shown_or_told
from widgets.workbench import Change, Workbench

__all__ = ["ManySheet"]


class ManySheet(anywidget.AnyWidget):  # type: ignore[misc]
    """What was selected on the map or among the neighbours, until it is named or left.

    Args:
        bench: the run in use; its ``who`` is stored with every answer.
        say: shows one sentence, perhaps an empty one, when the sheet is closed.

    Attributes:
        state: what the sheet shows and does; :class:`widgets.many.state.ManyState`.
    """

    _esm = script(__file__, "../labeller/classes")
    _css = style(__file__)
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, bench: Workbench, say: Callable[[str], None]) -> None:
        self._lock = threading.RLock()  # presses come from the notebook, rounds from the background
        self.bench, self._say = bench, say
        self.state = ManyState(bench.session, who=bench.who)
        super().__init__(view=self.state.view())
        self.add_class("dhaps-many-layer")
        self.on_msg(self._heard)
        bench.listen(self._changed)

    def gather(self, keys: Sequence[str]) -> None:
        """Lay out items to be named together; what is in the way is told."""
        with self._lock:
            self.state.gather(keys)
            self.view = shown_or_told(self.state.view, self.view)
        if not self.state.keys:
            self._say(self.state.note)

    def press(self, message: dict[str, Any]) -> None:
        """What a key or a click does, as the sheet sends it: ``do``, ``lot``, and what it needs."""
        state, stored = self.state, False
        with self._lock:
            if message["lot"] != state.lot:
                return
            try:
                match message:
                    case {"do": "toggle", "key": str(key)}:
                        state.toggle(key)
                    case {"do": "choose", "value": value}:
                        state.choose(value)
                    case {"do": "page", "page": int(page)}:
                        state.turn(page)
                    case {"do": "saw", "keys": list(keys)}:
                        state.saw(keys)
                    case {"do": "confirm"}:
                        stored = state.confirm()
                    case {"do": "close"}:
                        state.close()
            except REFUSALS as error:
                state.note = str(error)
            self.view = shown_or_told(state.view, self.view)
        if stored:
            self.bench.tell("answers")
        if not state.keys:
            self._say(state.note)

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        if "want" in message:
            self.send(*self.bench.pictures.asked(message))
        elif "do" in message:
            self.press(message)

    def _changed(self, change: Change) -> None:
        with self._lock:
            if change == "run":
                self.state.attach(self.bench.session)
            self.view = self.state.view()
