"""Whole sessions: each ends, with the picks of brute force (see many_sessions)."""

import json
import subprocess
import sys
from pathlib import Path

from .case import Attack, Case
from .many_sessions import REAL

__all__ = ["ATTACK"]

ROOT = Path(__file__).parents[2]


def cases(short: bool) -> list[str]:
    return [f"{1 if short else 20} sessions at most"]


def play(case: Case) -> None:
    out, count = case.folder / "sessions.jsonl", case.name.split()[0]
    command = [sys.executable, "-m", "tests.trust.many_sessions", "--sessions", count, "--seconds", "60"]
    command += ["--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    case.tried += len(rows)
    if not REAL.is_file():
        case.note("on clusters, as DHAPS_DATA holds no embeddings of CIFAR-10", len(rows))
    case.require(done.returncode == 0, f"sessions end wrong: {(done.stdout + done.stderr)[-300:]}")


ATTACK = Attack(
    name="many_sessions",
    promise="Every selection ends, with the picks of brute force",
    how="sessions of eight rounds on 2,000 random embeddings of CIFAR-10, or of clusters where those are not "
    "at hand, of drawn settings, one round of each compared with the table of all costs (a thousand are "
    "`python -m tests.trust.many_sessions`)",
    found="Before: 6 of 88 such sessions never ended. Now each turn of every solver's loop makes progress",
    unit="sessions",
    cases=cases,
    play=play,
    limit=300,
)
