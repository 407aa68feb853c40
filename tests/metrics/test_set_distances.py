"""FID, KID and Inception Score: against dense formulas, by hand, and what they refuse."""

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.metrics.features import FeatureSet
from flawsmith.metrics.frechet import frechet_distance
from flawsmith.metrics.inception_score import inception_score
from flawsmith.metrics.kid import kernel_distance


def drawn(n, d, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / math.sqrt(d) + shift


def by_square_root(a, b):
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root))


def test_fid_is_that_of_the_matrix_square_root():
    a, b = drawn(500, 64, 0), drawn(500, 64, 1, shift=0.3)
    assert frechet_distance(FeatureSet(a), FeatureSet(b)) == pytest.approx(by_square_root(a, b), rel=1e-6)


def test_fid_of_fewer_pictures_than_dimensions():
    """Σ is singular here; both ways of writing the same sets must agree."""
    a, b = drawn(20, 40, 2), drawn(300, 40, 3, shift=0.5)
    wide = [np.pad(x, ((0, 0), (0, 400))) for x in (a, b)]  # 300 rows are fewer than 440 columns, and not fewer than 40
    assert frechet_distance(FeatureSet(a), FeatureSet(b)) == pytest.approx(frechet_distance(*map(FeatureSet, wide)), rel=1e-9)


def test_fid_by_hand():
    """One dimension: (μ₁−μ₂)² + (σ₁−σ₂)²."""
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [9.0]])
    assert frechet_distance(FeatureSet(a), FeatureSet(b)) == pytest.approx(36 + (math.sqrt(2) - math.sqrt(8)) ** 2)


@pytest.mark.parametrize(("n", "d"), [(30, 100), (200, 16)])
def test_fid_of_a_set_with_itself_is_zero_symmetric_and_free_of_order(n, d):
    a, b = drawn(n, d, 4), drawn(n + 7, d, 5)
    scale = float((a**2).sum() / n)
    assert frechet_distance(FeatureSet(a), FeatureSet(a)) <= 1e-6 * scale
    there = frechet_distance(FeatureSet(a), FeatureSet(b))
    assert there == pytest.approx(frechet_distance(FeatureSet(b), FeatureSet(a)), rel=1e-9)
    assert there == pytest.approx(frechet_distance(FeatureSet(a[::-1]), FeatureSet(b[::-1])), rel=1e-9)


def dense_kid(a, b):
    d = a.shape[1]
    k = lambda x, y: (x @ y.T / d + 1) ** 3  # noqa: E731
    n, m = len(a), len(b)
    off = lambda x: x.sum() - np.trace(x)  # noqa: E731
    return off(k(a, a)) / (n * (n - 1)) + off(k(b, b)) / (m * (m - 1)) - 2 * k(a, b).mean()


def test_kid_of_all_pictures_is_the_dense_formula():
    a, b = drawn(1500, 24, 6), drawn(90, 24, 7, shift=0.2)
    found = kernel_distance(FeatureSet(a), FeatureSet(b), subsets=2)
    assert found.full == pytest.approx(dense_kid(a, b), rel=1e-9)
    assert found.subset == 90


def test_kid_by_hand():
    """Two vectors each, one dimension: k(0, 0) = 1, k(0, 1) = 1, k(1, 1) = 8."""
    found = kernel_distance(FeatureSet(np.array([[0.0], [0.0]])), FeatureSet(np.array([[1.0], [1.0]])))
    assert found.mean == found.full == pytest.approx(1 + 8 - 2)
    assert found.std == pytest.approx(0)


def test_kid_of_two_halves_is_about_zero_and_sometimes_negative():
    whole = drawn(400, 16, 8)
    order = np.random.default_rng(9)
    found = []
    for _ in range(60):
        rows = order.permutation(400)
        found.append(kernel_distance(FeatureSet(whole[rows[:200]]), FeatureSet(whole[rows[200:]]), subsets=1).full)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(60) + 1e-3
    assert min(found) < 0 < max(found)
    far = kernel_distance(FeatureSet(whole[:200]), FeatureSet(whole[200:] + 1), subsets=1).full
    assert far > 10 * np.abs(found).max()


def test_kid_takes_a_hundred_subsets_of_the_smaller_set_and_repeats_itself():
    a, b = FeatureSet(drawn(50, 8, 10)), FeatureSet(drawn(70, 8, 11))
    found = kernel_distance(a, b)
    assert (found.subset, found.subsets) == (50, 100)
    assert found == kernel_distance(a, b)
    assert found.std > 0
    assert found.mean == pytest.approx(found.full, abs=5 * found.std)
    small = kernel_distance(a, b, subset=10)
    assert small.subset == 10
    assert small.std > found.std


def test_the_inception_score_is_one_where_all_predictions_agree():
    found = inception_score(np.tile([[3.0, 1.0, -2.0]], (40, 1)))
    assert found.mean == pytest.approx(1, abs=1e-12)
    assert found.std == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 7, 1008])
def test_the_inception_score_of_even_and_certain_predictions_is_the_number_of_classes(classes):
    logits = np.where(np.eye(classes) > 0, 2000.0, -2000.0)
    assert inception_score(logits, splits=1).mean == pytest.approx(classes, rel=1e-9)


def test_the_inception_score_by_hand():
    """p = (¾, ¼) and (¼, ¾): KL to the mean (½, ½) is ln 2 − H(¼)."""
    logits = np.log([[0.75, 0.25], [0.25, 0.75]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert inception_score(logits, splits=1).mean == pytest.approx(math.exp(math.log(2) - entropy))


def test_splits_of_the_inception_score_are_those_of_a_plain_loop():
    logits = np.random.default_rng(12).normal(size=(103, 5)) * 3
    found = inception_score(logits, splits=4, seed=None)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for part in (p[0:25], p[25:51], p[51:77], p[77:103]):
        mean = part.mean(0)
        scores.append(math.exp(np.mean([sum(q * math.log(q / r) for q, r in zip(row, mean, strict=True)) for row in part])))
    assert found.mean == pytest.approx(np.mean(scores), rel=1e-12)
    assert found.std == pytest.approx(np.std(scores, ddof=1), rel=1e-12)
    assert inception_score(logits).mean != inception_score(logits, seed=None).mean


@given(st.integers(0, 10**6), st.floats(-50, 50))
def test_the_inception_score_lies_between_one_and_the_classes_and_ignores_a_shift(seed, shift):
    logits = np.random.default_rng(seed).normal(size=(30, 6)) * 4
    found = inception_score(logits, splits=3)
    assert 1 - 1e-12 <= found.mean <= 6
    assert inception_score(logits + shift, splits=3).mean == pytest.approx(found.mean, rel=1e-9)


def test_too_few_pictures_have_no_number():
    one, many = FeatureSet(np.ones((1, 4))), FeatureSet(np.ones((9, 4)))
    for pair in ((one, many), (many, one)):
        assert math.isnan(frechet_distance(*pair))
        found = kernel_distance(*pair)
        assert math.isnan(found.mean)
        assert math.isnan(found.full)
    assert math.isnan(inception_score(np.ones((9, 4))).mean)
    assert inception_score(np.ones((10, 4))).mean == pytest.approx(1)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
def test_features_that_do_not_fit_are_refused(measure):
    good = FeatureSet(np.ones((3, 4)), "inception-v3-fid")
    with pytest.raises(BadParameter, match="come from inception-v3-fid and from efficientnet-lite0; expected one extractor"):
        measure(good, FeatureSet(np.ones((3, 4)), "efficientnet-lite0"))
    with pytest.raises(BadParameter, match="4 and 5 dimensions"):
        measure(good, FeatureSet(np.ones((3, 5)), "inception-v3-fid"))
    with pytest.raises(DataError, match="picture 1 are NaN"):
        measure(good, FeatureSet(np.array([[1.0] * 4, [math.nan] * 4]), "inception-v3-fid"))
    with pytest.raises(DataError, match=r"shape \(4,\)"):
        measure(good, FeatureSet(np.ones(4), "inception-v3-fid"))


def test_splits_and_subsets_out_of_range_are_refused():
    with pytest.raises(BadParameter, match="splits is 0"):
        inception_score(np.ones((4, 2)), splits=0)
    for options in ({"subset": 1}, {"subsets": 0}):
        with pytest.raises(BadParameter, match="expected at least one of at least 2"):
            kernel_distance(FeatureSet(np.ones((4, 2))), FeatureSet(np.ones((4, 2))), **options)
