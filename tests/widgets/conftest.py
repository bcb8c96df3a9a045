"""What tests of the cards share: the collection, and a bench whose run has its unsupervised start."""

import pytest

from dhaps_core.data.sources import digits
from widgets.workbench import Workbench


@pytest.fixture(scope="module")
def items():
    return digits(seed=0)


@pytest.fixture
def bench(tmp_path, items, request):
    """Its run has the settings that the module calls QUICK."""
    bench = Workbench(tmp_path, items, request.module.QUICK)
    bench.session.train()
    return bench
