import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from flawsmith.appearance import picture_store, textures
from flawsmith.appearance.picture_store import PictureStore, state_of_file
from flawsmith.appearance.procedural import render, state_of_code
from flawsmith.appearance.textures import ProceduralTextures
from flawsmith.core.errors import DataError
from flawsmith.core.seeding import Seed

SIZE = (40, 30)


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "photograph.png"
    file.write_bytes(b"12345")
    return file


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


class Maker:
    """Makes a picture of one value, and counts."""

    def __init__(self, value=7):
        self.value, self.calls = value, 0

    def __call__(self):
        self.calls += 1
        return np.full((20, 10, 3), self.value, np.uint8)


def get(store, source, size, make):
    return store.get(str(source), state_of_file(source), size, make)


def kept_files(folder):
    return sorted(folder.rglob("*.pixels"))


def test_a_picture_is_made_once_and_read_only(folder, source):
    make = Maker()
    one, another = PictureStore(folder), PictureStore(folder)
    for store in (one, one, another):
        picture = get(store, source, SIZE, make)
        assert (picture == 7).all()
        assert picture.shape == (20, 10, 3)
        assert not picture.flags.writeable
    assert make.calls == 1
    assert not [file for file in folder.rglob("*") if "partial" in file.name]


def test_each_size_is_a_picture_of_its_own(folder, source):
    store, make = PictureStore(folder), Maker()
    get(store, source, (40, 30), make)
    get(store, source, (30, 40), make)
    assert make.calls == 2
    assert len(kept_files(folder)) == 2


def test_a_changed_source_is_noticed_and_the_old_picture_goes(folder, source):
    store = PictureStore(folder)
    get(store, source, SIZE, Maker(1))
    source.write_bytes(b"123456")
    assert (get(store, source, SIZE, Maker(2)) == 2).all()
    os.utime(source, ns=(1, 1))
    assert (get(store, source, SIZE, Maker(3)) == 3).all()
    assert len(kept_files(folder)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-1],
        lambda data: data + b"0",
        lambda data: data[:-4] + b"\0\0\0\0",
        lambda data: b"\0" * len(data),
        lambda data: b"an old format" + data[13:],
    ],
)
def test_a_damaged_file_is_made_again(folder, source, damage):
    get(PictureStore(folder), source, SIZE, Maker())
    (file,) = kept_files(folder)
    file.write_bytes(damage(file.read_bytes()))
    make = Maker()
    assert (get(PictureStore(folder), source, SIZE, make) == 7).all()
    assert make.calls == 1
    assert (get(PictureStore(folder), source, SIZE, make) == 7).all()
    assert make.calls == 1


def test_a_disk_that_refuses_costs_one_warning_and_no_picture(tmp_path, source):
    (tmp_path / "file").write_text("in the way")
    store, make = PictureStore(tmp_path / "file" / "kept"), Maker()
    with pytest.warns(UserWarning, match=r"cannot be kept in .*kept .*set FLAWSMITH_CACHE"):
        assert (get(store, source, SIZE, make) == 7).all()
    assert (get(store, source, SIZE, make) == 7).all()
    assert (get(store, source, (9, 9), make) == 7).all()
    assert make.calls == 2


def test_a_full_disk_leaves_no_half_file(folder, source, monkeypatch):
    def full(self, data):
        with self.open("wb") as stream:
            stream.write(data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert (get(PictureStore(folder), source, SIZE, Maker()) == 7).all()
    monkeypatch.undo()
    assert [file.name for file in folder.rglob("*") if file.is_file()] == ["lock"]


def test_beyond_its_limit_new_pictures_stay_in_memory(folder, tmp_path):
    store, make = PictureStore(folder, limit=3 * (64 + 600)), Maker()
    sources = [tmp_path / f"{k}.png" for k in range(5)]
    for source in sources:
        source.write_bytes(b"1")
    for source in sources[:3]:
        get(store, source, SIZE, make)
    with pytest.warns(UserWarning, match="have filled"):
        get(store, sources[3], SIZE, make)
    for source in sources:
        get(store, source, SIZE, make)
    assert len(kept_files(folder)) == 3
    assert make.calls == 5
    with pytest.warns(UserWarning, match="have filled"):
        get(PictureStore(folder, limit=100), sources[4], (1, 1), make)


def test_a_full_folder_lets_go_what_was_not_used_for_long(folder, tmp_path):
    one, day = 64 + 600, 86400
    for k in range(4):
        get(PictureStore(folder), tmp_path / f"{k}.png", SIZE, Maker(k))
        (file,) = (file for file in kept_files(folder) if file.stat().st_mtime > day * 10)
        os.utime(file, (file.stat().st_mtime - (4 - k) * day, k))
    get(PictureStore(folder), tmp_path / "0.png", SIZE, Maker())  # the oldest is used now
    store = PictureStore(folder, limit=4 * one)
    with open(next(file for file in kept_files(folder) if file.stat().st_mtime == 1), "rb") as stream:  # noqa: PTH123
        get(store, tmp_path / "4.png", SIZE, Maker(4))
        assert len(stream.read()) == one
    assert sorted(int(file.stat().st_mtime) for file in kept_files(folder))[:3] == [0, 2, 3]
    assert len(kept_files(folder)) == 4
    assert (get(store, tmp_path / "1.png", SIZE, Maker(1)) == 1).all()


def test_a_full_folder_keeps_what_is_in_use(folder, tmp_path):
    for k in range(2):
        get(PictureStore(folder), tmp_path / f"{k}.png", SIZE, Maker(k))
    with pytest.warns(UserWarning, match="have filled"):
        get(PictureStore(folder, limit=2 * 664), tmp_path / "2.png", SIZE, Maker(2))
    assert len(kept_files(folder)) == 2


def test_files_that_go_while_they_are_counted_do_not_count(folder, tmp_path, monkeypatch):
    for k in range(3):
        get(PictureStore(folder), tmp_path / f"{k}.png", SIZE, Maker(k))
    gone, stat = kept_files(folder)[0], Path.stat
    (folder / "note.txt").write_text("not ours")
    (gone.parent / "note.txt").write_text("not ours")

    def stat_of_the_rest(self, **more):
        if self == gone:
            raise FileNotFoundError(2, "gone")
        return stat(self, **more)

    monkeypatch.setattr(Path, "stat", stat_of_the_rest)
    assert picture_store._bytes_in(folder) == 2 * 664


def test_a_first_warning_does_not_hide_another(folder, tmp_path):
    store = PictureStore(folder, limit=0)
    with pytest.warns(UserWarning, match="have filled"):
        get(store, tmp_path / "1.png", SIZE, Maker())
    get(store, tmp_path / "2.png", SIZE, Maker())
    folder.rename(folder.with_name("moved"))
    folder.write_text("in the way")
    with pytest.warns(UserWarning, match="cannot be kept"):
        get(store, tmp_path / "3.png", SIZE, Maker())


def test_a_source_that_cannot_be_read_says_so(folder, tmp_path):
    def make():
        raise DataError("E_CORRUPT", "gone")

    with pytest.raises(DataError, match="gone"):
        get(PictureStore(folder), tmp_path / "nowhere.png", SIZE, make)
    (tmp_path / "broken.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match="gone"):
        get(PictureStore(folder), tmp_path / "broken.png", SIZE, make)
    assert not kept_files(folder)


def test_only_so_many_pictures_stay_mapped(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(picture_store, "OPEN_BYTES", 3 * 600)
    store = PictureStore(folder)
    for k in range(8):
        (tmp_path / f"{k}.png").write_bytes(b"1")
        get(store, tmp_path / f"{k}.png", SIZE, Maker(k))
    with open("/proc/self/maps") as maps:  # noqa: PTH123
        assert sum(str(folder) in line for line in maps) == 3


def test_computed_textures_are_kept_too_and_made_again_by_other_code(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path))
    rendered, expected = [], render(Seed(0, ("texture", 1)), (64, 48), "marble")
    monkeypatch.setattr(textures, "render", lambda seed, size, kind: rendered.append(kind) or render(seed, size, kind))
    for _ in range(2):
        picture_store._store_in.cache_clear()
        np.testing.assert_array_equal(ProceduralTextures().image(1, (64, 48)), expected)
    assert rendered == ["marble"]
    monkeypatch.setattr(textures, "state_of_code", lambda: "changed")
    ProceduralTextures().image(1, (64, 48))
    assert rendered == ["marble", "marble"]
    assert len(kept_files(tmp_path)) == 1


def test_the_state_of_the_code_is_told_once():
    assert state_of_code() == state_of_code()
    assert len(state_of_code()) == 64


def test_the_environment_says_where(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "common"))
    assert picture_store.picture_store().folder == tmp_path / "own" / "textures"
    assert picture_store.picture_store() is picture_store.picture_store()
    monkeypatch.delenv("FLAWSMITH_CACHE")
    assert picture_store.picture_store().folder == tmp_path / "common" / "flawsmith" / "textures"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert picture_store.picture_store().folder == tmp_path / ".cache" / "flawsmith" / "textures"


@pytest.fixture
def without_home(tmp_path, monkeypatch):
    """A function that opens the store of a user without a home, and the folder that it may take."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    picture_store._store_in.cache_clear()
    yield lambda: picture_store._store_in("~no_such_user/x"), tmp_path / f"flawsmith-{os.getuid()}"
    picture_store._store_in.cache_clear()


def test_a_user_without_a_home_has_a_folder_alone(without_home, source):
    opened, own = without_home
    get(opened(), source, SIZE, Maker())
    assert own.stat().st_mode & 0o777 == 0o700
    assert len(kept_files(own / "textures")) == 1
    picture_store._store_in.cache_clear()
    make = Maker()
    assert (get(opened(), source, SIZE, make) == 7).all()
    assert make.calls == 0


def test_a_folder_that_another_took_first_is_neither_written_nor_read(without_home, source, tmp_path):
    opened, own = without_home
    (tmp_path / "victim").mkdir()
    own.symlink_to(tmp_path / "victim")
    refused_store_makes_pictures(opened(), source)
    assert not list((tmp_path / "victim").iterdir())
    own.unlink()
    picture_store._store_in.cache_clear()
    own.mkdir()
    own.chmod(0o777)
    planted = source.with_name("planted.png")
    get(PictureStore(own / "textures"), planted, SIZE, Maker(9))
    refused_store_makes_pictures(opened(), planted)


def refused_store_makes_pictures(store, source):
    make = Maker()
    with pytest.warns(UserWarning, match=r"cannot be kept in .*flawsmith-\d+/textures \(it is no folder of this user alone\)"):
        assert (get(store, source, SIZE, make) == 7).all()
    assert make.calls == 1


def test_a_folder_of_another_user_is_refused(without_home, source, monkeypatch):
    opened, own = without_home
    own.mkdir(mode=0o700)
    owner = own.stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    own.rename(own.with_name(f"flawsmith-{owner + 1}"))
    refused_store_makes_pictures(opened(), source)


READ_ALL = """
import hashlib, sys
from flawsmith.appearance import textures
decoded, read = [], textures.read_image
textures.read_image = lambda path: decoded.append(path) or read(path)
bank = textures.open_bank(sys.argv[1])
told = hashlib.sha256()
for index in range(len(bank)):
    told.update(bank.image(index, (64, 48)).tobytes())
print(told.hexdigest(), len(decoded))
"""


def test_two_processes_decode_each_picture_once_and_see_the_same(tmp_path):
    rng = np.random.default_rng(0)
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for k in range(30):
        pixels = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (500, 400))
        cv2.imwrite(str(photographs / f"{k:02d}.jpg"), pixels)
    environment = {**os.environ, "FLAWSMITH_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", READ_ALL, str(photographs)]

    def both():
        running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        answers = [process.communicate(timeout=60)[0].split() for process in running]
        assert [process.returncode for process in running] == [0, 0]
        return {digest for digest, _ in answers}, sum(int(decoded) for _, decoded in answers)

    def written():
        return [(file.name, file.stat().st_mtime_ns, file.stat().st_ino) for file in kept_files(tmp_path / "cache")]

    first, decoded = both()
    files = written()
    assert len(first) == 1
    assert (decoded, len(files)) == (30, 30)
    assert both() == (first, 0)
    assert written() == files
