"""Values at the door; the fields of settings are tested with the settings."""

import numpy as np

from dhaps_core.checks import whole


def test_a_whole_number_is_one_of_python_or_numpy():
    assert [whole(value) for value in (7, -1, 2**70, np.int8(3), np.array(4))] == [7, -1, 2**70, 3, 4]
    for value in (True, np.True_, 1.0, np.float32(1), "1", None, [1], np.array([1, 2]), np.array([True])):
        assert whole(value) is None
