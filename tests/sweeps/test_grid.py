import os
import sys

import papermill
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.grid_text import GridError
from dhaps_core.sweeps.notebook import Notebook
from dhaps_core.sweeps.packages import require
from dhaps_core.sweeps.parameters import Parameter
from tests.given import PARAMETERS, write_grid, write_notebook


def fault(folder, text):
    with pytest.raises(GridError) as caught:
        read_grid(write_grid(folder, text))
    return str(caught.value)


def test_a_grid_is_the_product_of_each_block_in_order(tmp_path):
    grid = read_grid(
        write_grid(
            tmp_path, "every: {seed: [0, 1]}\nblocks:\n  a: {scale: [1, 2]}\n  b: {seed: 5, fail: true}\n"
        )
    )
    assert [(cell.block, cell.given) for cell in grid.cells] == [
        ("a", {"seed": 0, "scale": 1.0}),
        ("a", {"seed": 0, "scale": 2.0}),
        ("a", {"seed": 1, "scale": 1.0}),
        ("a", {"seed": 1, "scale": 2.0}),
        ("b", {"seed": 5, "fail": True}),
    ]
    assert grid.cells[0].name == "a / seed=0, scale=1.0"
    assert grid.cells[0].parameters["limit"] is None  # defaults of the notebook complete the cell
    assert (grid.threads, grid.resources) == (1, {})


def test_a_run_is_known_by_its_parameters_and_not_by_how_they_are_written(tmp_path):
    def runs(text):
        return [cell.run for cell in read_grid(write_grid(tmp_path, text)).cells]

    first = runs("every: {seed: 1, scale: 1}\n")
    assert runs("blocks:\n  any name: {scale: 1.0, seed: 1}\n") == first
    assert runs("every: {seed: 1}\n") == first  # the default, written or not
    assert runs("every: {seed: 2}\n") != first
    assert len(first[0]) == 12


def test_paths_are_relative_to_the_grid_and_do_not_move_the_run(tmp_path, monkeypatch):
    text = "every: {log: ./log}\n"
    cell = read_grid(write_grid(tmp_path, text)).cells[0]
    assert cell.given["log"] == str(tmp_path / "log")
    assert cell.parameters["log"] == "./log"
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    assert read_grid(write_grid(tmp_path, "every: {log: $SOME_DATA/log}\n")).cells[0].given == cell.given
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert read_grid(write_grid(other, text)).cells[0].run == cell.run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("every: {sed: 1}\n", "every cell: 'sed' must be a parameter of tiny.ipynb, which has log, seed"),
        ("every: {sed: 1}\n", "Did you mean seed?"),
        ("blocks:\n  x: {sed: 1}\n", "cell 'x': 'sed' must be"),
        (
            "blocks:\n  x: {seed: [1, '2']}\n",
            "cell 'x' with seed='2': seed must be int; got '2' (str). Remove the q",
        ),
        ("every: {seed: 1.5}\n", "cells with seed=1.5: seed must be int; got 1.5 (float)."),
        (
            "every: {seed: true}\n",
            "seed must be int; got True (bool). YAML reads yes, no, on and off as true",
        ),
        ("every: {scale: 1e-3}\n", "scale must be float; got '1e-3' (str). YAML needs a point"),
        ("every: {scale: .nan}\n", "scale must be float; got nan"),
        ("every: {limit: x}\n", "limit must be int | None; got 'x'"),
        ("every: {seed: []}\n", "seed must have at least one value"),
        ("every: {seed: [[1]]}\n", "seed must be int; got [1] (list)"),
        ("every: {folder: x}\n", "folder is set by the sweep itself"),
        ("every: {interactive: true}\n", "interactive is set by the sweep itself"),
        (
            "every: {log: missing/folder}\n",
            "cells with log='missing/folder': the path must exist; there is nothing",
        ),
        ("every: {log: $NOT_SET_ANYWHERE/x}\n", "the environment variable $NOT_SET_ANYWHERE must be set"),
        ("every: {seed: [1, 2, 1]}\n", "cell 'seed=1': cells must differ; 'seed=1' is the same"),
        (
            "blocks:\n  a: {seed: 0}\n  b: {scale: 1}\n",
            "cell 'b / scale=1.0': cells must differ; 'a / seed=0' is",
        ),
        ("every: {seed: 1, seed: 2}\n", "keys must be unique; got 'seed' twice, again in line 2"),
        ("evry: {seed: 1}\n", "got 'evry'. Did you mean every?"),
        ("threads: 1\n", "every or blocks must set parameters"),
        ("every: [1]\n", "every must be a mapping; got [1]"),
        ("blocks:\n  a: 3\n", "block 'a' must be a mapping; got 3"),
        ("every: {seed: 1}\nthreads: 0\n", "threads must be a whole number from 1 to 1,000,000,000; got 0"),
        (
            "every: {seed: 1}\ntimeout: ten\n",
            "timeout must be a whole number from 1 to 1,000,000,000; got 'ten'",
        ),
        (f"every: {{seed: 1}}\ntimeout: 1{'0' * 400}\n", "timeout must be a whole number from 1 to"),
        (f"every: {{seed: 1}}\nresources: {{GPU: 1{'0' * 400}}}\n", "resources must map names to positive"),
        ("every: {seed: 1}\nresources: {GPU: -1}\n", "resources must map names to positive numbers"),
        ("every: {seed: [1}\n", "it must be YAML"),
    ],
)
def test_a_bad_grid_is_refused_with_the_cell_named(tmp_path, text, expected):
    message = fault(tmp_path, text)
    assert expected in message
    assert message.startswith("grid.yaml must be a grid that can run; nothing was started.")


def test_all_faults_are_listed_at_once(tmp_path):
    message = fault(tmp_path, "blocks:\n  a: {seed: x, scale: y}\n  b: {nothing: 1}\n")
    assert message.count("\n- ") == 3


def test_a_fault_of_every_block_is_told_once(tmp_path):
    message = fault(tmp_path, "every: {seed: x}\nblocks:\n  a: {scale: 1}\n  b: {scale: 2}\n")
    assert message.count("\n- ") == 1
    assert "cells with seed='x': seed must be int" in message


def test_a_notebook_may_lie_at_home(tmp_path, monkeypatch):
    grid = write_grid(tmp_path, "every: {seed: 1}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    grid.write_text("notebook: ~/" + grid.read_text().removeprefix("notebook: "))
    assert read_grid(grid).notebook.path.parent == tmp_path


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [("method", "dpsh", "dpsj"), ("acquisition", "typiclust", "typiclast"), ("preset", "paper", "papre")],
)
def test_an_unknown_method_acquisition_or_preset_is_refused(tmp_path, name, right, wrong):
    write_notebook(tmp_path / "m.ipynb", f'folder: str = "."\n{name}: str = "{right}"\n')
    path = tmp_path / "g.yaml"
    path.write_text(f"notebook: m.ipynb\nblocks:\n  row: {{{name}: [{right}, {wrong}]}}\n")
    said = rf"cell 'row' with {name}='{wrong}': {name} must be one of .*mean {right}\?"
    with pytest.raises(GridError, match=said):
        read_grid(path)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("seed: int = 0\n", "must have a parameter `folder"),
        ('folder: str = "."\nseed = 0\n', "seed must have a type in its notebook"),
        ('folder: str = "."\nseed: Any = 0\n', "the type of seed must be made of"),
        ("folder: str =\n", "must be a readable .ipynb file"),
    ],
)
def test_a_notebook_that_no_sweep_can_run_is_refused(tmp_path, parameters, expected):
    grid = write_grid(tmp_path, "every: {seed: 1}\n")
    write_notebook(tmp_path / "tiny.ipynb", parameters)
    with pytest.raises(GridError) as caught:
        read_grid(grid)
    assert expected in str(caught.value)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(GridError, match="the grid file must be readable"):
        read_grid(tmp_path / "none.yaml")
    path = write_grid(tmp_path, "every: {seed: 1}\n")
    (tmp_path / "tiny.ipynb").unlink()
    with pytest.raises(GridError, match=r"notebook must be a readable \.ipynb file"):
        read_grid(path)


def test_parameters_are_read_as_papermill_reads_those_it_knows(tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", 'a: int = 3  # three\nfolder: str = "x"\nc: float = 0.5\n')
    theirs = papermill.inspect_notebook(path)
    ours = Notebook.read(path).parameters
    assert [(name, one.annotation) for name, one in ours.items()] == [
        (name, one["inferred_type_name"]) for name, one in theirs.items()
    ]
    assert [repr(one.default) for one in ours.values()] == [
        one["default"].replace('"', "'") for one in theirs.values()
    ]


def test_parameters_that_papermill_misses_are_read_too(tmp_path):
    names = list(Notebook.read(write_notebook(tmp_path / "n.ipynb")).parameters)
    assert names == ["folder", "log", "seed", "scale", "limit", "fail", "sleep", "interactive"]
    assert PARAMETERS.count("\n") == len(names)


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [3, -1], [3.0, True, "3", None]),
        ("float", [3, 0.5], [True, "3", float("inf")]),
        ("str | None", ["a", None], [1]),
        ("list[int]", [[], [1, 2]], [[1.5], 1]),
        ("list", [["a", 1]], ["a"]),
        ("dict[str, float]", [{"a": 1}], [{1: 1.0}, []]),
        ("Literal['a', 'b']", ["a"], ["c"]),
        ("Literal[1]", [1], [True, 1.0]),
        ("list", [[{"a": None}]], [[{1: 2}], [float("nan")], [{3}]]),
        ("'int | str'", [1, "a"], [1.5]),
    ],
)
def test_types(annotation, good, bad):
    parameter = Parameter("p", annotation, None)
    assert [parameter.fault(value) for value in good] == [None] * len(good)
    assert all(parameter.fault(value) for value in bad)


def test_the_code_hash_sees_code_only(tmp_path):
    one = Notebook.read(write_notebook(tmp_path / "n.ipynb")).code
    text = (tmp_path / "n.ipynb").read_text()
    (tmp_path / "n.ipynb").write_text(text.replace("Python 3 (ipykernel)", "Python"))
    assert Notebook.read(tmp_path / "n.ipynb").code == one
    (tmp_path / "n.ipynb").write_text(text.replace("time.sleep", "time.slep"))
    assert Notebook.read(tmp_path / "n.ipynb").code != one


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match=r"sweeps need the package pyyaml.*dhaps\[sweep\]"):
        require("yaml", "pyyaml")


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_what_a_variable_holds_is_in_no_message(tmp_path, monkeypatch):
    monkeypatch.setenv("DHAPS_SECRET", "hunter2")
    told = fault(tmp_path, 'every: {log: "$DHAPS_SECRET/x"}\n')
    assert "$DHAPS_SECRET/x" in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "it must hold at most 100,000 values"),
        ("every: &a {seed: *a}\n", "it must hold at most 100,000 values"),
        ("every: {seed: " + "[" * 100_000, "it must be nested less deeply"),
        ("every: {seed: " + "[" * 2_000 + "]" * 2_000 + "}\n", "it must be nested less deeply"),
        (
            "every: {seed: 1}\n# " + "x" * (1 << 20),
            "bytes, of 1048576 at most",
        ),
        (
            f"every: {{seed: {list(range(1000))}, scale: {list(range(1000))}}}\n",
            "at most 100,000 cells; got 1,000,000",
        ),
        ("every: {? [1, 2] : 3}\n", "keys must be names; got"),
        ("every: {? {a: 1} : 3}\n", "keys must be names; got"),
        (
            "x: &x {seed: 1}\nevery: {<<: *x}\n",
            "keys must be names; got '<<' in line 3. Write its parameters out",
        ),
        ("every: {true: 1}\n", "True must be a parameter of tiny.ipynb"),
        ("every: {seed: 1:30}\n", "must be written in tens; got 1:30, which YAML reads as 90, in line 2"),
        (
            "every: {seed: 0x" + "f" * 5000 + "}\n",
            "must have at most 4096 bits; got a number of 20000 bits in line 2",
        ),
        ("every: {seed: 010}\n", "must be written in tens; got 010, which YAML reads as 8"),
        ("every: {seed: 2024-01-01}\n", "seed must be int; got datetime.date(2024, 1, 1) (date)"),
        ("every: {seed: 2024-13-01}\n", "it must be YAML; ValueError: month must be in 1..12"),
        ("every: {seed: !!int x}\n", "it must be YAML; ValueError"),
        ("every: {seed: !!timestamp x}\n", "it must be YAML"),
        ("every: {seed: !!bool x}\n", "it must be YAML; KeyError"),
        ("every: {seed: !!python/object/apply:os.system [touch run]}\n", "could not determine a constructor"),
        ("every: {log: !!binary aGk=}\n", "log must be str; got b'hi' (bytes)"),
        ("every: {seed: !!set {a}}\n", "seed must be int; got {'a'} (set)"),
        ('every: {log: "\\ud800"}\n', "log must be made of what JSON holds"),
        ("every: {scale: " + "9" * 400 + "}\n", "scale must be float; got a number of 1329 bits (int)"),
        ("every: {log: ~nobody_of_that_name/x}\n", "the path must exist; Could not determine home"),
        ("every: {log: " + "/x" * 5000 + "}\n", "the path must exist; [Errno 36] File name too long"),
        ('every: {log: "./\\0"}\n', "the path must exist; "),
        ("blocks: {1: {seed: 0}}\n", "block names must be text; got 1. Put it in quotes"),
        ("blocks: {~: {seed: 0}}\n", "block names must be text; got None"),
        ("every: {seed: 1}\n---\nevery: {seed: 2}\n", "expected a single document"),
    ],
)
def test_a_hostile_grid_is_refused(tmp_path, text, expected):
    assert expected in fault(tmp_path, text)


def test_what_cannot_be_read_as_text_is_refused(tmp_path):
    path = write_grid(tmp_path, "every: {seed: 1}\n")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(GridError, match="it must be text in UTF-8"):
        read_grid(path)
    with pytest.raises(GridError, match="not a file"):
        read_grid("/dev/zero")
    with pytest.raises(GridError, match="name in UTF-8"):
        read_grid(os.fsdecode(b"\xff.yaml"))


def test_a_notebook_is_a_path_as_every_other(tmp_path):
    path = write_grid(tmp_path, "every: {seed: 1}\n")
    path.write_text('notebook: "\\0"\nevery: {seed: 1}\n')
    with pytest.raises(GridError, match="notebook must be a readable"):
        read_grid(path)


def test_a_type_with_a_call_in_it_is_refused_and_not_called(tmp_path):
    write_grid(tmp_path, "")
    write_notebook(tmp_path / "tiny.ipynb", "folder: str = '.'\nseed: Literal[exit(3)] = 0\n")
    (tmp_path / "grid.yaml").write_text("notebook: tiny.ipynb\nevery: {seed: 1}\n")
    with pytest.raises(GridError, match="the type of seed must be made of"):
        read_grid(tmp_path / "grid.yaml")


@given(text=st.text(st.sampled_from("seed: scale[]{}&a*a<!'\"-\n ,?|>#%~$/01e."), max_size=80))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_grid_holds_it_is_read_or_refused(tmp_path, text):
    path = write_grid(tmp_path, text)
    try:
        grid = read_grid(path)
    except GridError:
        return
    assert grid.cells
