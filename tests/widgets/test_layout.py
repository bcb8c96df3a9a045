"""Places of points on the map, for inputs that t-SNE itself cannot take."""

import numpy as np
import pytest

from widgets.explore.layout import tsne

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
