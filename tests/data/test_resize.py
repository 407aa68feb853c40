from fractions import Fraction
from math import floor

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from flawsmith.data.resize import resize_image, resize_map, resize_mask, resize_mask_nearest

sides = st.integers(1, 40)


@given(sides, sides, sides, sides, st.integers(0, 255))
def test_a_flat_image_stays_flat(height, width, new_height, new_width, value):
    image = np.full((height, width, 3), value, np.uint8)
    resized = resize_image(image, (new_height, new_width))
    assert resized.shape == (new_height, new_width, 3)
    assert resized.dtype == np.uint8
    assert (resized == value).all()


def test_shrinking_an_image_averages_areas():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = 200
    image[0, 0] = 0
    assert resize_image(image, (2, 2))[:, :, 0].tolist() == [[150, 0], [0, 0]]


def test_one_side_may_shrink_while_the_other_grows():
    image = np.repeat(np.arange(0, 240, 60, dtype=np.uint8)[:, None, None], 3, axis=2)
    resized = resize_image(image, (2, 5))
    assert resized[:, :, 0].tolist() == [[30] * 5, [150] * 5]


def test_the_same_size_comes_back_as_a_copy():
    image = np.zeros((3, 3, 3), np.uint8)
    resized = resize_image(image, (3, 3))
    resized[:] = 1
    assert not image.any()


def test_half_covered_pixels_are_on_the_mask():
    mask = np.zeros((2, 6), bool)
    mask[0, :2] = True
    mask[0, 2] = True
    assert resize_mask(mask, (1, 3)).tolist() == [[True, False, False]]


@given(sides, sides, st.integers(1, 4))
def test_enlarging_a_mask_by_a_whole_factor_keeps_its_area_share(height, width, factor):
    mask = np.zeros((height, width), bool)
    mask[: height // 2 + 1] = True
    resized = resize_mask(mask, (height * factor, width * factor))
    assert resized.shape == (height * factor, width * factor)
    assert abs(resized.mean() - mask.mean()) <= 1 / height


few = st.integers(1, 12)


@given(few, few, few, few, st.integers(0, 2**32 - 1))
def test_a_label_says_at_each_centre_what_was_said_there(height, width, new_height, new_width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    resized = resize_mask_nearest(mask, (new_height, new_width))
    assert resized.dtype == np.bool_
    for y in range(new_height):
        for x in range(new_width):
            at = Fraction(2 * y + 1, 2) * height / new_height, Fraction(2 * x + 1, 2) * width / new_width
            assert resized[y, x] == mask[floor(at[0]), floor(at[1])]


@given(st.integers(2, 30), st.integers(2, 30))
def test_a_map_and_back_keeps_its_peak_within_a_pixel(height, width):
    anomaly_map = np.zeros((height, width), np.float32)
    anomaly_map[height // 2, width // 3] = 1
    back = resize_map(resize_map(anomaly_map, (height * 2, width * 2)), (height, width))
    peak = np.unravel_index(back.argmax(), back.shape)
    assert back.dtype == np.float32
    assert abs(peak[0] - height // 2) <= 1
    assert abs(peak[1] - width // 3) <= 1


def test_a_map_is_interpolated_between_pixel_centres():
    anomaly_map = np.array([[0, 1]], np.float32)
    np.testing.assert_allclose(resize_map(anomaly_map, (1, 4)), [[0, 0.25, 0.75, 1]])
