"""Cards over a run that cannot be read or written just now: each says why, and none waits for an answer."""

import resource
from contextlib import contextmanager

import pytest

from tests.given import BRIEF
from widgets.answers.panel import AnswersPanel
from widgets.labeller.labeller import Labeller
from widgets.many.sheet import ManySheet
from widgets.stepper import Stepper

QUICK = BRIEF


@contextmanager
def full_disk():
    """No file grows: what a disk does that is full, by the operating system itself."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def move_away(bench):
    bench.folder.rename(bench.folder.with_name(f"{bench.folder.name} elsewhere"))


def heard(card, message):
    """What a card shows after a message, and what it sends back."""
    sent = []
    card.send = lambda content, *_: sent.append(content)
    card._heard(card, message, [])
    return card.view, sent


@pytest.mark.parametrize("do", ["answer", "skip", "undo", "redo", "round"])
def test_the_card_of_a_run_that_was_moved_away_says_so(bench, do):
    card = Labeller(bench)
    before = card.view
    move_away(bench)
    view, sent = heard(card, {"do": do, "turn": before["turn"], "value": "a"})
    assert "must stay in place" in view["note"]
    assert {**view, "note": ""} == before
    assert sent == [{"ack": True}]


@pytest.mark.parametrize("do", ["filter", "undo", "rename", "take", "write", "retract listed"])
def test_the_panel_of_a_run_that_was_moved_away_says_so(bench, items, do):
    bench.session.name_items([items.keys[bench.session.picker.rows[0]]], "a", who=bench.who)
    panel = AnswersPanel(bench)
    assert panel.state.revise(1, "b")
    move_away(bench)
    message = {"do": do, "name": "who", "value": "me", "old": "b", "new": "c", "path": "labels.csv"}
    view, sent = heard(panel, message)
    assert "must stay in place" in view["note"]
    assert sent == [{"ack": True}]


def test_the_sheet_of_a_run_that_was_moved_away_says_so(bench, items):
    said = []
    sheet = ManySheet(bench, said.append)
    sheet.gather([items.keys[row] for row in bench.session.picker.rows[:3].tolist()])
    move_away(bench)
    view, _ = heard(sheet, {"do": "choose", "lot": sheet.view["lot"], "value": "a"})
    assert "must stay in place" in view["note"]
    assert view["gathered"] == 3


def test_a_skip_that_cannot_be_written_is_none(bench):
    card = Labeller(bench)
    before = card.view
    with full_disk():
        view, sent = heard(card, {"do": "skip", "turn": before["turn"]})
    assert "skipped.json" in view["note"]
    assert {**view, "note": ""} == before
    assert sent == [{"ack": True}]
    view, _ = heard(card, {"do": "skip", "turn": before["turn"]})
    assert view["turn"] == before["turn"] + 1
    heard(card, {"do": "undo", "turn": view["turn"]})
    assert card.view["items"] == before["items"]


def test_where_it_cannot_be_kept_who_was_asked_the_answer_stands_and_it_is_said(bench):
    card = Labeller(bench)
    card.displayed()
    asked = bench.session.folder.file("asked.json", 1)
    asked.unlink()
    asked.symlink_to("nowhere")
    view, sent = heard(card, {"do": "answer", "turn": card.view["turn"], "value": "a"})
    assert "asked.json" in view["note"]
    assert view["recent"][0]["value"] == "a"
    assert sent == [{"ack": True}]


def test_a_run_that_cannot_be_begun_for_want_of_room_is_told_in_the_stepper(bench):
    stepper = Stepper(bench)
    stepper.inputs["bits"].value = 24
    with full_disk():
        stepper.run.click()
    assert "OSError" in stepper.status.value
    assert bench.session.settings == QUICK


def test_a_file_without_a_name_is_refused_in_the_panel(bench):
    view, sent = heard(AnswersPanel(bench), {"do": "write", "path": ""})
    assert view["note"].startswith("'' must be a file that can be written")
    assert sent == [{"ack": True}]
