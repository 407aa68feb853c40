import dataclasses
import json
import math

import pytest

from flawsmith.metrics import Interval, MetricValue, ProtocolRecord

RECORD = ProtocolRecord(
    "pixel_ap", curve="step", mask_rule="threshold:127", images=10, normals=4, anomalies=6, pixels=200, positive_pixels=50
)


def test_undefined_is_null_with_a_reason_in_json_and_comes_back() -> None:
    value = MetricValue(math.nan, "no_positive", RECORD)
    text = json.dumps(value.to_json(), allow_nan=False)
    assert json.loads(text)["value"] is None
    assert json.loads(text)["reason"] == "no_positive"
    back = MetricValue.from_json(json.loads(text))
    assert math.isnan(back.value)
    assert (back.reason, back.record) == (value.reason, value.record)


def test_defined_value_survives_json_with_its_interval() -> None:
    value = MetricValue(0.75, None, RECORD, Interval(0.5, 0.9, 0.95, 998))
    assert MetricValue.from_json(json.loads(json.dumps(value.to_json()))) == value
    assert float(value) == 0.75


@pytest.mark.parametrize(("value", "reason"), [(math.nan, None), (0.5, "no_positive"), (math.nan, "because")])
def test_nan_and_reason_come_together(value: float, reason: str | None) -> None:
    with pytest.raises(ValueError, match="expected NaN with a reason"):
        MetricValue(value, reason, RECORD)  # type: ignore[arg-type]


def test_records_differ_by_protocol_and_not_by_counts() -> None:
    assert RECORD.differences(dataclasses.replace(RECORD, images=7, pixels=3)) == ()
    assert RECORD.differences(dataclasses.replace(RECORD, mask_rule="any", fpr_limit=0.3)) == ("mask_rule", "fpr_limit")


def test_prevalence_is_of_pixels_or_of_images() -> None:
    assert RECORD.prevalence == 0.25
    assert dataclasses.replace(RECORD, image_score="max").prevalence == 0.6
    assert math.isnan(ProtocolRecord("pixel_ap").prevalence)


def test_a_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.metric = "x"  # type: ignore[misc]


def test_details_decide_each_by_its_own_name() -> None:
    one, other = (dataclasses.replace(RECORD, details={"split": digest, "pairing": "all"}) for digest in ("ab", "cd"))
    assert one.differences(other) == ("split",)
    assert one.differences(RECORD) == ("split", "pairing")


def test_inception_scores_of_numbers_of_images_too_far_apart_are_not_compared() -> None:
    score = ProtocolRecord("inception_score", images=1000)
    assert score.differences(dataclasses.replace(score, images=834)) == ()
    assert score.differences(dataclasses.replace(score, images=1201)) == ("images",)
    assert dataclasses.replace(score, metric="kid").differences(ProtocolRecord("kid", images=10)) == ()


def test_lists_of_a_record_survive_json() -> None:
    record = dataclasses.replace(RECORD, categories=("a", "b"), left_out=("c",), runs=5)
    assert ProtocolRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_detail_with_the_name_of_a_field_hides_no_difference() -> None:
    one, other = (dataclasses.replace(RECORD, mask_rule=rule, details={"mask_rule": "same"}) for rule in ("any", "nearest"))
    assert one.differences(other) == ("mask_rule",)
    assert one.differences(dataclasses.replace(one, details={"mask_rule": "another"})) == ("details.mask_rule",)
