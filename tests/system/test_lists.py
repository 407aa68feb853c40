"""A list in place of a folder, through every command that takes one: the same result as from the folder."""

import importlib.util
import json
from pathlib import Path

import pytest

from flawsmith.cli.app import run


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("flawsmith_test_trees", Path(__file__).parents[1] / "data/trees.py")
    trees = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trees)
    return trees.mvtec(tmp_path_factory.mktemp("lists") / "parts", ["bottle"]).write()


@pytest.fixture(scope="module")
def listed(parts):
    assert run(["data", "export", str(parts), "--layout", "folder", "--out", str(parts.parent / "list.parquet")]) == 0
    return ["--layout", f"manifest:file={parts.parent / 'list.parquet'}"]


def test_synth_with_workers_makes_the_same(parts, listed, tmp_path):
    options = ["--synth", "cutpaste", "-n", "4", "--size", "32", "--workers", "1"]
    assert run(["synth", str(parts), "--layout", "folder", *options, "--out", str(tmp_path / "a")]) == 0
    assert run(["synth", str(parts), *listed, *options, "--out", str(tmp_path / "b")]) == 0
    lines = [(tmp_path / name / "manifest.jsonl").read_text() for name in "ab"]
    assert lines[0] == lines[1]


def test_train_and_evaluate_find_the_same(parts, listed, tmp_path, capsys):
    found = []
    for name, layout in (("a", ["--layout", "folder"]), ("b", listed)):
        model = str(tmp_path / name)
        train = ["train", str(parts), *layout, "--detector", "patchcore", "--set", "patchcore.size=64", "--out", model]
        assert run(train) == 0
        capsys.readouterr()
        assert run(["evaluate", model, str(parts), *layout, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["metrics"])
    values = [{entry: told["value"] for entry, told in one.items()} for one in found]
    assert values[0] == values[1]
    assert values[0]["image_auroc"] is not None
