"""The short form of every attack of ``make trust``, run once as the command and told attack by attack."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .attacks import ATTACKS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def told(request, tmp_path_factory):
    """What the command says of the attacks that were chosen."""
    chosen = {item.callspec.params["name"] for item in request.session.items if item.path == Path(__file__)}
    out = tmp_path_factory.mktemp("trust") / "told.json"
    command = [sys.executable, "-m", "tests.trust", "--short", "--json", str(out)]
    command += [word for name in sorted(chosen) for word in ("--only", name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    return json.loads(out.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", [attack.name for attack in ATTACKS])
def test_the_promise_is_kept_under_attack(told, name):
    assert told[name]["findings"] == []
    assert told[name]["cases"] == told[name]["planned"] > 0
    assert told[name]["tried"] or told[name]["notes"]
    if told[name]["tried"] == 0:
        pytest.skip("; ".join(told[name]["notes"]))
