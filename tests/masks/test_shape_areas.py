"""Areas of every generator at 512 against the two lists that were measured with the original code.

Both lists come from few draws: 60 are stated for the first, and assumed for the second. The specification's own error is that of
60 draws; where a statistic is a percentile, its distribution over 60 draws is skewed, and the interval of three standard errors
is taken by its probability (99.73 %). Perlin noise of wide cells has no length in pixels; as it is slow, it is drawn at 256.
"""

from functools import cache

import cv2
import numpy as np
import pytest

from flawsmith.core.memory import keep_freed_memory
from flawsmith.masks.families import FAMILIES
from flawsmith.masks.shapes import shape_mask

DRAWS = 2000
SPEC_DRAWS = 60
PERCENTILES = (5, 50, 95)
BY_NAME = {family.name: family for family in FAMILIES}

# percent of the image: mean, 5th and 95th percentile; rounded corners where a family is smoothed at all
ROUNDED = {
    "Rectangle_Large": ("7.1", "4.4", "9.5"),
    "Rectangle_Medium": ("2.4", "1.1", "3.7"),
    "Rectangle_Small": ("1.05", ".6", "1.7"),
    "Line_Large": ("1.4", "1.0", "1.9"),
    "Line_Medium": (".67", ".43", ".95"),
    "Line_Small": (".48", ".20", ".76"),
    "Line_Long": ("1.1", ".45", "1.8"),
    "Polygon_Large": ("5.6", "3.1", "8.5"),
    "Polygon_Medium": ("2.1", "1.4", "3.0"),
    "Polygon_Small": ("1.5", ".6", "2.6"),
    "NearCircularEllipse_Large": ("6.3", "3.7", "8.9"),
    "NearCircularEllipse_Medium": ("3.2", "1.6", "4.5"),
    "NearCircularEllipse_Small": (".25", ".06", ".52"),
    "EccentricEllipse_Large": ("4.1", "2.7", "5.8"),
    "EccentricEllipse_Medium": ("2.0", "1.6", "2.4"),
    "EccentricEllipse_Small": ("1.6", ".7", "2.6"),
    "NearCircularHollowEllipse_Large": ("3.1", "1.8", "5.0"),
    "NearCircularHollowEllipse_Medium": ("1.5", ".8", "2.3"),
    "NearCircularHollowEllipse_Small": (".75", ".30", "1.4"),
    "EccentricHollowEllipse_Large": ("3.5", "2.0", "5.6"),
    "EccentricHollowEllipse_Medium": ("1.6", "1.0", "2.3"),
    "EccentricHollowEllipse_Small": ("1.2", ".5", "2.0"),
    "Brush_Large": ("3.4", "1.1", "6.2"),
    "Brush_Medium": ("4.3", "1.3", "8.1"),
    "Brush_Small": ("2.6", ".7", "5.1"),
    "Brush_Tiny": (".30", ".03", ".57"),
    "Perlin_Large": ("10.1", "2.7", "23.9"),
    "Perlin_Medium": ("5.0", "2.6", "8.0"),
    "Perlin_Small": ("4.9", "4.1", "5.5"),
}

# percent of the image: 5th, 50th and 95th percentile; grown where a family is smoothed at all
GROWN = {
    "Rectangle_Large": ("7.5", "10.4", "12.8"),
    "Rectangle_Medium": ("2.0", "3.7", "5.1"),
    "Rectangle_Small": (".8", "1.4", "2.4"),
    "Line_Large": ("1.2", "2.1", "2.7"),
    "Line_Medium": (".6", "1.1", "1.5"),
    "Line_Small": (".4", ".9", "1.2"),
    "Line_Long": (".8", "1.7", "2.4"),
    "Polygon_Large": ("3.7", "7.4", "11.6"),
    "Polygon_Medium": ("2.1", "3.4", "4.3"),
    "Polygon_Small": ("1.2", "2.1", "3.4"),
    "NearCircularEllipse_Large": ("3.6", "5.9", "8.9"),
    "NearCircularEllipse_Medium": ("1.8", "3.3", "4.4"),
    "NearCircularEllipse_Small": (".09", ".21", ".43"),
    "EccentricEllipse_Large": ("2.3", "4.2", "5.5"),
    "EccentricEllipse_Medium": ("1.4", "2.0", "2.4"),
    "EccentricEllipse_Small": (".8", "1.6", "2.6"),
    "NearCircularHollowEllipse_Large": ("1.6", "3.0", "4.6"),
    "NearCircularHollowEllipse_Medium": (".8", "1.5", "2.3"),
    "NearCircularHollowEllipse_Small": (".3", ".8", "1.4"),
    "EccentricHollowEllipse_Large": ("1.7", "3.5", "5.2"),
    "EccentricHollowEllipse_Medium": ("1.1", "1.6", "2.3"),
    "EccentricHollowEllipse_Small": (".5", "1.1", "2.0"),
    "Brush_Large": ("1.1", "3.3", "5.1"),
    "Brush_Medium": ("1.1", "3.8", "7.6"),
    "Brush_Small": (".5", "2.8", "5.7"),
    "Brush_Tiny": (".02", ".24", ".42"),
    "Perlin_Large": ("3.0", "8.7", "22.5"),
    "Perlin_Medium": ("2.1", "4.5", "8.2"),
    "Perlin_Small": ("4.2", "4.6", "5.3"),
}


@cache
def areas(name, smooth):
    keep_freed_memory()
    rng = np.random.default_rng(11)
    side = 256 if name in ("Perlin_Large", "Perlin_Medium") else 512
    masks = (shape_mask(BY_NAME[name], (side, side), rng, smooth=smooth) for _ in range(DRAWS))
    return np.array([100 * cv2.countNonZero(mask.view(np.uint8)) / side**2 for mask in masks])


def growing(name):
    """Only blurred families differ."""
    return "dilate" if BY_NAME[name].blur else "round"


def rounding(told):
    """Half of the last place of a printed number."""
    return 0.5 * 10.0 ** -len(told.partition(".")[2])


@cache
def intervals(name, smooth):
    """For the 5th, 50th and 95th percentile: the interval that 60 of our draws keep in 99.73 % of cases."""
    drawn = np.random.default_rng(0).integers(0, DRAWS, (10_000, SPEC_DRAWS))
    sixty = np.percentile(areas(name, smooth)[drawn], PERCENTILES, axis=1)
    return dict(zip(PERCENTILES, np.percentile(sixty, [0.135, 99.865], axis=1).T.tolist(), strict=True))


def assert_percentile(name, smooth, q, told):
    low, high = intervals(name, smooth)[q]
    assert low - rounding(told) <= float(told) <= high + rounding(told), f"ours is {np.percentile(areas(name, smooth), q):.3f}"


def test_the_lists_name_every_generator():
    assert ROUNDED.keys() == GROWN.keys() == BY_NAME.keys() - {"FGI"}


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_areas_are_the_original_ones(name):
    ours, (mean, low, high) = areas(name, "round"), ROUNDED[name]
    error = ours.std() * np.sqrt(1 / SPEC_DRAWS + 1 / DRAWS)
    assert ours.mean() == pytest.approx(float(mean), abs=3 * error + rounding(mean))
    assert_percentile(name, "round", 5, low)
    assert_percentile(name, "round", 95, high)


@pytest.mark.parametrize("name", GROWN)
def test_grown_areas_are_the_original_ones(name):
    """The two lists contradict each other in one place of 174: a small polygon of 0.6 % grows to 0.85 %, not to 1.2 %."""
    for q, told in zip(PERCENTILES, GROWN[name], strict=True):
        if (name, q) != ("Polygon_Small", 5):
            assert_percentile(name, growing(name), q, told)


@pytest.mark.parametrize("kind", sorted({name.rpartition("_")[0] for name in GROWN} - {"Perlin", "Brush"}))
def test_larger_names_are_larger_masks(kind):
    large, medium, small = (
        np.median(areas(f"{kind}_{size}", growing(f"{kind}_{size}"))) for size in ("Large", "Medium", "Small")
    )
    assert large > medium > small
