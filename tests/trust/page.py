"""docs/trust.md: what we promise, how we test it, counts, what we found."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dhaps_core.files import replace_text

from .runner import Finding, Outcome

__all__ = ["page", "replay"]

HEAD = """\
# What we promise, and how we test it

Written by `make trust`; do not edit. Each row is a promise, attacked in every way we know. Every attack draws
from one seed, and what fails is named with the command that replays it.

"""


def replay(finding: Finding, seed: int, *, short: bool) -> str:
    """The command that makes one case again."""
    return f"python -m tests.trust --seed {seed} {'--short ' if short else ''}--case '{finding.case}'"


def page(outcomes: Sequence[Outcome], path: Path, *, seed: int, short: bool, workers: int) -> None:
    """Write the page."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "faiss-cpu", "pillow"))
    seconds = sum(outcome.seconds for outcome in outcomes)
    lines = [
        f"Seed {seed}; {workers} processes at a time on {os.cpu_count()} cores ({platform.machine()}), one "
        f"thread each; Python {platform.python_version()}, {versions}; {seconds:.0f} seconds of work in all.",
        "",
        "| what we promise | how we test it | counts | failing now | what we found |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        attack = outcome.attack
        count = f"{outcome.tried:,} {attack.unit}, {outcome.cases:,} cases, {outcome.seconds:.0f} s"
        if outcome.cases < outcome.planned:
            count += f" (of {outcome.planned:,} planned: out of time)"
        failing = str(len(outcome.findings)) if outcome.findings else "none"
        cells = (attack.promise, attack.how, count, failing, attack.found)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    notes = [
        f"- {outcome.attack.name}: {count} {note}"
        for outcome in outcomes
        for note, count in outcome.notes.items()
    ]
    if notes:
        lines += ["", "Also to be known:", "", *notes]
    if failing := [(outcome, one) for outcome in outcomes for one in outcome.findings]:
        lines += ["", "## Failing now", ""]
        lines += [
            f"- {' '.join(one.text.split())[:300]}: `{replay(one, seed, short=short)}`"
            for _, one in failing[:100]
        ]
    replace_text(path, HEAD + "\n".join(lines) + "\n")
