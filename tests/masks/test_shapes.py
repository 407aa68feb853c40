import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter, EmptyForeground, UnknownName
from flawsmith.masks.shapes import FAMILIES, find_families, select_families, shape_mask

BY_NAME = {family.name: family for family in FAMILIES}
ROUND_MEANS = {  # percent of the image at 512, UniADC's generators with 8-bit masks
    "Rectangle_Large": 7.1, "Rectangle_Medium": 2.4, "Rectangle_Small": 1.05, "Line_Large": 1.4, "Line_Medium": 0.67,
    "Line_Small": 0.48, "Line_Long": 1.1, "Polygon_Large": 5.6, "Polygon_Medium": 2.1, "Polygon_Small": 1.5,
    "NearCircularEllipse_Large": 6.3, "NearCircularEllipse_Medium": 3.2, "NearCircularEllipse_Small": 0.25,
    "EccentricEllipse_Large": 4.1, "EccentricEllipse_Medium": 2.0, "EccentricEllipse_Small": 1.6,
}  # fmt: skip
DILATED_MEDIANS = {
    "Rectangle_Large": 10.4, "Rectangle_Medium": 3.7, "Rectangle_Small": 1.4, "Line_Large": 2.1, "Line_Medium": 1.1,
    "Line_Small": 0.9, "Line_Long": 1.8, "Polygon_Large": 7.4, "Polygon_Medium": 3.4, "Polygon_Small": 2.1,
    "NearCircularEllipse_Large": 5.9, "NearCircularEllipse_Medium": 3.3, "NearCircularEllipse_Small": 0.21,
    "EccentricEllipse_Large": 4.2, "EccentricEllipse_Medium": 2.0, "EccentricEllipse_Small": 1.6,
}  # fmt: skip


def areas(name, smooth, n):
    rng = np.random.default_rng(11)
    masks = [shape_mask(BY_NAME[name], (512, 512), rng, smooth=smooth) for _ in range(n)]
    return np.array([100 * mask.mean() for mask in masks])


def test_the_tables_name_every_family():
    assert ROUND_MEANS.keys() == DILATED_MEDIANS.keys() == BY_NAME.keys()


@pytest.mark.parametrize("name", ROUND_MEANS)
def test_rounded_areas_are_the_original_ones(name):
    assert areas(name, "round", 100).mean() == pytest.approx(ROUND_MEANS[name], rel=0.25)


@pytest.mark.parametrize("name", DILATED_MEDIANS)
def test_dilated_areas_are_the_original_ones(name):
    assert np.median(areas(name, "dilate", 100)) == pytest.approx(DILATED_MEDIANS[name], rel=0.35)


@pytest.mark.parametrize("name", BY_NAME)
def test_components_are_few(name):
    rng = np.random.default_rng(12)
    counts = [cv2.connectedComponents(shape_mask(BY_NAME[name], (512, 512), rng).view(np.uint8))[0] - 1 for _ in range(60)]
    assert np.mean(np.array(counts) <= BY_NAME[name].most) >= 0.95


@pytest.mark.parametrize("name", ["Line_Large", "Line_Medium", "Line_Small", "Rectangle_Large"])
def test_lines_are_long_and_rectangles_are_not(name):
    rng = np.random.default_rng(13)
    ratios = []
    while len(ratios) < 40:
        mask = shape_mask(BY_NAME[name], (512, 512), rng)
        points = np.argwhere(mask).astype(np.float32)
        whole = not (mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
        if whole and cv2.connectedComponents(mask.view(np.uint8))[0] == 2:
            sides = sorted(cv2.minAreaRect(points)[1])
            ratios.append(sides[1] / sides[0])
    assert np.median(ratios) > 4 if name.startswith("Line") else np.max(ratios) < 5


@given(
    name=st.sampled_from(sorted(BY_NAME)),
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


def test_loose_masks_may_leave_the_foreground():
    foreground = np.zeros((512, 512), bool)
    foreground[200:300, 200:300] = True
    rng = np.random.default_rng(14)
    masks = [shape_mask(BY_NAME["Polygon_Large"], (512, 512), rng, foreground=foreground, strict=False) for _ in range(20)]
    assert any((mask & ~foreground).any() for mask in masks)


def test_the_same_generator_draws_the_same_mask():
    one, other = (shape_mask(BY_NAME["Polygon_Small"], (300, 200), np.random.default_rng(15)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_an_impossible_foreground_ends():
    foreground = np.zeros((512, 512), bool)
    foreground[100:104, 100:105] = True
    mask = shape_mask(BY_NAME["Line_Long"], (512, 512), np.random.default_rng(16), foreground=foreground)
    assert mask is None or not (mask & ~foreground).any()


def test_selection():
    assert {family.name for family in select_families(["line"], ["large"])} == {"Line_Large", "Line_Long"}
    assert select_families() == FAMILIES
    assert {family.name for family in find_families("Small")} == {name for name in BY_NAME if name.endswith("_Small")}
    assert len(find_families("NearCircularEllipse")) == 3


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: select_families(["lines"]), "line"),
        (lambda: select_families(sizes=["huge"]), "small, medium, large"),
        (lambda: find_families("Blob"), "Rectangle_Large"),
    ],
)
def test_unknown_selectors_offer_the_known_ones(call, told):
    with pytest.raises(UnknownName) as caught:
        call()
    assert told in str(caught.value)


def test_refuses_foregrounds_that_do_not_fit():
    rng = np.random.default_rng(17)
    with pytest.raises(BadParameter, match="foreground"):
        shape_mask(FAMILIES[0], (64, 64), rng, foreground=np.ones((64, 65), bool))
    with pytest.raises(EmptyForeground):
        shape_mask(FAMILIES[0], (64, 64), rng, foreground=np.zeros((64, 64), bool))
