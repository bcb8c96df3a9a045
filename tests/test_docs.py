"""What the documentation names is there."""

import ast
import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest
import torch
from PIL import Image

import dhaps_core
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.data.sources import digits
from dhaps_core.hashing.methods.piq import Auto
from dhaps_core.retrieval.graded import evaluate_graded
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate
from dhaps_core.retrieval.relevance import Relevance
from dhaps_core.sweeps.notebook import Notebook

ROOT = Path(__file__).parents[1]
SITE = sorted(path for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts)
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *SITE)
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def defined(path):
    """Names of a file's functions and classes, and of what it assigns."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def test_every_trap_names_tests_that_exist():
    rows = [line for line in (ROOT / "docs/traps.md").read_text(encoding="utf-8").splitlines() if "`" in line]
    cited = [
        re.findall(r"`(tests/[\w/]+\.py)(?:::([\w:]+))?`", line) for line in rows if line.startswith("| ")
    ]
    assert len(cited) > 80
    assert all(cited)
    names = {path: defined(ROOT / path) for row in cited for path, _ in row}
    missing = [
        (path, name) for row in cited for path, name in row if name and name.split("::")[0] not in names[path]
    ]
    assert not missing


def prose(path):
    """A page without what stands in fences, where brackets are code."""
    return re.sub(r"^( *)```.*?^\1```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
    """Names that headings of a page have as targets of links."""
    headings = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path):
    """Where a page points: files and headings, those of notebooks included."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    else:
        text = prose(path)
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(?<!`)`[^`\n]+`(?!`)", "``", text))
    return [target for target in found if "://" not in target]


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_to_a_heading_that_are_there(page):
    for link in links(page):
        target, _, heading = link.partition("#")
        to = (page.parent / target).resolve() if target else page
        assert to.exists(), link
        assert not heading or heading in anchors(to), link


def test_the_site_has_every_page_and_every_notebook():
    listed = set()
    for page in (ROOT / "docs/index.md", ROOT / "docs/notebooks.md"):
        for tree in re.findall(
            r"^```{toctree}\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE
        ):
            names = [line for line in tree.split() if not line.startswith(":")]
            ends = (".md", ".ipynb")
            listed |= {
                path.resolve() for name in names for end in ends for path in page.parent.glob(name + end)
            }
    assert {*PAGES, *NOTEBOOKS} - listed == {ROOT / "docs/index.md"}


@pytest.mark.parametrize("page", ["README.md", "docs/notebooks.md"])
def test_every_notebook_has_a_line_that_says_what_it_is_for(page):
    rows = [line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert not [path.stem for path in NOTEBOOKS if not any(path.stem in row for row in rows)]


def test_what_is_said_to_run_with_small_sizes_does():
    small = set(re.search(r"^SMALL := (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1].split())
    rows = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8").splitlines()
    told = {path.stem: next(row for row in rows if f"/{path.stem}.ipynb" in row) for path in NOTEBOOKS}
    assert {stem: row.split("|")[-2].strip() for stem, row in told.items()} == {
        stem: "small" if stem in small else "whole" for stem in told
    }


def test_the_page_of_the_code_names_the_face():
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    told = re.findall(r"^   ~dhaps_core\.([\w.]+)\.(\w+)$", text, flags=re.MULTILINE)
    assert {name: room for room, name in told} == dhaps_core._HOME
    assert [name for _, name in told] == [name for name in dhaps_core.__all__ if name != "__version__"]


def commands(page):
    """Calls of papermill in the fences of a page: the notebook, where it goes, all words."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    fences = re.findall(r"^ *```sh\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for fence in fences for line in fence.splitlines() if "papermill " in line]
    return [
        (*[word for word in words if word.endswith(".ipynb")], words) for words in map(shlex.split, lines)
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.stem)
def test_a_command_names_parameters_that_a_notebook_has_and_leaves_nothing_among_the_notebooks(page):
    for notebook, out, words in commands(page):
        given = [words[i + 1] for i, word in enumerate(words) if word == "-p"]
        assert set(given) <= Notebook.read(ROOT / notebook).parameters.keys()
        assert out.startswith("runs/")  # which git, the linter and the site pass over
        assert words[words.index("--cwd") + 1] == "notebooks"
        assert words[words.index("--engine") + 1] == "private"


def programs(page):
    """The Python of a page, as one program."""
    blocks = re.findall(r"^ *```python\n(.*?)^ *```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return "\n".join(map(textwrap.dedent, blocks))


WITH_CODE = [page for page in SITE if page.parent.name == "how_to" and programs(page)]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_programs_of_a_how_to_run_as_written(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = digits(seed=0)
    for i in range(60):
        file = Path("photos", f"digit {examples.labels[i]}", f"{i}.png")
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(examples.images[i]).save(file)
    exec(compile(programs(page), str(page), "exec"), {"__name__": "page"})


def means_below(heading):
    """By the number of answers, what the first table below a heading of the page has for `dhaps`."""
    text = (ROOT / "docs/results/efficiency.md").read_text(encoding="utf-8")
    below = text[text.index(heading) :].splitlines()
    head, row = (
        next(line for line in below if line.startswith(f"| {name} ")) for name in ("answers", "dhaps")
    )
    pairs = zip(head.split("|")[2:-1], row.split("|")[2:-1], strict=True)
    return {count.strip(): told.split()[0] for count, told in pairs}


def test_the_numbers_of_other_pages_are_those_of_the_page_of_label_efficiency():
    digit, cifar = means_below("## Digits, class answers"), means_below("## CIFAR-10, all 50,000")
    labelling = (ROOT / "docs/how_to/labelling.md").read_text(encoding="utf-8")
    for told in (
        f"| mAP {digit['0']} |",
        *(
            f"{count} items{named} | {digit[count]} |"
            for count, named in (("20", " named"), ("40", ""), ("160", ""))
        ),
        f"it is {cifar['0']} without a label, {cifar['100']} after 100 items, {cifar['500']} after 500",
    ):
        assert told in labelling
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("*", "").replace("\n", " ")
    for told in (
        f"{digit['0']} without a label, {digit['20']} after 20 classes named, {digit['40']} after 40",
        f"{cifar['0']} without a label",
        " / ".join(cifar[count] for count in ("100", "200", "500", "1,000", "2,000", "5,000")),
    ):
        assert told in readme
    assert f"in nine rounds it has {cifar['5,000']}" in (ROOT / "docs/results/table1_cifar.md").read_text()


SAY_WHEN = [path for path in NOTEBOOKS if path.stem[:2] in {"00", "01", "02", "07", "13"}]


@pytest.mark.parametrize("page", [*SAY_WHEN, ROOT / "docs/in_short.md"], ids=lambda page: page.stem)
def test_the_number_from_which_the_network_learns_is_that_of_the_code(page):
    told = re.findall(r"(?:from|below) (\d+) (?:answered|named) items", page.read_text(encoding="utf-8"))
    assert set(told) == {str(Auto().least)}


def test_every_acquisition_has_a_line_for_its_name():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| acquisition |") : text.index("\n\n", text.index("| acquisition |"))]
    told = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(told) == sorted(STRATEGIES)


def test_every_metric_has_a_line_with_its_formula():
    labels = torch.eye(3)
    h = distance_histograms(torch.ones(3, 4), torch.ones(3, 4), Relevance.labels(labels, labels))
    found = evaluate(h, ks=(3,)) | evaluate_graded(h, ks=(3,))
    names = {name.replace("@3", "@k") for name, value in found.items() if isinstance(value, float)}
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    first = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    told = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
    assert len(names) == 18
    assert not names - told
