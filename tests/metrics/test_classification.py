"""Classification as UniADC defines it: its checks, scikit-learn, and the differences of paper and code as flags."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import Region
from flawsmith.metrics import score_maps
from flawsmith.metrics.classification import (
    ClassScores,
    anomaly_probability,
    class_map,
    image_class,
    pixel_classes,
    score_classes,
)

CLASSES = ("crack", "scratch", "spot")
Ids = NDArray[np.int64]
Case = tuple[list[Ids], list[Ids], list[str]]


def score(predictions: Sequence[NDArray[np.generic]], truth: object, defects: Sequence[str], **options: object) -> ClassScores:
    settled = {"classes": CLASSES, "resamples": 0, **options}
    return score_classes(predictions, truth, defects, **settled)  # type: ignore[arg-type]


@pytest.fixture
def truth() -> list[Ids]:
    """Two normals, then one anomaly of each class."""
    found = [np.zeros((6, 8), np.int64) for _ in range(5)]
    for number in (1, 2, 3):
        found[number + 1][1 : 2 + number, 2:5] = number
    return found


DEFECTS = ("good", "good", *CLASSES)


def test_a_perfect_prediction_is_one(truth: list[Ids]) -> None:
    found = score(truth, truth, DEFECTS)
    assert {key: value.value for key, value in found.items()} == {"cls_acc": 1, "cls_miou": 1, "cls_acc_anomalous": 1}
    assert list(found) == ["cls_acc", "cls_miou", "cls_acc_anomalous"]
    assert found.images.tolist() == [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert found.absent == ()


def test_all_background_gives_the_iou_of_the_background_over_the_number_of_classes(truth: list[Ids]) -> None:
    found = score([np.zeros((6, 8), np.int64)] * 5, truth, DEFECTS)
    background = 1 - (6 + 9 + 12) / (5 * 48)
    assert found["cls_miou"].value == pytest.approx(background / 4, abs=1e-12)
    assert found["cls_acc"].value == 2 / 5
    assert found["cls_acc_anomalous"].value == 0
    assert found.iou == {"good": pytest.approx(background), "crack": 0, "scratch": 0, "spot": 0}


def test_swapping_two_categories_changes_classes_and_no_detection(truth: list[Ids]) -> None:
    swapped = [np.choose(t, [0, 2, 1, 3]) for t in truth]
    found = score(swapped, truth, DEFECTS)
    assert found["cls_acc"].value == 3 / 5
    assert found["cls_miou"].value == pytest.approx((1 + 0 + 0 + 1) / 4)
    maps, masks = [(t > 0) * 0.9 for t in truth], [t > 0 for t in truth]
    plain = score_maps(maps, masks, resamples=0)
    again = score_maps([(s > 0) * 0.9 for s in swapped], masks, resamples=0)
    assert [v.value for v in again.values()] == [v.value for v in plain.values()]


def test_combined_images_change_nothing_and_are_counted(truth: list[Ids]) -> None:
    plain = score(truth, truth, DEFECTS)
    mixed = np.zeros((6, 8), np.int64)
    mixed[0, 0], mixed[5, 5] = 1, 2
    wrong = np.full((6, 8), 3)
    found = score([*truth, wrong, wrong], [*truth, mixed, mixed], [*DEFECTS, "combined", "combined"], combined={"combined"})
    assert {key: value.value for key, value in found.items()} == {key: value.value for key, value in plain.items()}
    assert found.combined == 2
    assert found["cls_acc"].record.excluded == 2
    assert found["cls_acc"].record.images == 5
    assert (found.pixels == plain.pixels).all()
    masks = [t > 0 for t in truth]
    before = score_maps(masks, masks, resamples=0)
    after = score_maps([*masks, wrong > 0], [*masks, mixed > 0], resamples=0)
    assert after["pixel_auroc"].value != before["pixel_auroc"].value


def test_an_absent_class_is_left_out_and_named_or_counts_zero(truth: list[Ids]) -> None:
    some, names = truth[:4], DEFECTS[:4]
    found = score(some, some, names)
    assert found["cls_miou"].value == 1
    assert found.absent == ("spot",)
    assert found["cls_miou"].record.left_out == ("spot",)
    assert math.isnan(found.iou["spot"])
    parity = score(some, some, names, absent_counts_zero=True)
    assert parity["cls_miou"].value == 3 / 4
    assert parity["cls_miou"].record.protocol == "as_released"
    assert parity["cls_acc"].record.protocol == "honest"
    assert "absent" in parity["cls_miou"].record.differences(found["cls_miou"].record)


@st.composite
def small_sets(draw: st.DrawFn) -> Case:
    predictions, truth, defects = [], [], []
    for number in range(draw(st.integers(2, 5))):
        h, w = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        grid = st.lists(st.integers(0, 3), min_size=h * w, max_size=h * w)
        predictions.append(np.array(draw(grid)).reshape(h, w))
        own = number if number < 2 else draw(st.integers(0, 3))
        real = np.where(np.array(draw(grid)).reshape(h, w) > 1, own, 0)
        if own:
            real.flat[0] = own
        truth.append(real)
        defects.append(("good", *CLASSES)[own])
    return predictions, truth, defects


@given(small_sets())
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn(case: Case) -> None:
    predictions, truth, defects = case
    found = score(predictions, truth, defects)
    zero = score(predictions, truth, defects, absent_counts_zero=True)
    flat = np.concatenate([p.ravel() for p in predictions]), np.concatenate([t.ravel() for t in truth])
    assert (found.pixels == confusion_matrix(flat[1], flat[0], labels=range(4))).all()
    real = [("good", *CLASSES).index(name) for name in defects]
    named = [max(range(1, 4), key=lambda k: ((p == k).sum(), -k)) if p.any() else 0 for p in predictions]
    assert (found.images == confusion_matrix(real, named, labels=range(4))).all()
    assert found["cls_acc"].value == pytest.approx(accuracy_score(real, named), abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = jaccard_score(flat[1], flat[0], labels=range(4), average="macro", zero_division=0)
        present = [k for k in range(4) if (flat[0] == k).any() or (flat[1] == k).any()]
        left = jaccard_score(flat[1], flat[0], labels=present, average="macro")
    assert zero["cls_miou"].value == pytest.approx(expected, abs=1e-9)
    assert found["cls_miou"].value == pytest.approx(left, abs=1e-9)


@given(small_sets())
@settings(max_examples=30, deadline=None)
def test_order_and_copies_change_nothing(case: Case) -> None:
    predictions, truth, defects = case
    plain = [v.value for v in score(predictions, truth, defects).values()]
    turned = score(predictions[::-1], truth[::-1], defects[::-1])
    assert [v.value for v in turned.values()] == plain
    twice = score(predictions * 2, truth * 2, defects * 2)
    assert [v.value for v in twice.values()] == pytest.approx(plain, abs=1e-12)


def test_an_image_is_of_its_most_frequent_class_and_the_smallest_of_equals() -> None:
    assert image_class(np.array([[0, 0, 3], [3, 2, 0]])) == 3
    assert image_class(np.array([[0, 3, 3], [2, 2, 0]])) == 2
    assert image_class(np.zeros((2, 2), np.int64)) == 0
    assert image_class(np.array([[0, 0, 0, 0, 1]])) == 1  # one pixel is enough
    assert image_class(np.array([[0, 0, 0, 0, 1]]), min_area=2) == 0
    assert image_class(np.array([[2, 2, 3]]), min_area=2) == 2


def test_a_pixel_is_of_a_class_from_the_threshold_on() -> None:
    scores = np.array([[[1.0, 2, 0]], [[2.0, 2, 5]]])
    assert pixel_classes(np.array([[0.5, 0.6, 0.4]]), scores).tolist() == [[2, 1, 0]]
    assert pixel_classes(np.array([[0.5, 0.6, 0.4]]), scores, 0.3, (0.4, 0.6)).tolist() == [[2, 1, 0]]
    assert pixel_classes(np.array([[0.5, 0.6, 0.4]]), scores, 0.0, (0.4, 0.6)).tolist() == [[2, 1, 2]]


def test_code_averages_logits_and_the_paper_probabilities() -> None:
    logits = np.array([4.0, -2.0, -2.0]).reshape(3, 1, 1)
    assert anomaly_probability(logits)[0, 0] == 0.5
    sigmoids = [1 / (1 + math.exp(-x)) for x in (4, -2, -2)]
    assert anomaly_probability(logits, "probabilities")[0, 0] == pytest.approx(sum(sigmoids) / 3)
    real = np.ones((1, 1), np.int64)
    both = [logits, np.full((3, 1, 1), -9.0)], [real, real * 0], ["crack", "good"]
    assert score(*both)["cls_acc"].value == 1
    paper = score(*both, average="probabilities")
    assert paper["cls_acc"].value == 0.5
    assert paper["cls_acc"].record.details["average"] == "probabilities"


def test_min_max_over_the_test_set_makes_one_image_depend_on_the_others() -> None:
    def logits(level: float) -> NDArray[np.float64]:
        return np.stack([np.full((2, 2), level), np.full((2, 2), level - 1), np.full((2, 2), level - 1)])

    real = np.ones((2, 2), np.int64)
    weak = [logits(-1.0), logits(-3.0)], [real, real * 0], ["crack", "good"]
    assert score(*weak)["cls_acc"].value == 0.5
    scaled = score(*weak, global_minmax=True)
    assert scaled["cls_acc"].value == 1
    assert scaled["cls_acc"].record.protocol == "as_released"
    assert scaled["cls_acc"].record.details["scale"] == "min-max over the test set"
    # a combined image takes part in the scale, though in nothing else
    outshone = score([*weak[0], logits(9.0)], [*weak[1], None], ["crack", "good", "both"], combined=["both"], global_minmax=True)
    assert outshone["cls_acc"].value == 0.5
    flat = score([logits(1.0)] * 2, weak[1], weak[2], global_minmax=True)
    assert [value.reason for value in flat.values()] == ["constant"] * 3


def test_unknown_pixel_truth_counts_for_images_alone(truth: list[Ids]) -> None:
    unknown = [*truth[:3], None, np.zeros((6, 8), np.int64)]
    found = score(truth, unknown, DEFECTS)
    assert found["cls_acc"].record.images == 5
    assert found["cls_miou"].record.images == 3
    assert (found.without_masks, found["cls_miou"].record.excluded) == (2, 2)
    assert found["cls_miou"].record.pixels == 3 * 48
    assert score(truth, None, DEFECTS)["cls_miou"].reason == "no_masks"
    assert score(truth, None, DEFECTS)["cls_acc"].value == 1


def test_a_boolean_truth_marks_the_images_own_class(truth: list[Ids]) -> None:
    masks = [t > 0 for t in truth]
    assert score(truth, masks, DEFECTS)["cls_miou"].value == 1


def test_undefined_has_a_reason(truth: list[Ids]) -> None:
    normal = score(truth[:2], truth[:2], DEFECTS[:2])
    assert [value.reason for value in normal.values()] == ["no_positive"] * 3
    anomalous = score(truth[2:], truth[2:], DEFECTS[2:])
    assert [value.reason for value in anomalous.values()] == ["no_negative", None, None]
    assert anomalous["cls_acc_anomalous"].value == 1
    nothing = score([], [], [])
    assert [value.reason for value in nothing.values()] == ["too_few_samples"] * 3


def test_intervals_are_over_images_and_repeat(truth: list[Ids]) -> None:
    wrong = [t.copy() for t in truth * 4]
    wrong[3] = wrong[3] * 0
    wrong[0][0, 0] = 2
    found = score(wrong, truth * 4, DEFECTS * 4, resamples=200)
    for key, value in found.items():
        assert value.interval is not None, key
        assert value.interval.low <= value.value <= value.interval.high, key
    again = score(wrong, truth * 4, DEFECTS * 4, resamples=200)
    assert [v.interval for v in again.values()] == [v.interval for v in found.values()]
    assert score(wrong, truth * 4, DEFECTS * 4, resamples=200, seed=1)["cls_miou"].interval != found["cls_miou"].interval


def test_one_image_is_held_at_a_time(truth: list[Ids]) -> None:
    class Once(Sequence[Ids]):
        def __init__(self) -> None:
            self.asked: list[int] = []

        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> Ids:  # type: ignore[override]
            self.asked.append(i)
            return truth[i].copy()

    lazy = Once()
    assert score(lazy, truth, DEFECTS)["cls_acc"].value == 1
    assert sorted(set(lazy.asked)) == [0, 1, 2, 3, 4]
    assert len(lazy.asked) <= 6


def test_class_ids_come_from_regions() -> None:
    first, second = np.zeros((3, 3), bool), np.zeros((3, 3), bool)
    first[0], second[:2, 0] = True, True
    made = class_map([Region("scratch", first), Region("crack", second)], (3, 3), CLASSES)
    assert made.tolist() == [[1, 2, 2], [1, 0, 0], [0, 0, 0]]
    with pytest.raises(DataError, match="'dent'"):
        class_map([Region("dent", first)], (3, 3), CLASSES)
    with pytest.raises(DataError, match="equal sizes"):
        class_map([Region("crack", first)], (3, 4), CLASSES)


def refused(code: str, match: str, *case: object, **options: object) -> None:
    with pytest.raises(DataError, match=match) as caught:
        score(*case, **options)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_bad_data_names_the_image(truth: list[Ids]) -> None:
    names = ["a", "b", "c", "d", "e"]
    high, low = [t.copy() for t in truth], [t.copy() for t in truth]
    high[3][0, 0], low[4][0, 0] = 4, -1
    refused("E_LABEL", "predicted for d holds the class 4; expected 0", high, truth, DEFECTS, names=names)
    refused("E_MASK_VALUES", "truth of e holds the class -1", truth, low, DEFECTS, names=names)
    refused("E_MASK_VALUES", "float64", truth, [t.astype(float) for t in truth], DEFECTS, names=names)
    refused("E_SIZE", "truth of a", truth, [truth[0].T, *truth[1:]], DEFECTS, names=names)
    refused("E_SIZE", "prediction for a", [np.zeros((2, 6, 8)), *truth[1:]], truth, DEFECTS, names=names)
    refused(
        "E_MASK_ON_NORMAL",
        "b is good, .* expected a normal's truth to be 0",
        truth,
        [truth[0], truth[2], *truth[2:]],
        DEFECTS,
        names=names,
    )
    refused("E_LABEL", "b: 'dent'", truth, truth, ["good", "dent", *CLASSES], names=names)
    refused("E_NOT_FINITE", "a", [np.full((3, 6, 8), np.nan)] * 5, truth, DEFECTS, names=names)
    with pytest.raises(DataError) as caught:
        score([np.full((6, 8), 9)] * 5, truth, DEFECTS, names=names)
    assert caught.value.files == tuple(names)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"min_area": 0}, "min_area"),
        ({"average": "maps"}, "average"),
        ({"classes": ()}, "classes"),
        ({"classes": ("good", "crack")}, "classes"),
        ({"classes": ("crack", "crack")}, "classes"),
        ({"names": ["a"]}, "1 names for 5"),
        ({"global_minmax": True}, "class maps"),
        ({"threshold": 0.4}, "class maps"),
    ],
)
def test_bad_parameters_are_refused(truth: list[Ids], options: dict[str, object], match: str) -> None:
    with pytest.raises(BadParameter, match=match):
        score(truth, truth, DEFECTS, **options)
