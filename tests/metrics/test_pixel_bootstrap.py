"""Resampling images by weights gives what measuring the resampled images gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flawsmith.core.seeding import Seed
from flawsmith.metrics import Interval, score_maps
from flawsmith.metrics.pixel_bootstrap import KINDS, SlotCounts, bootstrap_pixels, chosen_thresholds
from flawsmith.metrics.testset import check_set

Case = tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]


def exact(
    maps: list[NDArray[np.float32]], masks: list[NDArray[np.bool_]], limit: float = 0.3, connectivity: int = 8
) -> list[float]:
    found = score_maps(maps, masks, fpr_limit=limit, connectivity=connectivity, metrics=["pixel_iou_max"], resamples=0)
    return [found[key].value for key in KINDS]


def weighted(counts: SlotCounts, weights: list[int], limit: float = 0.3) -> list[float]:
    found = counts.measure(np.array([weights], float), limit)
    return [float(found[key][0]) for key in KINDS]


@st.composite
def coarse_sets(draw: st.DrawFn) -> tuple[Case, list[int]]:
    maps, masks, weights = [], [], []
    for _ in range(draw(st.integers(2, 4))):
        h, w = draw(st.integers(2, 5)), draw(st.integers(2, 5))
        maps.append(np.array(draw(st.lists(st.integers(-4, 4), min_size=h * w, max_size=h * w)), np.float32).reshape(h, w))
        masks.append(np.array(draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w))
        weights.append(draw(st.integers(0, 3)))
    masks[0].flat[0], masks[0].flat[1] = True, False
    weights[0] = max(1, weights[0])
    return (maps, masks), weights


@given(coarse_sets(), st.sampled_from([0.05, 0.3, 1.0]), st.sampled_from([4, 8]))
@settings(max_examples=60, deadline=None)
def test_a_resample_is_exact_where_defect_scores_are_few(case: tuple[Case, list[int]], limit: float, connectivity: int) -> None:
    (maps, masks), weights = case
    data = check_set(maps, masks)
    counts = SlotCounts.of(data, chosen_thresholds(data, 64), connectivity)
    repeated = [i for i, times in enumerate(weights) for _ in range(times)]
    expected = exact([maps[i] for i in repeated], [masks[i] for i in repeated], limit, connectivity)
    assert weighted(counts, weights, limit) == pytest.approx(expected, abs=1e-12)


@pytest.fixture(scope="module")
def fine() -> Case:
    """Twelve maps with as many scores as pixels, every third normal."""
    rng = np.random.default_rng(11)
    maps, masks = [], []
    for i in range(12):
        mask = np.zeros((96, 96), bool)
        if i % 3:
            mask[10 : 22 + 4 * i, 20:60] = True
            mask[80:84, 70 : 72 + i] = True
        maps.append((rng.standard_normal((96, 96)) + (1.0 + 0.1 * i) * mask).astype(np.float32))
        masks.append(mask)
    return maps, masks


def test_a_resample_of_quantiles_is_near(fine: Case) -> None:
    maps, masks = fine
    data = check_set(maps, masks)
    counts = SlotCounts.of(data, chosen_thresholds(data, 4096), 8)
    rng = np.random.default_rng(0)
    for _ in range(5):
        chosen = rng.integers(12, size=12).tolist()
        expected = exact([maps[i] for i in chosen], [masks[i] for i in chosen])
        assert weighted(counts, np.bincount(chosen, minlength=12).tolist()) == pytest.approx(expected, abs=1e-4)


def test_intervals_are_those_of_measuring_every_resample(fine: Case) -> None:
    maps, masks = [m[:48:2, :48:2] for m in fine[0]], [m[:48:2, :48:2] for m in fine[1]]
    data = check_set(maps, masks)
    values = dict(zip(KINDS, exact(maps, masks), strict=True))
    rng, drawn = Seed(3).numpy("bootstrap"), []
    for _ in range(60):
        chosen = rng.integers(12, size=12).tolist()
        drawn.append(exact([maps[i] for i in chosen], [masks[i] for i in chosen]))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    found = bootstrap_pixels(data, values, resamples=60, seed=3)
    assert [found[key].low for key in KINDS] == pytest.approx(low.tolist(), abs=1e-9)
    assert [found[key].high for key in KINDS] == pytest.approx(high.tolist(), abs=1e-9)
    # with few thresholds nearly so, and the known difference on the set itself is taken off
    rough = bootstrap_pixels(data, values, resamples=60, seed=3, memory=1)
    assert [rough[key].low for key in KINDS] == pytest.approx(low.tolist(), abs=4e-3)
    assert [rough[key].high for key in KINDS] == pytest.approx(high.tolist(), abs=4e-3)


def test_images_and_not_pixels_are_drawn() -> None:
    """One defect that is found among nine that are not: the interval is wide however many pixels there are."""

    def interval(side: int) -> Interval:
        mask = np.zeros((side, side), bool)
        mask[: side // 2] = True
        maps = [np.where(mask, 0.9, 0.1) if i == 0 else np.where(mask, 0.1, 0.2) for i in range(10)]
        found = score_maps(maps, [mask] * 10, resamples=0, pixel_resamples=200)["pixel_auroc"].interval
        assert found is not None
        return found

    small, large = interval(8), interval(64)
    assert small.high - small.low > 0.2
    assert large.low == pytest.approx(small.low)
    assert large.high == pytest.approx(small.high)


def test_score_maps_gives_intervals_only_when_asked(fine: Case) -> None:
    plain = score_maps(*fine, resamples=10)
    assert plain["pixel_auroc"].interval is None
    found = score_maps(*fine, metrics=["pixel_iou_max", "pixel_iou_oracle"], resamples=10, pixel_resamples=40)
    for key in KINDS:
        interval = found[key].interval
        assert interval is not None, key
        assert interval.resamples == 40
        assert interval.low <= found[key].value <= interval.high
    assert found["pixel_iou_oracle"].interval is None
    again = score_maps(*fine, metrics=["pixel_iou_max"], resamples=10, pixel_resamples=40)
    assert [again[key].interval for key in KINDS] == [found[key].interval for key in KINDS]
    variant = score_maps(*fine, pro="full", resamples=0, pixel_resamples=40)
    assert variant["pixel_aupro"].interval is None
    assert variant["pixel_auroc"].interval is not None


def test_resamples_that_lack_a_kind_of_pixels_are_left_out() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    maps, masks = [np.arange(16.0).reshape(4, 4)] * 3, [mask, np.zeros((4, 4), bool), np.zeros((4, 4), bool)]
    found = score_maps(maps, masks, resamples=0, pixel_resamples=300)["pixel_ap"].interval
    assert found is not None
    assert 180 < found.resamples < 240  # one draw in (2/3)³ has no defect
    nothing = score_maps(maps[1:], masks[1:], resamples=0, pixel_resamples=300)["pixel_ap"]
    assert nothing.reason == "no_positive"
    assert nothing.interval is None


def test_anomalies_without_a_mask_weigh_nothing() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    values = np.arange(16.0).reshape(4, 4)
    data = check_set([values, values * 2, values], [mask, None, np.zeros((4, 4), bool)], [1, 1, 0])
    counts = SlotCounts.of(data, chosen_thresholds(data, 64), 8)
    assert weighted(counts, [1, 5, 1]) == weighted(counts, [1, 0, 1])
