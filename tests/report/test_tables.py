import math
from dataclasses import replace

import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.inspection.evaluation import Evaluation
from flawsmith.metrics import Interval, MetricValue, ProtocolRecord
from flawsmith.report.outcomes import Confusion
from flawsmith.report.page import Table
from flawsmith.report.results import metric_cell
from flawsmith.report.tables import (
    chance_of,
    comparison_table,
    confusion_table,
    defect_table,
    mistakes_table,
    protocol_table,
)

AUPRO = "AUPRO (mvtec, FPR ≤ 0.3)"
RECORD = ProtocolRecord("pixel_ap", pixels=100, positive_pixels=10)


def column(table: Table, head: str) -> list[str]:
    return [row[table.heads.index(head)].text for row in table.rows]


def test_numbers_have_three_decimals_and_undefined_is_a_dash_with_its_reason() -> None:
    assert metric_cell(MetricValue(0.98765, None, RECORD)).text == "0.988"
    undefined = metric_cell(MetricValue(math.nan, "no_masks", RECORD))
    assert (undefined.text, undefined.note) == ("–", "no masks")
    assert metric_cell(MetricValue(0.9, None, RECORD, Interval(0.85, 0.9512))).note == "0.850–0.951"
    assert metric_cell(None).note == "not measured"


def test_chance_level_of_each_metric() -> None:
    assert chance_of(MetricValue(0.9, None, RECORD)) == "0.100"
    assert chance_of(MetricValue(0.9, None, replace(RECORD, metric="pixel_f1max"))) == "0.182"
    assert chance_of(MetricValue(0.9, None, replace(RECORD, metric="pixel_auroc"))) == "0.500"
    assert chance_of(MetricValue(0.9, None, replace(RECORD, metric="pixel_aupro", fpr_limit=0.3))) == "0.150"
    assert chance_of(MetricValue(math.nan, "no_masks", RECORD)) == "–"


def test_defect_table_has_a_row_per_kind_and_counts_finds(evaluation: Evaluation) -> None:
    table = defect_table(evaluation)
    assert column(table, "Defect") == ["scratch", "smear", "spot", "stain"]
    found = sum(int(text.split()[0]) for text in column(table, "Found"))
    assert found == Confusion.of(evaluation.results, evaluation.threshold).found
    assert column(table, AUPRO)[0] == f"{evaluation.per_defect['scratch']['pixel_aupro'].value:.3f}"


def test_confusion_and_mistakes_agree(evaluation: Evaluation) -> None:
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    assert column(confusion_table(counts), "called good") == [str(counts.missed), str(counts.passed)]
    mistakes = mistakes_table(evaluation.results, evaluation.threshold)
    assert len(mistakes.rows) == counts.missed + counts.alarms
    distances = [abs(float(text) - evaluation.threshold) for text in column(mistakes, "Score")]
    assert distances == sorted(distances, reverse=True)


def test_protocol_table_says_what_was_left_out(evaluation: Evaluation) -> None:
    record = replace(evaluation.metrics["pixel_ap"].record, excluded=4)
    table = protocol_table({"pixel_ap": MetricValue(0.5, None, record)})
    note = table.rows[0][table.heads.index("Images")].note
    assert note == "24 good, 24 defective; 4 without a mask left out"


def test_comparison_has_a_row_each_and_shows_what_the_split_is_flagged_for(evaluation: Evaluation) -> None:
    leaky = replace(evaluation, name="other", split={"policy": "random", "flags": ["leaks near-duplicates"]})
    table = comparison_table([evaluation, leaky])
    assert column(table, "") == ["contrast on toy", "other"]
    assert table.rows[1][table.heads.index("Split")].note == "leaks near-duplicates"
    assert column(table, "Image AUROC")[0] == f"{evaluation.metrics['image_auroc'].value:.3f}"


def test_comparison_refuses_values_of_different_protocols(evaluation: Evaluation) -> None:
    value = evaluation.metrics["pixel_aupro"]
    other = replace(value, record=replace(value.record, fpr_limit=1.0))
    with pytest.raises(BadParameter, match=r"pixel_aupro .* differ in fpr_limit; expected one protocol in a column"):
        comparison_table([evaluation, replace(evaluation, metrics={**evaluation.metrics, "pixel_aupro": other})])


def test_comparison_leaves_out_what_nobody_has_and_marks_what_one_lacks(evaluation: Evaluation) -> None:
    bare = replace(evaluation, metrics={"image_auroc": evaluation.metrics["image_auroc"]}, timings={})
    assert AUPRO not in comparison_table([bare]).heads
    both = comparison_table([evaluation, bare])
    assert column(both, AUPRO)[1] == "–"
    assert column(both, "Training")[1] == "–"


def test_a_comparison_of_two_splits_is_asked_for_and_says_so(evaluation: Evaluation) -> None:
    value = evaluation.metrics["image_auroc"]
    moved = replace(value, record=replace(value.record, details={"split": "ab12"}))
    pair = [evaluation, replace(evaluation, name="other", metrics={"image_auroc": moved})]
    with pytest.raises(BadParameter, match="'contrast on toy' and of 'other' differ in split"):
        comparison_table(pair)
    assert comparison_table(pair, allow=["split"]).notes == ("Compared on request although the records differ in: split.",)


def test_a_comparison_marks_the_best_and_the_second(evaluation: Evaluation) -> None:
    value = evaluation.metrics["image_auroc"]
    rows = [replace(evaluation, name=str(x), metrics={"image_auroc": replace(value, value=x)}) for x in (0.7, 0.9, 0.8)]
    table = comparison_table(rows)
    at = table.heads.index("Image AUROC")
    assert [row[at].rank for row in table.rows] == ["", "best", "second"]


def test_chance_of_the_whole_curve_is_a_half() -> None:
    assert chance_of(MetricValue(0.9, None, replace(RECORD, metric="pixel_aupro", curve="full", fpr_limit=None))) == "0.500"
    assert chance_of(MetricValue(0.9, None, replace(RECORD, metric="image_auroc_logical", image_score="own"))) == "0.500"


def test_the_protocol_table_says_what_else_decided_a_number_and_what_all_share_only_once(evaluation: Evaluation) -> None:
    record = replace(evaluation.metrics["pixel_ap"].record, protocol="as_released", details={"split": "ab", "selection": "none"})
    other = replace(record, details={"split": "ab"})
    table = protocol_table({"pixel_ap": MetricValue(0.5, None, record), "pixel_auroc": MetricValue(0.5, None, other)})
    assert column(table, "More") == ["selection: none", "–"]
    assert table.notes == ("For all of them – protocol: as_released; split: ab.",)
    assert "More" not in protocol_table({"pixel_ap": MetricValue(0.5, None, record)}).heads
