import json
import math
from dataclasses import replace

import pytest

from dhaps_core.json_files import DamagedRunWarning
from dhaps_core.results.compare import (
    Difference,
    Interval,
    curve,
    interval,
    last_by_seed,
    named_groups,
    paired,
)
from dhaps_core.results.runs import Run, find_rounds, read_runs
from dhaps_core.results.tables import Table, curve_table, difference_table, length_table


def run(seed, values, **facts):
    """A run of one round for each value, with 20 items more in each."""
    rounds = tuple(
        {"items_labelled": 20 * i, "mAP@all": value, "by_radius": {"precision": [value, value / 2]}}
        for i, value in enumerate(values)
    )
    return Run(f"{facts}/{seed}", seed, {"acquisition": "dhaps", "bits": 32, **facts}, rounds)


RUNS = [
    *(run(seed, [0.4, 0.5 + seed / 100]) for seed in range(3)),
    *(run(seed, [0.4, 0.4 + seed / 100], acquisition="random") for seed in range(3)),
]


def test_interval_by_hand():
    # 0.1, 0.2, 0.3, 0.4: mean 0.25, s^2 = 0.05/3, half width 3.182446 * sqrt(0.05/3/4)
    found = interval([0.1, 0.2, 0.3, 0.4])
    half = 3.182446305 * math.sqrt(0.05 / 12)
    assert found.mean == pytest.approx(0.25)
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half))
    assert found.n == 4
    narrow = interval([0.1, 0.2, 0.3, 0.4], level=0.5)
    assert found.low < narrow.low < narrow.high < found.high


def test_one_value_has_no_interval():
    found = interval([0.5])
    assert (found.mean, found.n) == (0.5, 1)
    assert math.isnan(found.low)
    assert "nothing can be said" in Difference(20, found).verdict


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf], [[0.1, 0.2]]])
def test_an_interval_has_finite_values(unchecked, values):
    with pytest.raises(ValueError, match="values must be a list of finite numbers, at least one; got"):
        interval(values)


def test_without_runs_there_is_nothing_to_compare():
    assert named_groups([]) == last_by_seed([], "mAP@all") == {}
    with pytest.raises(ValueError, match="a curve must have at least one run; got none"):
        curve([], "mAP@all")
    with pytest.raises(ValueError, match="there must be runs with acquisition = random"):
        paired([], "mAP@all")
    with pytest.raises(ValueError, match="mAP@all must be a finite number; got None"):
        last_by_seed([run(0, [])], "mAP@all")


def test_curves_stand_where_all_seeds_do():
    group = [run(0, [0.1, 0.2, 0.3]), run(1, [0.3, 0.4])]
    assert {budget: round(found.mean, 6) for budget, found in curve(group, "mAP@all").items()} == {
        0: 0.2,
        20: 0.3,
    }


def test_paired_differences_use_the_same_seeds():
    (name,) = paired(RUNS, "mAP@all")
    zero, gain = paired(RUNS, "mAP@all")[name]
    assert name == "dhaps"
    assert (zero.budget, zero.interval.mean, zero.verdict) == (0, 0.0, "no gain at this budget")
    assert gain.interval.mean == pytest.approx(0.1)
    assert gain.interval.high - gain.interval.low < 1e-9  # the seeds' own spread is gone
    assert gain.verdict == "a gain"
    # A seed without its counterpart is left out.
    assert paired([*RUNS, run(9, [0.4, 0.9])], "mAP@all")[name][1].interval.n == 3


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.1, 0.12, 0.11], "a gain"),
        ([-0.1, -0.12, -0.11], "a loss"),
        ([0.1, -0.1, 0.02], "no gain at this budget"),
        ([0.0, 0.0], "no gain at this budget"),
    ],
)
def test_verdicts(values, verdict):
    assert Difference(20, interval(values)).verdict == verdict


def test_only_what_differs_in_the_factor_is_paired():
    longer = [run(seed, [0.4, 0.6], bits=48) for seed in range(3)]
    assert list(paired([*RUNS, *longer], "mAP@all")) == ["dhaps, bits=32"]
    with pytest.raises(ValueError, match="there must be runs with acquisition = random"):
        paired(longer, "mAP@all")


def test_blocks_of_a_grid_do_not_keep_runs_apart():
    runs = [
        run(seed, [0.4, 0.5], acquisition=name, block=f"{name} 1 %")
        for seed in range(2)
        for name in ("dhaps", "random")
    ]
    assert list(paired(runs, "mAP@all")) == ["dhaps"]
    assert list(named_groups(runs)) == ["dhaps, dhaps 1 %", "random, random 1 %"]


def test_length_table_is_table_1s_layout():
    runs = [*RUNS, *(run(seed, [0.4, 0.6 + seed / 50], bits=12) for seed in range(2))]
    table = length_table(runs)
    assert table.header == ("", "labels", "12 bits", "32 bits")
    assert table.rows == (
        ("dhaps", "20", "61.0 ± 1.4 (2)", "51.0 ± 1.0 (3)"),
        ("random", "20", "not measured", "41.0 ± 1.0 (3)"),
    )
    assert r" & 61.0 $\pm$ 1.4 (2) & 51.0 $\pm$ 1.0 (3) \\" in table.latex()


def test_tables_of_curves_and_differences():
    curves = {"a": {20: Interval(0.5, 0.4, 0.6, 3)}, "b": {20: interval([0.5])}}
    assert curve_table(curves).rows == (
        ("a", "20", "0.5000", "0.4000", "0.6000", "3"),
        ("b", "20", "0.5000", "-", "-", "1"),
    )
    assert difference_table(paired(RUNS, "mAP@all")).rows[1][-1] == "a gain"


def test_latex_escapes_what_latex_reads():
    assert r"50 \% \& a\_b" in Table(("x",), (("50 % & a_b",),)).latex()


def test_sessions_and_finished_runs_of_sweeps_are_read(tmp_path):
    def write(folder, **files):
        (tmp_path / folder).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / folder / f"{name}.json").write_text(json.dumps(content))

    rounds = [{"items_labelled": 0, "mAP@all": 0.5}]
    write(
        "quick/seed-3",
        metrics={"rounds": rounds, "source": "digits", "settings": {"seed": 3, "bits": 8}},
        settings={"settings": {"seed": 3, "bits": 8}},
    )
    write(
        "grid/aa",
        metrics={"mAP@all": 0.7},
        run={"state": "finished", "parameters": {"seed": 1, "method": "ssh", "folder": "x"}},
    )
    write("grid/bb", metrics={"rounds": rounds}, settings={"settings": {"seed": 1}})  # interrupted
    for name in ("aa", "bb"):
        (tmp_path / "grid" / name / "starts.log").touch()
    (tmp_path / "grid" / "manifest.json").write_text(json.dumps({"runs": [{"run": "aa", "block": "SSH"}]}))
    write("other", metrics={"unrelated": 1})
    sweep, session = read_runs(tmp_path)
    assert (sweep.name, sweep.seed, sweep.facts) == ("grid/aa", 1, {"block": "SSH", "method": "ssh"})
    assert sweep.rounds == ({"mAP@all": 0.7},)
    assert (session.name, session.seed, session.facts) == ("quick/seed-3", 3, {"source": "digits", "bits": 8})
    with pytest.raises(FileNotFoundError, match="must hold at least one finished run"):
        read_runs(tmp_path / "other")


def write_session(folder, seed=0, *, rounds=None, **settings):
    """Files of a session of one round."""
    folder.mkdir(parents=True)
    rounds = [{"items_labelled": 0, "mAP@all": 0.5}] if rounds is None else rounds
    about = {"settings": {"seed": seed, **settings}, "source": "made", "protocol": f"by hand, seed {seed}"}
    about |= {"fingerprint": "ab"}
    (folder / "metrics.json").write_text(json.dumps({**about, "rounds": rounds}))
    (folder / "settings.json").write_text(json.dumps(about))
    return folder


DAMAGES = {
    "empty": b"",
    "cut": b'{"rounds": [',
    "garbage": b"\xff\0",
    "a list": b"[]",
    "no rounds": b'{"rounds": 5}',
    "no settings": b'{"rounds": [{}]}',
    "rounds of numbers": b'{"rounds": [5]}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_one_damaged_run_is_named_and_the_others_are_compared(tmp_path, how):
    for seed in range(2):
        write_session(tmp_path / f"seed-{seed}", seed)
    damaged = write_session(tmp_path / "z", 2)
    (damaged / "metrics.json").write_bytes(DAMAGES[how])
    with pytest.warns(DamagedRunWarning, match=r"left out: .*z/metrics\.json must .*Put") as said:
        runs = read_runs(tmp_path)
    assert [run.name for run in runs] == ["seed-0", "seed-1"]
    assert len(said) == 1
    assert list(named_groups(runs)) == ["runs"]  # the seed in the protocol's words keeps no run apart
    with pytest.warns(DamagedRunWarning, match="left out: "):
        assert list(find_rounds(tmp_path)) == ["seed-0", "seed-1"]


def test_files_of_a_run_that_are_gone_are_missed(tmp_path):
    write_session(tmp_path / "a")
    lost = write_session(tmp_path / "b", 1)
    (lost / "round-000").mkdir()
    (lost / "metrics.json").rename(lost / "round-000" / "metrics.json")
    (write_session(tmp_path / "c", 2) / "metrics.json").write_text('{"rounds": [{}]}')
    linked = write_session(tmp_path / "d", 3)
    (linked / "metrics.json").unlink()
    (linked / "metrics.json").symlink_to("nowhere")
    new = tmp_path / "e"
    new.mkdir()
    (new / "settings.json").write_text("{}")  # no round yet: no run yet
    with pytest.warns(DamagedRunWarning) as said:
        assert [run.name for run in read_runs(tmp_path)] == ["a"]
    assert [str(one.message).split(" must")[0] for one in said] == [
        f"left out: {tmp_path}/b/metrics.json",
        f"left out: {tmp_path}/c/metrics.json",
        f"left out: {tmp_path}/d/metrics.json",
    ]


def test_a_link_in_a_circle_ends(tmp_path):
    write_session(tmp_path / "a")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    assert [run.name for run in read_runs(tmp_path)] == ["a"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0.5", [0.5]])
def test_a_metric_that_is_no_number_is_refused_by_name(value):
    bad = replace(run(3, [0.4]), rounds=({"items_labelled": 20, "mAP@all": value},))
    for compared in (
        lambda: curve([*RUNS[:3], bad], "mAP@all"),
        lambda: paired([*RUNS, bad, run(3, [0.4, 0.5], acquisition="random")], "mAP@all"),
        lambda: length_table([*RUNS, bad]),
    ):
        with pytest.raises(ValueError, match=r"mAP@all must be a finite number; got .* in .*/3\. Move"):
            compared()


def test_two_runs_of_one_seed_are_no_two_draws():
    for compared in (
        lambda: curve([*RUNS[:3], run(0, [0.4, 0.5])], "mAP@all"),
        lambda: paired([*RUNS, run(0, [0.4, 0.9])], "mAP@all"),
        lambda: paired([*RUNS, run(0, [0.1, 0.1], acquisition="random")], "mAP@all"),
        lambda: length_table([*RUNS, run(0, [0.4, 0.9])]),
    ):
        with pytest.raises(ValueError, match=r"settings must have one run a seed; got .* of seed 0"):
            compared()


def test_a_missing_metric_and_a_misspelled_budget_are_refused():
    with pytest.raises(ValueError, match=r"runs must have P@7; .* has not"):
        curve(RUNS[:3], "P@7")
    with pytest.raises(ValueError, match="against must be items_labelled or answers; got 'item_labelled'"):
        paired(RUNS, "mAP@all", against="item_labelled")
    with pytest.raises(ValueError, match="a curve must have at least one run; got none"):
        curve([], "mAP@all")
    with pytest.raises(ValueError, match=r"level must lie between 0 and 1; got 95\.0"):
        curve(RUNS[:3], "mAP@all", level=95.0)


def test_pairs_on_other_data_are_said():
    ours = [replace(one, fingerprint="ab") for one in RUNS]
    other = [replace(one, fingerprint="cd") if one.seed == 1 else one for one in ours[:3]] + ours[3:]
    assert paired(ours, "mAP@all")
    with pytest.warns(
        UserWarning, match=r"the same data, split and embeddings; 1 pairs have not, such as .*/1"
    ):
        paired(other, "mAP@all")


def test_code_lengths_that_are_no_numbers_are_refused_by_name():
    with pytest.raises(ValueError, match=r"runs must have bits and mAP@all; .*/7 has not"):
        length_table([*RUNS, run(7, [0.4], bits="32")])
