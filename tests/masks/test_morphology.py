import numpy as np
import pytest
from skimage.morphology import closing, dilation

from flawsmith.masks.morphology import close, dilate, open_up


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
