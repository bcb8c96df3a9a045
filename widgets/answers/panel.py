"""The answers panel: every answer that counts, page by page; what the person changes is on disk at once."""

import threading
from typing import Any

import anywidget
import traitlets

from widgets.answers.state import AnswersState
from widgets.card import plain_html, script, style, with_summary
from widgets.sentences import REFUSALS, shown_or_told
from widgets.workbench import Change, Workbench

__all__ = ["AnswersPanel"]


class AnswersPanel(anywidget.AnyWidget):  # type: ignore[misc]
    """Panel of all answers of the run in use.

    Args:
        bench: the run in use; its ``who`` is stored with every change.

    Attributes:
        state: what the panel shows and does; :class:`widgets.answers.state.AnswersState`.
    """

    _esm = script(__file__)
    _css = style(__file__)
    view = traitlets.Dict().tag(sync=True)

    def __init__(self, bench: Workbench) -> None:
        self._lock = threading.RLock()  # presses come from the notebook, rounds from the background
        self.bench = bench
        self.state = AnswersState(bench.session, who=bench.who)
        super().__init__(view=self._shown())
        self.on_msg(self._heard)
        bench.listen(self._changed)

    def press(self, message: dict[str, Any]) -> None:
        """What a control does, as the panel sends it: ``do``, and what it needs."""
        state, changed = self.state, False
        with self._lock:
            try:
                match message:
                    case {"do": "filter", "name": str(name), "value": value}:
                        state.filter(**{name: value})
                    case {"do": "page", "page": int(page)}:
                        state.turn(page)
                    case {"do": "revise", "row": int(row), "value": value}:
                        changed = state.revise(row, value)
                    case {"do": "retract", "row": int(row)}:
                        changed = state.retract([row])
                    case {"do": "retract listed"}:
                        changed = state.retract_listed()
                    case {"do": "rename", "old": str(old), "new": str(new)}:
                        changed = state.rename(old, new)
                    case {"do": "merge"}:
                        changed = state.merge()
                    case {"do": "keep apart"}:
                        state.keep_apart()
                    case {"do": "undo"}:
                        changed = state.undo()
                    case {"do": "redo"}:
                        changed = state.redo()
                    case {"do": "take", "path": str(path)}:
                        changed = state.take_csv(path)
                    case {"do": "write", "path": str(path)}:
                        state.write_csv(path)
            except REFUSALS as error:
                state.note = str(error)
            self.view = shown_or_told(self._shown, self.view)
        self.send({"ack": True})
        if changed:
            self.bench.tell("answers")

    def _shown(self) -> dict[str, Any]:
        return {**self.state.view(), "news": self.bench.news}

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        if "want" in message:
            self.send(*self.bench.pictures.asked(message))
        elif "do" in message:
            self.press(message)

    def _changed(self, change: Change) -> None:
        with self._lock:
            if change == "run":
                self.state.attach(self.bench.session)
            self.view = self._shown()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The panel where widgets live, and a plain summary everywhere else."""
        return with_summary(super()._repr_mimebundle_(**options), self.summary())

    def summary(self) -> str:
        """HTML without scripts: how many answers there are of each class and person; what does not count."""
        view = self.state.view()
        parts = [
            ", ".join(f"{one['name']}: {one['count']}" for one in view[name] if one["count"])
            for name in ("classes", "words", "people")
        ]
        told = "; ".join(part for part in (*parts, view["left"] and f"not counted: {view['left']}") if part)
        return f"<p><b>Answers</b>: {view['total']}. {plain_html(told)}</p>"
