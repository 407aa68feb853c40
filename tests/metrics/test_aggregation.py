import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.aggregation import (
    ASBENCH_CATEGORIES,
    across_datasets,
    differs_by_more_than_rounding,
    macro_mean,
    over_runs,
    ratio_stability,
)
from flawsmith.metrics.records import MetricValue, ProtocolRecord

BEST_OF = {
    "DestSeg": ((0.9892, 0.9445, 0.9508, 0.9749, 0.9476), 0.9697),
    "DRAEM": ((0.9889, 0.9500, 0.9362, 0.9819, 0.9470), 0.9664),
    "AnomalyDiffusion": ((0.9796, 0.9481, 0.8813, 0.9883, 0.9732), 0.9464),
    "CutOut": ((0.8799, 0.8796, 0.7959, 0.9218, 0.7449), 0.8558),
}
"""ASBench, table IV, image AUROC of MVTec AD, BTAD, VisA, MPDD, MTD, and eq. 1 over it."""


def value(number: float, *, images: int = 10, split: str = "", reason: str = "no_positive", **fields: object) -> MetricValue:
    details = {"split": split} if split else {}
    record = ProtocolRecord("image_auroc", curve="mann-whitney", images=images, details=details, **fields)  # type: ignore[arg-type]
    return MetricValue(number, reason if math.isnan(number) else None, record)  # type: ignore[arg-type]


def test_a_macro_mean_weighs_categories_alike_whatever_their_size() -> None:
    mean = macro_mean({"bottle": value(0.9, images=83), "zipper": value(0.6, images=151)})
    assert mean.value == pytest.approx(0.75)
    assert mean.record.categories == ("bottle", "zipper")
    assert mean.record.images == 234


def test_a_mean_of_certified_values_is_certified() -> None:
    exact = value(0.5, engine="sort (exact)")
    binned = replace(value(0.7, engine="histogram (certified interval)"), bounds=(0.6, 0.9))
    mean = macro_mean({"a": exact, "b": binned, "c": exact})
    assert mean.bounds == pytest.approx((1.6 / 3, 1.9 / 3), abs=1e-15)
    assert mean.record.engine == "sort (exact), histogram (certified interval)"
    assert macro_mean({"a": exact, "c": exact}).bounds is None


def test_what_is_undefined_is_left_out_and_named() -> None:
    mean = macro_mean({"a": value(0.9), "b": value(math.nan), "c": value(0.5), "d": value(math.inf)})
    assert mean.value == pytest.approx(0.7)
    assert (mean.record.categories, mean.record.left_out) == (("a", "c"), ("b", "d"))


def test_a_mean_of_nothing_is_nan_with_the_commonest_reason() -> None:
    mean = macro_mean({"a": value(math.nan), "b": value(math.nan, reason="no_masks"), "c": value(math.nan, reason="no_masks")})
    assert math.isnan(mean.value)
    assert (mean.reason, mean.record.left_out, mean.record.categories) == ("no_masks", ("a", "b", "c"), ())
    with pytest.raises(BadParameter, match="there are no values"):
        macro_mean({})


def test_means_of_other_categories_are_not_compared() -> None:
    both, one = macro_mean({"a": value(0.9), "b": value(0.8)}), macro_mean({"a": value(0.9), "b": value(math.nan)})
    assert both.record.differences(one.record) == ("categories",)
    assert one.record.differences(macro_mean({"a": value(0.7)}).record) == ()


def test_a_mean_over_two_protocols_is_refused_unless_asked_for_and_then_says_so() -> None:
    values = {"a": value(0.9), "b": value(0.5, resolution="256")}
    with pytest.raises(BadParameter, match=r"image_auroc of 'a' and of 'b' differ in resolution"):
        macro_mean(values)
    mean = macro_mean(values, allow=["resolution"])
    assert mean.value == pytest.approx(0.7)
    assert mean.record.details["mixed"] == "resolution"


def test_each_category_has_a_split_of_its_own_and_the_mean_one_digest_of_all() -> None:
    one = macro_mean({"a": value(0.9, split="11"), "b": value(0.5, split="22")})
    other = macro_mean({"a": value(0.9, split="11"), "b": value(0.5, split="33")})
    assert one.record.differences(other.record) == ("split",)
    assert one.record.differences(macro_mean({"a": value(0.1, split="11"), "b": value(0.2, split="22")}).record) == ()


def of_classes(number: float, classes: str) -> MetricValue:
    made = value(number, split=classes)
    return replace(made, record=replace(made.record, details={**made.record.details, "classes": classes}))


def test_each_category_has_classes_of_its_own_and_runs_of_one_have_not() -> None:
    bottle, cable = of_classes(0.9, "hole"), of_classes(0.5, "bent, cut")
    mean = macro_mean({"bottle": bottle, "cable": cable})
    assert mean.value == pytest.approx(0.7)
    assert "mixed" not in mean.record.details
    other = macro_mean({"bottle": bottle, "cable": of_classes(0.5, "bent")})
    assert mean.record.differences(other.record) == ("split", "classes")
    assert mean.record.differences(macro_mean({"bottle": bottle, "cable": cable}).record) == ()
    with pytest.raises(BadParameter, match="differ in classes"):
        over_runs([bottle, cable])


def test_the_order_of_categories_decides_nothing() -> None:
    first, second = {"a": value(0.9, split="1"), "b": value(0.5, split="2")}, {"c": value(0.7), "d": value(0.6)}
    one, other = macro_mean(first), macro_mean(dict(reversed(first.items())))
    assert (one.record.categories, other.record.categories) == (("a", "b"), ("b", "a"))
    assert one.record.differences(other.record) == ()
    assert over_runs([one, other]).value == pytest.approx(0.7)
    assert one.record.differences(macro_mean(second).record) == ("categories", "split")


@pytest.mark.parametrize("turned", [False, True])
def test_a_mean_and_the_value_of_an_only_category_meet_across_data_sets(turned: bool) -> None:
    means = {"MVTec AD": macro_mean({"bottle": value(0.9), "cable": value(0.7)}), "MTD": value(0.4)}
    mean = across_datasets(dict(reversed(means.items())) if turned else means)
    assert mean.value == pytest.approx((15 * 0.8 + 0.4) / 16)
    assert (mean.record.details, set(mean.record.categories)) == ({"mean": "by number of categories"}, set(means))
    with pytest.raises(BadParameter, match="differ in categories, mean"):
        macro_mean(means)


def test_what_the_parts_of_a_mean_left_out_is_named_too() -> None:
    btad = macro_mean({"01": value(0.8), "02": value(math.nan), "03": value(0.7)})
    mean = across_datasets({"MTD": value(0.9), "BTAD": btad, "MPDD": value(math.nan)})
    assert mean.value == pytest.approx((0.9 + 3 * 0.75) / 4)
    assert mean.record.left_out == ("BTAD/02", "MPDD")
    assert over_runs([btad, btad]).record.left_out == ("run 0/02", "run 1/02")


def test_a_first_run_without_a_number_hides_no_category() -> None:
    runs = [macro_mean({"a": value(math.nan)}), macro_mean({"a": value(0.5)}), macro_mean({"a": value(0.7)})]
    mean = over_runs(runs)
    assert (mean.value, mean.record.categories, mean.record.left_out) == (pytest.approx(0.6), ("a",), ("run 0",))


def test_a_mean_of_nothing_needs_no_agreement() -> None:
    records = [ProtocolRecord("inception_score", images=n, details={"resize": str(n)}) for n in (10, 100)]
    mean = macro_mean({str(k): MetricValue(math.nan, "too_few_samples", record) for k, record in enumerate(records)})
    assert (mean.reason, mean.record.images) == ("too_few_samples", 110)


@pytest.mark.parametrize(("numbers", "expected"), BEST_OF.values(), ids=BEST_OF)
def test_equation_1_gives_the_values_derived_from_table_iv(numbers: tuple[float, ...], expected: float) -> None:
    mean = across_datasets({name: value(each) for name, each in zip(ASBENCH_CATEGORIES, numbers, strict=True)})
    assert round(mean.value, 4) == expected


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=6), min_size=1, max_size=5))
def test_equation_1_is_the_mean_over_all_categories(datasets: list[list[float]]) -> None:
    means = {str(i): macro_mean({str(j): value(x) for j, x in enumerate(each)}) for i, each in enumerate(datasets)}
    weighted = across_datasets(means, {str(i): len(each) for i, each in enumerate(datasets)})
    assert weighted.value == pytest.approx(np.mean([x for each in datasets for x in each]), abs=1e-12)


def test_a_data_set_without_a_size_is_refused() -> None:
    assert sum(ASBENCH_CATEGORIES.values()) == 37
    with pytest.raises(BadParameter, match="number of categories of 'mine' is 0"):
        across_datasets({"mine": value(0.5)})


def test_runs_have_a_spread_and_one_run_has_none() -> None:
    mean = over_runs([value(0.8, split="1"), value(0.9, split="2"), value(1.0, split="3")])
    assert (mean.value, mean.std, mean.record.runs) == (pytest.approx(0.9), pytest.approx(0.1), 3)
    assert mean.record.categories == ()
    assert over_runs([value(0.8)]).std is None
    kept = over_runs([value(0.8), value(math.nan)])
    assert (kept.std, kept.record.runs, kept.record.left_out) == (None, 1, ("run 1",))


def test_runs_of_another_protocol_or_other_categories_are_refused() -> None:
    with pytest.raises(BadParameter, match="differ in protocol"):
        over_runs([value(0.8), value(0.9, protocol="as_released")])
    with pytest.raises(BadParameter, match="differ in categories"):
        over_runs([macro_mean({"a": value(0.8)}), macro_mean({"b": value(0.9)})])


def test_runs_of_means_stay_means_over_their_categories() -> None:
    runs = [macro_mean({"a": value(x, split=str(x)), "b": value(x)}) for x in (0.2, 0.4)]
    assert over_runs(runs).record.categories == ("a", "b")


def test_ratio_stability_has_the_variance_with_ddof_1() -> None:
    found = ratio_stability({0.25: 0.9, 0.5: 0.8, 0.75: math.nan, 1.0: 0.7})
    assert (found.mean, found.variance) == (pytest.approx(0.8), pytest.approx(0.01))
    assert (found.max, found.min, found.range, found.n, found.left_out) == (0.9, 0.7, pytest.approx(0.2), 3, (0.75,))
    assert math.isnan(ratio_stability({0.5: 0.9}).variance)
    assert math.isnan(ratio_stability({0.5: math.nan}).mean)
    with pytest.raises(BadParameter, match="no ratios"):
        ratio_stability({})


def test_rounding_explains_one_unit_and_no_more() -> None:
    assert not differs_by_more_than_rounding(0.851, [0.85, 0.85], 0.001)
    assert differs_by_more_than_rounding(0.8521, [0.85, 0.85], 0.001)
    assert not differs_by_more_than_rounding(70.0, [60.0, 90.0], 0.1, weights=[2, 1])
    assert differs_by_more_than_rounding(75.0, [60.0, 90.0], 0.1, weights=[2, 1])


def test_certified_ends_are_averaged_with_the_values() -> None:
    mean = macro_mean({"a": replace(value(0.8), bounds=(0.7, 0.9)), "b": value(0.4)})
    assert mean.bounds == pytest.approx((0.55, 0.65))
    assert macro_mean({"a": value(0.8)}).bounds is None


def test_a_mean_survives_json() -> None:
    mean = over_runs([macro_mean({"a": value(0.8), "b": value(math.nan)}), macro_mean({"a": value(0.9)})])
    assert MetricValue.from_json(mean.to_json()) == mean
