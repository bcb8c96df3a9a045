"""How long a key takes until the next pair is there, and what memory grows to: 50,000 items, a real browser.

    python -m tests.browser.key_latency

The items are drawn: ten clouds in 256 dimensions, each with a picture. Keys are pressed three times a second,
wrong or right, for a few rounds; a round is trained in the background while more are answered. Two cores with
nothing else to do.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import psutil

from tests.browser.lab import Lab, Notebook, browser_page

ITEMS, ROUNDS, AT_REST, TRAINING = 50_000, 4, 90, 45
SETUP = f"""
import numpy as np
from dataclasses import replace
from dhaps_core import Settings, arrays
from dhaps_core.data.images import ArrayImages
from widgets.cockpit.cockpit import Cockpit
from widgets.workbench import Workbench

draw, n = np.random.default_rng(0), {ITEMS}
labels = np.arange(n) % 10
features = (draw.normal(size=(10, 256))[labels] + 3 * draw.normal(size=(n, 256))).astype(np.float32)
pixels = draw.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
items = replace(arrays(features, labels, queries=0, seed=0), images=ArrayImages(pixels))
"""
SHOWN = "Cockpit(Workbench('../runs/latency', items, Settings(picks=300), who='anna'))"
WATCH = """() => {
  window.times = []; window.pressed = 0;
  document.addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
  new MutationObserver(() => {
    if (window.pressed) window.times.push(performance.now() - window.pressed);
    window.pressed = 0;
  }).observe(document.querySelector(".dhaps-labeller"), { attributes: true, attributeFilter: ["data-turn"] });
}"""


def answered(page, count):
    """Milliseconds from each of some keys to the next question."""
    page.evaluate("window.times = []")
    for i in range(count):
        page.keyboard.press(str(i % 10))
        page.wait_for_timeout(330)
    return sorted(page.evaluate("window.times"))


def main():
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page(width=1440) as page:
                lab.write_notebook("latency.ipynb", SETUP, SHOWN)
                notebook = Notebook(lab, page, "latency.ipynb")
                notebook.command("notebook:run-all-cells")
                notebook.card.locator(".dhaps-pair").wait_for()
                page.wait_for_timeout(25_000)  # the pairs ahead, and the first map
                notebook.card.focus()
                page.evaluate(WATCH)
                kernels = [psutil.Process(pid) for pid in lab.kernel_pids()]
                print("| round | | keys | median ms | nine of ten within ms | memory of the kernel, MiB |")
                print("|--:|:--|--:|--:|--:|--:|")
                for number in range(1, ROUNDS + 1):
                    for name, count in (("at rest", AT_REST), ("while it is trained", TRAINING)):
                        if count == TRAINING:
                            for _ in "rr":  # questions are open: the second one says that they may stay so
                                page.wait_for_timeout(400)
                                page.keyboard.press("r")
                        times = answered(page, count)
                        held = max(kernel.memory_info().rss for kernel in kernels) >> 20
                        middle, most = statistics.median(times), times[int(0.9 * len(times))]
                        print(
                            f"| {number} | {name} | {len(times)} | {middle:.0f} | {most:.0f} | {held} |",
                            flush=True,
                        )
                    page.wait_for_timeout(6_000)
        finally:
            lab.close()


if __name__ == "__main__":
    sys.exit(main())
