import os

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DataError, UnknownName
from flawsmith.data import load
from flawsmith.data.loading import open_folder
from flawsmith.data.tree import MOST_LINKS, scan


def masks_of(dataset):
    return {sample.id: sample.source.masks for sample in dataset.samples if not sample.is_normal}


@pytest.mark.parametrize("order", range(4))
def test_mvtec_tree_gives_every_record_and_its_mask_in_any_order_of_creation(tmp_path, trees, order):
    data = load(trees.mvtec(tmp_path / "set").write(order))
    assert data.products == ("bottle", "cable")
    assert data.counts() == {
        (product, split, defect): count
        for product in ("bottle", "cable")
        for split, defect, count in (("test", "crack", 3), ("test", "good", 2), ("test", "hole", 2), ("train", "good", 4))
    }
    assert masks_of(data) == {
        f"{product}/test/{defect}/{stem}": (f"{product}/ground_truth/{defect}/{stem}_mask.png",)
        for product in ("bottle", "cable")
        for defect, stems in (("crack", ["000", "001", "002"]), ("hole", ["000", "001"]))
        for stem in stems
    }
    assert [sample.id for sample in data.samples][:4] == [
        "bottle/test/crack/000",
        "bottle/test/crack/001",
        "bottle/test/crack/002",
        "bottle/test/good/000",
    ]


def test_removing_one_mask_moves_no_other(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set").write()
    before = masks_of(load(root))
    (root / "bottle/ground_truth/crack/001_mask.png").unlink()
    after = masks_of(load(root))
    assert {name for name in before if before[name] != after[name]} == {"bottle/test/crack/001"}
    assert after["bottle/test/crack/001"] == ()


def test_stems_that_contain_each_other_pair_rightly(tmp_path, trees):
    tree = trees.Tree(tmp_path / "set").images("good", range(3))
    tree.images("bad", ["1", "10", "100"]).masks("masks/bad", ["100", "1", "10"])
    data = load(tree.write())
    assert masks_of(data) == {f"set/pool/bad/{stem}": (f"masks/bad/{stem}_mask.png",) for stem in ("1", "10", "100")}


@pytest.mark.parametrize("normal", ["good", "ok", "normal", "Normal", "OK", "free", "Free"])
def test_every_name_for_good_is_known(tmp_path, trees, normal):
    data = load(trees.pool(tmp_path / "parts", good=normal).write())
    assert data.counts() == {
        ("parts", "pool", "dents"): 3,
        ("parts", "pool", "good"): 8,
        ("parts", "pool", "scratches"): 3,
    }
    assert data.has_masks
    assert all(masks_of(data).values())


@pytest.mark.parametrize("home", ["ground_truth", "masks", "mask"])
@pytest.mark.parametrize("ending", ["_mask.png", ".png", "_gt.png", "_mask.BMP"])
def test_masks_are_found_under_each_name(tmp_path, trees, home, ending):
    tree = trees.Tree(tmp_path / "parts").images("good", range(2)).images("bad", ["a", "b"], ".jpg")
    data = load(tree.masks(f"{home}/bad", ["a", "b"], ending).write())
    assert masks_of(data) == {f"parts/pool/bad/{stem}": (f"{home}/bad/{stem}{ending}",) for stem in ("a", "b")}


def test_a_flat_mask_folder_and_one_inside_the_defect_folder_are_read(tmp_path, trees):
    flat = trees.Tree(tmp_path / "flat").images("good", ["g"]).images("bad", ["x"]).mask("masks/x_mask.png")
    inside = trees.Tree(tmp_path / "inside").images("good", ["g"]).images("bad", ["x"]).mask("bad/mask/x.png")
    beside = trees.Tree(tmp_path / "beside").images("good", ["g"]).images("bad", ["x"]).mask("bad/x_mask.png")
    assert masks_of(load(flat.write())) == {"flat/pool/bad/x": ("masks/x_mask.png",)}
    assert masks_of(load(inside.write())) == {"inside/pool/bad/x": ("bad/mask/x.png",)}
    assert masks_of(load(beside.write())) == {"beside/pool/bad/x": ("bad/x_mask.png",)}


def test_a_folder_of_regions_becomes_their_union_in_any_order(tmp_path, trees):
    tree = trees.Tree(tmp_path / "parts").images("good", ["g"]).images("bad", ["x"])
    for index, row in enumerate((2, 12, 22)):
        tree.mask(f"masks/bad/x/{index}.png", row=row)
    sample = load(tree.write()).of(split="pool").samples[0]
    regions = sample.source.regions()
    assert len(regions) == 3
    expected = sum(trees.blob(row=row) for row in (2, 12, 22)) > 0
    assert np.array_equal(sample.mask(), expected)


def test_classes_json_makes_values_into_defects(tmp_path, trees):
    tree = trees.Tree(tmp_path / "parts").images("good", ["g"]).images("dent", ["x"])
    tree.text("classes.json", '{"good": 0, "dent": 1, "hole": 3}')
    root = tree.write()
    values = trees.blob(value=1)
    values[30:33, 2:5] = 3
    trees.save(root / "masks/dent/x.png", values)
    sample = load(root).samples[0]
    assert [(region.defect, int(region.mask.sum())) for region in sample.source.regions()] == [("dent", 36), ("hole", 9)]
    assert load(root).classes == {"parts": ("dent", "hole")}
    assert sample.mask().sum() == 45


@pytest.mark.parametrize(("value", "told"), [(7, "the class 7"), (3, "no pixel of its own class 1")])
def test_class_values_that_cannot_be_are_refused(tmp_path, trees, value, told):
    tree = trees.Tree(tmp_path / "parts").images("good", ["g"]).images("dent", ["x"]).mask("masks/dent/x.png", value=value)
    root = tree.text("classes.json", '{"dent": 1, "hole": 3}').write()
    with pytest.raises(DataError, match=told) as caught:
        load(root).samples[0].mask()
    assert caught.value.code == "E_MASK_VALUES"


def test_images_alone_are_all_good(tmp_path, trees):
    data = load(trees.Tree(tmp_path / "tiles").images(".", range(12)).write())
    assert data.counts() == {("tiles", "pool", "good"): 12}
    assert [sample.id for sample in data.samples] == [f"tiles/pool/good/{i}" for i in range(12)]


def test_the_root_may_be_the_product_and_validation_is_kept(tmp_path, trees):
    tree = trees.Tree(tmp_path / "bottle").images("train/good", range(3)).images("validation/good", range(2))
    data = load(tree.images("test/bad", range(2)).write())
    assert data.counts() == {
        ("bottle", "test", "bad"): 2,
        ("bottle", "train", "good"): 3,
        ("bottle", "val", "good"): 2,
    }


def test_a_mask_shared_with_an_anomaly_in_train_is_an_anomaly_in_train(tmp_path, trees):
    tree = trees.mvtec(tmp_path / "set").image("bottle/train/crack/000.png")
    with pytest.raises(DataError, match=r"bottle/train/crack/000.png is an anomaly in a training folder") as caught:
        load(tree.write())
    assert caught.value.code == "E_ANOMALY_IN_TRAIN"
    masks = tmp_path / "set/bottle/ground_truth"
    (masks / "test").mkdir()
    (masks / "crack").rename(masks / "test/crack")
    trees.Tree(masks).mask("train/crack/000_mask.png").write()
    assert masks_of(load(tmp_path / "set"))["bottle/train/crack/000"] == ("bottle/ground_truth/train/crack/000_mask.png",)


def test_a_folder_of_another_name_above_the_root_changes_nothing(tmp_path, trees):
    data = load(trees.mvtec(tmp_path / "goods/train/ok/set").write())
    assert sum(not sample.is_normal for sample in data.samples) == 10


def test_unicode_and_spaces_in_names(tmp_path, trees):
    tree = trees.Tree(tmp_path / "Prüf teile").images("good", ["gutes Bild 1", "好"])
    tree.images("Kratzer tief", ["ö 1"]).masks("masks/Kratzer tief", ["ö 1"])
    data = load(tree.write())
    assert data.defects() == ("Kratzer tief",)
    assert masks_of(data) == {"Prüf teile/pool/Kratzer tief/ö 1": ("masks/Kratzer tief/ö 1_mask.png",)}
    assert data.samples[0].mask().any()


def test_named_folders(tmp_path, trees):
    tree = trees.pool(tmp_path / "parts", good="fine", bad=["kaputt"], masks="labels").images("other", range(2))
    root = tree.write()
    with pytest.raises(DataError, match=r"fine, kaputt, labels, other.*normal=NAME") as caught:
        load(root)
    assert caught.value.code == "E_LAYOUT"
    data = load(root, "folder:normal=fine,anomalous=kaputt,masks=labels")
    assert data.counts() == {("parts", "pool", "good"): 8, ("parts", "pool", "kaputt"): 3}
    assert all(masks_of(data).values())
    assert data.layout == "folder:normal=fine,anomalous=kaputt,masks=labels"
    assert set(open_folder(root, data.layout).found.unmatched) == {"other/0.png", "other/1.png"}


def test_named_paths_and_several_good_folders(tmp_path, trees):
    tree = trees.Tree(tmp_path / "parts").images("day/fine", [1, 2]).images("night/fine", [1]).images("day/bad", [1])
    data = load(tree.write(), "folder:normal=day/fine+night/fine,anomalous=day/bad")
    assert [sample.id for sample in data.samples if sample.is_normal] == [
        "parts/pool/good/day/fine/1",
        "parts/pool/good/day/fine/2",
        "parts/pool/good/night/fine/1",
    ]
    assert len(data) == 4


def test_two_good_folders_keep_ids_apart(tmp_path, trees):
    data = load(trees.Tree(tmp_path / "parts").images("good", [1]).images("ok", [1]).write())
    assert [sample.id for sample in data.samples] == ["parts/pool/good/good/1", "parts/pool/good/ok/1"]


def test_two_readings_are_both_told(tmp_path, trees):
    tree = trees.mvtec(tmp_path / "set", ["bottle"]).images("good", range(3))
    with pytest.raises(DataError, match=r"good/ beside.*bottle \(") as caught:
        load(tree.write())
    assert caught.value.code == "E_LAYOUT"


@pytest.mark.parametrize("suffixes", [(".png", ".jpg"), (".jpg", ".JPG")])
def test_one_stem_twice_is_refused(tmp_path, trees, suffixes):
    root = trees.pool(tmp_path / "parts").write()
    for suffix in suffixes:
        trees.save(root / f"good/twin{suffix}", trees.texture(99))
    with pytest.raises(DataError, match="share one stem") as caught:
        load(root)
    assert caught.value.code == "E_AMBIGUOUS_PAIR"
    assert set(caught.value.files) == {f"good/twin{suffix}" for suffix in suffixes}


def test_two_masks_for_one_image_and_one_for_two_are_refused(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").mask("masks/dents/1_mask.png").write()
    with pytest.raises(DataError, match="has 2 masks") as caught:
        load(root)
    assert caught.value.code == "E_AMBIGUOUS_PAIR"
    tree = trees.Tree(tmp_path / "flat").images("good", ["g"]).images("a", ["x"]).images("b", ["x"]).mask("masks/x.png")
    with pytest.raises(DataError, match="fits two images") as caught:
        load(tree.write())
    assert caught.value.code == "E_AMBIGUOUS_PAIR"


def test_a_mask_without_image_is_refused(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").mask("masks/dents/77.png").mask("masks/dents/78.png").write()
    told = r"77\.png belongs to no image; expected a mask named STEM\.png, .* or STEM/NAME\.png after .*: rename .*\(and 1 more"
    with pytest.raises(DataError, match=told) as caught:
        load(root)
    assert caught.value.code == "E_ORPHAN_MASK"


def test_hidden_entries_are_left_aside(tmp_path, trees):
    tree = trees.pool(tmp_path / "parts").image(".ipynb_checkpoints/x.png").image("good/._1.png").text("good/Thumbs.db", "x")
    opened = open_folder(tree.write())
    assert len(opened.found.dataset) == 14
    assert opened.tree.hidden == (".ipynb_checkpoints", "good/._1.png", "good/Thumbs.db")


def test_links_are_followed_inside_the_root_only(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    outside = trees.save(tmp_path / "outside.png", trees.texture(5))
    (root / "good/out.png").symlink_to(outside)
    (root / "good/gone.png").symlink_to(root / "nothing.png")
    (root / "good/round").symlink_to(root)
    (root / "good/self.png").symlink_to(root / "good/self.png")
    (root / "good/again.png").symlink_to(root / "good/1.png")
    opened = open_folder(root)
    assert opened.tree.strays == ("good/gone.png", "good/out.png", "good/round", "good/self.png")
    assert "parts/pool/good/again" in {sample.id for sample in opened.found.dataset.samples}
    assert "4 symbolic links" in opened.found.dataset.notes[0]


def linked_to_each_other(root, number):
    for here in range(number):
        (root / f"{here:02d}").mkdir(parents=True)
        (root / f"{here:02d}/a.png").touch()
        for there in range(number):
            if here != there:
                (root / f"{here:02d}/to{there:02d}").symlink_to(f"../{there:02d}")


def test_folders_that_link_to_each_other_are_read_a_few_times_each(tmp_path):
    """Seven have 13,699 paths; sixty, no machine could list, nor open those of the longest chain."""
    linked_to_each_other(tmp_path / "seven", 7)
    scanned = scan(tmp_path / "seven")
    assert 7 * 7 <= len(list(scanned.top.all_images())) <= 2 * 7 * 7
    assert all((tmp_path / "seven" / path).is_file() for path in scanned.top.all_images())
    linked_to_each_other(tmp_path / "sixty", 60)
    deepest = max(folder.path.count("/") for folder in scan(tmp_path / "sixty").top.walk())
    assert deepest <= MOST_LINKS


def test_links_through_links_to_hidden_folders_are_followed(tmp_path, trees):
    root = trees.Tree(tmp_path / "parts").images("good", range(2)).images(".raw/monday", range(3)).write()
    (root / ".store/bad").mkdir(parents=True)
    (root / ".store/bad/monday").symlink_to("../../.raw/monday")
    for name in ("dent", "scratch"):
        (root / name).symlink_to(".store/bad")
    opened = open_folder(root)
    assert {sample.id for sample in opened.found.dataset.samples if sample.defect == "dent"} == {
        f"parts/pool/dent/monday/{number}" for number in range(3)
    }
    assert opened.tree.strays == ("scratch/monday",)
    assert "1 symbolic links that lead out of the folder, nowhere or to what was read already" in opened.found.dataset.notes[0]


@pytest.mark.parametrize("make", ["missing", "file", "empty", "texts"])
def test_a_root_without_images_is_refused(tmp_path, trees, make):
    root = tmp_path / "root"
    if make == "file":
        root.write_text("x")
    elif make != "missing":
        root.mkdir()
    if make == "texts":
        (root / "notes.txt").write_text("x")
    with pytest.raises(DataError) as caught:
        load(root)
    assert caught.value.code == ("E_ROOT" if make in ("missing", "file") else "E_LAYOUT")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; tests/system drops to another user")
def test_an_unreadable_root_is_refused(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    (root / "good").chmod(0)
    try:
        with pytest.raises(DataError) as caught:
            load(root)
    finally:
        (root / "good").chmod(0o755)
    assert caught.value.code == "E_ROOT"


def test_a_name_of_control_characters_is_refused(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").image("good/a\nb.png").write()
    with pytest.raises(DataError, match="printable") as caught:
        load(root)
    assert "\n" not in str(caught.value)


def test_unknown_names_offer_the_nearest(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    with pytest.raises(UnknownName, match="did you mean folder"):
        load(root, "foldr")
    with pytest.raises(UnknownName, match="did you mean parts"):
        load(root, product="part")
    with pytest.raises(BadParameter, match="did you mean normal"):
        load(root, "folder:norml=x")
    with pytest.raises(BadParameter, match="OPTION=VALUE"):
        load(root, "folder:normal")
    with pytest.raises(BadParameter, match="threshold:127"):
        load(root, "folder:encoding=grey")


def test_loading_opens_no_image(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    (root / "good/1.png").write_bytes(b"")
    (root / "good/2.png").write_bytes(b"<html>")
    assert len(load(root)) == 14
