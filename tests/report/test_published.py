"""Published results: the file agrees with itself, and nothing stands beside what it is not."""

import json
from collections import Counter
from importlib.resources import files

import pytest

from flawsmith.core.errors import UnknownName
from flawsmith.metrics.records import ProtocolRecord
from flawsmith.report.published import (
    CATEGORIES,
    RESOURCE,
    PublishedValue,
    dataset_name,
    library,
    published_choices,
    published_values,
    why_not_beside,
)
from flawsmith.report.published_averages import doubt_of, parts_of

RAW = json.loads((files("flawsmith.report") / RESOURCE).read_text(encoding="utf-8"))
COUNTS = {"images", "classes", "px", "votes", "hours", "ms"}


def one(**filters: str) -> PublishedValue:
    (value,) = published_values(**filters)
    return value


def at(value: PublishedValue, stat: str) -> float:
    (found,) = (
        each
        for each in library().values
        if (each.source, each.table, each.dataset, each.setting, each.method, each.metric, each.stat)
        == (value.source, value.table, value.dataset, value.setting, value.method, value.metric, stat)
    )
    return found.printed


def test_the_file_has_the_schema_and_every_row_its_columns() -> None:
    assert RAW["schema"] == "published-results/1"
    assert all(len(row) == len(RAW["columns"]) for row in RAW["rows"])
    assert all(len(row) == len(RAW["categorical_columns"]) for row in RAW["categorical"])
    assert len(library().values) == 2830
    assert {each.source for each in library().values} == set(library().sources)


def test_no_cell_is_there_twice() -> None:
    assert max(Counter(tuple(row[:7]) for row in RAW["rows"]).values()) == 1


def test_every_caveat_concerns_something_and_every_data_set_is_known() -> None:
    told = {note for each in (*library().values, *library().choices) for note in each.caveats}
    assert {caveat["note"] for caveat in RAW["caveats"]} == told
    plain = {each.dataset for each in library().values} - {"MVTec AD (5 classes)", "MVTec-FS hazelnut"}
    assert plain == set(CATEGORIES)


def test_percent_become_fractions_and_what_was_printed_is_kept() -> None:
    value = one(source="UniADC", dataset="mtd", method="patchcore", metric="image_auroc", setting="k_normal=4")
    assert (value.value, value.unit, value.printed, value.printed_unit) == (0.714, "fraction", 71.4, "percent")
    score = one(source="ASBench", table="VI", dataset="MTD", method="memseg", metric="image_auroc")
    assert (score.value, score.printed) == (0.562, 0.562)
    assert {each.printed_unit for each in library().values if each.unit == "fraction"} == {"percent", "fraction"}


def test_every_value_lies_where_its_unit_can() -> None:
    for each in library().values:
        if each.unit in ("fraction", "p"):
            assert 0 <= each.value <= 1, each
        elif each.unit == "r":
            assert -1 <= each.value <= 1, each
        elif each.unit in COUNTS:
            assert each.value > 0, each
        elif each.metric != "kid_normal_images":
            assert each.value >= 0, each


def test_ranges_are_those_of_the_printed_ends() -> None:
    ranges = [each for each in library().values if each.stat == "range"]
    assert len(ranges) == 24
    for each in ranges:
        assert at(each, "max") - at(each, "min") == pytest.approx(each.printed, abs=1.01e-4)
        assert at(each, "min") <= at(each, "mean") <= at(each, "max")


def test_averages_agree_with_their_parts_but_for_those_that_the_caveat_names() -> None:
    averages = [each for each in library().values if parts_of(each)]
    assert {each.source for each in averages} == {"TGVIG-supp", "SeaS-supp", "SeaS-README"}
    doubtful = {(each.method, each.printed): doubt_of(each) for each in averages if doubt_of(each)}
    assert {method for method, _ in doubtful} == {"Cflow", "Reverse-distillation", "Efficient-AD"}
    assert doubtful["Cflow", 69.0] == "printed as 69, but its parts average 72.27"
    assert len(doubtful) == 9


def test_iou_of_seas_exceeds_what_any_one_threshold_can_give() -> None:
    f1 = one(source="SeaS-supp", table="22", method="DFMGAN", metric="pixel_f1max").value
    iou = one(source="SeaS-supp", table="22", method="DFMGAN", metric="pixel_iou_oracle").value
    assert iou > f1 / (2 - f1)


@pytest.mark.parametrize("name", ["mtd", "MTD", "mvtec", "mvtec_ad", "MVTec AD", "mvtec-3d", "visa", "mvtec_fs", "loco"])
def test_data_sets_are_known_by_their_layouts_names(name: str) -> None:
    assert dataset_name(name) in CATEGORIES
    assert dataset_name("tiles") == ""


def test_names_are_found_whatever_their_case_and_punctuation() -> None:
    assert one(table="IV", dataset="mtd", method="cutpaste_scar", metric="pixel_ap").value == 0.1128
    assert one(table="iv", dataset="mtd", method="CutPaste", metric="pixel_ap").value == 0.4892
    assert not published_values(dataset="mtd", method="PatchCore", source="ASBench")


@pytest.mark.parametrize("field", ["dataset", "method", "metric", "table", "source"])
def test_an_unknown_name_offers_the_nearest(field: str) -> None:
    near = {"dataset": "VizA", "method": "DRAEMM", "metric": "image_aurok", "table": "VIIII", "source": "ASBenc"}
    with pytest.raises(UnknownName, match=f"no published {field} '{near[field]}'; did you mean"):
        published_values(**{field: near[field]})


def test_caveats_come_with_the_values_they_concern() -> None:
    chosen = one(source="ASBench", table="IV", dataset="mtd", method="DRAEM", metric="image_auroc")
    assert "chosen on the test set" in chosen.caveats[0]
    oracle = published_values(source="SeaS-supp", table="22", metric="pixel_iou_oracle")[0]
    assert "best IoU over all thresholds" in oracle.caveats[0]
    assert published_values(source="SeaS-supp", table="22", metric="pixel_ap")[0].caveats == ()
    assert published_choices(dataset="mtd", setting="detector=MemSeg")[0].value == "MemSeg"


def test_who_was_measured() -> None:
    best = one(source="ASBench", table="IV", dataset="mtd", method="MemSeg", metric="image_auroc")
    assert (best.detector, best.synthesis) == ("DestSeg", "MemSeg")
    alone = one(source="ASBench", table="VI", dataset="mtd", method="MemSeg", metric="image_auroc")
    assert (alone.detector, alone.synthesis) == ("MemSeg", "")
    spread = published_values(source="ASBench", table="VII", method="MemSeg")[0]
    assert (spread.detector, spread.synthesis) == ("", "MemSeg")


AUPRO = ProtocolRecord("pixel_aupro", curve="mvtec", fpr_limit=0.3, connectivity=8)


def test_the_whole_curve_of_memseg_stands_beside_no_other() -> None:
    memseg = one(source="ASBench", table="VI", dataset="mtd", method="memseg", metric="pixel_aupro")
    assert "up to a false-positive rate of 1, ours up to 0.3" in why_not_beside(memseg, AUPRO)
    assert why_not_beside(memseg, ProtocolRecord("pixel_aupro", curve="full", fpr_limit=1.0)) == ""
    draem = one(source="ASBench", table="VI", dataset="mtd", method="draem", metric="pixel_aupro")
    assert "variant mvtec3d-100, ours mvtec" in why_not_beside(draem, AUPRO)
    assert why_not_beside(draem, ProtocolRecord("pixel_aupro", curve="mvtec3d-100", fpr_limit=0.3)) == ""


def test_an_aupro_whose_variant_nobody_knows_stands_beside_none() -> None:
    printed = [each for each in published_values(metric="pixel_aupro") if each.source != "ASBench" and not each.kept_out]
    assert {each.source for each in printed} == {"UniADC", "CUT"}
    for curve in ("mvtec", "uniform-200/max"):
        for each in printed:
            assert why_not_beside(each, ProtocolRecord("pixel_aupro", curve=curve, fpr_limit=0.3))


def test_what_is_something_else_is_kept_out() -> None:
    beside = {
        "an LPIPS distance": {"source": "TGVIG-supp", "metric": "lpips_unnormalised"},
        "looks like AP": {"source": "CUT", "table": "2", "method": "DiAD", "metric": "image_f1max"},
        "a misprint": {"source": "CUT", "table": "2", "dataset": "visa", "method": "VLAD+CUT", "metric": "pixel_aupro"},
        "repeats BTAD's": {"source": "ASBench", "table": "IX", "dataset": "visa", "setting": "12 synthesis"},
    }
    for reason, filters in beside.items():
        found = [each for each in published_values(**filters) if each.stat in ("value", "p_value")]
        assert found
        for each in found:
            assert reason in why_not_beside(each, ProtocolRecord(each.metric))
    oracle = published_values(source="SeaS-supp", metric="pixel_iou_oracle")[0]
    assert why_not_beside(oracle, ProtocolRecord("pixel_iou_max")) == "pixel_iou_oracle is not pixel_iou_max"


def test_a_value_of_another_feature_extractor_is_never_beside() -> None:
    published = published_values(source="SeaS-supp", metric="inception_score")[0]
    suffixed = ProtocolRecord("inception_score@efficientnet-lite0", feature_extractor="efficientnet-lite0")
    assert "measured with efficientnet-lite0" in why_not_beside(published, suffixed)
    assert why_not_beside(published, ProtocolRecord("inception_score", feature_extractor="inception-v3-fid")) == ""
