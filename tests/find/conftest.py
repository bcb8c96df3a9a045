"""What the tests of this room share: a finished run of small pictures, and its result alone in a folder."""

import shutil
import warnings

import pytest

from dhaps_core.codes import ConstantBits
from tests.find.given import run_of_pictures


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder, items, encoder, session); the result is beside the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantBits)
        base = tmp_path_factory.mktemp("run")
        return base, *run_of_pictures(base)


@pytest.fixture
def result(run, tmp_path):
    """A copy of the result, alone in a folder."""
    return shutil.copytree(run[0] / "result", tmp_path / "taken")
