import cv2
import numpy as np
import pytest

from flawsmith.appearance.procedural import KINDS, render
from flawsmith.appearance.textures import ProceduralTextures, open_bank
from flawsmith.core.errors import BadParameter, DataError, NeedUnmet, UnknownName
from flawsmith.core.seeding import Seed
from flawsmith.data.resize import resize_image
from flawsmith.testing.toy import toy_normals


def write(path, value, size=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (32, 61), (90, 40)])
def test_procedural_textures_have_structure_and_repeat(kind, size):
    one, again = (render(Seed(3, (kind,)), size, kind) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.shape == (*size, 3)
    assert one.dtype == np.uint8
    assert one.std() > 2


def test_procedural_banks_differ_by_item_and_seed():
    bank = ProceduralTextures()
    pictures = [bank.image(k, (48, 48)).tobytes() for k in range(30)]
    assert len(set(pictures)) == 30
    assert ProceduralTextures(seed=1).image(0, (48, 48)).tobytes() != pictures[0]
    assert bank.name(7) == "procedural/7-marble"


def test_fractals_take_their_hue_from_the_density_of_their_points():
    for seed in range(20):
        picture = render(Seed(seed), (96, 128), "fractal")
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV_FULL).astype(int)
        assert np.ptp(hsv[..., 2]) <= 1
        assert 0.5 * 255 - 1 <= hsv[..., 2].mean() <= 255
        assert 0.3 * 255 - 3 <= np.median(hsv[..., 1]) <= 255
        assert len(np.unique(hsv[..., 0])) > 20


def test_large_textures_are_enlarged():
    assert ProceduralTextures().image(2, (700, 900)).shape == (700, 900, 3)


def test_hidden_files_and_folders_are_no_textures(tmp_path):
    for name in ("a/seen.png", ".out.partial/p/draem/image/0.png", "a/.unfinished.png", "a/.git/0.png"):
        write(tmp_path / ".above" / name, 1)
    bank = open_bank(str(tmp_path / ".above"))
    assert [bank.name(k) for k in range(len(bank))] == ["a/seen.png"]


def test_folders_are_searched_with_their_subfolders(tmp_path):
    write(tmp_path / "b" / "x.png", 10)
    write(tmp_path / "a.jpg", 200)
    (tmp_path / "notes.txt").write_text("no picture")
    bank = open_bank(str(tmp_path))
    assert [bank.name(k) for k in range(len(bank))] == ["a.jpg", "b/x.png"]
    picture = bank.image(1, (16, 8))
    assert picture.shape == (16, 8, 3)
    assert (picture == 10).all()
    assert not picture.flags.writeable


@pytest.mark.parametrize("size", [(16, 8), (20, 30), (300, 250), (12, 90)])
def test_folders_are_squashed_as_images_are_resized_anywhere(tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "x.png"), pixels[..., ::-1])
    picture = open_bank(str(tmp_path)).image(0, size)
    np.testing.assert_array_equal(picture, resize_image(pixels, size))
    assert not picture.flags.writeable


def test_the_layout_of_dtd_is_read(tmp_path):
    for category in ("banded", "woven"):
        for number in (1, 2):
            write(tmp_path / "dtd" / "images" / category / f"{category}_000{number}.jpg", 90)
    bank = open_bank(str(tmp_path / "dtd"))
    assert [bank.name(k) for k in range(len(bank))] == [
        "images/banded/banded_0001.jpg",
        "images/banded/banded_0002.jpg",
        "images/woven/woven_0001.jpg",
        "images/woven/woven_0002.jpg",
    ]


def test_some_of_many_are_spread_over_all(tmp_path):
    for value in range(10):
        write(tmp_path / f"{value}.png", 10 * value)
    some = open_bank(str(tmp_path), most=4)
    assert [some.name(k) for k in range(len(some))] == ["0.png", "2.png", "5.png", "7.png"]
    assert (some.image(2, (8, 8)) == 50).all()
    assert len(open_bank(str(tmp_path), most=11)) == 10
    assert len(open_bank("procedural", most=7)) == 7


def test_a_broken_texture_names_its_file(tmp_path):
    (tmp_path / "x.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"x\.png"):
        open_bank(str(tmp_path)).image(0, (16, 16))


def test_normals_as_textures():
    normals = toy_normals(2, Seed(0), 40)
    bank = open_bank("normals", normals)
    assert bank.name(1) == normals[1].id
    np.testing.assert_array_equal(bank.image(1, (40, 40)), normals[1].image())
    with pytest.raises(NeedUnmet, match="normal pictures"):
        open_bank("normals")


def test_normals_of_one_name_do_not_mix():
    for seed in range(3):
        normals = toy_normals(1, Seed(seed), 40)
        np.testing.assert_array_equal(open_bank("normals", normals).image(0, (40, 40)), normals[0].image())


@pytest.mark.parametrize(
    ("word", "error", "told"),
    [
        ("procedual", UnknownName, "did you mean procedural?"),
        ("dtd", UnknownName, "needs a slash"),
        ("./no/such/folder", BadParameter, "no folder"),
    ],
)
def test_refuses_sources_that_are_not_there(word, error, told):
    with pytest.raises(error) as caught:
        open_bank(word)
    assert told in str(caught.value)


def test_refuses_a_folder_without_pictures(tmp_path):
    with pytest.raises(BadParameter, match="holds no picture"):
        open_bank(str(tmp_path))
