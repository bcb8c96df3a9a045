"""Lessons: what they draw, what a check says, what exercises tell of a slip, and the lecture switch."""

import re
from functools import partial

import ipywidgets
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from dhaps_core.acquisition.closed import Closed
from dhaps_core.acquisition.published import Published
from dhaps_core.acquisition.select import select
from dhaps_core.hamming import hamming_distance
from dhaps_core.pairs import median_bandwidth, pair_distance
from tests import reference
from widgets.lessons import exercises
from widgets.lessons.agreeing import agree
from widgets.lessons.balls_figure import among_themselves, balls_figure
from widgets.lessons.certificate_figure import certificate_figure
from widgets.lessons.choice_figures import picks_figure
from widgets.lessons.closure_figure import answers_given, closure_figure
from widgets.lessons.code_figures import ball_figure, codes_figure
from widgets.lessons.few_answers import answers_figure, learn_from
from widgets.lessons.lecture import lecture_switch
from widgets.lessons.material import few_digits, quantised
from widgets.lessons.pair_figures import kernel_figure, swap_figure
from widgets.lessons.ranking_figures import sorted_average_precision
from widgets.lessons.showing import INK, explore, show


@pytest.fixture(scope="module")
def material():
    return few_digits("359", 4, bits=8, seed=0)


def titles(figure):
    return [axes.get_title() or axes.get_title("left") for axes in figure.axes]


def test_material_is_drawn_by_the_seed_and_its_codes_do_not_depend_on_the_draw(material):
    again, other = (few_digits("359", 4, bits=8, seed=seed) for seed in (0, 1))
    assert material.labels.tolist() == [3] * 4 + [5] * 4 + [9] * 4
    assert np.array_equal(again.pictures, material.pictures)
    assert torch.equal(again.relaxed, material.relaxed)
    assert not np.array_equal(other.pictures, material.pictures)
    assert torch.equal(few_digits("3", 4, bits=8, seed=0).codes, material.codes[:4])


@pytest.mark.parametrize(("classes", "each"), [("33", 2), ("3x", 2), ("", 2), ("3", 0), ("3", 1000)])
def test_material_that_is_not_there_is_refused(classes, each):
    with pytest.raises(ValueError, match=r"classes must be different digits.*got.*Take fewer"):
        few_digits(classes, each, bits=8, seed=0)


def test_a_check_ticks_what_agrees_and_fails_loudly_otherwise(capsys):
    agree("d", 4.0, torch.tensor(4.0))
    agree("codes", [[1, -1]], torch.tensor([[1.0, -1.0]]))
    told = capsys.readouterr().out.splitlines()
    assert told == [
        "✓ d: by hand and by the function 4",
        "✓ codes: 1 x 2 numbers, by hand and by the function the same",
    ]
    with pytest.raises(ValueError, match=r"✗ codes: .* got 1 by hand and -1 by the function at \(0, 1\)"):
        agree("codes", [[1, 1]], torch.tensor([[1.0, -1.0]]))
    with pytest.raises(ValueError, match=r"got \(2,\) by hand and \(\) by the function"):
        agree("d", [1, 1], 1.0)
    with pytest.raises(ValueError, match="nan by the function"):
        agree("d", 1.0, float("nan"))


def test_a_drawing_is_svg_in_the_ink_of_the_page_and_the_same_every_time(material):
    one, two = (show(codes_figure, material).html for _ in range(2))
    assert one == two
    assert one.startswith("<div")
    assert one.rstrip().endswith("</svg>\n</div>")
    assert "currentColor" in one
    assert INK not in one
    assert "<script" not in one
    assert "<?xml" not in one
    assert one.count('<svg style="max-width:max(100%,560px);height:auto" ') == 1
    assert 'aria-label="Each item over its relaxed code' in one
    assert len(repr(show(codes_figure, material))) < 50


def test_sliders_redraw_and_without_a_screen_there_are_stills(material):
    given = {
        "stills": [{"query": 0, "radius": 2}, {"query": 1, "radius": 0}],
        "query": [0, 1],
        "radius": range(9),
    }
    still = explore(ball_figure, material, interactive=False, **given)
    assert still.html.count("<svg") == 2
    captions = re.findall(r"<em>(.*?)</em></p><div", still.html)
    assert captions == ["query 0, radius 2", "query 1, radius 0"]
    box = explore(ball_figure, material, interactive=True, **given)
    query, radius, seen = box.children
    assert (query.value, radius.value) == (0, 2)
    assert isinstance(seen, ipywidgets.HTML)
    assert seen.value == show(ball_figure, material, query=0, radius=2).html
    ways = {"x": [(0, 5), (0, 1)], "t": [(4, 1), (6, 2)]}
    pairs = explore(swap_figure, material, interactive=True, stills=[{"x": (0, 1), "t": (6, 2)}], **ways)
    assert [slider.value for slider in pairs.children[:2]] == [(0, 1), (6, 2)]
    radius.value = 5
    assert seen.value == show(ball_figure, material, query=0, radius=5).html
    with pytest.raises(ValueError, match="stills must give every setting one of its choices"):
        explore(
            ball_figure,
            material,
            interactive=False,
            stills=[{"query": 7, "radius": 0}],
            query=[0],
            radius=[0],
        )


def test_a_ball_counts_items_and_codes(material):
    distances = hamming_distance(material.codes[:1], material.codes)[0][1:]
    inside = int((distances <= 2).sum())
    assert titles(ball_figure(material, query=0, radius=2)) == [
        f"radius 2: {inside} of 11 items, in 37 of 256 codes"
    ]


def test_the_swap_that_wins_is_the_distance(material):
    for t in ((4, 1), (6, 2)):
        told = titles(swap_figure(material, x=(0, 5), t=t))
        wins = [title for title in told if "wins" in title or "both are equal" in title]
        distance = float(pair_distance(material.codes[[0, 5]][None], material.codes[list(t)][None]))
        assert wins
        assert all(f": {distance:.2f}" in title for title in wins)


def test_kernels_tell_which_is_positive_definite(material):
    matched, invariant = titles(kernel_figure(material, [(0, 1), (4, 8)], scale=1.0))
    assert re.search(r"matched.*\n.*all 78 pairs: -0\.\d\d", matched)
    assert "0 or more" in invariant


def test_weights_that_are_moved_move_the_picks(material):
    sigma = median_bandwidth(material.codes, generator=torch.Generator().manual_seed(0))
    seen = {
        titles(picks_figure(material, sigma, 2, uncertainty=u, representativeness=r, diversity=d))[1]
        for u, r, d in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 1.0))
    }
    assert len(seen) == 3


def test_the_certificate_that_is_drawn_ends_at_the_pick_of_the_core():
    material = few_digits("0356", 4, bits=8, seed=0)
    sigma = median_bandwidth(material.codes, generator=torch.Generator().manual_seed(0))
    free = torch.ones(16, dtype=torch.bool).index_fill_(0, (labelled := torch.tensor([0, 9])), False)
    problem = Closed(
        material.relaxed, space=material.codes, bandwidth=sigma, labelled_items=labelled, candidates=free
    )
    total = float(select(problem, picks=1).scores["total"][0])
    certified = 0
    for scored in range(2, 14):
        figure = certificate_figure(material, problem, scored_items=scored)
        count, verdict = titles(figure)
        assert f"{scored * (scored - 1) // 2} of 91 pairs" in count
        labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
        cheapest = next(float(label.split(": ")[1]) for label in labels if label.startswith("cheapest"))
        assert cheapest >= total - 5e-5
        if "certified: no" in verdict:
            certified += 1
            assert cheapest == pytest.approx(total, abs=5e-5)
    assert certified


def test_a_wrong_answer_is_counted_in_all_that_follows_from_it():
    material = few_digits("38", 4, bits=8, seed=0)
    asked = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (0, 4)]
    told = [titles(closure_figure(material, asked, wrong_answer=wrong))[1] for wrong in (0, 2, 7)]
    assert told == [
        "7 answers tell of 28 of 28 pairs, 0 wrong (✗)",
        "7 answers tell of 20 of 28 pairs, 4 wrong (✗)",
        "7 answers tell of 28 of 28 pairs, 16 wrong (✗)",
    ]
    assert [one.value for one in answers_given(material, asked, wrong=7)] == ["same"] * 7


def test_a_sort_gives_what_the_loop_of_published_code_gives(material):
    distances = hamming_distance(material.codes, material.codes).numpy().astype(np.int64)
    answers = material.labels[:, None] == material.labels
    np.fill_diagonal(distances, -1)
    order = np.random.default_rng(0).permutation(len(material))
    found = sorted_average_precision(distances, answers, order)
    for query, value in enumerate(found):
        rest = [i for i in order if i != query]
        ranked = [rest[i] for i in np.argsort(distances[query, rest], kind="stable")]
        hits = [int(answers[query, i]) for i in ranked]
        assert value == pytest.approx(float(reference.average_precision(hits, len(hits), "min")))


def test_more_bits_empty_the_balls():
    digits = few_digits("0123456789", 30, bits=8, seed=0)
    lengths = (4, 48)
    figure = balls_figure(
        {b: among_themselves(quantised(digits.features, b, seed=0).sign(), digits.labels) for b in lengths}
    )
    few, many = figure.axes[1].lines[0].get_ydata()
    assert few < many


def test_what_few_answers_tell_grows_from_nothing(material):
    nothing, some = (learn_from(material, answers, bits=8, seed=0) for answers in (0, 6))
    assert nothing.answered == ()
    assert nothing.probabilities.shape == (12, 0)
    assert len(some.answered) == 6
    assert sorted(material.labels[list(some.answered)].tolist()) == [3, 3, 5, 5, 9, 9]
    assert some.activations.shape == (12, 64 + 3)
    assert isinstance(answers_figure(material, 8, 0, answers=0), Figure)
    with pytest.raises(ValueError, match="answers must be from 0 to the 12 items; got 13"):
        learn_from(material, 13, bits=8, seed=0)


def said(capsys):
    [line] = capsys.readouterr().out.splitlines()
    return line


EXERCISES = {
    "ball": (
        partial(exercises.codes_in_ball, bits=8, radius=3),
        93,
        {56: "exactly", 92: "centre", 5: "Hint"},
    ),
    "chain": (
        partial(exercises.pairs_told, chain=6),
        21,
        {6: "follows", 15: "apart", 16: "every"},
    ),
    "tied": (
        partial(exercises.all_tied, items=10),
        0.2928968,
        {0.1: "worst", 1: "best", 2 / 11: "mean rank"},
    ),
    "cut": (
        exercises.cut_rankings,
        [1 / 3, 1, 5 / 9, 5 / 6],
        {(1, 1, 5 / 9, 5 / 6): "at [+ - -] (min)"},
    ),
}


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_knows_what_is_right_what_is_a_slip_and_what_is_open(name, capsys):
    check, right, slips = EXERCISES[name]
    check(...)
    assert said(capsys) == exercises.OPEN
    check(right)
    assert said(capsys).startswith(exercises.RIGHT)
    for wrong, told in slips.items():
        check(wrong)
        line = said(capsys)
        assert line.startswith(exercises.WRONG)
        assert told in line
    for nonsense in ("a lot", None, [1, 2], [[1]], {}):
        check(nonsense)
        assert "the answer must be" in said(capsys)


def test_the_distance_exercise_tells_slips_apart(material, capsys):
    x, t = (1, 8), (10, 3)
    d = float(pair_distance(material.codes[list(x)][None], material.codes[list(t)][None]))
    for mine, told in ((d, exercises.RIGHT), (d / 2, "twice"), (d + 1, "Hint"), (..., exercises.OPEN)):
        exercises.pair_distance(mine, material=material, x=x, t=t)
        assert told in said(capsys)


def test_the_representative_exercise_takes_every_pair_that_is_as_good(material, capsys):
    problem = Published(material.relaxed, space=material.codes, bandwidth=2.0)
    a, b = problem.means.argsort(descending=True)[:2].tolist()
    least = int(problem.means.argmin())
    cases = {
        (a, b): "✓",
        (b, a): "✓",
        (a, a): "no pair with itself",
        (a, least): "Hint",
        (0, 99): "positions",
        (0.5, 1): "positions",
    }
    for mine, told in cases.items():
        exercises.representative_pair(mine, problem=problem)
        assert told in said(capsys)
    exercises.representative_pair("?", problem=problem)
    assert not re.search(r"\d, \d", said(capsys))  # no example: it might be the solution
    exercises.representative_pair(..., problem=problem)
    assert said(capsys) == exercises.OPEN


def test_the_lecture_switch_is_a_box_and_a_style_sheet_for_its_own_notebook():
    on, off = lecture_switch(True).html, lecture_switch(False).html
    assert " checked>" in on
    assert " checked>" not in off
    rules = re.findall(r"^(\.[^{]+)\{", off, re.MULTILINE)
    assert rules
    selectors = [one.strip() for rule in rules for one in rule.split(",")]
    assert all(one.startswith((".dhaps-lecture", ".jp-Notebook:has(.dhaps-lecture")) for one in selectors)
    assert "<script" not in on
