"""The study of label efficiency, by hand: conditions, cells, ranks, answers to reach a value, its tables."""

import math

import pytest

from dhaps_core.results.compare import Interval
from dhaps_core.results.efficiency import (
    answers_to_reach,
    cells,
    check_strategies,
    conditions,
    curves,
    differences,
    ranks,
    standard_errors,
)
from dhaps_core.results.efficiency_report import (
    cell_table,
    learners,
    mean_table,
    rank_table,
    reach_table,
    report,
    tally_table,
    verdict_table,
)
from dhaps_core.results.runs import Run

BUDGETS = (0, 10, 20, 40)


def run(acquisition, seed, values, *, data="digits", method="auto", database=400, **facts):
    rounds = tuple(
        {"answers": budget, "items_labelled": budget + 1, "mAP@all": value, "database": database}
        for budget, value in zip(BUDGETS, values, strict=False)
    )
    facts = {"acquisition": acquisition, "question": "classes", "method": method, "bits": 32} | facts
    return Run(f"{data}/{method}/{acquisition}/{seed}", seed, facts, rounds, source=data)


# Differences to random by seed: +.1 and +.2 at 10 answers (mean .15, no interval of two seeds is so narrow),
# +.10 and +.10 at 20, -.10 and -.10 at 40.
RUNS = [
    run("random", 0, [0.3, 0.4, 0.5, 0.8]),
    run("random", 1, [0.4, 0.5, 0.6, 0.8]),
    run("dhaps", 0, [0.3, 0.5, 0.6, 0.7]),
    run("dhaps", 1, [0.4, 0.7, 0.7, 0.7]),
    run("coreset", 0, [0.3, 0.4, 0.1, 0.9]),
    run("coreset", 1, [0.4, 0.5, 0.2, 0.9]),
]
STUDY = conditions(RUNS)
[(ONE, STRATEGIES)] = STUDY.items()


def test_a_name_that_is_no_strategy_is_refused_and_one_of_the_runs_or_ours_is_not():
    study = conditions([*RUNS, run("theirs", 0, [0.1, 0.2])])
    check_strategies(study, strategy="theirs", baseline="badge")
    with pytest.raises(
        ValueError, match=r"strategy must be one of .*theirs.*; got 'dhap'. Did you mean dhaps\?"
    ):
        check_strategies(study, strategy="dhap", baseline="random")


def test_runs_are_sorted_into_conditions_and_strategies():
    more = [run("random", 0, [0.1], method="dpsh"), run("random", 0, [0.1], data="scenes", bits=48)]
    found = conditions([*RUNS, *more])
    assert [tuple(one) for one in found] == [
        ("classes", "auto", "digits", 32, 0.0),
        ("classes", "dpsh", "digits", 32, 0.0),
        ("classes", "auto", "scenes", 48, 0.0),
    ]  # fmt: skip
    assert {name: [one.seed for one in group] for name, group in found[ONE].items()} == {
        "random": [0, 1], "dhaps": [0, 1], "coreset": [0, 1],
    }  # fmt: skip
    assert list(learners(found)) == ["auto, classes", "dpsh, classes"]
    assert [one.data for one in learners(found)["auto, classes"]] == ["digits", "scenes"]


def test_wrong_answers_are_a_condition_of_their_own():
    right, wrong = run("dhaps", 0, [0.1], bits=12), run("dhaps", 0, [0.1], bits=12, erring=0.05)
    titles = [one.title for one in conditions([right, wrong])]
    assert titles == ["digits, 12 bits", "digits, 12 bits, 5 % of the answers wrong"]


def test_what_no_run_says_is_named():
    nameless = Run("a", 0, {"acquisition": "dhaps", "method": "auto", "question": "classes"}, (), source="x")
    with pytest.raises(ValueError, match="runs of a study must say their bits; a does not"):
        conditions([nameless])
    study = conditions([run("dhaps", 0, [0.1, 0.2], database=0), run("random", 0, [0.1, 0.2])])
    with pytest.raises(ValueError, match=r"must tell how many items their database has; .* tells 0"):
        cells(study, "mAP@all")


def test_cells_are_paired_differences_at_each_budget_but_the_start():
    found = {(one.strategy, one.difference.budget): one for one in cells(STUDY, "mAP@all")}
    assert list(found) == [(name, n) for name in ("dhaps", "coreset") for n in (10, 20, 40)]
    first = found["dhaps", 10]
    assert (first.condition, first.share) == (ONE, 10 / 400)
    assert first.difference.interval.mean == pytest.approx(0.15)
    assert differences(found.values())["digits, 32 bits"]["dhaps"][10] == first.difference.interval
    half = 12.7062047 * math.sqrt(0.005 / 2)  # t(1) and s^2 = 2 * .05^2
    assert first.difference.interval.low == pytest.approx(0.15 - half)
    assert [one.difference.verdict for one in found.values()] == [
        "no gain at this budget", "a gain", "a loss", "no gain at this budget", "a loss", "a gain",
    ]  # fmt: skip


def test_a_strategy_without_a_seed_of_the_baseline_has_no_cell():
    alone = conditions([run("random", 0, [0.1, 0.2]), run("dhaps", 1, [0.1, 0.2])])
    assert cells(alone, "mAP@all") == []
    assert cells(conditions(RUNS[2:]), "mAP@all") == []


def test_ranks_are_those_of_the_means_and_ties_share_theirs():
    # Means: random .45 .55 .8, dhaps .6 .65 .7, coreset .45 .15 .9
    assert ranks(STRATEGIES, "mAP@all") == {
        "random": [2.5, 2.0, 2.0], "dhaps": [1.0, 1.0, 3.0], "coreset": [2.5, 3.0, 1.0],
    }  # fmt: skip
    # Of the seeds that all have only: seed 0 alone, where dhaps leads at 10 with .5 against .4 and .4.
    some = {**STRATEGIES, "coreset": STRATEGIES["coreset"][:1]}
    assert ranks(some, "mAP@all")["random"] == [2.5, 2.0, 2.0]
    assert ranks({"a": STRATEGIES["dhaps"][:1], "b": STRATEGIES["random"][1:]}, "mAP@all") == {
        "a": [],
        "b": [],
    }


@pytest.mark.parametrize(
    ("means", "target", "answers"),
    [
        ({0: 0.3, 10: 0.5, 20: 0.7}, 0.6, 15.0),
        ({0: 0.3, 10: 0.5, 20: 0.7}, 0.5, 10.0),
        ({0: 0.3, 10: 0.5}, 0.2, 0.0),
        ({10: 0.3, 20: 0.7, 40: 0.5}, 0.6, 17.5),  # it counts when it is first reached
        ({0: 0.3, 10: 0.5}, 0.51, None),
        ({}, 0.5, None),
    ],
)
def test_answers_to_reach_a_value(means, target, answers):
    points = {at: Interval(value, value, value, 1) for at, value in means.items()}
    found = answers_to_reach(points, target)
    assert found == (answers if answers is None else pytest.approx(answers))


def test_a_band_of_standard_errors_is_narrower_than_the_interval():
    points = curves(STRATEGIES, "mAP@all")["random"]
    band = standard_errors(points)
    assert (band[10].low, band[10].high) == pytest.approx((0.4, 0.5))  # s = .05 sqrt 2 over sqrt 2
    assert points[10].low < band[10].low
    [single] = standard_errors({10: Interval(0.5, math.nan, math.nan, 1)}).values()
    assert (single.mean, single.n) == (0.5, 1)
    assert math.isnan(single.low)


def test_tables_of_a_study_by_hand():
    found = cells(STUDY, "mAP@all")
    assert tally_table(found).rows == (  # 5 % of 400 items are 20
        ("dhaps", "3", "1", "1", "2", "1", "0"),
        ("coreset", "3", "1", "1", "2", "0", "1"),
    )
    assert verdict_table(found, "dhaps").rows == (("digits, 32 bits", "20", "40", "10"),)
    assert cell_table(found, "dhaps").rows[1:] == (
        ("digits, 32 bits", "20", "5.0%", "+10.0", "+10.0 to +10.0", "2", "a gain"),
        ("digits, 32 bits", "40", "10.0%", "-10.0", "-10.0 to -10.0", "2", "a loss"),
    )
    table = rank_table(STUDY, "mAP@all")
    assert table.header == ("strategy", "digits, 32 bits", "all 3 cells")
    assert table.rows == (("dhaps", "1.67", "1.67"), ("random", "2.17", "2.17"), ("coreset", "2.17", "2.17"))
    # random ends at .8, which coreset passes at 20 + 20 * .65 / .75 answers
    assert reach_table(STUDY, "mAP@all").rows == (
        ("random", "40 (100%)"), ("dhaps", "more than 40"), ("coreset", "37 (93%)"),
    )  # fmt: skip
    means = mean_table(STRATEGIES, "mAP@all", found)
    assert means.header == ("answers", "0", "10", "20", "40")
    assert means.rows[1] == (
        "dhaps",
        "35.0 ± 5.0 (2)",
        "60.0 ± 10.0 (2)",
        "65.0 ± 5.0 (2) ▲",
        "70.0 ± 0.0 (2) ▼",
    )


def test_ranks_over_all_data_sets_are_those_of_sets_that_have_every_strategy():
    part = [run(name, 0, values, data="scenes") for name, values in
            (("random", [0.3, 0.4]), ("dhaps", [0.3, 0.3]))]  # fmt: skip
    table = rank_table(conditions([*RUNS, *part]), "mAP@all")
    assert table.header == ("strategy", "digits, 32 bits", "scenes, 32 bits", "all 3 cells")
    assert {name: rest for name, *rest in table.rows} == {
        "dhaps": ["1.67", "2.00", "1.67"],
        "random": ["2.17", "1.00", "2.17"],
        "coreset": ["2.17", "-", "2.17"],
    }  # fmt: skip


def test_a_report_has_a_section_for_each_learner():
    other = [run(name, 0, [0.1, 0.2, 0.3], method="dpsh") for name in ("dhaps", "random")]
    text = report(conditions([*RUNS, *other]), "mAP@all")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## auto, classes",
        "## dpsh, classes",
    ]
    assert "65.0 ± 5.0 (2) ▲" in text
    assert "20.0 (1)" in text
