"""Sets that were damaged, or written to do harm: each is read as it should be, or refused in one line."""

import json
import shutil
from pathlib import Path

import pytest

from flawsmith.core.errors import DamagedFile, FlawsmithError
from flawsmith.data import load
from flawsmith.data.precomputed.opening import open_set, validate
from flawsmith.synthesis.sets import replay, synthesize
from flawsmith.synthesis.writing import find_line, write_replay, write_set

DEEP = "[" * 100_000 + "]" * 100_000
ODD = [
    None,
    True,
    -1,
    5,
    1e400,
    10**40,
    "",
    "x",
    "9" * 5000,
    "\ud800",
    [],
    [5],
    [[]],
    ["a"],
    [["a", 5]],
    {},
    {"x": 5},
    {"tiles": 5},
]
ODD += [[5, 0], [10**6, 10**6], ["a", "b"], [[], []]]


@pytest.fixture(scope="module")
def data(drawn_pairs, tmp_path_factory):
    import cv2

    root = tmp_path_factory.mktemp("normals") / "tiles"
    for k, (_, _, origin) in enumerate(drawn_pairs(3)):
        (root / "train" / "good").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "train" / "good" / f"{k}.png"), origin)
    return load(root)


@pytest.fixture(scope="module")
def written(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("written") / "set"
    write_set(synthesize(data, "cutpaste", 2, split="none"), out)
    return out


@pytest.fixture
def copy(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "copy"))


def places(value, at=()):
    """The way to every value of a JSON object, however deep."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*at, key))


def changed(value, at, odd):
    if not at:
        return odd
    copied = json.loads(json.dumps(value))
    home = copied
    for key in at[:-1]:
        home = home[key]
    home[at[-1]] = odd
    return copied


def opened(root):
    listing = open_set(root)
    validate(listing.root, listing.pairs)
    return listing


def in_one_line(call):
    """Whatever comes of it, it is an answer."""
    told = ""
    try:
        call()
    except FlawsmithError as error:
        told = str(error)
    assert "\n" not in told


def test_any_value_of_the_header_may_be_of_any_kind(copy):
    header = json.loads((copy / "synth.json").read_text())
    for at in places(header):
        for odd in ODD:
            (copy / "synth.json").write_text(json.dumps(changed(header, at, odd)))
            in_one_line(lambda: opened(copy))


def test_any_value_of_a_line_may_be_of_any_kind(copy):
    first, second = (copy / "manifest.jsonl").read_text().splitlines()
    for at in places(json.loads(first)):
        for odd in ODD:
            (copy / "manifest.jsonl").write_text(json.dumps(changed(json.loads(first), at, odd)) + "\n" + second + "\n")
            in_one_line(lambda: opened(copy))


def test_any_value_of_a_replayed_line_may_be_of_any_kind(copy, data, tmp_path):
    line = json.loads((copy / "manifest.jsonl").read_text().splitlines()[0])
    for at in places(line):
        for odd in ODD:
            record = json.dumps(changed(line, at, odd))
            in_one_line(lambda record=record: write_replay(find_line(record), data, tmp_path / "again"))
            shutil.rmtree(tmp_path / "again", ignore_errors=True)


@pytest.mark.parametrize("name", ["synth.json", "tiles/dent/meta.jsonl", "tiles/dent/split.json"])
def test_any_value_of_an_exchanged_set_may_be_of_any_kind(stored, drawn_pairs, tmp_path, name):
    root = stored(tmp_path / "set", "native", drawn_pairs(2))
    whole = {
        "synth.json": {"schema_version": 1, "split": {"train": {"tiles": {"dent": ["0"]}}}},
        "tiles/dent/meta.jsonl": {"id": "0", "source_normal": "a"},
        "tiles/dent/split.json": {"train": ["0"]},
    }[name]
    for at in places(whole):
        for odd in ODD:
            (root / name).write_text(json.dumps(changed(whole, at, odd)))
            in_one_line(lambda: opened(root))


@pytest.mark.parametrize(
    ("key", "odd", "told"),
    [
        ("warnings", 5, "warnings: Input should be a valid list"),
        ("trained_on", {"tiles": "abc"}, r"trained_on\.tiles: Input should be a valid list"),
        ("learned_from", {"tiles": [["dent", "0", "1"]]}, r"learned_from\.tiles\.0"),
    ],
)
def test_the_header_is_refused_by_name(copy, key, odd, told):
    header = json.loads((copy / "synth.json").read_text())
    (copy / "synth.json").write_text(json.dumps({**header, key: odd}))
    with pytest.raises(DamagedFile, match=told):
        open_set(copy)


@pytest.mark.parametrize("name", ["synth.json", "manifest.jsonl"])
def test_deep_nesting_is_damage(copy, data, name):
    (copy / name).write_text(DEEP)
    with pytest.raises(DamagedFile):
        open_set(copy)
    with pytest.raises(DamagedFile, match="no manifest line"):
        replay('{"provenance": ' + DEEP + "}", data)
    (copy / "manifest.jsonl").write_text(DEEP)
    with pytest.raises(DamagedFile, match="no manifest line"):
        find_line(f"{copy}/manifest.jsonl:0")


@pytest.mark.parametrize("place", ["9" * 5000, "1" * 20, "²", "-1", ""])
def test_no_line_is_there(copy, place):
    with pytest.raises(DamagedFile):
        find_line(f"{copy}/manifest.jsonl:{place}")
    with pytest.raises(DamagedFile, match="names no manifest line"):
        find_line("x" * 5000 + ":0")


def test_lines_that_are_no_text_are_damage(copy):
    (copy / "manifest.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(DamagedFile, match="no JSON"):
        open_set(copy)
    with pytest.raises(DamagedFile):
        find_line(f"{copy}/manifest.jsonl:0")


@pytest.mark.parametrize("sign", ["\u0085", "\u2028", "\u2029", "\x1c", "\f", "\r"])
def test_only_a_line_feed_ends_a_line(copy, sign):
    records = [json.loads(line) for line in (copy / "manifest.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({**record, "note": f"a{sign}b"}, ensure_ascii=False) + "\n" for record in records)
    (copy / "manifest.jsonl").write_bytes(text.encode())
    assert len(open_set(copy).pairs) == 2
    assert find_line(f"{copy}/manifest.jsonl:1")["index"] == 1


@pytest.mark.parametrize("kind", ["file", "folder", "circle"])
def test_a_link_out_of_the_set_is_refused(copy, tmp_path, kind):
    line = json.loads((copy / "manifest.jsonl").read_text().splitlines()[0])
    image = copy / line["files"]["image"]["path"]
    moved = image if kind != "folder" else image.parent
    (tmp_path / "outside").mkdir()
    moved.rename(tmp_path / "outside" / moved.name)
    moved.symlink_to(moved if kind == "circle" else tmp_path / "outside" / moved.name)
    with pytest.raises(DamagedFile, match=r"inside the set|is missing"):
        open_set(copy)


def test_a_link_inside_the_set_and_one_to_it_are_followed(copy, tmp_path):
    image = copy / json.loads((copy / "manifest.jsonl").read_text().splitlines()[0])["files"]["image"]["path"]
    image.rename(copy / "elsewhere.png")
    image.symlink_to(copy / "elsewhere.png")
    (tmp_path / "link").symlink_to(copy)
    assert len(open_set(tmp_path / "link").pairs) == 2


@pytest.mark.parametrize("path", ["/etc/passwd", "../copy/synth.json", "..\\set\\a.png", "C:\\a.png", "a/../../b.png", "a\0b"])
def test_a_path_out_of_the_set_is_refused(copy, path):
    line = json.loads((copy / "manifest.jsonl").read_text().splitlines()[0])
    line["files"]["image"]["path"] = path
    (copy / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(DamagedFile, match="expected a file inside the set"):
        open_set(copy)


@pytest.mark.parametrize("layout", ["anomalydiffusion", "dfmgan", "asbench-triplet"])
def test_links_out_of_other_layouts_are_left_aside(stored, drawn_pairs, tmp_path, layout):
    root = stored(tmp_path / "set", layout, drawn_pairs(2))
    image = root / open_set(root).pairs[0].image
    image.rename(tmp_path / "outside.png")
    image.symlink_to(tmp_path / "outside.png")
    with pytest.raises(FlawsmithError, match=r"belongs to no image|has no mask|pair"):
        open_set(root)
