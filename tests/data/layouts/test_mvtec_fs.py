"""MVTec-FS in both distributions, UniADC's WFDD, and MVTec AD with folders as classes: spec datasets.md §5, §10, §17."""

import json

import numpy as np
import pytest

from flawsmith.cli.app import run
from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD
from flawsmith.data import load
from flawsmith.data.checks import check
from flawsmith.data.layouts.polygons import Instance, drawn, overlapped, parse_points, read_labelme
from flawsmith.data.loading import open_folder
from flawsmith.data.splits import make_split
from flawsmith.data.support import support_set

FS = ("mvtec_fs", "wfdd_uniadc", "mvtec_fs_original")


@pytest.fixture(params=FS)
def made(request, tmp_path, miniatures):
    miniature = getattr(miniatures, request.param)(tmp_path / "data")
    miniature.write(5)
    return miniature


@pytest.fixture
def repack(tmp_path, miniatures):
    return miniatures.mvtec_fs(tmp_path / "data").write()


@pytest.fixture
def original(tmp_path, miniatures):
    return miniatures.mvtec_fs_original(tmp_path / "data").write()


def code(root, layout="auto"):
    with pytest.raises(DataError) as caught:
        load(root, layout)
    return caught.value.code


def edited(path, change):
    path.write_text("".join(f"{json.dumps(change(json.loads(line)))}\n" for line in path.read_text().splitlines()))


def test_counts_masks_and_classes(made):
    data = load(made.root)
    assert data.layout == made.layout
    assert data.counts() == dict(sorted(made.counts.items()))
    for sample in data.samples:
        assert np.array_equal(sample.mask(), made.truth[sample.source.path])
        regions = {region.defect: region.mask for region in sample.source.regions()}
        known = made.classed.get(sample.source.path, {})
        assert regions.keys() == known.keys()
        assert all(np.array_equal(regions[name], known[name]) for name in known)
    assert dict(data.classes) == {
        product: tuple(sorted({defect for name, _, defect in made.counts if name == product} - {GOOD, "combined"}))
        + (("combined",) if any(key == (product, "train", "combined") for key in made.counts) else ())
        for product in data.products
    }
    assert data.combined == ({"combined"} if any("combined" in order for order in data.classes.values()) else set())


def test_nothing_is_left_over_and_the_check_is_content(made, capsys):
    report = check(made.root)
    assert [problem.code for problem in report.errors] == ([] if "original" not in report.dataset.name else ["E_EMPTY_SPLIT"])
    assert report.unmatched == (() if "original" in report.dataset.name else tuple(sorted(report.unmatched)))
    assert all("_mask" not in path for path in report.unmatched)


def test_the_names_cannot_be_confused(tmp_path, miniatures):
    assert load(miniatures.mvtec_fs(tmp_path / "a").write()).name == "mvtec-fs"
    assert load(miniatures.mvtec_fs_original(tmp_path / "b").write()).name == "mvtec-fs-original"
    assert load(miniatures.wfdd_uniadc(tmp_path / "c").write()).name == "wfdd-uniadc"
    root = miniatures.mvtec(tmp_path / "d").write()
    folders = load(root, "mvtec-folders")
    assert (folders.name, folders.layout) == ("mvtec-folders", "mvtec-folders")
    assert load(root).name == "mvtec"
    assert folders.classes["wood"] == ("color", "hole", "liquid", "scratch", "combined")
    assert folders.combined == {"combined"}
    assert "never stand beside" in " ".join(folders.notes)
    assert folders.counts() == load(root).counts()


# --- UniADC's repack


def test_the_images_of_a_repack_are_told_which_folder_to_give(repack):
    for part in ("images", f"images/{next((repack / 'images').iterdir()).name}"):
        with pytest.raises(DataError, match=f"is a part of mvtec-fs, .*give {repack.resolve()} or what") as caught:
            load(repack / part)
        assert caught.value.code == "E_LAYOUT"


def test_a_line_that_names_two_images_is_refused(repack, capsys):
    path = repack / "samples/train_wood.jsonl"
    path.write_text(path.read_text().replace("{", '{"filename": "gone.png", ', 1))
    assert run(["data", "check", str(repack)]) == 1
    assert "line 1 is no image (ValueError: 'filename' is there twice)" in capsys.readouterr().err


def test_the_order_is_that_of_the_lines(repack):
    data = load(repack)
    first = [s for s in data.samples if (s.product, s.split, s.defect) == ("bottle", "train", "broken_large")]
    assert [sample.source.path[-7:] for sample in first] == ["001.png", "000.png"]
    assert [sample.tags["line"] for sample in first] == ["3", "4"]
    split = make_split(data)
    assert split.policy == "supervised"
    support, _ = support_set(data, split, product="bottle", defect_shots="first:1")
    assert [(s.defect, s.source.path[-7:]) for s in support.anomalies] == [
        ("broken_large", "001.png"),
        ("contamination", "000.png"),
    ]
    wood, _ = support_set(data, split, product="wood", defect_shots="first:1")
    assert "combined" not in {sample.defect for sample in wood.anomalies}


def test_a_mask_must_hold_its_own_class(repack, trees):
    trees.save(repack / "images/bottle/test_contamination/000_mask.png", trees.blob(48, 48, value=1))
    (sample,) = [s for s in load(repack).samples if s.source.path == "images/bottle/test_contamination/000.png"]
    with pytest.raises(DataError, match="no pixel of its own class 2 \\(contamination\\)") as caught:
        sample.mask()
    assert caught.value.code == "E_MASK_VALUES"
    trees.save(repack / "images/bottle/test_contamination/000_mask.png", trees.blob(48, 48, value=7))
    with pytest.raises(DataError, match="the class 7"):
        sample.mask()


def test_combined_is_last(repack):
    swapped = {"hole": 3, "combined": 2}
    for split in ("train", "test"):
        path = repack / f"samples/{split}_wood.jsonl"
        edited(path, lambda line: {**line, "label": swapped.get(line["label_name"], line["label"])})
    assert code(repack) == "E_LABEL"


@pytest.mark.parametrize(
    "change",
    [
        lambda line: {**line, "label": 5 if line["label"] == 2 else line["label"]},
        lambda line: {**line, "label": 1 if line["label"] == 2 else line["label"]},
        lambda line: {**line, "label": -1},
        lambda line: {**line, "label": "1"},
        lambda line: {**line, "filename": 3},
        lambda line: {name: value for name, value in line.items() if name != "label_name"},
        lambda line: [line],
    ],
)
def test_lines_without_a_meaning(repack, change):
    edited(repack / "samples/test_bottle.jsonl", change)
    assert code(repack) == "E_LABEL"


def test_files_of_the_lines(repack, capsys):
    path = repack / "samples/test_bottle.jsonl"
    kept = path.read_text()
    edited(path, lambda line: {**line, "filename": f"../{line['filename']}"})
    assert code(repack) == "E_ROOT"
    path.write_text(kept)
    edited(path, lambda line: {**line, "filename": line["filename"].removeprefix("images/")})
    assert len(load(repack)) == 26
    path.write_text(kept + kept.splitlines()[0])
    assert code(repack) == "E_DUPLICATE"
    path.write_text(kept)
    (repack / "images/bottle/test_contamination/001_mask.png").unlink()
    assert run(["data", "check", str(repack), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in told["errors"]] == ["E_MISSING_MASK"]
    (repack / "images/bottle/test_good").mkdir()
    path.write_bytes(b"\xff\xfe")
    assert code(repack) == "E_LABEL"


def test_counts_of_the_halves_are_told(repack, capsys):
    assert run(["data", "check", str(repack)]) == 0
    told = capsys.readouterr().out
    assert "W_COUNT: mvtec-fs is not complete (found/expected anomalies: bottle first half 4/32, bottle second half 4/31" in told
    assert "wood second half 5/28" in told


def test_inferred_counts_are_not_told(tmp_path, miniatures, capsys):
    assert run(["data", "check", str(miniatures.wfdd_uniadc(tmp_path / "data").write())]) == 0
    assert "W_COUNT" not in capsys.readouterr().out


# --- the authors' distribution


def test_tables_count_before_labelme_files_and_ids_before_rows(tmp_path, miniatures):
    by_table = load(miniatures.mvtec_fs_original(tmp_path / "a").write())
    by_files = load(miniatures.mvtec_fs_original(tmp_path / "b", tables=False).write())
    assert [s.id for s in by_table.samples] == [s.id for s in by_files.samples]
    for one, other in zip(by_table.samples, by_files.samples, strict=True):
        assert np.array_equal(one.source.class_ids(), other.source.class_ids())
    (both,) = [s for s in by_table.of("wood", "test").samples if s.defect == "combined"]
    ids = both.source.class_ids()
    assert (ids[8, 8], ids[4, 4], ids[17, 17], ids[0, 0]) == (2, 1, 2, 0)
    assert both.source.mask_rule == "polygons, later instances on top"


def test_overlapped_pixels_are_a_note(original):
    assert "144 pixels of 4 images lie in several polygons; the later polygon counts" in load(original).notes


def test_an_image_is_what_its_polygons_are(original):
    data = load(original)
    (sample,) = [s for s in data.of("wood", "train").samples if s.source.path.endswith("combined/001.png")]
    assert (sample.defect, sample.tags["folder"]) == ("hole", "combined")
    assert data.classes == {"wood": ("color", "hole", "combined"), "zipper": ("color", "hole", "combined")}


def test_normals_are_those_of_mvtec(original, tmp_path, miniatures, capsys):
    assert run(["data", "check", str(original)]) == 1
    told = capsys.readouterr()
    assert "it has no normals: give the folder of MVTec AD with --layout mvtec-fs:normals=FOLDER" in told.out
    assert "E_EMPTY_SPLIT" in told.err
    mvtec = miniatures.mvtec(tmp_path / "mvtec").write()
    data = load(original, f"mvtec-fs:normals={mvtec}").of("wood")
    assert data.counts()["wood", "train", GOOD] == 3
    assert data.counts()["wood", "test", GOOD] == 2
    assert make_split(data).policy == "supervised"
    assert all(sample.image().ndim == 3 for sample in data.samples if sample.is_normal)


def test_a_list_cannot_carry_polygons(original, tmp_path, capsys):
    assert run(["data", "export", str(original), "--out", str(tmp_path / "list.csv")]) == 1
    line = capsys.readouterr().err
    assert line.startswith("flawsmith: E_EXPORT: ")
    assert "polygons" in line
    assert not (tmp_path / "list.csv").exists()


def test_an_image_of_another_size(original, trees):
    trees.save(original / "wood/testing/hole/000.png", trees.texture(5, 20, 28))
    (sample,) = [s for s in load(original).of("wood", "test").samples if s.source.path == "wood/testing/hole/000.png"]
    with pytest.raises(DataError, match="is 28×20, its polygons were drawn on 56×40") as caught:
        sample.mask()
    assert caught.value.code == "E_SIZE"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[[4, 4]", "[[4, 4"),
        ("[[4, 4]", "[[4, 1e9]"),
        ("[[4, 4]", "[[4]"),
        (",40,56,", ",40,x,"),
        (",40,56,", ",4000000,5600000,"),
        (",points", ",corners"),
        ("hole,-1", "a/b,-1"),
    ],
)
def test_tables_without_a_meaning(original, old, new):
    path = original / "CONFIG/wood_config1/valid.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert code(original) == "E_LABEL"


def test_a_row_without_its_image(original):
    (original / "wood/testing/hole/000.png").unlink()
    with pytest.raises(DataError, match=r"testing/hole/000\.png is not under") as caught:
        load(original)
    assert caught.value.code == "E_ROOT"


def test_an_image_without_polygons_has_no_mask(original, trees, capsys):
    trees.save(original / "zipper/testing/hole/009.png", trees.texture(99, 40, 56))
    found = open_folder(original).found.dataset
    (sample,) = [s for s in found.samples if s.source.path.endswith("009.png")]
    assert (sample.defect, sample.has_mask) == ("hole", False)
    assert found.without_masks() == [sample.source.location]


@pytest.mark.parametrize("content", ["", "{}", '{"shapes": 3, "imageHeight": 4, "imageWidth": 4}', "[" * 99_999])
def test_no_labelme_file(original, content):
    (original / "zipper/testing/hole/000.json").write_text(content)
    assert code(original) == "E_LABEL"


def test_shapes_of_labelme(tmp_path):
    def told(**shape):
        path = tmp_path / "a.json"
        path.write_text(json.dumps({"shapes": [{"label": "x", **shape}], "imageHeight": 9, "imageWidth": 9}))
        return read_labelme(path)

    (box,) = told(points=[[1, 1], [3, 4]], shape_type="rectangle")
    assert drawn(box, (0, 0, 9, 9)).sum() == 12
    with pytest.raises(DataError, match="shape 0 is a circle"):
        told(points=[[1, 1], [3, 4]], shape_type="circle")


def test_polygons_are_drawn_with_their_border():
    def instance(*points):
        return Instance(0, "x", points, (10, 12))

    assert drawn(instance((1, 1), (3, 1), (3, 3), (1, 3)), (0, 0, 12, 10)).sum() == 9
    assert drawn(instance((5, 5)), (0, 0, 12, 10)).sum() == 1
    assert drawn(instance((2, 2), (6, 2)), (0, 0, 12, 10)).sum() == 5
    assert drawn(instance((-5, -5), (1, -5), (1, 1), (-5, 1)), (0, 0, 12, 10)).sum() == 4
    assert parse_points("[[1, 2.5]]") == ((1.0, 2.5),)


def test_overlaps_are_those_of_whole_masks():
    rng = np.random.default_rng(0)
    for _ in range(30):
        instances = [
            Instance(number, "x", tuple(map(tuple, rng.integers(-4, 44, (rng.integers(1, 6), 2)).tolist())), (40, 40))
            for number in range(rng.integers(1, 5))
        ]
        depth = sum(drawn(instance, (0, 0, 40, 40)).astype(int) for instance in instances)
        assert overlapped(instances) == (depth > 1).sum()
