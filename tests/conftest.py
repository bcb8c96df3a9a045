"""Shared fixtures. DHAPS_DATA names a folder of real data; DHAPS_DEVICE=cuda runs the same suite on a GPU."""

import os
from pathlib import Path

import jaxtyping
import pytest
import torch

from tests.given import DEVICE


@pytest.fixture
def device():
    return DEVICE


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data; the test is skipped where there is none."""
    folder = os.environ.get("DHAPS_DATA")
    if not folder:
        pytest.skip("set DHAPS_DATA to a folder of real data to run this test")
    return Path(folder)


@pytest.fixture
def unchecked():
    """Runs a test as users do: without the shape and type checks that tests switch on."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
