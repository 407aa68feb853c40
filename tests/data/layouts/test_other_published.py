"""MVTec 3D-AD, BTAD, WFDD and MTD: what each has of its own."""

import numpy as np
import pytest

from flawsmith.core.errors import DataError
from flawsmith.data import load
from flawsmith.data.checks import check
from flawsmith.data.loading import open_folder
from flawsmith.data.splits import make_split


def sample_of(data, name):
    return next(sample for sample in data.samples if sample.id == name)


def test_blank_masks_of_3d_normals_are_verified(tmp_path, miniatures, trees):
    root = miniatures.mvtec3d(tmp_path / "3d").write()
    data = load(root)
    good = sample_of(data, "rope/test/good/001")
    assert good.source.masks == ("rope/test/good/gt/001.png",)
    assert not check(root).errors
    trees.save(root / good.source.masks[0], trees.blob(40, 56))
    report = check(root)
    assert [(problem.code, problem.files) for problem in report.errors] == [
        ("E_MASK_ON_NORMAL", (str(root / good.source.masks[0]),))
    ]
    (root / good.source.masks[0]).unlink()
    assert not check(root).errors
    assert not sample_of(load(root), good.id).mask().any()


def test_heights_are_left_alone(tmp_path, miniatures):
    root = miniatures.mvtec3d(tmp_path / "3d").write()
    for path in root.rglob("*.tiff"):
        path.write_bytes(b"no picture")
    report = check(root)
    assert not report.errors
    assert not report.unmatched
    assert any("xyz are not read" in note for note in report.dataset.notes)


def test_3d_validation_is_for_validation_unless_it_is_merged(tmp_path, miniatures):
    root = miniatures.mvtec3d(tmp_path / "3d").write()
    assert make_split(load(root)).counts()["val"] == 4
    merged = make_split(load(root, "mvtec3d:merge_validation=true"))
    assert merged.counts()["val"] == 0
    assert merged.counts()["train"] == make_split(load(root)).counts()["train"] + 4


def test_bitmaps_of_btad_are_read_and_not_skipped(tmp_path, miniatures):
    miniature = miniatures.btad(tmp_path)
    root = miniature.write()
    data = load(root)
    assert {(s.product, s.source.path[-4:], *(m[-4:] for m in s.source.masks)) for s in data.samples if not s.is_normal} == {
        ("01", ".bmp", ".png"),
        ("02", ".png", ".png"),
        ("03", ".bmp", ".bmp"),
    }
    assert data.defects() == ("unknown",)
    assert all(sample.mask().any() for sample in data.samples if not sample.is_normal)


def test_a_bitmap_and_its_conversion_are_one_stem_twice(tmp_path, miniatures):
    root = miniatures.btad(tmp_path).image("01/train/ok/0001.png", 48, 48).write()
    with pytest.raises(DataError, match="share one stem") as caught:
        load(root)
    assert caught.value.code == "E_AMBIGUOUS_PAIR"


def test_grey_edges_of_wfdd_are_no_defect(tmp_path, miniatures):
    miniature = miniatures.wfdd(tmp_path / "wfdd")
    root = miniature.write()
    report = check(root)
    assert not report.errors
    assert "W_GREY_MASK" not in {problem.code for problem in report.warnings}
    assert report.dataset.mask_rule == "threshold:127"
    counted = next(problem for problem in report.warnings if problem.code == "W_COUNT")
    assert "train 6/3657, test 9/444" in counted.message
    assert [problem.code for problem in check(root, strict=True).errors] == ["W_COUNT"]
    with pytest.raises(DataError, match="threshold:127"):
        sample_of(load(root, "folder"), "grey_cloth/test/line/000").mask()


def test_defects_of_wfdd_have_the_names_of_their_folders(tmp_path, miniatures):
    root = miniatures.wfdd(tmp_path / "wfdd").image("grid_cloth/test/unheard of/000.png").write()
    assert load(root).defects("grid_cloth") == ("unheard of",)


@pytest.mark.parametrize("order", range(2))
def test_mtd_in_any_order_and_with_one_mask_gone(order, tmp_path, trees):
    tree = trees.mtd(tmp_path / "mtd", [("Free", 100, 4), ("Crack", 1, 3), ("Break", 400, 2)])
    root = tree.write(order)
    for name in ("exp1_num_1", "exp2_num_10", "exp3_num_19"):
        assert (root / f"MT_Crack/Imgs/{name}.jpg").is_file()
    data = load(root)
    assert data.layout == "mtd"
    assert data.classes == {"magnetic_tile": ("blowhole", "break", "crack", "fray", "uneven")}
    for sample in data.samples:
        assert np.array_equal(sample.mask(), trees.blob(value=0 if sample.is_normal else 255) > 127)
    lost = root / "MT_Crack/Imgs/exp2_num_10.png"
    lost.unlink()
    report = check(root)
    assert [(problem.code, problem.files) for problem in report.errors] == [("E_MISSING_MASK", (str(lost.with_suffix(".jpg")),))]
    paired = {sample.source.path: sample.source.masks for sample in data.samples}
    paired["MT_Crack/Imgs/exp2_num_10.jpg"] = ()
    assert {sample.source.path: sample.source.masks for sample in report.dataset.samples} == paired


def test_elpv_in_any_order(tmp_path, trees):
    rows = [("0.0", "mono")] * 3 + [("1.0", "poly")] * 2 + [("0.3333333333333333", "mono")]
    found = [load(trees.elpv(tmp_path / str(order), rows).write(order)) for order in range(3)]
    assert len({tuple(sample.id for sample in data.samples) for data in found}) == 1
    assert found[0].counts() == {("mono", "pool", "good"): 3, ("poly", "pool", "unknown"): 2}
    assert not open_folder(tmp_path / "0").found.problems
