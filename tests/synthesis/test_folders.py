import os

import pytest

from flawsmith.core.errors import DataError, UsageError
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import parse_methods
from flawsmith.synthesis import confined
from flawsmith.synthesis.destseg import DeSTSeg
from flawsmith.synthesis.folders import folder_named, refuse_textures_from, state_of, with_absolute_folders


@pytest.mark.parametrize(
    ("parameter", "value", "place"),
    [
        ("textures", "./dtd", "dtd"),
        ("foreground", "masks/", "masks"),
        ("objects", "../masks", "../masks"),
        ("foreground", "model:net", "net"),
        ("foreground", "model:./net", "net"),
        ("folder", "made_before", "made_before"),
        ("textures", "procedural", None),
        ("foreground", "auto", None),
        ("foreground", "threshold:100,bright", None),
        ("foreground", "model", None),
        ("folder", "", None),
        ("color", "./dtd", None),
    ],
)
def test_a_parameter_names_a_folder_where_its_reader_would_open_one(parameter, value, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_named(parameter, value) == (None if place is None else tmp_path / place)


def test_a_recipe_names_whole_paths_for_its_members_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    member = MethodRecipe(name="draem", params={"textures": "./dtd", "foreground": "model:net"})
    before = MethodRecipe(name="precomputed", params={"folder": "set"})
    mix = MethodRecipe(
        name="mix", params={"members": [{"method": m.model_dump(mode="json"), "weight": 1} for m in (member, before)]}
    )
    first, second = (told["method"]["params"] for told in with_absolute_folders(mix).params["members"])
    assert first == {"textures": str(tmp_path / "dtd"), "foreground": f"model:{tmp_path / 'net'}"}
    assert second == {"folder": str(tmp_path / "set")}
    assert with_absolute_folders(MethodRecipe(name="draem", params=first)).params == first


def test_state_is_of_names_sizes_and_times_in_any_depth(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "0.png").write_bytes(b"0")
    states = [state_of([tmp_path])]
    os.utime(inner / "0.png", (1, 1))
    states.append(state_of([tmp_path]))
    (inner / "0.png").rename(inner / "1.png")
    states.append(state_of([tmp_path]))
    (inner / "2.png").write_bytes(b"0")
    states.append(state_of([tmp_path]))
    assert len(set(states)) == 4
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "3.png").write_bytes(b"0")
    (inner / ".hidden.png").write_bytes(b"0")
    (inner / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    assert state_of([tmp_path]) == states[-1]
    assert state_of([]) == ""


def test_a_link_to_the_photographs_is_seen_through(tiles, tmp_path):
    photograph = tiles.root / "test" / "good" / "t.png"
    (tmp_path / "folder").symlink_to(photograph.parent)
    for name in ("soft", "hard", "tiles_of_others"):
        (tmp_path / name).mkdir()
    (tmp_path / "soft" / "0.png").symlink_to(photograph)
    (tmp_path / "hard" / "0.png").hardlink_to(photograph)
    (tmp_path / "tiles_of_others" / "t.png").write_bytes(b"another")
    for name in ("folder", "soft", "hard"):
        with pytest.raises(DataError, match=rf"destseg takes its textures from .*{name}.*photographs in .*textures=normals"):
            refuse_textures_from(tiles, {"destseg": DeSTSeg(textures=str(tmp_path / name)).heritage})
    refuse_textures_from(tiles, {"destseg": DeSTSeg(textures=str(tmp_path / "tiles_of_others")).heritage})


def test_masks_beside_the_images_are_no_leak(tiles):
    refuse_textures_from(tiles, {"destseg": DeSTSeg(foreground=str(tiles.root / "ground_truth")).heritage})


def test_a_foreground_for_all_leaves_those_alone_that_take_none():
    asked = parse_methods("draem,precomputed,nsa", ["precomputed.folder=set"])
    told = [member.method.params.get("foreground") for member in confined(asked, "auto")]
    assert told == ["auto", None, "auto"]
    assert confined(asked, None) == asked


@pytest.mark.parametrize(
    ("methods", "told"), [("precomputed", "of precomputed, which takes none"), ("", "no synthesizer takes part")]
)
def test_a_foreground_that_nobody_takes_is_refused(methods, told):
    with pytest.raises(UsageError, match=rf"foreground=auto .*{told}"):
        confined(parse_methods(methods) if methods else (), "auto")


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_a_copy_of_a_photograph_is_recognised_by_its_pixels(tiles, tmp_path, suffix):
    import cv2
    import numpy as np

    pixels = cv2.imread(str(tiles.root / "test" / "good" / "t.png"))
    folder = tmp_path / "textures"
    (folder / "some").mkdir(parents=True)
    cv2.imwrite(str(folder / "some" / f"renamed.{suffix}"), np.ascontiguousarray(np.rot90(pixels)))
    cv2.imwrite(str(folder / f"other.{suffix}"), pixels // 2)
    heritage = {"destseg": DeSTSeg(textures=str(folder)).heritage}
    told = rf"some/renamed\.{suffix} is a copy of the photograph .*t\.png; expected other pictures.*textures=normals"
    with pytest.raises(DataError, match=told) as caught:
        refuse_textures_from(tiles, heritage)
    assert caught.value.code == "E_SYNTHETIC"
    (folder / "some" / f"renamed.{suffix}").unlink()
    refuse_textures_from(tiles, heritage)


def test_training_and_synthesis_refuse_a_copy_before_any_work(tiles, tmp_path, capsys):
    import shutil

    from flawsmith.cli.app import run

    (tmp_path / "textures").mkdir()
    shutil.copy(tiles.root / "test" / "good" / "t.png", tmp_path / "textures" / "innocent.png")
    textures = f"draem.textures={tmp_path / 'textures'}"
    data = str(tiles.root)
    for command in (
        ["synth", data, "--synth", "draem", "--set", textures, "-n", "2", "--out", str(tmp_path / "out")],
        ["train", data, "--detector", "memseg", "--synth", "draem", "--set", textures, "--out", str(tmp_path / "out")],
    ):
        assert run(command) == 1
        told = capsys.readouterr().err
        assert told.startswith("flawsmith: E_SYNTHETIC: draem takes its textures from ")
        assert "innocent.png is a copy of the photograph" in told
        assert not (tmp_path / "out").exists()
