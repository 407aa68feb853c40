import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, OutputError
from flawsmith.core.files import sha256_file, sole_writer, staging_of
from flawsmith.core.registry import synthesizers
from flawsmith.core.samples import ArraySource
from flawsmith.data.reading import read_image, read_mask_values
from flawsmith.data.splits import make_split
from flawsmith.synthesis import writing
from flawsmith.synthesis.sets import synthesize
from flawsmith.synthesis.writing import find_line, write_replay, write_set

MIX = "draem:2,cutpaste:1,cutpaste_scar:1"
ALONE = {"normal", "normals", "textures"}
EVERY = ",".join(name for name, e in synthesizers.entries.items() if e.traits.needs <= ALONE and name != "mix")
"""Every method that a folder of good pictures is enough for."""


def tree(folder):
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_a_set_on_disk_is_what_it_says(tiles, tmp_path):
    made = synthesize(tiles, MIX, 12, seed=2)
    written = write_set(made, tmp_path / "out", clean=True)
    assert written.count == 12
    assert sum(written.defects.values()) == 12
    for k, line in enumerate(lines(tmp_path / "out")):
        assert line["index"] == k
        assert line["files"]["image"]["path"] == f"tiles/{line['defect']}/image/{k:06d}.png"
        for file in line["files"].values():
            assert sha256_file(tmp_path / "out" / file["path"]) == file["sha256"]
        np.testing.assert_array_equal(read_image(tmp_path / "out" / line["files"]["image"]["path"]), made[k].image)
        np.testing.assert_array_equal(read_image(tmp_path / "out" / line["files"]["clean"]["path"]), made[k].clean)
        values = read_mask_values(tmp_path / "out" / line["files"]["mask"]["path"])
        np.testing.assert_array_equal(values, made[k].mask * np.uint8(255))
    header = json.loads((tmp_path / "out" / "synth.json").read_text())
    assert header["format"] == 1
    assert header["data"]["licence"]
    assert set(header["trained_on"]["tiles"]) == made.supports["tiles"].ids
    told = {"policy": "folder", "seed": 2, "digest": make_split(tiles, seed=2).digest, "options": {}, "flags": []}
    assert header["split"] == {"tiles": told}
    assert header["recipe"]["n"] == 12
    sheet = cv2.imread(str(tmp_path / "out" / "contact_sheet.png"))
    assert sheet.shape[0] > 300
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["contact_sheet.png", "manifest.jsonl", "synth.json", "tiles"]
    assert not staging_of(tmp_path / "out").exists()


def test_workers_and_processes_make_the_same_bytes(tiles, tmp_path):
    made = synthesize(tiles, EVERY, 60)
    write_set(made, tmp_path / "alone")
    write_set(made, tmp_path / "two", workers=2)
    program = (
        "from flawsmith.data import load; from flawsmith.synthesis.sets import synthesize; from pathlib import Path;"
        "from flawsmith.synthesis.writing import write_set; import sys;"
        f"write_set(synthesize(load({str(tiles.root)!r}), {EVERY!r}, 60), Path({str(tmp_path / 'again')!r}));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONHASHSEED": "5"})
    assert tree(tmp_path / "alone") == tree(tmp_path / "two") == tree(tmp_path / "again")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_where_it_stopped(tiles, tmp_path, workers):
    program = (
        "from flawsmith.data import load; from flawsmith.synthesis.sets import synthesize; from pathlib import Path;"
        "from flawsmith.synthesis.writing import write_set\n"
        f"if __name__ == '__main__': write_set(synthesize(load({str(tiles.root)!r}), {MIX!r}, 300), "
        f"Path({str(tmp_path / 'out')!r}), workers={workers})"
    )
    (tmp_path / "run.py").write_text(program)
    child = subprocess.Popen([sys.executable, str(tmp_path / "run.py")], start_new_session=True)
    manifest = staging_of(tmp_path / "out") / "manifest.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (manifest.is_file() and manifest.read_bytes().count(b"\n") >= 20):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (tmp_path / "out").exists()
    made = synthesize(tiles, MIX, 300)
    write_set(made, tmp_path / "unbroken")
    assert 20 <= write_set(made, tmp_path / "out").resumed < 300
    assert tree(tmp_path / "out") == tree(tmp_path / "unbroken")
    assert_no_orphans(tmp_path)


def assert_no_orphans(folder):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        if not any(str(folder) in line and "spawn" in line for line in told.splitlines()):
            return
        time.sleep(0.1)
    raise AssertionError("workers outlive their killed parent")


def interrupted_after(monkeypatch, count):
    """Interrupt write_set when `count` items have been written."""
    write_item, done = writing.write_item, []

    def counted(*arguments):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(1)
        return write_item(*arguments)

    monkeypatch.setattr(writing, "write_item", counted)


def test_an_interrupted_run_goes_on_and_equals_an_unbroken_one(tiles, tmp_path, monkeypatch):
    made = synthesize(tiles, MIX, 20)
    write_set(made, tmp_path / "unbroken")
    with monkeypatch.context() as patched:
        interrupted_after(patched, 9)
        with pytest.raises(KeyboardInterrupt):
            write_set(made, tmp_path / "out")
    staging = staging_of(tmp_path / "out")
    with (staging / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"index": 9, "torn')
    (staging / "tiles" / ".left.png.99.partial").write_bytes(b"x")
    written = write_set(made, tmp_path / "out")
    assert written.resumed == 9
    assert tree(tmp_path / "out") == tree(tmp_path / "unbroken")


def stamps(folder):
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.png")}


def test_what_is_on_disk_is_not_written_twice(tiles, tmp_path, monkeypatch):
    made = synthesize(tiles, MIX, 20)
    with monkeypatch.context() as patched:
        interrupted_after(patched, 12)
        with pytest.raises(KeyboardInterrupt):
            write_set(made, tmp_path / "out")
    staging = staging_of(tmp_path / "out")
    manifest = staging / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:9]))  # killed before three lines were written
    before = stamps(staging)
    assert len(before) == 24
    assert write_set(made, tmp_path / "out").resumed == 9
    after = {path.relative_to(tmp_path / "out"): stamp for path, stamp in stamps(tmp_path / "out").items()}
    assert {path.relative_to(staging): stamp for path, stamp in before.items()}.items() <= after.items()


def test_a_changed_file_is_made_again(tiles, tmp_path, monkeypatch):
    made = synthesize(tiles, MIX, 20)
    write_set(made, tmp_path / "unbroken")
    with monkeypatch.context() as patched:
        interrupted_after(patched, 9)
        with pytest.raises(KeyboardInterrupt):
            write_set(made, tmp_path / "out")
    staging = staging_of(tmp_path / "out")
    fourth = json.loads((staging / "manifest.jsonl").read_text().splitlines()[4])
    (staging / fourth["files"]["image"]["path"]).write_bytes(b"broken")
    assert write_set(made, tmp_path / "out").resumed == 4
    assert tree(tmp_path / "out") == tree(tmp_path / "unbroken")


@pytest.mark.parametrize("change", ["seed", "clean", "data"])
def test_another_set_starts_afresh(tiles, tmp_path, monkeypatch, change):
    with monkeypatch.context() as patched:
        interrupted_after(patched, 5)
        with pytest.raises(KeyboardInterrupt):
            write_set(synthesize(tiles, MIX, 8), tmp_path / "out")
    if change == "data":
        os.utime(tiles.samples[-1].source.location, (1, 1))
    made = synthesize(tiles, MIX, 8, seed=int(change == "seed"))
    with pytest.raises(OutputError, match=r"holds 5 images of an interrupted run.*--overwrite"):
        write_set(made, tmp_path / "out", clean=change == "clean")
    assert write_set(made, tmp_path / "out", clean=change == "clean", overwrite=True).resumed == 0


@pytest.fixture
def textures(tmp_path):
    folder = tmp_path / "textures"
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / f"{k}.png")
    return folder


def test_other_textures_are_another_set(tiles, tmp_path, monkeypatch, textures):
    order = ("destseg", 6)
    settings = [f"destseg.textures={textures}"]
    with monkeypatch.context() as patched:
        interrupted_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            write_set(synthesize(tiles, *order, settings=settings), tmp_path / "out")
    os.utime(textures / "1.png", (1, 1))
    with pytest.raises(OutputError, match="another"):
        write_set(synthesize(tiles, *order, settings=settings), tmp_path / "out")


def test_a_set_is_not_written_among_its_textures(tiles, textures):
    with pytest.raises(OutputError):
        write_set(synthesize(tiles, "destseg", 2, settings=[f"destseg.textures={textures}"]), textures / "out")


def test_textures_from_the_photographs_are_refused(tiles):
    for folder in (Path(tiles.root) / "test", Path(tiles.root), Path(tiles.root).parent):
        with pytest.raises(DataError, match=r"destseg takes its textures from .*overlaps the photographs"):
            synthesize(tiles, "destseg", 2, settings=[f"destseg.textures={folder}"])


def test_a_line_replays_from_another_working_directory(tiles, tmp_path, monkeypatch, textures):
    monkeypatch.chdir(tmp_path)
    write_set(synthesize(tiles, "destseg", 2, settings=["destseg.textures=./textures"]), tmp_path / "out")
    line = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[1]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = write_replay(json.loads(line), tiles, tmp_path / "again")
    assert again["files"] == json.loads(line)["files"]
    assert write_replay(json.loads(line), tiles, tmp_path / "again", overwrite=True)["files"] == again["files"]


def test_one_foreground_for_every_method_that_takes_one(tiles):
    made = synthesize(tiles, "draem,cutpaste", 2, foreground="auto", settings=["cutpaste.foreground=otsu"])
    assert [m.method.params["foreground"] for m in made.recipe.methods] == ["auto", "otsu"]


def test_overwrites_only_a_set_and_only_at_the_end(tiles, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write_set(synthesize(tiles, "draem", 3), out)
    before = tree(out)
    with pytest.raises(OutputError, match="not empty"):
        write_set(synthesize(tiles, "cutpaste", 3), out)
    with monkeypatch.context() as patched:
        interrupted_after(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            write_set(synthesize(tiles, "cutpaste", 3), out, overwrite=True)
    assert tree(out) == before
    write_set(synthesize(tiles, "cutpaste", 3), out, overwrite=True)
    assert {line["defect"] for line in lines(out)} == {"cutpaste"}
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    mine = tmp_path / "letters"
    mine.mkdir()
    (mine / "a.txt").write_text("dear")
    with pytest.raises(OutputError, match="not ours to replace"):
        write_set(synthesize(tiles, "cutpaste", 3), mine, overwrite=True)
    assert (mine / "a.txt").read_text() == "dear"


def test_refuses_places_that_cannot_hold_a_set(tiles, tmp_path):
    made = synthesize(tiles, "draem", 2)
    with pytest.raises(OutputError, match="lie in one another"):
        write_set(made, tiles.root / "synthetic")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"):
        write_set(made, tmp_path / "file")
    with pytest.raises(OutputError, match="a file stands where a folder is needed"):
        write_set(made, tmp_path / "file" / "out")
    with pytest.raises(BadParameter, match="workers is -1; expected 0 or more"):
        write_set(made, tmp_path / "out", workers=-1)
    assert not (tmp_path / "out").exists()


def test_a_second_run_in_the_same_place_is_refused(tiles, tmp_path):
    made = synthesize(tiles, "draem", 2)
    with (
        sole_writer(staging_of(tmp_path / "out")),
        pytest.raises(OutputError, match="another run is writing"),
    ):
        write_set(made, tmp_path / "out")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_normal_is_named_and_nothing_is_published(tiles, tmp_path, workers):
    for sample in tiles.of(split="train").samples:
        (tiles.root / sample.source.path).write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"train/good/.\.png"):
        write_set(synthesize(tiles, "draem", 4), tmp_path / "out", workers=workers)
    assert [p.name for p in tmp_path.iterdir()] == ["tiles"]


def test_a_set_without_a_single_defect_is_an_error(tiles, tmp_path):
    flat = replace(tiles, samples=tuple(replace(s, source=ArraySource(np.full((40, 40, 3), 9, np.uint8))) for s in tiles.samples))
    with pytest.raises(DataError, match="none of 3 images took a defect") as caught:
        write_set(synthesize(flat, "cutpaste", 3, settings=["cutpaste.jitter=0"]), tmp_path / "out")
    assert caught.value.code == "E_NO_PLACEMENT"
    assert [p.name for p in tmp_path.iterdir()] == ["tiles"]


def test_grey_pictures_are_written_as_grey(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    grey = np.repeat(colour[:, :, :1], 3, axis=2)
    for picture, channels in ((colour, 3), (grey, 1), (colour[:, :, 0], 1)):
        (tmp_path / "x.png").write_bytes(writing.encode_png(picture))
        with Image.open(tmp_path / "x.png") as opened:
            assert len(opened.getbands()) == channels
        again = read_image(tmp_path / "x.png")
        np.testing.assert_array_equal(again, picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2))


def test_the_sheet_shows_every_method_in_turn():
    told = [{"index": i, "defect": "x", "provenance": {"method": "draem"}} for i in range(20)]
    told += [{"index": 20 + i, "defect": "x", "provenance": {"method": "cutpaste"}} for i in range(2)]
    told += [{"index": 22, "defect": "good", "provenance": {"method": "cutpaste"}}]
    shown = writing._shown(told)
    assert Counter("draem" if i < 20 else "cutpaste" for i in shown) == {"draem": 6, "cutpaste": 2}


def test_a_line_is_made_again_by_file_and_index(tiles, tmp_path):
    write_set(synthesize(tiles, MIX, 6), tmp_path / "out", clean=True)
    record = find_line(f"{tmp_path / 'out' / 'manifest.jsonl'}:4")
    write_replay(record, tiles, tmp_path / "again", clean=True)
    for file in record["files"].values():
        assert sha256_file(tmp_path / "again" / file["path"]) == file["sha256"]
    assert find_line(json.dumps(record)) == record


def test_a_replay_that_differs_is_an_error(tiles, tmp_path):
    write_set(synthesize(tiles, MIX, 2), tmp_path / "out")
    record = find_line(f"{tmp_path / 'out' / 'manifest.jsonl'}:1")
    record["files"]["image"]["sha256"] = "0" * 64
    with pytest.raises(DamagedFile, match="the image of line 1 comes out different"):
        write_replay(record, tiles, tmp_path / "again")
    record["product"] = "../up"
    with pytest.raises(BadParameter, match="product is"):
        write_replay(record, tiles, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "..", "a/b", "a\\b", " x", 5, ["x"]])
@pytest.mark.parametrize("where", ["product", "defect"])
def test_a_replay_never_leaves_its_folder(tiles, tmp_path, name, where):
    write_set(synthesize(tiles, "cutpaste", 1), tmp_path / "out")
    before = tree(tmp_path)
    (record,) = lines(tmp_path / "out")
    (record if where == "product" else record["provenance"])[where] = name
    with pytest.raises(BadParameter, match=f"{where} is"):
        write_replay(record, tiles, tmp_path / "again")
    assert tree(tmp_path) == before


def test_a_synthesizer_cannot_name_a_folder_elsewhere(tiles, tmp_path):
    made = synthesize(tiles, "cutpaste", 1)
    with pytest.raises(BadParameter, match=r"defect is '\.\./up'"):
        writing.write_anomaly(replace(made[0], defect="../up"), "tiles", 0, tmp_path / "out", clean=False, split="auto")
    with pytest.raises(BadParameter, match=r"product is '\.\.'"):
        writing.write_anomaly(made[0], "..", 0, tmp_path / "out", clean=False, split="auto")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"files": {}}, "no hash of its image"),
        ({"files": {"image": {"sha256": "0"}}}, "no hash of its mask"),
        ({"files": {"image": {"sha256": 0}, "mask": {"sha256": 0}}}, "no hash of its image"),
        ({"files": {"image": {}}}, "no manifest line"),
        ({"files": []}, "no manifest line"),
        ({"index": "0"}, "the index of this line is '0'"),
        ({"index": -1}, "the index of this line is -1"),
        ({"index": float("inf")}, "the index of this line is inf"),
        ({"provenance": []}, "no manifest line"),
    ],
)
def test_a_line_without_its_hashes_or_number_is_no_line(tiles, tmp_path, change, told):
    write_set(synthesize(tiles, "cutpaste", 1), tmp_path / "out")
    (record,) = lines(tmp_path / "out")
    with pytest.raises(DamagedFile, match=told):
        write_replay({**record, **change}, tiles, tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("change", [{"recipe": 3}, {"recipe": {}}, {"seed": 3}, {"seed": {"root": "x", "keys": []}}, {"size": 5}])
def test_a_line_with_other_values_is_no_line(tiles, tmp_path, change):
    write_set(synthesize(tiles, "cutpaste", 1), tmp_path / "out")
    (record,) = lines(tmp_path / "out")
    with pytest.raises(DamagedFile, match="no manifest line"):
        write_replay({**record, "provenance": {**record["provenance"], **change}}, tiles, tmp_path / "again")


def test_only_hashes_that_are_there_are_compared(tiles, tmp_path):
    write_set(synthesize(tiles, "cutpaste", 1), tmp_path / "out")
    (record,) = lines(tmp_path / "out")
    again = write_replay(record, tiles, tmp_path / "again", clean=True)
    assert sorted(again["files"]) == ["clean", "image", "mask"]
    assert writing.compared(record, again) == ["image", "mask"]
    assert writing.compared(again, record) == ["image", "mask"]


@pytest.mark.parametrize("text", ["out/manifest.jsonl:4", "manifest:x", "3", '{"index": 3}'])
def test_a_line_that_is_not_there(text):
    with pytest.raises(DamagedFile, match="manifest line"):
        find_line(text)
