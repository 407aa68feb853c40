"""MVTec LOCO: regions, their saturation, validation. Squares of the miniature have 64 pixels."""

import json

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.data import load
from flawsmith.data.splits import make_split


@pytest.fixture
def root(tmp_path, miniatures):
    return miniatures.loco(tmp_path / "loco").write()


def sample_of(data, name):
    return next(sample for sample in data.samples if sample.id == name)


def test_each_file_is_a_region_with_its_saturation_in_pixels(root):
    data = load(root)
    three = sample_of(data, "pushpins/test/logical_anomalies/000")
    assert [(region.defect, region.saturation) for region in three.source.regions()] == [
        ("1_extra_pushpin", 40),
        ("1_extra_pushpin", 40),
        ("2_missing_pushpin", 64),
    ]
    broken = sample_of(data, "juice_bottle/test/structural_anomalies/000").source.regions()
    assert [(region.defect, region.saturation, int(region.mask.sum())) for region in broken] == [("3_broken_pin", 32, 64)]


def test_the_mask_is_the_union_of_all_files_whatever_their_order(root):
    name = "pushpins/test/logical_anomalies/000"
    folder = root / "pushpins/ground_truth/logical_anomalies/000"
    before = sample_of(load(root), name).mask()
    parts = [region.mask for region in sample_of(load(root), name).source.regions()]
    assert np.array_equal(before, parts[0] | parts[1] | parts[2])
    assert all(before.sum() > part.sum() for part in parts)
    for old, new in (("000", "x"), ("002", "000"), ("x", "002")):
        (folder / f"{old}.png").rename(folder / f"{new}.png")
    turned = sample_of(load(root), name)
    assert np.array_equal(turned.mask(), before)
    assert [region.defect for region in turned.source.regions()] == ["2_missing_pushpin", "1_extra_pushpin", "1_extra_pushpin"]


def test_one_region_removed_changes_one_image(root):
    before = {sample.id: sample.mask() for sample in load(root).samples}
    (root / "pushpins/ground_truth/logical_anomalies/000/001.png").unlink()
    after = {sample.id: sample.mask() for sample in load(root).samples}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"pushpins/test/logical_anomalies/000"}


def test_kinds_of_images_are_logical_and_structural(root):
    data = load(root)
    assert data.defects() == ("logical_anomalies", "structural_anomalies")
    assert data.mask_rule == "coded"
    assert not data.classes


def test_validation_is_for_validation_unless_it_is_merged(root):
    data = load(root)
    split = make_split(data)
    assert {split.assignment[s.id] for s in data.samples if "/val/" in s.id} == {"val"}
    merged = load(root, "loco:merge_validation=true")
    assert merged.layout == "loco:merge_validation=true"
    assert [sample.id for sample in merged.of(split="train").samples] == [
        f"{product}/{part}/good/{index:03d}"
        for product in ("juice_bottle", "pushpins")
        for part, count in (("train", 3), ("val", 2))
        for index in range(count)
    ]
    assert {sample.id for sample in merged.samples} == {sample.id for sample in data.samples}
    assert set(make_split(merged).assignment.values()) == {"train", "test"}


def test_options_are_checked(root):
    with pytest.raises(BadParameter, match="merge_validation"):
        load(root, "loco:merge_validation=perhaps")


def test_a_value_that_the_table_does_not_name_is_refused(root, trees):
    name = "juice_bottle/test/structural_anomalies/002"
    values = trees.blob(64, 32, value=17, row=4, column=4)
    trees.save(root / "juice_bottle/ground_truth/structural_anomalies/002/000.png", values)
    with pytest.raises(
        DataError, match=r"holds the value 17; expected the values of defects_config.json \(253, 254, 255\)"
    ) as caught:
        sample_of(load(root), name).mask()
    assert caught.value.code == "E_MASK_VALUES"


ROW = {"defect_name": "a", "pixel_value": 255, "saturation_threshold": 1.0, "relative_saturation": True}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"a": 1}', "is no list of defects"),
        ("[3]", "is no list of defects"),
        (json.dumps([{**ROW, "pixel_value": 256}]), "holds the row"),
        (json.dumps([{**ROW, "pixel_value": True}]), "holds the row"),
        (json.dumps([{**ROW, "saturation_threshold": 1.5}]), "holds the row"),
        (json.dumps([{**ROW, "saturation_threshold": 0}]), "holds the row"),
        (json.dumps([{**ROW, "saturation_threshold": float("nan")}]), "holds the row"),
        (json.dumps([{**ROW, "saturation_threshold": float("inf"), "relative_saturation": False}]), "holds the row"),
        (json.dumps([{**ROW, "relative_saturation": 1}]), "holds the row"),
        (json.dumps([ROW, ROW]), "names the value 255 twice"),
    ],
)
def test_a_table_that_is_none_is_refused(root, content, told):
    path = root / "pushpins/defects_config.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=told) as caught:
        load(root)
    assert caught.value.code == "E_LABEL"
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
