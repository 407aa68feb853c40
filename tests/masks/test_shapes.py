import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import euler_number

from flawsmith.core.errors import BadParameter, EmptyForeground
from flawsmith.masks.families import FAMILIES, find_families, parse_families, select_families
from flawsmith.masks.shapes import draw_mask, shape_mask

BY_NAME = {family.name: family for family in FAMILIES}
GENERATORS = sorted(BY_NAME.keys() - {"FGI"})
ONE_PIECE = [name for name in GENERATORS if not name.startswith("Perlin")]
DRAWS = 100


@cache
def masks(name, n=DRAWS):
    rng = np.random.default_rng(12)
    return [shape_mask(BY_NAME[name], (512, 512), rng) for _ in range(n)]


def components(mask):
    return cv2.connectedComponents(mask.view(np.uint8))[0] - 1


def touches_border(mask):
    return mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()


def hull_ratio(mask):
    points = np.argwhere(mask)[:, ::-1].astype(np.int32)
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return hull.sum() / mask.sum()


@pytest.mark.parametrize("name", GENERATORS)
def test_masks_are_boolean_and_large_enough(name):
    for mask in masks(name):
        assert mask.dtype == np.bool_
        assert mask.shape == (512, 512)
        assert mask.mean() >= BY_NAME[name].least


@pytest.mark.parametrize("name", ONE_PIECE)
def test_components_are_few(name):
    """Two at most, and up to three where a brush makes three strokes."""
    counts = np.array([components(mask) for mask in masks(name)])
    assert np.mean(counts <= max(2, BY_NAME[name].most)) >= 0.99
    assert all(components(mask) <= BY_NAME[name].most for mask in masks(name) if not touches_border(mask))


@pytest.mark.parametrize(("name", "told"), [("Perlin_Large", 1.4), ("Perlin_Medium", 9), ("Perlin_Small", 128)])
def test_components_of_perlin_masks(name, told):
    counts = np.array([components(mask) for mask in masks(name)])
    error = counts.std() * np.sqrt(1 / DRAWS + 1 / 60)
    assert counts.mean() == pytest.approx(told, abs=3 * error + (0.05 if told < 2 else 0.5))
    assert name != "Perlin_Small" or np.median(counts) > 20


@pytest.mark.parametrize("shape", ["line", "rectangle"])
def test_lines_are_long_and_rectangles_are_not(shape):
    rng = np.random.default_rng(13)
    for family in select_families([shape]):
        ratios = []
        while len(ratios) < 40:
            mask = shape_mask(replace(family, most=1), (512, 512), rng)
            if not touches_border(mask):
                sides = sorted(side + 1 for side in cv2.minAreaRect(np.argwhere(mask).astype(np.float32))[1])
                ratios.append(sides[1] / sides[0])
        assert min(ratios) > 4 if shape == "line" else max(ratios) < 5


@pytest.mark.parametrize("name", [name for name in GENERATORS if "Ellipse" in name and "Hollow" not in name])
def test_filled_ellipses_fill_their_hull(name):
    rng = np.random.default_rng(14)
    one = replace(BY_NAME[name], most=1)
    assert np.median([hull_ratio(shape_mask(one, (512, 512), rng)) for _ in range(60)]) < 1.1


@pytest.mark.parametrize("name", [name for name in GENERATORS if "Hollow" in name])
def test_hollow_ellipses_have_a_hole(name):
    assert np.median([hull_ratio(mask) for mask in masks(name)]) > 1.5
    assert np.mean([euler_number(mask, connectivity=2) <= 0 for mask in masks(name)]) > 0.5


@pytest.mark.parametrize(("name", "low", "high"), [("NearCircular", 1.0, 2.1), ("Eccentric", 3.0, 11.0)])
def test_eccentricity(name, low, high):
    """Semi-axes of 1:1…2, and of 1:4…10, give or take a pixel and the width of an outline."""
    rng = np.random.default_rng(15)
    for family in find_families(f"{name}*Ellipse_Large"):
        for _ in range(60):
            mask = shape_mask(family, (512, 512), rng)
            if not touches_border(mask):
                sides = sorted(cv2.minAreaRect(np.argwhere(mask).astype(np.float32))[1])
                assert low <= sides[1] / sides[0] <= high


@given(
    name=st.sampled_from(GENERATORS),
    height=st.integers(32, 200),
    width=st.integers(32, 200),
    seed=st.integers(0, 2**32),
    smooth=st.sampled_from(["dilate", "round"]),
    box=st.tuples(st.floats(0, 0.7), st.floats(0, 0.7), st.floats(0.1, 1), st.floats(0.1, 1)),
)
def test_masks_stay_inside_any_foreground(name, height, width, seed, smooth, box):
    foreground = np.zeros((height, width), bool)
    y, x = int(box[0] * height), int(box[1] * width)
    foreground[y : y + max(1, int(box[2] * height)), x : x + max(1, int(box[3] * width))] = True
    rng = np.random.default_rng(seed)
    mask = shape_mask(BY_NAME[name], (height, width), rng, foreground=foreground, smooth=smooth, attempts=20)
    if mask is not None:
        assert mask.shape == (height, width)
        assert mask.dtype == np.bool_
        assert mask.any()
        assert not (mask & ~foreground).any()
        assert smooth == "round" or mask.sum() >= BY_NAME[name].least * foreground.sum()


@pytest.mark.parametrize("shape", [(32, 32), (103, 632), (250, 300), (1024, 1024)])
@pytest.mark.parametrize("name", GENERATORS)
def test_any_size_has_masks(name, shape):
    rng = np.random.default_rng(16)
    found = [shape_mask(BY_NAME[name], shape, rng) for _ in range(12)]
    assert all(mask is not None and mask.any() and mask.shape == shape for mask in found)


@pytest.mark.parametrize("name", ["Polygon_Large", "Rectangle_Large", "NearCircularHollowEllipse_Large", "Brush_Medium"])
def test_widths_scale_with_the_picture(name):
    """The share covered at 128 is that of 512: unscaled pens and kernels would double it and more."""
    rng = np.random.default_rng(17)
    small = np.array([shape_mask(BY_NAME[name], (128, 128), rng).mean() for _ in range(600)])
    large = np.array([mask.mean() for mask in masks(name)])
    assert small.mean() == pytest.approx(large.mean(), rel=0.25)


def test_loose_masks_may_leave_the_foreground():
    foreground = np.zeros((512, 512), bool)
    foreground[200:300, 200:300] = True
    rng = np.random.default_rng(14)
    found = [shape_mask(BY_NAME["Polygon_Large"], (512, 512), rng, foreground=foreground, strict=False) for _ in range(20)]
    assert any((mask & ~foreground).any() for mask in found)


def test_the_foreground_is_returned_as_it_is():
    foreground = np.random.default_rng(0).random((64, 96)) < 0.3
    kept = foreground.copy()
    mask = shape_mask(BY_NAME["FGI"], (64, 96), np.random.default_rng(0), foreground=foreground)
    np.testing.assert_array_equal(mask, kept)
    mask[:] = False
    np.testing.assert_array_equal(foreground, kept)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("kind", ["one pixel", "twenty pixels", "checkerboard", "full"])
def test_hostile_foregrounds_end(name, kind):
    foreground = np.zeros((256, 256), bool)
    if kind == "one pixel":
        foreground[40, 200] = True
    elif kind == "twenty pixels":
        foreground[100:104, 100:105] = True
    elif kind == "checkerboard":
        foreground[::2, ::2] = foreground[1::2, 1::2] = True
    else:
        foreground[:] = True
    mask = shape_mask(BY_NAME[name], (256, 256), np.random.default_rng(18), foreground=foreground)
    assert mask is None or (mask.any() and not (mask & ~foreground).any())
    assert mask is not None or kind in ("one pixel", "twenty pixels")


def test_a_full_foreground_is_none():
    for name in GENERATORS:
        one, other = (
            shape_mask(BY_NAME[name], (96, 128), np.random.default_rng(19), foreground=foreground)
            for foreground in (None, np.ones((96, 128), bool))
        )
        np.testing.assert_array_equal(one, other)


def digest():
    rng = np.random.default_rng(20)
    drawn = [draw_mask(select_families(), (96, 128), rng) for _ in range(60)]
    return hashlib.sha256(b"".join(found.mask.tobytes() + found.family.encode() for found in drawn)).hexdigest()


def test_another_process_draws_the_same():
    source = "import importlib.util, sys\nspec = importlib.util.spec_from_file_location('t', sys.argv[1])\n"
    source += "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\nprint(module.digest())"
    told = subprocess.run([sys.executable, "-c", source, __file__], capture_output=True, text=True, check=True).stdout
    assert told.strip() == digest()


def test_families_are_drawn_alike_often():
    families = parse_families("line,Brush_Tiny,rectangle:small")
    rng = np.random.default_rng(21)
    counts = Counter(draw_mask(families, (64, 64), rng).family for _ in range(2000))
    assert counts.keys() == {family.name for family in families}
    expected = 2000 / len(families)
    chi_square = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_square < 18.2  # 5 degrees of freedom, p = 0.0027


def test_a_drawn_mask_names_its_family():
    found = draw_mask(find_families("FGI"), (32, 32), np.random.default_rng(0), foreground=np.eye(32, dtype=bool))
    assert found.family == "FGI"
    np.testing.assert_array_equal(found.mask, np.eye(32, dtype=bool))


def test_no_place_is_none():
    foreground = np.zeros((256, 256), bool)
    foreground[0, 0] = True
    families = find_families("Brush_Tiny")
    assert draw_mask(families, (256, 256), np.random.default_rng(22), foreground=foreground, attempts=3) is None


def test_refuses_foregrounds_that_do_not_fit():
    rng = np.random.default_rng(17)
    for foreground in (np.ones((64, 65), bool), np.ones((64, 64), np.uint8)):
        with pytest.raises(BadParameter, match="foreground"):
            shape_mask(FAMILIES[0], (64, 64), rng, foreground=foreground)
    with pytest.raises(EmptyForeground):
        shape_mask(FAMILIES[0], (64, 64), rng, foreground=np.zeros((64, 64), bool))
    with pytest.raises(BadParameter, match="FGI is the foreground itself, and there is none"):
        draw_mask(parse_families("line,FGI"), (64, 64), rng)
    with pytest.raises(BadParameter, match="families is empty"):
        draw_mask((), (64, 64), rng)
