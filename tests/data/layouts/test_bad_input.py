"""Bad input of spec datasets.md §17 that concerns trees, on layouts that pair and read in different ways, through the command."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from flawsmith.cli.app import run
from flawsmith.data import load

PLACES = {
    "mvtec": ("wood/train/good/000.png", "wood/test/color/000.png", "wood/ground_truth/color/000_mask.png"),
    "btad": ("03/train/ok/0000.bmp", "03/test/ko/0000.bmp", "03/ground_truth/ko/0000.bmp"),
    "loco": (
        "pushpins/train/good/000.png",
        "pushpins/test/structural_anomalies/000.png",
        "pushpins/ground_truth/structural_anomalies/000/000.png",
    ),
    "mvtec3d": ("bagel/train/good/rgb/000.png", "bagel/test/crack/rgb/000.png", "bagel/test/crack/gt/000.png"),
    "visa": (
        "pcb1/Data/Images/Normal/0000.JPG",
        "pcb1/Data/Images/Anomaly/000.JPG",
        "pcb1/Data/Masks/Anomaly/000.png",
    ),
}


@pytest.fixture(params=PLACES)
def tree(request, tmp_path, miniatures):
    root = miniatures.KNOWN[request.param](tmp_path / "goods" / "data").write()
    normal, anomaly, mask = (root / path for path in PLACES[request.param])
    return request.param, root, normal, anomaly, mask


@pytest.fixture
def refused(capsys):
    """Check a folder that must fail; give back its errors: code → files."""

    def call(root):
        assert run(["data", "check", str(root), "--json"]) == 1
        told = capsys.readouterr()
        assert len(told.err.splitlines()) == 1
        return {error["code"]: error["files"] for error in json.loads(told.out)["errors"]}

    return call


def truncated(path):
    path.write_bytes(path.read_bytes()[:-40])


def web_page(path):
    path.write_text("<html>404</html>")


def nothing(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [truncated, web_page, nothing])
@pytest.mark.parametrize("which", [2, 3, 4])
def test_damaged_files_are_corrupt(spoil, which, tree, refused):
    name, root = tree[:2]
    if spoil is truncated and (name == "btad" or which == 4):
        tree[which].write_bytes(tree[which].read_bytes()[: tree[which].stat().st_size // 2])
    else:
        spoil(tree[which])
    assert refused(root) == {"E_CORRUPT": [str(tree[which])]}


def test_a_palette_mask_is_refused_where_values_are_not_class_ids(tree, refused):
    name, root, _, _, mask = tree
    with Image.open(mask) as picture:
        indexed = Image.fromarray(np.array(picture))
    indexed.putpalette([0, 0, 0, 255, 0, 0] + [0, 0, 255] * 254)
    indexed.save(mask)
    if name == "visa":
        assert run(["data", "check", str(root)]) == 0
    else:
        assert refused(root) == {"E_MODE": [str(mask)]}


def test_a_deep_mask_and_a_jpeg_mask_are_refused(tree, refused):
    name, root, _, _, mask = tree
    with Image.open(mask) as picture:
        values = np.array(picture)
    if name != "btad":  # a BMP is never deep
        Image.fromarray(values.astype(np.uint16) * 257).save(mask, "PNG")
        assert refused(root) == {"E_MODE": [str(mask)]}
    Image.fromarray(values).save(mask.with_suffix(".jpg"))
    mask.unlink()
    assert refused(root) == {"E_MODE": [str(mask.with_suffix(".jpg"))]}


def test_a_mask_one_pixel_too_wide_is_refused(tree, refused):
    _, root, _, _, mask = tree
    with Image.open(mask) as picture:
        values = np.array(picture)
    Image.fromarray(np.pad(values, ((0, 0), (0, 1)))).save(mask)
    assert refused(root) == {"E_SIZE": [str(mask)]}


def test_a_turned_image_is_refused_with_its_orientation(tree, capsys):
    name, root, _, anomaly, mask = tree
    if name == "btad":
        pytest.skip("a BMP has no EXIF")
    with Image.open(anomaly) as picture:
        turned = np.array(picture)[: picture.height - 2]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(turned).save(anomaly, exif=exif)
    with Image.open(mask) as picture:
        values = np.array(picture)[: picture.height - 2]
    Image.fromarray(values).save(mask)
    assert run(["data", "check", str(root)]) == 1
    assert "EXIF" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".jpg", ".PNG", ".bmp"])
def test_one_stem_twice_is_refused(suffix, tree, refused):
    _, root, normal, _, _ = tree
    twin = normal.with_suffix(suffix if suffix != normal.suffix else ".tif")
    shutil.copy(normal, twin)
    found = refused(root)
    assert set(found["E_AMBIGUOUS_PAIR"]) == {str(path.relative_to(root)) for path in (normal, twin)}


def test_names_with_spaces_and_other_letters_are_read(tree):
    name, root, _, anomaly, mask = tree
    new = "gänse füßchen 好"
    anomaly.rename(anomaly.with_name(anomaly.name.replace(anomaly.stem, new)))
    of_image = mask.parent if name == "loco" else mask
    of_image.rename(of_image.with_name(of_image.name.replace(anomaly.stem, new)))
    for table in root.rglob("*.csv"):
        content = table.read_text(encoding="utf-8")
        for folder in ("pcb1/Data/Images/Anomaly", "pcb1/Data/Masks/Anomaly"):
            content = content.replace(f"{folder}/000", f"{folder}/{new}")
        table.write_text(content, encoding="utf-8")
    found = [sample for sample in load(root).samples if sample.id.endswith(new)]
    assert len(found) == 1
    assert found[0].mask().any()


def test_links_round_in_a_circle_are_left_aside(tree):
    _, root, normal, _, _ = tree
    (normal.parent / "round").symlink_to(root)
    (normal.parent / "loop.png").symlink_to(normal.parent / "loop.png")
    before = len(load(root))
    assert any("2 symbolic links" in note for note in load(root).notes)
    (normal.parent / "round").unlink()
    (normal.parent / "loop.png").unlink()
    assert len(load(root)) == before


def test_hidden_files_are_left_aside(tree, capsys):
    _, root, normal, anomaly, mask = tree
    for path in (normal, anomaly, mask):
        shutil.copy(path, path.parent / f"._{path.name}")
        (path.parent / ".ipynb_checkpoints").mkdir()
        shutil.copy(path, path.parent / ".ipynb_checkpoints" / path.name)
    assert run(["data", "check", str(root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["hidden"]["count"] == 6
    assert not told["unmatched"]["count"]


def test_no_product_at_all_is_refused(tree, capsys):
    name, root, *_ = tree
    for child in root.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
    assert run(["data", "check", str(root), "--layout", name]) == 1
    assert capsys.readouterr().err.startswith("flawsmith: E_LAYOUT: ")
