"""The house: every room says what happens in it, the face is light, and the map is of this house."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from setuptools import find_packages

import dhaps_core

ROOT = Path(__file__).parents[1]
ROOMS = sorted(
    path.parent for package in ("dhaps_core", "widgets") for path in (ROOT / package).glob("*/__init__.py")
)
NAMES = [str(room.relative_to(ROOT)) for room in ROOMS]
FACE = [name for name in dhaps_core.__all__ if name != "__version__"]


@pytest.mark.parametrize("name", NAMES)
def test_a_room_says_what_happens_in_it_and_in_which_order_to_read_its_files(name):
    room = ROOT / name
    told = importlib.import_module(name.replace("/", ".")).__doc__.split("\n")
    assert told[0].endswith(".")
    assert len(told) <= 12
    named = {one for one in re.findall(r"``(\w+)``", "\n".join(told)) if one.islower()}
    files = {path.stem for path in room.glob("*.py")}
    files |= {path.parent.name for path in room.glob("*/__init__.py")}
    assert files - {"__init__", "__main__"} <= named <= files


def test_the_map_names_every_file_of_the_ground():
    (line,) = re.findall(r"\n(\| ground: .*)\n", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    files = {path.stem for path in (ROOT / "dhaps_core").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`(\w+)`", line)) == files


def test_the_readme_names_every_room_of_the_core():
    told = (ROOT / "README.md").read_text(encoding="utf-8").split("\n`dhaps_core/` has")[1].split(";")[0]
    core = {name.removeprefix("dhaps_core/") for name in NAMES if name.startswith("dhaps_core/")}
    assert set(re.findall(r"`(\w+)/`", told)) == core


def test_the_map_has_a_line_for_every_room_and_for_no_other():
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    told = [
        found[1].rstrip("/")
        for line in lines
        if (found := re.match(r"\| `((?:dhaps_core|widgets)/\w+/)`", line))
    ]
    assert sorted(told) == NAMES


def test_what_is_installed_has_every_room():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = set(find_packages(str(ROOT), **tools["packages"]["find"]))
    wanted = {".".join(room.parts) for room in map(Path, NAMES)}
    assert found > wanted
    assert {name.split(".")[0] for name in found} == {"dhaps_core", "widgets"}


@pytest.mark.parametrize("name", FACE)
def test_the_face_has_what_it_names(name):
    assert getattr(dhaps_core, name).__name__ == name


def test_the_face_knows_no_other_names():
    assert not hasattr(dhaps_core, "nothing")
    assert set(FACE) <= set(dir(dhaps_core))


@pytest.mark.parametrize(
    ("what", "absent"),
    [("__version__", "numpy"), ("digits", "torch"), ("Items", "torch"), ("ActiveSession", "sklearn")],
)
def test_the_face_loads_what_is_used_and_no_more(what, absent):
    code = f"import sys; from dhaps_core import {what}; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
