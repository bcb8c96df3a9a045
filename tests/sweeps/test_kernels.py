"""Notebooks that papermill runs: nobody else on the machine reads along, with or without a home."""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from dhaps_core.sweeps.kernels import PrivateEngine

ROOT = Path(__file__).parents[2]
CODE = """\
import json, os
from ipykernel.connect import get_connection_info
import matplotlib.figure
told = get_connection_info(unpack=True)
print(json.dumps([told["transport"], "curve_publickey" in told, os.environ.get("HOME")]))"""
RUN = """\
import sys, papermill.engines
from dhaps_core.sweeps.kernels import PrivateEngine
papermill.engines.papermill_engines.register("private", PrivateEngine)  # as an installed dhaps does
from papermill.cli import papermill
papermill(["--engine", "private", "--no-progress-bar", *sys.argv[1:]])"""


@pytest.mark.slow
@pytest.mark.parametrize("home", [None, "/proc/no home", "usual"])
def test_a_notebook_runs_in_an_encrypted_kernel_with_any_home_or_none(tmp_path, home):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment.pop("HOME", None)
    if home is not None:
        environment["HOME"] = home if home != "usual" else str(tmp_path)
    command = [sys.executable, "-c", RUN, str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "without encryption" not in done.stderr
    (cell,) = nbformat.read(tmp_path / "out.ipynb", 4).cells
    printed = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    assert json.loads(printed) == ["tcp", True, environment.get("HOME")]


@pytest.mark.parametrize("first", ["dhaps_core.sweeps.kernels", "papermill", "papermill.engines"])
def test_the_engine_is_there_whatever_is_imported_first(first):
    code = (
        f"import {first}, papermill.engines\n"
        "from dhaps_core.sweeps.kernels import PrivateEngine\n"
        "assert papermill.engines.papermill_engines.get_engine('private') is PrivateEngine"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_engine_names_the_kernel_of_a_notebook_as_papermill_does():
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    assert PrivateEngine.nb_kernel_name(notebook) == "python3"
    assert PrivateEngine.nb_kernel_name(notebook, "other") == "other"
    assert PrivateEngine.nb_language(notebook) == "python"


def test_make_uses_the_engine_that_the_package_offers():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, name = project["entry-points"]["papermill.engine"]["private"].split(":")
    assert hasattr(importlib.import_module(module), name)
    calls = (ROOT / "Makefile").read_text().split("$(BIN)/papermill")[1:]
    assert calls
    assert all(part.startswith(" --engine private ") for part in calls)
