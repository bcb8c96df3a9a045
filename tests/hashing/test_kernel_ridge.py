"""The kernel machine: its weights, and what it says of items without their fold."""

import pytest
import torch
from torch.nn.functional import normalize

from dhaps_core.hashing import foretelling
from dhaps_core.hashing.foreteller import Foreteller
from dhaps_core.hashing.foretelling import Collection, Told, foretell
from dhaps_core.hashing.kernel_ridge import RIDGE, kernel_ridge, unit_kernel


def rows(n, seed=0):
    return normalize(torch.randn(n, 5, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_two_centres_by_hand():
    # K + lambda I has 1.1 and k; its inverse is that with -k, over 1.21 - k^2.
    k = 0.5
    kernel = torch.tensor([[1.0, k], [k, 1.0]])
    y = torch.tensor([[1.0], [-2.0]])
    weights, apart = kernel_ridge(kernel, y, torch.tensor([0, 1]))
    below = (1 + RIDGE) ** 2 - k**2
    assert weights.flatten().tolist() == pytest.approx(
        [((1 + RIDGE) * 1 + 2 * k) / below, ((1 + RIDGE) * -2 - k) / below], rel=1e-5
    )
    # Told of the other one alone, the machine says k y / (1 + lambda).
    assert apart.flatten().tolist() == pytest.approx([k * -2 / (1 + RIDGE), k * 1 / (1 + RIDGE)], rel=1e-5)


def test_without_a_fold_it_says_what_a_machine_says_that_was_never_told_it():
    x, bandwidth = rows(23), 0.8
    y = torch.randn(23, 3, generator=torch.Generator().manual_seed(1))
    fold = torch.arange(23) % 5
    kernel = unit_kernel(x, x, bandwidth=bandwidth)
    _, apart = kernel_ridge(kernel, y, fold)
    for number in range(5):
        told, part = fold != number, fold == number
        alone, _ = kernel_ridge(kernel[told][:, told], y[told], fold[told])
        torch.testing.assert_close(apart[part], kernel[part][:, told] @ alone, atol=1e-4, rtol=1e-3)


def test_the_kernel_is_that_of_distances():
    a, b = rows(7), rows(4, seed=1)
    expected = (-torch.cdist(a, b).square() / (2 * 0.6**2)).exp()
    torch.testing.assert_close(unit_kernel(a, b, bandwidth=0.6), expected, atol=1e-5, rtol=1e-4)


def rings(n=600):
    """Three shells of a ball are one class and the rest: no half-space, and no islands."""
    x = rows(n)
    return x, (x[:, 0].abs() + 0.3 * x[:, 1] > 0.5).long()


def test_classes_of_any_shape_are_foretold_once_many_items_are_known():
    x, labels = rings()
    at = torch.arange(0, 600, 2)
    found = foretell(Collection(x), Told(at, torch.nn.functional.one_hot(labels[at]).bool()))
    _, regression, kernels = found.trust
    assert kernels > regression
    rest = torch.arange(1, 600, 2)
    assert float((found.probabilities[rest].argmax(1) == labels[rest]).float().mean()) > 0.9


def test_of_very_many_known_items_the_kernels_are_told_of_some(monkeypatch):
    x, labels = rings()
    at = torch.arange(0, 600, 2)
    told = Told(at, torch.nn.functional.one_hot(labels[at]).bool())
    monkeypatch.setattr(foretelling, "CENTRES", 100)
    collection = Collection(x)
    found = foretell(collection, told)
    assert found.centres.tolist() == at[::3].tolist()
    front = Foreteller(5, classes=2, landmarks=200 + 100)
    front.learn(collection, found, generator=torch.Generator().manual_seed(0))
    rest = torch.arange(1, 600, 2)
    for p in (found.probabilities[rest], front.of_rows(x[rest])):
        assert float((p.argmax(1) == labels[rest]).float().mean()) > 0.85
