import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.masks.gamma_boxes import HalfWidths

GAMMA = (2.0, 0.05, 0.03)
shares = st.tuples(st.floats(0.05, 0.5), st.floats(0.05, 0.5)).map(lambda pair: tuple(sorted(pair)))


@given(st.integers(32, 300), st.integers(32, 300), shares, shares, st.booleans(), st.integers(0, 2**32))
def test_boxes_lie_in_the_image_and_half_widths_in_their_bounds(height, width, high, wide, gamma, seed):
    widths, rng = HalfWidths(high, wide, GAMMA if gamma else None), np.random.default_rng(seed)
    half = widths.draw((height, width), rng)
    for extent, (low, most) in zip(half, widths.pixels((height, width)), strict=True):
        assert low <= extent <= most
    x, y, w, h = widths.box(half, (height, width), rng)
    assert 0 <= x < x + w <= width
    assert 0 <= y < y + h <= height
    assert h <= 2 * half[0]
    assert w <= 2 * half[1]
    if y > 0 and y + h < height:
        assert h == 2 * half[0]


def test_gamma_half_widths_have_the_mean_of_the_draw_where_bounds_do_not_bind():
    """0.03 + 2 · 0.05 = 0.13 of the side, less the half pixel of rounding down."""
    rng, widths = np.random.default_rng(0), HalfWidths((0.004, 0.99), (0.004, 0.99), GAMMA)
    drawn = np.array([widths.draw((256, 256), rng) for _ in range(4000)])
    error = 0.05 * np.sqrt(2) * 256 / np.sqrt(4000)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.13 * 256 - 0.5, atol=3 * error)
    np.testing.assert_allclose(drawn.mean(axis=0) / 256, 0.13, atol=0.01)


def test_uniform_half_widths_take_every_whole_pixel_but_the_last():
    rng, widths = np.random.default_rng(0), HalfWidths((0.05, 0.2), (0.1, 0.1), None)
    drawn = np.array([widths.draw((256, 100), rng) for _ in range(4000)])
    assert set(drawn[:, 0]) == set(range(13, 51))
    assert set(drawn[:, 1]) == {10}


def test_centres_keep_the_least_half_width_from_the_border():
    rng, widths = np.random.default_rng(0), HalfWidths((0.1, 0.4), (0.1, 0.4), None)
    boxes = np.array([widths.box((3, 3), (100, 100), rng) for _ in range(4000)])
    centres = boxes[:, :2] + 3
    assert centres.min() == 10
    assert centres.max() == 89


def test_refuses_a_least_half_width_that_rounds_to_nothing():
    with pytest.raises(BadParameter, match=r"parameter width has a half-width of 0.01, which rounds to 0 of 40 pixels"):
        HalfWidths((0.03, 0.4), (0.01, 0.4), GAMMA).pixels((40, 40))
