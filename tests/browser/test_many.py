"""Many items named at once in a real JupyterLab: a lasso, the neighbours, one undo; both themes."""

import os
from pathlib import Path

from dhaps_core.answers.store import LabelStore
from tests.browser.lab import Notebook
from tests.browser.test_browser import check_quiet, pytestmark

__all__ = ["pytestmark"]  # the mark of all browser tests

CELL = """
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import digits
from dhaps_core.session.settings import Settings
from widgets.cockpit.cockpit import Cockpit
from widgets.workbench import Workbench

items = digits(seed=0)
bench = Workbench("../runs/many", items, Settings(picks=10), who="anna")
bench.session.train()
keys = [items.keys[row] for row in items.splits["train"].tolist()]
bench.session.name_items(keys[:60:4], "<b>0</b> " + "very long " * 8, who="bo")
bench.session.name_items(keys[1:60:4], "\\u05d0\\u05e4\\u05e1 (0)", who="bo")
cockpit = Cockpit(bench)
cockpit
"""
SHEET = ".dhaps-many"
FOCUSED = "document.activeElement.classList.contains('dhaps-cockpit')"


def themed(page, name):
    """Take a picture of the cockpit in each theme, where the pictures are wanted."""
    if not (out := os.environ.get("DHAPS_BROWSER_OUT")):
        return
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
        page.wait_for_timeout(1500)
        page.locator(".dhaps-cockpit").screenshot(path=str(Path(out, f"{name}-{theme.split()[1]}.png")))


def draw(page, share):
    """A lasso with Shift around the middle of the map, so large a share of it on either side."""
    box = page.locator(".dhaps-map canvas").bounding_box()
    side = min(box["width"], box["height"]) / 2 * share
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    corners = [(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]
    page.keyboard.down("Shift")
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=6)
    page.mouse.up()
    page.keyboard.up("Shift")


def test_a_lasso_and_the_neighbours_are_named_with_one_key_and_undone_with_one(lab, page):
    page.set_viewport_size({"width": 1600, "height": 1150})
    lab.write_notebook("many.ipynb", CELL)
    notebook = Notebook(lab, page, "many.ipynb")
    cells = notebook.cells()
    notebook.run_all()
    page.locator('.dhaps-map[data-ready="1"]').wait_for()
    notebook.card.locator(".dhaps-pair").wait_for()
    page.wait_for_timeout(1500)
    high = page.locator(".dhaps-cockpit").bounding_box()["height"]

    def answers():
        store = lab.project / "runs" / "many" / "labels.sqlite"
        with LabelStore(store, create=False, read_only=True) as found:
            return [one for one in found.answers() if one.who == "anna"]

    draw(page, 0.2)
    sheet = page.locator(SHEET)
    sheet.get_by_text("selected", exact=False).first.wait_for()
    tiles = sheet.locator(".dhaps-many-one")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.dhaps-many-one')].every(one => one.querySelector('img'))"
    )
    shown = tiles.count()
    assert page.evaluate(FOCUSED)
    page.keyboard.press("s")  # a key of the card: it is not heard below the sheet
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert notebook.cells() == cells
    taken = sheet.locator('.dhaps-many-one[data-state="in"]')
    before = taken.count()
    taken.first.click()
    sheet.locator('.dhaps-many-one[data-state="out"]').wait_for()
    page.keyboard.press("f")
    page.keyboard.type("eight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    sheet.get_by_role("button", name=f"Name {before - 1} of them eight").wait_for()
    assert answers() == []  # nothing is stored by choosing
    themed(page, "lasso")
    sheet.get_by_role("button", name=f"Name {before - 1} of them eight").wait_for()
    page.evaluate("document.querySelector('.dhaps-cockpit').focus()")
    page.keyboard.press("Enter")
    notebook.card.get_by_text(f"{before - 1} items named eight in one step").wait_for()
    assert sheet.is_hidden()
    assert page.evaluate(FOCUSED)
    assert len(answers()) == before - 1 < shown + 1
    assert page.locator(".dhaps-cockpit").bounding_box()["height"] == high
    page.wait_for_timeout(250)
    page.keyboard.press("z")
    notebook.card.get_by_text("answers 30", exact=True).wait_for()
    assert answers() == []

    page.locator(".dhaps-near-take").wait_for()
    page.wait_for_timeout(250)
    page.keyboard.press("t")
    sheet.get_by_text("9 items selected").wait_for()
    page.wait_for_function("() => document.querySelectorAll('.dhaps-many-one img').length === 9")
    themed(page, "neighbours")
    page.evaluate("document.querySelector('.dhaps-cockpit').focus()")
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")
    assert answers() == []
    page.locator(".dhaps-map").get_by_role("button", name="lasso").click()
    assert (
        page.locator(".dhaps-map").get_by_role("button", name="lasso").get_attribute("aria-pressed") == "true"
    )
    check_quiet(notebook)
