"""`flawsmith quality`, as a user types it."""

import json
import math

import pytest

from flawsmith.cli.app import run
from flawsmith.cli.quality import _number


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiles):
    out = tmp_path_factory.mktemp("made") / "set"
    assert run(["synth", str(tiles), "--synth", "cutpaste", "-n", "12", "--size", "64", "--out", str(out), "--clean"]) == 0
    return out


def quality(*arguments):
    return run(["quality", *map(str, arguments)])


def test_a_set_of_synth_against_its_own_photographs(made, tiles, capsys):
    assert quality(made, tiles, "--size", 64) == 0
    told, errors = capsys.readouterr()
    assert "tiles cutpaste: 12 generated, 8 real (all types of the product)" in told
    for name in ("inception_score", "fid", "kid", "lpips", "ic_lpips", "ic_lpips_a", "ic_lpips_a_norm"):
        assert f"  {name}@efficientnet-lite0 " in told
    for name in ("ssim", "psnr", "vif"):
        assert f"  {name} " in told
    assert "96 pairs" in told
    assert "beware: cutpaste is no type of tiles" in told
    assert "do not put them beside published ones" in told
    assert "\n  beware: fid@efficientnet-lite0 of few pictures (12 generated and 8 real pictures, below 2048)" in told
    assert errors == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (-0.00002134, "-2.134e-05"),
        (0.00643219, "0.006432"),
        (0.5, "0.5000"),
        (32.1, "32.10"),
        (1234.5678, "1235"),
        (-0.0, "0"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_four_significant_digits(value, told):
    assert _number(value) == told


def test_json_is_one_document_and_says_how(made, tiles, capsys):
    command = (
        made,
        tiles,
        "--metric",
        "ssim",
        "--metric",
        "ic_lpips",
        "--extractor",
        "random-3",
        "--pairing",
        "source",
        "--json",
    )
    assert quality(*command) == 0
    document = json.loads(capsys.readouterr().out)
    (kind,) = document["types"]
    assert list(kind["metrics"]) == ["ssim", "ic_lpips@random-3", "ic_lpips_zero_filled@random-3"]
    assert kind["metrics"]["ssim"]["record"]["details"]["pairing"] == "each with what it was made from"
    assert sum(kind["counts"]["ic_lpips@random-3"]["cluster_sizes"]) == 12
    assert document["mean"]["ssim"]["value"] == pytest.approx(kind["metrics"]["ssim"]["value"])
    assert quality(*command) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_a_set_written_without_clean_finds_its_sources_by_their_ids(tiles, tmp_path, capsys):
    out = tmp_path / "set"
    assert run(["synth", str(tiles), "--synth", "cutpaste", "-n", "3", "--out", str(out)]) == 0
    assert quality(out, tiles, "--metric", "ssim", "--pairing", "source", "--extractor", "random-0") == 0
    value = capsys.readouterr().out.partition("  ssim")[2].split()[0]
    assert 0.7 < float(value) < 1


def test_real_defects_that_were_pasted_are_the_centres_of_the_clusters(tiles, tmp_path, capsys):
    out = tmp_path / "set"
    shots = ("--synth", "cutpaste_by_mask", "--defect-shots", "1", "-n", "12")
    assert run(["synth", str(tiles), *shots, "--out", str(out)]) == 0
    capsys.readouterr()
    assert quality(out, tiles, "--metric", "ic_lpips", "--extractor", "random-0", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {kind["defect"] for kind in document["types"]} == {"scratch", "spot", "smear", "stain"}
    for kind in document["types"]:
        assert kind["real_rule"] == "the same type"
        assert kind["counts"]["ic_lpips@random-0"]["cluster_sizes"] == [kind["generated"]]
    assert sum("1 of the 2 real pictures are those that the generator learned from" in note for note in document["notes"]) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--metric", "fdi"), 2, "no metric of quality 'fdi'; did you mean fid"),
        (("--pairing", "both"), 2, "no pairing 'both'"),
        (("--size", "20"), 2, "vif needs at least 41 pixels"),
        (("--extractor", "inception-v3-fid"), 1, "needs the weights of inception-v3-fid"),
        (("--weights", "missing.pth"), 1, "missing.pth is no file"),
        (("--extractor", "random-0", "--metric", "inception_score"), 2, "inception_score needs classes"),
        (("--compat", "sean"), 2, "did you mean seas"),
    ],
)
def test_an_error_is_one_line(made, tiles, capsys, arguments, code, told):
    assert quality(made, tiles, *arguments) == code
    errors = capsys.readouterr().err
    assert told in errors
    assert errors.count("\n") == 1


def test_the_help_has_an_example(capsys):
    assert run(["quality", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Example: flawsmith quality tiles_synthetic tiles/" in told
