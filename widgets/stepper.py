"""The round stepper: choose settings, run the next round in the background, watch the curves grow."""

import time
from html import escape
from typing import Any

import ipywidgets

from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.questions import label_oracle
from dhaps_core.hashing.methods import METHODS
from dhaps_core.session.outlook import Outlook
from widgets.choices import Choices
from widgets.figures import figure_png, learning_curves
from widgets.shield import card_box
from widgets.workbench import Change, Workbench, run_name

__all__ = ["Stepper"]

LENGTHS = (12, 16, 24, 32, 48, 64, 96, 128)
FAULTS = (ValueError, RuntimeError, StoreError)  # what a run says of itself, or of who else is at it
EVERY = 0.1  # seconds between two moves of the progress bar


class Stepper:
    """Controls of a run; everything they do is done by the bench.

    Attributes:
        box: what to display.
        inputs: the control of each choice, by its name.
    """

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench
        choices = Choices.of(bench.session.settings)
        self.inputs: dict[str, Any] = {
            "method": ipywidgets.Dropdown(options=list(METHODS), description="method"),
            "bits": ipywidgets.Dropdown(options=sorted({*LENGTHS, choices.bits}), description="bits"),
            "picks": ipywidgets.BoundedIntText(min=1, max=10_000, description="picks"),
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
        self.bar = ipywidgets.FloatProgress(min=0, max=1, layout={"width": "300px"})
        self.status = ipywidgets.HTML().add_class("dhaps-status")
        self.outlook = ipywidgets.HTML().add_class("dhaps-outlook")
        self.curves = ipywidgets.Image(value=PIXEL, format="png", layout={"max_width": "100%"})
        switches = [self.oracle, self.baseline] if known else []
        self.box = card_box(
            [
                ipywidgets.HBox(controls[:4]).add_class("dhaps-choices"),
                ipywidgets.HBox([*controls[4:], ipywidgets.HTML("(weights of the terms)")]).add_class(
                    "dhaps-choices"
                ),
                ipywidgets.HBox([self.run, self.bar, self.cancel]).add_class("dhaps-choices"),
                ipywidgets.HBox(switches),
                self.status,
                self.outlook,
                self.curves,
            ],
            "stepper",
        )
        self._last = 0.0
        self._show_choices()
        for control in self.inputs.values():
            control.observe(lambda _: self._show(), "value")
        self.run.on_click(lambda _: self._run())
        self.cancel.on_click(lambda _: bench.job.cancel())
        bench.listen(self._changed)
        self._show()
        self._draw()

    def choices(self) -> Choices:
        """What the controls say."""
        return Choices(**{name: control.value for name, control in self.inputs.items()})

    def _run(self) -> None:
        oracle = label_oracle(self.bench.items) if self.oracle.value else None
        try:
            if self.bench.use(self.choices().apply(self.bench.session.settings)):
                self.bench.run_round(
                    source=oracle, baseline=self.baseline.value, progress=self._progress, done=self._show
                )
        except FAULTS as error:
            self.status.value = _told(error)

    def _progress(self, stage: str, step: int, steps: int) -> None:
        now = time.monotonic()
        if now - self._last < EVERY and step not in (0, steps):
            return
        self._last = now
        self.bar.value = step / max(1, steps)
        self.status.value = f"{escape(stage)}: step {step} of {steps}"

    def _changed(self, change: Change) -> None:
        if change == "run":
            self._show_choices()
        if change in ("round", "run"):
            self._draw()
        self._show()

    def _show_choices(self) -> None:
        for name, value in vars(Choices.of(self.bench.session.settings)).items():
            self.inputs[name].value = value

    def _show(self) -> None:
        """Bring buttons and the status line up to date."""
        bench = self.bench
        running = bench.job.running and bench.busy is not None
        self.run.disabled = bench.job.running
        self.cancel.disabled = not bench.job.running
        for control in self.inputs.values():
            control.disabled = bench.job.running
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
                f"<code>{escape(run_name(settings))}</code>; this one stays as it is."
            )
            return
        try:
            number = bench.session.refresh()
            self.run.description = f"Run round {number}" if number else "Run the unsupervised start (round 0)"
            self.status.value = self._outcome() or self._open_questions()
        except FAULTS as error:  # another notebook is at the run, or its folder is damaged or gone
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
        return f"{left} questions of this round are open; without answers they stay out." if left else ""

    def _draw(self) -> None:
        """Show what the last round tells, and the curves up to it."""
        told = Outlook.of_rows(self.bench.session.history)
        self.outlook.value = escape(told.line) if told else ""
        runs = self.bench.runs()
        named = [
            name for name in ("mAP@all", "P@100", "P@r2") if any(name in rows[-1] for rows in runs.values())
        ]
        if named:
            self.curves.value = figure_png(learning_curves(runs, metrics=named))


def _told(error: Exception) -> str:
    return f"<b>{escape(type(error).__name__)}: {escape(str(error))}</b>"


def _weight(name: str) -> Any:
    return ipywidgets.BoundedFloatText(min=0.0, max=100.0, step=0.01, description=name)


# An empty Image would show as a broken one.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c63600002000005"
    "00017a5eab3f0000000049454e44ae426082"
)
