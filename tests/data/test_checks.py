import json
import re

import numpy as np
import pytest

from flawsmith.cli.app import run
from flawsmith.data.checks import check
from flawsmith.data.splits import make_split


def codes(root, **options):
    report = check(root, **options)
    json.dumps(report.to_json(), allow_nan=False)
    return {problem.code: len(problem.files) for problem in report.problems}


@pytest.fixture
def parts(tmp_path, trees):
    return trees.pool(tmp_path / "parts").write()


def test_a_clean_folder_has_no_problem_and_is_counted(parts):
    report = check(parts)
    assert report.problems == ()
    assert report.sizes == {(36, 44): 14}
    assert report.modes == {"RGB": 14}
    assert report.counts() == [
        {"product": "parts", "split": "pool", "defect": "dents", "images": 3, "masks": 3},
        {"product": "parts", "split": "pool", "defect": "good", "images": 8, "masks": 0},
        {"product": "parts", "split": "pool", "defect": "scratches", "images": 3, "masks": 3},
    ]
    assert report.sides() == [{"product": "parts", "test_anomalies": 6, "test_normals": 2, "train_normals": 6}]
    assert "good/ beside one folder per defect" in report.why


def test_one_missing_mask_is_one_problem(parts):
    (parts / "masks/dents/2.png").unlink()
    assert codes(parts) == {"E_MISSING_MASK": 1}


def test_a_set_without_masks_is_fine_unless_they_are_required(tmp_path, trees):
    root = trees.Tree(tmp_path / "parts").images("good", range(4)).images("bad", range(2)).write()
    assert codes(root) == {}
    assert codes(root, masks=True) == {"E_MISSING_MASK": 2}


def test_everything_broken_is_collected_by_rule(parts, trees):
    (parts / "good/1.png").write_bytes(b"")
    (parts / "good/2.png").write_text("<html>")
    content = (parts / "good/3.png").read_bytes()
    (parts / "good/3.png").write_bytes(content[: len(content) // 2])
    trees.save(parts / "masks/dents/1.png", trees.blob(width=45))
    trees.save(parts / "masks/dents/2.png", trees.blob(value=0))
    trees.save(parts / "masks/dents/3.png", np.arange(36 * 44).reshape(36, 44).astype(np.uint8))
    trees.save(parts / "masks/good/5.png", trees.blob())
    trees.save(parts / "masks/good/6.png", trees.blob(value=0))
    assert codes(parts) == {
        "E_CORRUPT": 3,
        "E_SIZE": 1,
        "E_EMPTY_MASK": 1,
        "E_MASK_VALUES": 1,
        "E_MASK_ON_NORMAL": 1,
    }
    assert codes(parts, full=False) == {"E_CORRUPT": 2}


def test_warnings(parts, trees):
    trees.save(parts / "good/20.png", trees.texture(90, 40, 50))
    (parts / ".DS_Store").write_text("x")
    mask = trees.blob()
    mask[10, 20] = 100
    trees.save(parts / "masks/dents/1.png", mask)
    for number in range(40):
        trees.save(parts / f"scratches/{number + 100}.png", trees.texture(200 + number))
        trees.save(parts / f"masks/scratches/{number + 100}.png", trees.blob())
    assert codes(parts) == {"W_HIDDEN": 1, "W_SIZES": 0, "W_GREY_MASK": 1, "W_CLASS_IMBALANCE": 0}


def test_a_folder_without_good_images_cannot_be_trained_on(tmp_path, trees):
    root = trees.Tree(tmp_path / "set").images("test/good", range(2)).images("test/bad", range(2)).write()
    report = check(root)
    assert [problem.code for problem in report.errors] == ["E_EMPTY_SPLIT"]
    assert report.split is None


def test_a_partial_known_set_is_a_warning(tmp_path, trees):
    report = check(trees.mtd(tmp_path / "tiles", [("Free", 100, 3), ("Free", 900, 3), ("Crack", 5000, 2)]).write())
    assert [problem.code for problem in report.errors] == []
    counted = next(problem for problem in report.warnings if problem.code == "W_COUNT")
    assert "good 6/952" in counted.message
    assert "crack 2/57" in counted.message


def test_products_that_are_not_there_are_counted_unless_one_is_asked_for(tmp_path, trees):
    root = trees.mvtec(tmp_path / "mvtec", ["bottle", "cable"]).write()
    (root / "bottle/test/hole").rename(root / "bottle/test/contamination")
    (root / "bottle/ground_truth/hole").rename(root / "bottle/ground_truth/contamination")
    for folder in ("test", "ground_truth"):
        (root / f"bottle/{folder}/crack").rename(root / f"bottle/{folder}/broken_large")
        (root / f"cable/{folder}/crack").rename(root / f"cable/{folder}/bent_wire")
        (root / f"cable/{folder}/hole").rename(root / f"cable/{folder}/missing_wire")
    report = check(root)
    assert report.dataset.name == "mvtec"
    counted = next(problem for problem in report.warnings if problem.code == "W_COUNT")
    assert "bottle broken_large 3/20" in counted.message
    assert "screw 0/480" in counted.message
    assert len(counted.line()) < 300
    assert re.search(r"\(found/expected: bottle .*, .*, .*, .* and \d\d more\); expected all", counted.line())
    assert "screw" not in counted.line()
    alone = next(problem for problem in check(root, product="bottle").warnings if problem.code == "W_COUNT")
    assert "cable" not in alone.message
    assert "screw" not in alone.message
    assert [problem.code for problem in check(root, strict=True).errors] == ["W_COUNT"]


def test_one_is_told_in_the_singular(tmp_path, trees, capsys):
    root = trees.mtd(tmp_path / "tiles", [("Free", 100, 12), ("Free", 900, 1), ("Crack", 101, 1)]).write()
    root.joinpath("extra.png").write_bytes(next(root.rglob("*.jpg")).read_bytes())
    root.joinpath(".DS_Store").write_text("x")
    run(["data", "check", str(root), "--split", "random"])
    told = capsys.readouterr().out
    assert "groups   2 groups of images of one piece" in told
    assert "1 of them shows normals and anomalies" in told
    assert "1 hidden file or folder was ignored" in told
    assert "1 image matched nothing and is not used" in told
    assert not re.search(r"\b1 (images|groups|products|normals|anomalies)\b", told), told


def test_a_split_that_tests_nothing_is_shown_by_check_and_told_by_train(tmp_path, trees, capsys):
    root = trees.mtd(tmp_path / "tiles", [("Free", 100, 12), ("Crack", 110, 2)]).write()
    flag = "tests no normal and no anomaly of magnetic_tile: there is nothing to evaluate"
    assert run(["data", "check", str(root), "--split", "elpv-blocks"]) == 0
    assert f"\n         {flag}\n" in capsys.readouterr().out
    train = ["train", str(root), "--split", "elpv-blocks", "--detector", "patchcore", "--set", "patchcore.size=64"]
    assert run([*train, "--out", str(tmp_path / "model")]) == 0
    assert f"\nbeware: the split {flag}\n" in capsys.readouterr().out


def test_more_than_were_published_is_told_as_well(tmp_path, trees):
    root = trees.mtd(tmp_path / "tiles", [("Free", 100, 6), ("Fray", 5000, 33)]).write()
    counted = next(problem for problem in check(root).warnings if problem.code == "W_COUNT")
    assert "fray 33/32" in counted.message


def test_labels_of_what_the_split_drops_are_compared(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).images("bottle/train/crack", [7]).write()
    (root / "bottle/train/crack/7.png").write_bytes((root / "bottle/train/good/000.png").read_bytes())
    assert codes(root, split="supervised")["E_LABEL_CONFLICT"] == 2


def test_a_class_that_only_a_mask_shows_is_there(tmp_path, trees):
    tree = trees.Tree(tmp_path / "parts").images("good", range(4)).images("dent", range(2))
    tree.mask("masks/dent/0.png", value=1).mask("masks/dent/1.png", value=1)
    root = tree.text("classes.json", '{"dent": 1, "burr": 2}').write()
    assert codes(root) == {"E_EMPTY_SPLIT": 1}
    trees.save(root / "masks/dent/1.png", trees.blob(value=1) + trees.blob(value=2, row=20))
    assert codes(root) == {}


def test_groups_are_told_with_what_a_random_split_tears(tmp_path, trees):
    report = check(
        trees.mtd(tmp_path / "tiles", [("Free", 100, 6), ("Free", 900, 6), ("Free", 2000, 1), ("Crack", 5000, 2)]).write()
    )
    groups = report.groups
    assert (groups.groups, groups.sizes, groups.mixed) == (4, {6: 2, 1: 1, 2: 1}, 0)
    split = make_split(report.dataset, "random")
    sides = {}
    for sample in report.dataset.samples:
        sides.setdefault(sample.group, set()).add(split.assignment[sample.id])
    assert groups.torn == sum(len(places) == 2 for places in sides.values()) > 0
    tested = split.on(report.dataset, "test")
    assert (groups.tested, groups.seen) == (len(tested), sum(len(sides[sample.group]) == 2 for sample in tested))
    assert report.to_json()["groups"]["sizes"][0] == {"images": 6, "groups": 2}
    assert check(trees.pool(tmp_path / "parts").write()).groups is None


def test_masks_under_a_threshold_are_counted_where_it_decides(tmp_path, trees):
    root = trees.mtd(tmp_path / "tiles", [("Free", 100, 3), ("Crack", 5000, 3)]).write()
    grey = trees.blob()
    grey[10, 20:23] = (3, 127, 128)
    trees.save(root / "MT_Crack/Imgs/exp1_num_5000.png", grey)
    trees.save(root / "MT_Uneven/Imgs/exp3_num_45042.jpg", trees.texture(77))
    trees.save(root / "MT_Uneven/Imgs/exp3_num_45042.png", trees.blob(value=0))
    masks = check(root).masks
    assert masks.encodings == {"threshold:127": 4}
    assert [name.rpartition("/")[2] for name in masks.grey] == ["exp1_num_5000.png"]
    assert [name.rpartition("/")[2] for name in masks.blank] == ["exp3_num_45042.jpg"]


def test_soft_labels_are_said_to_count_as_certain(tmp_path, trees):
    rows = [("0.0", "mono")] * 3 + [("0.3333333333333333", "mono")] * 2 + [("1.0", "mono")]
    root = trees.elpv(tmp_path / "cells", rows).write()
    notes = check(root, "elpv:uncertain=soft").notes
    assert any("2 images have a weight below 1 (from 0.67)" in note and "as certain" in note for note in notes)
    assert not any("weight below 1" in note for note in check(root).notes)


def test_the_split_that_is_looked_at_can_be_chosen(tmp_path, trees):
    root = trees.mtd(tmp_path / "tiles", [("Free", 100, 6), ("Free", 900, 6), ("Crack", 5000, 2)]).write()
    report = check(root, split="random:test_share=0.5", seed=3)
    assert (report.split.policy, report.split.seed) == ("random", 3)
    assert report.shares() == [{"product": "magnetic_tile", "tested_normals": 0.5, "tested_anomalies": 1.0}]
    assert report.to_json()["split"]["digest"] == report.split.digest
    few = check(root, split="mtd-902-50")
    assert few.split is None
    assert [problem.code for problem in few.errors] == ["E_FEW"]


def test_headers_alone_find_what_needs_no_pixel(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).write()
    (root / "bottle/test/good/900.png").symlink_to(root / "bottle/train/good/000.png")
    assert codes(root, full=False) == {"E_DUPLICATE": 2}


def test_a_leak_between_the_folders_sides_is_found(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).write()
    (root / "bottle/test/good/77.png").write_bytes((root / "bottle/train/good/000.png").read_bytes())
    assert codes(root) == {"E_DUPLICATE": 2}


def test_many_files_are_cut_in_the_document_and_counted(tmp_path, trees):
    root = trees.Tree(tmp_path / "parts").images("good", range(30)).write()
    for number in range(25):
        (root / f"good/{number}.png").write_bytes(b"")
    (problem,) = check(root).to_json()["errors"]
    assert problem["count"] == 25
    assert len(problem["files"]) == 20


@pytest.mark.mtd
def test_the_real_tiles_check_clean(mtd):
    report = check(mtd)
    assert report.errors == ()
    assert {problem.code for problem in report.warnings} <= {"W_COUNT", "W_SIZES", "W_NEAR"}
    assert report.unmatched == ()
