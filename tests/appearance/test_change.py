import cv2
import numpy as np
import pytest
from scipy.ndimage import median_filter
from skimage.morphology import disk

from flawsmith.appearance.change import apart, changed_pixels, changes_between, intensity


def noise(seed, height=60, width=70):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_changes_are_three_times_the_mean_difference():
    one, other = noise(0), noise(1)
    np.testing.assert_array_equal(changes_between(one, other), np.abs(one.astype(int) - other).sum(axis=2))
    assert changes_between(np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)).item() == 765


@pytest.mark.parametrize(("tolerance", "changed"), [(0, True), (4 / 3, True), (5 / 3, False), (2, False)])
def test_a_pixel_changed_where_the_mean_exceeds_the_tolerance(tolerance, changed):
    assert changed_pixels(np.full((9, 9), 5, np.uint16), tolerance).all() == changed


def test_grain_is_removed_as_by_a_median():
    changes = changes_between(noise(0) // 60, noise(1) // 60)
    plain = changed_pixels(changes, 1, grain=1)
    np.testing.assert_array_equal(plain, changes > 3)
    np.testing.assert_array_equal(changed_pixels(changes, 1), cv2.medianBlur(plain.astype(np.uint8), 5) > 0)


def test_intensity_is_the_median_over_a_disc_of_what_changed():
    """As on the whole picture, in every place, at the edges and where places overlap."""
    changes = changes_between(noise(2), noise(3))
    label = np.zeros(changes.shape, bool)
    places = [(0, 0, 20, 30), (10, 20, 25, 31), (52, 3, 18, 10)]
    for x, y, w, h in places:
        label[y : y + h, x : x + w] = True
    whole = median_filter(changes * label / 3, footprint=disk(5), mode="nearest")
    found = intensity(changes, label, places)
    np.testing.assert_allclose(found[label], whole[label], atol=1e-4)
    assert not found[~label].any()


def test_apart_compares_steps_of_the_tolerance():
    one, other = np.full((2, 2, 3), 19, np.uint8), np.full((2, 2, 3), 20, np.uint8)
    assert apart(one, other).all()
    assert apart(one, other, 10).all()  # 1 and 2
    assert not apart(one, other, 7).any()  # 2 and 2
    other[..., 1:] = 19
    assert apart(one, other).all()
