"""What a sweep leaves: a table whatever the runs hold, and a manifest of what ran."""

import json
import os
import subprocess

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.manifest import git_state, run_state, write_manifest, write_table
from tests.given import write_notebook


def make_grid(folder, every, types="int | str"):
    """A grid over a notebook with one parameter, ``p``."""
    write_notebook(folder / "n.ipynb", f"folder: str = '.'\np: {types} = 0\n")
    (folder / "g.yaml").write_text(f"notebook: n.ipynb\nevery: {every}\n")
    (folder / "out").mkdir(exist_ok=True)
    return read_grid(folder / "g.yaml")


def finish(folder, metrics=None, marker=None):
    """A finished run, or what is given in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {"state": "finished", "code": "c", "parameters": {}, "seconds": 1.0}
    for name, content in (("metrics", {} if metrics is None else metrics), ("run", marker or state)):
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def table(grid, folder):
    frame = write_table(grid, folder / "out", {})
    stored = pd.read_parquet(folder / "out" / "table.parquet")
    pd.testing.assert_frame_equal(frame, stored, check_dtype=False)
    assert len(pd.read_csv(folder / "out" / "table.csv")) == len(grid.cells)
    return frame


def test_a_parameter_that_is_an_int_or_a_text_makes_a_table(tmp_path):
    grid = make_grid(tmp_path, '{p: [10, "10%", "10"]}')
    for cell in grid.cells:
        finish(tmp_path / "out" / cell.run)
    assert list(table(grid, tmp_path)["p"]) == ["10", "10%", '"10"']


@pytest.mark.parametrize(
    ("types", "values", "column"),
    [
        ("int | None", "[1, null]", [1, None]),
        ("bool | int", "[true, 2]", ["true", "2"]),
        ("float | int", "[1, 2.5]", [1.0, 2.5]),
        ("float | int", f"[0.5, {2**53 + 1}]", ["0.5", str(2**53 + 1)]),  # no float holds it
        ("int", f"[1, {2**63}]", ["1", str(2**63)]),
        ("int", f"[{-(2**63)}, {2**63 - 1}]", [-(2**63), 2**63 - 1]),
        ("list | dict", "[[1, [a]], {b: 1}]", ['[1, ["a"]]', '{"b": 1}']),
        ("list[int] | str", '[[1], "[1]"]', ["[1]", '"[1]"']),
        ("str", '["1", "é", "a,b\\n\\"c"]', ["1", "é", 'a,b\n"c']),
        ("str | None", "[null, ~]", None),
    ],
)
def test_columns_of_any_types(tmp_path, types, values, column):
    if column is None:
        grid = make_grid(tmp_path, "{p: null}", types)
        assert table(grid, tmp_path)["p"].isna().all()
        return
    found = table(make_grid(tmp_path, f"{{p: {values}}}", types), tmp_path)["p"]
    assert [None if value is pd.NA else value for value in found] == column


def test_metrics_of_any_kind_make_a_table(tmp_path):
    grid = make_grid(tmp_path, "{p: [0, 1, 2, 3]}")
    metrics = [
        '{"mAP": NaN, "run": 3, "state": 0.5, "metrics.run": 4, "p": 7, "big": 1' + "0" * 30 + "}",
        {"mAP": 0.5, "ok": True, "é\ud800": 1, "=1+1": 2, "": 3},
        '{"mAP": Infinity, "ok": 2, "rounds": [{"mAP": 1}, {"mAP": -Infinity}]}',
        {},
    ]
    for cell, content in zip(grid.cells, metrics, strict=True):
        finish(tmp_path / "out" / cell.run, content)
    frame = table(grid, tmp_path)
    assert list(frame["state"]) == ["finished"] * 4
    assert list(frame["run"]) == [cell.run for cell in grid.cells]
    first = frame.iloc[0]
    assert (first["metrics.run"], first["metrics.metrics.run"], first["metrics.p"]) == (3, 4, 7)
    assert first["big"] == "1" + "0" * 30 or first["big"] == 1e30
    assert frame["mAP"].isna().tolist() == [True, False, False, True]
    assert list(frame["mAP"])[1:3] == [0.5, float("-inf")]
    assert frame["ok"].tolist()[1:3] == ["true", "2"]
    assert (frame["é\\ud800"][1], frame[""][1]) == (1, 3)
    assert "'=1+1" in (tmp_path / "out" / "table.csv").read_text().splitlines()[0]


def test_a_spreadsheet_sees_no_formulas(tmp_path):
    grid = make_grid(tmp_path, '{p: ["=1+1", "@x", "-5%", "10%"]}', "str")
    write_table(grid, tmp_path / "out", {grid.cells[0].run: "=HYPERLINK()"})
    stored = pd.read_csv(tmp_path / "out" / "table.csv")
    assert list(stored["p"]) == ["'=1+1", "'@x", "'-5%", "10%"]
    assert stored["error"][0] == "'=HYPERLINK()"
    assert list(pd.read_parquet(tmp_path / "out" / "table.parquet")["p"]) == ["=1+1", "@x", "-5%", "10%"]


def test_a_parameter_with_the_name_of_a_column_keeps_its_own(tmp_path):
    write_notebook(tmp_path / "n.ipynb", "folder: str = '.'\nrun: int = 0\nstate: str = 'a'\n")
    (tmp_path / "g.yaml").write_text("notebook: n.ipynb\nevery: {run: [1, 2]}\n")
    (tmp_path / "out").mkdir()
    frame = table(read_grid(tmp_path / "g.yaml"), tmp_path)
    assert list(frame["parameters.run"]) == [1, 2]
    assert list(frame["parameters.state"]) == ["a", "a"]
    assert list(frame["state"]) == ["open", "open"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(
    metrics=st.lists(
        st.dictionaries(st.text(st.characters(), max_size=8), values, max_size=4), min_size=3, max_size=3
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_notebooks_write_there_is_a_table(tmp_path, metrics):
    grid = make_grid(tmp_path, '{p: [0, "a", 2]}')
    for cell, content in zip(grid.cells, metrics, strict=True):
        finish(tmp_path / "out" / cell.run, content)
    frame = write_table(grid, tmp_path / "out", {})
    assert len(pd.read_parquet(tmp_path / "out" / "table.parquet")) == len(frame) == 3
    write_manifest(grid, tmp_path / "out", {}, started=0.0, git={})


def spoil(path, how):
    """A file of a run, damaged."""
    path.unlink(missing_ok=True)
    if how == "a folder":
        path.mkdir()
    elif how == "a dangling link":
        path.symlink_to(path.parent / "nothing")
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a gigabyte":
        with path.open("wb") as file:
            file.truncate(1 << 30)
    elif isinstance(how, bytes):
        path.write_bytes(how)


DAMAGES = [
    "a folder",
    "a dangling link",
    "a pipe",
    "a gigabyte",
    b"",
    b"{",
    b"[]",
    b"\0\1",
    b"\xff",
    b"[" * 99_999,
]


@pytest.mark.parametrize("how", [*DAMAGES, b"{}", b'{"state": "failed"}'], ids=lambda how: repr(how)[:20])
def test_a_run_with_a_damaged_marker_is_named_and_the_others_have_their_rows(tmp_path, how):
    grid = make_grid(tmp_path, "{p: [0, 1]}")
    damaged, whole = (tmp_path / "out" / cell.run for cell in grid.cells)
    finish(whole, {"mAP": 0.5})
    finish(damaged, {"mAP": 0.7})
    spoil(damaged / "run.json", how)
    state, marker, metrics, fault = run_state(damaged)
    assert (state, marker, metrics) == ("damaged", {}, {})
    assert fault.startswith(f"{damaged / 'run.json'} must")
    assert f"delete the folder {damaged} to run it anew" in fault
    frame = table(grid, tmp_path)
    assert list(frame["state"]) == ["damaged", "finished"]
    assert frame["error"][0] == fault
    assert frame["mAP"].tolist() == [pd.NA, 0.5]
    write_manifest(grid, tmp_path / "out", {}, started=0.0, git={})
    runs = json.loads((tmp_path / "out" / "manifest.json").read_text())["runs"]
    assert [run["state"] for run in runs] == ["damaged", "finished"]
    assert runs[0]["error"] == fault


@pytest.mark.parametrize(
    "how", [*DAMAGES, "nothing", b'{"rounds": 3}', b'{"rounds": [3]}'], ids=lambda how: repr(how)[:20]
)
def test_a_finished_run_with_damaged_metrics_is_named(tmp_path, how):
    finish(tmp_path / "a")
    spoil(tmp_path / "a" / "metrics.json", how)
    state, _, _, fault = run_state(tmp_path / "a")
    assert state == "damaged"
    assert fault.startswith(f"{tmp_path / 'a' / 'metrics.json'} must")


def test_git_runs_no_program_that_a_strangers_repository_names(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=b", *arguments], check=True
        )

    git("init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git("add", "a.txt")
    git("commit", "-qm", "first")
    mark = tmp_path / "ran"
    git("config", "core.fsmonitor", f"touch {mark}; false")
    git("config", "filter.x.clean", f"touch {mark}; cat")
    (tmp_path / ".gitattributes").write_text("* filter=x\n")
    (tmp_path / "a.txt").write_text("2")
    state = git_state(tmp_path)
    assert (len(state["commit"]), state["changed"]) == (40, None)
    assert not mark.exists()
    assert git_state(tmp_path.parent) == {}
