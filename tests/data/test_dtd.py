"""DTD: recognised, counted, never taken for parts; its textures have one name, whichever folder is given."""

import importlib.util
from pathlib import Path

import pytest

from flawsmith.appearance.textures import open_bank
from flawsmith.cli.app import run
from flawsmith.core.errors import DataError
from flawsmith.data import load
from flawsmith.data.dtd import CLASSES, COUNT, count_note, dtd_images, is_dtd
from flawsmith.synthesis.draem import Draem

NAMES = [
    f"{name}/{name}_000{number}.jpg"
    for name in ("banded", "cracked", "dotted", "grid", "polka-dotted", "zigzagged")
    for number in (1, 2)
]


@pytest.fixture(scope="session")
def miniatures():
    spec = importlib.util.spec_from_file_location("flawsmith_test_miniatures", Path(__file__).with_name("miniatures.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dtd(tmp_path, miniatures):
    return miniatures.dtd(tmp_path / "dtd").write()


def test_the_release_has_47_classes_of_120():
    assert len(CLASSES) == 47
    assert COUNT == 5640


@pytest.mark.parametrize("inner", [".", "images"])
def test_the_release_and_its_images_are_the_same_textures(dtd, inner):
    bank = open_bank(str(dtd / inner))
    assert [bank.name(index) for index in range(len(bank))] == NAMES
    assert bank.image(3, (20, 30)).shape == (20, 30, 3)
    assert dtd_images(dtd / inner) == dtd / "images"


def test_labels_are_not_textures(dtd):
    (dtd / "labels" / "page.png").write_bytes((dtd / "images/grid/grid_0001.jpg").read_bytes())
    assert len(open_bank(str(dtd))) == 12


@pytest.mark.parametrize("inner", [".", "images"])
def test_as_a_data_set_it_says_what_it_is_and_how_to_use_it(dtd, inner, capsys):
    assert run(["data", "check", str(dtd / inner)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("flawsmith: E_LAYOUT: ")
    assert "is DTD, with 12/5640 pictures: a source of textures" in lines[0]
    assert f"flawsmith synth DIR --synth draem --set draem.textures={dtd / inner}" in lines[0]


def test_every_command_that_reads_photographs_says_so(dtd, capsys, tmp_path):
    with pytest.raises(DataError, match="is DTD"):
        load(dtd)
    assert run(["train", str(dtd), "--detector", "patchcore", "--out", str(tmp_path / "model")]) == 1
    assert "a source of textures" in capsys.readouterr().err


def test_it_is_known_by_its_classes_not_by_its_name(tmp_path, miniatures):
    parts = miniatures.trees.pool(tmp_path / "dtd", bad=("cracked", "stained", "pitted")).write()
    assert load(parts).layout.startswith("folder")
    assert dtd_images(parts) is None
    assert is_dtd(["banded", "cracked", "dotted", "grid", "woven"])
    assert not is_dtd(["cracked", "stained", "pitted", "smeared"])
    assert not is_dtd(["cracked", "stained", "pitted", "smeared", "bumpy", "good"])


def test_an_incomplete_release_is_counted(dtd, tmp_path):
    assert count_note(dtd, COUNT) is None
    assert count_note(tmp_path, 12) is None
    (warning,) = Draem(textures=str(dtd)).heritage.warnings
    assert warning.startswith(f"W_COUNT: {dtd} is DTD with 12/5640 pictures")
    assert Draem(textures="procedural").heritage.warnings == ()
