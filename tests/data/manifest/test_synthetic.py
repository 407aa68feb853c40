"""A set that `flawsmith synth` wrote, as a list with its origin: spec datasets.md §13.4."""

import json
import shutil

import pytest

from flawsmith import __version__
from flawsmith.cli.app import run
from flawsmith.core.errors import DataError
from flawsmith.data import load
from flawsmith.data.leakage import check_leakage
from flawsmith.data.manifest.columns import SYNTHETIC


@pytest.fixture
def parts(tmp_path, trees):
    tree = trees.Tree(tmp_path / "parts").images("good", range(6), ".png")
    tree.images("dent", range(2)).masks("masks/dent", range(2), ".png")
    return tree.write()


def made(parts, out, *options):
    assert run(["synth", str(parts), "-n", "4", "--size", "32", "--out", str(out), *options]) == 0
    assert run(["data", "export", str(out), "--out", str(out.with_suffix(".csv"))]) == 0
    return load(out, f"manifest:file={out.with_suffix('.csv')}")


def test_where_it_came_from(parts, tmp_path, capsys):
    data = made(parts, tmp_path / "set", "--synth", "cutpaste", "--seed", "3")
    assert "licence  not stated" in capsys.readouterr().out
    lines = [json.loads(line) for line in (tmp_path / "set/manifest.jsonl").read_text().splitlines()]
    originals = {sample.id: sample for sample in load(parts).samples}
    by_image = {line["files"]["image"]["path"]: line for line in lines}
    assert len(data) == 4
    for sample in data.samples:
        line = by_image[sample.source.path]
        assert (sample.origin, sample.split, sample.defect) == ("synthetic", "pool", line["defect"])
        assert sample.tags["generator"] == "cutpaste"
        assert sample.tags["generator_version"] == __version__
        assert len(sample.tags["config_hash"]) == 64
        assert json.loads(sample.tags["seed"]) == line["provenance"]["seed"]
        assert sample.tags["source_id"] == line["source"]
        assert sample.tags["source_sha256"] == originals[line["source"]].digest()
        assert sample.group == originals[line["source"]].group
        assert "reference_sha256" not in sample.tags
        assert sample.mask().any() == (sample.defect != "good")
    assert {"generator", "generator_version", "config_hash", "seed", "source_sha256"} < set(SYNTHETIC)


def test_what_it_was_pasted_from_is_never_tested(parts, tmp_path):
    data = made(parts, tmp_path / "set", "--synth", "cutpaste_by_mask", "--split", "none", "--defect-shots", "1")
    real = {sample.digest(): sample for sample in load(parts).samples if not sample.is_normal}
    pasted = {digest for sample in data.samples for digest in sample.tags["reference_sha256"].split(";")}
    assert pasted <= real.keys()
    from dataclasses import replace

    photograph = next(iter(pasted))
    mixed = replace(data, samples=(*[s.moved_to("train") for s in data.samples], real[photograph].moved_to("test")))
    with pytest.raises(DataError) as caught:
        check_leakage(mixed)
    assert caught.value.code == "E_SYNTHETIC"


def test_photographs_that_are_gone(parts, tmp_path):
    assert run(["synth", str(parts), "-n", "2", "--size", "32", "--out", str(tmp_path / "set"), "--synth", "cutpaste"]) == 0
    shutil.rmtree(parts)
    out = tmp_path / "set.jsonl"
    assert run(["data", "export", str(tmp_path / "set"), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert all("source_sha256" not in row and row["source_id"] for row in rows)
    assert {row["origin"] for row in rows} == {"synthetic"}


def test_a_set_that_is_damaged(parts, tmp_path, capsys):
    assert run(["synth", str(parts), "-n", "2", "--size", "32", "--out", str(tmp_path / "set"), "--synth", "cutpaste"]) == 0
    lines = tmp_path / "set/manifest.jsonl"
    kept = lines.read_text()
    for content in ("{", "{}", "[1]\n", kept.replace('"provenance"', '"other"')):
        lines.write_text(content)
        capsys.readouterr()
        assert run(["data", "export", str(tmp_path / "set"), "--out", str(tmp_path / "set.csv")]) == 1
        assert capsys.readouterr().err.startswith("flawsmith: E_DAMAGED: ")
    lines.write_text(kept.replace("/image/", "/../../image/"))
    assert run(["data", "export", str(tmp_path / "set"), "--out", str(tmp_path / "set.csv")]) == 1
    assert capsys.readouterr().err.startswith("flawsmith: E_EXPORT: ")
