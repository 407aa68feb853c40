"""Sets made before, and the hybrids of ASBench, as a user types them."""

import json
import shutil
from pathlib import Path

import pytest

from flawsmith.cli.app import run
from flawsmith.core.hybrids import HYBRIDS
from flawsmith.core.recipes import TrainingRecipe
from flawsmith.data import load
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.training import train, train_recipe

SMALL = [
    part
    for setting in ("size=64", "backbone=tiny_cnn", "pretrained=false", "width=8")
    for part in ("--set", f"detector.memseg.{setting}")
]
TRAIN = ["--detector", "memseg", "--steps", "4", *SMALL]

pytestmark = pytest.mark.filterwarnings("ignore:memseg stores")


@pytest.fixture
def call(capsys):
    """Run a command; its exit code, stdout and the lines of stderr."""

    def typed(*arguments):
        code = run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err.splitlines()

    return typed


@pytest.fixture(scope="module")
def written(tiles: Path, tmp_path_factory):
    """A set that `flawsmith synth` wrote from the training side of `tiles`. Do not change it."""
    out = tmp_path_factory.mktemp("sets") / "set"
    arguments = ["synth", str(tiles), "--synth", "draem,cutpaste", "-n", "12", "--size", "64", "--clean", "--out", str(out)]
    assert run(arguments) == 0
    return out


@pytest.mark.parametrize("synth", ["precomputed", "precomputed:2,cutpaste:1"])
def test_a_set_trains_a_detector_alone_and_in_a_mix(tiles, written, tmp_path, call, synth):
    model = tmp_path / "model"
    code, out, err = call("train", tiles, "--synth", synth, "--set", f"precomputed.folder={written}", *TRAIN, "--out", model)
    assert code == 0, err
    assert "beware: precomputed brings pictures made from" in out
    events = [json.loads(line) for line in (model / "training.jsonl").read_text().splitlines()]
    makers = set(events[-1]["makers"])
    assert "precomputed" in makers
    assert makers <= {"normal", "precomputed", "cutpaste"}
    assert not Inspector.load(model).origin.uses_real_anomalies
    assert "precomputed" in (model / "card.md").read_text()
    assert call("evaluate", model, tiles, "--metric", "image_auroc")[0] == 0


def test_concat_is_recorded_with_its_epoch(tiles, written, tmp_path, call):
    model = tmp_path / "model"
    arguments = ["--synth", "precomputed,cutpaste", "--mixing", "concat", "--set", f"precomputed.folder={written}"]
    assert call("train", tiles, *arguments, *TRAIN, "--out", model)[0] == 0
    inspector = Inspector.load(model)
    assert inspector.recipe.mixing == "concat"
    normals = inspector.split.counts()["train"]
    assert inspector.metrics["items_per_epoch"] == 2 * normals
    line = call("train", tiles, *arguments[:1], "precomputed:2,cutpaste", *arguments[2:], *TRAIN, "--out", tmp_path / "b")[2][0]
    assert "E_PARAMETER" in line
    assert "equal weights" in line


def test_other_layouts_are_told_in_the_record(tiles, stored, drawn_pairs, tmp_path, call):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(4, side=64))
    model = tmp_path / "model"
    arguments = ["--synth", "precomputed", "--set", f"precomputed.folder={root}", *TRAIN]
    assert call("train", tiles, *arguments, "--out", model)[0] == 0
    origin = Inspector.load(model).origin
    assert any("does not say which photographs it was made from" in warning for warning in origin.warnings)
    assert origin.uses_real_anomalies
    assert "does not say which photographs" in (model / "card.md").read_text()


def test_a_set_from_the_test_side_is_refused(tiles, tmp_path, call):
    pool = tmp_path / "pool" / "tiles"
    shutil.copytree(tiles / "train" / "good", pool / "good")
    assert call("synth", pool, "--synth", "cutpaste", "-n", "4", "--split", "none", "--out", tmp_path / "set")[0] == 0
    arguments = ["--synth", "precomputed", "--set", f"precomputed.folder={tmp_path / 'set'}", *TRAIN, "--out", tmp_path / "model"]
    code, _, (line,) = call("train", pool, *arguments)
    assert code == 1
    assert line.startswith("flawsmith: E_SYNTHETIC: precomputed brings pictures made from ")
    assert "is on the test side of this split" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pool", "set"]
    assert call("synth", pool, "--synth", "cutpaste", "-n", "4", "--out", tmp_path / "fair")[0] == 0
    arguments[3] = f"precomputed.folder={tmp_path / 'fair'}"
    assert call("train", pool, *arguments)[0] == 0
    code, _, (line,) = call("train", pool, *arguments[:-1], tmp_path / "other", "--seed", "5")
    assert (code, "E_SYNTHETIC" in line) == (1, True)


def test_a_mix_with_a_set_tells_of_the_set_and_of_the_normals(tiles, written, tmp_path, call):
    arguments = ["--set", f"precomputed.folder={written}", "-n", "4", "--size", "64", "--out"]
    _, out, _ = call("synth", tiles, "--synth", "precomputed,cutpaste", *arguments, tmp_path / "mix")
    assert "normals; train with --split auto --seed 0 tests on none of them" in out
    assert f"what was made before comes from {written}" in out
    _, out, _ = call("synth", tiles, "--synth", "precomputed", *arguments, tmp_path / "alone")
    assert f"what was made before comes from {written}" in out
    assert "made from" not in out


def test_a_set_of_a_set_is_refused_for_what_the_first_was_made_from(tiles, tmp_path, call):
    pool = tmp_path / "pool" / "tiles"
    shutil.copytree(tiles / "train" / "good", pool / "good")
    assert call("synth", pool, "--synth", "cutpaste", "-n", "4", "--split", "none", "--out", tmp_path / "first")[0] == 0
    before = ["--synth", "precomputed", "--set"]
    code, out, _ = call(
        "synth", pool, *before, f"precomputed.folder={tmp_path / 'first'}", "-n", "4", "--out", tmp_path / "second"
    )
    assert code == 0
    assert f"what was made before comes from {tmp_path / 'first'}" in out
    code, _, (line,) = call(
        "train", pool, *before, f"precomputed.folder={tmp_path / 'second'}", *TRAIN, "--out", tmp_path / "model"
    )
    assert (code, "E_SYNTHETIC" in line) == (1, True)


def test_a_set_is_no_training_data_and_the_message_says_how_to_use_it(written, tmp_path, call):
    code, _, (line,) = call("train", written, "--out", tmp_path / "model")
    assert code == 1
    assert f"--synth precomputed --set precomputed.folder={written}" in line


def test_the_model_is_never_written_into_the_set(tiles, written, call):
    arguments = ["--synth", "precomputed", "--set", f"precomputed.folder={written}", *TRAIN]
    code, _, (line,) = call("train", tiles, *arguments, "--out", written / "model")
    assert (code, "E_OUTPUT" in line) == (1, True)
    assert not (written / "model").exists()


def test_a_detector_that_compares_with_the_twin_refuses_a_set_without_twins(tiles, stored, drawn_pairs, tmp_path, monkeypatch):
    """DRAEM's and DeSTSeg's detectors need the picture without the defect; MemSeg's does not."""
    from dataclasses import replace

    from flawsmith.core.errors import NeedUnmet
    from flawsmith.detectors.memseg.detector import MemSeg

    settings = [part for part in SMALL if part != "--set"]
    bare = stored(tmp_path / "bare", "dfmgan", [(image, mask, None) for image, mask, _ in drawn_pairs(4, side=64)])
    whole = stored(tmp_path / "whole", "dfmgan", drawn_pairs(4, side=64))
    data = load(tiles)
    train(data, "memseg", "precomputed", settings=[*settings, f"precomputed.folder={bare}"], steps=2)
    traits = replace(MemSeg.traits, needs=replace(MemSeg.traits.needs, paired="required"))
    monkeypatch.setattr(MemSeg, "traits", traits)
    train(data, "memseg", "precomputed", settings=[*settings, f"precomputed.folder={whole}"], steps=2)
    with pytest.raises(NeedUnmet, match=r"same picture without it \(some of precomputed have none\)"):
        train(data, "memseg", "precomputed", settings=[*settings, f"precomputed.folder={bare}"], steps=2)


def test_two_folders_in_one_training(tiles, written, stored, drawn_pairs, tmp_path):
    other = stored(tmp_path / "other", "dfmgan", drawn_pairs(4, side=64))
    synth = [{"method": {"name": "precomputed", "params": {"folder": str(folder)}}} for folder in (written, other)]
    detector = {"name": "memseg", "params": {"size": 64, "backbone": "tiny_cnn", "pretrained": False, "width": 8}}
    fields = {"detector": detector, "synth": synth, "mixing": "concat", "steps": 2}
    inspector = train_recipe(load(tiles), TrainingRecipe.parse(fields, "training"))
    assert inspector.origin.uses_real_anomalies
    assert sum("does not say which photographs" in warning for warning in inspector.origin.warnings) == 1


# --- hybrids


@pytest.mark.parametrize("name", [name for name in HYBRIDS if "anomalydiffusion" not in name])
def test_four_hybrids_run(tiles, tmp_path, call, name):
    code, _, err = call("train", tiles, "--synth", name, *TRAIN, "--out", tmp_path / "model")
    assert code == 0, err
    recipe = Inspector.load(tmp_path / "model").recipe
    assert [(m.method.name, m.method.params["preset"]) for m in recipe.synth] == [(p, "asbench") for p in HYBRIDS[name].parts]
    code, _, err = call(
        "synth", tiles, "--synth", name, "-n", "4", "--mixing", "concat", "--size", "64", "--out", tmp_path / "set"
    )
    assert code == 0, err
    assert len((tmp_path / "set" / "manifest.jsonl").read_text().splitlines()) == 4 * len(HYBRIDS[name].parts)


@pytest.mark.parametrize("name", [name for name in HYBRIDS if "anomalydiffusion" in name])
def test_seven_hybrids_wait_for_a_folder(tiles, written, tmp_path, call, name):
    for command in (["train", tiles, *TRAIN], ["synth", tiles, "-n", "4", "--size", "64"]):
        code, _, (line,) = call(*command, "--synth", name, "--out", tmp_path / "none")
        assert code == 1
        assert line.startswith("flawsmith: E_NEED: precomputed needs a folder of anomalies made before")
        assert "--set precomputed.folder=./SET" in line
    assert list(tmp_path.iterdir()) == []
    given = ["--synth", name, "--set", f"precomputed.folder={written}"]
    code, _, err = call("train", tiles, *given, *TRAIN, "--out", tmp_path / "model")
    assert code == 0, err
    assert call("synth", tiles, *given, "-n", "4", "--size", "64", "--out", tmp_path / "set")[0] == 0


def test_methods_lists_the_hybrids(call):
    code, out, _ = call("methods")
    assert code == 0
    assert all(f"  {name} " in out for name in HYBRIDS)
    code, out, _ = call("methods", "asbench_*_memseg", "--json")
    document = json.loads(out)
    assert {entry["kind"] for entry in document} == {"hybrid"}
    assert document[0]["members"][0] == {"name": "fractal", "params": {"preset": "asbench"}}
    assert "did you mean asbench_fractal_draem" in call("methods", "asbench_fractal_drae")[2][0]


# --- a detector and a synthesizer of one name


def test_settings_find_the_detector_or_the_synthesizer(tiles, tmp_path, call):
    arguments = ["train", tiles, "--detector", "memseg", "--synth", "memseg", "--steps", "2", *SMALL]
    line = call(*arguments, "--set", "memseg.preset=asbench", "--out", tmp_path / "a")[2][0]
    assert "could mean the detector memseg or the synthesizer memseg" in line
    assert "expected detector.memseg.preset=asbench or synth.memseg.preset=asbench" in line
    code, _, err = call(
        *arguments, "--set", "synth.memseg.preset=asbench", "--set", "memseg.foreground=auto", "--out", tmp_path / "b"
    )
    assert code == 0, err
    recipe = Inspector.load(tmp_path / "b").recipe
    assert recipe.synth[0].method.params["preset"] == "asbench"
    assert recipe.synth[0].method.params["foreground"] == "auto"
    assert recipe.detector.params["size"] == 64
