"""Every rule of docs/data.md, broken on a tree on disk and told by a command: its code, exit code 1, one line that names the
file, what was expected and what to do; and the same as JSON."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawsmith.cli.app import run

CODES = frozenset(
    f"E_{name}"
    for name in (
        *(
            "ROOT",
            "LAYOUT",
            "EMPTY_SPLIT",
            "MISSING_MASK",
            "ORPHAN_MASK",
            "AMBIGUOUS_PAIR",
            "SIZE",
            "CORRUPT",
            "MODE",
            "MASK_VALUES",
        ),
        *(
            "EMPTY_MASK",
            "MASK_ON_NORMAL",
            "LABEL",
            "ANOMALY_IN_TRAIN",
            "DUPLICATE",
            "GROUP",
            "LABEL_CONFLICT",
            "FEW",
            "NO_PIXEL_GT",
        ),
    )
)
"""The 19 codes of the data set specification."""

BROKEN = []
"""(code, what the message names, function from (root, trees) to the command's arguments)."""


def breaks(code, *named):
    """Register a tree that breaks a rule; `named` are what its message must hold."""

    def register(build):
        BROKEN.append(pytest.param(code, named, build, id=f"{code}-{build.__name__}"))
        return build

    return register


@pytest.fixture(scope="session")
def trees():
    spec = importlib.util.spec_from_file_location("flawsmith_test_trees", Path(__file__).parents[1] / "data/trees.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(root, *options):
    return ["data", "check", root, *options]


def bottle(root, trees):
    return trees.mvtec(root / "set", ["bottle"]).write()


def listed(root, trees, header, *rows):
    """A list of four images and its folder."""
    folder = trees.Tree(root).images(".", ["a", "b", "c", "d"]).write()
    (folder / "list.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "list.csv"


@breaks("E_ROOT", "nowhere")
def missing(root, trees):
    return check(root / "nowhere")


@breaks("E_ROOT", "tiles.png")
def a_file(root, trees):
    return check(trees.save(root / "tiles.png", trees.texture(1)))


@breaks("E_ROOT", "list.csv", "../a.png")
def a_list_that_leaves_its_folder(root, trees):
    return check(listed(root, trees, "image_path,label", "a.png,0", "../a.png,1"))


@breaks("E_LAYOUT", "set", "holds no image")
def no_image(root, trees):
    return check(trees.Tree(root / "set").text("note.txt", "x").write())


@breaks("E_LAYOUT", "set", "2 ways")
def two_readings(root, trees):
    return check(trees.mvtec(root / "set", ["bottle"]).images("good", range(3)).write())


@breaks("E_LAYOUT", "train", "bottle")
def a_part_of_a_product_where_a_product_was_expected(root, trees):
    return check(bottle(root, trees) / "bottle/train", "--layout", "mvtec")


@breaks("E_EMPTY_SPLIT", "set", "no training normal")
def no_training_normal(root, trees):
    return check(trees.Tree(root / "set").images("test/good", range(2)).images("test/bad", range(2)).write())


@breaks("E_EMPTY_SPLIT", "parts", "the class burr")
def a_class_without_an_image(root, trees):
    tree = trees.Tree(root / "parts").images("good", range(4)).images("dent", range(2))
    for stem in range(2):
        tree.mask(f"masks/dent/{stem}.png", value=1)
    return check(tree.text("classes.json", '{"dent": 1, "burr": 2}').write())


@breaks("E_EMPTY_SPLIT", "tiles", "no test image")
def nothing_to_test(root, trees):
    folder = trees.Tree(root / "tiles").images("train/good", range(4)).write()
    model = root / "model"
    assert run(["train", str(folder), "--out", str(model), "--set", "patchcore.size=64"]) == 0
    return ["evaluate", model, folder]


@breaks("E_MISSING_MASK", "test/crack/001.png")
def one_mask_from_the_middle(root, trees):
    folder = bottle(root, trees)
    (folder / "bottle/ground_truth/crack/001_mask.png").unlink()
    return check(folder)


@breaks("E_MISSING_MASK", "bad/0.png", "2 such images")
def no_masks_where_they_are_required(root, trees):
    return check(trees.Tree(root / "parts").images("good", range(4)).images("bad", range(2)).write(), "--masks")


@breaks("E_ORPHAN_MASK", "crack/9_mask.png", "and 1 more")
def masks_without_images(root, trees):
    folder = bottle(root, trees)
    for stem in (9, 10):
        trees.save(folder / f"bottle/ground_truth/crack/{stem}_mask.png", trees.blob())
    return check(folder)


@breaks("E_AMBIGUOUS_PAIR", "000.jpg")
def two_images_of_one_stem(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/test/crack/000.jpg", trees.texture(99))
    return check(folder)


@breaks("E_SIZE", "001_mask.png", "45×36")
def a_mask_one_pixel_too_wide(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/ground_truth/crack/001_mask.png", trees.blob(width=45))
    return check(folder)


@breaks("E_SIZE", "001_mask.png", "EXIF")
def an_image_turned_by_exif(root, trees):
    folder, exif = bottle(root, trees), Image.Exif()
    exif[0x0112] = 6
    trees.save(folder / "bottle/test/crack/001.png", trees.texture(44), exif=exif)
    return check(folder)


@breaks("E_CORRUPT", "crack/001_mask.png", "and 2 more")
def truncated_empty_and_html(root, trees):
    folder = bottle(root, trees) / "bottle"
    picture = folder / "train/good/001.png"
    picture.write_bytes(picture.read_bytes()[:400])
    (folder / "train/good/002.png").write_bytes(b"")
    (folder / "ground_truth/crack/001_mask.png").write_text("<html>not found</html>")
    return check(folder.parent)


@breaks("E_MODE", "000_mask.png", "JPEG", "and 2 more")
def deep_palette_and_jpeg_masks(root, trees):
    folder = bottle(root, trees)
    masks = folder / "bottle/ground_truth/crack"
    Image.fromarray(trees.blob().astype(np.uint16) * 257).save(masks / "001_mask.png")
    Image.fromarray(trees.blob()).convert("P").save(masks / "002_mask.png")
    (masks / "000_mask.png").unlink()
    Image.fromarray(trees.blob()).save(masks / "000_mask.jpg")
    (masks / "000_mask.jpg").rename(masks / "000_mask.png")
    return check(folder)


@breaks("E_MASK_VALUES", "001_mask.png", "threshold:127")
def a_grey_mask(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/ground_truth/crack/001_mask.png", np.arange(36 * 44).reshape(36, 44).astype(np.uint8))
    return check(folder)


@breaks("E_MASK_VALUES", "dent/1.png", "the class 7")
def a_class_above_those_declared(root, trees):
    tree = trees.Tree(root / "parts").images("good", range(4)).images("dent", range(2))
    tree.mask("masks/dent/0.png", value=1).mask("masks/dent/1.png", value=7)
    return check(tree.text("classes.json", json.dumps({"dent": 1})).write())


@breaks("E_EMPTY_MASK", "001_mask.png")
def a_blank_mask(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/ground_truth/crack/001_mask.png", trees.blob(value=0))
    return check(folder)


@breaks("E_MASK_ON_NORMAL", "good/001_mask.png")
def a_marked_normal(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/ground_truth/good/001_mask.png", trees.blob())
    return check(folder)


@breaks("E_LABEL", "labels.csv", "line 2")
def a_probability_that_is_none(root, trees):
    return check(trees.elpv(root / "cells", [("0.0", "mono"), ("0.5", "mono"), ("1.0", "mono")]).write())


@breaks("E_LABEL", "list.csv", "nan")
def a_label_that_is_none(root, trees):
    return check(listed(root, trees, "image_path,label", "a.png,0", "b.png,nan"))


@breaks("E_LABEL", "list.csv")
def label_and_class_disagree(root, trees):
    return check(listed(root, trees, "image_path,label,class_name", "a.png,0,good", "b.png,0,crack"))


@breaks("E_ANOMALY_IN_TRAIN", "train/crack/7.png", "2 such images")
def anomalies_in_training(root, trees):
    return check(trees.mvtec(root / "set", ["bottle"]).images("bottle/train/crack", [7, 8]).write())


@breaks("E_DUPLICATE", "good/000.png", "good/900.bmp")
def a_copy_as_bmp(root, trees):
    folder = bottle(root, trees)
    Image.open(folder / "bottle/train/good/000.png").save(folder / "bottle/test/good/900.bmp")
    return check(folder)


@breaks("E_DUPLICATE", "good/000.png", "turned", "and 1 more")
def turned_copies(root, trees):
    folder = bottle(root, trees) / "bottle"
    for stem in ("000", "001"):
        Image.open(folder / f"train/good/{stem}.png").transpose(Image.Transpose.ROTATE_90).save(folder / f"test/good/9{stem}.png")
    return check(folder.parent)


@breaks("E_DUPLICATE", "900.png", "the same file")
def a_link_to_a_training_image(root, trees):
    folder = bottle(root, trees) / "bottle"
    (folder / "test/good/900.png").symlink_to(folder / "train/good/000.png")
    return check(folder.parent, "--headers")


@breaks("E_DUPLICATE", "a.png")
def a_row_twice(root, trees):
    return check(listed(root, trees, "image_path,label", "a.png,0", "b.png,0", "a.png,0"))


@breaks("E_GROUP", "a.png", "c.png", "tile-7")
def a_group_on_two_sides(root, trees):
    rows = ["a.png,0,train,tile-7", "b.png,0,train,tile-8", "c.png,0,test,tile-7", "d.png,1,test,tile-9"]
    return check(listed(root, trees, "image_path,label,split,group_id", *rows))


@breaks("E_GROUP", "exp", "one group")
def a_stored_split_that_tears_a_group(root, trees):
    folder = trees.mtd(root / "tiles", [("Free", 100, 6), ("Free", 900, 6), ("Crack", 5000, 2)]).write()
    from flawsmith.data import load
    from flawsmith.data.splits import make_split

    whole = make_split(load(folder), "mtd-group", more_normals=1)
    torn = next(name for name, place in whole.assignment.items() if place == "train")
    whole.moved([torn], "test").save(root / "torn.json")
    return ["train", folder, "--split", root / "torn.json", "--out", root / "model"]


@breaks("E_LABEL_CONFLICT", "train/good/000.png", "crack")
def one_picture_under_two_labels(root, trees):
    folder = bottle(root, trees) / "bottle"
    shutil.copy(folder / "train/good/000.png", folder / "test/crack/001.png")
    shutil.copy(folder / "train/good/000.png", folder / "train/good/001.png")
    return check(folder.parent, "--split", "grouped")


@breaks("E_FEW", "9 anomalies of the kind crack", "there are 3")
def more_shots_than_anomalies(root, trees):
    order = ["train", bottle(root, trees), "--detector", "memseg", "--synth", "cutpaste", "--out", root / "model"]
    return [*order, "--defect-shots", "first:9"]


@breaks("E_FEW", "first-third shots", "no anomaly to test on")
def a_first_third_that_is_everything(root, trees):
    folder = trees.Tree(root / "parts").images("good", range(6)).images("bad", [1]).masks("masks/bad", [1]).write()
    order = ["synth", folder, "--synth", "cutpaste_by_mask", "-n", "2", "--out", root / "made"]
    return [*order, "--defect-shots", "first-third"]


@breaks("E_FEW", "real anomalies of each defect", "parts")
def shots_of_nothing(root, trees):
    folder = trees.Tree(root / "parts").images("good", range(6)).write()
    return [
        "train",
        folder,
        "--detector",
        "memseg",
        "--synth",
        "cutpaste",
        "--out",
        root / "model",
        "--defect-shots",
        "first-third",
    ]


@breaks("E_NO_PIXEL_GT", "elpv has no pixel masks")
def pixels_of_cells(root, trees):
    return check(trees.elpv(root / "cells", [("0.0", "mono")] * 3 + [("1.0", "mono")]).write(), "--masks")


@breaks("E_NO_PIXEL_GT", "pixel_ap", "none of the")
def a_pixel_metric_without_masks(root, trees):
    folder = trees.Tree(root / "parts").images("good", range(6)).images("bad", range(2)).write()
    model = root / "model"
    assert run(["train", str(folder), "--out", str(model), "--set", "patchcore.size=64"]) == 0
    return ["evaluate", model, folder, "--metric", "pixel_ap"]


def test_every_code_of_the_specification_is_here():
    assert {case.values[0] for case in BROKEN} == CODES
    assert len(CODES) == 19


@pytest.mark.parametrize(("code", "named", "build"), BROKEN)
def test_a_broken_rule_is_told(tmp_path, trees, capsys, code, named, build):
    arguments = [str(argument) for argument in build(tmp_path, trees)]
    capsys.readouterr()
    assert run(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"flawsmith: {code}: ")
    assert all(name in line for name in named), line
    _, wanted, remedy = re.split(r"(; expected | wants )", line, maxsplit=1)
    assert wanted
    assert ": " in remedy or " or " in remedy, "the message has no remedy"
    assert run([*arguments, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    found = document["errors"] if "errors" in document else [document["error"]]
    assert found[0]["code"] == code
    assert len(found[0]["files"]) <= 20


def test_the_exit_code_is_that_of_the_program(tmp_path, trees):
    folder = bottle(tmp_path, trees)
    (folder / "bottle/train/good/001.png").write_bytes(b"")
    program = Path(sys.executable).with_name("flawsmith")
    done = subprocess.run([program, "data", "check", folder], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("flawsmith: E_CORRUPT: ")
    assert len(done.stderr.splitlines()) == 1


WARNED = []
"""(code, what the message names, function from (root, trees) to a folder)."""


def warns(code, *named):
    """Register a tree that a warning is told of."""

    def register(build):
        WARNED.append(pytest.param(code, named, build, id=code))
        return build

    return register


@warns("W_NEAR", "1 of 8 held-out images", "split by group")
def a_compressed_copy(root, trees):
    folder = bottle(root, trees)
    Image.open(folder / "bottle/train/good/000.png").save(folder / "bottle/test/good/900.jpg", quality=90)
    return folder


@warns("W_SIZES", "2 sizes", "36 to 52 px")
def two_sizes(root, trees):
    folder = bottle(root, trees)
    trees.save(folder / "bottle/test/good/900.png", trees.texture(90, 40, 52))
    return folder


@warns("W_GREY_MASK", "001_mask.png", "grey pixels")
def an_antialiased_mask(root, trees):
    folder, mask = bottle(root, trees), trees.blob()
    mask[10, 20] = 100
    trees.save(folder / "bottle/ground_truth/crack/001_mask.png", mask)
    return folder


@warns("W_HIDDEN", ".DS_Store")
def hidden_files(root, trees):
    folder = bottle(root, trees)
    (folder / ".DS_Store").write_text("x")
    return folder


@warns("W_CLASS_IMBALANCE", "bottle has 20 images of crack and 2 of hole")
def twenty_cracks(root, trees):
    stems = [f"1{number:02d}" for number in range(17)]
    tree = trees.mvtec(root / "set", ["bottle"]).images("bottle/test/crack", stems)
    return tree.masks("bottle/ground_truth/crack", stems).write()


@warns("W_COUNT", "good 6/952", "crack 2/57", "copy the rest")
def a_part_of_a_known_set(root, trees):
    return trees.mtd(root / "tiles", [("Free", 100, 3), ("Free", 900, 3), ("Crack", 5000, 2)]).write()


@warns("W_CMYK", "000.tif", "convert it")
def colours_of_print(root, trees):
    folder = bottle(root, trees)
    Image.fromarray(trees.texture(99)).convert("CMYK").save(folder / "bottle/train/good/000.tif")
    (folder / "bottle/train/good/000.png").unlink()
    return folder


@pytest.mark.parametrize(("code", "named", "build"), WARNED)
def test_a_warning_is_told_and_stops_nothing(tmp_path, trees, capsys, code, named, build):
    folder = build(tmp_path, trees)
    assert run(["data", "check", str(folder)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    (line,) = [line for line in told.out.splitlines() if line.startswith(f"  {code}: ")]
    assert all(name in line for name in named), line
    assert run(["data", "check", str(folder), "--json"]) == 0
    assert code in {warning["code"] for warning in json.loads(capsys.readouterr().out)["warnings"]}


def test_strict_makes_an_incomplete_set_an_error_and_nothing_else(tmp_path, trees, capsys):
    folder = a_part_of_a_known_set(tmp_path, trees)
    assert run(["data", "check", str(folder), "--strict", "--json"]) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert [error["code"] for error in document["errors"]] == ["W_COUNT"]
    assert document["ok"] is False
    (line,) = told.err.splitlines()
    assert line.startswith("flawsmith: W_COUNT: ")
    assert run(["data", "check", str(two_sizes(tmp_path / "two", trees)), "--strict"]) == 0


def test_all_files_of_one_rule_are_told_at_once_and_only_the_first_are_listed(tmp_path, trees, capsys):
    folder = trees.Tree(tmp_path / "parts").images("good", range(30)).write()
    for number in range(25):
        (folder / f"good/{number}.png").write_bytes(b"")
    assert run(["data", "check", str(folder)]) == 1
    told = capsys.readouterr()
    assert "and 24 more" in told.err
    assert sum("    /" in line for line in told.out.splitlines()) == 20
    assert "    … 5 more" in told.out
