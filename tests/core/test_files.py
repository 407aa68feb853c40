import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flawsmith.core.errors import DamagedFile, OutputError
from flawsmith.core.files import (
    canonical_json,
    new_folder,
    publish,
    read_json,
    refuse_overlap,
    refuse_taken,
    sha256_file,
    sole_writer,
    write_bytes,
    write_json,
)


def test_write_replaces_whole_and_leaves_nothing_beside(tmp_path: Path):
    path = tmp_path / "deep" / "a.bin"
    write_bytes(path, b"old")
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["a.bin"]


def test_write_into_a_files_place_names_it(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"file stands where a folder is needed|Not a directory"):
        write_bytes(tmp_path / "file" / "a.bin", b"1")


def test_full_disk_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    code = f"""
import resource, signal
from pathlib import Path
from flawsmith.core.files import (
    canonical_json,
    new_folder,
    publish,
    read_json,
    refuse_overlap,
    refuse_taken,
    sha256_file,
    sole_writer,
    write_bytes,
    write_json,
)
from flawsmith.core.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, {resource.RLIM_INFINITY}))
try:
    write_bytes(Path({str(path)!r}), b"x" * 1000)
except OutputError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "free some space" in told
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_json_refuses_nan(tmp_path: Path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert os.listdir(tmp_path) == []


def test_canonical_json_ignores_the_order_of_keys():
    assert canonical_json({"b": 1, "a": [1, "é"]}) == canonical_json({"a": [1, "é"], "b": 1}) == '{"a":[1,"é"],"b":1}'


@pytest.mark.parametrize("content", [None, b"{half", b"\xff\xfe"])
def test_unreadable_json_is_named(tmp_path: Path, content: bytes | None):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"a\.json"):
        read_json(path)


def test_new_folder_appears_only_when_whole(tmp_path: Path):
    out = tmp_path / "out"
    with new_folder(out) as staging:
        (staging / "a").write_text("1")
        assert not out.exists()
    assert (out / "a").read_text() == "1"
    assert os.listdir(tmp_path) == ["out"]


def test_new_folder_vanishes_on_failure(tmp_path: Path):
    with pytest.raises(RuntimeError), new_folder(tmp_path / "out") as staging:
        (staging / "a").write_text("1")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_taken_folder_is_refused_and_untouched(tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        refuse_taken(out)
    with pytest.raises(OutputError, match="not empty"), new_folder(out):
        pass
    assert os.listdir(out) == ["mine"]


def filled(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / name).write_text(name)
    return folder


def test_a_folder_of_ours_is_replaced_and_nothing_stays_beside(tmp_path: Path):
    out, fresh = filled(tmp_path / "out", "ours.json"), filled(tmp_path / "fresh", "new")
    publish(fresh, out, replaceable="ours.json")
    assert os.listdir(out) == ["new"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path):
    out, fresh = filled(tmp_path / "out", "photo.png"), filled(tmp_path / "fresh", "new")
    with pytest.raises(OutputError, match=r"no ours\.json, so it is not ours to replace"):
        publish(fresh, out, replaceable="ours.json")
    with pytest.raises(OutputError, match="not ours"), new_folder(out, replaceable="ours.json"):
        pass
    assert os.listdir(out) == ["photo.png"]


def test_the_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out, fresh = filled(tmp_path / "out", "ours.json"), filled(tmp_path / "fresh", "new")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if self == fresh:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="Input/output error"):
        publish(fresh, out, replaceable="ours.json")
    assert os.listdir(out) == ["ours.json"]


@pytest.mark.parametrize("out", [".", "tiles", "tiles/train", "elsewhere/../tiles"])
def test_results_inside_or_around_what_is_read_are_refused(tmp_path: Path, out: str):
    (tmp_path / "tiles").mkdir()
    with pytest.raises(OutputError, match="lie in one another"):
        refuse_overlap(tmp_path / out, [tmp_path / "tiles"])
    refuse_overlap(tmp_path / "tiles2", [tmp_path / "tiles"])


def test_a_second_writer_is_kept_away(tmp_path: Path):
    staging = tmp_path / "staging"
    with sole_writer(staging), pytest.raises(OutputError, match="another run"), sole_writer(staging):
        pass
    with sole_writer(staging):
        pass


def test_sha256_of_a_file(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
