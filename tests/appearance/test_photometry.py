import colorsys
from collections import Counter

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps
from scipy import ndimage
from skimage import color, data

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

    integers = random = uniform = permutation = _next


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


@pytest.mark.parametrize("gammas", [(0.5, 1.0, 2.0), (0.7, 1.3, 0.51)])
def test_gamma_is_a_power_of_each_channel(gammas):
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    expected = 255 * (ramp / 255) ** np.array(gammas)
    assert np.abs(applied(ph.gamma, ramp, np.array(gammas)) - expected).max() <= 0.5


def moved(levels, factor, offset, multiply_first):
    """What the luma becomes: one clip between the two steps, one after."""
    once = np.clip(levels * factor if multiply_first else levels + offset, 0, 255)
    return np.clip(once + offset if multiply_first else once * factor, 0, 255)


def through_luma(rgb, move):
    """YCrCb and YUV: the colour differences stay, so every channel moves by as much as the luma."""
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    return np.clip(rgb + (move(luma) - luma)[..., None], 0, 255)


def through_hsv(rgb, move):
    def one(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        return colorsys.hsv_to_rgb(hue, saturation, move(value * 255) / 255)

    return 255 * np.apply_along_axis(one, -1, rgb)


def through_hls(rgb, move):
    def one(pixel):
        hue, lightness, saturation = colorsys.rgb_to_hls(*(pixel / 255))
        return colorsys.hls_to_rgb(hue, move(lightness * 255) / 255, saturation)

    return 255 * np.apply_along_axis(one, -1, rgb)


def through_lab(rgb, move):
    lab = color.rgb2lab(rgb / 255)
    lab[..., 0] = move(lab[..., 0] * 2.55) / 2.55
    return 255 * np.clip(color.lab2rgb(lab), 0, 1)


def through_luv(rgb, move):
    luv = color.rgb2luv(rgb / 255)
    luv[..., 0] = move(luv[..., 0] * 2.55) / 2.55
    return 255 * np.clip(color.luv2rgb(luv), 0, 1)


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB:UserWarning")
@pytest.mark.parametrize(
    ("space", "exact", "rounding"),
    [
        (0, through_luma, 2),
        (1, through_hsv, 3),
        (2, through_hls, 3),
        (3, through_lab, 3),
        (4, through_luv, 4),
        (5, through_luma, 2),
    ],
)
@pytest.mark.parametrize(("factor", "offset", "coin"), [(1.2, 10, 0.2), (0.8, -20, 0.7), (1.1, 30, 0.7)])
def test_brightness_moves_the_luma_of_six_colour_spaces(image, space, exact, rounding, factor, offset, coin):
    """Against formulas in floating point; what is left is the rounding of the 8-bit colour space."""
    changed = applied(ph.brightness, image, space, factor, offset, coin)
    expected = exact(image.astype(float), lambda luma: moved(luma, factor, offset, coin < 0.5))
    apart = np.abs(changed - expected)
    assert apart.mean() < 1.0
    assert np.quantile(apart, 0.99) <= rounding


@pytest.mark.parametrize(("shift", "more"), [(43, 0), (-50, 20), (17, -50), (0, 50), (50, 50)])
def test_hue_turns_on_a_circle_of_256_and_saturation_is_clipped(image, shift, more):
    def one(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        return colorsys.hsv_to_rgb((hue + shift / 256) % 1, np.clip(saturation + more / 255, 0, 1), value)

    some = np.ascontiguousarray(image[::5, ::5])
    expected = 255 * np.apply_along_axis(one, -1, some.astype(float))
    coloured = some.max(axis=2) > some.min(axis=2)  # a grey pixel has no hue to be sure of
    apart = np.abs(applied(ph.hue_and_saturation, some, np.array([shift, more])) - expected)[coloured]
    assert apart.mean() < 1.0
    assert np.quantile(apart, 0.99) <= 5  # half a step of the 8-bit hue is up to three levels, of the saturation one, twice


def test_a_turn_of_fifty_is_seventy_degrees():
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    red_, green, blue = applied(ph.hue_and_saturation, red, np.array([50, 0]))[0, 0] / 255
    assert 360 * colorsys.rgb_to_hsv(red_, green, blue)[0] == pytest.approx(50 / 256 * 360, abs=1.5)


@pytest.mark.parametrize("angle", [-45.0, -12.5, 30.0])
def test_rotation_is_scipys(image, angle):
    smooth = ndimage.gaussian_filter(image, (3, 3, 0))
    picture = Picture(smooth)
    ph._rotate(picture, Fixed(angle), "black")
    expected = ndimage.rotate(smooth.astype(float), angle, reshape=False, order=1)
    inside = ndimage.binary_erosion(ndimage.rotate(np.ones(image.shape[:2]), angle, reshape=False, order=1) > 0.999, iterations=2)
    assert inside.mean() > 0.5
    assert np.abs(picture.pixels() - expected)[inside].max() <= 2


def test_draws_lie_where_the_pool_says():
    """2,000 draws of each operator, read off what they do to a ramp of grey."""
    rng, ramp = np.random.default_rng(0), np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)

    def answers(operator):
        for _ in range(2000):
            picture = Picture(ramp)
            operator(picture, rng)
            yield picture.pixels()[0]

    gammas = np.array([np.log(a[128] / 255) / np.log(128 / 255) for a in answers(ph.gamma)])
    assert 0.49 < gammas.min() < 0.51
    assert 1.97 < gammas.max() < 2.03
    assert np.abs(gammas.mean(axis=0) - 1.25).max() < 3 * 1.5 / np.sqrt(12 * 2000)

    inverted = [np.flatnonzero(a[:, 0] != np.arange(256)) for a in answers(ph.solarize)]
    limits = [int(places[0]) for places in inverted if len(places)]
    assert len(limits) == pytest.approx(1000, abs=3 * np.sqrt(500))
    assert (min(limits), max(limits)) == (32, 128)

    bits = [int(np.log2(len(np.unique(a[:, 0])))) for a in answers(ph.posterize)]
    counts = np.bincount(bits, minlength=9)[1:]
    assert np.abs(counts - 250).max() < 3 * np.sqrt(2000 / 8 * 7 / 8)


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


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.3])
@pytest.mark.parametrize(
    ("place", "enhancer", "rounding"),
    [(0, ImageEnhance.Brightness, 1), (1, ImageEnhance.Contrast, 1), (2, ImageEnhance.Color, 2)],
)
def test_each_step_of_the_jitter_is_pillows(image, place, enhancer, rounding, factor):
    draws = np.zeros(3)
    draws[place] = factor - 1
    changed = colour_jitter(image, Fixed(draws, 0.0, np.array([3, 0, 1, 2])), 1.0)
    turned = Picture(image)  # hue turned by nothing: there and back through 8 bits
    ph.hue_and_saturation(turned, Fixed(np.array([0, 0])))
    expected = np.array(enhancer(Pillow.fromarray(turned.pixels())).enhance(factor))
    assert np.abs(changed.astype(int) - expected).max() <= rounding


def test_the_steps_of_the_jitter_come_in_every_order(image):
    orders = [
        colour_jitter(image, Fixed(np.array([0.3, -0.4, 0.5]), 0.1, np.array(order)), 1.0)
        for order in ([0, 1, 2, 3], [1, 0, 2, 3])
    ]
    assert (orders[0] != orders[1]).any()


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


def test_jitter_without_saturation_and_hue_is_one_straight_line_for_all_channels():
    image = np.array([[[120, 60, 30], [90, 90, 40]]], np.uint8)
    for seed in range(20):
        jittered = colour_jitter(image, np.random.default_rng(seed), 0.3, hue=0.0, saturation=0.0).astype(int).ravel()
        slope, offset = np.polyfit(image.ravel(), jittered, 1)
        assert 0.49 - 0.02 <= slope <= 1.69 + 0.02
        np.testing.assert_allclose(jittered, slope * image.ravel() + offset, atol=1)
