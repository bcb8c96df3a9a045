import sys

import papermill
import pytest
from tiny_notebooks import PARAMETERS, write_grid, write_notebook

from dhaps_core.grid import GridError, read_grid, require
from dhaps_core.notebook_parameters import Notebook, Parameter


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
        ("every: {seed: 1}\nthreads: 0\n", "threads must be a whole number from 1; got 0"),
        ("every: {seed: 1}\ntimeout: ten\n", "timeout must be a whole number from 1; got 'ten'"),
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


def test_an_unknown_method_is_refused(tmp_path):
    write_notebook(tmp_path / "m.ipynb", 'folder: str = "."\nmethod: str = "dpsh"\n')
    path = tmp_path / "g.yaml"
    path.write_text("notebook: m.ipynb\nblocks:\n  row: {method: [dpsh, dpsj]}\n")
    with pytest.raises(
        GridError, match=r"cell 'row' with method='dpsj': method must be one of .*mean dpsh\?"
    ):
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
