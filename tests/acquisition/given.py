"""Small problems and pools for the tests of acquisition."""

from dataclasses import fields, replace

import torch
from torch.nn.functional import normalize

from dhaps_core.acquisition.calibration import Calibration
from dhaps_core.acquisition.contract import Pool
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import READINGS
from dhaps_core.hashing.neighbours import NeighbourGraph

SIGMA = 2.0
LABELLED = {
    "closed": {"labelled_items": torch.tensor([0, 1, 2, 5])},
    "published": {"labelled_pairs": torch.tensor([[0, 1], [2, 5]])},
}


def make_problem(n=8, b=6, seed=0, *, reading="published", dtype=torch.float64, **changes):
    """Random codes, their signs as the space; something is labelled unless ``labelled`` is False."""
    generator = torch.Generator().manual_seed(seed)
    relaxed = torch.tanh(torch.randn(n, b, generator=generator, dtype=torch.float64) * 2).to(dtype)
    given = {"space": torch.where(relaxed >= 0, 1.0, -1.0).to(dtype), "bandwidth": SIGMA}
    given |= {"weights": Weights(1.0, 1.0, 1.0)} | (
        LABELLED[reading] if changes.pop("labelled", True) else {}
    )
    return READINGS[reading](relaxed, **(given | changes))


def make_pool(n=40, seed=0, *, labelled=6, **changes):
    """A pool in clusters, whose first items are labelled and cannot be picked; each cluster is a class."""
    generator = torch.Generator().manual_seed(seed)
    cluster = torch.arange(n) % 5
    centres = 3 * torch.randn(5, 8, generator=generator)
    features = centres[cluster] + torch.randn(n, 8, generator=generator)
    probabilities = (features @ centres.T / 9).softmax(1) if labelled > 1 else features[:, :0]
    given = {
        "relaxed": torch.tanh(features @ torch.randn(8, 6, generator=generator)),
        "features": features,
        "candidates": torch.arange(n) >= labelled,
        "seed": seed,
        "round": 1,
        "known": None,
        "labelled": torch.arange(labelled),
        "classes": torch.where(torch.arange(n) < labelled, cluster, -1),
        "alike": torch.ones(n, dtype=torch.long),
        "earlier": lambda: torch.arange(labelled).view(-1, 2),
        "calibration": Calibration,
        "probabilities": lambda: probabilities,
        "borne_out": lambda: 1.0,
        "neighbourhood": lambda: NeighbourGraph(normalize(features, dim=1)).neighbourhood,
        "keep": lambda _, compute: compute(),
    }
    return Pool(**(given | changes))


def everything(a, b):
    """Says that every pair is known."""
    return torch.ones_like(a + b, dtype=torch.bool)


def on(device, given):
    """The same problem, or pool, with its tensors on a device."""
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    tensors = {name: value.to(device) for name, value in values.items() if isinstance(value, torch.Tensor)}
    return replace(given, **tensors)
