"""A collection that changes under a bench: nothing is locked, nothing asked twice, one line says what is."""

import shutil
from dataclasses import replace

import pytest

from tests.given import TINY
from tests.session.test_labels import load, pictures, write_image
from widgets.captions import caption
from widgets.cockpit.cockpit import Cockpit
from widgets.explore.gallery import gallery_html
from widgets.explore.neighbours import neighbours_html
from widgets.run_names import run_name
from widgets.workbench import Workbench

__all__ = ["pictures"]  # the fixture


def bench_of(tmp_path, pictures, **more):
    return Workbench(tmp_path / "runs", load(pictures, **more), TINY, who="anna")


def test_files_that_change_begin_a_new_run_with_every_answer(tmp_path, pictures):
    bench = bench_of(tmp_path, pictures)
    assert bench.news == ""
    first = bench.session
    first.train()
    first.name_items(first.items.keys[:6], "thing", who="anna")
    first.train(partial=True)

    write_image(pictures / "cat" / "new.png", 99)
    (pictures / "cat" / "00.png").rename(pictures / "cat" / "renamed.png")
    (pictures / "rat" / "23.png").unlink()
    bench = bench_of(tmp_path, pictures)
    second = bench.session
    assert bench.news == (
        "1 image new, 1 gone, 1 renamed; all 6 answers count; "
        f"a new run begins: {run_name(TINY)}-24-{bench.items.content()[:6]}"
    )
    second.train()
    assert (second.round, second.history[0]["answers"]) == (1, 6)
    asked = {key for question in second.questions() for key in question.keys}
    assert not asked & {key for one in second.answers() for key in one.keys}

    again = bench_of(tmp_path, pictures)
    assert again.news == ""
    assert again.session.folder.path == second.folder.path

    # Everything as it was: the first run goes on, with its rounds.
    (pictures / "cat" / "new.png").unlink()
    (pictures / "cat" / "renamed.png").rename(pictures / "cat" / "00.png")
    write_image(pictures / "rat" / "23.png", 23)
    bench = bench_of(tmp_path, pictures)
    assert bench.news == (
        f"1 image new, 1 gone, 1 renamed; all 6 answers count; the run {first.name} goes on"
    )
    assert bench.session.round == 2


def test_what_does_not_count_is_said(tmp_path, pictures):
    session = bench_of(tmp_path, pictures).session
    session.name_items(session.items.keys[:6], "thing", who="anna")
    (pictures / "cat" / "00.png").unlink()
    write_image(pictures / "cat" / "04.png", 98)
    told = bench_of(tmp_path, pictures).news
    reasons = "1 about files that are gone, 1 about files that others have replaced"
    assert f"1 image gone, 1 replaced; 4 of 6 answers count ({reasons}); a new run begins" in told


def test_a_bench_whose_record_of_the_collection_is_damaged_opens_and_says_so(tmp_path, pictures):
    bench_of(tmp_path, pictures)
    (tmp_path / "runs" / "collection.json").write_text("{")
    assert "collection.json must hold one JSON object" in bench_of(tmp_path, pictures).news
    assert bench_of(tmp_path, pictures).news == ""


def test_captions_do_not_tell_the_class(tmp_path, pictures):
    write_image(pictures / "owl" / "Owl at night.png", 97)
    items = load(pictures)
    assert caption(items, "cat/00.png") == "00.png"
    assert caption(items, "owl/Owl at night.png") == f"image {items.position['owl/Owl at night.png'] + 1}"
    assert caption(replace(items, labels=None, class_names=()), "cat/00.png") == "cat/00.png"


def test_a_name_that_tells_the_class_in_another_spelling_is_a_number(tmp_path, pictures):
    names = "traffic light/traffic_light-1.png", "traffic light/Traffic-Light.png", "ca\xf1a/can\u0303a.png"
    for i, name in enumerate((*names, "c++/see.png", "c++/a c++.png")):
        write_image(pictures / name, 97 + i)
    items = load(pictures)
    assert [caption(items, name) for name in names] == [f"image {items.position[name] + 1}" for name in names]
    assert caption(items, "c++/see.png") == "see.png"
    assert caption(items, "c++/a c++.png").startswith("image")


def test_a_copied_bench_goes_on(tmp_path, pictures):
    session = bench_of(tmp_path, pictures).session
    session.train()
    session.name_items(session.items.keys[:6], "thing", who="anna")
    session.store.close()
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")
    copy = Workbench(tmp_path / "copy", load(pictures), TINY, who="anna")
    assert (copy.session.round, len(copy.session.answers())) == (1, 6)
    assert copy.session.store.path.parent == tmp_path / "copy"


@pytest.mark.parametrize("changes", [{"bits": 16}, {"picks": 1}, {"method": "piq"}, {"question": "pairs"}])
def test_no_choice_of_the_stepper_asks_anything_twice(tmp_path, pictures, changes):
    bench = bench_of(tmp_path, pictures)
    bench.session.train()
    bench.session.name_items(bench.session.items.keys[:6], "thing", who="anna")
    bench.use(replace(TINY, **changes))
    bench.session.train()
    assert bench.session.history[0]["answers"] == 6
    known = set(bench.session.items.keys[:6])
    assert not any(set(question.keys) <= known for question in bench.session.questions())


def test_files_that_are_named_by_their_class_tell_it_nowhere_where_somebody_is_asked(tmp_path, pictures):
    for i in range(6):
        write_image(pictures / "owl" / f"owl{i:02}.png", 200 + i)
    bench = Workbench(tmp_path / "runs", load(pictures), replace(TINY, picks=4), who="anna")
    bench.session.train()
    items, session = bench.items, bench.session
    cockpit = Cockpit(bench)
    cockpit.chart.job.join(600)
    bench.job.join(60)
    cockpit.near.join()
    owls = [key for key in items.keys if key.startswith("owl/")]
    session.name_items(owls[:4], "owl", who="anna")
    bench.tell("answers")
    cockpit.many.gather(owls)
    view = cockpit.card.view
    shown = [
        [item["name"] for item in view["items"]],
        [name for one in view["recent"] for name in one["names"]],
        [one["name"] for row in cockpit.near.rows for one in row["near"]],
        [one["name"] for one in cockpit.many.view["items"]],
        cockpit.chart.layout_info["names"],
    ]
    assert all(shown)
    assert len(cockpit.chart.layout_info["names"]) == len(cockpit.chart.layout_info["keys"])
    assert not [name for names in shown for name in names if any(one in name for one in items.class_names)]
    html = gallery_html(bench, 1) + neighbours_html(bench, owls[-1], [0]) + cockpit.card.summary()
    assert not [key for key in items.keys if key in html or ("owl/owl" in key and key.split("/")[1] in html)]


def test_a_file_beside_the_others_that_names_its_class_is_a_number_and_a_number_is_none(tmp_path, pictures):
    items = load(pictures)
    flat = replace(items, keys=tuple(f"{items.classes_of(i)[0]}{i}.png" for i in range(24)))
    assert caption(flat, flat.keys[5]) == "image 6"
    numbers = replace(flat, class_names=("0", "1", "2", "3"))
    assert caption(numbers, numbers.keys[5]) == numbers.keys[5]


def test_the_cockpit_shows_the_news_until_a_round_is_over(tmp_path, pictures):
    bench_of(tmp_path, pictures)
    (pictures / "cat" / "00.png").rename(pictures / "cat" / "<b>new.png")
    bench = bench_of(tmp_path, pictures)
    cockpit = Cockpit(bench)
    news = cockpit.stepper.news
    assert "1 image renamed" in bench.news
    assert news in cockpit.stepper.told.children
    bench.job.join(60)  # the unsupervised start
    assert news.value == ""
