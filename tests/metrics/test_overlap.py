from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from flawsmith.core.errors import BadParameter
from flawsmith.metrics import score_maps
from flawsmith.metrics.overlap import label_regions, region_weights

MASK = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1], [0] * 6, [0] * 6], bool)
SCORE = np.array([[9, 1, 1, 2, 1, 3], [2, 6, 5, 1, 8, 5], [1, 3, 4, 2, 6, 1], [0, 1, 2, 7, 1, 0]])


def aupro(maps: object, masks: object, limit: float = 0.3, connectivity: int = 8) -> float:
    found = score_maps(maps, masks, fpr_limit=limit, connectivity=connectivity, resamples=0)  # type: ignore[arg-type]
    return found["pixel_aupro"].value


def aupro_by_definition(
    maps: list[NDArray[np.int64]], masks: list[NDArray[np.bool_]], limit: Fraction, connectivity: int
) -> Fraction:
    """The curve point by point, region by region, in exact fractions."""
    structure = np.ones((3, 3)) if connectivity == 8 else None
    regions = []
    for values, mask in zip(maps, masks, strict=True):
        labels, count = ndimage.label(mask, structure)
        regions += [values[labels == k + 1].tolist() for k in range(count)]
    background = [v for values, mask in zip(maps, masks, strict=True) for v in values[~mask].tolist()]
    points = [(Fraction(0), Fraction(0))]
    for t in sorted({v for values in maps for v in values.ravel().tolist()}, reverse=True):
        overlap = sum((Fraction(sum(v >= t for v in region), len(region)) for region in regions), Fraction(0)) / len(regions)
        points.append((Fraction(sum(v >= t for v in background), len(background)), overlap))
    area = Fraction(0)
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], (Fraction(1), Fraction(1))], strict=True):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@pytest.mark.parametrize(
    ("connectivity", "limit", "expected"),
    [(8, 0.3, Fraction(5, 6)), (8, 1.0, Fraction(19, 20)), (4, 0.3, Fraction(61, 72)), (4, 1.0, Fraction(229, 240))],
)
def test_golden_fractions(connectivity: int, limit: float, expected: Fraction) -> None:
    assert aupro([SCORE], [MASK], limit, connectivity) == pytest.approx(float(expected), abs=1e-12)
    assert aupro_by_definition([SCORE], [MASK], Fraction(str(limit)), connectivity) == expected


def test_golden_pixel_metrics() -> None:
    found = score_maps([SCORE], [MASK], resamples=0)
    assert found["pixel_auroc"].value == pytest.approx(0.95, abs=1e-12)
    assert found["pixel_ap"].value == pytest.approx(float(Fraction(111, 140)), abs=1e-12)
    assert found["pixel_f1max"].value == pytest.approx(8 / 11, abs=1e-12)
    assert found.thresholds["pixel_f1max"] == 5


@st.composite
def small_sets(draw: st.DrawFn) -> tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]:
    maps, masks = [], []
    for _ in range(draw(st.integers(1, 3))):
        h, w = draw(st.integers(2, 6)), draw(st.integers(2, 6))
        maps.append(np.array(draw(st.lists(st.integers(-4, 4), min_size=h * w, max_size=h * w))).reshape(h, w))
        masks.append(np.array(draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w))
    masks[0].flat[0], masks[-1].flat[-1] = True, False
    return maps, masks


@given(small_sets(), st.sampled_from(["0.05", "0.3", "0.77", "1"]), st.sampled_from([4, 8]))
def test_agrees_with_the_definition(
    case: tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]], limit: str, connectivity: int
) -> None:
    maps, masks = case
    expected = float(aupro_by_definition(maps, masks, Fraction(limit), connectivity))
    assert aupro(maps, masks, float(limit), connectivity) == pytest.approx(expected, abs=1e-12)


@given(small_sets())
def test_transforms_and_order_of_images_change_no_bit(case: tuple[list[NDArray[np.int64]], list[NDArray[np.bool_]]]) -> None:
    maps, masks = case
    before = score_maps(maps, masks, labels=[1] * len(maps) if all(m.any() for m in masks) else None, resamples=0)
    for changed in ([np.float32(m) / 8 + 3 for m in maps[::-1]], [np.exp2(m.astype(np.float64) * 50) for m in maps[::-1]]):
        after = score_maps(changed, masks[::-1], resamples=0)
        for key in ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro"):
            assert after[key].value == before[key].value


def test_diagonal_pixels_are_one_region_or_two() -> None:
    mask = np.eye(2, dtype=bool)
    assert label_regions(mask, 8)[1] == 1
    assert label_regions(mask, 4)[1] == 2


def test_weights_of_a_region_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((200, 200)) < 0.45
    labels, count = label_regions(mask)
    weights, counted = region_weights(mask)
    assert counted == count
    assert np.bincount(labels[mask], weights)[1:] == pytest.approx(np.ones(count), abs=1e-12)


def test_a_small_region_weighs_as_much_as_a_large_one() -> None:
    mask = np.zeros((200, 200), bool)
    mask[0, 0] = mask[50:150, 50:150] = True
    only_small, only_large = np.zeros((200, 200)), mask.astype(float)
    only_small[0, 0], only_large[0, 0] = 1, 0
    assert aupro([only_small], [mask], 1.0) == pytest.approx(0.75, abs=1e-12)
    assert aupro([only_large], [mask], 1.0) == pytest.approx(0.75, abs=1e-12)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_constant_map_is_half_the_limit_and_perfect_map_is_one(limit: float) -> None:
    assert aupro([np.full(MASK.shape, 7.0)], [MASK], limit) == pytest.approx(limit / 2, abs=1e-12)
    assert aupro([MASK.astype(np.float32)], [MASK], limit) == 1.0


def test_random_map_is_chance() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((1000, 1000), bool)
    for y, x in rng.integers(0, 990, (60, 2)):
        mask[y : y + 8, x : x + 8] = True
    assert aupro([rng.standard_normal(mask.shape)], [mask]) == pytest.approx(0.15, abs=0.01)


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, float("nan")])
def test_limit_outside_its_range_is_refused(limit: float) -> None:
    with pytest.raises(BadParameter, match="expected a share above 0"):
        aupro([SCORE], [MASK], limit)


def test_connectivity_is_four_or_eight() -> None:
    with pytest.raises(BadParameter, match="connectivity is 6; expected 8"):
        aupro([SCORE], [MASK], connectivity=6)
