"""Hours of work in the cockpit, in a real JupyterLab: a folder of photographs, rounds by key, any layout."""

import numpy as np
import pytest
from PIL import Image

from dhaps_core.answers.store import LabelStore
from dhaps_core.data.sources import digits
from tests.browser.lab import Notebook, missing
from tests.browser.test_browser import check_quiet, run_folder

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PHOTOS = "07_your_own_images.ipynb"
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
FOCUSED = "document.activeElement.classList.contains('dhaps-cockpit')"
ROUNDS = "01_selection_rounds.ipynb"


def photographs(folder, n=300):
    """A flat folder, and what each picture shows; every picture is coloured and turned a little anew."""
    folder.mkdir(parents=True)
    source, rng, shown = digits(seed=0), np.random.default_rng(0), {}
    for i in range(n):
        grey = Image.fromarray(source.images[i]).convert("L").resize((240, 240)).rotate(rng.integers(-8, 9))
        back, ink = rng.integers(0, 110, 3), rng.integers(150, 256, 3)
        share = np.asarray(grey)[..., None] / 255
        Image.fromarray((back * (1 - share) + ink * share).astype(np.uint8)).save(folder / f"IMG_{i:04}.jpg")
        shown[f"IMG_{i:04}.jpg"] = NAMES[source.labels[i]]
    return shown


def answer(notebook, name):
    """Name what is framed, as a person does: by the digit of its class, or typed where it has none yet."""
    chips = notebook.card.locator(".dhaps-class").evaluate_all(
        "chips => chips.map(one => [one.firstChild.textContent, one.querySelector('kbd')?.textContent])"
    )
    keyboard = notebook.page.keyboard
    if name in dict(chips):
        return notebook.press(dict(chips)[name])

    def typed():
        keyboard.press("f")
        keyboard.type(name)
        if chips:
            keyboard.press("ArrowDown")  # past the classes that are left: a new one is asked for
        keyboard.press("Enter")

    return notebook.step(typed)


def height(page):
    return page.locator(".dhaps-cockpit").bounding_box()["height"]


def test_a_flat_folder_sixty_answers_and_three_rounds_by_key(lab, page):
    shown = photographs(lab.project / "photographs")
    lab.set_parameters(PHOTOS, smoke=True, images="../photographs")
    notebook = Notebook(lab, page, PHOTOS)
    cells = notebook.cells()
    notebook.run_all()
    notebook.card.locator(".dhaps-pair").wait_for()
    assert page.locator(".dhaps-cockpit").evaluate("box => box.getBoundingClientRect().top < innerHeight / 2")
    notebook.card.locator(".dhaps-ask").click()  # the first and last click
    high = height(page)
    for number in (1, 2, 3):
        while not notebook.card.locator(".dhaps-closed").count():
            answer(notebook, shown[notebook.card.locator(".dhaps-framed .dhaps-key").text_content()])
            assert page.evaluate(FOCUSED)
        assert height(page) == high
        page.wait_for_timeout(220)
        page.keyboard.press("r")
        notebook.card.get_by_text(f"Round {number + 1}", exact=True).wait_for()
        notebook.card.locator(".dhaps-pair").wait_for()
        assert page.evaluate(FOCUSED)
        assert height(page) == high
    with LabelStore(run_folder(lab, "your_own_images/runs").parent / "labels.sqlite") as store:
        answers = store.answers()
    assert len(answers) >= 60
    assert all(one.value == (shown[one.keys[0]],) and one.seconds > 0 for one in answers)
    assert {one.kind for one in answers} == {"class"}
    page.locator(".dhaps-at-told").get_by_text("The model foretold").wait_for()
    page.locator(".dhaps-near-one img").nth(15).wait_for()
    assert notebook.card.locator(".dhaps-pace").text_content().endswith("left")
    assert notebook.card.locator(".dhaps-likely").count() > 1
    assert notebook.cells() == cells
    check_quiet(notebook)


def opened(lab, page, **parameters):
    lab.set_parameters(ROUNDS, smoke=True, **parameters)
    notebook = Notebook(lab, page, ROUNDS)
    notebook.run_all()
    notebook.card.locator(".dhaps-pair").wait_for()
    notebook.card.focus()
    return notebook


def key_event(page, key, code, **more):
    """A key as a keyboard of another layout sends it; Playwright has the English one only."""
    page.evaluate(
        """([key, code, more]) => document.activeElement.dispatchEvent(
            new KeyboardEvent('keydown', { key, code, bubbles: true, cancelable: true, ...more }))""",
        [key, code, more],
    )


def test_a_round_is_answered_on_while_it_is_trained(lab, page):
    notebook = opened(lab, page, picks=3)
    for _ in range(6):
        notebook.press("3")
    notebook.card.get_by_text("Every question of round 1").wait_for()
    page.wait_for_timeout(220)
    notebook.step(lambda: page.keyboard.press("r"))
    notebook.card.locator(".dhaps-pair").wait_for()  # at once: chosen ahead, or of the next round
    with LabelStore(run_folder(lab).parent / "labels.sqlite") as store:
        presses = 0
        while len(store.answers()) < 9:
            notebook.press("5")
            presses += 1
    # Who has not answered yet gets the questions of the new round at once: a press that meets that moment is
    # of the question before, and counts for nothing.
    assert presses <= 4
    notebook.card.get_by_text("Round 2", exact=True).wait_for()
    page.keyboard.press("a")
    notebook.card.locator(".dhaps-go-on input:checked").wait_for()
    while notebook.card.get_by_text("Round 2", exact=True).count():
        notebook.press("1")
    notebook.card.get_by_text("Round 3", exact=True).wait_for()  # by itself
    notebook.run_all()
    page.wait_for_function("document.querySelectorAll('.dhaps-go-on input:checked').length > 0")
    check_quiet(notebook)


def test_keys_of_any_layout_and_no_slip_deletes_the_cell(lab, page):
    notebook = opened(lab, page, question="pairs", picks=30)
    cells = notebook.cells()
    folder = run_folder(lab)

    def values():
        with LabelStore(folder.parent / "labels.sqlite") as store:
            return [one.value for one in store.answers()]

    presses = [
        ("ы", "KeyS", "same"),
        ("D", "KeyD", "different"),
        ("s", "KeyO", "same"),
        ("ц", "KeyW", "unsure"),
    ]
    for i, (key, code, value) in enumerate(presses):  # Russian, capitals, Dvorak, Russian
        notebook.step(lambda key=key, code=code: key_event(page, key, code))
        assert values()[i:] == [value]
    # Undo is where Z is printed (QWERTZ), not where it lies on an English keyboard.
    notebook.step(lambda: key_event(page, "z", "KeyY"))
    assert len(values()) == 3
    # A slip beside the card: the cell has the focus, and its shortcuts do not reach it.
    page.evaluate(
        """() => {
          const notebook = jupyterapp.shell.currentWidget.content;
          notebook.mode = 'command';
          const holds = cell => cell.node.querySelector(".dhaps-cockpit");
          notebook.activeCellIndex = notebook.widgets.findIndex(holds);
          notebook.activeCell.node.focus();
        }"""
    )
    assert not page.evaluate(FOCUSED)
    for key in ("d", "d", "x", "Delete"):
        page.keyboard.press(key)
    page.locator(".dhaps-notice").wait_for()
    assert notebook.cells() == cells
    # In another cell they do what they always do.
    page.locator(".jp-Cell").first.click()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.wait_for_function(
        "n => jupyterapp.shell.currentWidget.content.model.cells.length === n", arg=cells - 1
    )
    check_quiet(notebook)


def test_the_class_search_has_arrow_keys_and_a_marked_default(lab, page):
    notebook = opened(lab, page, picks=20)
    search = notebook.card.locator(".dhaps-search")
    marked = notebook.card.locator(".dhaps-marked")

    def said():
        with LabelStore(run_folder(lab).parent / "labels.sqlite") as store:
            return [one.value[0] for one in store.answers()]

    def type_in(text):
        page.wait_for_timeout(220)
        notebook.card.focus()
        page.keyboard.press("f")
        page.keyboard.type(text)

    def turn_by(key):
        notebook.step(lambda: page.keyboard.press(key))

    place = search.bounding_box()
    type_in("cattle")
    assert search.bounding_box() == place  # what is said of the name moves nothing
    assert marked.count() == 0  # no class is called so, and none is made unasked
    page.keyboard.press("Enter")
    assert said() == []
    page.keyboard.press("ArrowDown")
    assert marked.text_content() == "new class: cattle"
    turn_by("Enter")
    assert abs(search.bounding_box()["y"] - place["y"]) <= 4  # nor does the first of the last answers
    assert page.evaluate(FOCUSED)
    type_in("ca")
    assert marked.text_content().startswith("cattle")  # the only one that is left
    page.keyboard.press("ArrowDown")
    turn_by("Enter")
    assert said() == ["cattle", "ca"]
    type_in("ca")
    assert marked.text_content().startswith("ca")
    assert not marked.text_content().startswith("cat")  # in full before in part
    page.keyboard.press("Escape")
    assert search.input_value() == ""
    assert notebook.card.locator(".dhaps-class").count() == 12  # not filtered any more
    type_in("c")
    page.keyboard.press("Enter")
    assert len(said()) == 2  # several match: nothing is stored
    # Enter that ends a composition of an input method is the method's.
    key_event(page, "Enter", "Enter", isComposing=True)
    assert len(said()) == 2
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    turn_by("Enter")
    assert len(said()) == 3
    # Of more classes than digits those that a digit names keep it.
    assert sorted(notebook.card.locator(".dhaps-class kbd").all_text_contents()) == list("0123456789")
    check_quiet(notebook)


def test_help_and_zoom_keep_the_keys_and_both_pictures_move(lab, page):
    notebook = opened(lab, page, question="pairs", guideline="The same digit?\nHowever it is written.")
    assert notebook.card.locator(".dhaps-ask").text_content() == "The same digit?"
    assert notebook.card.locator(".dhaps-guide").text_content() == "However it is written."
    page.keyboard.press("?")
    sheet = notebook.card.locator(".dhaps-sheet")
    sheet.get_by_text("run the next round; you can").wait_for()
    page.keyboard.press("s")  # leaves the help, and is no answer
    assert sheet.is_hidden()
    page.keyboard.press("v")
    panes = notebook.card.locator(".dhaps-pane img")
    panes.nth(1).wait_for()
    moved = "() => [...document.querySelectorAll('.dhaps-pane img')].map(one => one.style.transform)"
    whole = page.evaluate(moved)
    page.mouse.move(*(notebook.card.locator(".dhaps-pane").first.bounding_box()[edge] + 40 for edge in "xy"))
    page.mouse.wheel(0, -400)
    page.keyboard.press("ArrowLeft")
    left, right = page.evaluate(moved)
    assert left == right != whole[0]
    page.keyboard.press("d")
    assert panes.count() == 0
    notebook.card.locator(".dhaps-picture").last.click()
    panes.nth(1).wait_for()
    page.keyboard.press("Escape")
    with LabelStore(run_folder(lab).parent / "labels.sqlite") as store:
        assert store.answers() == []
    notebook.press("s")
    check_quiet(notebook)


def test_the_focus_comes_back_after_everything_and_dark_is_dark(lab, page):
    notebook = opened(lab, page, question="pairs", picks=4)
    theme = "name => jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    for name, light in (("JupyterLab Dark", "false"), ("JupyterLab Light", "true")):
        page.evaluate(theme, name)
        page.wait_for_function(f"document.body.dataset.jpThemeLight === '{light}'")
        page.wait_for_function(FOCUSED)
        notebook.press("s")
        paper, ink = page.locator(".dhaps-cockpit").evaluate(
            """box => ['backgroundColor', 'color'].map(
                one => getComputedStyle(box)[one].match(/[0-9.]+/g).slice(0, 3).map(Number))"""
        )
        assert (sum(paper) < sum(ink)) == (light == "false")
    page.locator(".dhaps-at-settings [role=button], .jupyter-widget-Collapse-header").first.click()
    page.locator(".dhaps-at-settings input[type=number]").first.click()
    page.locator(".dhaps-go-on input").click()
    page.wait_for_function(FOCUSED)
    page.locator(".dhaps-run").click()  # it is disabled the next moment
    page.wait_for_function(FOCUSED)
    notebook.card.get_by_text("Round 2", exact=True).wait_for()
    assert page.evaluate(FOCUSED)
    check_quiet(notebook)


@pytest.mark.parametrize(("width", "zoom"), [(600, 1), (1280, 1.5), (1600, 1)])
def test_nothing_is_cut_off_from_600_pixels_on(lab, page, width, zoom):
    page.set_viewport_size({"width": round(width / zoom), "height": round(1000 / zoom)})
    notebook = opened(lab, page, picks=3)
    page.evaluate("jupyterapp.commands.execute('application:toggle-left-area')")
    page.locator('.dhaps-map[data-ready="1"]').wait_for()
    page.wait_for_timeout(300)
    cut = page.evaluate(
        """() => {
          const parts = '.dhaps-cockpit :is(button, canvas, figure, input)';
          const right = one => one.getBoundingClientRect().right;
          const edge = right(document.querySelector('.dhaps-cockpit')) + 1;
          return [...document.querySelectorAll(parts)]
            .filter(one => one.offsetParent && !one.closest('.dhaps-strip') && right(one) > edge)
            .map(one => one.className || one.tagName);
        }"""
    )
    assert cut == []
    assert notebook.card.locator(".dhaps-pair img").first.bounding_box()["height"] >= 90
    card, chart = notebook.card.bounding_box(), page.locator(".dhaps-map").bounding_box()
    assert (card["x"] + card["width"] < chart["x"]) == (
        width == 1600
    )  # beside each other where there is room
    check_quiet(notebook)
