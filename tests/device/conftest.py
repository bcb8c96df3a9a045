"""The device is told to torch before the first backward pass, in a process of its own (tests/test_device.py).

With it autograd has threads, and a process that has them cannot be forked and go on learning.
"""

import os
from pathlib import Path

import pytest

from tests.device.pretended import register

ALONE = "DHAPS_PRETENDED"

if os.environ.get(ALONE):
    register()


def pytest_collection_modifyitems(items):
    if not os.environ.get(ALONE):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(
                    pytest.mark.skip(reason="runs in a process of its own, by tests/test_device.py")
                )
