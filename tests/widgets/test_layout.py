"""Places of points on the map, for inputs that t-SNE itself cannot take."""

import numpy as np
import pytest

from widgets.explore.places import aligned, beside, tsne

DRAW = np.random.default_rng(0)
INPUTS = {
    "ten equal points": np.ones((10, 5)),
    "two points with copies": np.repeat(np.eye(2, 5), 50, 0),
    "three points with copies": np.repeat(np.eye(3, 5), 50, 0),
    "four points with copies": np.repeat(np.eye(4, 5), 50, 0),
    "no point": np.zeros((0, 5)),
    "one point": np.ones((1, 5)),
    "two points": DRAW.normal(size=(2, 5)),
    "three points": DRAW.normal(size=(3, 5)),
    "fewer points than the perplexity": DRAW.normal(size=(5, 1)),
    "constant columns": np.c_[np.ones((40, 3)), DRAW.normal(size=40)],
    "the greatest float32 values": DRAW.choice([-3e38, 3e38, 1e38], size=(40, 5)),
    "denormal values": DRAW.normal(size=(40, 5)) * 1e-40,
    "far from the origin": 1e6 + DRAW.normal(size=(40, 5)),
    "one outlier": np.vstack([DRAW.normal(size=(40, 4)) * 1e-12, np.full((1, 4), 1e6)]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_point_has_a_finite_place_and_equal_points_the_same(name):
    points = INPUTS[name].astype(np.float32)
    places = tsne(points, seed=0)
    assert places.shape == (len(points), 2)
    assert places.dtype == np.float32
    assert np.isfinite(places).all()
    assert (np.abs(places) <= 1).all()
    _, place = np.unique(points, axis=0, return_inverse=True)
    for group in set(place.tolist()):
        assert (places[place == group] == places[place == group][0]).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(wrong):
    points = np.zeros((10, 3), np.float32)
    points[4, 1] = wrong
    with pytest.raises(ValueError, match="points must be finite; got 1 values that are not"):
        tsne(points, seed=0)


def test_a_map_that_starts_from_the_last_and_is_laid_upon_it_keeps_still():
    """Eight groups that move a little: each by itself would be turned or mirrored anyhow."""
    rng = np.random.default_rng(1)
    groups = rng.normal(size=(8, 16))[np.arange(240) % 8]
    first = (groups + 0.3 * rng.normal(size=(240, 16))).astype(np.float32)
    then = (first + 0.1 * rng.normal(size=first.shape)).astype(np.float32)
    last, shared = tsne(first, seed=0), np.ones(240, bool)
    turned = last[:, ::-1] * np.array([-1, 1], np.float32)  # as if the one before had come out another way
    following = aligned(tsne(then, seed=0, start=turned), turned, shared)
    for axis in (0, 1):
        assert np.corrcoef(following[:, axis], turned[:, axis])[0, 1] > 0.95
    assert (following == aligned(tsne(then, seed=0, start=turned), turned, shared)).all()
    assert np.abs(following).max() <= 1


@pytest.mark.parametrize("name", INPUTS)
def test_a_map_with_a_start_takes_what_one_without_takes(name):
    points = INPUTS[name].astype(np.float32)
    start = np.random.default_rng(0).normal(size=(len(points), 2)).astype(np.float32)
    for begun in (start, np.zeros_like(start)):
        places = tsne(points, seed=0, start=begun)
        assert np.isfinite(places).all()
        if len(points):
            assert np.isfinite(aligned(places, begun, np.ones(len(points), bool))).all()


def test_what_is_not_arranged_lies_beside_what_it_is_like():
    rng = np.random.default_rng(0)
    centres = 5 * np.eye(4, 8)
    points = (centres[np.arange(400) % 4] + 0.1 * rng.normal(size=(400, 8))).astype(np.float32)
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], np.float32)
    arranged = np.arange(40)
    places = beside(points, arranged, corners[arranged % 4], seed=0)
    assert (places[:40] == corners[arranged % 4]).all()
    assert np.abs(places - corners[np.arange(400) % 4]).max() < 0.05
    assert len(np.unique(places[40:], axis=0)) > 250  # equal ones do not hide each other
