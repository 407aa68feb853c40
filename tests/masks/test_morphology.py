import numpy as np
import pytest
from scipy.ndimage import median_filter
from skimage.morphology import closing, dilation

from flawsmith.masks.morphology import close, dilate, majority, open_up


@pytest.mark.parametrize("side", [2, 3, 6, 7])
@pytest.mark.parametrize("seed", range(4))
def test_closing_equals_scikit_image(side, seed):
    mask = np.random.default_rng(seed).random((41, 57)) < 0.1
    np.testing.assert_array_equal(close(mask, side), closing(mask, np.ones((side, side), bool)))


@pytest.mark.parametrize("side", [2, 5, 6])
def test_closing_grows_and_opening_shrinks(side):
    mask = np.random.default_rng(9).random((50, 50)) < 0.4
    assert not (mask & ~close(mask, side)).any()
    assert not (open_up(mask, side) & ~mask).any()


def test_dilation_equals_scikit_image():
    mask = np.random.default_rng(1).random((30, 30)) < 0.05
    np.testing.assert_array_equal(dilate(mask, 5), dilation(mask, np.ones((5, 5), bool)))


@pytest.mark.parametrize("side", [1, 3, 5, 7, 17])
def test_majority_is_the_median(side):
    for share in (0.3, 0.5, 0.7):
        mask = np.random.default_rng(side).random((40, 33)) < share
        np.testing.assert_array_equal(majority(mask, side), median_filter(mask.astype(np.uint8), side, mode="nearest") > 0)
