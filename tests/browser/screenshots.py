"""Pictures of every card for the documentation: ``python -m tests.browser.screenshots [FOLDER]``."""

import sys
import tempfile
from pathlib import Path

import numpy as np

from dhaps_core.answers.store import LabelStore
from dhaps_core.data.sources import digits
from tests.browser.lab import ROOT, Lab, Notebook, browser_page
from tests.browser.test_browser import NAME, run_folder, screen_points

START = """
from dhaps_core.data.sources import arrays, digits
from dhaps_core.answers.questions import label_oracle
from dhaps_core.session.settings import Settings
from widgets.explore.gallery import Gallery
from widgets.labeller.labeller import Labeller
from widgets.explore.neighbours import NeighbourBrowser, nearest
from widgets.explore.pair_map import PairMap
from widgets.stepper import Stepper
from widgets.workbench import Workbench

items = digits(seed=0)
"""
ROUNDS = """
bench = Workbench("../runs/rounds", items, Settings(picks=8, budget_items=100), who="anna")
for _ in range(4):
    bench.run_round(source=label_oracle(items), baseline=True)
    bench.job.join()
Labeller(bench)
"""
CARDS = """
display(Stepper(bench).box)
chart = PairMap(bench)
chart.job.join()
display(chart, Gallery(bench).box)
browser = NeighbourBrowser(bench)
# The query that gained most.
right = lambda key, number: [one.verdict for one in nearest(bench.session, key, number, k=16)].count("right")
last = bench.session.round - 1
gains = [right(key, last) - right(key, 0) for key in browser.keys]
browser.number.value = 1 + gains.index(max(gains))
display(browser.box)
"""
EMBEDDINGS = """
plain = arrays(items.features, keys=[f"recording {i:04}.wav" for i in range(items.n)], queries=0, seed=0)
bench = Workbench("../runs/embeddings", plain, Settings(question="classes"), who="anna")
bench.session.train()
for key, name in zip(plain.keys[:40], "0123456789" * 4):
    bench.session.store.add("class", (key,), f"speaker {name}", who="anna", seconds=1.0)
Labeller(bench)
"""


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        lab = Lab(Path(folder))
        try:
            with browser_page(height=1250, scale=1.5) as page:
                lab.set_parameters(
                    NAME, question="pairs", who="anna", guideline="Are these two the same digit?"
                )
                pairs(lab, page, out)
                lab.write_notebook("rounds.ipynb", START, ROUNDS, CARDS)
                lab.write_notebook("embeddings.ipynb", START, EMBEDDINGS)
                rounds(lab, page, out)
                embeddings(lab, page, out)
        finally:
            lab.close()
    for path in sorted(out.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def shoot(page, name, out):
    """One card, without its focus ring."""
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(600)
    page.locator(f".dhaps-{name}").first.screenshot(path=str(out))


def pairs(lab, page, out):
    """The first round of a person, and a slip."""
    notebook = Notebook(lab, page, NAME)
    notebook.run_all()
    notebook.card.focus()
    for key in "ddddd":
        notebook.press(key)
    page.set_viewport_size({"width": 1600, "height": 1080})
    page.locator('.dhaps-map[data-ready="1"]').wait_for()
    page.locator(".dhaps-cockpit").evaluate("box => box.scrollIntoView({ block: 'start' })")
    page.wait_for_timeout(1200)
    page.screenshot(path=str(out / "jupyterlab.png"))
    page.set_viewport_size({"width": 1280, "height": 1250})
    shoot(page, "labeller", out / "labeller-pairs.png")
    a, b = notebook.shown()
    with LabelStore(run_folder(lab).parent / "labels.sqlite") as store:
        used = {key for answer in store.answers() for key in answer.keys} | {a, b}
        between = [str(i) for i in range(100) if str(i) not in used][:2]
        for pair in zip([a, *between], [*between, b], strict=True):
            store.add("pair", pair, "same", who="anna", seconds=1.0)
    notebook.card.focus()
    notebook.press("d")
    shoot(page, "labeller", out / "labeller-contradiction.png")


def rounds(lab, page, out):
    """What a person sees after some rounds."""
    notebook = Notebook(lab, page, "rounds.ipynb")
    notebook.run_all()
    page.locator('.dhaps-map[data-ready="1"]').wait_for()
    oracle, keys = digits(seed=0), notebook.shown()
    notebook.card.focus()
    for key in keys:
        notebook.press(str(oracle.labels[int(key)]))
    for name in ("stepper", "gallery", "neighbours"):
        shoot(page, name, out / f"{name}.png")
    shoot(page, "labeller", out / "labeller-classes.png")
    page.locator(".dhaps-map canvas").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    spots = screen_points(page, run_folder(lab, "rounds"))
    longest = max(spots, key=lambda spot: np.linalg.norm(spot[1][0] - spot[1][1]))
    page.mouse.click(*map(float, longest[1][0]))
    page.wait_for_timeout(500)
    page.mouse.move(5, 5)
    shoot(page, "map", out / "pair-map.png")
    page.locator(".dhaps-map").get_by_text("by label and answer").click()
    page.mouse.move(5, 5)
    shoot(page, "map", out / "pair-map-labels.png")


def embeddings(lab, page, out):
    notebook = Notebook(lab, page, "embeddings.ipynb")
    notebook.run_all()
    shoot(page, "labeller", out / "labeller-embeddings.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots")
