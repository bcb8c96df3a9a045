"""Log-odds of "similar": what the line must do whatever the answers are."""

import pytest
import torch

from dhaps_core.acquisition.calibration import Calibration, fit_calibration

RANDOM = torch.linspace(-8, 8, 400)


def made(n, slope, intercept):
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(n, generator=generator) * 4
    same = torch.rand(n, generator=generator) < torch.sigmoid(slope * theta + intercept)
    return theta, torch.where(same, 1, -1).to(torch.int8)


def test_probability_by_hand():
    line = Calibration(slope=2.0, intercept=-1.0)
    assert float(line.probability(torch.tensor(0.5))) == 0.5


def test_many_answers_give_back_the_line_that_made_them():
    line = fit_calibration(*made(20_000, 1.5, -3.0), random_theta=RANDOM)
    assert line.slope == pytest.approx(1.5, rel=0.1)
    assert line.intercept == pytest.approx(-3.0, rel=0.1)


@pytest.mark.parametrize("relation", [[], [1], [-1], [1, 1, 1], [-1, -1, -1], [0, 0, 0], [-1, 1, 1]])
def test_few_answers_of_any_kind_give_a_finite_rising_line(relation):
    theta = torch.linspace(-2, 2, len(relation))
    line = fit_calibration(theta, torch.tensor(relation, dtype=torch.int8), random_theta=RANDOM)
    p = line.probability(torch.tensor([-8.0, 8.0]))
    assert line.slope > 0
    assert 0 < p[0] < 0.2 < 0.4 < p[1] < 1


def test_without_answers_a_tenth_of_random_pairs_is_taken_as_similar():
    line = fit_calibration(torch.zeros(0), torch.zeros(0, dtype=torch.int8), random_theta=RANDOM)
    assert 0.05 < float((line.probability(RANDOM) > 0.5).float().mean()) < 0.2


def test_unknown_pairs_do_not_count_and_codes_all_alike_keep_theta():
    theta, relation = made(500, 1.0, 0.0)
    more = torch.cat([theta, torch.full((99,), 5.0)])
    padded = torch.cat([relation, torch.zeros(99, dtype=torch.int8)])
    a, b = (fit_calibration(x, y, random_theta=RANDOM) for x, y in ((theta, relation), (more, padded)))
    assert a == b
    constant = torch.full((50,), 3.0)
    nothing = torch.zeros(0, dtype=torch.int8)
    assert fit_calibration(torch.zeros(0), nothing, random_theta=constant) == Calibration()


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_theta_must_be_finite(bad):
    theta, relation = made(5, 1.0, 0.0)
    with pytest.raises(ValueError, match="theta must be finite; got 1 that are not"):
        fit_calibration(theta.index_fill(0, torch.tensor(2), bad), relation, random_theta=RANDOM)
    with pytest.raises(ValueError, match="theta must be finite; got 1 that are not"):
        fit_calibration(theta, relation, random_theta=torch.tensor([0.0, bad]))


def test_there_are_random_pairs_and_a_relation_for_each_pair(unchecked):
    theta, relation = made(5, 1.0, 0.0)
    for given in (
        (theta, relation, RANDOM[:0]),
        (theta[:4], relation, RANDOM),
        (theta, relation[:0], RANDOM),
    ):
        with pytest.raises(
            ValueError, match="each pair must have a relation, and there must be random pairs"
        ):
            fit_calibration(given[0], given[1], random_theta=given[2])


def test_half_precision_gives_the_same_line():
    theta, relation = torch.tensor([3.0, 1.0, -2.0]), torch.tensor([1, 1, -1], dtype=torch.int8)
    random_theta = torch.tensor([0.5, -1.0, -3.0, 4.0])
    exact = fit_calibration(theta, relation, random_theta=random_theta)
    assert fit_calibration(theta.half(), relation, random_theta=random_theta.half()) == exact
