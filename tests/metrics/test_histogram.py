from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flawsmith.metrics.anchored import Anchors, DefectPixels, mass_of, weights_of
from flawsmith.metrics.bounds import bounds_of, one_by_one
from flawsmith.metrics.histogram import Histogram, narrowed, smallest_rounded_to, tied_steps
from flawsmith.metrics.keys import keys_of, packed, unpacked_keys, unpacked_numbers, values_of
from flawsmith.metrics.ranking import roc_area, step_precision
from flawsmith.metrics.steps import Counts, steps_of

ODD = np.array([-np.inf, -3e38, -1.0, -1e-40, -1.4e-45, 0.0, 1.4e-45, 1e-40, 1.0, 1e6, 1e6 + 0.0625, 3e38, np.inf], np.float32)


def whole(scores: NDArray[Any], hits: int, most: int) -> Histogram:
    histogram = Histogram(most)
    histogram.add_pixels(scores.copy())
    histogram.add_defects(DefectPixels(scores[:hits], np.full(hits, 3, np.uint32)))
    return histogram


def test_keys_keep_the_order_of_floats_and_lead_back_to_them() -> None:
    keys = keys_of(ODD)
    assert (np.diff(keys.astype(np.int64)) > 0).all()
    assert np.array_equal(values_of(keys), ODD)
    assert keys_of(np.array([-0.0], np.float32)) == keys_of(np.array([0.0], np.float32))
    both = packed(keys, np.arange(len(keys)) + 2**31)
    assert np.array_equal(unpacked_keys(both), keys)
    assert np.array_equal(unpacked_numbers(both), np.arange(len(keys)) + 2**31)


def test_where_the_numbers_begin_that_are_rounded_to_a_float32() -> None:
    rng = np.random.default_rng(0)
    drawn = np.frombuffer(rng.bytes(40_000), np.float32)
    values = np.concatenate([ODD, np.array([3.4028235e38, -3.4028235e38, 1.1754944e-38], np.float32), drawn[~np.isnan(drawn)]])
    values = values[values > -np.inf]
    ends = smallest_rounded_to(values)
    assert np.array_equal(narrowed(ends), values)
    assert (narrowed(np.nextafter(ends, -np.inf)) < values).all()
    assert smallest_rounded_to(np.array([-np.inf], np.float32)) == np.finfo(np.float64).min


def test_region_weights_are_added_without_loss() -> None:
    sizes = np.array([1, 3, 7, 10**6, 2**31])
    high, low = weights_of(sizes)
    for size, a, b in zip(sizes.tolist(), high.tolist(), low.tolist(), strict=True):
        assert 0 <= Fraction(1, size) - Fraction(a * 2**31 + b, 2**62) < Fraction(1, 2**62)
    million = np.full(10**6, 10**6)
    total = mass_of(*(part.sum(keepdims=True) for part in weights_of(million)))
    assert total == pytest.approx(1, abs=1e-12)


def test_mass_of_anchors_is_that_of_float_sums() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 600_000, 10**6).astype(np.float32)
    sizes = rng.integers(1, 1000, len(scores)).astype(np.uint32)
    background = np.sort(rng.integers(0, 600_000, 10**5).astype(np.float32))
    expected = steps_of(scores, [background], 1 / sizes.astype(np.float64))
    for dtype in (np.float32, np.float64):
        anchors = Anchors([DefectPixels(scores[:7], sizes[:7]), DefectPixels(scores[7:], sizes[7:])], np.dtype(dtype))
        for chunk in (background[::2], background[1::2], np.sort(scores)):
            anchors.count(chunk)
        found = anchors.steps()
        assert np.abs(found.mass / expected.mass - 1).max() < 1e-12
        assert np.array_equal(found.thresholds, expected.thresholds)
        assert np.array_equal(found.hits, expected.hits)
        assert np.array_equal(found.above, expected.above)
        assert np.array_equal(found.reached, expected.reached)


@given(st.integers(0, 2**32), st.integers(2, 200), st.integers(1, 50), st.lists(st.integers(0, 300), max_size=4))
def test_merging_shards_equals_one_pass(seed: int, levels: int, most: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-levels, levels, 300) / 7).astype(np.float32)
    expected = whole(scores, 40, most)
    shards = []
    for part in np.split(np.arange(300), sorted(cuts)):
        shard = Histogram(most)
        shard.add_pixels(scores[part])
        chosen = part[part < 40]
        shard.add_defects(DefectPixels(scores[chosen], np.full(len(chosen), 3, np.uint32)))
        shards.append(shard)
    total = Histogram(most)
    for i in rng.permutation(len(shards)):
        total.merge(shards[i])
    assert total.shift == expected.shift
    for mine, theirs in zip(total.bins.columns(), expected.bins.columns(), strict=True):
        assert np.array_equal(mine, theirs)


def test_bins_never_exceed_their_number_and_do_not_overlap() -> None:
    scores = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    bins = whole(scores, 500, 100).bins
    assert 50 < len(bins) <= 100
    assert (bins.first <= bins.last).all()
    assert (bins.last[:-1] < bins.first[1:]).all()
    assert (bins.pixels.sum(), bins.hits.sum()) == (20_000, 500)
    assert (bins.hits <= bins.pixels).all()


def test_a_bin_of_one_score_is_certain_and_one_of_rounded_scores_is_not() -> None:
    single = whole(np.array([1, 1, 2, 2], np.float32), 1, 10)
    assert not single.bins.mixed.any()
    rounded = whole(np.array([1.0, 1 + 1e-12, 2, 3]), 1, 10)
    assert rounded.bins.mixed.tolist() == [True, False, False]
    steps, mixed = tied_steps(rounded.bins)
    low, high = bounds_of(steps, mixed, roc_area)
    assert (low, high) == (0.0, pytest.approx(1 / 3, abs=1e-11))


def test_ties_inside_a_bin_can_lift_precision_above_that_of_positives_one_by_one() -> None:
    # 100 positives share a score below 100 negatives and above one more; the bin holds them and that one.
    scores = np.concatenate([np.full(100, 1.5), np.full(100, 9.0), [1.25]]).astype(np.float32)
    exact = steps_of(scores[:100], [np.sort(scores[100:])])
    steps, mixed = tied_steps(whole(scores, 100, 2).bins)
    assert mixed.tolist() == [True]
    low, high = bounds_of(steps, mixed, step_precision)
    assert step_precision(exact) == 0.5
    assert low < 0.5 <= high
    assert (np.arange(1, 101) / (100 + np.arange(1, 101))).mean() < 0.31


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 400))
def test_the_lower_end_of_precision_is_below_the_sum_and_near_it(hits: int, alarms: int, gained: int) -> None:
    def one(value: int) -> Counts:
        return np.array([value], np.int64)

    terms = [Fraction(hits + j, hits + alarms + j) for j in range(1, gained + 1)]
    found = float(one_by_one(one(hits), one(alarms), one(gained))[0])
    exact = float(sum(terms))
    rounding = 4e-16 * gained  # of average precision, the sum of all bins over all positives, that is 4e-16
    assert found <= exact + rounding
    assert found >= 0.95 * exact - rounding
