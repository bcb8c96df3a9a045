"""A person at work, in a real JupyterLab: answers, slips, rounds, a killed kernel, odd names.

The server has the configuration that `make lab` uses. On a failure the page's picture and the server's log
are left in the folder that DHAPS_BROWSER_OUT names.
"""

import json
import os
import re
import signal

import numpy as np
import pytest
from PIL import Image

from dhaps_core.answers.store import LabelStore
from tests.browser.lab import Notebook, browser_page, missing
from widgets.lessons.lecture import lecture_switch

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    # Playwright leaves its event loop to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
NAME = "01_selection_rounds.ipynb"
ODD_FILES = ["<img src=x onerror=alert(1)>.png", "a \"b\" 'c' #%20 d.png", "数字 5 é.png"]
ODD_CLASS = "<script>alert('x')</script> 数字 # % \""


def run_folder(lab, name="selection_rounds"):
    return next(path.parent for path in (lab.project / "runs" / name).glob("dhaps-*/settings.json"))


def stored(folder):
    with LabelStore(folder.parent / "labels.sqlite") as store:
        return [(answer.question, answer.keys, answer.value) for answer in store.answers()]


def check_quiet(notebook):
    """Nothing went wrong, nothing left this machine."""
    assert notebook.errors == []
    assert notebook.page.locator(".jupyter-widgets-error-widget").count() == 0
    assert notebook.page.get_by_text("Error displaying widget").count() == 0
    home = re.compile(rf"(https?|wss?)://127\.0\.0\.1:{notebook.lab.url.split(':')[2]}|data:|blob:")
    assert [url for url in notebook.requests if not home.match(url)] == []


def screen_points(page, folder):
    """Chosen pairs in pixels of the map's canvas, as the card draws them."""
    kept = np.load(sorted(folder.glob("round-*/map.npy"))[-1])
    box = page.locator(".dhaps-map canvas").bounding_box()
    unit = min(box["width"], box["height"]) / 2 - 14
    centre = np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])
    # Pair questions are those that were asked; class questions are about the pairs that were chosen.
    pairs = [keys for _, keys, _ in stored(folder) if len(keys) == 2] or [
        pair
        for path in sorted(folder.glob("round-*/picks.json"))
        for pair in json.loads(path.read_text())["pairs"]
    ]
    place = {int(row): centre + unit * np.array([x, -y]) for row, x, y in kept}
    # Digits' keys are their positions.
    return [(pair, [place[int(key)] for key in pair]) for pair in pairs]


def test_a_session_from_the_first_answer_to_a_killed_kernel(lab, page):
    lab.set_parameters(NAME, smoke=True, question="pairs", picks=12)
    notebook = Notebook(lab, page, NAME)
    cells = notebook.cells()
    notebook.run_all()
    folder = run_folder(lab)
    notebook.card.scroll_into_view_if_needed()

    # Ten answers, by button and by key in turn; each is on disk when the next pair shows.
    pressed = [("Same", "d"), ("Different", "s"), ("Unsure", "w")]
    for i, (button, key) in enumerate([*pressed, *pressed[1:2] * 2, *pressed[2:]]):
        asked = notebook.shown()
        notebook.click(button)
        assert sorted(asked) == sorted(stored(folder)[-1][1])
        if i < 4:
            asked = notebook.shown()
            notebook.press(key)
            assert sorted(asked) == sorted(stored(folder)[-1][1])
    values = ["same", "different", "different", "same", "unsure", "unsure", "different", "same"]
    assert [value for *_, value in stored(folder)] == [*values, "different", "unsure"]
    notebook.card.get_by_text("answers 10", exact=True).wait_for()

    # A double click is one answer, a held key is none, other keys do nothing, and no cell is lost.
    notebook.step(notebook.card.get_by_role("button", name="Same").first.dblclick)
    page.wait_for_timeout(700)
    assert len(stored(folder)) == 11
    page.keyboard.down("x")
    for _ in range(3):
        page.keyboard.down("x")  # an automatic repeat
    page.keyboard.up("x")
    for key in ("x", "x", "c", "b", "m", "y", "1", "0", "0", "i", "i", "Escape", "Delete"):
        page.keyboard.press(key)
    page.locator(".dhaps-run").focus()
    for key in ("x", "x", "b", "m"):
        page.keyboard.press(key)
    assert notebook.cells() == cells
    assert len(stored(folder)) == 11

    # Three steps back, the double click's among them.
    notebook.card.focus()
    notebook.press("z")
    notebook.click("Undo")
    notebook.press("z")
    assert [value for *_, value in stored(folder)] == values
    while "Every question" not in notebook.card.text_content():
        notebook.press("d")
    assert len(stored(folder)) == 12

    # The next round, and the map of what it learned.
    page.wait_for_timeout(220)
    page.keyboard.press("r")
    notebook.card.get_by_text("Round 2", exact=True).wait_for()
    notebook.card.locator(".dhaps-pair img").first.wait_for()
    page.get_by_text("Run round 2").first.wait_for()
    chart = page.locator(".dhaps-map")
    chart.get_by_text("t-SNE of the codes after round 1").wait_for()
    page.locator(".dhaps-map canvas").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    pairs = screen_points(page, folder)
    page.mouse.click(*map(float, pairs[0][1][0]))
    chart.locator(".dhaps-told").wait_for()
    assert pairs[0][0][0] in chart.locator("figcaption").all_text_contents()
    ends = np.array([end for _, ends in pairs for end in ends])
    for _, (a, b) in pairs:
        spots = [a + t * (b - a) for t in np.linspace(0.2, 0.8, 25)]
        clear = [spot for spot in spots if np.linalg.norm(ends - spot, axis=1).min() > 12]
        if clear:
            page.mouse.click(*map(float, clear[0]))
            assert chart.locator("figcaption").count() in (1, 2)
            break

    # A killed kernel: the card says that it is dead, and comes back with everything.
    notebook.card.scroll_into_view_if_needed()
    notebook.card.focus()
    for _ in range(2):
        notebook.press("s")
    answers, shown = stored(folder), notebook.shown()
    [pid] = lab.kernel_pids()
    os.kill(pid, signal.SIGKILL)
    page.locator(".jp-Dialog button").last.click()
    notebook.wait_idle()
    notebook.card.focus()
    page.keyboard.press("s")
    notebook.card.locator(".dhaps-alarm").wait_for()
    assert "does not answer" in notebook.card.locator(".dhaps-alarm").text_content()
    notebook.errors.clear()  # JupyterLab reports the dead kernel itself
    notebook.run_all()
    page.wait_for_function("document.querySelector('.dhaps-labeller .dhaps-alarm').hidden")
    assert stored(folder) == answers
    assert notebook.shown() == shown
    notebook.card.focus()
    notebook.press("s")
    assert len(stored(folder)) == len(answers) + 1
    assert notebook.cells() == cells
    check_quiet(notebook)


ODD = """
from pathlib import Path
from dataclasses import replace
import numpy as np
from dhaps_core.data.sources import image_folder
from dhaps_core.session.settings import Settings
from dhaps_core.hashing.training_settings import TrainingSettings
from widgets.explore.gallery import Gallery
from widgets.labeller.labeller import Labeller
from widgets.explore.neighbours import NeighbourBrowser
from widgets.explore.pair_map import PairMap
from widgets.workbench import Workbench

items = image_folder("../odd", queries=0, seed=0)
items = replace(items, features=np.random.default_rng(0).normal(size=(items.n, 40)).astype(np.float32))
settings = Settings(picks=20, bits=16, question=QUESTION, training=TrainingSettings(least=20, most=20))
bench = Workbench("../runs/odd", items, settings)
if bench.session.round == 0:
    bench.session.train()
"""


def odd_notebook(lab, page, question):
    folder = lab.project / "odd"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = ODD_FILES + [f"{i}.png" for i in range(37)]
    for i, name in enumerate(names):
        size = [(30, 20), (3, 300), (400, 8)][i % 3]
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / name)
    lab.write_notebook(
        "odd.ipynb", ODD.replace("QUESTION", repr(question)), "Labeller(bench)",
        "display(Gallery(bench).box, NeighbourBrowser(bench).box, PairMap(bench))",
    )  # fmt: skip
    notebook = Notebook(lab, page, "odd.ipynb")
    page.on("dialog", lambda dialog: notebook.errors.append(f"dialog: {dialog.message}"))
    notebook.run_all()
    return notebook


def test_odd_names_show_as_text_and_classes_are_made_on_the_fly(lab, page):
    notebook = odd_notebook(lab, page, "classes")
    folder = run_folder(lab, "odd")
    seen = set()
    notebook.card.focus()
    page.keyboard.press("f")
    search = notebook.card.locator(".dhaps-search")
    assert search.evaluate("node => node === document.activeElement")
    page.keyboard.insert_text(ODD_CLASS)
    notebook.step(lambda: page.keyboard.press("Enter"))
    for i in range(39):
        seen |= set(notebook.shown())
        if i % 2:
            notebook.press("1")  # the class just made
        else:
            notebook.step(notebook.card.locator(".dhaps-class").first.click)
    assert seen == {*ODD_FILES, *(f"{i}.png" for i in range(37))}
    assert {value for *_, value in stored(folder)} == {(ODD_CLASS,)}
    assert notebook.card.locator(".dhaps-value").first.text_content() == ODD_CLASS
    page.locator(".dhaps-gallery").get_by_text(ODD_CLASS).first.wait_for()
    page.wait_for_timeout(500)
    check_quiet(notebook)


def test_a_contradiction_shows_its_chain_and_one_answer_is_revised(lab, page):
    notebook = odd_notebook(lab, page, "pairs")
    folder = run_folder(lab, "odd")
    a, b = notebook.shown()
    other = next(name for name in ODD_FILES if name not in (a, b))
    with LabelStore(folder.parent / "labels.sqlite") as store:
        for pair in ((a, other), (other, b)):
            store.add("pair", pair, "same", who="anna", seconds=1.0)
    notebook.card.focus()
    page.wait_for_timeout(300)
    notebook.press("d")
    conflict = notebook.card.locator(".dhaps-conflict")
    assert conflict.locator(".dhaps-chain li").count() == 2
    page.wait_for_function("document.querySelectorAll('.dhaps-conflict img').length === 6")
    assert len(stored(folder)) == 2
    notebook.step(conflict.locator(".dhaps-chain .dhaps-revise-different").first.click)
    assert [value for *_, value in stored(folder)].count("different") == 2
    assert len(stored(folder)) == 3
    check_quiet(notebook)


def test_a_reloaded_page_goes_on_where_it_was(lab, page):
    lab.set_parameters(NAME, smoke=True, question="pairs")
    notebook = Notebook(lab, page, NAME)
    notebook.run_all()
    notebook.card.focus()
    notebook.press("s")
    shown = notebook.shown()
    notebook.command("docmanager:save")
    page.reload(wait_until="domcontentloaded")
    page.locator('.dhaps-labeller[data-ready="1"]').wait_for()
    notebook.wait_idle()
    assert notebook.shown() == shown
    notebook.card.focus()
    notebook.press("s")
    assert len(stored(run_folder(lab))) == 2
    notebook.card.get_by_text("answers 2", exact=True).wait_for()
    check_quiet(notebook)


def test_the_chosen_pairs_can_be_looked_at_on_600_pixels(lab, page):
    page.set_viewport_size({"width": 600, "height": 1000})
    lab.set_parameters("02_chosen_pairs.ipynb", smoke=True, folder="../runs/narrow")
    notebook = Notebook(lab, page, "02_chosen_pairs.ipynb")
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    notebook.command("notebook:run-all-cells")
    page.locator(".dhaps-wait").get_by_text("3 of 3 rounds").wait_for()
    page.locator('.dhaps-map[data-ready="1"]').wait_for()
    page.locator(".dhaps-neighbours").wait_for()
    cut = page.evaluate(
        """() => [...document.querySelectorAll('.dhaps-card :is(button, select, input, canvas)')]
          .filter(one => one.offsetParent && (one.matches('button') && one.scrollWidth > one.clientWidth + 1
            || one.getBoundingClientRect().right > one.closest('.dhaps-card').getBoundingClientRect().right))
          .map(one => one.textContent || one.tagName)"""
    )
    assert cut == []
    assert page.locator(".dhaps-map canvas").bounding_box()["width"] > 350
    check_quiet(notebook)


def test_a_sweep_is_started_and_followed_from_its_panel(lab, page):
    lab.set_parameters("06_sweep.ipynb", smoke=True, folder="../runs/panel", workers=1)
    notebook = Notebook(lab, page, "06_sweep.ipynb")
    notebook.command("notebook:run-all-cells")
    start, stop = (page.get_by_role("button", name=name, exact=True) for name in ("Start", "Stop"))
    start.wait_for()
    assert stop.is_disabled()
    start.click()
    page.get_by_text("2 of 2 finished").wait_for()
    page.wait_for_function("() => !document.querySelector('button.mod-primary').disabled")
    assert stop.is_disabled()
    manifest = json.loads((lab.project / "runs" / "panel" / "manifest.json").read_text())
    assert len(manifest["runs"]) == 2
    check_quiet(notebook)


def test_a_lesson_redraws_by_its_sliders_and_shows_no_code_in_lecture_mode(lab, page):
    notebook = Notebook(lab, page, "11_codes_and_pairs.ipynb")
    notebook.command("notebook:run-all-cells")
    ball = page.locator(".jp-OutputArea-output", has=page.locator(".widget-slider")).first
    ball.scroll_into_view_if_needed()
    drawing = ball.locator(".dhaps-drawing")
    before = drawing.inner_html()
    assert "currentColor" in before
    within = "all => all.every(one => one.scrollWidth <= one.clientWidth + 1)"
    assert page.locator(".dhaps-drawing").evaluate_all(within)  # no figure is cut off
    ball.locator(".noUi-handle").nth(1).focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.widget-html .dhaps-drawing').innerHTML !== before", arg=before
    )

    inputs = page.locator(".jp-CodeCell .jp-Cell-inputWrapper")
    switch = page.locator(".dhaps-lecture input")
    switch.scroll_into_view_if_needed()
    plain = page.locator(".jp-RenderedMarkdown p").first.evaluate(
        "p => parseFloat(getComputedStyle(p).fontSize)"
    )
    switch.check()
    assert inputs.count() > 10
    assert [one for one in inputs.all() if one.is_visible()] == []
    big = page.locator(".jp-RenderedMarkdown p").first.evaluate(
        "p => parseFloat(getComputedStyle(p).fontSize)"
    )
    assert big > 1.4 * plain
    assert drawing.is_visible()
    switch.uncheck()
    assert inputs.first.is_visible()
    check_quiet(notebook)


def test_lecture_mode_works_in_a_page_of_nbconvert_without_a_kernel():
    from nbconvert import HTMLExporter
    from nbformat import v4

    shown = v4.new_output("execute_result", {"text/html": lecture_switch(True).html, "text/plain": ""})
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("Words"),
            v4.new_code_cell("lecture_switch(True)", outputs=[shown]),
            v4.new_code_cell("silent = 1"),
        ]
    )
    html, _ = HTMLExporter(mathjax_url="", require_js_url="", jquery_url="").from_notebook_node(notebook)
    with browser_page() as page:
        page.set_content(html)
        inputs = page.locator(".jp-CodeCell .jp-Cell-inputWrapper")
        assert inputs.count() == 2
        assert [one for one in inputs.all() if one.is_visible()] == []
        assert page.get_by_text("Words").is_visible()
        page.locator(".dhaps-lecture input").uncheck()
        assert [one.is_visible() for one in inputs.all()] == [True, True]
