import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.metrics import MetricValue, auroc, average_precision, f1_max
from flawsmith.metrics.ranking import best_f1, roc_area, step_precision, steps_by_label
from flawsmith.metrics.steps import Steps, steps_of

GOLDEN = ([0.1, 0.4, 0.4, 0.35, 0.8], [0, 0, 1, 1, 1])

values = st.one_of(
    st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 5e-324, -5e-324, 2.2e-308]),
    st.floats(-10, 10),
    st.integers(-3, 3).map(lambda i: 1e6 + i / 1024),
)
samples = st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=60)
both_classes = samples.filter(lambda rows: 0 < sum(label for _, label in rows) < len(rows))


def arrays(rows: list[tuple[float, bool]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.array([score for score, _ in rows]), np.array([int(label) for _, label in rows])


def test_golden_values() -> None:
    f1, threshold = f1_max(*GOLDEN)
    assert auroc(*GOLDEN).value == pytest.approx(float(Fraction(3, 4)), abs=1e-12)
    assert average_precision(*GOLDEN).value == pytest.approx(float(Fraction(29, 36)), abs=1e-12)
    assert f1.value == pytest.approx(float(Fraction(6, 7)), abs=1e-12)
    assert threshold == 0.35


@given(both_classes)
def test_agrees_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    assert auroc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert average_precision(scores, labels).value == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    precision, recall, _ = precision_recall_curve(labels, scores)
    sums = np.where(precision + recall > 0, precision + recall, 1)
    assert f1_max(scores, labels)[0].value == pytest.approx(np.max(2 * precision * recall / sums), abs=1e-9)


@given(both_classes)
def test_auroc_is_the_share_of_pairs_in_order(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    assert auroc(scores, labels).value == pytest.approx(np.mean(pairs), abs=1e-12)


@given(both_classes)
def test_f1_max_is_reached_at_its_threshold(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    value, threshold = f1_max(scores, labels)
    called = scores >= threshold
    hits = int((called & (labels == 1)).sum())
    assert value.value == pytest.approx(2 * hits / (called.sum() + labels.sum()), abs=1e-12)
    assert threshold in scores[labels == 1]


@given(both_classes)
def test_increasing_transforms_change_no_bit(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    ranks = np.unique(scores, return_inverse=True)[1].astype(np.float64)
    for transformed in (ranks, ranks**3 - 1e6, np.exp2(ranks - 40)):
        assert auroc(transformed, labels).value == auroc(scores, labels).value
        assert average_precision(transformed, labels).value == average_precision(scores, labels).value
        assert f1_max(transformed, labels)[0].value == f1_max(scores, labels)[0].value


@given(both_classes)
def test_order_changes_no_bit_and_negation_mirrors(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    for metric in (auroc, average_precision):
        assert metric(scores[order], labels[order]).value == metric(scores, labels).value
    assert f1_max(scores[order], labels[order]) == f1_max(scores, labels)
    assert auroc(-scores, labels).value == pytest.approx(1 - auroc(scores, labels).value, abs=1e-12)


@given(both_classes)
def test_a_copy_of_the_set_changes_nothing(rows: list[tuple[float, bool]]) -> None:
    scores, labels = arrays(rows)
    twice = np.tile(scores, 2), np.tile(labels, 2)
    for metric in (auroc, average_precision, lambda s, y: f1_max(s, y)[0]):
        assert metric(*twice).value == pytest.approx(metric(scores, labels).value, abs=1e-12)


def test_normals_below_all_others_leave_f1_max_alone() -> None:
    scores, labels = [*GOLDEN[0], -5.0, -5.0], [*GOLDEN[1], 0, 0]
    assert f1_max(scores, labels)[0].value == f1_max(*GOLDEN)[0].value
    assert auroc(scores, labels).value != auroc(*GOLDEN).value


def test_constant_scores_are_chance_and_perfect_ones_are_one() -> None:
    labels = [1, 0, 0, 0, 1]
    assert auroc([2.0] * 5, labels).value == 0.5
    assert average_precision([2.0] * 5, labels).value == pytest.approx(0.4, abs=1e-12)
    assert f1_max([2.0] * 5, labels)[0].value == pytest.approx(2 * 0.4 / 1.4, abs=1e-12)
    assert [auroc(labels, labels).value, average_precision(labels, labels).value, f1_max(labels, labels)[0].value] == [1, 1, 1]


@pytest.mark.parametrize(("labels", "reason"), [([0, 0], "no_positive"), ([1, 1], "no_negative"), ([], "too_few_samples")])
@pytest.mark.parametrize("metric", [auroc, average_precision, lambda s, y: f1_max(s, y)[0]])
def test_one_class_is_nan_with_a_reason(labels: list[int], reason: str, metric: Callable[..., MetricValue]) -> None:
    value = metric([0.5, 0.7][: len(labels)], labels)
    assert math.isnan(value.value)
    assert value.reason == reason


def test_threshold_of_an_undefined_f1_is_nan() -> None:
    assert math.isnan(f1_max([0.1, 0.2], [0, 0])[1])


def test_minus_zero_ties_with_zero_and_subnormals_do_not() -> None:
    assert auroc([-0.0, 0.0], [1, 0]).value == 0.5
    assert auroc([5e-324, 0.0], [1, 0]).value == 1.0
    assert auroc(np.array([1e-45, 0.0], np.float32), [1, 0]).value == 1.0


def test_large_offsets_keep_their_order() -> None:
    assert auroc(np.array([1e6 + 0.0625, 1e6], np.float32), [1, 0]).value == 1.0


def test_counts_are_exact_beyond_two_to_the_24() -> None:
    negatives = np.zeros(2**24 + 3, np.float32)
    steps = steps_of(np.array([0.0, 1.0], np.float32), [negatives])
    assert steps.reached.tolist() == [0, 2**24 + 3]
    assert steps.reached.dtype == np.int64
    assert roc_area(steps) == pytest.approx(0.75, abs=1e-15)


def test_pairs_beyond_two_to_the_62_do_not_overflow() -> None:
    many = 2**32
    half, one = np.array([many // 2, many]), np.array([1.0, 1.0])
    steps = Steps(one, half, one, np.array([0, many // 2]), np.array([many // 2, many]), many, many)
    # Half of the positives tie with half of the negatives and outrank the others; the other half tie with the others.
    assert roc_area(steps) == (1 / 2 * (1 / 4 + 1 / 2)) + (1 / 2 * (0 + 1 / 4))


def test_hits_are_exact_beyond_two_to_the_24() -> None:
    steps = steps_of(np.ones(2**24 + 3, np.float32), [np.zeros(1, np.float32)])
    assert steps.hits.tolist() == [2**24 + 3]
    assert steps.hits.dtype == np.int64
    assert [roc_area(steps), step_precision(steps), best_f1(steps)[0]] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("scores", "labels", "match"),
    [
        ([0.1, math.nan], [0, 1], "score 1 is nan; expected finite"),
        ([math.inf, 0.1], [0, 1], "score 0 is inf"),
        ([0.1, 0.2], [0, 2], r"label 1 is 2; expected 0 \(good\) or 1 \(defect\): give 1"),
        ([0.1], [0, 1], r"shape \(1,\), labels \(2,\)"),
        ([[0.1]], [[1]], r"shape \(1, 1\); expected a list"),
        (["x"], [1], "scores are of type <U1; expected numbers"),
    ],
)
def test_bad_input_is_refused(scores: object, labels: object, match: str) -> None:
    with pytest.raises(BadParameter, match=match):
        auroc(scores, labels)  # type: ignore[arg-type]


def test_scores_that_float64_would_tie_and_masked_ones_are_refused() -> None:
    for tied in ([2**60 + 1, 2**60], np.array([2**60 + 1, 2**60], np.longdouble)):
        with pytest.raises(DataError, match="float64 rounds") as error:
            auroc(tied, [1, 0])
        assert error.value.code == "E_MODE"
    with pytest.raises(DataError, match="1 masked elements"):
        auroc(np.ma.masked_array([0.1, 0.9], [False, True]), [1, 0])
    assert auroc([2**53, 2**53 - 1], [1, 0]).value == 1.0


def test_steps_hold_every_threshold_once() -> None:
    steps: Steps = steps_by_label([3, 3, 2, 1, 1], [1, 0, 1, 0, 1])
    assert steps.thresholds.tolist() == [3, 2, 1]
    assert steps.hits.tolist() == [1, 2, 3]
    assert (steps.above.tolist(), steps.reached.tolist()) == ([0, 1, 1], [1, 1, 2])
