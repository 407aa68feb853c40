"""Metrics beyond the standard ones: hand-computed values, scikit-learn, and what each promises."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import auc, jaccard_score, precision_recall_curve

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.metrics import METRIC_IDS, REASONS, MetricValue, score_maps
from flawsmith.metrics.extra import EXTRA
from flawsmith.metrics.reduction import REDUCTIONS
from flawsmith.metrics.variants import VARIANTS

Maps, Masks = list[NDArray[np.float64]], list[NDArray[np.bool_]]

IDS = (
    "pixel_iou@0.5",
    "pixel_iou_max",
    "pixel_iou_oracle",
    "pixel_miou_.2_.8",
    "pixel_f1max_grid",
    "pixel_aupr_trapezoid",
    "image_aupr_trapezoid",
)


def measure(metric: str, maps: object, masks: object, **options: object) -> MetricValue:
    return score_maps(maps, masks, metrics=[*METRIC_IDS, metric], resamples=0, **options)[metric]  # type: ignore[arg-type]


@st.composite
def small_sets(draw: st.DrawFn) -> tuple[Maps, Masks]:
    maps, masks = [], []
    for _ in range(draw(st.integers(1, 4))):
        h, w = draw(st.integers(2, 6)), draw(st.integers(2, 6))
        maps.append(np.array(draw(st.lists(st.integers(0, 9), min_size=h * w, max_size=h * w)), float).reshape(h, w) / 9)
        masks.append(np.array(draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w))
    masks[0].flat[0], masks[-1].flat[-1] = True, False
    maps[0].flat[0], maps[0].flat[1] = -0.25, 1.25
    return maps, masks


def flat(maps: Maps, masks: Masks) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return np.concatenate([m.ravel() for m in maps]), np.concatenate([m.ravel() for m in masks])


MAP = np.array([[9.0, 1, 1, 2, 1, 3], [2, 6, 5, 1, 8, 5], [1, 3, 4, 2, 6, 1], [0, 1, 2, 7, 1, 0]])
MASK = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1], [0] * 6, [0] * 6], bool)


def test_by_hand() -> None:
    """Defect scores 9, 6, 8, 5; background 7, 6, 5, 4 and lower."""
    assert measure("pixel_iou@6", [MAP], [MASK]).value == 3 / (3 + 2 + 1)
    assert measure("pixel_iou@5", [MAP], [MASK]).value == 4 / 7
    assert measure("pixel_iou@100", [MAP], [MASK]).value == 0
    assert measure("pixel_iou_max", [MAP], [MASK]).value == pytest.approx(4 / 7, abs=1e-12)
    assert measure("pixel_iou_oracle", [MAP], [MASK]).value == pytest.approx(4 / 7, abs=1e-12)
    # above 1.8, 2.7, 3.6, 4.5, 5.4, 6.3, 7.2: hits 4 4 4 4 3 2 2, alarms 10 6 4 3 2 1 0 of 20
    expected = np.mean([4 / 14, 4 / 10, 4 / 8, 4 / 7, 3 / 6, 2 / 5, 2 / 4])
    assert measure("pixel_miou_.2_.8", [MAP], [MASK]).value == pytest.approx(expected, abs=1e-12)
    assert measure("pixel_f1max_grid", [MAP], [MASK]).value == pytest.approx(8 / 11, abs=1e-12)


def test_trapezoid_of_the_worked_example() -> None:
    labels, scores = [0, 0, 1, 1, 1], [0.1, 0.4, 0.4, 0.35, 0.8]
    found = measure("image_aupr_trapezoid", [np.zeros((1, 1))] * 5, None, labels=labels, scores=scores)
    assert found.value == pytest.approx(0.8472222, abs=5e-8)
    assert (found.record.images, found.record.anomalies, found.record.pixels) == (5, 3, 0)
    assert found.record.image_score == "given"
    assert found.record.prevalence == 0.6


def test_trapezoid_flatters_a_constant_score() -> None:
    mask = np.zeros((10, 10), bool)
    mask[0] = True
    assert measure("pixel_aupr_trapezoid", [np.ones((10, 10))], [mask]).value == pytest.approx((1 + 0.1) / 2)


@given(small_sets())
@settings(max_examples=40, deadline=None)
def test_trapezoid_agrees_with_scikit_learn(case: tuple[Maps, Masks]) -> None:
    scores, truth = flat(*case)
    precisions, recalls, _ = precision_recall_curve(truth, scores)
    assert measure("pixel_aupr_trapezoid", *case).value == pytest.approx(auc(recalls, precisions), abs=1e-9)


@given(small_sets(), st.floats(-0.5, 1.5))
@settings(max_examples=40, deadline=None)
def test_iou_at_a_threshold_agrees_with_scikit_learn(case: tuple[Maps, Masks], threshold: float) -> None:
    scores, truth = flat(*case)
    expected = jaccard_score(truth, scores >= threshold)
    assert measure(f"pixel_iou@{threshold!r}", *case).value == pytest.approx(expected, abs=1e-9)


@given(small_sets())
@settings(max_examples=40, deadline=None)
def test_the_largest_iou_agrees_with_scikit_learn_over_all_thresholds(case: tuple[Maps, Masks]) -> None:
    scores, truth = flat(*case)
    found = score_maps(*case, metrics=IDS, resamples=0)
    assert found["pixel_iou_max"].value == pytest.approx(max(jaccard_score(truth, scores >= t) for t in set(scores)), abs=1e-9)
    f1 = found["pixel_f1max"].value
    assert found["pixel_iou_max"].value == pytest.approx(f1 / (2 - f1), abs=1e-12)
    assert found["pixel_f1max_grid"].value <= f1 + 1e-12


@given(small_sets())
@settings(max_examples=40, deadline=None)
def test_the_oracle_agrees_with_scikit_learn_and_is_at_least_any_common_threshold(case: tuple[Maps, Masks]) -> None:
    maps, masks = case
    pairs = [(m.ravel(), mask.ravel()) for m, mask in zip(maps, masks, strict=True) if mask.any()]
    best = [max(jaccard_score(mask, m >= t) for t in set(m)) for m, mask in pairs]
    found = measure("pixel_iou_oracle", maps, masks)
    assert found.value == pytest.approx(np.mean(best), abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where an image has no prediction
        for t in np.linspace(-0.3, 1.3, 9):
            assert found.value >= np.mean([jaccard_score(mask, m >= t, zero_division=0) for m, mask in pairs]) - 1e-12
    assert (found.record.images, found.record.normals, found.record.anomalies) == (len(pairs), 0, len(pairs))
    assert found.record.pixels == sum(len(m) for m, _ in pairs)


@given(small_sets())
@settings(max_examples=40, deadline=None)
def test_the_mean_over_thresholds_is_the_loop_over_them(case: tuple[Maps, Masks]) -> None:
    scores, truth = flat(*case)
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = np.mean([jaccard_score(truth, scaled > t / 10, zero_division=0) for t in range(2, 9)])
    assert measure("pixel_miou_.2_.8", *case).value == pytest.approx(expected, abs=1e-9)


def test_the_oracle_can_exceed_every_common_threshold_and_forgets_normals() -> None:
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    low, high = np.where(mask, 0.2, 0.1), np.where(mask, 0.9, 0.8)  # each perfect on its own scale
    assert measure("pixel_iou_oracle", [low, high], [mask, mask]).value == 1
    assert measure("pixel_iou_max", [low, high], [mask, mask]).value < 0.7
    alarm, none = np.full((4, 4), 5.0), np.zeros((4, 4), bool)
    assert measure("pixel_iou_oracle", [low, high, alarm], [mask, mask, none]).value == 1


def test_a_perfect_map_is_one() -> None:
    found = score_maps([MASK.astype(float), np.zeros((4, 6))], [MASK, np.zeros((4, 6), bool)], metrics=IDS, resamples=0)
    assert {key: found[key].value for key in IDS} == {key: pytest.approx(1) for key in IDS}


def test_chance_of_the_largest_iou_is_the_share_of_defect_pixels() -> None:
    assert measure("pixel_iou_max", [np.full((4, 6), 0.3)], [MASK]).value == pytest.approx(4 / 24)
    assert measure("pixel_iou_oracle", [np.full((4, 6), 0.3)], [MASK]).value == pytest.approx(4 / 24)


@given(small_sets())
@settings(max_examples=30, deadline=None)
def test_a_copy_of_the_whole_set_changes_nothing(case: tuple[Maps, Masks]) -> None:
    maps, masks = case
    once, twice = (score_maps(maps * n, masks * n, metrics=IDS, resamples=0) for n in (1, 2))
    for key in IDS:
        assert twice[key].to_json()["value"] == pytest.approx(once[key].to_json()["value"], abs=1e-12)


@given(small_sets())
@settings(max_examples=30, deadline=None)
def test_the_order_of_images_does_not_change_a_bit(case: tuple[Maps, Masks]) -> None:
    maps, masks = case
    plain = score_maps(maps, masks, metrics=IDS, resamples=0)
    turned = score_maps(maps[::-1], masks[::-1], metrics=IDS, resamples=0)
    assert [turned[key].to_json()["value"] for key in IDS] == [plain[key].to_json()["value"] for key in IDS]


@given(small_sets())
@settings(max_examples=30, deadline=None)
def test_ranking_metrics_do_not_see_a_strictly_increasing_transform(case: tuple[Maps, Masks]) -> None:
    maps, masks = case
    plain = score_maps(maps, masks, metrics=IDS, resamples=0)
    bent = score_maps([np.exp(3 * m) for m in maps], masks, metrics=IDS, resamples=0)
    for key in ("pixel_iou_max", "pixel_iou_oracle", "pixel_aupr_trapezoid", "image_aupr_trapezoid"):
        assert bent[key].to_json()["value"] == plain[key].to_json()["value"]
    stretched = score_maps([4 * m - 2 for m in maps], masks, metrics=IDS, resamples=0)
    assert stretched["pixel_iou_max"].value == plain["pixel_iou_max"].value


def test_a_float32_map_reaches_the_number_that_it_was_made_of() -> None:
    values = np.full((4, 6), 0.7, np.float32)
    assert float(values[0, 0]) < 0.7
    assert measure("pixel_iou@0.7", [values], [MASK]).value == 4 / 24
    assert measure("pixel_iou@1e300", [values], [MASK]).value == 0


def test_every_record_says_what_it_is() -> None:
    found = score_maps([MAP, MAP], [MASK, np.zeros((4, 6), bool)], metrics=[*METRIC_IDS, *IDS], resamples=0)
    assert tuple(found) == (*METRIC_IDS, *IDS)
    curves = {key: found[key].record.curve for key in IDS}
    assert curves == {
        "pixel_iou@0.5": "one threshold",
        "pixel_iou_max": "every score",
        "pixel_iou_oracle": "every score of each image",
        "pixel_miou_.2_.8": "0.2…0.8 step 0.1",
        "pixel_f1max_grid": "0…1 step 0.05",
        "pixel_aupr_trapezoid": "trapezoid",
        "image_aupr_trapezoid": "trapezoid",
    }
    assert found["pixel_miou_.2_.8"].record.details["scale"] == "min-max over the test set"
    assert found["pixel_aupr_trapezoid"].record.differences(found["pixel_ap"].record)
    assert found["image_aupr_trapezoid"].record.mask_rule is None


@pytest.mark.parametrize("metric", IDS)
def test_undefined_has_a_reason(metric: str) -> None:
    empty, whole = np.zeros((4, 6), bool), np.ones((4, 6), bool)
    nothing = measure(metric, [MAP, MAP], [empty, empty])
    assert (math.isnan(nothing.value), nothing.reason) == (True, "no_positive")
    everything = measure(metric, [MAP, MAP], [whole, whole])
    if metric.startswith("pixel_iou@"):
        assert everything.value == np.mean(MAP >= 0.5)
    else:
        assert everything.reason == "no_negative"
    if metric.startswith("pixel"):
        assert measure(metric, [MAP, MAP], None, labels=[0, 1]).reason == "no_masks"


def test_min_max_of_a_constant_set_is_undefined() -> None:
    for metric in ("pixel_miou_.2_.8", "pixel_f1max_grid"):
        assert measure(metric, [np.full((4, 6), 0.3)], [MASK]).reason == "constant"


@pytest.mark.parametrize(
    "metric", ["pixel_iou", "pixel_iou@", "pixel_iou@much", "pixel_iou@nan", "pixel_iou_max@1", "pixel_ap@2"]
)
def test_a_bad_parameter_is_refused(metric: str) -> None:
    with pytest.raises(BadParameter, match=r"expected"):
        measure(metric, [MAP], [MASK])


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="pixel_iou_oracle"):
        measure("pixel_iou_orakel", [MAP], [MASK])


def test_a_histogram_brackets_the_largest_iou_and_leaves_the_others_exact() -> None:
    rng = np.random.default_rng(4)
    masks = [rng.random((40, 40)) < 0.1 for _ in range(3)]
    masks.append(np.zeros((40, 40), bool))
    maps = [(rng.standard_normal((40, 40)) + mask).astype(np.float32) for mask in masks]
    exact = score_maps(maps, masks, metrics=IDS, resamples=0)
    rough = score_maps(maps, masks, metrics=IDS, resamples=0, engine="histogram", tolerance=1, memory=1 << 20)
    bounds = rough["pixel_iou_max"].bounds
    assert bounds is not None
    assert bounds[0] < bounds[1]
    assert bounds[0] <= exact["pixel_iou_max"].value <= bounds[1]
    for key in set(IDS) - {"pixel_iou_max"}:
        assert rough[key].value == pytest.approx(exact[key].value, abs=1e-12)


def test_the_page_tells_of_every_id_variant_and_image_score() -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    ids = [*METRIC_IDS, *(key for key in EXTRA if key != "pixel_iou"), "pixel_iou@t", "cls_acc", "cls_miou", "cls_acc_anomalous"]
    for name in (*ids, "mvtec", *VARIANTS, *REDUCTIONS, *REASONS):
        assert f"`{name}`" in page, name
