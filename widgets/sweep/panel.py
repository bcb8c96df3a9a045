"""The panel of a sweep: start, stop, a bar and the end of the log, refreshed while it is at work."""

import threading
from html import escape
from typing import Any

import ipywidgets

from dhaps_core.sweeps.grid_text import GridError
from widgets.shield import card_box
from widgets.sweep.state import SweepProcess

__all__ = ["SweepPanel"]

EVERY = 1.0  # seconds between two looks
LINES = 12  # of the log


class SweepPanel:
    """Controls of a sweep; opened again after a restart of the kernel, it follows what is at work.

    Attributes:
        box: what to display.
    """

    def __init__(self, process: SweepProcess) -> None:
        self.process = process
        self.start = ipywidgets.Button(description="Start", button_style="primary")
        self.stop = ipywidgets.Button(description="Stop")
        self.bar = ipywidgets.IntProgress(min=0, max=len(process.grid.cells), layout={"width": "300px"})
        self.count = ipywidgets.HTML()
        self.log = ipywidgets.HTML()
        controls = ipywidgets.HBox([self.start, self.stop, self.bar, self.count])
        self.box = card_box([controls, self.log], "sweep")
        self.start.on_click(self._start)
        self.stop.on_click(lambda _: process.stop())
        self._follower: threading.Thread | None = None
        self.refresh()
        if process.running:
            self._follow()

    def refresh(self) -> bool:
        """Show where the sweep stands, and whether it is at work."""
        now = self.process.standing()
        self.bar.max, self.bar.value = now.total, now.done
        self.bar.bar_style = "danger" if now.failed else "" if now.done < now.total else "success"
        failed = f", {now.failed} failed" if now.failed else ""
        self.count.value = f"{now.done} of {now.total} finished{failed}"
        tail = "\n".join(self.process.text().splitlines()[-LINES:])
        self.log.value = f"<pre>{escape(tail or now.line)}</pre>"
        self.start.disabled, self.stop.disabled = now.running, not now.running
        return now.running

    def _start(self, _: Any) -> None:
        try:
            self.process.start()
        except GridError as error:
            self.log.value = f"<pre>{escape(str(error))}</pre>"
            return
        self._follow()

    def _follow(self) -> None:
        if self._follower is None or not self._follower.is_alive():
            self._follower = threading.Thread(target=self._watch, name="dhaps-sweep", daemon=True)
            self._follower.start()

    def _watch(self) -> None:
        pause = threading.Event()
        while self.refresh():
            pause.wait(EVERY)
