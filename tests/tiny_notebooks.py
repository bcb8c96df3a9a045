"""Notebooks of two cells for tests of sweeps: deterministic, failing or sleeping, as their parameters say."""

import json

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
