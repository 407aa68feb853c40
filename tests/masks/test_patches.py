import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.masks.patches import half_width, square_patch


@given(st.integers(32, 300), st.integers(32, 300), st.integers(0, 2**32))
def test_patches_lie_in_the_image_and_are_square_unless_cut(height, width, seed):
    x, y, w, h = square_patch((height, width), np.random.default_rng(seed))
    assert x >= 0
    assert y >= 0
    assert x + w <= width
    assert y + h <= height
    least, most = 2 * round(0.05 * min(height, width)), 2 * round(0.2 * min(height, width))
    assert min(w, h) >= least / 2
    assert max(w, h) < max(most, least + 1)
    if x > 0 and y > 0 and x + w < width and y + h < height:
        assert w == h
        assert w % 2 == 0


def test_centres_fill_the_core_and_half_widths_their_range():
    rng = np.random.default_rng(0)
    boxes = np.array([square_patch((256, 256), rng, (0.05, 0.09)) for _ in range(4000)])  # never cut
    centres = boxes[:, :2] + boxes[:, 2:] // 2
    assert centres.min() == 25
    assert centres.max() == 229
    assert set(boxes[:, 2] // 2) == set(range(13, 23))
    np.testing.assert_allclose(centres.mean(axis=0), 127, atol=3 * 59 / np.sqrt(4000))


def test_a_range_of_one_width_is_that_width():
    assert {half_width(100, (0.1, 0.1), np.random.default_rng(k)) for k in range(5)} == {10}


def test_refuses_a_patch_of_no_width():
    with pytest.raises(BadParameter, match="rounds to 0"):
        square_patch((32, 32), np.random.default_rng(0), (0.01, 0.2))
