"""The round stepper: choose settings, run the next round in the background, watch the curves grow."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from dhaps_core.answers.questions import label_oracle
from dhaps_core.hashing.methods import METHODS
from dhaps_core.session.outlook import Outlook
from widgets.choices import Choices
from widgets.figures import learning_curves
from widgets.plot import figure_svg
from widgets.sentences import REFUSALS
from widgets.shield import card_box
from widgets.workbench import Change, Workbench

__all__ = ["Stepper"]

LENGTHS = (12, 16, 24, 32, 48, 64, 96, 128)
SIZE = 3.4, 2.6  # inches of a plot
METRICS = ("mAP@all", "P@100", "P@r2")


class Stepper:
    """Controls of a run; everything they do is done by the bench.

    Attributes:
        box: what to display: all of the parts that follow.
        settings: what may be chosen.
        line: the button that runs the next round, how far it is, and what came of it.
        told: the bench's news until a round is over; whose the curves are, where the controls say another
            run; what the rounds brought: one line of advice, and curves where something is measured.
        inputs: the control of each choice, by its name.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        self.inputs: dict[str, Any] = {
            "method": ipywidgets.Dropdown(options=list(METHODS), description="method"),
            "bits": ipywidgets.Dropdown(options=LENGTHS, description="bits"),
            "picks": ipywidgets.BoundedIntText(min=1, max=10**9, description="picks"),
            "kernel": ipywidgets.Dropdown(options=["invariant", "matched"], description="kernel"),
            "uncertainty": _weight("uncertainty"),
            "representativeness": _weight("represent."),
            "diversity": _weight("diversity"),
        }
        for control in self.inputs.values():
            control.layout.width = "178px"
            control.style.description_width = "80px"
        controls = list(self.inputs.values())
        known = bench.items.labels is not None
        self.oracle = ipywidgets.Checkbox(value=False, description="let the oracle answer", indent=False)
        self.baseline = ipywidgets.Checkbox(value=known, description="compare with random", indent=False)
        self.run = ipywidgets.Button(button_style="primary").add_class("dhaps-run")
        self.run.layout.width = "280px"
        self.cancel = ipywidgets.Button(description="Cancel").add_class("dhaps-cancel")
        self.bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "160px"})
        self.status = ipywidgets.HTML().add_class("dhaps-status")
        self.news = ipywidgets.HTML(escape(bench.news)).add_class("dhaps-news")
        self.whose = ipywidgets.HTML().add_class("dhaps-whose")
        self.outlook = ipywidgets.HTML().add_class("dhaps-outlook")
        self.curves = ipywidgets.HTML(layout={"max_width": "100%"}).add_class("dhaps-curves")
        switches = [self.oracle, self.baseline] if known else []
        self.settings = ipywidgets.VBox(
            [
                ipywidgets.HBox(controls[:4]).add_class("dhaps-choices"),
                ipywidgets.HBox([*controls[4:], ipywidgets.HTML("(weights of the terms)")]).add_class(
                    "dhaps-choices"
                ),
                ipywidgets.HBox(switches),
            ]
        )
        buttons = ipywidgets.HBox([self.run, self.bar, self.cancel]).add_class("dhaps-choices")
        self.line = ipywidgets.VBox([buttons, self.status])
        self.told = ipywidgets.VBox([self.news, self.whose, self.outlook, self.curves])
        self.box = card_box([self.settings, self.line, self.told], "stepper")
        self._show_choices()
        for control in self.inputs.values():
            control.observe(lambda _: self._show(), "value")
        self.run.on_click(lambda _: self.run_next())
        self.cancel.on_click(lambda _: bench.job.cancel())
        bench.listen(self._changed)
        bench.follow(self._progress)
        self._show()
        self._draw()

    def choices(self) -> Choices:
        """What the controls say."""
        return Choices(**{name: control.value for name, control in self.inputs.items()})

    def run_next(self) -> None:
        """Run the next round, by the settings and switches as they are; what is in the way is told."""
        oracle = label_oracle(self.bench.items) if self.oracle.value else None
        try:
            settings = self.choices().apply(self.bench.session.settings)
            # The same settings are the same run, whose next round may wait for the work to end.
            if settings == self.bench.session.settings or self.bench.use(settings):
                self.bench.run_round(source=oracle, baseline=self.baseline.value)
        except REFUSALS as error:
            self.status.value = _told(error)

    def _progress(self) -> None:
        if (work := self.bench.work) is not None:
            self.bar.value = work.share or 0.0
            self.status.value = escape(work.line)

    def _changed(self, change: Change) -> None:
        if change == "run":
            self._show_choices()
        if change in ("round", "run"):
            self.news.value = ""
        if change in ("round", "run") or (change == "idle" and self.baseline.value):
            self._draw()
        self._show()

    def _show_choices(self) -> None:
        choices, lengths = Choices.of(self.bench.session.settings), self.inputs["bits"]
        if choices.bits not in lengths.options:
            lengths.options = sorted({*lengths.options, choices.bits})
        for name, value in vars(choices).items():
            self.inputs[name].value = value

    def _show(self) -> None:
        """Bring buttons and the status line up to date."""
        bench = self.bench
        running = bench.busy is not None
        self.run.disabled = running
        self.cancel.disabled = not bench.job.running
        for control in self.inputs.values():
            control.disabled = bench.job.running
        same = self.choices() == Choices.of(bench.session.settings)
        named = f"<p>What follows is of the run <code>{escape(bench.session.name)}</code>.</p>"
        self.whose.value = "" if same else named
        if running:
            return
        self.bar.value = 0.0
        try:
            settings = self.choices().apply(bench.session.settings)
        except ValueError as error:
            self.run.disabled = True
            self.status.value = _told(error)
            return
        if settings != bench.session.settings:
            back = bench.exists(settings)
            self.run.description = "Go back to that run" if back else "Start a new run"
            self.status.value = (
                f"These settings {'belong to the' if back else 'start a'} run "
                f"<code>{escape(bench.name_of(settings))}</code>; this one stays as it is."
            )
            return
        try:
            number = bench.session.refresh()
            self.run.description = f"Run round {number}" if number else "Run the unsupervised start (round 0)"
            self.status.value = self._outcome() or self._open_questions()
        except REFUSALS as error:  # another notebook is at the run, or its folder is damaged or gone
            self.status.value = _told(error)

    def _outcome(self) -> str:
        job = self.bench.job
        if job.error is not None:
            return _told(job.error)
        return "Cancelled; the round is as it was." if job.cancelled else ""

    def _open_questions(self) -> str:
        if self.bench.session.round == 0:
            return "No label is needed for the start."
        left = self.bench.session.left
        one = "question of this round is open; without an answer it stays out."
        many = "questions of this round are open; without answers they stay out."
        return f"{left} {one if left == 1 else many}" if left else ""

    def _draw(self) -> None:
        """Show what the last round tells, and the curves up to it."""
        told = Outlook.of_rows(self.bench.session.history)
        self.outlook.value = escape(told.line) if told else ""
        runs = self.bench.runs()
        named = [name for name in METRICS if any(name in rows[-1] for rows in runs.values())]
        own = self.bench.session.history
        if not named or not own:
            self.curves.value = ""
        elif len(own) == 1:
            start = ", ".join(f"{name} {own[0][name]:.3f}" for name in named if name in own[0])
            self.curves.value = f"<p>Without a label: {escape(start)}. Curves begin with round 1.</p>"
        else:
            self.curves.value = (
                f'<div class="dhaps-plots">{"".join(_curves(runs, name) for name in named)}</div>'
            )


def _curves(runs: Mapping[str, Sequence[Mapping[str, Any]]], metric: str) -> str:
    """Curves of one metric, so small that its letters can be read where three stand beside each other."""
    figure = learning_curves(runs, metrics=[metric])
    figure.set_size_inches(*SIZE)
    return figure_svg(figure)


def _told(error: Exception) -> str:
    return f"<b>{escape(type(error).__name__)}: {escape(str(error))}</b>"


def _weight(name: str) -> Any:
    return ipywidgets.BoundedFloatText(min=0.0, max=1e6, step=0.01, description=name)
