"""The reading covered, against the slow obvious way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dhaps_core.acquisition.covered import TERMS, Cover, margin_uncertainty
from dhaps_core.acquisition.problem import Weights
from dhaps_core.acquisition.strategies import STRATEGIES
from dhaps_core.session.settings import Settings
from tests.acquisition.given import make_pool


def random_kernel(n, seed, share=0.3):
    draw = np.random.default_rng(seed)
    values = np.where(draw.random((n, n)) < share, draw.random((n, n)), 0)
    values = np.maximum(values, values.T)
    np.fill_diagonal(values, 1)
    return sparse.csr_matrix(values.astype(np.float32))


def covered(kernel, weights, chosen):
    """F by its definition."""
    dense = kernel.toarray().astype(np.float64)
    return float(weights @ dense[:, chosen].max(axis=1)) if chosen else 0.0


@given(n=st.integers(2, 12), seed=st.integers(0, 2**16))
@settings(max_examples=60, deadline=None)
def test_gains_are_what_items_add(n, seed):
    draw = np.random.default_rng(seed)
    kernel, weights = random_kernel(n, seed), draw.random(n)
    cover, chosen = Cover(kernel, weights), []
    for item in draw.permutation(n)[: n // 2].tolist():
        cover.add(item)
        chosen.append(item)
        for other in range(n):
            gain = covered(kernel, weights, [*chosen, other]) - covered(kernel, weights, chosen)
            assert cover.gains[other] == pytest.approx(gain, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_picks_are_those_of_brute_force(seed):
    kernel, weights = random_kernel(30, seed), np.random.default_rng(seed).random(30)
    cover = Cover.of(kernel, weights, [3, 4], weights=Weights(1.0, 1.0, 1.0))
    candidates = np.ones(30, dtype=bool)
    candidates[[3, 4, 5]] = False
    found = cover.pick(candidates, 6)
    chosen = [3, 4]
    for item, terms in found.items():
        gains = {
            other: covered(kernel, weights, [*chosen, other]) - covered(kernel, weights, chosen)
            for other in np.flatnonzero(candidates).tolist()
            if other not in chosen
        }
        assert gains[item] == pytest.approx(max(gains.values()), abs=1e-6)
        assert terms["total"] == pytest.approx(-gains[item], abs=1e-6)
        assert sum(terms[name] for name in TERMS[:3]) == pytest.approx(terms["total"])
        chosen.append(item)


def test_every_term_can_be_switched_off():
    kernel = sparse.csr_matrix(
        np.array([[1, 0.9, 0.9, 0], [0.9, 1, 0.9, 0], [0.9, 0.9, 1, 0], [0, 0, 0, 1]], dtype=np.float32)
    )
    unsure = np.array([0.1, 0.1, 0.1, 0.5])
    every = np.ones(4, dtype=bool)

    def picked(*weights):
        return list(Cover.of(kernel, unsure, [], weights=Weights(*weights)).pick(every, 2))

    assert picked(1.0, 1.0, 1.0) == [3, 0]  # .5 against .28, though three stand for each other
    assert picked(0.0, 1.0, 1.0) == [0, 3]  # the three are 2.8 together, and covered by one of them
    assert picked(0.0, 1.0, 0.0) == [0, 1]  # nothing counts as covered
    assert picked(1.0, 0.0, 1.0) == [3, 0]  # what is most uncertain, then the first of the others


@given(n=st.integers(2, 12), seed=st.integers(0, 2**16), weight=st.sampled_from([0.0, 0.25, 1.0, 3.0]))
@settings(max_examples=30, deadline=None)
def test_representativeness_weighs_what_an_item_stands_for_beside_itself(n, seed, weight):
    kernel, sure = random_kernel(n, seed), np.random.default_rng(seed).random(n)
    before, weights = kernel.toarray(), Weights(1.0, weight, 1.0)
    dense = weight * before
    np.fill_diagonal(dense, 1)
    found = Cover.of(kernel, sure, [0], weights=weights)
    right = Cover(sparse.csr_matrix(dense), sure)
    right.add(0)
    assert found.gains == pytest.approx(right.gains, abs=1e-5)
    assert np.array_equal(kernel.toarray(), before)  # which is that of the whole run


def test_no_class_or_one_is_no_reason_to_be_sure():
    assert margin_uncertainty(np.zeros((3, 0))).tolist() == [1, 1, 1]
    assert margin_uncertainty(np.ones((3, 1))).tolist() == [1, 1, 1]


def test_uncertain_items_are_preferred():
    sure = torch.zeros(40, 2)
    sure[:, 0] = 1.0
    sure[20:, :] = 0.5
    pool = make_pool(probabilities=lambda: sure)
    pairs = STRATEGIES["dhaps"].of(Settings()).choose(pool, picks=3).pairs
    assert int((pairs >= 20).sum()) == 6


def test_uncertainty_counts_as_far_as_held_out_answers_bear_the_probabilities_out():
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.rand(40, 3, generator=generator)
    probabilities /= probabilities.sum(1, keepdim=True)

    def chosen(borne_out, uncertainty=1.0):
        pool = make_pool(probabilities=lambda: probabilities, borne_out=lambda: borne_out)
        strategy = STRATEGIES["dhaps"].of(Settings(weights=Weights(uncertainty, 1.0, 1.0)))
        return strategy.choose(pool, picks=8).pairs.tolist()

    assert chosen(0.0) == chosen(1.0, uncertainty=0.0)  # none of it
    assert chosen(0.25) == chosen(1.0, uncertainty=0.5)
    assert chosen(0.5) == chosen(1.0) != chosen(0.0)
