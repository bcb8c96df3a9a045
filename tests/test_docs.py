"""What the documentation names is there."""

import ast
import re
from pathlib import Path

import torch

from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.retrieval.graded import evaluate_graded
from dhaps_core.retrieval.histograms import distance_histograms
from dhaps_core.retrieval.metrics import evaluate
from dhaps_core.retrieval.relevance import Relevance

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"))


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


def test_every_link_to_a_file_leads_somewhere():
    dead = [
        (page.name, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not dead


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
