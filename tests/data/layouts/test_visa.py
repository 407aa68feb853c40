"""VisA: class ids, tables, forms of others."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.data import load
from flawsmith.data.checks import check
from flawsmith.data.loading import open_folder
from flawsmith.data.splits import make_split


@pytest.fixture
def tree(tmp_path, miniatures):
    miniature = miniatures.visa(tmp_path / "VisA_20220922")
    miniature.write()
    return miniature


def sample_of(data, name):
    return next(sample for sample in data.samples if sample.id == name)


def test_ids_1_and_3_are_one_mask_and_two_classes(tree):
    both = sample_of(load(tree.root), "pcb1/test/combined/002")
    regions = both.source.regions()
    kinds = tree.classed[both.source.path]
    assert [region.defect for region in regions] == ["bent", "scratch"]
    assert all(np.array_equal(region.mask, kinds[region.defect]) for region in regions)
    assert np.array_equal(both.mask(), kinds["bent"] | kinds["scratch"])
    assert both.tags == {"kinds": "bent+scratch", "largest": "scratch"}


def test_an_image_with_several_ids_may_be_called_after_the_largest(tree):
    data = load(tree.root, "visa:several=largest")
    both = sample_of(data, "pcb1/test/scratch/002")
    assert [region.defect for region in both.source.regions()] == ["bent", "scratch"]
    assert "combined" not in data.defects()


def test_kinds_none_opens_no_mask(tree):
    for path in tree.root.rglob("*.png"):
        path.write_bytes(b"")
    data = load(tree.root, "visa:kinds=none")
    assert data.layout == "visa:kinds=none"
    assert data.defects() == ("unknown",)
    assert len(data) == sum(tree.counts.values())


@pytest.mark.parametrize("protocol", ["1cls", "2cls_fewshot", "2cls_highshot"])
def test_each_table_is_a_protocol(protocol, tmp_path, miniatures):
    miniature = miniatures.visa(tmp_path / "visa", protocol)
    data = load(miniature.write(), f"visa:protocol={protocol}")
    assert data.counts() == dict(miniature.counts)
    assert data.layout == miniature.layout
    assert f"protocol {protocol}" in data.notes
    trained = [sample for sample in data.samples if sample.split == "train" and not sample.is_normal]
    assert len(trained) == {"1cls": 0, "2cls_fewshot": 2, "2cls_highshot": 4}[protocol]
    if trained:
        with pytest.raises(DataError) as caught:
            make_split(data)
        assert caught.value.code == "E_ANOMALY_IN_TRAIN"


def test_the_protocol_may_be_a_folder_of_the_converted_form(tmp_path, miniatures):
    miniatures.visa_pytorch(tmp_path / "VisA_pytorch/1cls").write()
    few = miniatures.visa_2cls_pytorch(tmp_path / "VisA_pytorch/2cls_fewshot")
    few.write()
    assert load(tmp_path / "VisA_pytorch").products == ("candle", "pcb4")
    assert load(tmp_path / "VisA_pytorch", "visa:protocol=2cls_fewshot").counts() == dict(few.counts)
    with pytest.raises(DataError, match="split already") as caught:
        load(tmp_path / "VisA_pytorch/1cls", "visa:protocol=2cls_highshot")
    assert caught.value.code == "E_LAYOUT"
    with pytest.raises(BadParameter, match="protocol"):
        load(tmp_path / "VisA_pytorch", "visa:protocol=3cls")


def test_a_converted_copy_beside_the_raw_one_is_left_alone(tree, miniatures):
    miniatures.visa_pytorch(tree.root / "visa_pytorch").write()
    opened = open_folder(tree.root)
    assert opened.found.dataset.counts() == dict(tree.counts)
    assert all(path.startswith("visa_pytorch/") for path in opened.found.unmatched)


@pytest.mark.parametrize("suffix", [".jpg", ".Jpg", ".jpeg"])
def test_suffixes_count_in_any_case_and_stems_as_text(tree, suffix):
    for path in list(tree.root.rglob("*.JPG")):
        path.rename(path.with_suffix(suffix))
    assert load(tree.root).counts() == dict(tree.counts)
    (tree.root / "pcb1/Data/Masks/Anomaly/000.png").rename(tree.root / "pcb1/Data/Masks/Anomaly/0000.png")
    report = check(tree.root)
    assert {problem.code for problem in report.errors} == {"E_MISSING_MASK", "E_ORPHAN_MASK"}


def test_a_mask_that_cannot_tell_leaves_its_image_unknown_and_the_check_says_why(tree, trees):
    masks = tree.root / "capsules/Data/Masks/Anomaly"
    (masks / "000.png").write_bytes(b"<html>")
    trees.save(masks / "001.png", trees.blob(48, 48, value=7))
    trees.save(masks / "003.png", trees.blob(48, 48, value=0))
    report = check(tree.root)
    assert {problem.code: len(problem.files) for problem in report.errors} == {
        "E_CORRUPT": 1,
        "E_MASK_VALUES": 1,
        "E_EMPTY_MASK": 1,
    }
    told = next(problem for problem in report.errors if problem.code == "E_MASK_VALUES").message
    assert "holds the class 7; expected the values of VisA's id2class" in told
    unknown = [sample.id for sample in report.dataset.samples if sample.defect == "unknown"]
    assert unknown == ["capsules/test/unknown/000", "capsules/test/unknown/001", "capsules/test/unknown/003"]


def test_palette_indices_are_class_ids(tree):
    path = tree.root / "pcb1/Data/Masks/Anomaly/002.png"
    with Image.open(path) as picture:
        grey = np.array(picture)
    indexed = Image.fromarray(grey)
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert indexed.mode == "P"
    indexed.save(path)
    both = sample_of(load(tree.root), "pcb1/test/combined/002")
    assert np.array_equal(both.mask(), tree.truth[both.source.path])


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,", "pcb1,train,normal,../0000.JPG,", "E_ROOT"),
        ("pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,", "pcb1,train,normal,/etc/0000.JPG,", "E_ROOT"),
        ("pcb1,train,normal,", "pcb1,train,fine,", "E_LABEL"),
        ("pcb1,train,normal,", "pcb1,learn,normal,", "E_LABEL"),
        ("pcb1,train,normal,", "pcb1,train,anomaly,", "E_LABEL"),
        ("Normal/0001.JPG", "Normal/0000.JPG", "E_DUPLICATE"),
        ("capsules,train,normal,", "pcb1,train,normal,", "E_LABEL"),
        ("capsules,test,anomaly,", "pcb1,test,anomaly,", "E_LABEL"),
        ("capsules/Data/Masks/Anomaly/000.png", "capsules/Data/Masks/Anomaly/001.png", "E_LABEL"),
        ("capsules/Data/Masks/Anomaly/000.png", "pcb1/Data/Masks/Anomaly/000.png", "E_LABEL"),
        ("capsules/Data/Images", "capsules\\Data\\Images", "E_ROOT"),
        ("object,split,label,image,mask", "object,split,image,mask", "E_LABEL"),
    ],
)
def test_a_table_with_a_broken_row_is_refused(tree, old, new, code):
    path = tree.root / "split_csv/1cls.csv"
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
    with pytest.raises(DataError) as caught:
        load(tree.root)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_other_line_ends_are_read(tree, change):
    path = tree.root / "split_csv/1cls.csv"
    path.write_bytes(change(path.read_text()).encode())
    assert load(tree.root).counts() == dict(tree.counts)


def test_without_tables_nothing_is_placed_and_an_asked_one_is_missed(tree):
    (tree.root / "split_csv/1cls.csv").unlink()
    data = load(tree.root)
    assert {sample.split for sample in data.samples} == {"pool"}
    assert make_split(data).policy == "grouped"
    with pytest.raises(DataError, match=r"has no split_csv/1cls\.csv") as caught:
        load(tree.root, "visa:protocol=1cls")
    assert caught.value.code == "E_LAYOUT"


def test_images_in_no_table_are_left_out_and_counted(tree):
    path = tree.root / "split_csv/1cls.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "Normal/0004" not in line) + "\n")
    data = load(tree.root)
    assert len(data) == sum(tree.counts.values()) - 1
    assert any(note.startswith("1 image is not in split_csv/1cls.csv") for note in data.notes)


def test_names_are_those_of_id2class_in_every_form(tmp_path, miniatures):
    seas = load(miniatures.visa_seas(tmp_path / "seas").write())
    assert seas.defects("candle") == ("chunk_of_wax_missing",)
    assert set(seas.defects("candle")) < set(seas.classes["candle"])
    assert {product: len(kinds) for product, kinds in seas.classes.items()} == {
        "candle": 8,
        "capsules": 5,
        "cashew": 9,
        "chewinggum": 6,
        "fryum": 8,
        "macaroni1": 7,
        "macaroni2": 7,
        "pcb1": 4,
        "pcb2": 4,
        "pcb3": 4,
        "pcb4": 7,
        "pipe_fryum": 9,
    }
    assert load(miniatures.visa_ok_ko(tmp_path / "ko").write()).classes == {}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/areas"


def test_ids_are_read_once_and_again_where_a_mask_was_changed(kept, tree, trees):
    before = [sample.id for sample in load(tree.root).samples]
    assert len(list(kept.iterdir())) == 1
    first, second = (tree.root / f"pcb1/Data/Masks/Anomaly/{stem}.png" for stem in ("000", "001"))
    state = first.stat()
    first.write_bytes(b"x" * state.st_size)
    os.utime(first, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert [sample.id for sample in load(tree.root).samples] == before
    trees.save(second, trees.blob(40, 56, value=4))
    assert "pcb1/test/missing/001" in {sample.id for sample in load(tree.root).samples}


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": 1, "masks": {"a": 3}}', '{"format": 9, "masks": {}}'])
def test_what_was_kept_is_not_trusted(kept, tree, content):
    before = [sample.id for sample in load(tree.root).samples]
    (file,) = kept.iterdir()
    file.write_text(content)
    assert [sample.id for sample in load(tree.root).samples] == before


def test_a_cache_that_cannot_be_written_is_done_without(tree, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "file"))
    assert load(tree.root).counts() == dict(tree.counts)


def test_rows_of_images_that_are_gone_are_told(tree):
    (tree.root / "capsules/Data/Images/Normal/004.JPG").unlink()
    data = load(tree.root)
    assert len(data) == sum(tree.counts.values()) - 1
    assert "1 row of split_csv/1cls.csv names an image that is not there, such as capsules/Data/Images/Normal/004" in data.notes
    shutil.rmtree(tree.root / "capsules")  # a product that was not downloaded is none of theirs
    assert not any("not there" in note for note in load(tree.root).notes)


def test_where_every_row_is_flawed_the_rows_are_told(tree):
    """Not that there is no image."""
    path = tree.root / "split_csv/1cls.csv"
    path.write_text(path.read_text().replace(",train,", ",learn,").replace(",test,", ",try,"))
    with pytest.raises(DataError, match=r"line 2: 'normal' in 'learn'.*and 17 more") as caught:
        load(tree.root)
    assert caught.value.code == "E_LABEL"
