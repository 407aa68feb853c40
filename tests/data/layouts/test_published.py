"""Every published layout on its miniature: spec datasets.md §17, checks 1, 2, 4 and 8, and what follows from the names."""

import json
import shutil

import numpy as np
import pytest

from flawsmith.cli.app import run
from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD
from flawsmith.data import load
from flawsmith.data.checks import check
from flawsmith.data.getting.catalogue import CATALOGUE
from flawsmith.data.layouts import LAYOUTS as REGISTERED
from flawsmith.data.layouts import build_layout
from flawsmith.data.layouts.published import PublishedLayout
from flawsmith.data.loading import open_folder
from flawsmith.data.splits import make_split

NAMES = (
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
)
LAYOUTS = ("mvtec", "mpdd", "wfdd", "btad", "loco", "mvtec3d", "visa")


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def made(name, tmp_path, miniatures):
    miniature = miniatures.KNOWN[name](tmp_path / "data")
    miniature.write()
    return miniature


def masks_of(dataset):
    return {sample.source.path: sample.source.masks for sample in dataset.samples if not sample.is_normal}


def test_every_published_layout_is_tried():
    assert {name for name in REGISTERED if isinstance(build_layout(name, {}), PublishedLayout)} == {
        *LAYOUTS,
        "mvtec-folders",
    }


def test_the_help_names_them(capsys):
    assert run(["train", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in LAYOUTS)


@pytest.mark.parametrize("order", range(3))
def test_counts_and_masks_are_right_in_any_order_of_creation(name, order, tmp_path, miniatures):
    miniature = miniatures.KNOWN[name](tmp_path / "data")
    opened = open_folder(miniature.write(order))
    data = opened.found.dataset
    assert data.layout == miniature.layout
    assert data.counts() == dict(miniature.counts)
    assert {sample.source.path for sample in data.samples} == set(miniature.truth)
    for sample in data.samples:
        assert np.array_equal(sample.mask(), miniature.truth[sample.source.path]), sample.id
    assert not opened.found.unmatched
    assert [problem.code for problem in opened.found.problems] in ([], ["W_COUNT"])
    assert [s.id for s in data.samples] == [s.id for s in open_folder(miniature.root).found.dataset.samples]
    assert len({sample.id for sample in data.samples}) == len(data)
    assert data.citation
    assert data.licence != "not stated"


def test_a_mask_removed_from_the_middle_is_missed_once_and_moves_no_other(made, name):
    before = load(made.root)
    anomalies = [sample for sample in before.samples if not sample.is_normal]
    lost = anomalies[len(anomalies) // 2].source
    for mask in lost.masks:
        (made.root / mask).unlink()
    report = check(made.root)
    missing = [problem for problem in report.errors if problem.code == "E_MISSING_MASK"]
    assert [problem.files for problem in missing] == [(lost.location,)]
    trained = ["E_ANOMALY_IN_TRAIN"] if name == "visa_2cls_pytorch" else []
    assert [problem.code for problem in report.errors if problem not in missing] == trained
    assert masks_of(report.dataset) == {**masks_of(before), lost.path: ()}


def test_stems_that_contain_each_other_pair_rightly(made):
    new = {"000": "1", "001": "10", "002": "100"}

    def renamed(path):
        parts = path.split("/")
        for index, part in enumerate(parts):
            stem, dot, suffix = part.partition(".")
            number, underscore, ending = stem.partition("_")
            if number.lstrip("0") in ("", "1", "2") and number.isdecimal() and len(number) > 2:
                parts[index] = f"{new[number[-3:]]}{underscore}{ending}{dot}{suffix}"
        return "/".join(parts)

    for path in sorted((p for p in made.root.rglob("*") if p.is_file()), key=lambda p: len(str(p))):
        target = made.root / renamed(str(path.relative_to(made.root)))
        if target != path:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        if path.suffix == ".csv":
            lines = target.read_text().splitlines()
            target.write_text("\n".join(",".join(renamed(field) for field in line.split(",")) for line in lines) + "\n")
    data = load(made.root)
    assert data.counts() == dict(made.counts)
    truth = {renamed(path): mask for path, mask in made.truth.items()}
    assert {"1", "10"} <= {sample.id.rpartition("/")[2] for sample in data.samples}
    for sample in data.samples:
        assert np.array_equal(sample.mask(), truth[sample.source.path]), sample.id


def test_a_normal_without_mask_has_a_blank_one_of_the_size_of_its_image(made):
    normals = [sample for sample in load(made.root).samples if sample.is_normal]
    sizes = {sample.image().shape[:2] for sample in normals}
    assert any(height != width for height, width in sizes)
    for sample in normals:
        assert sample.has_mask
        assert sample.mask().shape == sample.image().shape[:2]
        assert not sample.mask().any()


def test_the_command_prints_the_counts(made, name, capsys):
    code = 1 if name == "visa_2cls_pytorch" else 0  # trains on anomalies, which the split `folder` does not do
    assert run(["data", "check", str(made.root), "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["layout"] == made.layout
    assert {(row["product"], row["split"], row["defect"]): row["images"] for row in told["counts"]} == dict(made.counts)
    assert all(row["masks"] == row["images"] for row in told["counts"] if row["defect"] != GOOD)
    assert "W_COUNT" in {warning["code"] for warning in told["warnings"]}
    assert run(["data", "check", str(made.root)]) == code
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert {(line[0], line[1], line[2], line[3]) for line in lines if len(line) == 5 and line[1] in ("train", "val", "test")} == {
        (*kind, str(count)) for kind, count in made.counts.items()
    }


def test_the_folders_own_split_is_taken(made, name):
    data = load(made.root)
    if name == "visa_2cls_pytorch":
        with pytest.raises(DataError) as caught:
            make_split(data)
        assert caught.value.code == "E_ANOMALY_IN_TRAIN"
        return
    split = make_split(data)
    assert split.policy == "folder"
    for sample in data.samples:
        assert split.assignment[sample.id] == sample.split
    assert any(place == "val" for place in split.assignment.values()) == (name in ("loco", "mvtec3d"))


@pytest.mark.parametrize("known", LAYOUTS)
def test_defects_are_made_on_a_product(known, tmp_path, miniatures, capsys):
    miniature = miniatures.KNOWN[known](tmp_path / "data")
    root = miniature.write()
    product = load(root).products[0]
    command = ["synth", str(root), "--product", product, "--synth", "cutpaste", "-n", "2", "--out", str(tmp_path / "set")]
    assert run([*command, "--json"]) == 0
    capsys.readouterr()
    assert len(list((tmp_path / "set" / product).rglob("mask/*.png"))) == 2
    assert load(root).licence in (tmp_path / "set/synth.json").read_text(encoding="utf-8")


# The root: a data set, one product of it, a folder around it, or something inside it


@pytest.mark.parametrize("known", LAYOUTS)
def test_one_product_may_be_the_root(known, tmp_path, miniatures):
    miniature = miniatures.KNOWN[known](tmp_path / "data")
    root = miniature.write()
    whole = load(root)
    for product in whole.products:
        if known == "visa":
            with pytest.raises(DataError, match=f"--product {product}") as caught:
                load(root / product)
            assert caught.value.code == "E_LAYOUT"
            shutil.copytree(root / product, tmp_path / "alone" / product)
            alone = load(tmp_path / "alone" / product)
            assert {sample.split for sample in alone.samples} == {"pool"}
            assert "1cls.csv is not there" in " ".join(alone.notes)
            assert alone.defects() == whole.defects(product)
        else:
            alone = load(root / product)
            assert alone.layout == miniature.layout
            assert [sample.id for sample in alone.samples] == [sample.id for sample in whole.of(product=product).samples]
            assert all(np.array_equal(a.mask(), b.mask()) for a, b in zip(alone.samples, whole.of(product).samples, strict=True))


def test_a_folder_around_the_data_set_may_be_the_root(made):
    around = load(made.root.parent)
    assert around.layout == made.layout
    assert around.counts() == dict(made.counts)
    assert [sample.id for sample in around.samples] == [sample.id for sample in load(made.root).samples]


@pytest.mark.parametrize("known", LAYOUTS)
def test_a_root_inside_a_product_is_told_which_to_give(known, tmp_path, miniatures):
    miniature = miniatures.KNOWN[known](tmp_path / "data")
    root = miniature.write()
    inside = next(folder for folder in root.rglob("*") if folder.name in ("test", "Images"))
    product = inside.relative_to(root).parts[0]
    with pytest.raises(DataError, match=f"inside the product {product}: give {(root / product).resolve()}") as caught:
        load(inside, known)
    assert caught.value.code == "E_LAYOUT"


@pytest.mark.parametrize("known", LAYOUTS)
def test_a_part_of_a_product_is_never_read_as_the_users_own(known, tmp_path, miniatures):
    miniature = miniatures.KNOWN[known](tmp_path / "data")
    root = miniature.write()
    parts = [folder for folder in root.rglob("*") if folder.is_dir() and len(folder.relative_to(root).parts) in (2, 3, 4)]
    parts = [folder for folder in parts if folder.relative_to(root).parts[0] != "split_csv"]
    assert parts
    for part in parts:
        product = root.resolve() / part.relative_to(root).parts[0]
        with pytest.raises(DataError, match=f"is a part of {product.name}, a product of .*give {product} or what") as caught:
            load(part)
        assert caught.value.code == "E_LAYOUT"


def test_a_part_may_be_insisted_on_and_is_told_by_its_neighbours(tmp_path, miniatures, trees):
    root = miniatures.mvtec(tmp_path / "data").write()
    assert load(root / "wood/test", "folder").counts()[("test", "pool", GOOD)] == 2
    shutil.copytree(root / "wood", tmp_path / "planks")
    with pytest.raises(DataError, match=r"one side of .*, beside ground_truth, train; .* give .*planks") as caught:
        load(tmp_path / "planks/test")
    assert caught.value.code == "E_LAYOUT"
    shutil.copytree(root / "wood/test", tmp_path / "alone/planks/test")
    assert load(tmp_path / "alone/planks/test").layout == "folder"
    own = trees.Tree(tmp_path / "tile/test/mine").images("good", range(3)).images("dent", range(2)).write()
    assert load(own).layout == "folder"


def test_several_data_sets_in_one_folder_are_not_guessed_at(tmp_path, miniatures):
    for name in ("mvtec", "btad"):
        miniatures.KNOWN[name](tmp_path / "all" / name).write()
    with pytest.raises(DataError, match="it holds btad in btad/, mvtec in mvtec/; expected one data set") as caught:
        load(tmp_path / "all")
    assert caught.value.code == "E_LAYOUT"


# Which layout: the names decide


def test_an_own_tree_in_the_same_form_stays_a_folder(tmp_path, trees):
    assert load(trees.mvtec(tmp_path / "own", ["left", "right"]).write()).layout == "folder"
    assert load(trees.mvtec(tmp_path / "other_defects", ["bottle", "cable"]).write()).layout == "folder"
    one_more = trees.Tree(tmp_path / "more")
    for product in ("bottle", "mine"):
        one_more.images(f"{product}/train/good", range(3)).images(f"{product}/test/contamination", range(2))
    assert load(one_more.write()).layout == "folder"
    shutil.rmtree(tmp_path / "more/mine")
    assert load(tmp_path / "more").layout == "mvtec"


def test_names_of_two_data_sets_in_one_form_are_told_apart(tmp_path, trees):
    """BTAD and MVTec AD share the form, `capsule/test/ko` (a conversion by others) has names of neither."""
    tree = trees.Tree(tmp_path / "set")
    for product in ("capsule", "bottle"):
        tree.images(f"{product}/train/good", range(3)).images(f"{product}/test/ko", range(2))
    assert load(tree.write()).layout == "folder"


def test_folders_that_anybody_may_name_so_are_not_taken_for_btad(tmp_path, trees, miniatures):
    own = (
        trees.Tree(tmp_path / "own").images("01/train/ok", range(3)).images("01/test/ok", range(2)).images("01/test/ko", range(2))
    )
    root = own.images("02/train/ok", range(3)).images("02/test/ko", range(2)).write()
    for folder in (root, root / "01"):
        data = load(folder)
        assert (data.layout, data.licence) == ("folder", "not stated")
        assert load(folder, "btad").licence.startswith("CC BY-NC-SA")
    released = miniatures.btad(tmp_path / "released").write()
    shutil.copytree(released, tmp_path / "renamed")
    for folder in (released, released / "03", released.parent, tmp_path / "renamed"):
        assert load(folder).layout == "btad"
    shutil.rmtree(tmp_path / "renamed/02")
    assert load(tmp_path / "renamed").layout == "folder"
    shutil.rmtree(released / "02")
    assert load(released).layout == "btad"


def test_a_data_set_beside_an_image_is_not_guessed_at(tmp_path, miniatures, trees):
    """The root is a folder around a data set only where it holds nothing else."""
    miniatures.mvtec(tmp_path / "all/data").write()
    assert load(tmp_path / "all").layout == "mvtec"
    trees.save(tmp_path / "all/me.png", trees.texture(0))
    with pytest.raises(DataError, match="it holds mvtec in data/; expected one data set: give its folder") as caught:
        load(tmp_path / "all")
    assert caught.value.code == "E_LAYOUT"


def test_normals_alone_are_not_taken_for_a_published_product(tmp_path, trees):
    root = trees.Tree(tmp_path / "tile").images("train/good", range(3)).images("test/good", range(2)).write()
    assert load(root).layout == "folder"
    assert load(root, "mvtec").licence.startswith("CC BY-NC-SA")


@pytest.mark.parametrize("above", ["goods/visa/3d/BTAD", "good", "train/good", "ko"])
def test_names_above_the_root_change_nothing(above, tmp_path, miniatures):
    for name in ("mvtec", "visa_ok_ko"):
        miniature = miniatures.KNOWN[name](tmp_path / above / name)
        data = load(miniature.write())
        assert data.layout == miniature.layout
        assert data.counts() == dict(miniature.counts)


@pytest.mark.parametrize("known", LAYOUTS)
def test_a_tree_of_another_kind_is_refused_with_the_reason(known, tmp_path, trees):
    root = trees.mvtec(tmp_path / "own", ["left"]).write()
    with pytest.raises(DataError, match=rf"{known} wants .*(left is none of its products|it has no such folder)") as caught:
        load(root, known)
    assert caught.value.code == "E_LAYOUT"


def test_an_unknown_defect_is_refused_with_the_reason(tmp_path, miniatures, trees):
    root = miniatures.mvtec(tmp_path / "data").image("wood/test/mould/000.png").write()
    with pytest.raises(DataError, match="wood/test/mould is no defect of its wood"):
        load(root, "mvtec")
    assert load(root).layout == "folder"


def test_an_anomaly_in_train_is_none_of_its_form(tmp_path, miniatures):
    root = miniatures.mvtec(tmp_path / "data").image("wood/train/color/000.png").write()
    with pytest.raises(DataError, match="wood/train/color is a defect outside test"):
        load(root, "mvtec")


def test_what_matches_nothing_is_listed(tmp_path, miniatures):
    root = miniatures.mvtec(tmp_path / "data").image("results/map.png").image("wood/notes/x.png").write()
    opened = open_folder(root)
    assert opened.found.dataset.layout == "mvtec"
    assert opened.found.unmatched == ("results/map.png", "wood/notes/x.png")


def test_a_mask_without_image_is_refused(made):
    image = next(sample for sample in load(made.root).samples if not sample.is_normal and len(sample.source.masks) == 1)
    (made.root / image.source.path).unlink()
    with pytest.raises(DataError, match="belongs to no image") as caught:
        load(made.root)
    assert caught.value.code == "E_ORPHAN_MASK"
    assert caught.value.files == image.source.masks


@pytest.mark.parametrize(
    ("known", "accepted"),
    [
        ("mvtec", "STEM_mask.png"),
        ("btad", "STEM.png or STEM/NAME.png"),
        ("loco", "STEM.png or STEM/NAME.png"),
        ("visa", "STEM.png or STEM/NAME.png"),
        ("visa_pytorch", "STEM.png, STEM_mask.png or STEM/NAME.png"),
    ],
)
def test_a_mask_of_another_name_is_told_those_that_the_layout_takes(known, accepted, tmp_path, miniatures):
    root = miniatures.KNOWN[known](tmp_path / "data").write()
    mask = next(sample for sample in load(root).samples if sample.defect != GOOD).source.masks[0]
    (root / mask).rename(
        (root / mask).with_name("other_gt.png") if known != "loco" else (root / mask).parents[1] / "other_gt.png"
    )
    with pytest.raises(DataError, match=f"expected a mask named {accepted} after an image STEM") as caught:
        load(root)
    assert caught.value.code == "E_ORPHAN_MASK"
    assert "or read the folder with --layout folder" in str(caught.value)


def test_masks_of_other_names_are_read_as_the_message_says(tmp_path, miniatures):
    root = miniatures.mvtec(tmp_path / "data").write()
    for mask in root.rglob("*_mask.png"):
        mask.rename(mask.with_name(mask.name.replace("_mask", "_gt")))
    assert not load(root, "folder").without_masks()


def test_classes_are_declared_in_one_order_with_combined_last(tmp_path, miniatures):
    mvtec = load(miniatures.mvtec(tmp_path / "mvtec").write())
    assert mvtec.classes["wood"] == ("color", "hole", "liquid", "scratch", "combined")
    assert mvtec.classes["bottle"] == ("broken_large", "broken_small", "contamination")
    assert mvtec.combined == {"combined"}
    assert sum(map(len, mvtec.classes.values())) == 73
    bagel = load(miniatures.mvtec3d(tmp_path / "3d").write()).classes["bagel"]
    assert bagel == ("contamination", "crack", "hole", "combined")
    assert load(miniatures.visa(tmp_path / "visa").write()).classes["pcb4"] == (
        "burnt",
        "scratch",
        "missing",
        "damage",
        "extra",
        "wrong_place",
        "dirt",
    )
    assert load(miniatures.wfdd(tmp_path / "wfdd").write()).classes == {}


def test_complete_counts_are_those_of_the_releases(tmp_path, miniatures):
    """Totals of spec datasets.md §1 and §§2-8, from tables that list them per product and defect."""
    totals = {
        "mvtec": (15, 3629 + 467, 1258),
        "loco": (5, 1772 + 304 + 575, 993),
        "mvtec3d": (10, 2656 + 294 + 249, 948),
        "visa": (12, 8659 + 962, 1200),
        "btad": (3, 1799 + 451, 290),
        "mpdd": (6, 888 + 176, 282),
    }
    for name, (products, normals, anomalies) in totals.items():
        expected = load(miniatures.KNOWN[name](tmp_path / name).write()).expected
        assert len({product for product, _ in expected}) == products
        assert sum(count for (_, defect), count in expected.items() if defect == GOOD) == normals
        assert sum(count for (_, defect), count in expected.items() if defect != GOOD) == anomalies


@pytest.mark.parametrize("known", ["mvtec", "mpdd", "wfdd", "btad", "loco", "mvtec3d", "visa_pytorch"])
def test_names_are_read_and_no_image_is_opened(known, tmp_path, miniatures):
    miniature = miniatures.KNOWN[known](tmp_path / "data")
    root = miniature.write()
    for path in root.rglob("*.*"):
        if path.suffix.lower() in (".png", ".bmp", ".jpg", ".tiff"):
            path.write_bytes(b"<html>")
    assert load(root).counts() == dict(miniature.counts)


def test_grey_images_become_three_equal_channels(tmp_path, miniatures):
    data = load(miniatures.mvtec(tmp_path / "data").write(), product="grid")
    grey = [sample for sample in data.samples if sample.is_normal]
    assert {sample.source.header().mode for sample in grey} == {"L"}
    for sample in grey:
        pixels = sample.image()
        assert pixels.ndim == 3
        assert (pixels == pixels[..., :1]).all()


def test_a_complete_data_set_is_complete_and_one_image_less_is_told(tmp_path, miniatures, trees):
    root = tmp_path / "mpdd"
    one = trees.save(tmp_path / "one.png", trees.texture(0, 8, 8)).read_bytes()
    for (product, defect), count in load(miniatures.mpdd(tmp_path / "small").write()).expected.items():
        folder = root / product / "test" / defect
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:03d}.png").write_bytes(one)
        (root / product / "train/good").mkdir(parents=True, exist_ok=True)
        (root / product / "train/good/000.png").write_bytes(one)
        if defect == GOOD:
            (folder / "000.png").unlink()
    assert "W_COUNT" not in {problem.code for problem in check(root, full=False).warnings}
    (root / "tubes/test/anomalous/033.png").unlink()
    told = next(problem.message for problem in check(root, full=False).warnings if problem.code == "W_COUNT")
    assert "tubes anomalous 68/69)" in told


def test_tables_outside_the_root_are_not_read(tmp_path, miniatures):
    loco, visa = miniatures.loco(tmp_path / "loco").write(), miniatures.visa(tmp_path / "visa").write()
    for path in (loco / "pushpins/defects_config.json", visa / "split_csv/1cls.csv"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    with pytest.raises(DataError, match="it is not there") as caught:
        load(loco)
    assert caught.value.code == "E_LABEL"
    assert {sample.split for sample in load(visa).samples} == {"pool"}


def test_licences_are_those_that_the_catalogue_prints(tmp_path, miniatures):
    for name in LAYOUTS:
        mine, printed = load(miniatures.KNOWN[name](tmp_path / name).write()).licence, CATALOGUE[name].licence
        assert mine.split()[:2] == printed.replace(":", "").split()[:2] or (mine.startswith("MIT") and printed.startswith("MIT"))
