"""What tests of the grids share: sizes of the data sets, and the plan of a run by the notebook's own cell."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from dhaps_core.paper.plan import plan
from dhaps_core.session.settings import Settings

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
POOLS = {  # training items of each data set
    "digits": 1597,
    "cifar10_efflite0_224px_pca256.npz": 50_000,
    "tiny_imagenet_efflite0_128px_pca256.npz": 15_000,
    "scenes_efflite0_224px_pca256.npz": 1700,
    "trashnet_efflite0_224px_pca256.npz": 2127,
}


def made_data(folder, monkeypatch):
    """Files of the right names: a grid's paths must exist."""
    monkeypatch.setenv("DHAPS_DATA", str(folder))
    for name in POOLS:
        (folder / name).touch()


def name_of(cell):
    """Of the data set of a run."""
    return Path(cell.parameters["dataset"]).name


def planned(cell):
    """Plan and settings of a run."""
    cells = json.loads((NOTEBOOKS / "04_train_a_method.ipynb").read_text(encoding="utf-8"))["cells"]
    [source] = ["".join(one["source"]) for one in cells if "todo = plan(" in "".join(one["source"])]
    items = SimpleNamespace(splits={"train": range(POOLS[name_of(cell)])})
    names = {"plan": plan, "Settings": Settings, "replace": replace, "items": items, **cell.parameters}
    exec(source, names)
    return names["todo"], names["settings"]
