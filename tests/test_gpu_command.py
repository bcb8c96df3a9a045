"""The command of ``make gpu``: it runs, counts and says what failed; here on the CPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_it_writes_one_json(tmp_path):
    command = [sys.executable, "-m", "tests.gpu", "--device", "cpu", "--smoke", "--only", "suite"]
    command += ["--out", str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {"card", "torch", "suite"} <= found.keys()
    assert found["suite"]["skipped"] > 20  # on the CPU they run in a process of their own
    assert found["suite"]["failed"] == []
