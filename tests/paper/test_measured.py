"""Runs gathered into rows, the table of them, and the claimed order."""

import json
import math
import re
from dataclasses import replace

import pytest

from dhaps_core.acquisition.problem import Weights
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.json_files import DamagedRunWarning
from dhaps_core.paper.measured import gather, read_table_runs
from dhaps_core.paper.report import check_claims, markdown, order, parts, report, seconds, selection, verdict
from dhaps_core.paper.table import ROWS
from dhaps_core.results.compare import Interval
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings
from tests.given import TINY, tiny_items

BY_NAME = {row.name: row for row in ROWS}


DPSH_ROW = {"seed": 1, "method": "dpsh", "reading": "closed"}


def write_run(
    folder,
    row,
    bits,
    seed,
    value,
    stands_for="CIFAR-10",
    *,
    took=10.0,
    labels=500,
    rounds=5,
    more=None,
    **settings,
):
    """Files of a finished run of notebook 04 that is one of a row, of DH-APS as Table 1 has it."""
    folder.mkdir(parents=True)
    settings = {"preset": "usual", "mmd": float(row.startswith("DH-APS"))} | settings
    if row in BY_NAME:
        method, acquisition, budget = (
            getattr(BY_NAME[row], name) for name in ("method", "acquisition", "budget")
        )
    else:
        method, acquisition, budget = row.split()
    about = {
        "settings": Settings.preset(
            settings.pop("preset"), bits=bits, seed=seed, method=method, **{"reading": "closed"} | settings
        ).to_json(),
        "source": "made",
        "protocol": f"by hand, seed {seed}",
    }
    last = {
        "items_labelled": labels,
        "mAP@all": value,
        "P@r2": value / 2,
        "precision_at": {"1": value, "10": value / 2},
    }
    last |= more or {}
    rows = [
        {"mAP@all": 0.0, "seconds": {"train": 1.0}},
        last | {"seconds": {"train": took - 2, "select": 1.0}},
    ]
    noted = {"acquisition": acquisition, "budget": budget, "stands_for": stands_for, "rounds": rounds}
    (folder / "settings.json").write_text(json.dumps(about))
    (folder / "metrics.json").write_text(json.dumps(about | {"rounds": rows, "table": noted}))


def plain(table):
    """Lines of a table without the white space that aligns its columns."""
    return [re.sub(" +", " ", line) for line in table.splitlines()]


def measured(mean, spread, n):
    return Interval(mean, math.nan, math.nan, n, spread)


def test_the_papers_own_gaps_stand_beside_the_measured_ones(tmp_path):
    for i, row in enumerate(("DH-APS (30%)", "DSH", "DPSH", "SDSH")):
        for bits in (12, 16, 32):
            write_run(tmp_path / f"{row} {bits}", row, bits, 0, 0.5 + i / 10)
    lines = plain(order(gather(read_table_runs(tmp_path)), "CIFAR-10"))
    assert lines[0] == "| claim | 12 bits | 16 bits | 32 bits | 12, paper | 32, paper |"
    assert lines[5] == (
        "| DH-APS (30%) <= DSH, DPSH, SDSH | +10.0 (1 seed) | +10.0 (1 seed) | +10.0 (1 seed) "
        "| **-0.2: does not hold** | +2.6 |"
    )
    # ImageNet-100 has dashes for DPSH and SDSH, so nothing can be said of that claim.
    lines = plain(order(gather(read_table_runs(tmp_path)), "ImageNet-100"))
    assert lines[5].endswith("| +10.0 (1 seed) | - | - |")
    assert lines[6].endswith("| not measured | +2.8 | +2.3 |")


def test_the_customary_cut_off_is_a_column_beside_map_over_the_whole_ranking(tmp_path):
    for seed, (whole, at_1000) in enumerate(((0.2, 0.5), (0.4, 0.7))):
        more = {"mAP@1000 (hits)": at_1000, "mAP@5000 (hits)": 0.1}
        write_run(tmp_path / f"a{seed}", "DPSH", 32, seed, whole, "ImageNet-100", more=more)
    table = plain(markdown(read_table_runs(tmp_path)))
    assert table[0] == "| row | labels | rounds | 32 bits, here | 32, mAP@1000 (hits) | 32, paper |"
    assert "| DPSH | 500 | 5 | 30.0 ± 14.1 (2) | 60.0 ± 14.1 (2) | - |" in table
    assert "| DSH | - | - | not measured | - | 50.7 |" in table
    write_run(tmp_path / "b", "DSH", 32, 0, 0.3, "ImageNet-100")  # of a smaller database
    text = markdown(read_table_runs(tmp_path))
    assert plain(text)[0] == "| row | labels | rounds | 32 bits, here | 32, paper |"
    assert "(hits), customary on ImageNet-100, is in no column: 1 of 3 runs do not have it" in text


def test_what_makes_rows_unlike_the_papers_is_said_below_its_numbers(tmp_path):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.8)
    text = report(read_table_runs(tmp_path))
    assert "that of jiangqy/DPSH-pytorch, whose lists have 5,000 labels" in text
    assert "mAP@" not in text.replace("mAP@all", "")
    write_run(tmp_path / "other" / "a", "DPSH", 32, 0, 0.8, stands_for="")
    assert "unlike budgets" not in report(read_table_runs(tmp_path / "other"))


def test_runs_become_cells(tmp_path):
    for seed, value in enumerate((0.4, 0.5, 0.6)):
        write_run(tmp_path / f"a{seed}", "DPSH", 32, seed, value)
    write_run(tmp_path / "b", "PTS3H", 32, 0, 0.7)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.json").write_text("{}")  # of another notebook
    runs = read_table_runs(tmp_path)
    cells = gather(runs)
    assert cells["DPSH", 32].mean == pytest.approx(0.5)
    assert cells["DPSH", 32].spread == pytest.approx(0.1)
    assert cells["DPSH", 32].n == 3
    assert (cells["PTS3H", 32].mean, cells["PTS3H", 32].n) == (0.7, 1)
    table = plain(markdown(runs))
    assert "| DPSH | 500 | 5 | 50.0 ± 10.0 (3) | 74.4 |" in table
    assert "| SSH | - | - | not measured | 38.1 |" in table
    assert [claim.holds for claim in check_claims(cells, 32)] == [None] * 5


def test_selection_is_compared_seed_by_seed_and_the_order_length_by_length(tmp_path):
    for seed, (ours, theirs) in enumerate(((0.4, 0.3), (0.6, 0.3))):
        write_run(tmp_path / f"a{seed}", "DH-APS (1%)", 32, seed, ours)
        write_run(tmp_path / f"b{seed}", "dpsh random 1%", 32, seed, theirs, mmd=1.0)
    write_run(tmp_path / "f", "dpsh random 1%", 32, 0, 0.1)  # trained without MMD_S
    write_run(tmp_path / "c", "DH-APS (1%)", 32, 2, 0.9)  # no random run of this seed
    write_run(tmp_path / "d", "DH-APS (10%)", 32, 0, 0.5, took=30.0)
    write_run(tmp_path / "e", "DH-APS (10%)", 48, 0, 0.7, took=40.0)
    runs = read_table_runs(tmp_path)
    assert plain(selection(runs))[2:] == ["| DH-APS (1%) | +20.0 (-107.1 to +147.1; 2) | not measured |"]
    claimed = plain(order(gather(runs)))
    assert "| DH-APS (1%) < DH-APS (10%) | **-13.3 (1 seed): does not hold** | not measured |" in claimed
    assert plain(seconds(runs))[2:] == [
        "| DH-APS (1%) | 10 | - |",
        "| DH-APS (10%) | 30 | 40 |",
        "| dpsh random 1% | 10 | - |",
        "| dpsh random 1%, with MMD\\_S | 10 | - |",
    ]
    text = report(runs)
    assert text.startswith("Runs of made, embeddings; by hand; beside CIFAR-10.\n\n## mAP@all")
    assert text.count("\n## ") == 5
    assert all(table in text for table in (markdown(runs), order(gather(runs), "CIFAR-10")))


def test_what_each_part_brings_is_compared_seed_by_seed_where_nothing_else_differs(tmp_path):
    def write(name, row, value, **given):
        for seed in range(2):
            write_run(tmp_path / f"{name}{seed}", row, 32, seed, value + seed / 10, **given)

    write("ours", "DH-APS (1%)", 0.5)
    write("no mmd", "DH-APS (1%)", 0.45, mmd=0.0)
    write("no similarity", "DH-APS (1%)", 0.4, training=replace(TrainingSettings(), similarity=0.0, mmd=1.0))
    write("one shot", "DH-APS (1%)", 0.48, rounds=1)
    write("ablation", "DH-APS (1%)", 0.2, weights=Weights(0.0, 1.0, 1.0))  # which is no part of ours
    write("letter", "DH-APS (1%)", 0.3, preset="paper", reading="published")
    write("learner", "auto dhaps 1%", 0.7, reading="covered", mmd=0.0, rounds=1)
    write("other budget", "DH-APS (10%)", 0.9, mmd=0.0)
    write("random", "dpsh random 1%", 0.1, rounds=1)
    write("random mmd", "dpsh random 1%", 0.4, mmd=1.0, rounds=1)
    assert plain(parts(read_table_runs(tmp_path)))[2:] == [
        "| MMD\\_S in DH-APS (1%) | +5.0 (+5.0 to +5.0; 2) |",
        "| MMD\\_S in dpsh random 1% | +30.0 (+30.0 to +30.0; 2) |",
        "| the similarity term in DH-APS (1%) | +10.0 (+10.0 to +10.0; 2) |",
        "| several rounds in DH-APS (1%) | +2.0 (+2.0 to +2.0; 2) |",
        "| ours in place of DH-APS (literal) (1%) | +20.0 (+20.0 to +20.0; 2) |",
        "| our learner in place of DH-APS (1%) | +20.0 (+20.0 to +20.0; 2) |",
    ]
    assert parts(read_table_runs(tmp_path)[:1]) == "No two runs are here that differ in one part alone."


def test_any_way_to_choose_is_compared_with_random_labels_in_the_order_of_budgets(tmp_path):
    for who, value in (("random", 0.3), ("dhaps", 0.4), ("typiclust", 0.35)):
        for budget in ("10%", "*", "1%"):
            write_run(tmp_path / f"{who} {budget}", f"dpsh {who} {budget}", 32, 0, value)
    assert plain(selection(read_table_runs(tmp_path)))[2:] == [
        "| DH-APS (no MMD\\_S) (1%) | +10.0 (1) |",
        "| dpsh typiclust 1%, 5 rounds | +5.0 (1) |",
        "| DH-APS (no MMD\\_S) (\\*) | +10.0 (1) |",
        "| dpsh typiclust \\*, 5 rounds | +5.0 (1) |",
        "| DH-APS (no MMD\\_S) (10%) | +10.0 (1) |",
        "| dpsh typiclust 10%, 5 rounds | +5.0 (1) |",
    ]


def test_doubled_and_missing_runs_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"must hold at least one finished run; got none\."):
        read_table_runs(tmp_path)
    ActiveSession(tmp_path / "own", tiny_items(), TINY).train()
    with pytest.raises(FileNotFoundError, match="finished run; got none of this kind among 1"):
        read_table_runs(tmp_path)
    for of_none in (gather, markdown, report):
        with pytest.raises(ValueError, match="a table must have at least one run; got none"):
            of_none([])
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4)
    write_run(tmp_path / "b", "DPSH", 32, 0, 0.5)
    with pytest.raises(ValueError, match="one run a seed; got a and b of seed 0"):
        gather(read_table_runs(tmp_path))


def test_rows_from_pixels_stand_beside_the_papers_and_not_among_rows_on_embeddings(tmp_path):
    write_run(tmp_path / "a", "DH-APS (1%)", 32, 0, 0.2, side=32)
    runs = read_table_runs(tmp_path)
    assert "| DH-APS (1%) | 500 | 5 | 20.0 (1) | 32.6 |" in plain(report(runs))
    assert report(runs).startswith("Runs of made, from 32 px; by hand;")
    write_run(tmp_path / "b", "DH-APS (10%)", 32, 0, 0.4)
    with pytest.raises(
        ValueError, match=r"alike in data.*; got made, embeddings; .* \| made, from 32 px; by"
    ):
        gather(read_table_runs(tmp_path))
    write_run(tmp_path / "tuned" / "c", "DH-APS (1%)", 32, 0, 0.2, side=96, network="efficientnet_lite0")
    assert report(read_table_runs(tmp_path / "tuned")).startswith(
        "Runs of made, fine-tuned at 96 px; by hand;"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"protocol": "by foot"}, r"got made, embeddings; by foot; .* \| made, embeddings; by hand"),
        (
            {"settings": Settings(**DPSH_ROW, training=TrainingSettings(least=30, most=60)).to_json()},
            r"least=200.* \| .*least=30",
        ),
    ],
)
def test_rows_of_another_protocol_or_training_are_refused(tmp_path, changed, message):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4)
    write_run(tmp_path / "b", "DPSH", 32, 1, 0.5)
    path = tmp_path / "b" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=message):
        gather(read_table_runs(tmp_path))


def test_lengths_that_the_paper_has_not_stand_in_the_table(tmp_path):
    write_run(tmp_path / "a", "DPSH", 16, 0, 0.4)
    write_run(tmp_path / "b", "DPSH", 32, 0, 0.5)
    lines = plain(report(read_table_runs(tmp_path)))
    assert "| row | labels | rounds | 16 bits, here | 32 bits, here | 32, paper |" in lines
    assert "| DPSH | 500 | 5 | 40.0 (1) | 50.0 (1) | 74.4 |" in lines


def test_data_that_the_paper_has_not_stand_alone(tmp_path):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4, stands_for="")
    text = report(read_table_runs(tmp_path))
    assert "| row | labels | rounds | 32 bits, here |" in plain(text)
    assert text.startswith("Runs of made, embeddings; by hand.\n")


def test_literal_rows_stand_beside_ours_and_the_papers_with_claims_of_their_own(tmp_path):
    rounds = {"preset": "paper", "reading": "published"}
    for budget, labels, literal, shot in (("1%", 500, 0.3, 0.4), ("10%", 5000, 0.2, 0.6)):
        row = f"DH-APS ({budget})"
        write_run(tmp_path / f"a{budget}", row, 32, 0, literal, labels=labels, **rounds)
        write_run(tmp_path / f"b{budget}", row, 32, 0, shot, labels=labels, rounds=1)
    write_run(tmp_path / "c", "DH-APS (1%)", 32, 0, 0.25, **rounds, mmd=0.0)
    runs = read_table_runs(tmp_path)
    table = plain(markdown(runs))
    assert "| DH-APS (1%) | - | - | not measured | 32.6 |" in table
    assert "| DH-APS (literal) (1%) | 500 | 5 | 30.0 (1) | 32.6 |" in table
    assert "| DH-APS (literal) (10%) | 5,000 | 5 | 20.0 (1) | 49.5 |" in table
    assert "| DH-APS (literal, no MMD\\_S) (1%) | 500 | 5 | 25.0 (1) | 32.6 |" in table
    assert "| DH-APS (one shot) (10%) | 5,000 | 1 | 60.0 (1) | 49.5 |" in table
    claimed = plain(order(gather(runs)))
    assert "| DH-APS (1%) < DH-APS (10%) | not measured |" in claimed
    assert "| DH-APS (one shot) (1%) < DH-APS (one shot) (10%) | +20.0 (1 seed) |" in claimed
    lost = "| DH-APS (literal) (1%) < DH-APS (literal) (10%) | **-10.0 (1 seed): does not hold** |"
    assert lost in claimed
    assert len(claimed) == 2 + 5 + 2
    beside = plain(order(gather(runs), "CIFAR-10"))
    shot = "| DH-APS (one shot) (1%) < DH-APS (one shot) (10%) | +20.0 (1 seed) | +16.9 |"
    assert shot in beside
    assert "| DH-APS (1%) < DH-APS (10%) | not measured | +16.9 |" in beside
    assert f"{lost} +16.9 |" in beside


def test_a_run_that_does_not_say_what_it_labelled_is_no_row(tmp_path):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4)
    write_run(tmp_path / "b", "DPSH", 32, 1, 0.4, labels=None)
    with pytest.warns(DamagedRunWarning, match="must have items_labelled of type int; got None"):
        assert len(read_table_runs(tmp_path)) == 1


def test_a_gap_within_the_spread_is_no_verdict():
    worse, better = measured(0.64, 0.01, 3), measured(0.65, 0.02, 3)
    cells = {
        ("PTS3H", 32): worse,
        ("DH-APS+PTS3H", 32): better,
        ("PTS3H", 48): better,
        ("DH-APS+PTS3H", 48): worse,
    }
    cells |= {("PTS3H", 12): measured(0.6, math.nan, 1), ("DH-APS+PTS3H", 12): measured(0.5, math.nan, 1)}
    words = [verdict(check_claims(cells, bits)[-1], cells, bits) for bits in (32, 48, 12)]
    assert words == [
        "+1.0 ± 2.2: within the spread",
        "-1.0 ± 2.2: within the spread",
        "**-10.0 (1 seed): does not hold**",
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: "{",
        lambda content: content | {"table": 3},
        lambda content: content | {"table": {"row": "DPSH"}},
        lambda content: content | {"table": content["table"] | {"acquisition": "dhaps", "budget": "many"}},
        lambda content: content | {"settings": {"bits": "many"}},
        lambda content: content | {"settings": {"nonsense": 1}},
        lambda content: content | {"rounds": 3},
        lambda content: content | {"rounds": [{"mAP@all": 0.5, "seconds": "many"}]},
        lambda content: content | {"source": None},
    ],
)
def test_one_damaged_run_is_named_and_the_others_make_the_table(tmp_path, change):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4)
    write_run(tmp_path / "b", "DPSH", 32, 1, 0.5)
    path = tmp_path / "b" / "metrics.json"
    changed = change(json.loads(path.read_text()))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.warns(DamagedRunWarning, match=r"left out: .*b/metrics\.json must "):
        assert [run.seed for run in read_table_runs(tmp_path)] == [0]


@pytest.mark.parametrize("value", [float("nan"), True, None, "0.5"])
def test_a_run_without_a_number_is_refused_by_name(tmp_path, value):
    write_run(tmp_path / "a", "DPSH", 32, 0, 0.4)
    path = tmp_path / "a" / "metrics.json"
    content = json.loads(path.read_text())
    content["rounds"][-1]["mAP@all"] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"mAP@all must be a finite number; got .* in a\. Move the run away"):
        gather(read_table_runs(tmp_path))
