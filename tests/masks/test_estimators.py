import cv2
import numpy as np
import pytest
import skimage.data
import skimage.filters
from skimage.morphology import closing, opening

from flawsmith.appearance.surfaces import surface
from flawsmith.core.seeding import Seed
from flawsmith.masks.estimators import (
    ThresholdOptions,
    by_background,
    by_corner,
    by_itself,
    by_level,
    by_otsu,
    by_triangle,
    scaled,
)


def picture(grey):
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def drawn(kind, size):
    """The outline of an object, bool, at a size."""
    height, width = size
    side, centre = min(size), (width // 2, height // 2)
    mask = np.zeros(size, np.uint8)
    if kind == "disc":
        cv2.circle(mask, centre, int(0.28 * side), 1, -1)
    elif kind == "small disc":
        cv2.circle(mask, centre, int(0.15 * side), 1, -1)
    elif kind == "large disc":
        cv2.circle(mask, centre, int(0.46 * side), 1, -1)
    elif kind == "ring":
        cv2.circle(mask, centre, int(0.35 * side), 1, -1)
        cv2.circle(mask, centre, int(0.15 * side), 0, -1)
    elif kind == "screw":
        cv2.line(mask, (int(0.2 * width), int(0.25 * height)), (int(0.8 * width), int(0.75 * height)), 1, int(0.09 * side))
    elif kind == "zipper":
        mask[:, int(0.3 * width) : int(0.7 * width)] = 1
    elif kind == "out of the picture":
        mask[int(0.25 * height) :, int(0.2 * width) : int(0.8 * width)] = 1
    return mask.view(bool)


def photograph(mask, inside, outside, noise=3, grain=0.0, seed=0):
    """An object with grain on a plain ground, slightly blurred, with noise."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), 3)
    grey = np.where(mask, inside + grain * texture / texture.std(), outside)
    return picture(cv2.GaussianBlur(grey, (0, 0), 0.7) + rng.normal(0, noise, mask.shape))


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("kind", ["disc", "small disc", "large disc", "ring", "screw", "zipper", "out of the picture"])
@pytest.mark.parametrize(("inside", "outside", "grain"), [(200, 20, 0), (20, 200, 0), (40, 250, 0), (130, 30, 25), (150, 110, 6)])
@pytest.mark.parametrize("size", [(256, 256), (250, 300), (512, 512)])
def test_finds_objects_on_a_plain_ground(kind, inside, outside, grain, size):
    mask = drawn(kind, size)
    assert overlap(by_itself(photograph(mask, inside, outside, grain=grain)), mask) > 0.9


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (128, 128)])
@pytest.mark.parametrize("kind", ["disc", "ring", "zipper"])
def test_finds_objects_in_small_pictures(kind, size):
    mask = drawn(kind, size)
    assert overlap(by_itself(photograph(mask, 200, 20)), mask) > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_finds_the_machined_part(seed):
    made = surface("machined_part", Seed(seed), (256, 256))
    assert overlap(by_itself(made.image), made.foreground) > 0.9


@pytest.mark.parametrize("texture", ["brick", "grass", "gravel"])
@pytest.mark.parametrize("side", [192, 256, 384, 512])
def test_a_photographed_surface_is_everywhere(texture, side):
    whole = getattr(skimage.data, texture)()
    rng = np.random.default_rng(side)
    for _ in range(4):
        y, x = rng.integers(0, 513 - side, 2)
        assert by_itself(picture(whole[y : y + side, x : x + side])).all()


@pytest.mark.parametrize("kind", ["brushed_metal", "weave"])
@pytest.mark.parametrize("seed", range(4))
def test_a_computed_surface_is_everywhere(kind, seed):
    assert by_itself(surface(kind, Seed(seed), (256, 256)).image).all()


def pattern(kind):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    cells = np.arange(256) // 32
    patterns = {
        "flat": np.full((256, 256), 90.0),
        "noise": rng.normal(120, 20, (256, 256)),
        "slope": 100 + 50 * y + rng.normal(0, 3, (256, 256)),
        "light that falls off": 180 - 60 * np.hypot(x, y) ** 2 + rng.normal(0, 4, (256, 256)),
        "clouds": 120 + 400 * cv2.GaussianBlur(rng.normal(0, 1, (256, 256)), (0, 0), 20),
        "checkerboard": 60.0 + 140 * ((cells[:, None] + cells) % 2),
        "stripes": 60.0 + 140 * np.broadcast_to(cells % 2, (256, 256)),
        "grating": 120 + 60 * np.sin(np.broadcast_to(np.arange(256) / 5, (256, 256))),
    }
    return picture(patterns[kind])


@pytest.mark.parametrize(
    "kind", ["flat", "noise", "slope", "light that falls off", "clouds", "checkerboard", "stripes", "grating"]
)
def test_what_is_no_object_is_everywhere(kind):
    assert by_itself(pattern(kind)).all()


def test_options_of_the_thresholds():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 100, (256, 256, 3), dtype=np.uint8)
    disc = drawn("disc", (256, 256))
    image[:, :, 2][disc] += 120
    blue = by_otsu(image, ThresholdOptions("bright", "blue", 0, 0))
    np.testing.assert_array_equal(blue, image[:, :, 2] > skimage.filters.threshold_otsu(image[:, :, 2]))
    smooth = by_otsu(image, ThresholdOptions("bright", "blue", 8, 3))
    np.testing.assert_array_equal(smooth, opening(closing(blue, np.ones((8, 8), bool)), np.ones((3, 3), bool)))
    np.testing.assert_array_equal(by_otsu(image, ThresholdOptions("dark", "blue", 0, 0)), ~blue)
    assert not np.array_equal(by_otsu(image, ThresholdOptions("bright", "green", 0, 0)), blue)


def test_the_triangle_threshold_is_that_of_scikit_image():
    mask = drawn("disc", (256, 256))
    image = photograph(mask, 200, 20)
    expected = image[:, :, 0] > skimage.filters.threshold_triangle(image[:, :, 0])
    found = by_triangle(image, ThresholdOptions("bright", "grey", 0, 0))
    assert np.mean(found != expected) < 0.01
    assert overlap(found, mask) > 0.9


def test_sizes_scale_with_the_picture():
    assert [scaled(6, (side, 999)) for side in (32, 128, 256, 512, 1000)] == [1, 3, 6, 12, 999 * 6 // 256]
    assert scaled(0, (999, 999)) == 0
    mask = drawn("disc", (512, 512))
    mask[250:256, 250:256] = False
    image = photograph(mask, 200, 20, noise=0)
    assert by_otsu(image, ThresholdOptions())[250:256, 250:256].all()
    assert not by_otsu(image[::2, ::2].copy(), ThresholdOptions(closing=1))[125:128, 125:128].any()


def test_level_splits_the_grey_values():
    image = picture(np.arange(256, dtype=float)[None].repeat(4, axis=0))
    np.testing.assert_array_equal(by_level(image, 100, False)[0], np.arange(256) <= 100)
    np.testing.assert_array_equal(by_level(image, 100, True)[0], np.arange(256) > 100)


def test_background_of_several_levels():
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, :128] = 200
    image[60:200, 60:200] = (90, 100, 110)
    found = by_background(image, ((200, 60), (0, 20)))
    expected = np.zeros((256, 256), bool)
    expected[60:200, 60:200] = True
    assert overlap(found, expected) > 0.99
    assert by_background(image, ((200, 60),))[:, 130:].all()


def test_corner_follows_the_original_at_256():
    image = photograph(drawn("disc", (256, 256)), 200, 20)
    small = cv2.blur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (5, 5))
    expected = cv2.medianBlur((small > small[:20, :20].mean() + 10).astype(np.uint8), 5) > 0
    np.testing.assert_array_equal(by_corner(image), expected)
