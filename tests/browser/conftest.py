"""A JupyterLab of its own for each test, and a page of a fresh browser."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.browser.lab import Lab, browser_page


@pytest.fixture
def lab():
    # Not pytest's folder: the path of the kernel's socket would get too long.
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()
        shutil.rmtree(folder)


@pytest.fixture
def page(lab, request):
    with browser_page() as page:
        yield page
        out = os.environ.get("DHAPS_BROWSER_OUT")
        if out:
            page.screenshot(path=str(Path(out, f"{request.node.name}.png")))
            shutil.copy(lab.folder / "server.log", Path(out, f"{request.node.name}.log"))
