"""Time from a key press to the next pair on the screen, and memory over many answers, in a real browser.

    python -m tests.browser.measure [--answers 500] [--rounds 10] [--images FOLDER --features FILE.npz]

Digits by default; else an image folder and an .npz whose array ``train`` holds its features, in the order of
the keys. The time runs from the browser's keydown event to the frame in which both pictures are decoded. With
``--rounds`` the cockpit asks for classes and trains a round by itself after so many pairs: presses while one
is trained are told apart.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import psutil

from tests.browser.lab import Lab, Notebook, browser_page

WATCH = """
() => {
  const card = document.querySelector('.dhaps-labeller');
  window.times = [];
  let pressed = 0;
  const work = document.querySelector('.dhaps-working');
  let busy = false;
  window.addEventListener('keydown', () => { pressed = performance.now(); busy = !work.hidden; }, true);
  const shown = () => { if (pressed) window.times.push([performance.now() - pressed, busy]); pressed = 0; };
  new MutationObserver(shown).observe(card, { attributes: true, attributeFilter: ['data-turn'] });
}
"""
DIGITS = """
from dhaps_core.data.sources import digits
items = digits(seed=0)
"""
FOLDER = """
from dataclasses import replace
import numpy as np
from dhaps_core.data.sources import image_folder
items = image_folder({images!r}, queries=0, seed=0)
with np.load({features!r}) as stored:
    items = replace(items, features=stored["train"].astype(np.float32))
"""
RUN = """
from dhaps_core.session.settings import Settings
from dhaps_core.hashing.training_settings import TrainingSettings
from widgets.cockpit.cockpit import Cockpit
from widgets.labeller.labeller import Labeller
from widgets.workbench import Workbench

question = "classes" if {rounds} else "pairs"
settings = Settings(picks={picks}, bits=32, question=question, training=TrainingSettings(least=50, most=50))
bench = Workbench("../runs/measure", items, settings)
if bench.session.round == 0:
    bench.session.train()
Cockpit(bench) if {rounds} else Labeller(bench)
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--images")
    parser.add_argument("--features")
    given = parser.parse_args()
    source = FOLDER.format(images=given.images, features=given.features) if given.images else DIGITS
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page() as page:
                lab.write_notebook(
                    "measure.ipynb",
                    source,
                    RUN.format(picks=given.rounds or given.answers + 20, rounds=given.rounds),
                )
                measure(lab, page, given.answers, given.rounds)
        finally:
            lab.close()


def measure(lab, page, answers, rounds):
    notebook = Notebook(lab, page, "measure.ipynb")
    page.set_default_timeout(900_000)
    notebook.run_all()
    notebook.card.locator(".dhaps-pair").wait_for()
    notebook.card.focus()
    if rounds:
        page.keyboard.press("a")
    page.evaluate(WATCH)
    [pid] = lab.kernel_pids()
    kernel, browser = psutil.Process(pid), page.context.new_cdp_session(page)
    browser.send("Performance.enable")
    for i in range(answers + 1):
        if i % 100 == 0:
            browser.send("HeapProfiler.collectGarbage")
            metrics = {one["name"]: one["value"] for one in browser.send("Performance.getMetrics")["metrics"]}
            print(
                f"{i:>4} answers: kernel {kernel.memory_info().rss / 2**20:.0f} MiB, "
                f"page {metrics['JSHeapUsedSize'] / 2**20:.1f} MiB in {metrics['Nodes']:.0f} nodes"
            )
        notebook.card.locator(".dhaps-pair").wait_for()  # where all that was chosen ahead is answered
        notebook.press("1234567890"[i * 7 % 10] if rounds else "sdw"[i % 3])
        while notebook.card.locator(".dhaps-conflict").count():  # answers by turns contradict each other
            notebook.press("z")
            notebook.press("w")
    for told, while_training in (("at rest", False), ("while a round is trained", True)):
        times = sorted(time for time, busy in page.evaluate("() => window.times") if busy == while_training)
        if times:
            print(
                f"{len(times)} presses {told}: median {statistics.median(times):.0f} ms, "
                f"95 % within {times[int(0.95 * len(times))]:.0f} ms, slowest {times[-1]:.0f} ms"
            )


if __name__ == "__main__":
    main()
