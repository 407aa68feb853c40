"""`flawsmith evaluate` with protocols, geometries by hand and tables, as a user types it."""

import csv
import importlib.util
import io
import json
from pathlib import Path

import pytest

from flawsmith.cli.app import run


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_as_released_is_another_protocol_and_every_record_says_so(model: Path, tiles: Path, capsys: pytest.CaptureFixture[str]):
    found = told(capsys, "evaluate", model, tiles, "--protocol", "as_released:memseg")
    assert found["protocol"] == "as_released"
    aupro = found["metrics"]["pixel_aupro"]["record"]
    assert (aupro["curve"], aupro["mask_rule"], aupro["protocol"]) == ("full", "any-bicubic", "as_released")
    assert "this was not done" in aupro["details"]["selection"]


def test_whose_released_evaluation_it_is_stands_everywhere(
    model: Path, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tables = [tmp_path / f"r{suffix}" for suffix in (".csv", ".md", ".tex")]
    files = ["--report", tmp_path / "r.html", *(part for file in tables for part in ("--table", file))]
    assert run(["evaluate", str(model), str(tiles), "--protocol", "as_released:memseg", *map(str, files)]) == 0
    written = [file.read_text().replace(r"\_", "_") for file in tables]
    for text in (capsys.readouterr().out, *written, (tmp_path / "r.html").read_text()):
        assert "rotocol as_released:memseg (TooTouch/MemSeg, and its copy in M-3LAB/ASBench)" in text
    for text in written:
        assert "AUPRO full: the whole curve" in text


def test_memseg_has_a_protocol_of_its_own(tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--detector", "memseg", "--synth", "cutpaste", "--steps", "2", "--set", "memseg.size=64", "--set", "memseg.batch=2"]
    assert run(["train", str(tiles), *small, "--out", str(tmp_path / "memseg")]) == 0
    capsys.readouterr()
    found = told(capsys, "evaluate", tmp_path / "memseg", tiles, "--protocol", "as_released", "--report", tmp_path / "r.html")
    assert found["metrics"]["image_auroc"]["record"]["image_score"] == "top100"
    page = (tmp_path / "r.html").read_text()
    assert "AUPRO (full, FPR ≤ 1)" in page
    assert "Measured as the original code does" in page
    assert "the original chooses its checkpoint by its score on the test set; this was not done" in page


def test_geometries_by_hand_are_in_the_record(model: Path, tiles: Path, capsys: pytest.CaptureFixture[str]):
    by_hand = ["--resolution", "256", "--mask-rule", "nearest", "--pro", "mvtec3d-100", "--image-score", "smooth21_max"]
    found = told(capsys, "evaluate", model, tiles, *by_hand, "--memory", "0")["metrics"]
    record = found["pixel_aupro"]["record"]
    assert (record["resolution"], record["mask_rule"], record["curve"]) == ("256", "nearest", "mvtec3d-100")
    assert found["image_ap"]["record"]["image_score"] == "smooth21_max"


def test_what_differs_from_the_defaults_stands_in_the_head_and_beside_the_aupro(
    model: Path, tiles: Path, capsys: pytest.CaptureFixture[str]
):
    def lines(*arguments: str) -> list[str]:
        assert run(["evaluate", str(model), str(tiles), "--pixel-intervals", "0", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    by_hand = lines("--resolution", "256", "--mask-rule", "nearest", "--pro", "full", "--image-score", "top100")
    assert by_hand[0].endswith("protocol honest, resolution 256, mask rule nearest, image score top100, AUPRO full")
    assert next(line for line in by_hand if "pixel_aupro" in line).endswith("  full, FPR ≤ 1")
    assert any(line.startswith("beware: AUPRO full: the whole curve") for line in by_hand)
    plain = lines("--metric", "pixel_aupro", "--metric", "pixel_iou_oracle", "--metric", "image_ap")
    assert plain[0].endswith("protocol honest")
    assert plain[1].endswith("  mvtec, FPR ≤ 0.3")
    assert len({line.index("0.") for line in plain[1:4]}) == 1
    assert not any("AUPRO" in line for line in plain[4:])


def test_a_table_has_the_metrics_that_were_asked_for(
    model: Path, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    by_hand = ["--metric", "pixel_ap", "--resolution", "256"]
    told(capsys, "evaluate", model, tiles, *by_hand, "--table", tmp_path / "t.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text()))
    assert list(row) == ["name", "name note", "Pixel AP", "Pixel AP low", "Pixel AP high"]
    assert row["name note"] == "measured here, protocol honest, resolution 256"
    assert float(row["Pixel AP low"]) <= float(row["Pixel AP"]) <= float(row["Pixel AP high"])


def test_extra_metrics_reach_the_maps(model: Path, tiles: Path, capsys: pytest.CaptureFixture[str]):
    found = told(capsys, "evaluate", model, tiles, "--metric", "pixel_iou_oracle", "--metric", "pixel_iou@0.5")["metrics"]
    assert set(found) == {"pixel_iou_oracle", "pixel_iou@0.5"}
    assert found["pixel_iou_oracle"]["value"] > 0


def test_intervals_of_pixel_metrics_come_along_and_can_be_left_out(
    model: Path, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    page, none = tmp_path / "r.html", tmp_path / "none.csv"
    interval = told(capsys, "evaluate", model, tiles, "--report", page)["metrics"]["pixel_ap"]["interval"]
    assert interval["resamples"] == 1000
    assert page.read_text().count(f"{interval['low']:.3f}–{interval['high']:.3f}") >= 2
    found = told(capsys, "evaluate", model, tiles, "--pixel-intervals", "0", "--table", none)["metrics"]
    assert found["pixel_ap"]["interval"] is None
    assert found["image_ap"]["interval"] is not None
    (row,) = csv.DictReader(io.StringIO(none.read_text()))
    assert "Image AP low" in row
    assert "Pixel AP low" not in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "as_released"], "patchcore has no as_released protocol of its own"),
        (["--protocol", "as_released:memseg", "--pro", "full"], "as_released decides resolution"),
        (["--protocol", "honst"], "no protocol 'honst'; did you mean honest?"),
        (["--resolution", "255"], "no resolution '255'; did you mean 256?"),
        (["--mask-rule", "neerest"], "no mask rule 'neerest'; did you mean nearest"),
        (["--pro", "ful"], "no AUPRO variant 'ful'; did you mean full?"),
        (["--image-score", "topp100"], "no image score 'topp100'; did you mean top100"),
        (["--image-score", "topk_fraction@2"], "the fraction of topk_fraction is 2.0; expected above 0 and at most 1"),
        (["--image-score", "top100@3"], "image score 'top100@3' has a parameter; expected 'top100'"),
        (["--image-score", "own@3"], "no image score 'own@3'; did you mean own?"),
        (["--metric", "pixel_iou_orakel"], "no metric 'pixel_iou_orakel'; did you mean pixel_iou"),
    ],
)
def test_wrong_usage_is_one_line(
    model: Path, tiles: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
):
    assert run(["evaluate", str(model), str(tiles), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_tables_come_in_the_form_that_the_suffix_names(
    model: Path, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    files = [tmp_path / f"results{suffix}" for suffix in (".csv", ".md", ".tex")]
    found = told(capsys, "evaluate", model, tiles, *(part for file in files for part in ("--table", file)))
    (row,) = csv.DictReader(io.StringIO(files[0].read_text()))
    assert float(row["Image AUROC"]) == found["metrics"]["image_auroc"]["value"]
    assert "| AUPRO (mvtec, FPR ≤ 0.3) |" in files[1].read_text()
    assert r"\begin{tabular}{lrrrrrrr}" in files[2].read_text()
    assert run(["evaluate", str(model), str(tiles), "--table", str(files[0])]) == 1
    assert "exists; expected a new name" in capsys.readouterr().err


def test_a_table_that_cannot_be_is_refused_before_any_work(
    model: Path, tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    inside, twice = tiles / "results.csv", tmp_path / "results.csv"
    for files, told in (
        (["results.xlsx"], "expected one of .csv"),
        ([inside], "choose another --table"),
        ([twice, twice], "are one table"),
    ):
        assert run(["evaluate", str(model), str(tiles), *(part for file in files for part in ("--table", str(file)))]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert not inside.exists()
    assert not twice.exists()


@pytest.fixture
def small_mtd(tmp_path: Path) -> Path:
    """A tree like that of the magnetic tiles: 72 good ones of 24 groups, 6 cracks."""
    spec = importlib.util.spec_from_file_location("trees", Path(__file__).parents[1] / "data" / "trees.py")
    assert spec is not None
    assert spec.loader is not None
    trees = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trees)
    runs = [("Free", 200 * number, 3) for number in range(24)] + [("Crack", 10_000, 3), ("Crack", 11_000, 3)]
    return trees.mtd(tmp_path / "tiles", runs).write()


def test_a_report_on_mtd_shows_published_values_with_what_differs(small_mtd: Path, tmp_path: Path):
    small = ["--detector", "patchcore", "--shots", "4", "--set", "patchcore.size=64"]
    assert run(["train", str(small_mtd), *small, "--out", str(tmp_path / "model")]) == 0
    assert run(["evaluate", str(tmp_path / "model"), str(small_mtd), "--report", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "Published values" in page
    assert "UniADC, table 1; zero-shot; k normal=4; k anomaly=0 [1] [2]" in page
    assert '<td class="number published">0.714</td>' in page
    assert "kept out: which variant of AUPRO it is is not known" in page
    assert "near-copies of training images may be tested on" in page
