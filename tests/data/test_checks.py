import json

import numpy as np
import pytest

from flawsmith.data.checks import check


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
