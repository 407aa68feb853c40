"""`flawsmith data check` as a user types it: exit code, stdout, and exactly one line on stderr where something is wrong."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flawsmith.cli.app import run

AS_NOBODY = """
import os, sys
from flawsmith.cli.app import run
run(["data", "check", sys.argv[1]])
print("as nobody", flush=True)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(run(["data", "check", sys.argv[1]]))
"""


@pytest.fixture(scope="session")
def trees():
    spec = importlib.util.spec_from_file_location("flawsmith_test_trees", Path(__file__).parents[1] / "data/trees.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def parts(tmp_path, trees):
    return trees.pool(tmp_path / "parts").write()


@pytest.fixture
def refused(capsys):
    """Run a command that must fail; give back its one line."""

    def call(*arguments, code, exit_code=1):
        assert run(["data", "check", *map(str, arguments)]) == exit_code
        told = capsys.readouterr()
        return one_line(told.err, code)

    return call


def one_line(stderr, code):
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith(f"flawsmith: {code}: ")
    assert "Traceback" not in stderr
    return lines[0]


def expects(line, value):
    assert value in line
    assert "; expected " in line
    assert line.rpartition(": ")[2]


def test_a_clean_folder_is_told_with_the_next_command(parts, capsys):
    assert run(["data", "check", str(parts)]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "14 images, 1 product" in told.out
    assert "because of good/ beside one folder per defect" in told.out
    assert "6 train normals" in told.out
    assert told.out.splitlines()[-1].endswith(f"flawsmith train {parts} --detector patchcore --out runs/model")


def test_normals_alone_lead_to_synth(tmp_path, trees, capsys):
    root = trees.Tree(tmp_path / "my tiles").images(".", range(3)).write()
    assert run(["data", "check", str(root)]) == 0
    assert f"flawsmith synth '{root}' --synth" in capsys.readouterr().out.splitlines()[-1]


def test_json_is_one_document_also_where_something_is_wrong(parts, capsys):
    assert run(["data", "check", str(parts), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert document["images"] == 14
    assert document["next"].startswith("flawsmith train")
    (parts / "good/1.png").write_bytes(b"")
    assert run(["data", "check", str(parts), "--json"]) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["errors"][0]["code"] == "E_CORRUPT"
    one_line(told.err, "E_CORRUPT")
    assert run(["data", "check", str(parts / "nowhere"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "E_ROOT"


def test_help_shows_an_example(capsys):
    assert run(["data", "check", "--help"]) == 0
    assert "flawsmith data check tiles/" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_no_images(tmp_path, refused, kind):
    root = tmp_path / "root"
    if kind == "file":
        root.write_text("x")
    if kind == "empty":
        root.mkdir()
    expects(refused(root, code="E_LAYOUT" if kind == "empty" else "E_ROOT"), str(root))


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    "damage", [truncate, lambda path: path.write_bytes(b""), lambda path: path.write_text("<html>not found</html>")]
)
@pytest.mark.parametrize("place", ["good/3.png", "masks/dents/2.png"])
def test_damaged_files(parts, refused, damage, place):
    damage(parts / place)
    expects(refused(parts, code="E_CORRUPT"), str(parts / place))


def test_deep_and_palette_masks(parts, refused):
    mask = parts / "masks/dents/2.png"
    Image.fromarray(np.array(Image.open(mask)).astype(np.uint16) * 257).save(mask)
    expects(refused(parts, code="E_MODE"), "more than 8 bits")
    Image.fromarray(np.zeros((36, 44), np.uint8)).convert("P").save(mask)
    expects(refused(parts, code="E_MODE"), "palette")
    mask.unlink()
    Image.fromarray(np.zeros((36, 44), np.uint8)).save(mask.with_suffix(".jpg"))
    expects(refused(parts, code="E_MODE"), "JPEG")


def test_a_mask_one_pixel_off(parts, refused, trees):
    trees.save(parts / "masks/dents/2.png", trees.blob(width=45))
    expects(refused(parts, code="E_SIZE"), "45×36")


def test_an_image_turned_by_exif(parts, refused, trees):
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.save(parts / "dents/2.png", trees.texture(44), exif=exif)
    expects(refused(parts, code="E_SIZE"), "EXIF")


def test_a_defect_folder_without_masks_where_they_were_asked_for(tmp_path, trees, refused, capsys):
    root = trees.Tree(tmp_path / "parts").images("good", range(4)).images("bad", range(2)).write()
    assert run(["data", "check", str(root)]) == 0
    capsys.readouterr()
    expects(refused(root, "--masks", code="E_MISSING_MASK"), "2 such images")


def test_one_mask_of_many_is_missing(parts, refused):
    (parts / "masks/dents/2.png").unlink()
    expects(refused(parts, code="E_MISSING_MASK"), str(parts / "dents/2.png"))


def test_pixels_asked_of_cells(tmp_path, trees, refused):
    root = trees.elpv(tmp_path / "cells", [("0.0", "mono")] * 3 + [("1.0", "mono")]).write()
    expects(refused(root, "--masks", code="E_NO_PIXEL_GT"), "elpv has no pixel masks")


def test_one_stem_twice(parts, refused, trees):
    trees.save(parts / "good/1.jpg", trees.texture(50))
    line = refused(parts, code="E_AMBIGUOUS_PAIR")
    expects(line, "1.jpg")


def test_an_orphan_mask(parts, refused, trees):
    trees.save(parts / "masks/dents/99.png", trees.blob())
    expects(refused(parts, code="E_ORPHAN_MASK"), str(parts / "masks/dents/99.png"))


def test_a_copy_on_both_sides(tmp_path, trees, refused):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).write()
    shutil.copy(root / "bottle/train/good/000.png", root / "bottle/test/good/900.png")
    expects(refused(root, code="E_DUPLICATE"), "same picture")


def test_two_readings(tmp_path, trees, refused):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).images("good", range(3)).write()
    expects(refused(root, code="E_LAYOUT"), "2 ways")


def test_several_problems_are_one_line(parts, refused, trees):
    (parts / "good/1.png").write_bytes(b"")
    trees.save(parts / "masks/dents/2.png", trees.blob(width=45))
    line = refused(parts, code="E_SIZE")
    assert "1 E_SIZE, 1 E_CORRUPT" in line
    expects(line, "45×36")


def test_an_unknown_layout(parts, refused):
    assert "did you mean folder" in refused(parts, "--layout", "foldr", code="E_UNKNOWN", exit_code=2)
    assert "did you mean normal or" in refused(parts, "--layout", "folder:norml=x", code="E_PARAMETER", exit_code=2)
    assert "did you mean parts?" in refused(parts, "--product", "prts", code="E_UNKNOWN", exit_code=2)


def test_unicode_spaces_and_a_folder_called_goods(tmp_path, trees, capsys):
    root = trees.pool(tmp_path / "goods" / "Teile für Prüfung", bad=["Kratzer quer", "孔"]).write()
    assert run(["data", "check", str(root)]) == 0
    out = capsys.readouterr().out
    assert "Kratzer quer" in out
    assert "孔" in out


def test_a_circle_of_links(parts, capsys):
    (parts / "good/round").symlink_to(parts)
    (parts / "loop.png").symlink_to(parts / "loop.png")
    assert run(["data", "check", str(parts)]) == 0
    assert "2 symbolic links" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("place", [".", "good"])
def test_an_unreadable_folder(trees, place):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root = trees.pool(Path(folder) / "parts").write()
        (root / place).chmod(0o700)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, root], capture_output=True, text=True, cwd="/")
        assert done.returncode == 1
        assert done.stdout.partition("as nobody\n")[2] == ""
        expects(one_line(done.stderr, "E_ROOT"), "Permission denied")


@pytest.mark.elpv
def test_the_cells_of_the_installed_package(elpv, capsys):
    assert run(["data", "check", "elpv", "--product", "mono", "--headers"]) == 0
    out = capsys.readouterr().out
    assert "901 images" in out
    assert out.splitlines()[-1].endswith("flawsmith train elpv --product mono --detector patchcore --out runs/model")
