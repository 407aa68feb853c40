import numpy as np
import pytest

from flawsmith.appearance.blending import blend, differ, pixels_at, places_of, with_pixels


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)


@pytest.fixture
def mask():
    return np.random.default_rng(1).random((20, 31)) < 0.2


def test_taking_and_putting_back_is_numpys(image, mask):
    places = places_of(mask)
    np.testing.assert_array_equal(pixels_at(image, places)[0], image[mask])
    changed = with_pixels(image, places, 255 - pixels_at(image, places))
    expected = image.copy()
    expected[mask] = 255 - image[mask]
    np.testing.assert_array_equal(changed, expected)
    assert not np.shares_memory(changed, image)


def test_nothing_is_taken_and_put_back(image):
    none = places_of(np.zeros((20, 31), bool))
    np.testing.assert_array_equal(with_pixels(image, none, pixels_at(image, none)), image)


def test_read_only_pictures_and_views_will_do(image, mask):
    places = places_of(mask)
    turned = np.ascontiguousarray(image)[:, ::-1]
    turned.flags.writeable = False
    changed = with_pixels(turned, places, pixels_at(np.ascontiguousarray(turned), places))
    np.testing.assert_array_equal(changed, turned)


@pytest.mark.parametrize("opacity", [0.0, 0.2, 0.5, 0.83, 1.0])
def test_blending_rounds_once(opacity):
    under = np.arange(256, dtype=np.uint8).repeat(256).reshape(1, -1, 1).repeat(3, axis=2)
    over = np.tile(np.arange(256, dtype=np.uint8), 256).reshape(1, -1, 1).repeat(3, axis=2)
    exact = opacity * over.astype(float) + (1 - opacity) * under
    assert np.abs(blend(under, over, opacity) - exact).max() <= 0.5 + 1e-4


def test_a_difference_is_more_than_one_level():
    one = np.full((1, 3, 3), 10, np.uint8)
    other = one.copy()
    other[0, 1, 2] = 11
    assert not differ(one, other)
    other[0, 1, 2] = 12
    assert differ(one, other)
    assert not differ(one, other, tolerance=2)
