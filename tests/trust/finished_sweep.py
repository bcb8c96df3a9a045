"""The folder of a sweep whose runs are finished, made without a kernel."""

import json
from pathlib import Path

from dhaps_core.sweeps.grid import read_grid
from dhaps_core.sweeps.marker import finish, prepare
from tests.given import write_grid

__all__ = ["finished_sweep"]


def finished_sweep(folder: Path, *, runs: int) -> Path:
    """Grid file of a sweep in ``folder / "out"`` all of whose runs have their marker."""
    path = write_grid(folder, f"blocks:\n  fine: {{seed: {list(range(runs))}, log: ./log}}\n")
    grid = read_grid(path)
    for i, cell in enumerate(grid.cells):
        run = folder / "out" / cell.run
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps({"mAP": i / 10, "rounds": [{"items": i}]}))
        (run / grid.notebook.path.name).write_text("{}")
        record = {"parameters": cell.parameters, "notebook": grid.notebook.path.name}
        prepare(run, {"run": cell.run, **record, "code": grid.notebook.code, "git": {}, "starts": 1})
        finish(run)
    return path
