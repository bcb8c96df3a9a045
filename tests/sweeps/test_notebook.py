"""Parameters hold the types that their notebook declares, by whatever way they come."""

import subprocess
import sys
from pathlib import Path

import pytest

from dhaps_core.sweeps.notebook import Notebook, check_parameters
from tests.given import write_notebook

ROOT = Path(__file__).parents[2]
DECLARED = """\
smoke: bool = False  # short
bits: int = 32  # length
rate: float = 0.5  # share
who: str = "me"  # name
lengths: list[int] = [12]  # lengths
limit: int | None = None  # most
"""


def check(injected="", *, declared=DECLARED):
    """What a kernel does: the parameters cell, papermill's cell after it, and the check."""
    namespace = {"In": ["", declared]}
    exec(declared, namespace)
    if injected:
        namespace["In"].append(f"# Parameters\n{injected}\n")
        exec(injected, namespace)
    namespace["In"].append("check_parameters(globals())")
    check_parameters(namespace)


def test_declared_types_hold_for_papermill_too():
    with pytest.raises(ValueError, match=r"smoke must be bool; got 'false' \(str\)\. Write True or False\."):
        check('smoke = "false"')


@pytest.mark.parametrize(
    ("injected", "message"),
    [
        ("smoke = 0", r"smoke must be bool; got 0 \(int\)"),
        ('smoke = ""', r"smoke must be bool; got '' \(str\)"),
        ("smoke = None", "smoke must be bool; got None"),
        ("bits = 32.0", r"bits must be int; got 32\.0 \(float\)"),
        ("bits = -1", r"bits must be 0 or more; got -1\."),
        ("bits = True", r"bits must be int; got True \(bool\)"),
        ('bits = "32"', r"bits must be int; got '32' \(str\)"),
        ('limit = "None"', r"limit must be int \| None; got 'None'"),
        ("rate = float('nan')", "rate must be float; got nan"),
        ("rate = 10**400", r"rate must be float; got a number of 1329 bits \(int\)"),
        ("who = 7", r"who must be str; got 7 \(int\)\. Text that looks like another type goes with -r"),
        ("who = None", r"who must be str; got None .* -r who"),
        (
            'lengths = "[12, 24]"',
            r"got '\[12, 24\]' \(str\)\. Write it as YAML: papermill \.\.\. -y 'lengths:",
        ),
        ('lengths = [12, "24"]', r"lengths must be list\[int\]; got \[12, '24'\]"),
        ("bitz = 12", r"bitz must be a parameter of this notebook, which has smoke, .*Did you mean bits\?"),
        ("import numpy\nbits = numpy.int64(32)", r"bits must be int; got np\.int64\(32\) \(int64\)"),
    ],
)
def test_what_has_another_type_or_name_is_refused(injected, message):
    with pytest.raises(ValueError, match=message):
        check(injected)


def test_every_fault_is_listed_at_once():
    with pytest.raises(ValueError, match="nothing was run") as caught:
        check('smoke = "false"\nbits = 1.5\nseed = 3')
    assert str(caught.value).count("\n- ") == 3


@pytest.mark.parametrize(
    "injected",
    [
        "",
        "rate = 1",
        "rate = -1",  # a whole number that counts nothing
        "rate = 0.25\nsmoke = True",
        "limit = 3",
        "lengths = []",
        'PAPERMILL_INPUT_PATH = "a.ipynb"',
    ],
)
def test_what_fits_is_taken(injected):
    check(injected)


def test_the_last_run_of_the_cell_counts_and_what_papermill_set_before_it_does_not():
    namespace = {"In": ["", DECLARED, '# Parameters\nsmok = "x"\n', "1 + ", DECLARED, "x = 1"]}
    exec(DECLARED, namespace)
    check_parameters(namespace)


def test_a_check_before_the_parameters_cell_says_so():
    with pytest.raises(ValueError, match="the parameters cell must run before this one"):
        check_parameters({"In": ["", "import os"]})


def test_a_value_written_below_its_declaration_has_its_type():
    check(declared=DECLARED + "bits = 16\n")
    with pytest.raises(ValueError, match=r"bits must be int; got '16' \(str\)"):
        check(declared=DECLARED + "bits = '16'\n")


def test_a_parameter_without_a_type_is_refused():
    with pytest.raises(ValueError, match="bits must have a type in its notebook"):
        check(declared="smoke: bool = False\nbits = 3\n")


@pytest.mark.parametrize("given", [("-p", "smoke", "false"), ("-p", "budget", "10")])
def test_a_notebook_given_another_type_ends_before_it_writes_anything(tmp_path, given):
    command = [
        sys.executable,
        "-m",
        "papermill",
        "notebooks/04_train_a_method.ipynb",
        str(tmp_path / "out.ipynb"),
    ]
    command += [
        "--cwd",
        "notebooks",
        "-p",
        "interactive",
        "False",
        "-p",
        "folder",
        str(tmp_path / "run"),
        *given,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the parameters cell states types, and these must hold; nothing was run" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("x: int = " + "(" * 100_000 + "1" + ")" * 100_000, "must be a readable .ipynb file"),
        ("x: int = " + "-" * 100_000 + "1", "must be a readable .ipynb file"),
        ("x: int = " + "1+" * 100_000 + "1", "must be a readable .ipynb file"),
        ("x: int = '\0'", "must be a readable .ipynb file"),
    ],
)
def test_a_parameters_cell_without_end_is_refused(tmp_path, parameters, message):
    with pytest.raises(ValueError, match=message):
        Notebook.read(write_notebook(tmp_path / "n.ipynb", f"folder: str = '.'\n{parameters}\n"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"cells": 3}',
        b'{"cells": [null]}',
        b'{"cells": [{"cell_type": "code", "source": 3}]}',
        b'{"cells": [{"cell_type": "code", "source": "", "metadata": null}]}',
        b"[" * 100_000,
        b"9" * 100_000,
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "n.ipynb").write_bytes(content)
    with pytest.raises(ValueError, match=r"notebook must be a readable \.ipynb file"):
        Notebook.read(tmp_path / "n.ipynb")


def test_a_notebook_of_no_bounded_size_is_refused(tmp_path):
    with (tmp_path / "n.ipynb").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ValueError, match="of 16777216 at most"):
        Notebook.read(tmp_path / "n.ipynb")
    with pytest.raises(ValueError, match="not a file"):
        Notebook.read(Path("/dev/zero"))


def test_a_path_at_home_is_expanded_as_a_shell_does(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    namespace = {"In": ["", 'folder: str = "~/runs"\nwho: str = "~"']}
    exec(namespace["In"][1], namespace)
    check_parameters(namespace)
    assert (namespace["folder"], namespace["who"]) == (str(tmp_path / "runs"), "~")
