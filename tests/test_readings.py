"""The page of readings: what it cites is there, and what states a reading cites the page."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/readings.md"
TABLES = re.findall(r"(?<=\n)\|.*\| code \|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"))
ENTRIES = [row for table in TABLES for row in table.splitlines()]
ENTRIES += re.findall(r"^- \*\*.*(?:\n  .*)*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
STATED = re.compile(r"\b(?:a|two|three|four) readings?\b(?! of DH-APS)", re.IGNORECASE)
CITED = "``docs/readings.md``"


def cited(text):
    return re.findall(r"`(dhaps_core(?:\.\w+)+)`", text)


def find(name):
    """The module, or what it or a class of it has by that name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


def test_there_are_entries():
    assert len(ENTRIES) > 30


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry[2:40])
def test_every_entry_cites_code_that_is_there(entry):
    names = cited(entry)
    assert names
    for name in names:
        find(name)


def test_a_name_that_is_not_there_is_found_out():
    with pytest.raises(AttributeError):
        find("dhaps_core.acquisition.closed.Open")
    with pytest.raises(AttributeError):
        find("dhaps_core.acquisition.open")


def files_cited():
    """Files of the mathematics that the page cites; rooms above it say what they read from there."""
    for name in cited(PAGE.read_text(encoding="utf-8")):
        parts = name.split(".")
        if parts[1] in {"acquisition", "hashing", "pairs"}:
            stems = [Path(*parts[:length]) for length in range(len(parts), 1, -1)]
            files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
            yield next(file for file in files if (ROOT / file).is_file())


def files_that_state_one():
    for room in ("dhaps_core/acquisition", "dhaps_core/hashing"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if STATED.search(" ".join(path.read_text(encoding="utf-8").split())):
                yield path.relative_to(ROOT)


@pytest.mark.parametrize("path", sorted({*files_cited(), *files_that_state_one()}), ids=str)
def test_what_states_a_reading_points_to_the_page(path):
    assert CITED in (ROOT / path).read_text(encoding="utf-8")


def test_the_readme_links_the_page():
    assert "](docs/readings.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
