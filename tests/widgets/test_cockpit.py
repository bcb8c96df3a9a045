"""The cockpit without a screen: rounds by key, questions while one is trained, what is likely and near."""

import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from dhaps_core.answers.questions import label_oracle, round_of
from dhaps_core.data.sources import arrays
from dhaps_core.json_files import DamagedFileError
from tests.given import LONGER
from tests.widgets.given import press
from widgets.bar import Bar
from widgets.cockpit.cockpit import Cockpit
from widgets.explore.pair_map import PairMap
from widgets.figures import learning_curves
from widgets.labeller.labeller import Labeller
from widgets.labeller.pace import pace
from widgets.labeller.state import LabellingState
from widgets.plot import Plot, figure_svg
from widgets.progress import Estimate, Work
from widgets.sentences import tell_in_sentences
from widgets.stepper import Stepper
from widgets.workbench import Workbench

QUICK = replace(LONGER, picks=3)


def answer(card, items, n):
    for _ in range(n):
        key = next(item["key"] for item in card.view["items"] if item["asked"])
        press(card, "answer", value=str(items.labels[items.position[key]]))


@contextmanager
def training(bench):
    """The next round of a bench is in the middle of its training for as long as the block lasts."""
    reached, go_on = threading.Event(), threading.Event()

    def wait():
        if bench.work is not None and bench.work.share and not go_on.is_set():
            reached.set()
            assert go_on.wait(30)

    bench.follow(wait)
    assert bench.run_round()
    assert reached.wait(30)
    yield
    go_on.set()
    bench.job.join(60)
    assert bench.job.error is None


# --- rounds by key


def test_r_runs_the_round_and_with_open_questions_only_when_it_is_pressed_twice(bench, items):
    card = Labeller(bench)
    press(card, "round")
    assert bench.busy is None
    assert "Still 6 questions are open" in card.view["note"]
    press(card, "round")
    bench.job.join(60)
    assert bench.session.round == 2
    assert card.view["note"] == ""  # it was of the round before
    answer(card, items, 1)
    assert card.view["round"] == 2


def test_another_key_between_two_r_asks_again(bench, items):
    card = Labeller(bench)
    press(card, "round")
    answer(card, items, 1)
    press(card, "round")
    assert bench.busy is None
    assert "Still 5 questions" in card.view["note"]


def test_a_round_runs_by_itself_after_the_last_answer_if_the_person_wants_and_that_is_remembered(
    bench, items
):
    card = Labeller(bench)
    assert not card.go_on
    card.go_on = True
    answer(card, items, 5)
    assert bench.busy is None
    answer(card, items, 1)
    bench.job.join(60)
    assert bench.session.round == 2
    assert Labeller(Workbench(bench.folder, items, QUICK)).go_on
    (bench.folder / "cockpit.json").write_text("{")
    with pytest.raises(DamagedFileError, match=r"cockpit\.json.*Delete it"):
        Labeller(bench)


def test_the_cockpit_starts_a_run_and_chooses_ahead_in_the_background(tmp_path, items):
    bench = Workbench(tmp_path, items, QUICK)
    cockpit = Cockpit(bench)
    bench.job.join(60)
    assert bench.job.error is None
    assert bench.session.round == 1
    assert len(bench.session.ahead(1).pairs) == 3
    assert cockpit.card.view["closed"] is None
    assert cockpit.stepper.run.description == "Run round 1"
    again = Workbench(tmp_path, items, QUICK)
    Cockpit(again)
    again.job.join(60)
    assert again.session.round == 1


# --- while a round is trained


def test_labelling_goes_on_while_a_round_is_trained_and_nobody_pulls_the_question_away(bench, items):
    bench.session.choose_ahead()
    card = Labeller(bench)
    answer(card, items, 4)  # two are left open
    with training(bench):
        assert card.view["closed"] is None
        answer(card, items, 4)  # those two, and two that were chosen ahead
        assert bench.session.round == 1
        shown = card.view["items"], card.view["turn"]
    assert bench.session.history[1]["items_labelled"] == 4  # what was answered by the start of the round
    assert bench.session.counts()["items_labelled"] == 8
    assert (card.view["items"], card.view["turn"]) == shown
    assert card.view["round"] == 2
    assert round_of(card.state.question.id) == 1
    answer(card, items, 1)
    assert card.state.question in bench.session.questions()


def test_when_all_that_was_chosen_ahead_is_answered_the_card_says_what_goes_on(bench, items):
    bench.session.choose_ahead()
    card = Labeller(bench)
    answer(card, items, 6)
    with training(bench):
        answer(card, items, 6)
        assert card.view["closed"] == "Round 1 is being trained."
        assert card.view["paused"]
    assert card.view["closed"] is None
    assert card.view["round"] == 2


def test_a_card_made_while_a_round_is_trained_asks_and_hears_that_it_ended(bench, items):
    bench.session.choose_ahead()
    with training(bench):
        card = Labeller(bench)
        assert card.view["closed"] is None
        assert card.work["what"] == "Round 1 is being trained"
    assert (card.view["round"], card.work) == (2, {})


def test_the_next_round_waits_for_what_follows_the_last_and_then_begins(bench, items):
    """The person is not told to come again: random pairs are being trained, and the key is pressed."""
    reached, go_on = threading.Event(), threading.Event()

    def wait():
        if bench.work is not None and bench.work.what.startswith("Random"):
            reached.set()
            assert go_on.wait(30)

    bench.follow(wait)
    bench.session.answer_all(label_oracle(items))
    bench.run_round(baseline=True)
    assert reached.wait(60)
    assert bench.busy is None
    assert bench.run_round()
    assert bench.busy == "Round 2 is being trained."
    assert not bench.run_round()
    go_on.set()
    for _ in range(2):
        bench.job.join(60)
    assert bench.session.round == 3
    assert bench.busy is None


# --- what the card shows


def test_likely_classes_come_first_and_nothing_is_answered_by_them(tmp_path, items):
    bench = Workbench(tmp_path, items, replace(QUICK, method="piq", reading="covered", picks=10))
    bench.session.train()
    bench.session.run_round(label_oracle(items))
    card = Labeller(bench)
    before = bench.session.counts()
    hits = 0
    for _ in range(10):
        classes = card.view["classes"]
        likely = [one["likely"] for one in classes if one["likely"] is not None]
        assert likely == sorted(likely, reverse=True)
        assert sum(likely) == pytest.approx(1, abs=0.01)
        assert all(one["key"] == one["name"] for one in classes)
        key = next(item["key"] for item in card.view["items"] if item["asked"])
        truth = str(items.labels[items.position[key]])
        hits += truth in [one["name"] for one in classes[:3]]
        assert bench.session.counts() == before
        press(card, "skip")
    assert hits >= 5  # of ten classes, by twenty answers, about items that were chosen as undecided


def test_a_guideline_is_the_question_and_kept_with_every_run(tmp_path, items):
    text = "The same species?\nNot the same pose."
    bench = Workbench(tmp_path, items, QUICK, guideline=text)
    bench.session.train()
    view = Labeller(bench).view
    assert (view["ask"], view["guide"]) == ("The same species?", "Not the same pose.")
    assert bench.session.noted("guideline") == {"text": text}
    bench.use(replace(QUICK, bits=24))
    assert bench.session.noted("guideline") == {"text": text}
    again = Workbench(tmp_path, items, QUICK)
    assert again.session.noted("guideline") == {"text": text}
    assert again.session.round == 1
    assert Labeller(again).view["ask"] == ""


def test_pace_is_that_of_the_person_and_needs_three_answers(bench, items):
    clock = iter(np.arange(0, 1000, 2.0))
    state = LabellingState(bench.session, who="anna", clock=lambda: next(clock))
    for _ in range(2):
        state.answer(state.turn, "7")
    assert state.counts()["pace"] is None
    state.answer(state.turn, "7")
    assert state.counts()["pace"] == {"per_minute": 30, "left": "6 s"}
    assert pace(bench.session.answers(), who="bob", left=3) is None
    together = [items.keys[row] for row in bench.session.picker.rows[-40:].tolist()]
    bench.session.name_items(together, "8", who="anna", seconds=4.0)
    assert state.counts()["pace"] == {"per_minute": 30, "left": "6 s"}


def test_captions_leave_out_the_folder_that_names_the_class(tmp_path, items):
    keys = [f"digit {items.labels[i]}/{i}.png" for i in range(items.n)]
    position = {key: i for i, key in enumerate(keys)}
    named = replace(items, keys=tuple(keys))
    assert position[keys[5]] == 5
    bench = Workbench(tmp_path, named, QUICK)
    cockpit = Cockpit(bench)
    bench.job.join(60)
    cockpit.near.join()
    names = [item["name"] for item in cockpit.card.view["items"]]
    names += [one["name"] for row in cockpit.near.rows for one in row["near"]]
    assert len(names) == 18
    assert not [name for name in names if "digit" in name]


def test_neighbours_are_of_the_items_shown_with_what_people_said(tmp_path, items):
    bench = Workbench(tmp_path, items, QUICK)
    cockpit = Cockpit(bench)
    bench.job.join(60)
    answer(cockpit.card, items, 1)
    cockpit.near.join()
    shown = [item["key"] for item in cockpit.card.view["items"]]
    assert [row["key"] for row in cockpit.near.rows] == shown
    codes, database = bench.session.codes(), set(items.splits["database"].tolist())
    for row in cockpit.near.rows:
        own = codes[items.position[row["key"]]]
        distances = sorted(int((codes[i] != own).sum()) for i in database if items.keys[i] != row["key"])
        assert [one["distance"] for one in row["near"]] == distances[:8]
    assert "round 0" in cockpit.near.note


# --- the map, the plots, the bars


def test_the_map_of_the_next_round_is_laid_upon_the_last(tmp_path, items):
    bench = Workbench(tmp_path, items, replace(QUICK, method="piq", reading="covered"))
    places = []
    for _ in range(2):
        bench.session.run_round(label_oracle(items))
        chart = PairMap(bench)
        chart.job.join(120)
        assert chart.note == ""
        places.append(np.frombuffer(chart.points, "<f4").reshape(-1, 2))
    for axis in (0, 1):
        assert np.corrcoef(places[0][:, axis], places[1][:, axis])[0, 1] > 0.9


def test_a_plot_has_the_ink_of_the_page_and_a_picture_beside_it():
    rows = [{"items_labelled": 10 * i, "m": 0.7425 + 0.0035 * i} for i in range(2)]
    figure = learning_curves({"dhaps/run": rows, "<b>/run": rows}, metrics=["m"])
    low, high = figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.1)  # what hardly changes is no cliff
    text = figure_svg(figure)
    assert "currentColor" in text
    for wrong in ("#000000", "<style", "<b>", "<!--", "<metadata", "#ffffff"):
        assert wrong not in text
    shown = Plot(figure)._repr_mimebundle_()
    assert set(shown) == {"text/html", "image/png"}
    assert shown["text/html"].startswith('<div style="overflow-x:auto"><div style="min-width:311px"><svg ')


def test_how_long_it_takes_is_told_by_steps_or_by_the_last_time():
    now = [0.0]
    estimate = Estimate(10.0, clock=lambda: now[0])
    now[0] = 4.0
    assert estimate.at("round 1") == Work("round 1", 0.4, 6.0)
    now[0] = 12.0
    assert estimate.at("round 1") == Work("round 1", 1.0, 0.0)
    now[0] = 5.0
    assert estimate.at("training", 1, 4) == Work("training", 0.25, 15.0)
    assert Estimate(None).at("training", 1, 1) == Work("training")
    bar = Bar("images")
    bar(50, 100, 5.0)
    bar(100, 100, 0.0)
    assert bar.text.value == "100 of 100 images"
    [name] = [one for one in bar.box._dom_classes if one != "dhaps-card"]
    sheets = (Path(__file__).parents[2] / "widgets").rglob("*.css")
    assert not [path for path in sheets if re.search(rf"\.{name}\b", path.read_text())]  # of another part


def test_with_other_settings_the_old_question_is_gone_at_once(bench):
    card = Labeller(bench)
    assert card.view["why"]["bits"] == 16
    bench.use(replace(QUICK, bits=24))
    assert (card.view["items"], card.view["why"], card.view["kind"]) == ([], None, None)
    assert "R runs the unsupervised start" in card.view["closed"]
    press(card, "round")
    bench.job.join(60)
    assert card.view["why"]["bits"] == 24


def test_where_nothing_is_measured_there_are_no_curves_and_of_one_point_none(tmp_path, items):
    bench = Workbench(tmp_path / "measured", items, QUICK)
    bench.session.train()
    assert "Curves begin with round 1" in Stepper(bench).curves.value
    bench.session.run_round(label_oracle(items))
    stepper = Stepper(bench)
    assert stepper.curves.value.count("<svg") == 3
    bench.use(replace(QUICK, bits=24))
    assert stepper.curves.value == ""
    plain = arrays(items.features, queries=0, seed=0)
    bench = Workbench(tmp_path / "plain", plain, replace(QUICK, picks=2))
    bench.session.train()
    assert Stepper(bench).curves.value == ""


def test_under_other_settings_the_curves_say_whose_they_are(bench):
    stepper = Stepper(bench)
    own = bench.session.name
    assert stepper.whose.value == ""
    stepper.inputs["bits"].value = 24
    assert own in stepper.whose.value
    assert bench.name_of(replace(QUICK, bits=24)) in stepper.status.value
    bench.use(replace(QUICK, bits=24))
    assert (stepper.whose.value, stepper.curves.value, stepper.outlook.value) == ("", "", "")
    stepper.inputs["bits"].value = 16
    assert bench.session.name in stepper.whose.value
    assert own in stepper.status.value


def test_a_refusal_is_a_sentence_and_the_cell_has_failed(capsys):
    shell = InteractiveShell()
    tell_in_sentences(shell)
    rule = "a folder of images must be a folder; got nothing of that name. Check the spelling"
    failed = shell.run_cell(f"raise ValueError({rule!r})")
    assert isinstance(failed.error_in_exec, ValueError)
    assert capsys.readouterr().out.strip() == f"ValueError: {rule}"
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out
