import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from skimage.morphology import disk

from flawsmith.appearance.disc_median import inner_disc_median


def disc_median(values, radius=5):
    """Of every pixel, the picture's edges repeated."""
    return inner_disc_median(np.pad(values, radius, mode="edge"), radius)


def expected(values, radius):
    return median_filter(values, footprint=disk(radius), mode="nearest")


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 766), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_equals_scipy(height, width, levels, seed):
    values = np.random.default_rng(seed).integers(0, levels, (height, width)).astype(np.uint16)
    found = disc_median(values)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, expected(values, 5))


@pytest.mark.parametrize("radius", [1, 2, 3, 4, 6, 7])
def test_equals_scipy_at_other_radii(radius):
    values = np.random.default_rng(radius).integers(0, 766, (30, 41)).astype(np.uint16)
    np.testing.assert_array_equal(disc_median(values, radius), expected(values, radius))


@pytest.mark.parametrize("levels", [200, 60000])
def test_equals_scipy_on_more_than_one_strip(levels):
    """Few values are sorted as bytes, many as they are."""
    values = np.random.default_rng(0).integers(0, levels, (130, 220)).astype(np.uint16)
    np.testing.assert_array_equal(disc_median(values), expected(values, 5))
