"""The labelling card: pairs or items on the screen, one key each, every answer on disk before the next."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anywidget
import traitlets

from widgets.card import plain_html, script, style, with_summary
from widgets.labeller.likely import Likely
from widgets.labeller.preferences import Preferences
from widgets.labeller.reasons import Reasons
from widgets.labeller.state import LabellingState
from widgets.sentences import REFUSALS, shown_or_told
from widgets.workbench import Change, Workbench

__all__ = ["Labeller"]

PAUSE = 0.3  # seconds without an answer before the other cards follow


class Labeller(anywidget.AnyWidget):  # type: ignore[misc]
    """Card that asks the questions of the run in use.

    Args:
        bench: the run in use; its ``who`` is stored with every answer.
        run: runs the next round, at a key; by default the bench does, with no source but the person.

    Attributes:
        state: what the card shows and does; :class:`widgets.labeller.state.LabellingState`.
        go_on: whether the next round is run as soon as the last question is answered; remembered.
        work: how far the work in the background is, for the screen.
    """

    _esm = script(__file__, "words", "classes", "zoom")
    _css = style(__file__)
    view = traitlets.Dict().tag(sync=True)
    counts = traitlets.Dict().tag(sync=True)
    work = traitlets.Dict().tag(sync=True)
    go_on = traitlets.Bool().tag(sync=True)

    def __init__(self, bench: Workbench, run: Callable[[], object] | None = None) -> None:
        self._lock = threading.RLock()  # presses come from the notebook, rounds from the background
        self.bench, self._run = bench, run or bench.run_round
        self._preferences = Preferences(bench.folder)
        self._early = -1  # turn at which the person asked for a round with open questions
        self._soon: asyncio.TimerHandle | None = None
        self._displayed = False
        self.state = LabellingState(
            bench.session,
            who=bench.who,
            explain=Reasons(bench.session),
            likely=Likely(bench.session),
            guideline=bench.guideline,
        )
        self._pause()
        super().__init__(
            view=self.state.view(),
            counts=self.state.counts(),
            go_on=self._preferences.go_on,
            work=self._work(),
        )
        self.on_msg(self._heard)
        self.observe(self._prefer, "go_on")
        bench.listen(self._changed)
        bench.follow(self._follow)

    def press(self, message: dict[str, Any]) -> None:
        """What a key or a button does, as the card sends it: ``do``, ``turn``, ``value``, ``row``."""
        state = self.state
        with self._lock:
            answered = state.over
            try:
                match message:
                    case {"do": "answer", "turn": turn, "value": value}:
                        state.answer(turn, value)
                    case {"do": "skip", "turn": turn}:
                        state.skip(turn)
                    case {"do": "undo", "turn": turn}:
                        state.undo(turn)
                    case {"do": "redo", "turn": turn}:
                        state.redo(turn)
                    case {"do": "drop", "turn": turn}:
                        state.drop(turn)
                    case {"do": "revise", "row": row, "value": value}:
                        state.revise(row, value)
                self._remember()
            except REFUSALS as error:
                state.note = str(error)
            self.view = shown_or_told(state.view, self.view)
        # The card may go on: the answer is on disk, the next question is on its way. The rest is for the eye.
        self.send({"ack": True})
        with suppress(*REFUSALS):  # which the view has told
            self.counts = state.counts()
        self._tell_soon()
        if self.go_on and state.over and not answered:
            self._run()

    def next_round(self, turn: int) -> None:
        """Run the next round; where questions are open only when it is asked for a second time."""
        state = self.state
        with self._lock:
            left = state.left
            if turn == state.turn and (not left or self._early == turn):
                self._early, state.note = -1, ""  # what was said of open questions is done
                go = True
            else:
                go, self._early = False, state.turn
                told = "one question is" if left == 1 else f"{left} questions are"
                state.note = f"Still {told} open. R again runs the round without."
            self.view = shown_or_told(state.view, self.view)
        self.send({"ack": True})
        if go:
            self._run()

    def say(self, note: str) -> None:
        """Show one sentence of another card."""
        with self._lock:
            self.state.say(note)
            self.view = shown_or_told(self.state.view, self.view)

    def _pause(self) -> None:
        self.state.pause(self.bench.busy, self.bench.in_training)

    def _work(self) -> dict[str, Any]:
        work = self.bench.work
        return (
            {}
            if work is None
            else {"line": work.line, "what": work.what, "share": work.share, "left": work.left}
        )

    def _follow(self) -> None:
        self.work = self._work()

    def _prefer(self, _: object) -> None:
        self._preferences.keep(go_on=self.go_on)

    def _tell_soon(self) -> None:
        """Let the other cards follow when the person pauses: they must not hold up the next key."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: a test, or a script
            self.bench.tell("answers")
            return
        if self._soon is not None:
            self._soon.cancel()
        self._soon = loop.call_later(PAUSE, self.bench.tell, "answers")

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        if "want" in message:
            self.send(*self.bench.pictures.asked(message))
        elif message.get("do") == "round":
            self.next_round(message["turn"])
        elif "do" in message:
            self.press(message)

    def _changed(self, change: Change) -> None:
        with self._lock:
            if change == "run":
                session = self.bench.session
                self.state.attach(session, Reasons(session), Likely(session))
            self._pause()
            self.view = self.state.view()
            self.counts = self.state.counts()
            self._remember()

    def _remember(self) -> None:
        """Have the run know that a person sees its questions: no oracle answers them from now on."""
        if self._displayed and self.state.question is not None:
            self.bench.session.show_questions(self.bench.who)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The card where widgets live, and a plain summary everywhere else."""
        self.displayed()
        return with_summary(super()._repr_mimebundle_(**options), self.summary())

    def displayed(self) -> None:
        """Know that the card is on a screen."""
        self._displayed = True
        self._remember()

    def summary(self) -> str:
        """HTML without scripts: how far the run is, and the last answers."""
        view, counts = self.state.view(), self.state.counts()
        rows = "".join(
            f"<tr><td>{plain_html(' | '.join(one['names']))}</td><td>{plain_html(one['value'])}</td>"
            f"<td>{plain_html(one['who'])}</td></tr>"
            for one in view["recent"]
        )
        question = view["closed"] or "Next: " + " | ".join(item["name"] for item in view["items"])
        if view["outlook"]:
            question += f" {view['outlook']['line']}"
        return (
            f"<p><b>Pair labeller</b>, round {view['round']}: {counts['answers']} answers, "
            f"{counts['items']} items labelled, {counts['implied']} pairs implied. {plain_html(question)}</p>"
            f"<table><tr><th>item or pair</th><th>answer</th><th>by</th></tr>{rows}</table>"
        )
