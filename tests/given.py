"""What tests share: the device, a run of milliseconds, notebooks of two cells, and names that do harm."""

import json
import os
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from dhaps_core.answers.questions import label_oracle
from dhaps_core.data.sources import arrays
from dhaps_core.hashing.training_settings import TrainingSettings
from dhaps_core.session.active import ActiveSession
from dhaps_core.session.settings import Settings

DEVICE = torch.device(os.environ.get("DHAPS_DEVICE", "cpu"))

# 40 items of 4 classes, 8 bits, 2 steps of training.
TINY = Settings(
    method="dpsh", reading="closed", picks=3, bits=8, hidden=0, training=TrainingSettings(least=2, most=2)
)

# Rounds of a second on the digits, by a method with steps: they can be cancelled, and looked on at.
BRIEF = Settings(
    method="dpsh", reading="closed", picks=4, bits=16, hidden=32,
    training=TrainingSettings(least=5, most=5, batch=64),
)  # fmt: skip
LONGER = replace(BRIEF, training=replace(BRIEF.training, least=20, most=20))


def tiny_items(n=40, seed=0):
    labels = np.arange(n) % 4
    features = np.random.default_rng(seed).normal(size=(n, 6)) + 3 * np.eye(6)[labels]
    return arrays(features, labels, queries=8, seed=0)


def played(folder, items, rounds, settings=TINY):
    """A session after so many rounds that an oracle answered, the unsupervised start included."""
    session = ActiveSession(folder, items, settings)
    while session.round < rounds:
        session.run_round(label_oracle(items))
    return session


@contextmanager
def training(session):
    """The round of a session is trained in the background for as long as the block lasts."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(*_):
        begun.set()
        return not go_on.wait(30)

    thread = threading.Thread(target=lambda: session.train(progress=wait, partial=True))
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        go_on.set()
        thread.join(30)


# Deterministic, failing or sleeping, as the parameters say.
PARAMETERS = """\
folder: str = "."  # where metrics.json goes
log: str = "log"  # side file: one line at the start and one at the end of every execution
seed: int = 0  # a comment with an = in it
scale: float = 1  # factor
limit: int | None = None  # what papermill's own reader does not know
fail: bool = False  # whether to raise
sleep: float = 0.0  # seconds
interactive: bool = True  # a sweep sets it to False
"""

CODE = """\
import hashlib, json, os, pathlib, time

assert interactive is False
with open(log, "a") as file:
    file.write(f"start {pathlib.Path(folder).name}\\n")
time.sleep(sleep)
if fail:
    raise ValueError("as asked\\nwith a second line")
value = int.from_bytes(hashlib.sha256(f"{seed} {scale}".encode()).digest()[:6], "big") / 2**40
metrics = {"mAP": value, "seconds": time.time(), "threads": int(os.environ["OMP_NUM_THREADS"]),
           "protocol": "made", "fingerprint": "ab12", "rounds": [{"items": 0}, {"items": 20}]}
pathlib.Path(folder, "metrics.json").write_text(json.dumps(metrics))
with open(log, "a") as file:
    file.write(f"end {pathlib.Path(folder).name}\\n")
"""


def write_notebook(path, parameters=PARAMETERS, code=CODE):
    """A notebook with a parameters cell and one more."""
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"tags": tags}, "execution_count": None, "outputs": [],
         "source": source}
        for name, tags, source in (("first", ["parameters"], parameters), ("second", [], code))
    ]  # fmt: skip
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content))
    return path


def write_grid(folder, text, name="grid.yaml"):
    """A grid file in a folder with the tiny notebook and an empty side file."""
    write_notebook(folder / "tiny.ipynb")
    (folder / "log").touch()
    path = folder / name
    path.write_text("notebook: tiny.ipynb\n" + text)
    return path


# What a class, a key or a run may be called, to the harm of whoever takes it for more than a name.
NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onmouseover='alert(1)",
    "<!-- gone",
    "&lt;b&gt; &amp; &#60;",
    "javascript:alert(1)",
    "[text](javascript:alert(1))",
    "![](x) `code` *a* **b** _c_ __d__ ~~e~~",
    "a | b || c",
    "\\| and \\\\| and |\\",
    "\\",
    "$x$",
    "$",
    "$$\\frac{1}{0}$$ and \\(x\\) and \\[y\\]",
    "a\\$b",
    "\\href{javascript:alert(1)}{x}",
    "\\input{/etc/passwd} % # & ~ ^ { }",
    "a_b^c~d--e---f",
    "[1ex] *",
    "* star",
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    " =1+1",
    "a;=1+1",
    "b\t@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "=HYPERLINK(\"x\",\"y\")",
    "\uff1d1+1",
    "two\nlines",
    "three\r\nlines\u2028more\u2029and\x0bmore",
    "\x1b[2J\x1b]0;title\x07 \x00 \x7f",
    "gnp.\u202etxt",
    "half \udcff of a byte",
    "a, \"b\"; c",
    "_hidden",
    "# title",
    "- item",
    "数字 5",
    "x" * 500,
]  # fmt: skip
