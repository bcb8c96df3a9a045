"""Small problems for the tests of acquisition."""

from dataclasses import fields, replace

import torch

from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import READINGS

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


def everything(a, b):
    """Says that every pair is known."""
    return torch.ones_like(a + b, dtype=torch.bool)


def on(device, given):
    """The same problem, or pool, with its tensors on a device."""
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    tensors = {name: value.to(device) for name, value in values.items() if isinstance(value, torch.Tensor)}
    return replace(given, **tensors)
