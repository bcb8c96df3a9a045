"""Figures say what is drawn: curves, bands, looks, labels and the legend below them."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from dhaps_core.paper.table import ROWS
from dhaps_core.results.compare import Interval, curve, named_groups, paired
from dhaps_core.results.runs import Run
from widgets.figures import (
    band_curves,
    difference_curves,
    efficiency_curves,
    efficiency_differences,
    figure1,
    figure_png,
    learning_curves,
    pair_figure,
    precision_curves,
)
from widgets.ranking_figure import ranking_figure


def row(value, items=0):
    return {
        "items_labelled": items,
        "mAP@all": value,
        "precision_at": {"1": value, "10": value / 2},
        "by_radius": {"precision": [value, value / 2, value / 4]},
    }


def run(seed, values, **facts):
    """A run of one round for each value, with 20 items more in each."""
    rounds = tuple(row(value, 20 * i) for i, value in enumerate(values))
    return Run(f"{facts}/{seed}", seed, {"acquisition": "dhaps", "bits": 32, **facts}, rounds)


RUNS = [
    *(run(seed, [0.4, 0.5 + seed / 100]) for seed in range(3)),
    *(run(seed, [0.4, 0.4 + seed / 100], acquisition="random") for seed in range(3)),
]
LAST = [(one.facts["acquisition"], 32, one.rounds[-1]) for one in RUNS]


def drawn(axes):
    """Of each curve its label, its points, and the ends of its band at each of them."""
    bands = [
        {(x, y) for x, y in band.get_paths()[0].vertices.round(6).tolist()} if band.get_paths() else set()
        for band in axes.collections
    ]
    return [
        (line.get_label(), line.get_xydata().round(6).tolist(), band)
        for line, band in zip(axes.lines, bands, strict=True)
    ]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_learning_curves_are_means_of_the_rounds_that_all_runs_have_and_bands_are_ranges():
    runs = {"a/0": [row(0.1), row(0.3, 20), row(0.9, 40)], "a/1": [row(0.3), row(0.5, 20)], "b": [row(0.2)]}
    [axes] = learning_curves(runs, metrics=["mAP@all"]).axes
    (name, points, band), (other, one, _) = drawn(axes)
    assert (name, points) == ("a (2 seeds)", [[0, 0.2], [20, 0.4]])
    assert band == {(0, 0.1), (0, 0.3), (20, 0.3), (20, 0.5)}
    assert (other, one) == ("b", [[0, 0.2]])


def test_of_several_rounds_with_one_budget_the_last_counts_and_a_metric_may_be_missing():
    runs = {"a": [row(0.1), row(0.2, 20), row(0.3, 20)], "b": [{"items_labelled": 0}]}
    left, right = learning_curves(runs, metrics=["mAP@all", "P@100"]).axes
    assert [(name, points) for name, points, _ in drawn(left)] == [("a", [[0, 0.1], [20, 0.3]])]
    assert not right.lines


def test_precision_at_k_is_that_of_the_last_round_that_all_runs_have():
    figure = precision_curves({"a/0": [row(0.2), row(0.9)], "a/1": [row(0.4)], "b/0": [{}, {}]})
    [axes] = figure.axes
    assert [(name, points) for name, points, _ in drawn(axes)] == [("a (2 seeds)", [[1, 0.3], [10, 0.15]])]
    assert axes.get_ylabel() == "precision at k after round 0"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10"]


def test_bands_and_bars_are_the_intervals_given():
    groups = named_groups(RUNS)
    curves = {name: curve(group, "mAP@all") for name, group in groups.items()}
    figure = band_curves(curves, metric="mAP@all", against="items_labelled")
    [axes] = figure.axes
    found = drawn(axes)
    assert [name for name, *_ in found] == ["dhaps (3 seeds)", "random (3 seeds)"] == legend(figure)
    last = curves["dhaps"][20]
    assert {(20, round(last.low, 6)), (20, round(last.high, 6))} <= found[0][2]
    assert axes.get_xlabel() == "items labelled"
    [axes] = difference_curves(paired(RUNS, "mAP@all"), metric="mAP@all", against="items_labelled").axes
    assert axes.get_ylabel() == "mAP@all minus random"
    [errors] = axes.containers
    assert errors.lines[0].get_ydata() == pytest.approx([0, 0.1])


def test_a_single_seed_has_neither_band_nor_bar(recwarn):
    single = {"a": {0: Interval(0.4, math.nan, math.nan, 1), 20: Interval(0.5, math.nan, math.nan, 1)}}
    figure = band_curves(single | {"none": {}}, metric="m", against="answers")
    figure_png(figure)
    assert legend(figure) == ["a"]
    assert drawn(figure.axes[0])[0][1:] == ([[0, 0.4], [20, 0.5]], set())
    few = [one for one in RUNS if one.seed == 0]
    figure_png(difference_curves(paired(few, "mAP@all"), metric="m", against="answers"))
    assert not recwarn.list


def test_figure_1_shows_balls_by_length_and_precision_at_k_of_one_length():
    runs = [("a", 12, row(0.4)), ("a", 32, row(0.8)), ("a", 32, row(0.4)), ("b", 12, row(0.2))]
    figure = figure1(runs, radii=(1, 2), bits=32)
    one, two, top = figure.axes
    assert drawn(one)[0][:2] == ("a (1 to 2 seeds)", [[12, 0.2], [32, 0.3]])
    assert drawn(one)[0][2] >= {(12, 0.2), (32, 0.2), (32, 0.4)}
    assert drawn(two)[1][:2] == ("b", [[12, 0.05]])
    assert [points for _, points, _ in drawn(top)] == [[[1, 0.6], [10, 0.3]]]
    assert [text.get_text() for text in one.get_xticklabels()] == ["12", "32"]
    assert legend(figure) == ["a (1 to 2 seeds)", "b"]


def test_a_ball_is_labelled_by_its_radius_and_by_the_distance_that_the_paper_names():
    one, two = figure1([("a", 12, row(0.4))]).axes
    assert one.get_ylabel() == "precision within radius 1 (distance < 2)"
    assert two.get_ylabel() == "precision within radius 2 (distance < 3)"


def test_figure_1_has_intervals_where_a_level_is_given():
    [axes] = figure1(LAST, radii=(1,), level=0.95).axes
    halves = [run(seed, [0.25 + seed / 200]) for seed in range(3)]  # of 0.5, 0.51, 0.52
    found = curve(halves, "mAP@all")[0]
    assert drawn(axes)[0][2] >= {(32, round(found.low, 6)), (32, round(found.high, 6))}


def test_figure_1_of_codes_of_one_bit_has_no_precision_within_distance_2():
    short = {**row(0.3), "by_radius": {"precision": [0.3, 0.1]}}
    within_1, within_2, right = figure1([("DPSH", 12, row(0.4)), ("DPSH", 1, short)], bits=1).axes
    assert within_1.lines[0].get_xdata().tolist() == [1, 12]
    assert within_2.lines[0].get_xdata().tolist() == [12]
    assert len(right.lines) == 1


def test_figure_1_draws_the_rows_asked_for_and_refuses_rows_and_lengths_that_are_not_there():
    runs = [("DSH", 32, row(0.3)), ("DPSH", 32, row(0.4)), ("of nobody", 16, {})]
    unmeasured = ["SSH", "DH-APS (literal) (10%)"]
    assert [len(axes.lines) for axes in figure1(runs, names=["DPSH", *unmeasured], bits=32).axes] == [1, 1, 1]
    assert legend(figure1(runs, names=["DPSH", "DSH"])) == ["DPSH", "DSH"]
    with pytest.raises(ValueError, match=r"rows must be among DH, .*; got 'DHAPS 1%'\. Write"):
        figure1(runs, names=["DPSH", "DHAPS 1%"])
    with pytest.raises(ValueError, match=r"got none at 16 bits\. There are: DPSH at 32 bits, DSH"):
        figure1(runs, bits=16)
    with pytest.raises(ValueError, match="must be those of some runs"):
        figure1([])


def test_figure_1_tells_all_rows_apart():
    figure = figure1([(row_.name, 32, row(0.4)) for row_ in ROWS] + LAST, bits=32)
    for axes in figure.axes:
        looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
        assert len(looks) == len(ROWS) + 2


def test_names_alike_in_their_first_letters_have_each_their_place_in_the_legend():
    figure = figure1([("x" * 100 + end, 32, row(0.4)) for end in "ab"])
    assert len(legend(figure)) == 2


@pytest.mark.parametrize("names", [["a"], ["short", "W" * 100], [f"class {i}" for i in range(100)]])
def test_the_legend_lies_within_the_figure_and_covers_no_axes(names):
    places = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    pairs = [{"points": [0, 1], "round": 1}, {"points": [2, 3], "round": 2}]
    mapped = pair_figure(places, pairs, labels=np.arange(100) % len(names), class_names=names)
    for figure in (mapped, figure1([(name, 32, row(0.4)) for name in names], radii=(1, 2))):
        assert isinstance(figure, Figure)
        figure_png(figure)
        box, whole = figure.legends[0].get_window_extent(), figure.bbox
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        for axes in figure.axes:
            assert axes.get_tightbbox().y0 >= box.y1


def test_later_pairs_have_more_of_the_ink_of_the_theme():
    pairs = [{"points": [0, 1], "round": number} for number in (1, 2)]
    [axes] = pair_figure(np.eye(2), pairs, labels=np.zeros(2, int), class_names=["a"]).axes
    assert [(line.get_color(), line.get_alpha()) for line in axes.lines] == [("black", 0.625), ("black", 1.0)]


STUDIED = {
    "digits": {"dhaps": {0: Interval(0.3, 0.2, 0.4, 2), 10: Interval(0.5, 0.4, 0.6, 2)}},
    "scenes": {"random": {0: Interval(0.3, 0.2, 0.4, 2), 20: Interval(0.4, 0.3, 0.5, 2)}},
    "third": {"random": {0: Interval(0.3, 0.2, 0.4, 2)}},
    "fourth": {},
}


def test_a_study_has_a_panel_for_each_data_set_three_across_and_one_legend():
    figure = efficiency_curves(STUDIED, metric="mAP@all", against="answers")
    figure_png(figure)
    assert [axes.get_title() for axes in figure.axes] == list(STUDIED)
    assert [(name, points) for name, points, _ in drawn(figure.axes[0])] == [
        ("dhaps (2 seeds)", [[0, 0.3], [10, 0.5]])
    ]
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["0", "20"]
    assert legend(figure) == ["dhaps (2 seeds)", "random (2 seeds)"]
    first, third, fourth = (figure.axes[i].get_position() for i in (0, 2, 3))
    assert first.y0 == pytest.approx(third.y0, abs=1e-3)
    assert fourth.y1 < first.y0


def test_differences_of_a_study_stand_beside_each_other_on_budgets_that_double():
    points = {name: {10: Interval(0.1, 0.0, 0.2, 2), 20: Interval(0.1, 0.0, 0.2, 2)} for name in ("a", "b")}
    figure = efficiency_differences({"digits": points}, metric="mAP@all", against="answers")
    [axes] = figure.axes
    assert axes.get_ylabel() == "mAP@all minus random"
    left, right = (bar.lines[0].get_xdata() for bar in axes.containers)
    assert (left < right).all()
    assert right / left == pytest.approx([right[0] / left[0]] * 2)


def ranked(value, **more):
    recall = [value / 4, value / 2, 1.0, 1.0]
    by_radius = {"precision": [value, value / 2, 0.2, 0.1], "recall": recall}
    return {"recall_at": {"1": value / 10, "10": value}, "by_radius": by_radius, **more}


def test_rankings_are_drawn_by_cut_off_and_by_radius():
    figure = ranking_figure([("a", ranked(0.4)), ("a", ranked(0.8)), ("b", ranked(0.8)), ("c", {})], bits=3)
    recall, by_radius = figure.axes
    assert drawn(recall)[0][:2] == ("a (2 seeds)", [[1, 0.06], [10, 0.6]])
    # Recall 1 is reached within radius 2; radius 3 only adds what is irrelevant.
    assert drawn(by_radius)[0][1] == [[0.15, 0.6], [0.3, 0.3], [1, 0.2]]
    assert {(0.15, 0.4), (0.15, 0.8)} <= drawn(by_radius)[0][2]
    assert by_radius.get_xlabel() == "recall within radius 0 to 3"
    assert (by_radius.get_xscale(), recall.get_xscale()) == ("linear", "log")
    assert legend(figure) == ["a (2 seeds)", "b"]


def test_precision_at_k_is_drawn_below_its_ceiling_where_rows_have_one():
    run = {"precision_at": {"1": 0.5, "10": 0.2}}
    ceiling = {"precision_ceiling_at": {"1": 1.0, "10": 0.4}}
    figure = precision_curves({"a/1": [run | ceiling], "b/1": [run]})
    [axes] = figure.axes
    assert drawn(axes)[-1][:2] == ("at most", [[1, 1.0], [10, 0.4]])
    assert legend(figure) == ["a", "b", "at most"]
    assert legend(precision_curves({"a/1": [run], "b/1": [run]})) == ["a", "b"]


def test_rankings_of_graded_relevance_have_three_panels_more_and_older_runs_fewer():
    curves = {name: {"1": 0.5, "10": 0.25} for name in ("ndcg_at", "acg_at", "wap_at")}
    figure = ranking_figure([("a", ranked(0.4, **curves))], bits=3)
    figure_png(figure)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert {axes.get_ylim()[0] for axes in figure.axes} == {0}
    assert labels[2:] == [
        "NDCG at k with 3 bits",
        "ACG at k with 3 bits: classes shared",
        "WAP at k with 3 bits (min)",
    ]
    older = ranked(0.4)
    del older["recall_at"]
    [only] = ranking_figure([("a", older)], bits=3).axes
    assert only.get_xlabel() == "recall within radius 0 to 3"
    with pytest.raises(ValueError, match="must have metrics with 3 bits; got none"):
        ranking_figure([("a", {})], bits=3)
