"""The two lists of packages agree, and modules that must be light are."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def names_and_bounds(requirements):
    pattern = re.compile(r"^([A-Za-z0-9_.-]+)\s*(.*)$")
    return dict(pattern.match(line).groups() for line in requirements)


def test_environment_yml_says_what_pyproject_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = names_and_bounds(project["dependencies"] + project["optional-dependencies"]["sweep"])
    text = (ROOT / "environment.yml").read_text()
    listed = re.findall(r"^\s+- ([A-Za-z0-9_.-]+[=><][^\n#]*)$", text, flags=re.MULTILINE)
    found = names_and_bounds(listed)
    assert found.pop("python") == project["requires-python"]
    assert found == wanted


def test_constraints_pin_every_package_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = names_and_bounds(project["dependencies"] + [line for lines in extras.values() for line in lines])
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert not {name.lower().replace("_", "-") for name in wanted} - pinned
    assert "torch==2.13.0" in lines
    assert not any("+" in line or "@" in line for line in lines)


@pytest.mark.parametrize("module", ["labels", "data", "supervision", "answers", "items"])
def test_light_modules_load_without_torch(module):
    code = f"import sys, dhaps_core.{module}; assert 'torch' not in sys.modules, 'torch was loaded'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_core_loads_no_widgets_and_no_plotting():
    names = sorted(p.stem for p in (ROOT / "dhaps_core").glob("*.py") if p.stem not in {"__init__", "sweep"})
    code = (
        f"import importlib, sys; [importlib.import_module('dhaps_core.' + n) for n in {names}];"
        "bad = {'ipywidgets', 'IPython', 'matplotlib', 'anywidget'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
