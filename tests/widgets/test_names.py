"""Names stay names on every card and in every figure: HTML is parsed, figures are drawn."""

import re
from contextlib import suppress
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from dhaps_core.data.class_names import class_name, distinct_names
from dhaps_core.data.sources import arrays
from dhaps_core.escaping import one_line
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.keys import item_key
from dhaps_core.results.compare import Interval, paired
from dhaps_core.results.runs import Run
from dhaps_core.session.settings import Settings
from tests.given import NASTY
from widgets.explore.gallery import gallery_html
from widgets.explore.neighbours import NeighbourBrowser
from widgets.explore.pair_map import PairMap
from widgets.explore.tiles import FRAMES, row_of, tile
from widgets.figures import (
    band_curves,
    difference_curves,
    figure1,
    figure_png,
    learning_curves,
    pair_figure,
    plain_label,
    precision_curves,
)
from widgets.labeller.labeller import Labeller
from widgets.stepper import Stepper
from widgets.sweep.panel import SweepPanel
from widgets.workbench import Workbench

ROOT = Path(__file__).parents[2]
TAGS = {"div", "img", "p", "b", "table", "tr", "td", "th", "code", "pre"}
DRAWN = [name for name in NASTY if name.isascii() or not re.search("[\u0590-\uffff]", one_line(name))]
QUICK = Settings(
    method="dpsh",
    reading="closed",
    picks=8,
    bits=8,
    hidden=8,
    training=TrainingSettings(least=2, most=2, batch=16, unlabelled_batch=16),
)


class Page(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


def check(html):
    """The page of an HTML text that holds nothing but what the cards themselves write."""
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag in TAGS
        assert set(attributes) <= {"style", "title", "alt", "src", "class"}
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("class", "mathjax_ignore") == "mathjax_ignore"
        assert not re.search("url|expression|onerror|javascript", attributes.get("style", ""))
    return page


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A run whose keys, classes and person have the names of the list."""
    names, classes = [], ()
    for name in NASTY:
        with suppress(ValueError):  # what the doors refuse is on no card
            item_key(name).encode()
            names.append(name)
        with suppress(ValueError):
            classes = distinct_names([*classes, class_name(name)])
    assert len(classes) > 30
    n = 4 * len(names)
    keys = [*names, *(f"{i} {names[i % len(names)]}" for i in range(n - len(names)))]
    labels = [classes[i % len(classes)] for i in range(n)]
    points = np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32)
    items = arrays(points, labels, keys=keys, queries=0, seed=0)
    bench = Workbench(tmp_path_factory.mktemp("runs"), items, QUICK, who=NASTY[2])
    bench.session.train()
    return bench


@pytest.mark.parametrize("name", NASTY)
def test_a_tile_and_its_title_hold_names_as_text(name):
    html = row_of([tile([(name, b""), (name, b"\x89PNG")], [name], frame=frame) for frame in FRAMES], name)
    page = check(html)
    assert page.text.count(one_line(name)) >= 1 + 2 * len(FRAMES)
    assert page.tags[0] == ("div", {"class": "mathjax_ignore"})
    assert {one_line(name)} == {attributes["alt"] for tag, attributes in page.tags if tag == "img"}


def test_cards_hold_names_as_text(bench, monkeypatch):
    monkeypatch.setattr("widgets.explore.layout.tsne", lambda points, *, seed: points[:, :2].copy())
    card = Labeller(bench)
    for _ in range(6):
        card._heard(card, {"do": "answer", "turn": card.view["turn"], "value": NASTY[0]}, [])
    chart = PairMap(bench)
    chart.job.join(600)
    stepper = Stepper(bench)
    stepper.inputs["bits"].value = 16
    bench.job.error = ValueError(NASTY[2])
    shown = [
        gallery_html(bench, 1),
        NeighbourBrowser(bench).html.value,
        stepper.status.value,
        stepper._outcome(),
    ]
    for widget in (card, chart, stepper.box):
        bundle = widget._repr_mimebundle_()
        shown.append((bundle[0] if isinstance(bundle, tuple) else bundle)["text/html"])
    pages = [check(html) for html in shown]
    assert one_line(NASTY[0]) in pages[4].text
    assert one_line(NASTY[2]) in pages[4].text
    assert NASTY[2] in pages[3].text
    assert all(page.tags[0] == ("div", {"class": "mathjax_ignore"}) for page in pages[4:])


def test_the_log_of_a_sweep_is_text(tmp_path):
    class Told:
        running = False
        grid = type("grid", (), {"cells": range(3)})

        def text(self):
            return "\n".join(NASTY)

        def standing(self):
            return type("now", (), {"done": 1, "failed": 1, "total": 3, "running": False, "line": NASTY[0]})

    page = check(SweepPanel(Told()).log.value)
    assert [tag for tag, _ in page.tags] == ["pre"]


def test_scripts_of_the_cards_write_text_and_no_html():
    for path in (ROOT / "widgets").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\(|new Function"
            r"|createContextualFragment|https?://|import\(",
            text,
        ), path.name


def texts(figure):
    """All texts that the figure shows of names: of ticks there are only numbers."""
    return {text.get_text() for text in figure.findobj(Text) if text.get_text()}


def rows(value):
    row = {"m": value, "precision_at": {"1": value, "2": value}, "by_radius": {"precision": [value] * 3}}
    return [{"items_labelled": 10 * i, **row} for i in range(2)]


@pytest.mark.parametrize("name", DRAWN)
def test_figures_show_names_letter_by_letter_and_do_not_fail(name):
    group = one_line(name.replace("/", " "))
    figures = [
        learning_curves({group: [{**row, name: 0.5} for row in rows(0.5)]}, metrics=[name]),
        precision_curves({group: rows(0.5)}),
        pair_figure(np.eye(2), [{"points": [0, 1], "round": 1}], labels=np.zeros(2, int), class_names=[name]),
        figure1([(name, bits, rows(0.4)[1]) for bits in (8, 16)], bits=8),
        band_curves({name: {1: Interval(0.5, 0.4, 0.6, 2)}}, metric=name, against=name),
    ]
    for figure in figures:
        assert figure_png(figure, dpi=40).startswith(b"\x89PNG")
        assert any(plain_label(name) in text or plain_label(group) in text for text in texts(figure))
    compared = [
        Run("r", s, {"acquisition": a, "method": name}, tuple(rows(0.5)))
        for a in ("dhaps", "random")
        for s in (0, 1)
    ]
    figure_png(difference_curves(paired(compared, "m"), metric=name, against=name, baseline=name), dpi=40)


def test_a_label_is_drawn_as_it_is():
    for name in ("$x$", "a\\$b", "$", "cost in $ and $", "_hidden"):
        drawn = Text(text=plain_label(name))
        assert drawn._preprocess_math(drawn.get_text()) == (name if name[0] != "_" else " _hidden", False)


def test_letters_that_the_font_has_not_are_boxes_with_a_warning():
    figure = pair_figure(np.eye(2), [], labels=np.zeros(2, int), class_names=["数字"])
    with pytest.warns(UserWarning, match="missing from"):
        assert figure_png(figure).startswith(b"\x89PNG")


def test_a_run_of_nasty_names_goes_on_as_pairs(bench):
    other = Workbench(bench.folder, bench.items, replace(QUICK, question="pairs"), who="</td><script>")
    other.session.train()
    card = Labeller(other)
    card._heard(card, {"do": "answer", "turn": card.view["turn"], "value": "same"}, [])
    assert "</td><script>" in check(card.summary()).text
