"""Time from a key press to the next pair on the screen, and memory over many answers, in a real browser.

    python -m tests.browser.measure [--answers 500] [--images FOLDER --features FILE.npz]

Digits by default; else an image folder and an .npz whose array ``train`` holds its features, in the order of
the keys. The time runs from the browser's keydown event to the frame in which both pictures are decoded.
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
  window.addEventListener('keydown', () => { pressed = performance.now(); }, true);
  new MutationObserver(() => { if (pressed) window.times.push(performance.now() - pressed); pressed = 0; })
    .observe(card, { attributes: true, attributeFilter: ['data-turn'] });
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
from widgets.labeller.labeller import Labeller
from widgets.workbench import Workbench

settings = Settings(picks={picks}, bits=32, question="pairs", training=TrainingSettings(least=50, most=50))
bench = Workbench("../runs/measure", items, settings)
if bench.session.round == 0:
    bench.session.train()
Labeller(bench)
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--images")
    parser.add_argument("--features")
    given = parser.parse_args()
    source = FOLDER.format(images=given.images, features=given.features) if given.images else DIGITS
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page() as page:
                lab.write_notebook("measure.ipynb", source, RUN.format(picks=given.answers + 20))
                measure(lab, page, given.answers)
        finally:
            lab.close()


def measure(lab, page, answers):
    notebook = Notebook(lab, page, "measure.ipynb")
    page.set_default_timeout(900_000)
    notebook.run_all()
    notebook.card.focus()
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
        notebook.press("sdw"[i % 3])
        while notebook.card.locator(".dhaps-conflict").count():  # answers by turns contradict each other
            notebook.press("z")
            notebook.press("w")
    times = sorted(page.evaluate("() => window.times"))
    print(
        f"{len(times)} presses: median {statistics.median(times):.0f} ms, "
        f"95 % within {times[int(0.95 * len(times))]:.0f} ms, slowest {times[-1]:.0f} ms"
    )


if __name__ == "__main__":
    main()
