"""The neighbour graph against dense algebra."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from dhaps_core.hashing import neighbours
from dhaps_core.hashing.neighbours import DAMPED, FAINT, REACH, STEPS, NeighbourGraph


def rows(n=60, d=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator), dim=1)


def dense_graph(points, k=10):
    """S by the definition, one pair at a time."""
    x = points.double().numpy()
    squared = ((x[:, None] - x[None]) ** 2).sum(2)
    np.fill_diagonal(squared, np.inf)
    near = np.argsort(squared, axis=1)[:, :k]
    scale = np.sqrt([squared[i, near[i, -1]] for i in range(len(x))])
    joined = np.zeros_like(squared)
    for i in range(len(x)):
        for j in near[i]:
            weight = np.exp(-squared[i, j] / (scale[i] * scale[j]))
            joined[i, j] = joined[j, i] = max(joined[i, j], joined[j, i], weight)
    root = joined.sum(1) ** -0.5
    return root[:, None] * joined * root[None]


def test_spreading_solves_the_system():
    points = rows()
    evidence = np.random.default_rng(0).random((60, 3))
    exact = np.linalg.solve(np.eye(60) - REACH * dense_graph(points), evidence)
    assert NeighbourGraph(points).spread(evidence) == pytest.approx(exact, rel=0.05, abs=0.02)


def test_the_neighbourhood_is_the_start_of_a_diffusion():
    points = rows()
    step = DAMPED * dense_graph(points)
    exact = sum(np.linalg.matrix_power(step, power) for power in range(STEPS + 1))
    root = np.diag(exact) ** -0.5
    kernel = NeighbourGraph(points).neighbourhood.toarray()
    assert np.abs(kernel - root[:, None] * exact * root[None]).max() < 5 * FAINT
    assert kernel == pytest.approx(kernel.T)
    assert np.diag(kernel) == pytest.approx(1.0)
    assert kernel.min() >= 0


@pytest.mark.parametrize(("compressed", "d"), [(10_000, 8), (1000, 8), (1000, 7)])
def test_nearby_cells_find_nearly_the_same_neighbours(monkeypatch, compressed, d):
    points = rows(3000, d)
    whole = NeighbourGraph(points)._normalised
    monkeypatch.setattr(neighbours, "LISTED", 1000)
    monkeypatch.setattr(neighbours, "COMPRESSED", compressed)
    cells = NeighbourGraph(points)._normalised
    both = whole.multiply(cells)
    assert both.count_nonzero() > 0.9 * whole.count_nonzero()
    assert both.sum() == pytest.approx(whole.multiply(whole).sum(), rel=0.1)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_items(n):
    spread = NeighbourGraph(rows(n)).spread(np.eye(n)[:, :1])
    assert np.isfinite(spread).all()
    assert spread[0, 0] >= 1


def test_equal_items_and_items_without_a_direction():
    points = torch.cat([rows(1).expand(30, -1), torch.zeros(30, 5)])
    graph = NeighbourGraph(points)
    assert np.isfinite(graph.spread(np.eye(60)[:, :2])).all()
    assert np.isfinite(graph.neighbourhood.data).all()
