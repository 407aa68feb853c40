"""Tables of results: one protocol per column, ranks among equals only, published values in grey, averages taken again."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.metrics import Interval, MetricValue, ProtocolRecord
from flawsmith.metrics.aggregation import macro_mean, over_runs
from flawsmith.metrics.classification import score_classes
from flawsmith.metrics.variants import VARIANTS
from flawsmith.report.page import Cell, Page, Section, Table, render
from flawsmith.report.published import published_values
from flawsmith.report.results import Measured, Published, category_table, head_of, metric_cell, results_table
from flawsmith.report.table_formats import to_csv, to_latex, to_markdown
from flawsmith.report.tables import protocol_table

IMAGE = ProtocolRecord("image_auroc", curve="mann-whitney", image_score="own")
AUPRO = ProtocolRecord("pixel_aupro", curve="mvtec", fpr_limit=0.3, connectivity=8)


def image(value: float, **fields: object) -> MetricValue:
    return MetricValue(value, "no_positive" if math.isnan(value) else None, replace(IMAGE, **fields))  # type: ignore[arg-type]


def row(name: str, value: float, **fields: object) -> Measured:
    return Measured(name, {"image_auroc": image(value, **fields)})


def cells(table: Table, head: str) -> list[Cell]:
    return [each[table.heads.index(head)] for each in table.rows]


def printed(metric: str, **filters: str) -> Published:
    (value,) = published_values(dataset="mtd", metric=metric, **filters)
    return Published(value.method, {metric: value}, value.where, ("other images",))


def test_best_and_second_are_marked_and_ties_share_a_rank() -> None:
    table = results_table(
        [row("a", 0.7), row("b", 0.9), row("c", 0.9), row("d", 0.8), row("e", math.nan)], metrics=["image_auroc"]
    )
    assert [cell.rank for cell in cells(table, "Image AUROC")] == ["", "best", "best", "second", ""]


def test_what_is_better_small_is_ranked_so() -> None:
    rows = [Measured(str(x), {"fid": MetricValue(x, None, ProtocolRecord("fid"))}) for x in (80.0, 40.0)]
    assert [cell.rank for cell in cells(results_table(rows, metrics=["fid"]), "fid")] == ["second", "best"]


def test_rows_of_one_name_are_ranked_each_for_itself() -> None:
    table = results_table([row("a", 0.9), row("a", 0.8), row("b", 0.7)], metrics=["image_auroc"])
    assert [cell.rank for cell in cells(table, "Image AUROC")] == ["best", "second", ""]


def test_a_single_row_and_rows_that_are_all_alike_have_no_best() -> None:
    assert cells(results_table([row("a", 0.7)], metrics=["image_auroc"]), "Image AUROC")[0].rank == ""
    alike = results_table([row("a", 0.7), row("b", 0.7)], metrics=["image_auroc"])
    assert {cell.rank for cell in cells(alike, "Image AUROC")} == {""}


def test_two_protocols_in_a_column_are_refused_or_ranked_apart_and_told() -> None:
    rows = [row("a", 0.7), row("b", 0.8), row("c", 0.9, protocol="as_released"), row("d", 0.6, protocol="as_released")]
    with pytest.raises(BadParameter, match="image_auroc of 'a' and of 'c' differ in protocol"):
        results_table(rows, metrics=["image_auroc"])
    table = results_table(rows, metrics=["image_auroc"], allow=["protocol"])
    assert [cell.rank for cell in cells(table, "Image AUROC")] == ["second", "best", "best", "second"]
    assert table.notes == ("Compared on request although the records differ in: protocol.",)


def test_published_rows_are_grey_unranked_and_explained_by_number() -> None:
    theirs = printed("image_auroc", source="ASBench", table="IV", method="DRAEM")
    table = results_table([row("ours", 0.7), row("other", 0.6)], [theirs], metrics=["image_auroc"])
    cell = cells(table, "Image AUROC")[-1]
    assert (cell.text, cell.value, cell.grey, cell.rank) == ("0.947", 0.947, True, "")
    assert cells(table, "")[-1].note == "ASBench, table IV [1] [2]"
    assert table.notes[0] == "[1] other images"
    assert "chosen on the test set" in table.notes[1]
    (ours, other, last) = csv.DictReader(io.StringIO(to_csv(table)))
    assert (last["name"], last["name note"], last["Image AUROC"]) == ("DRAEM", "ASBench, table IV", "0.947")
    assert last["notes"].startswith("other images | ")
    assert "chosen on the test set" in last["notes"]
    assert ours["notes"] == other["notes"] == ""


def test_a_published_value_of_another_definition_is_kept_out_and_says_why() -> None:
    theirs = printed("pixel_aupro", source="ASBench", table="VI", method="memseg")
    mine = Measured("ours", {"pixel_aupro": MetricValue(0.5, None, AUPRO)})
    head = "AUPRO (mvtec, FPR ≤ 0.3)"
    cell = cells(results_table([mine], [theirs], metrics=["pixel_aupro"]), head)[-1]
    assert (cell.text, cell.value) == ("–", None)
    assert "kept out: it is integrated up to a false-positive rate of 1" in cell.note
    whole = Measured("ours", {"pixel_aupro": MetricValue(0.5, None, replace(AUPRO, curve="full", fpr_limit=None))})
    shown = results_table([whole], [theirs], metrics=["pixel_aupro"])
    assert cells(shown, "AUPRO (full, FPR ≤ 1)")[-1].text == "0.475"


def test_what_was_not_measured_is_a_dash() -> None:
    table = results_table([row("a", 0.7), Measured("b", {})], metrics=["image_auroc"])
    assert cells(table, "Image AUROC")[1].text == "–"


def test_a_doubtful_average_of_a_paper_says_so() -> None:
    value = next(each for each in published_values(source="TGVIG-supp", table="5") if each.printed == 69.0)
    table = results_table([row("ours", 0.7)], [Published("Cflow", {"image_auroc": value})], metrics=["image_auroc"])
    assert any("Image AUROC is printed as 69, but its parts average 72.27" in note for note in table.notes)


def test_averages_are_taken_again_and_a_printed_one_that_differs_is_told() -> None:
    values = {"tile": {"image_auroc": image(0.8)}, "wood": {"image_auroc": image(0.9)}, "grid": {"image_auroc": image(math.nan)}}
    table = category_table(values, metrics=["image_auroc"], printed={"image_auroc": 0.87})
    last = cells(table, "Image AUROC")[-1]
    assert (last.text, last.note) == ("0.850", "1 left out: grid")
    assert table.notes == ("Image AUROC: 0.87 is printed as the average, these rows give 0.8500",)
    assert category_table(values, metrics=["image_auroc"], printed={"image_auroc": 0.851}).notes == ()


def test_a_mean_over_runs_shows_its_spread_and_one_run_does_not() -> None:
    assert metric_cell(over_runs([image(0.8), image(0.9)])).text == "0.850 ± 0.071"
    assert metric_cell(over_runs([image(0.8)])).text == "0.800"


def test_notes_of_a_cell_stand_side_by_side() -> None:
    mean = macro_mean({"a": image(0.8), "b": image(math.nan)})
    cell = metric_cell(replace(mean, interval=Interval(0.7, 0.9), bounds=(0.79, 0.81)))
    assert cell.note == "0.700–0.900; certified 0.790–0.810; 1 left out: b"
    ends = {"low": 0.7, "high": 0.9, "certified low": 0.79, "certified high": 0.81}
    assert (dict(cell.more), cell.told) == (ends, "1 left out: b")


def test_a_mean_over_classes_tells_of_how_many() -> None:
    maps = [np.zeros((4, 4), int), np.ones((4, 4), int)]
    found = score_classes(maps, [None, np.ones((4, 4), bool)], ["good", "x"], classes=["x", "y"], resamples=0)["cls_miou"]
    assert metric_cell(found).note == "1 of 3 classes left out: y"
    assert metric_cell(macro_mean({"bottle": found})).note == "1 left out: bottle/y"


def test_an_infinite_value_is_shown_in_every_form() -> None:
    mine = Measured("equal", {"psnr": MetricValue(math.inf, None, ProtocolRecord("psnr"))})
    table = results_table([mine], metrics=["psnr"])
    assert to_csv(table).splitlines()[1] == "equal,inf"
    assert "| equal | inf |" in to_markdown(table)
    assert r"equal & inf \\" in to_latex(table)
    assert '<td class="number">inf</td>' in render(Page("t", sections=(Section("s", (table,)),)))


def test_a_variant_of_aupro_comes_with_its_caution() -> None:
    whole = MetricValue(0.5, None, replace(AUPRO, curve="full", fpr_limit=None))
    told = f"AUPRO full: {VARIANTS['full']}."
    assert results_table([Measured("ours", {"pixel_aupro": whole})], metrics=["pixel_aupro"]).notes == (told,)
    assert category_table({"tile": {"pixel_aupro": whole}}, metrics=["pixel_aupro"]).notes == (told,)
    assert told in protocol_table({"pixel_aupro": whole}).notes
    assert results_table([Measured("ours", {"pixel_aupro": whole})], metrics=["image_auroc"]).notes == ()
    assert results_table([Measured("ours", {"pixel_aupro": MetricValue(0.5, None, AUPRO)})], metrics=["pixel_aupro"]).notes == ()


def test_the_head_of_aupro_tells_its_variant() -> None:
    assert head_of("pixel_ap", []) == "Pixel AP"
    assert head_of("pixel_aupro", [AUPRO, replace(AUPRO, fpr_limit=0.05)]) == "AUPRO (mvtec, FPR ≤ 0.3 / mvtec, FPR ≤ 0.05)"


def test_ranks_and_grey_reach_the_page_and_names_stay_names() -> None:
    theirs = printed("image_auroc", source="ASBench", table="IV", method="DRAEM")
    table = results_table([row("<b>a", 0.7), row("b", 0.9)], [theirs], metrics=["image_auroc"])
    text = render(Page("t", sections=(Section("s", (table,)),)))
    assert '<td class="number"><b>0.900</b></td>' in text
    assert '<td class="number"><u>0.700</u></td>' in text
    assert '<td class="number published">0.947</td>' in text
    assert "&lt;b&gt;a" in text
    assert '<p class="note">[1] other images</p>' in text
