"""The two lists of packages agree, and modules that must be light are."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts)
    for p in (ROOT / "dhaps_core").rglob("*.py")
    if p.stem not in {"__init__", "__main__"}
)
LIGHT = [name for name in MODULES if name.split(".")[1] in {"data", "answers"}]


def names_and_bounds(requirements):
    pattern = re.compile(r"^([A-Za-z0-9_.-]+)\s*(.*)$")
    return dict(pattern.match(line).groups() for line in requirements)


FOLDERS = ("", "docs")  # of the two lists of pins: what all need, and what the documentation needs beside it


def constraints(folder=""):
    return (ROOT / folder / "constraints.txt").read_text().split()


def plain(name):
    return name.lower().replace("_", "-")


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
    extras = dict(project["optional-dependencies"])
    docs = set(map(plain, names_and_bounds(extras.pop("docs"))))
    wanted = names_and_bounds(project["dependencies"] + [line for lines in extras.values() for line in lines])
    pinned, more = ({plain(line.split("==")[0]) for line in constraints(folder)} for folder in FOLDERS)
    assert not set(map(plain, wanted)) - pinned
    assert docs <= more
    assert not pinned & more
    assert "torch==2.13.0" in constraints()
    assert not any("+" in line or "@" in line for folder in FOLDERS for line in constraints(folder))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_lock_has_hashes_of_every_pinned_package_but_torch_and_names_no_host(folder):
    lock = (ROOT / folder / "requirements.lock").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", lock) if not entry.startswith("#")]
    pinned = [line for line in constraints(folder) if not line.startswith("torch==")]
    assert sorted(plain(entry.split()[0]) for entry in entries) == sorted(map(plain, pinned))
    assert all(re.fullmatch(r"\S+ (\\\s+--hash=sha256:[0-9a-f]{64}\s*)+", entry) for entry in entries)
    assert "//" not in lock


def test_people_keep_their_build_of_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "torch>=2.11" in project["dependencies"]


def test_every_declared_package_is_imported_or_run():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = {"ipykernel", "jupyterlab", "jupyter-server"}  # by papermill, by make lab
    called = {"faiss-cpu": "faiss", "pillow": "PIL", "scikit-learn": "sklearn"}
    sources = [p for folder in ("dhaps_core", "widgets", "notebooks") for p in (ROOT / folder).rglob("*")]
    text = "\n".join(p.read_text() for p in sources if p.suffix in {".py", ".ipynb"})
    for name in set(names_and_bounds(project["dependencies"])) - run:
        module = called.get(name, name.replace("-", "_"))
        assert re.search(rf"\b(?:import|from) {module}\b|require\(\"{module}\"\)", text), name


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_load_without_torch(module):
    code = f"import sys, {module}; assert 'torch' not in sys.modules, 'torch was loaded'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_core_loads_no_widgets_and_no_plotting():
    code = (
        f"import importlib, sys; [importlib.import_module(n) for n in {MODULES}];"
        "bad = {'ipywidgets', 'IPython', 'matplotlib', 'anywidget'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
