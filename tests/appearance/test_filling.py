import numpy as np
import pytest

from flawsmith.appearance.filling import filling, inpainting_pairs
from flawsmith.core.errors import BadParameter
from flawsmith.core.seeding import Seed


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(1, 256, (40, 56, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(32, 32), (40, 56), (250, 300)])
def test_inpainting_pairs_blacken_exactly_their_cells(shape):
    pixels = np.random.default_rng(1).integers(1, 256, (*shape, 3), dtype=np.uint8)
    pairs = inpainting_pairs(pixels, np.random.default_rng(2))
    assert len(pairs) == 3
    np.testing.assert_array_equal(np.sum([mask for _, mask in pairs], axis=0), 1)
    for image, mask in pairs:
        np.testing.assert_array_equal((image == 0).all(axis=2), mask)
        np.testing.assert_array_equal(image[~mask], pixels[~mask])
        assert image.dtype == np.uint8
    merged = sum(np.where(mask[..., None], pixels, 0).astype(int) for _, mask in pairs)
    np.testing.assert_array_equal(merged, pixels)


def test_exact_refuses_a_picture_that_the_cells_do_not_divide(picture):
    with pytest.raises(BadParameter, match="cells of 16 pixels do not divide"):
        inpainting_pairs(picture, np.random.default_rng(0), cells=(16,), exact=True)
    assert len(inpainting_pairs(picture, np.random.default_rng(0), cells=(8,), sets=2, exact=True)) == 2


def test_a_filling_has_the_size_of_its_box(picture):
    for fill in ("black", "mean", "noise", (1, 2, 3)):
        assert filling(fill, picture, (3, 4, 7, 5), Seed(0)).shape == (5, 7, 3)


def test_noise_is_the_seeds(picture):
    one, again, other = (filling("noise", picture, (0, 0, 9, 9), Seed(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
