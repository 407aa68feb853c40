"""Every layout → list → records: the same (spec datasets.md §17, check 3), through the command line and on disk."""

import csv
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flawsmith.cli.app import run
from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD
from flawsmith.data import load
from flawsmith.data.checks import check
from flawsmith.data.splits import make_split

PUBLISHED = (
    "mvtec",
    "mpdd",
    "wfdd",
    "btad",
    "loco",
    "mvtec3d",
    "visa",
    "visa_pytorch",
    "visa_2cls_pytorch",
    "visa_ok_ko",
    "visa_seas",
    "mvtec_fs",
    "wfdd_uniadc",
)
TILES = [("Free", 100, 6), ("Uneven", 1000, 2), ("Crack", 1036, 2)]


def folder(tmp_path, name, trees, miniatures):
    """(folder, layout) of one of the kinds of data there are."""
    root = tmp_path / "data"
    if name in PUBLISHED:
        miniature = getattr(miniatures, name)(root)
        miniature.write()
        return miniature.root, miniature.layout
    if name == "pool":
        return trees.pool(root).write(), "folder"
    if name == "classes":
        tree = trees.pool(root, bad=())
        for number, defect in enumerate(("dent, deep", "crack=1"), 1):
            tree.images(defect, [1, 2])
            tree.mask(f"masks/{defect}/1.png", value=number).mask(f"masks/{defect}/2.png", value=number)
        return tree.text("classes.json", json.dumps({"dent, deep": 1, "crack=1": 2})).write(), "folder"
    if name == "regions":
        tree = trees.pool(root, bad=("scratches",))
        tree.image("scratches/9.png").mask("masks/scratches/9/a.png").mask("masks/scratches/9/b.png", row=2, column=2)
        return tree.write(), "folder"
    if name == "threshold":
        return trees.pool(root).mask("masks/dents/1.png", value=200).write(), "folder:encoding=threshold:127"
    if name == "mtd":
        root = trees.mtd(root, TILES).write()
        blank = "MT_Uneven/Imgs/exp3_num_45042"
        trees.Tree(root).image(f"{blank}.jpg").mask(f"{blank}.png", value=0).write()
        return root, "mtd"
    assert name == "elpv"
    rows = [("0.0", "mono"), ("1.0", "mono"), ("0.3333333333333333", "poly"), ("0.6666666666666666", "poly"), ("0.0", "poly")]
    return trees.elpv(root, rows).write(), "elpv:uncertain=soft"


KINDS = (*PUBLISHED, "pool", "classes", "regions", "threshold", "mtd", "elpv")


def record(sample):
    """Everything a sample says, and its pixels' truth."""
    regions = sample.source.regions() if sample.has_mask else None
    return {
        "id": sample.id,
        "product": sample.product,
        "defect": sample.defect,
        "split": sample.split,
        "group": sample.group,
        "weight": sample.weight,
        "origin": sample.origin,
        "tags": dict(sample.tags),
        "location": sample.source.location,
        "masks": sample.source.masks,
        "blank": sample.source.blank,
        "rule": sample.source.mask_rule,
        "regions": regions and [(region.defect, region.saturation, region.mask.tobytes()) for region in regions],
        "mask": None if regions is None else sample.mask().tobytes(),
    }


def exported(data, layout, out):
    assert run(["data", "export", str(data), "--layout", layout, "--out", str(out)]) == 0


@pytest.mark.parametrize("name", KINDS)
def test_every_layout_comes_back_the_same(name, tmp_path, trees, miniatures):
    root, layout = folder(tmp_path, name, trees, miniatures)
    before = load(root, layout)
    records = [record(sample) for sample in before.samples]
    assert any(known["mask"] is not None for known in records)
    for suffix in (".csv", ".parquet", ".jsonl"):
        out = tmp_path / f"lists/list{suffix}"
        exported(root, layout, out)
        after = load(root, f"manifest:file={out}")
        assert [record(sample) for sample in after.samples] == records
        assert [after.samples[place].id for place in range(len(after))] == [known["id"] for known in records]
        about = ("name", "licence", "citation", "default_split", "pixel_truth", "classes_released")
        assert [getattr(after, name) for name in about] == [getattr(before, name) for name in about]
        there = {product: names for product, names in before.classes.items() if product in before.products}
        assert dict(after.classes) == there
        assert after.combined == before.combined
        assert (after.counts(), after.products, after.defects()) == (before.counts(), before.products, before.defects())
        assert (after.has_masks, after.mask_rule) == (before.has_masks, before.mask_rule)
        assert load(after.root, after.layout).samples == before.samples


@pytest.mark.parametrize("name", [*PUBLISHED, "mtd"])
def test_the_list_of_an_incomplete_release_is_checked_as_its_folder_is(name, tmp_path, trees, miniatures):
    """The miniatures lack defects that their releases declare; that is no error of the list either, nor of a list of it."""
    root, layout = folder(tmp_path, name, trees, miniatures)
    wanted = [problem.code for problem in check(root, layout).errors]
    assert "E_EMPTY_SPLIT" not in wanted
    exported(root, layout, tmp_path / "list.csv")
    exported(root, f"manifest:file={tmp_path / 'list.csv'}", tmp_path / "again.csv")
    for listed in ("list.csv", "again.csv"):
        assert [problem.code for problem in check(root, f"manifest:file={tmp_path / listed}").errors] == wanted


def test_a_class_that_a_users_list_declares_must_be_there(tmp_path, trees, capsys):
    tree = trees.pool(tmp_path / "data", bad=()).images("dent", [1]).mask("masks/dent/1.png", value=1)
    root = tree.text("classes.json", json.dumps({"dent": 1, "hole": 2})).write()
    exported(root, "folder", tmp_path / "list.csv")
    for layout in ("folder", f"manifest:file={tmp_path / 'list.csv'}"):
        capsys.readouterr()
        assert run(["data", "check", str(root), "--layout", layout]) == 1
        assert "declares the class hole" in capsys.readouterr().out


def test_rows_in_any_order_give_the_same_order(tmp_path, miniatures):
    miniature = miniatures.KNOWN["visa"](tmp_path / "data")
    miniature.write()
    exported(miniature.root, "visa", tmp_path / "list.csv")
    header, *rows = list(csv.reader((tmp_path / "list.csv").read_text().splitlines()))
    wanted = [sample.id for sample in load(miniature.root, "visa").samples]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        with (tmp_path / "list.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *rows])
        assert [sample.id for sample in load(miniature.root, f"manifest:file={tmp_path / 'list.csv'}").samples] == wanted


def test_a_list_beside_its_images_stands_for_the_folder(tmp_path, trees, capsys):
    root = trees.mvtec(tmp_path / "data").write()
    exported(root, "auto", root / "all.csv")
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"flawsmith data check {root / 'all.csv'}")
    assert run(["data", "check", str(root / "all.csv"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert run(["data", "check", str(root), "--json"]) == 0
    folder = json.loads(capsys.readouterr().out)
    for same in ("images", "counts", "sizes", "modes", "split", "licence", "name"):
        assert told[same] == folder[same]
    by_list, by_folder = make_split(load(root / "all.csv"), seed=3), make_split(load(root), seed=3)
    assert by_list.digest == by_folder.digest


def test_a_split_data_set_keeps_its_ids(tmp_path, trees):
    from flawsmith.data.manifest.writing import write_list

    data = load(trees.pool(tmp_path / "data").write())
    placed = make_split(data, seed=1).apply(data)
    write_list(placed, tmp_path / "list.parquet")
    after = load(data.root, f"manifest:file={tmp_path / 'list.parquet'}")
    assert {(s.id, s.split) for s in after.samples} == {(s.id, s.split) for s in placed.samples}
    assert after.counts()["data", "train", GOOD] > 0
    assert make_split(after).policy == "folder"


def test_hashes_are_written_and_looked_at(tmp_path, trees, capsys):
    root = trees.mvtec(tmp_path / "data", ["bottle"]).write()
    assert run(["data", "export", str(root), "--out", str(root / "list.jsonl"), "--sha256"]) == 0
    data = load(root / "list.jsonl")
    assert all(sample.source.sha256 == sample.digest() for sample in data.samples)
    victim = root / "bottle/test/hole/001.png"
    trees.save(victim, 255 - np.asarray(data.samples[0].image()))
    with pytest.raises(DataError) as caught:
        next(sample for sample in data.samples if sample.source.location == str(victim)).image()
    assert caught.value.code == "E_CORRUPT"
    capsys.readouterr()
    assert run(["data", "check", str(root / "list.jsonl")]) == 1
    told = capsys.readouterr().err
    assert "E_CORRUPT" in told
    assert "bottle/test/hole/001.png" in told


def test_the_hash_of_the_file_is_as_good(tmp_path, trees):
    from flawsmith.core.files import sha256_file

    image = trees.save(tmp_path / "a.png", trees.texture(1))
    (tmp_path / "list.csv").write_text(f"image_path,label,sha256\na.png,0,{sha256_file(image).upper()}\n")
    assert load(tmp_path / "list.csv").samples[0].image().shape == (36, 44, 3)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_what_is_written_is_plain(suffix, tmp_path, trees):
    root = trees.mvtec(tmp_path / "data", ["bottle"]).write()
    out = root / f"list{suffix}"
    exported(root, "folder", out)
    if suffix == ".csv":
        assert out.read_bytes().count(b"\r\n") == len(out.read_bytes().splitlines())
        rows = list(csv.DictReader(out.read_text().splitlines()))
    elif suffix == ".parquet":
        rows = pq.read_table(out).to_pylist()
        assert set(pq.read_schema(out).types) == {pa.string()}
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
    crack = next(row for row in rows if row["image_path"] == "bottle/test/crack/001.png")
    assert crack["mask_path"] == "bottle/ground_truth/crack/001_mask.png"
    assert (crack["category"], crack["split"], crack["label"], crack["class_name"]) == ("bottle", "test", "anomalous", "crack")


def test_what_a_list_cannot_carry_is_refused(tmp_path, trees, capsys):
    tree = trees.pool(tmp_path / "data", bad=("scratches",))
    tree.image("scratches/9.png").mask("masks/scratches/9/a;b.png").mask("masks/scratches/9/c.png")
    root = tree.write()
    assert run(["data", "export", str(root), "--out", str(tmp_path / "list.csv")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("flawsmith: E_EXPORT: ")
    assert "scratches/9.png has a mask with ';' in its path" in told
    assert not list(tmp_path.glob("*list*"))
    tree = trees.pool(tmp_path / "named", bad=("OK really", "Free"))
    assert run(["data", "export", str(tree.write()), "--layout", "folder:normal=good", "--out", str(tmp_path / "list.csv")]) == 1
    assert "a list cannot carry" in capsys.readouterr().err
    assert not list(tmp_path.glob("*list*"))


def test_memory_is_refused(tmp_path):
    from dataclasses import replace

    from flawsmith.core.seeding import Seed
    from flawsmith.data.dataset import Dataset
    from flawsmith.data.manifest.writing import write_list
    from flawsmith.testing.toy import toy_normals

    data = Dataset("toy", tmp_path, "none", tuple(toy_normals(2, Seed(0))))
    with pytest.raises(DataError, match="polygons, or pixels in memory") as caught:
        write_list(replace(data), tmp_path / "list.csv")
    assert caught.value.code == "E_EXPORT"


def test_a_place_that_is_taken(tmp_path, trees, capsys):
    root = trees.pool(tmp_path / "data").write()
    (tmp_path / "list.csv").write_text("mine")
    assert run(["data", "export", str(root), "--out", str(tmp_path / "list.csv")]) == 1
    assert "E_OUTPUT" in capsys.readouterr().err
    assert (tmp_path / "list.csv").read_text() == "mine"
    assert run(["data", "export", str(root), "--out", str(tmp_path / "list.csv"), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 14
    assert run(["data", "export", str(root), "--out", str(tmp_path / "list.xls")]) == 2
    assert "expected .csv, .parquet, .jsonl" in capsys.readouterr().err
