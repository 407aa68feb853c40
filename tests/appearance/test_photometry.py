from collections import Counter

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps
from skimage import data

from flawsmith.appearance import photometry as ph
from flawsmith.appearance.photometry import Picture, augmented, colour_jitter, look_up


@pytest.fixture(scope="module")
def image():
    return np.ascontiguousarray(data.astronaut()[::4, ::4])


class Fixed:
    """A generator that returns what the test wants."""

    def __init__(self, *values):
        self.values = list(values)

    def _next(self, *args, **kwargs):
        return self.values.pop(0)

    integers = random = uniform = _next


def applied(operator, image, *values):
    picture = Picture(image)
    operator(picture, Fixed(*values))
    return picture.pixels()


@pytest.mark.parametrize("cutoff", [0, 3, 20])
def test_autocontrast_is_pillows(image, cutoff):
    expected = ImageOps.autocontrast(Pillow.fromarray(image), cutoff=cutoff)
    np.testing.assert_array_equal(applied(ph.autocontrast, image, cutoff), expected)


def test_equalize_is_pillows(image):
    np.testing.assert_array_equal(applied(ph.equalize, image), ImageOps.equalize(Pillow.fromarray(image)))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(image, bits):
    np.testing.assert_array_equal(applied(ph.posterize, image, bits), ImageOps.posterize(Pillow.fromarray(image), bits))


def test_solarize_and_invert_are_pillows(image):
    picture = Pillow.fromarray(image)
    np.testing.assert_array_equal(applied(ph.solarize, image, 0.1, 77), ImageOps.solarize(picture, 77))
    np.testing.assert_array_equal(applied(ph.solarize, image, 0.9, 77), image)
    np.testing.assert_array_equal(applied(ph.invert, image), ImageOps.invert(picture))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_sharpness_is_pillows_to_rounding(image, factor):
    expected = np.array(ImageEnhance.Sharpness(Pillow.fromarray(image)).enhance(factor))
    assert np.abs(applied(ph.sharpness, image, factor).astype(int) - expected).max() <= 1


def test_gamma_and_brightness_by_hand():
    grey = np.full((4, 4, 3), 64, np.uint8)
    np.testing.assert_array_equal(applied(ph.gamma, grey, np.array([0.5, 1.0, 2.0]))[0, 0], [128, 64, 16])
    hsv_value = applied(ph.brightness, grey, 1, 1.2, 10, 0.2)
    np.testing.assert_array_equal(hsv_value[0, 0], [87, 87, 87])


def test_hue_turns_on_a_circle_of_256():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 200
    turned = applied(ph.hue_and_saturation, red, np.array([43, 0]))
    assert abs(int(turned[0, 0, 0]) - int(turned[0, 0, 1])) < 5
    assert turned[0, 0, 2] == 0


@pytest.mark.parametrize("seed", range(20))
def test_composed_tables_equal_one_operator_after_the_other(image, seed):
    operators = [ph.gamma, ph.autocontrast, ph.invert, ph.equalize, ph.posterize, ph.solarize, ph.sharpness]
    order = np.random.default_rng(seed).permutation(len(operators))[:4]
    together, alone = Picture(image), image
    for k in order:
        operators[k](together, np.random.default_rng(k))
        step = Picture(alone)
        operators[k](step, np.random.default_rng(k))
        alone = step.pixels()
    np.testing.assert_array_equal(together.pixels(), alone)


def test_three_distinct_operators_each_as_often(image):
    rng = np.random.default_rng(0)
    drawn = [augmented(image[:16, :16].copy(), rng)[1] for _ in range(1000)]
    assert all(len(set(names)) == 3 for names in drawn)
    counts = Counter(name for names in drawn for name in names)
    assert set(counts) == set(ph.POOL)
    assert min(counts.values()) > 240
    assert max(counts.values()) < 360


def test_augmenting_never_touches_its_input(image):
    before = image.copy()
    for seed in range(60):
        changed = augmented(image, np.random.default_rng(seed))[0].pixels()
        assert changed.dtype == np.uint8
        assert changed.shape == image.shape
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("seed", range(40))
def test_some_pixels_are_changed_as_in_the_whole_picture(image, seed):
    places = np.flatnonzero(np.random.default_rng(seed).random(image.shape[:2]) < 0.1)
    picture, names = augmented(image, np.random.default_rng(seed))
    some, whole = picture.pixels_at(places), picture.pixels()
    assert some.shape == (1, len(places), 3)
    np.testing.assert_array_equal(some[0], whole.reshape(-1, 3)[places], err_msg=str(names))


def test_turned_textures_have_black_or_mirrored_corners():
    white = np.full((64, 64, 3), 255, np.uint8)
    for fill, darkest in (("black", 0), ("reflect", 255)):
        picture = Picture(white)
        ph._rotate(picture, Fixed(40.0), fill)
        assert picture.pixels().min() == darkest


def test_jitter_of_nothing_is_a_copy(image):
    same = colour_jitter(image, np.random.default_rng(0), 0.0)
    np.testing.assert_array_equal(same, image)
    assert not np.shares_memory(same, image)


def test_jitter_moves_the_mean_by_its_strength(image):
    shifts = [colour_jitter(image, np.random.default_rng(k), 0.1, hue=0.0).mean() / image.mean() for k in range(100)]
    assert 0.85 < min(shifts) < 0.95
    assert 1.05 < max(shifts) < 1.15


def test_jitter_keeps_grey_grey(image):
    grey = ph.to_grey(image)
    for seed in range(20):
        assert ph.is_grey(colour_jitter(grey, np.random.default_rng(seed), 0.3))


def test_grey_is_recognised(image):
    assert not ph.is_grey(image)
    grey = ph.to_grey(image)
    assert ph.is_grey(grey)
    grey[1, 1, 0] ^= 1
    assert not ph.is_grey(grey)


def test_tables_replace_values():
    table = np.stack([np.arange(256), 255 - np.arange(256), np.zeros(256)], axis=1).astype(np.uint8)
    np.testing.assert_array_equal(look_up(np.full((1, 1, 3), 10, np.uint8), table)[0, 0], [10, 245, 0])
