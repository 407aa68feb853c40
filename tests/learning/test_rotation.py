import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.learning.rotation import draw_angle, draw_tone_curve, rotate_image, rotate_mask


def angles(policy, n=2000):
    rng = np.random.default_rng(0)
    return np.array([draw_angle(policy, rng) for _ in range(n)])


def test_draem_turns_three_in_ten():
    drawn = angles("draem")
    assert abs(np.mean(drawn != 0) - 0.3) < 0.03
    assert np.abs(drawn).max() <= 90


def test_slight_and_full_stay_in_their_ranges():
    assert np.abs(angles("slight")).max() <= 5
    quarter = (angles("full") + 5) % 90
    assert quarter.max() <= 10


def test_none_leaves_the_image_itself():
    image = np.zeros((4, 4, 3), np.uint8)
    assert draw_angle("none", np.random.default_rng(0)) == 0
    assert rotate_image(image, 0.0, 0) is image


def test_a_half_turn_of_an_odd_image_is_exact():
    image = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(rotate_image(image, 180.0, 0), image[::-1, ::-1])


@given(st.floats(-180, 180))
def test_the_mask_turns_with_its_image(angle: float):
    mask = np.zeros((65, 65), bool)
    mask[10:30, 20:50] = True
    image = np.repeat(mask[:, :, None], 3, 2).astype(np.uint8) * 255
    turned = rotate_image(image, angle, 0)[:, :, 0]
    agree = rotate_mask(mask, angle) == (turned >= 128)
    assert agree.mean() > 0.97


@pytest.mark.parametrize("fill", [0, 114])
def test_corners_take_the_fill(fill: int):
    turned = rotate_image(np.full((32, 32, 3), 200, np.uint8), 45.0, fill)
    assert turned[0, 0].tolist() == [fill] * 3


@given(st.floats(0, 1), st.integers(0, 1000))
def test_a_tone_curve_keeps_the_order_of_levels(strength: float, seed: int):
    curve = draw_tone_curve(strength, np.random.default_rng(seed)).astype(int)
    assert np.all(np.diff(curve) >= 0)
    assert strength > 0 or np.array_equal(curve, np.arange(256))
