"""Attacks on what the product promises: ``python -m tests.trust`` makes them and writes what came of it."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # what the tests share, tiny_notebooks
