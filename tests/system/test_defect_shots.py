"""Real defects pasted by `flawsmith synth` and by a training, and none of them tested on afterwards."""

import json
import shutil

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import DataError, NeedUnmet, UsageError
from flawsmith.data import load
from flawsmith.data.splits import make_split
from flawsmith.data.support import support_set
from flawsmith.inspection.training import train
from flawsmith.synthesis import writing
from flawsmith.synthesis.sets import replay, synthesize
from flawsmith.synthesis.writing import write_set


def lines(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_a_set_from_real_defects_is_made_and_made_again(tiles, tmp_path, tell):
    order = ["synth", tiles, "--synth", "cutpaste_by_mask", "--defect-shots", 1, "-n", 8, "--seed", 3]
    told = tell(*order, "--out", tmp_path / "one")
    assert set(told["defects"]) <= {"scratch", "spot", "smear", "stain"}
    assert len(told["defects"]) > 1
    header = json.loads((tmp_path / "one" / "synth.json").read_text())
    data = load(tiles)
    support, split = support_set(data, make_split(data, seed=3), product="tiles", defect_shots=1, seed=3)
    assert header["uses_real_anomalies"]
    assert header["recipe"]["defect_shots"] == 1
    assert set(header["trained_on"]["tiles"]) == support.ids
    assert header["split"]["tiles"]["digest"] == split.digest
    assert len(support.anomalies) == 4
    pasted = {piece["id"] for line in lines(tmp_path / "one") for piece in line["provenance"]["drawn"]["references"]}
    assert pasted <= {sample.id for sample in support.anomalies}
    assert not pasted & {sample.id for sample in split.on(data, "test")}
    assert {line["defect_shots"] for line in lines(tmp_path / "one")} == {1}
    tell(*order, "--workers", 2, "--out", tmp_path / "two")
    assert lines(tmp_path / "one") == lines(tmp_path / "two")
    again = tell("synth", tiles, "--replay", f"{tmp_path / 'one' / 'manifest.jsonl'}:5", "--out", tmp_path / "again")
    assert again["compared"] == ["image", "mask"]
    before = {"settings": [f"precomputed.folder={tmp_path / 'one'}"]}
    assert synthesize(data, "precomputed", 1, seed=3, **before)[0].mask.any()
    with pytest.raises(UsageError, match="precomputed uses no real anomalies"):
        synthesize(data, "precomputed", 1, seed=3, defect_shots=1, **before)


def test_members_of_a_mix_are_made_again_alone(tiles):
    data = load(tiles)
    made = synthesize(data, "draem:1,cutpaste_by_mask:1", 8, defect_shots=1)
    assert {anomaly.provenance.component for anomaly in made} == {"draem", "cutpaste_by_mask"}
    for anomaly in made:
        line = {"provenance": anomaly.provenance.to_json(), "defect_shots": 1}
        np.testing.assert_array_equal(replay(line, data).image, anomaly.image)


def test_a_changed_reference_starts_an_interrupted_set_anew(tiles, tmp_path, monkeypatch):
    root, out = tmp_path / "tiles", tmp_path / "out"
    shutil.copytree(tiles, root)
    order = ("cutpaste_by_mask", 6)
    write_set(synthesize(load(root), *order, defect_shots=1), tmp_path / "whole")
    for changed in (False, True):
        made = synthesize(load(root), *order, defect_shots=1)
        interrupt(monkeypatch, made, out)
        if changed:
            file = made.supports["tiles"].anomalies[0].source.location
            cv2.imwrite(file, 255 - cv2.imread(file))
        written = write_set(synthesize(load(root), *order, defect_shots=1), out, overwrite=changed)
        assert written.resumed == (0 if changed else 3)
        assert (lines(out) == lines(tmp_path / "whole")) != changed
        shutil.rmtree(out)


def interrupt(monkeypatch, made, out):
    """Begin to write a set and break off after three items."""
    write = writing.write_item

    def failing(made, index, *rest):
        if index == 3:
            raise KeyboardInterrupt
        return write(made, index, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(writing, "write_item", failing)
        write_set(made, out)


def test_training_pastes_the_same_defects_and_tests_on_none(tiles):
    data = load(tiles)
    made = synthesize(data, "cutpaste_by_mask", 1, seed=2, defect_shots=1)
    inspector = train(
        data,
        "memseg",
        "cutpaste_by_mask",
        settings=["memseg.size=128", "memseg.memory=8"],
        defect_shots=1,
        real_share=0.0,
        seed=2,
        steps=2,
    )
    tested = {name for name, place in inspector.split.assignment.items() if place == "test"}
    assert tested
    assert not tested & made.supports["tiles"].ids
    assert inspector.origin.uses_real_anomalies


def test_anomalies_of_the_train_folder_are_pasted(tiles, tmp_path):
    root = tmp_path / "tiles"
    shutil.copytree(tiles, root)
    for kind in ("train", "ground_truth"):
        (root / kind / "burr").mkdir()
    shutil.copy(next((root / "test" / "spot").glob("*.png")), root / "train" / "burr" / "900.png")
    shutil.copy(next((root / "ground_truth" / "spot").glob("*.png")), root / "ground_truth" / "burr" / "900_mask.png")
    made = synthesize(load(root), "cutpaste_by_mask", 3)
    assert {anomaly.defect for anomaly in made} == {"burr"}
    written = write_set(made, tmp_path / "out")
    assert written.count == 3
    for line, anomaly in zip(lines(tmp_path / "out"), made, strict=True):
        np.testing.assert_array_equal(replay(line, load(root)).image, anomaly.image)
    with pytest.raises(DataError, match="anomaly in a training folder"):
        synthesize(load(root), "draem", 3)


def test_what_is_missing_is_said_before_any_work(tiles, tmp_path, tell):
    out = tmp_path / "out"
    told = tell("synth", tiles, "--synth", "cutpaste_by_mask", "-n", 3, "--out", out, code=1)
    assert "cutpaste_by_mask needs real anomalies of tiles, and this run has none; give it some with --defect-shots 1" in told
    told = tell("synth", tiles, "--synth", "cutpaste_by_mask", "-n", 3, "--split", "none", "--out", out, code=1)
    assert "leave out --split none" in told
    told = tell("synth", tiles, "--synth", "cutpaste_by_mask", "-n", 3, "--defect-shots", 3, "--out", out, code=1)
    assert "3 anomalies of the kind scratch were asked for and there are 2" in told
    told = tell("synth", tiles, "--synth", "draem", "-n", 3, "--defect-shots", 1, "--out", out, code=2)
    assert "draem uses no real anomalies" in told
    assert not out.exists()
    normals = tmp_path / "good"
    shutil.copytree(tiles / "train", normals / "train")
    with pytest.raises(NeedUnmet, match="add photographs of defects with their masks"):
        synthesize(load(normals), "cutpaste_by_mask", 1)
    with pytest.raises(NeedUnmet, match=r"cutpaste_by_mask needs real anomalies with masks.*--defect-shots 1"):
        train(load(tiles), "memseg", "cutpaste_by_mask", steps=1)
    with pytest.raises(UsageError, match="parameter defect_shots is -1"):
        synthesize(load(tiles), "cutpaste_by_mask", 1, defect_shots=-1)
