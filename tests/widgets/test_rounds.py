"""The bench, the stepper, the map, the gallery and the neighbour browser; no kernel, no screen."""

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import WEIGHTS
from dhaps_core.answers.answer import StoreError
from dhaps_core.answers.questions import NoAnswer, answer_source, label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.folder import RunFolder
from dhaps_core.session.settings import Settings
from tests.given import LONGER, training
from tests.widgets.given import press
from widgets.background import Job
from widgets.choices import Choices
from widgets.explore.gallery import Gallery, gallery_html
from widgets.explore.layout import PairLayout
from widgets.explore.neighbours import NeighbourBrowser, nearest
from widgets.explore.pair_map import PairMap
from widgets.explore.places import sample_rows, tsne
from widgets.explore.tiles import tile
from widgets.labeller.labeller import Labeller
from widgets.pictures import Pictures
from widgets.run_names import run_name
from widgets.stepper import Stepper
from widgets.workbench import Workbench

# A method with steps, so that a round can be cancelled and looked on at.
QUICK = replace(LONGER, question="pairs")
ROOT = Path(__file__).parents[2]
ODD = ["<script>alert(1)</script>.png", "a \"b\" 'c' #%20.png", "数字 5.png"]


def run(bench, **more):
    assert bench.run_round(**more)
    bench.job.join(120)
    assert bench.job.error is None


def test_runs_stay_in_their_folder_when_a_cell_changes_directory_and_one_moved_away_is_told(
    tmp_path, items, monkeypatch
):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    bench = Workbench("runs", items, QUICK)
    monkeypatch.chdir(tmp_path / "other")
    card = Stepper(bench)
    assert bench.use(replace(QUICK, bits=24))
    assert len(list((tmp_path / "runs").glob("*/"))) == 2
    assert not list((tmp_path / "other").iterdir())
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    for bits in (24, 16, 32):  # the run in use, an earlier one, a new one
        card.inputs["bits"].value = bits
        card.run.click()
        assert "must stay in place while the run is open" in card.status.value
    assert not (tmp_path / "runs").exists()


# --- the labelling card as a widget


def test_a_press_is_acknowledged_after_the_commit(bench, monkeypatch):
    card = Labeller(bench)
    stored = []
    monkeypatch.setattr(card, "send", lambda *_, **__: stored.append(len(bench.session.store.answers())))
    press(card, "answer", value="same")
    assert stored == [1]
    assert card.counts["answers"] == 1


def test_a_stale_press_is_acknowledged_and_stores_nothing(bench):
    card = Labeller(bench)
    press(card, "answer", value="same")
    card._heard(card, {"do": "answer", "turn": card.view["turn"] - 1, "value": "different"}, [])
    assert len(bench.session.store.answers()) == 1


def test_a_refused_answer_is_told(bench):
    card = Labeller(bench)
    press(card, "answer", value="maybe")
    assert "same" in card.view["note"]
    assert bench.session.store.answers() == []


def test_a_press_undoes_and_brings_back(bench):
    card = Labeller(bench)
    press(card, "answer", value="unsure")
    press(card, "undo")
    assert card.counts["answers"] == 0
    press(card, "redo")
    assert card.counts["answers"] == 1


def test_cards_ask_the_session_alone():
    inside = r"session\.(folder|store|closure)\b|RunFolder|LabelStore|read_json|(picks|metrics|skipped)\.json"
    for path in (ROOT / "widgets").rglob("*.py"):
        assert not re.search(inside, path.read_text(encoding="utf-8")), path.name


def test_pictures_come_by_key_and_missing_ones_are_empty(bench, monkeypatch):
    card = Labeller(bench)
    sent = []
    monkeypatch.setattr(card, "send", lambda content, buffers=None: sent.append((content, buffers)))
    card._heard(card, {"want": ["0", "no such key"], "size": 512}, [])
    content, buffers = sent[0]
    assert content == {"pictures": ["0", "no such key"], "size": 512}
    assert buffers[0].startswith(b"\x89PNG")
    assert buffers[1] == b""


def test_without_widgets_there_is_a_summary_in_plain_html(tmp_path):
    features = np.random.default_rng(0).normal(size=(80, 9))
    items = arrays(features, keys=[*ODD, *map(str, range(77))], queries=0, seed=0)
    bench = Workbench(tmp_path, items, replace(QUICK, question="classes"))
    bench.session.train()
    card = Labeller(bench)
    bench.session.store.add("class", (ODD[0],), "<b>", who="me", seconds=0.0)
    data = card._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "1 answers" in data["text/html"]
    assert "&lt;script&gt;" in data["text/html"]
    assert "<script>" not in data["text/html"]
    assert "make lab" in data["text/html"]
    for other in (Stepper(bench).box, Gallery(bench).box, NeighbourBrowser(bench).box):
        data = other._repr_mimebundle_()
        data = data[0] if isinstance(data, tuple) else data
        assert "make lab" in data["text/html"]


def test_the_card_follows_the_round(bench, items):
    card = Labeller(bench)
    bench.session.answer_all(label_oracle(items))
    seen = []
    bench.listen(lambda change: seen.append((change, card.view["paused"])))
    run(bench)
    assert ("busy", "Round 1 is being trained.") in seen
    assert card.view["round"] == 2
    assert card.view["closed"] is None


# --- the bench and the stepper


def test_live_answers_give_the_log_and_the_picks_of_a_headless_run(tmp_path, items):
    oracle = label_oracle(items)
    headless = Workbench(tmp_path / "a", items, QUICK)
    while headless.session.round < 3:
        headless.session.run_round(oracle.answer, who="me")
    live = Workbench(tmp_path / "b", items, QUICK)
    live.session.train()
    card = Labeller(live)
    while live.session.round < 3:
        press(card, "answer", value="unsure")  # a slip
        press(card, "undo")
        while card.state.question is not None:
            press(card, "answer", value=oracle(card.state.question))
        run(live)
    assert live.session.propose() == headless.session.propose()
    logs = [
        [(a.question, a.keys, a.value, a.who) for a in bench.session.store.answers()]
        for bench in (live, headless)
    ]
    assert logs[0] == logs[1]


def test_answers_of_a_file_give_the_same_run(tmp_path, items):
    first = Workbench(tmp_path / "a", items, QUICK)
    while first.session.round < 3:
        first.session.run_round(label_oracle(items))
    first.session.store.export_csv(tmp_path / "answers.csv")
    second = Workbench(tmp_path / "b", items, QUICK)
    source = answer_source(str(tmp_path / "answers.csv"), items)
    while second.session.round < 3:
        second.session.run_round(source)
    assert second.session.propose() == first.session.propose()


@pytest.mark.parametrize(
    ("name", "got"), [("", "''"), ("no such.csv", "nothing at /.*/no such.csv"), (".", "a folder at /")]
)
def test_no_source_of_answers_is_an_error(name, got, items):
    with pytest.raises(NoAnswer, match=f"needs answers; got {got}"):
        answer_source(name, items)


def test_a_cancelled_round_leaves_everything_as_it_was(bench, items):
    bench.session.answer_all(label_oracle(items))
    ends = []
    bench.follow(lambda: bench.work is not None and bench.job.cancel())
    bench.listen(lambda change: change == "idle" and ends.append(bench.job.running))
    bench.run_round()
    bench.job.join(60)
    assert bench.job.cancelled
    assert ends == [False]
    assert bench.session.round == 1
    assert bench.busy is None


def test_one_work_at_a_time():
    job, gate = Job(), threading.Event()
    assert job.start(lambda _: gate.wait(10))
    assert not job.start(lambda _: None)
    gate.set()
    job.join(10)
    assert not job.running


def test_the_error_of_the_work_is_kept():
    job = Job()
    job.start(lambda _: 1 // 0)
    job.join(10)
    assert isinstance(job.error, ZeroDivisionError)


def test_other_settings_open_another_run_and_earlier_ones_go_back(bench):
    heard = []
    bench.listen(heard.append)
    longer = replace(QUICK, bits=24)
    assert not bench.exists(longer)
    assert bench.use(longer)
    assert bench.session.settings == longer
    assert bench.session.round == 0
    assert bench.use(QUICK)
    assert bench.session.round == 1
    assert heard == ["run", "run"]
    assert run_name(longer) != run_name(QUICK)


def test_a_person_is_not_asked_again_in_another_run(bench, items):
    bench.session.answer_all(label_oracle(items).answer, who="me")
    before = {answer.keys: answer.value for answer in bench.session.store.answers()}
    bench.use(replace(QUICK, picks=6))  # the same codes, so some of the same pairs
    run(bench)
    assert {answer.keys: answer.value for answer in bench.session.answers()} == before
    left = {tuple(sorted(question.keys)) for question in bench.session.questions()}
    assert left
    assert left.isdisjoint(before)
    stranger = Workbench(bench.folder, items, replace(QUICK, picks=5), who="anna")
    run(stranger)
    assert {answer.who for answer in stranger.session.answers()} == {"me"}


def test_choices_round_trip_and_change_what_they_say():
    settings = Settings()
    choices = Choices.of(settings)
    assert choices.apply(settings) is settings
    weighed = replace(choices, diversity=0.0).apply(settings)
    assert weighed.weights == Weights(1.0, 1.0, 0.0)
    assert replace(choices, bits=64).apply(settings) == replace(settings, bits=64)


def test_the_kernel_brings_its_reading_and_covered_what_it_reads():
    settings = Settings()
    matched = replace(Choices.of(settings), kernel="matched").apply(settings)
    assert (matched.kernel, matched.reading, matched.weights) == ("matched", "published", None)
    assert replace(Choices.of(matched), kernel="invariant").apply(matched) == settings
    # What only problems over pairs read goes back to what covered takes, and a person's weights stay.
    odd = replace(matched, beta=2.0, space="codes", bandwidth_scale=0.5)
    back = replace(Choices.of(odd), kernel="invariant", diversity=0.5).apply(odd)
    assert (back.reading, back.beta, back.space, back.bandwidth_scale) == ("covered", 1.0, "embeddings", 0.1)
    assert back.weights == replace(WEIGHTS["published"], diversity=0.5)


def test_the_stepper_runs_rounds_with_the_oracle_and_random_pairs(bench):
    stepper = Stepper(bench)
    assert stepper.run.description == "Run round 1"
    assert "4 questions" in stepper.status.value
    stepper.oracle.value = True
    empty = stepper.curves.value
    stepper.run.click()
    bench.job.join(120)
    assert bench.job.error is None
    assert bench.session.round == 2
    assert stepper.run.description == "Run round 2"
    assert not stepper.run.disabled
    assert stepper.curves.value != empty
    runs = bench.runs()
    assert list(runs) == ["dhaps/run", "random/run"]
    assert [len(rounds) for rounds in runs.values()] == [2, 2]


def test_stepper_and_card_tell_what_the_answers_bring(tmp_path, items):
    bench = Workbench(tmp_path, items, replace(QUICK, method="piq", question="classes", picks=10))
    bench.session.train()
    stepper, card = Stepper(bench), Labeller(bench)
    assert (stepper.outlook.value, card.view["outlook"]) == ("", None)  # nothing is answered yet
    for number in (1, 2):
        run(bench, source=label_oracle(items))
        told = bench.session.outlook(number)
        assert stepper.outlook.value == told.line
        assert card.view["outlook"] == {"short": told.short, "line": told.line}
    assert re.match(r"The model foretold \d+ of the last 20 answers", stepper.outlook.value)
    assert "Estimated from the answers alone" in card.summary()
    again = Workbench(tmp_path, items, bench.session.settings)
    assert Stepper(again).outlook.value == stepper.outlook.value
    assert Labeller(again).view["outlook"] == card.view["outlook"]
    again.use(replace(again.session.settings, bits=24))
    assert again.session.round == 0


def test_the_stepper_says_what_other_settings_will_do(bench):
    stepper = Stepper(bench)
    stepper.inputs["bits"].value = 24
    assert stepper.run.description == "Start a new run"
    assert "stays as it is" in stepper.status.value
    stepper.baseline.value = False
    stepper.run.click()
    bench.job.join(120)
    assert bench.session.settings.bits == 24
    assert bench.session.round == 1
    stepper.inputs["bits"].value = 16
    assert stepper.run.description == "Go back to that run"
    assert len(list(bench.folder.glob("*/"))) == 2


@pytest.mark.parametrize(
    "changes", [{"bits": 20}, {"picks": 20_000}, {"weights": Weights(1.0, 1000.0, 0.005)}, {"bits": 4096}]
)
def test_the_stepper_shows_the_settings_of_any_run(tmp_path, items, changes):
    settings = replace(QUICK, **changes)
    bench = Workbench(tmp_path, items, QUICK)
    opened, gone_to = Stepper(Workbench(tmp_path, items, settings)), Stepper(bench)
    bench.use(settings)
    for stepper in (opened, gone_to):
        assert stepper.choices() == Choices.of(settings)
        assert stepper.run.description == "Run the unsupervised start (round 0)"
    bench.use(QUICK)
    assert gone_to.choices() == Choices.of(QUICK)


def test_the_stepper_starts_a_run_after_rounds_while_every_card_looks_on(bench, items):
    run(bench, source=label_oracle(items))
    cards = Labeller(bench), Gallery(bench), NeighbourBrowser(bench)
    stepper = Stepper(bench)
    stepper.baseline.value = False
    stepper.inputs["bits"].value = 24
    stepper.run.click()
    bench.job.join(120)
    assert bench.job.error is None
    assert (bench.session.settings.bits, bench.session.round) == (24, 1)
    assert stepper.status.value.startswith("4 questions")
    assert {path.name for path in bench.session.folder.path.glob("round-*")} == {"round-000", "round-001"}
    stepper.inputs["bits"].value = 16
    stepper.run.click()  # back to the run of two rounds: it goes on with its third
    bench.job.join(120)
    assert bench.session.round == 3
    assert cards[0].view["round"] == 3


def test_a_card_that_fails_stops_neither_the_round_nor_the_others(bench, caplog):
    heard = []
    bench.listen(lambda _: 1 // 0)
    bench.listen(heard.append)
    run(bench)
    assert heard == ["busy", "round", "idle"]
    assert bench.session.round == 2
    assert "A card could not follow the change 'round'" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_an_error_of_who_waited_for_the_work_is_kept():
    job = Job()
    job.start(lambda _: None, done=lambda: 1 // 0)
    job.join(10)
    assert isinstance(job.error, ZeroDivisionError)
    assert not job.running


def test_a_run_that_cannot_be_opened_is_told_in_the_stepper_and_the_other_stays(bench):
    stepper = Stepper(bench)
    stepper.inputs["bits"].value = 24
    lost = bench.folder / run_name(replace(QUICK, bits=24))
    (lost / "round-000").mkdir(parents=True)
    stepper.run.click()
    assert "RunDamaged" in stepper.status.value
    assert "settings.json must be there beside round-000" in stepper.status.value
    assert bench.session.settings == QUICK
    assert not bench.job.running


def test_a_round_that_another_notebook_trains_is_told_in_card_and_stepper(bench, items, monkeypatch):
    monkeypatch.setattr("dhaps_core.session.folder.PATIENCE", 0.05)
    card, stepper = Labeller(bench), Stepper(bench)
    with training(ActiveSession(bench.session.folder.path, items)):
        stepper.run.click()
        bench.job.join(30)
        assert "RunInUse" in stepper.status.value
        assert "trains round 1 since" in stepper.status.value
        assert not stepper.run.disabled
        press(card, "answer", value="unsure")
        assert card.counts["answers"] == 1
    with RunFolder(bench.session.folder.path).owned("chooses"):
        held = threading.Thread(target=lambda: press(card, "answer", value="unsure"))
        held.start()
        held.join(30)
    assert len(bench.session.store.answers()) == 2
    assert (card.view["kind"], card.view["round"]) == (None, 2)
    assert "one owner at a time" in card.view["closed"]
    press(card, "answer", value="unsure")  # nothing is shown, so nothing is stored; but the card looks again
    assert len(bench.session.store.answers()) == 2
    assert card.view["closed"] is None


def test_the_oracle_of_the_stepper_leaves_what_the_person_has_begun_to_answer(bench):
    card, stepper = Labeller(bench), Stepper(bench)
    card._repr_mimebundle_()
    assert bench.session.reserved is not None
    press(card, "answer", value="unsure")
    stepper.oracle.value = True
    stepper.run.click()
    bench.job.join(60)
    assert "PersonAsked" in stepper.status.value
    assert "3 of round 1 are open" in stepper.status.value
    assert bench.session.round == 1
    press(card, "undo")  # nothing is answered: the switch is the person's own word
    stepper.run.click()
    bench.job.join(60)
    assert bench.session.round == 2
    assert {answer.who for answer in bench.session.store.answers()} == {"oracle"}
    assert bench.session.reserved is not None  # the card shows the next questions


def test_answers_of_runs_of_before_the_store_was_shared_are_brought_over_with_a_word(tmp_path, items):
    old = ActiveSession(tmp_path / run_name(QUICK), items, QUICK)
    old.train()
    old.answer_all(label_oracle(items).answer, who="me")
    bench = Workbench(tmp_path, items, QUICK)
    name = bench.session.name
    assert bench.news == (
        f"4 answers of 1 earlier run were brought over; all 4 answers count; a new run begins: {name}"
    )
    assert name.startswith(f"{run_name(QUICK)}-1797-")
    assert (old.round, len(old.answers())) == (1, 4)  # it stays as it was
    assert [one.who for one in bench.session.answers()] == ["me"] * 4
    assert Workbench(tmp_path, items, QUICK).news == ""


def test_the_oracle_of_the_comparison_keeps_its_answers_to_itself(bench, items):
    bench.session.answer_all(label_oracle(items).answer, who="me")
    assert bench.run_round(baseline=True)
    bench.job.join(120)
    assert bench.job.error is None
    assert {one.who for one in bench.session.store.answers()} == {"me"}
    (alone,) = bench.folder.glob("random-*-oracle")
    assert {one.who for one in ActiveSession(alone, items).answers()} == {"oracle"}
    assert len(bench.runs()) == 2
    bench.use(replace(QUICK, acquisition="random"))  # a person's own run of random pairs is another one
    assert bench.session.folder.path != alone
    assert {one.who for one in bench.session.answers()} == {"me"}


# --- the map, the gallery, the neighbours


def test_a_sample_holds_every_chosen_item():
    chosen = np.array([7, 99_999])
    rows = sample_rows(100_000, chosen, most=100, seed=0)
    assert len(rows) == 100
    assert np.isin(chosen, rows).all()
    assert (np.diff(rows) > 0).all()
    assert (rows == sample_rows(100_000, chosen, most=100, seed=0)).all()
    assert len(sample_rows(10, np.arange(8), most=5, seed=0)) == 8


def test_the_map_is_the_same_for_the_same_codes():
    points = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    one, two = tsne(points, seed=0), tsne(points, seed=0)
    assert (one == two).all()
    assert np.abs(one).max() == 1
    assert tsne(points[:2], seed=0).shape == (2, 2)


def test_the_map_is_computed_once_and_follows_answers(bench, items, monkeypatch):
    monkeypatch.setattr("widgets.explore.layout.tsne", lambda points, **_: points[:, :2].copy())
    chart = PairMap(bench)
    chart.job.join(600)
    assert chart.note == ""
    assert len(chart.points) == 8 * items.n
    assert {pair["known"] for pair in chart.pairs} == {"open"}
    for pair in chart.pairs:
        assert [chart.layout_info["keys"][i] for i in pair["points"]] == pair["keys"]
        assert 0 <= pair["distance"] <= 16
    monkeypatch.setattr(PairLayout, "compute", lambda _: pytest.fail("computed twice"))
    PairMap(bench).job.join(60)
    bench.session.answer_all(label_oracle(items))
    bench.tell("answers")
    assert {pair["known"] for pair in chart.pairs} <= {"same", "different"}


def test_answers_leave_a_map_of_another_run_alone(bench, monkeypatch, caplog):
    monkeypatch.setattr("widgets.explore.layout.tsne", lambda points, **_: points[:, :2].copy())
    chart = PairMap(bench)
    chart.job.join(600)
    before = chart.pairs
    bench.use(replace(QUICK, bits=24))
    assert "needs codes" in chart.note
    bench.tell("answers")
    assert chart.pairs == before
    assert not caplog.text


def test_a_round_draws_each_card_once(bench, monkeypatch):
    drawn = []
    cards = Gallery(bench), NeighbourBrowser(bench)
    for name in ("gallery.gallery_html", "neighbours.neighbours_html"):
        monkeypatch.setattr(f"widgets.explore.{name}", lambda _, *about: drawn.append(about) or "<p></p>")
    bench.tell("round")
    query = cards[1].keys[0]
    assert drawn == [(1,), (query, [0, 0])]
    cards[1].following.click()
    assert drawn[2:] == [(cards[1].keys[1], [0, 0])]


def test_the_gallery_shows_pairs_by_round_as_text_and_pictures(bench, items):
    bench.session.answer_all(label_oracle(items))
    html = gallery_html(bench, 1)
    assert html.count("<img ") == 8
    assert "Round 1: 4 pairs" in html
    assert "No pair" in gallery_html(bench, 9)
    gallery = Gallery(bench)
    assert gallery.number.value == 1


def test_neighbours_are_judged_by_labels(bench, items):
    query = items.keys[items.splits["query"][0]]
    found = nearest(bench.session, query, 0, k=10)
    assert len(found) == 10
    assert [one.distance for one in found] == sorted(one.distance for one in found)
    for one in found:
        same = items.labels[items.keys.index(one.key)] == items.labels[items.keys.index(query)]
        assert one.verdict == ("right" if same else "wrong")
    inside = items.keys[items.splits["database"][0]]
    assert inside not in [one.key for one in nearest(bench.session, inside, 0, k=10)]
    browser = NeighbourBrowser(bench)
    browser.previous.click()
    assert browser.number.value == len(items.splits["query"])


def test_another_query_builds_no_index_anew(bench, monkeypatch):
    browser = NeighbourBrowser(bench)
    before = browser.html.value
    monkeypatch.setattr("dhaps_core.session.run.HammingIndex", lambda *_, **__: pytest.fail("built anew"))
    browser.following.click()
    assert "Nearest after round 0" in browser.html.value != before


def test_names_are_text_in_every_html(tmp_path):
    features = np.random.default_rng(0).normal(size=(80, 9))
    labels = ["<i>"] * 40 + ["&"] * 40
    items = arrays(features, labels, keys=[*ODD, *map(str, range(77))], queries=0, seed=0)
    bench = Workbench(tmp_path, items, replace(QUICK, picks=30))
    bench.session.train()
    text = gallery_html(bench, 1) + NeighbourBrowser(bench).html.value
    assert "<script>" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;" in text


def test_pictures_are_lossless_when_small_and_empty_when_unreadable(tmp_path, items):
    pictures = Pictures(items)
    assert pictures.picture("0", 512).startswith(b"\x89PNG")
    assert 'src="data:image/png;base64,' in tile([("0", pictures.picture("0", 512))], [])
    assert pictures.picture("0", 512) is pictures.picture("0", 512)
    assert pictures.picture("absent", 512) == b""
    for i in range(600):
        pictures.picture(str(i), 64)
    assert len(pictures._kept) == 512


@pytest.mark.parametrize("who", ["oracle", " Oracle", "csv:a.csv", "", " "])
def test_a_person_does_not_bear_the_name_of_a_source(tmp_path, items, who):
    with pytest.raises(ValueError, match="who must be the name of a person"):
        Workbench(tmp_path / "run", items, QUICK, who=who)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("who", ["a\0b", "\udcff", "x" * 200_000])
def test_a_name_under_which_nothing_can_be_stored_is_refused_before_a_run_begins(tmp_path, items, who):
    with pytest.raises(StoreError, match="who must be a name"):
        Workbench(tmp_path / "run", items, QUICK, who=who)
    assert not (tmp_path / "run").exists()
