import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import Region
from flawsmith.metrics import score_maps
from flawsmith.metrics.overlap import label_regions
from flawsmith.metrics.spro import LIMITS, saturating_weights, spro

ROW = np.array([[9.5, 4.5, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7.5]])
LEFT = np.array([[1, 1, *[0] * 11]], bool)
RIGHT = np.array([[*[0] * 12, 1]], bool)
"""Regions {9.5, 4.5} and {7.5}; background 0…9."""


def area(saturation: float | None, limit: float) -> float:
    found = spro([ROW], [[Region("a", LEFT, saturation), Region("b", RIGHT)]], limits=[limit])
    return found[f"pixel_auspro@{limit:g}"].value


@pytest.mark.parametrize(
    ("saturation", "limit", "expected"),
    [
        # one pixel is enough: 1/2 at rate 0, all found at .2
        (1.0, 0.05, 0.5),
        (1.0, 0.1, 0.5),
        (1.0, 0.3, (0.2 * 0.5 + 0.1) / 0.3),
        (1.0, 1.0, 0.2 * 0.5 + 0.8),
        # a pixel and a half: 2/3 of the first region at 0, 7.5 at .2, the rest of the first at .5
        (1.5, 0.3, (0.2 / 3 + 0.1 * 5 / 6) / 0.3),
        (1.5, 1.0, 0.2 / 3 + 0.3 * 5 / 6 + 0.5),
        # the whole region, said or not, or more than it has
        (2.0, 0.3, 5 / 12),
        (None, 0.3, 5 / 12),
        (50.0, 0.3, 5 / 12),
        # half a pixel
        (0.5, 0.3, (0.2 * 0.5 + 0.1) / 0.3),
    ],
)
def test_by_hand(saturation: float | None, limit: float, expected: float) -> None:
    assert area(saturation, limit) == pytest.approx(expected, abs=1e-12)


@given(st.integers(1, 50), st.floats(0.1, 50))
def test_weights_add_up_to_one_and_saturate(pixels: int, saturation: float) -> None:
    saturation = min(saturation, pixels)
    reached = np.cumsum(saturating_weights(pixels, saturation))
    assert reached == pytest.approx(np.minimum(np.arange(1, pixels + 1) / saturation, 1), abs=1e-12)
    assert reached[-1] == pytest.approx(1, abs=1e-12)


@st.composite
def small_sets(draw: st.DrawFn) -> tuple[list[NDArray[np.int64]], list[list[Region]]]:
    """Maps of few scores, with regions that may overlap, lie in several pieces and saturate anywhere."""
    maps, regions = [], []
    for number in range(draw(st.integers(1, 3))):
        h, w = draw(st.integers(2, 5)), draw(st.integers(2, 5))
        maps.append(np.array(draw(st.lists(st.integers(0, 9), min_size=h * w, max_size=h * w))).reshape(h, w))
        found = []
        for _ in range(draw(st.integers(0 if number else 1, 3))):
            mask = np.array(draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w)
            mask.flat[0], mask.flat[-1] = True, False
            found.append(Region("x", mask, draw(st.sampled_from([None, 0.5, 1.0, 2.5, 4.0, 30.0]))))
        regions.append(found)
    return maps, regions


def by_definition(maps: list[NDArray[np.int64]], regions: list[list[Region]], limit: Fraction) -> Fraction:
    """The curve point by point in exact fractions, overlap = min(|A ∩ P|/s, 1), s at most |A|."""
    pairs = [(values[r.mask].tolist(), r.saturation) for values, found in zip(maps, regions, strict=True) for r in found]
    ground = [
        v
        for values, found in zip(maps, regions, strict=True)
        for v in values[~np.any([r.mask for r in found] + [np.zeros(values.shape, bool)], axis=0)].tolist()
    ]
    points = [(Fraction(0), Fraction(0))]
    for t in sorted({v for values in maps for v in values.ravel().tolist()}, reverse=True):
        overlap = Fraction(0)
        for scores, saturation in pairs:
            enough = Fraction(len(scores)) if saturation is None else min(Fraction(saturation), Fraction(len(scores)))
            overlap += min(Fraction(sum(v >= t for v in scores)) / enough, Fraction(1))
        points.append((Fraction(sum(v >= t for v in ground), len(ground)), overlap / len(pairs)))
    total = Fraction(0)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            total += (end - x0) * (y0 + y0 + (y1 - y0) * (end - x0) / (x1 - x0)) / 2
    return total / limit


@given(small_sets(), st.sampled_from(["0.05", "0.3", "1"]))
@settings(deadline=None)
def test_agrees_with_the_definition(case: tuple[list[NDArray[np.int64]], list[list[Region]]], limit: str) -> None:
    expected = by_definition(*case, Fraction(limit))
    assert spro(*case, limits=[float(limit)])[f"pixel_auspro@{limit}"].value == pytest.approx(float(expected), abs=1e-12)


@given(small_sets(), st.sampled_from([0.05, 0.3, 1.0]), st.sampled_from([4, 8]))
@settings(deadline=None)
def test_equals_aupro_where_regions_are_components_that_saturate_at_their_area(
    case: tuple[list[NDArray[np.int64]], list[list[Region]]], limit: float, connectivity: int
) -> None:
    maps, drawn = case
    masks = [np.any([r.mask for r in found] + [np.zeros(m.shape, bool)], axis=0) for m, found in zip(maps, drawn, strict=True)]
    regions = []
    for mask in masks:
        labels, count = label_regions(mask, connectivity)
        regions.append([Region("x", labels == k, float((labels == k).sum())) for k in range(1, count + 1)])
    expected = score_maps(maps, masks, fpr_limit=limit, connectivity=connectivity, resamples=0)["pixel_aupro"].value
    assert spro(maps, regions, limits=[limit])[f"pixel_auspro@{limit:g}"].value == pytest.approx(expected, abs=1e-12)


def test_channels_are_not_split_into_components() -> None:
    """Two far pixels of one channel with saturation 1: finding either is finding it."""
    values = np.array([[9.0, 5, 5, 5, 0]])
    ends = np.array([[1, 0, 0, 0, 1]], bool)
    together = spro([values], [[Region("a", ends, 1.0)]], limits=[0.3])
    apart = score_maps([values], [ends], resamples=0)["pixel_aupro"]
    assert together["pixel_auspro@0.3"].value == 1
    assert apart.value == pytest.approx(0.5)


def test_a_strictly_increasing_transform_and_a_copy_of_the_set_change_nothing() -> None:
    rng = np.random.default_rng(3)
    maps = [rng.standard_normal((12, 12)) for _ in range(4)]
    regions = [[Region("a", rng.random((12, 12)) < 0.2, 5.0)], [], [Region("b", rng.random((12, 12)) < 0.3)], []]
    plain = [v.value for v in spro(maps, regions).values()]
    assert [v.value for v in spro([np.exp(m) for m in maps], regions).values()] == plain
    assert [v.value for v in spro(maps * 2, regions * 2).values()] == pytest.approx(plain, abs=1e-12)
    order = [2, 0, 3, 1]
    assert [v.value for v in spro([maps[i] for i in order], [regions[i] for i in order]).values()] == plain


def test_records_say_limit_and_counts() -> None:
    maps = [ROW, ROW, ROW]
    found = spro(maps, [[Region("a", LEFT, 1.0), Region("b", RIGHT)], None, None], labels=[1, 0, 1], mask_rule="> 0")
    assert list(found) == ["pixel_auspro@0.01", "pixel_auspro@0.05", "pixel_auspro@0.1", "pixel_auspro@0.3", "pixel_auspro@1"]
    for limit, (key, value) in zip(LIMITS, found.items(), strict=True):
        record = value.record
        assert (record.metric, record.fpr_limit, record.curve, record.connectivity) == (key, limit, "spro", None)
        assert (record.images, record.normals, record.anomalies, record.excluded, record.regions) == (2, 1, 1, 1, 2)
        assert (record.pixels, record.positive_pixels, record.mask_rule) == (26, 3, "> 0")


def test_undefined_has_a_reason() -> None:
    whole = Region("a", np.ones((1, 13), bool))
    assert spro([ROW], [None])["pixel_auspro@0.3"].reason == "no_positive"
    assert spro([ROW], [[whole]])["pixel_auspro@0.3"].reason == "no_negative"
    assert spro([ROW, ROW], [None, None], labels=[0, 1])["pixel_auspro@0.3"].reason == "no_masks"
    empty = Region("a", np.zeros((1, 13), bool))
    nothing = spro([ROW], [[empty]])["pixel_auspro@0.3"]
    assert math.isnan(nothing.value)
    assert nothing.reason == "no_positive"


def test_without_labels_no_map_is_read_once_more() -> None:
    class Counting(list[NDArray[np.float64]]):
        read = 0

        def __getitem__(self, i: object) -> NDArray[np.float64]:  # type: ignore[override]
            self.read += 1
            return super().__getitem__(i)  # type: ignore[index, return-value]

    values, counts = [], []
    for labels in (None, [1, 0]):
        maps = Counting([ROW, ROW / 2])
        values.append(spro(maps, [[Region("a", LEFT)], None], labels)["pixel_auspro@0.3"])
        counts.append(maps.read)
    assert values[0] == values[1]
    assert counts[0] == counts[1]


def test_bad_input_is_refused() -> None:
    region = Region("a", LEFT)
    with pytest.raises(BadParameter, match="fpr_limit"):
        spro([ROW], [[region]], limits=[1.5])
    with pytest.raises(BadParameter, match="no limits"):
        spro([ROW], [[region]], limits=[])
    with pytest.raises(BadParameter, match="1 images and 2 maps"):
        spro([ROW, ROW], [[region]])
    for saturation in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(BadParameter, match="'a' of image 0"):
            spro([ROW], [[Region("a", LEFT, saturation)]])
    with pytest.raises(DataError, match="of image 0") as caught:
        spro([ROW], [[Region("a", LEFT.T)]])
    assert caught.value.code == "E_SIZE"
    with pytest.raises(DataError, match="one size"):
        spro([ROW], [[region, Region("b", LEFT.T)]])
    with pytest.raises(DataError) as caught:
        spro([ROW], [[region]], labels=[0])
    assert caught.value.code == "E_MASK_ON_NORMAL"
