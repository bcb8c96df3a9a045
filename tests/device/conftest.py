"""The pretended device is told to torch before the first backward pass, in a process of its own.

That is tests/test_device.py: with it autograd has threads, and a process that has them cannot be forked and
go on learning. With a real device (DHAPS_DEVICE=cuda) the same tests run on that, and those about the
pretended one do not.
"""

import os
from pathlib import Path

import pytest

from tests.device.pretended import register
from tests.device.there import REAL

ALONE = "DHAPS_PRETENDED"
OF_THE_PRETENDED = ("test_pretended.py", "test_moves.py")

if os.environ.get(ALONE):
    register()


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if REAL and item.path.name in OF_THE_PRETENDED:
            item.add_marker(pytest.mark.skip(reason="about the device that is not there"))
        if not REAL and not os.environ.get(ALONE):
            item.add_marker(pytest.mark.skip(reason="runs in a process of its own, by tests/test_device.py"))
