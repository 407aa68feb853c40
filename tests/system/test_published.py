"""`flawsmith published`, as a user types it."""

import csv
import io
import json

import pytest

from flawsmith.cli.app import run


def test_values_come_in_columns_with_their_caveats_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published", "--dataset", "mtd", "--method", "memseg", "--metric", "pixel_aupro"]) == 0
    told = capsys.readouterr().out
    assert "0.4753  ASBench, table VI  [1]" in told
    assert "[1] MemSeg column is integrated over FPR 0..1" in told


def test_json_holds_what_was_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published", "--dataset", "visa", "--source", "CUT", "--table", "13", "--json"]) == 0
    (value,) = (each for each in json.loads(capsys.readouterr().out)["values"] if each["metric"] == "pixel_f1max")
    assert (value["value"], value["printed"], value["printed_unit"]) == (0.504, 50.4, "percent")


def test_csv_is_a_table_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 2830
    assert {row["kept_out"] for row in rows if row["metric"] == "lpips_unnormalised"} == {
        "an LPIPS distance lies between about 0 and 1"
    }


def test_without_a_filter_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published"]) == 0
    assert "MVTec-FS 503, MTD 198, WFDD 208" in capsys.readouterr().out


def test_names_of_a_column_are_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published", "--dataset", "mtd", "--metric", "best_synthesis_by_image_auroc"]) == 0
    assert "MTD, ASBench table V, best_synthesis_by_image_auroc, detector=MemSeg: MemSeg" in capsys.readouterr().out


def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["published", "--dataset", "mtdd"]) == 2
    assert "no published dataset 'mtdd'; did you mean" in capsys.readouterr().err
    assert run(["published", "--csv", "--json"]) == 2
