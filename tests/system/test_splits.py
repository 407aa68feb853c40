"""Splits as a user asks for them: written down, taken up again, and told with every result."""

import importlib.util
import json
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest

from flawsmith.cli.app import run
from flawsmith.data import load
from flawsmith.data.splits import Split

SMALL = ("--detector", "memseg", "--synth", "cutpaste", "--steps", "2", "--set", "memseg.size=128", "--set", "memseg.memory=8")


def ids_on_test(split):
    return {name for name, place in split.assignment.items() if place == "test"}


def test_a_split_is_written_and_taken_up_by_every_command(tiles, tmp_path, tell):
    file = tmp_path / "splits/tiles.json"
    told = tell("data", "split", tiles, "--split", "random:test_share=0.3", "--seed", 5, "--out", file)
    stored = Split.load(file)
    assert told["digest"] == stored.digest == json.loads(file.read_text())["sha256"]
    assert told["options"] == {"test_share": 0.3}
    checked = tell("data", "check", tiles, "--split", file)["split"]
    assert (checked["digest"], checked["seed"]) == (stored.digest, 5)
    assert checked["shares"] == [{"product": "tiles", "tested_normals": 0.3, "tested_anomalies": 1.0}]
    made = tell("synth", tiles, "--split", file, "--synth", "cutpaste", "-n", 4, "--out", tmp_path / "set")
    assert made["split"]["tiles"]["digest"] == stored.digest
    again = tell("synth", tiles, "--replay", f"{tmp_path / 'set/manifest.jsonl'}:1", "--out", tmp_path / "again")
    assert again["compared"] == ["image", "mask"]
    tell("train", tiles, "--split", file, "--set", "patchcore.size=64", "--out", tmp_path / "model")
    trained = Split.load(tmp_path / "model/split.json")
    assert ids_on_test(trained) == ids_on_test(stored)
    tell(
        "train", tiles, "--split", tmp_path / "model/split.json", "--set", "patchcore.size=64", "--out", tmp_path / "again_model"
    )
    assert Split.load(tmp_path / "again_model/split.json").digest == trained.digest


def test_an_earlier_split_is_replaced_only_when_asked(tiles, tmp_path, tell):
    file = tmp_path / "split.json"
    tell("data", "split", tiles, "--out", file)
    assert "add --overwrite" in tell("data", "split", tiles, "--out", file, code=1)
    tell("data", "split", tiles, "--split", "grouped", "--out", file, "--overwrite")
    assert Split.load(file).policy == "grouped"
    file.write_text("my notes")
    assert "E_DAMAGED" in tell("data", "split", tiles, "--out", file, "--overwrite", code=1)
    assert "ends in .json" in tell("data", "split", tiles, "--out", tmp_path / "split.txt", code=2)
    assert "lie in one another" in tell("data", "split", tiles, "--out", tiles / "split.json", code=1)
    file.write_text('{"sha256": 1}')
    assert "E_DAMAGED" in tell("train", tiles, "--split", file, "--out", tmp_path / "model", code=1)
    assert "did you mean grouped" in tell("train", tiles, "--split", "groupd", "--out", tmp_path / "model", code=2)


def test_a_first_third_is_learned_from_and_told_with_the_result(tiles, tmp_path, tell):
    model = tmp_path / "model"
    trained = tell("train", tiles, *SMALL, "--defect-shots", "first-third", "--out", model)
    split = Split.load(model / "split.json")
    anomalies = [sample for sample in load(tiles).samples if not sample.is_normal]
    learned = {sample.id for sample in anomalies if split.assignment[sample.id] == "dropped"}
    counts = Counter(sample.defect for sample in anomalies)
    assert Counter(name.split("/")[2] for name in learned) == {defect: max(n // 3, 1) for defect, n in counts.items()}
    assert learned == {
        min((s.id for s in anomalies if s.defect == defect), key=lambda name: int(name.rpartition("/")[2])) for defect in counts
    }
    assert trained["split"]["options"]["defect_shots"] == "first-third"
    assert any("gives the first third of each defect" in warning for warning in trained["warnings"])
    result = tell("evaluate", model, tiles)
    assert result["split"]["digest"] == split.digest
    assert result["split"]["options"]["defect_shots"] == "first-third"
    told = "gives the first third of each defect (floor) to learn from: 4 learned from; 4 anomalies and 0 normals leave the test"
    assert told in " ".join(result["split"]["flags"])
    assert not learned & {image["id"] for image in result["images"]}


def test_generators_learn_from_the_first_third_and_a_training_tests_on_the_rest(tiles, tmp_path, tell):
    order = ["synth", tiles, "--synth", "cutpaste_by_mask", "-n", 6, "--defect-shots", "first-third"]
    made = tell(*order, "--out", tmp_path / "set")
    assert made["split"]["tiles"]["options"] == {"defect_shots": "first-third"}
    assert any(warning.startswith("the split gives the first third") for warning in made["warnings"])
    header = json.loads((tmp_path / "set/synth.json").read_text())
    learned = {name for name in header["trained_on"]["tiles"] if "/good/" not in name}
    assert len(learned) == 4
    assert {json.loads(line)["defect_shots"] for line in (tmp_path / "set/manifest.jsonl").read_text().splitlines()} == {
        "first-third"
    }
    tell("synth", tiles, "--replay", f"{tmp_path / 'set/manifest.jsonl'}:2", "--out", tmp_path / "again")
    before = [*SMALL[:2], "--synth", "precomputed", "--set", f"precomputed.folder={tmp_path / 'set'}", *SMALL[4:]]
    assert "E_SYNTHETIC" in tell("train", tiles, *before, "--out", tmp_path / "leaking", code=1)
    tell("train", tiles, *before, "--defect-shots", "first-third", "--real-share", 0, "--out", tmp_path / "model")
    split = Split.load(tmp_path / "model/split.json")
    assert not learned & ids_on_test(split)


def test_a_generator_from_a_copy_of_what_is_tested_is_refused(tiles, tmp_path, tell):
    root = tmp_path / "tiles"
    shutil.copytree(tiles, root)
    first, second = sorted((root / "test/scratch").iterdir())
    shutil.copy(first, second)
    order = ["synth", root, "--synth", "cutpaste_by_mask", "-n", 2, "--defect-shots", "first-third", "--out", tmp_path / "set"]
    line = tell(*order, code=1)
    assert line.startswith("flawsmith: E_DUPLICATE: ")
    assert str(first) in line
    assert str(second) in line


def test_uniadc_as_it_takes_its_support(tiles, tmp_path, tell):
    options = ["--split", "first-half", "--shots", "first:2", "--defect-shots", "first:1"]
    told = tell("train", tiles, *SMALL, *options, "--out", tmp_path / "model")
    split = Split.load(tmp_path / "model/split.json")
    trained = [name for name, place in split.assignment.items() if place in ("train", "val")]
    assert [name.rpartition("/")[2] for name in sorted(trained)] == ["000", "001"]
    assert (told["split"]["policy"], told["split"]["options"]["defect_shots"]) == ("first-half", "first:1")
    tested = Counter(name.split("/")[2] for name in ids_on_test(split))
    counts = Counter(sample.defect for sample in load(tiles).samples if sample.split == "test")
    assert tested == {defect: n if defect == "good" else n // 2 for defect, n in counts.items() if defect == "good" or n > 1}


@pytest.mark.mtd
def test_magnetic_tiles_are_told_with_their_masks_and_exposures(mtd, tell, capsys):
    told = tell("data", "check", mtd)
    blank = told["masks"]["blank_as_released"]
    assert blank["count"] == 4
    names = {"exp3_num_45042", "exp4_num_124690", "exp4_num_352527", "exp4_num_45057"}
    assert {name.rpartition("/")[2].removesuffix(".jpg") for name in blank["files"]} == names
    anomalies = sum(row["images"] for row in told["counts"] if row["defect"] != "good")
    assert told["masks"]["encodings"] == {"threshold:127": anomalies}
    assert told["masks"]["grey"]["count"] == anomalies - 4, "all but the blank ones are grey, as in the whole release: 388 of 392"
    sizes = {row["images"]: row["groups"] for row in told["groups"]["sizes"]}
    assert sum(sizes.values()) == told["groups"]["count"]
    assert max(sizes, key=sizes.get) == 6
    random = told["groups"]["random_split"]
    assert 0.3 < random["torn"] / told["groups"]["count"] < 0.7
    assert 0.3 < random["tested_with_group_in_training"] / random["tested"] < 0.7
    assert told["licence"].startswith("none stated")
    assert "Huang" in told["citation"]
    if told["images"] == 1344:
        assert (told["groups"]["count"], sizes[6], told["masks"]["grey"]["count"]) == (263, 157, 388)
    capsys.readouterr()
    assert run(["data", "check", str(mtd), "--headers"]) == 0
    text = capsys.readouterr().out
    assert "blank    4 masks are blank as released: expected" in text
    assert "numbers at most 60 apart form a group" in text
    assert "a random split would tear" in text


@pytest.mark.mtd
def test_the_parity_split_of_the_magnetic_tiles_tells_its_leak(mtd, tmp_path, tell):
    told = tell("data", "split", mtd, "--split", "mtd-902-50", "--out", tmp_path / "split.json")
    assert told["test"] - 50 == sum(not sample.is_normal for sample in load(mtd).samples)
    assert told["flags"][0].startswith("leaks near-duplicates: ")
    assert told["flags"][1].startswith("has not the authors' images")
    checked = tell("data", "check", mtd, "--split", tmp_path / "split.json")
    assert "W_NEAR" in {warning["code"] for warning in checked["warnings"]}
    assert len(checked["near_groups"]) > 20


@pytest.fixture
def visa(tmp_path):
    spec = importlib.util.spec_from_file_location("miniatures", Path(__file__).parents[1] / "data/miniatures.py")
    miniatures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(miniatures)
    miniatures.visa(tmp_path / "VisA").write()
    return tmp_path / "VisA"


TABLE = "visa:protocol=2cls_fewshot"


def test_a_table_that_trains_on_anomalies_is_learned_from_and_tested_as_it_is(visa, tmp_path, tell):
    chosen = ("--layout", TABLE)
    assert "or supervised to learn from them" in tell("data", "check", visa, *chosen, code=1)
    data = load(visa, TABLE, product="pcb1")
    aside = {sample.id for sample in data.samples if sample.split == "train" and not sample.is_normal}
    tested = {sample.id for sample in data.samples if sample.split == "test"}
    assert (len(aside), len(tested)) == (1, 7)
    model, order = tmp_path / "model", ("--product", "pcb1", "--split", "supervised", "--defect-shots", "aside")
    learning = ("--detector", "memseg", "--synth", "cutpaste_by_mask", "--steps", 2, "--set", "memseg.size=64")
    trained = tell("train", visa, *chosen, *order, *learning, "--out", model)
    assert (trained["split"]["dropped"], trained["split"]["test"]) == (1, 7)
    assert trained["split"]["options"] == {"defect_shots": "aside"}
    result = tell("evaluate", model, visa, *chosen)
    assert {image["id"] for image in result["images"]} == tested
    tell("synth", visa, *chosen, *order, "--synth", "cutpaste_by_mask", "-n", 3, "--out", tmp_path / "set")
    header = json.loads((tmp_path / "set/synth.json").read_text())
    assert {name for name in header["trained_on"]["pcb1"] if "/good/" not in name} == aside
    assert header["split"]["pcb1"]["digest"] == trained["split"]["digest"]
    tell("synth", visa, "--layout", TABLE, "--replay", f"{tmp_path / 'set/manifest.jsonl'}:1", "--out", tmp_path / "again")


def test_what_to_type_next_works_with_the_options_given(visa, tmp_path, tell, capsys):
    spoken = ["data", "check", str(visa), "--layout", TABLE, "--split", "supervised", "--seed", "4"]
    checked = shlex.split(tell(*spoken)["next"])
    assert checked[1:] == ["train", str(visa), "--layout", TABLE, "--product", "capsules", *spoken[5:], *checked[-4:]]
    file, model = tmp_path / "a split.json", tmp_path / "a model"
    order = shlex.split(tell("data", "split", visa, "--layout", TABLE, "--split", "supervised", "--out", file)["next"])
    assert run([*order[1:-1], str(model), "--set", "patchcore.size=64"]) == 0
    following = capsys.readouterr().out.splitlines()[-1].removeprefix("next: ")
    assert run([*shlex.split(following)[1:-1], str(tmp_path / "report.html"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {image["id"] for image in result["images"]} == {s for s in ids_on_test(Split.load(file)) if s.startswith("capsules/")}
