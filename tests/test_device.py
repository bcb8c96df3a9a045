"""The suite of the pretended device, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path


def test_whole_rounds_run_on_a_device_that_is_not_there():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        "tests/device",
    ]
    told = {**os.environ, "DHAPS_PRETENDED": "1"}
    done = subprocess.run(
        command, env=told, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
