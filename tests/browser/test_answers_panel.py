"""The panel of all answers in a real JupyterLab: filter, rename, undo, take back, in both themes."""

import os
from pathlib import Path

import pytest

from tests.browser.lab import Notebook, missing
from tests.browser.test_browser import check_quiet

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CELL = """
from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import digits
from dhaps_core.session.settings import Settings
from widgets.answers.panel import AnswersPanel
from widgets.labeller.labeller import Labeller
from widgets.workbench import Workbench

items = digits(seed=0)
bench = Workbench("../runs/answers", items, Settings(picks=10), who="anna")
bench.session.train()
train = items.splits["train"].tolist()
for name, who in (("1", "anna"), ("7", "anna"), ("4", "bo")):
    rows = [row for row in train if items.classes_of(row) == (name,)]
    bench.session.name_items([items.keys[row] for row in rows[:12]], name, who=who)
bench.session.name_items([items.keys[rows[20]]], "1", who="bo")
display(AnswersPanel(bench))
display(Labeller(bench))
"""


def themed(page, name):
    """Take a picture of the panel in each theme, where the pictures are wanted."""
    if not (out := os.environ.get("DHAPS_BROWSER_OUT")):
        return
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate(f"jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})")
        page.wait_for_timeout(900)
        page.locator(".dhaps-all-answers").screenshot(path=str(Path(out, f"{name}-{theme.split()[1]}.png")))


def test_answers_are_filtered_renamed_and_taken_back(lab, page):
    lab.write_notebook("answers.ipynb", CELL)
    notebook = Notebook(lab, page, "answers.ipynb")
    cells = notebook.cells()
    notebook.run_all()
    panel = page.locator(".dhaps-all-answers")
    panel.get_by_text("37 answers", exact=True).wait_for()
    assert panel.locator("tbody tr").count() == 15
    page.wait_for_function("document.querySelectorAll('.dhaps-all-answers tbody img').length === 15")
    themed(page, "all")
    panel.get_by_label("older answers").click()
    panel.get_by_text("page 2 of 3").wait_for()

    panel.get_by_label("every class").select_option("7")
    panel.get_by_text("12 of 37 answers").wait_for()
    panel.get_by_label("new name, Enter").fill("seven")
    panel.get_by_label("new name, Enter").press("Enter")
    panel.get_by_text("7 is seven now, in 12 answers.").wait_for()
    assert panel.locator("tbody select").first.input_value() == "seven"
    panel.get_by_label("new name, Enter").fill("1")
    panel.get_by_label("new name, Enter").press("Enter")
    panel.get_by_text("There is a class 1 already. Merge seven into it?").wait_for()
    themed(page, "merge")
    panel.get_by_role("button", name="Merge", exact=True).click()
    panel.get_by_text("25 of 37 answers").wait_for()
    panel.get_by_role("button", name="Undo").click()
    panel.get_by_text("13 of 37 answers").wait_for()
    panel.get_by_role("button", name="Redo").click()
    panel.get_by_text("25 of 37 answers").wait_for()
    panel.get_by_role("button", name="Undo").click()
    panel.get_by_role("button", name="Undo").click()

    panel.get_by_label("every class").select_option("")
    panel.get_by_label("the model disagrees").check()
    panel.get_by_text("others say").wait_for()
    themed(page, "disagrees")
    before = panel.locator("tbody tr").count()
    panel.locator("tbody select").first.select_option("4")  # the one that was wrong is the first
    page.wait_for_function(f"document.querySelectorAll('.dhaps-all-answers tbody tr').length < {before}")
    panel.get_by_label("the model disagrees").uncheck()
    panel.get_by_role("button", name="Take back").first.click()
    panel.get_by_text("36 answers", exact=True).wait_for()
    page.keyboard.press("d")
    page.keyboard.press("d")  # with the focus in the panel the cell stays
    assert notebook.cells() == cells
    notebook.card.get_by_text("answers 36", exact=True).wait_for()  # the card has heard
    check_quiet(notebook)
