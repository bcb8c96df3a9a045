"""The learner for few answers on any number of items, step by step as the benchmark notebook times it."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import one_hot

from dhaps_core.benchmarks.cases import made_features
from dhaps_core.hashing.foretelling import Collection, Told
from dhaps_core.hashing.methods.piq import PIQ
from dhaps_core.hashing.network import encode
from dhaps_core.hashing.plan import NetworkPlan
from dhaps_core.hashing.training_set import TrainingSet

__all__ = ["learning_seconds"]

CLASSES = 10


def learning_seconds(n: int, answers: int, device: str) -> dict[str, float]:
    """Seconds of each step of :class:`PIQ` on n made items of 256 features, for codes of 32 bits.

    The neighbour graph is made once for a collection; a round learns and encodes.
    """
    rows, generator = made_features(n, clusters=1000), torch.Generator().manual_seed(0)
    plan = NetworkPlan("piq", bits=32, features=rows.shape[1], side=0, network="residual_cnn", hidden=0)
    network = plan.build(generator=generator).to(device)
    at = torch.arange(answers) * (n // answers)
    told = Told(at, one_hot(torch.arange(answers) % CLASSES, CLASSES).bool())
    collection, pool = Collection(rows), torch.arange(n)
    training = TrainingSet(network, rows, _untold, pool, at, generator, told=told, seen=collection)
    steps: dict[str, Callable[[], object]] = {
        "graph": lambda: collection.graph,
        "learn": lambda: PIQ().fit(training),
        "encode": lambda: encode(network, rows),
    }
    seconds = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - started
    return seconds


def _untold(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    raise AssertionError("a closed form reads no pairs")
