"""`flawsmith synth` and `flawsmith methods` as a user types them."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import pytest

from flawsmith.cli.app import run
from flawsmith.core.registry import synthesizers
from flawsmith.core.seeding import Seed
from flawsmith.testing.toy import toy_texture

COMMAND = [sys.executable, "-c", "from flawsmith.cli import main; main()"]


def fill(root, count=4, side=64):
    for i in range(count):
        path = root / "train" / "good" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), toy_texture(Seed(1, (i,)), side))
    return root


@pytest.fixture
def tiles(tmp_path):
    return fill(tmp_path / "tiles")


@pytest.fixture
def refused(capsys, tmp_path, tiles):
    """Run a command that must fail; its one line. Everything under the test's folder stays as it was, byte for byte."""

    def call(*arguments, code, exit_code):
        before = state(tmp_path)
        assert run([*map(str, arguments)]) == exit_code
        told = capsys.readouterr()
        assert state(tmp_path) == before
        return one_line(told.err, code)

    return call


def state(folder):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder" for p in sorted(folder.rglob("*"))}


def one_line(stderr, code):
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith(f"flawsmith: {code}: ")
    assert "Traceback" not in stderr
    return lines[0]


def test_makes_a_set_and_says_where(tiles, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(["synth", str(tiles), "--synth", "draem:2,cutpaste:1", "-n", "6", "--out", str(out), "--clean"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"6 images in {out}: ")
    assert told.out.endswith(f"look at {out / 'contact_sheet.png'}\n")
    assert told.err == ""
    assert len(list(out.rglob("image/*.png"))) == len(list(out.rglob("mask/*.png"))) == len(list(out.rglob("clean/*.png"))) == 6


def test_json_is_one_document(tiles, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "synth",
        str(tiles),
        "--synth",
        "cutpaste",
        "-n",
        "3",
        "--out",
        str(out),
        "--size",
        "32",
        "--defect",
        "dent",
        "--json",
    ]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["defects"] == {"dent": 3}
    assert Path(document["contact_sheet"]).is_file()
    assert cv2.imread(str(out / "tiles" / "dent" / "image" / "000000.png")).shape == (32, 32, 3)


def test_a_training_of_the_same_seed_tests_on_no_normal_that_was_started_from(tmp_path, capsys):
    root = tmp_path / "pool"
    for name in [*(f"good/{i}.png" for i in range(12)), *(f"dent/{i}.png" for i in range(3))]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), toy_texture(Seed(2, (name,)), 64))
    assert run(["synth", str(root), "--synth", "cutpaste", "-n", "40", "--seed", "3", "--out", str(tmp_path / "out")]) == 0
    assert "made from 9 of 12 normals; train with --split auto --seed 3 tests on none of them" in capsys.readouterr().out
    model = tmp_path / "model"
    assert run(["train", str(root), "--set", "patchcore.size=64", "--seed", "3", "--out", str(model)]) == 0
    assignment = json.loads((model / "split.json").read_text())["assignment"]
    used = {json.loads(line)["source"] for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()}
    assert used == {name for name, place in assignment.items() if place in ("train", "val")}
    capsys.readouterr()
    every = ["synth", str(root), "--synth", "cutpaste", "-n", "2", "--split", "none", "--out", str(tmp_path / "every"), "--json"]
    assert run(every) == 0
    (told,) = json.loads(capsys.readouterr().out)["split"].values()
    assert told == {"policy": "none", "seed": 0, "digest": None, "options": {}, "flags": []}


def test_settings_reach_the_method(tiles, tmp_path):
    out = tmp_path / "out"
    assert (
        run(["synth", str(tiles), "--synth", "cutpaste", "--set", "cutpaste.preset=asbench", "-n", "1", "--out", str(out)]) == 0
    )
    header = json.loads((out / "synth.json").read_text())
    assert header["recipe"]["methods"][0]["method"]["params"]["jitter"] == 0.0


def test_replay_makes_one_image_again(tiles, tmp_path, capsys):
    out, again = tmp_path / "out", tmp_path / "again"
    assert run(["synth", str(tiles), "--synth", "draem,cutpaste", "-n", "5", "--out", str(out)]) == 0
    assert run(["synth", str(tiles), "--replay", f"{out / 'manifest.jsonl'}:3", "--out", str(again)]) == 0
    assert capsys.readouterr().out.endswith("; image and mask equal to the line's hashes\n")
    (image,) = again.rglob("image/000003.png")
    assert image.read_bytes() == (out / image.relative_to(again)).read_bytes()
    line = (out / "manifest.jsonl").read_text().splitlines()[3]
    assert run(["synth", str(tiles), "--replay", line, "--out", str(tmp_path / "third"), "--clean"]) == 0
    assert capsys.readouterr().out.endswith("equal to the line's hashes; the line has no hash of clean to compare with\n")


def test_what_a_line_decides_is_not_asked_beside_it(refused, tiles, tmp_path):
    assert run(["synth", str(tiles), "-n", "1", "--out", str(tmp_path / "set")]) == 0
    replay = ("synth", tiles, "--replay", f"{tmp_path}/set/manifest.jsonl:0", "--out", tmp_path / "out")
    more = ("-n", 7, "--synth", "draem", "--size", 64, "--seed", 0, "--foreground", "none", "--set", "draem.preset=official")
    told = refused(*replay, *more, code="E_USAGE", exit_code=2)
    assert "expected no --synth, -n, --size, --set, --seed, --foreground beside it" in told
    assert run([*map(str, replay), "--layout", "folder", "--clean", "--overwrite", "--json", "--debug"]) == 0


def test_a_replay_outside_its_folder_is_refused(refused, tiles, tmp_path):
    assert run(["synth", str(tiles), "--synth", "cutpaste", "-n", "1", "--out", str(tmp_path / "set")]) == 0
    line = json.loads((tmp_path / "set" / "manifest.jsonl").read_text())
    line["provenance"]["defect"] = "../../../evil"
    told = refused("synth", tiles, "--replay", json.dumps(line), "--out", tmp_path / "out", code="E_PARAMETER", exit_code=2)
    assert "defect is '../../../evil'; expected a name that can be a folder" in told


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code", "told"),
    [
        (["--synth", "dream", "-n", "2"], "E_UNKNOWN", 2, "no synthesizer 'dream'; did you mean draem"),
        (["--synth", "draem,cutpast", "-n", "2"], "E_UNKNOWN", 2, "no synthesizer 'cutpast'; did you mean"),
        (
            ["--set", "draem.opactiy=[0, 1]", "-n", "2"],
            "E_PARAMETER",
            2,
            "draem has no parameter 'opactiy'; did you mean opacity",
        ),
        (["--set", "draem.opacity=[0, 2]", "-n", "2"], "E_PARAMETER", 2, "draem: parameter opacity.1 is 2"),
        (["--set", "draem.preset=asbensh", "-n", "2"], "E_UNKNOWN", 2, "did you mean asbench"),
        (["--set", "draem.textures=dtd", "-n", "2"], "E_UNKNOWN", 2, "a folder needs a slash, as in ./textures"),
        (["--set", "draem.textures=./dtd", "-n", "2"], "E_PARAMETER", 2, "dtd, which is no folder"),
        (["--set", "nsa.preset=asbench", "-n", "2"], "E_USAGE", 2, "names 'nsa'; expected one of: draem"),
        (["--synth", "draem:0", "-n", "2"], "E_USAGE", 2, "expected a number above 0"),
        (["--synth", "mix", "-n", "2"], "E_PARAMETER", 2, "mix: parameter members"),
        ([], "E_USAGE", 2, "-n is missing; expected how many anomalies"),
        (["-n", "0"], "E_PARAMETER", 2, "parameter n is 0"),
        (["-n", "many"], "E_USAGE", 2, "valid integer"),
        (["-n", "2", "--workers", "-1"], "E_PARAMETER", 2, "workers is -1; expected 0 or more"),
        (["-n", "2", "--size", "8"], "E_PARAMETER", 2, "parameter size is 8"),
        (["-n", "2", "--defect", "../x"], "E_PARAMETER", 2, "defect is '../x'; expected a name"),
        (["-n", "2", "--product", "tile"], "E_UNKNOWN", 2, "did you mean tiles"),
        (["-n", "2", "--split", "groupd"], "E_UNKNOWN", 2, "no split policy 'groupd'; did you mean grouped"),
        (["-n", "2", "--layout", "mvtce"], "E_UNKNOWN", 2, "mvtce"),
        (["--synth", "cutpaste_scar", "--mask-shape", "line", "-n", "2"], "E_USAGE", 2, "cutpaste_scar takes no mask"),
        (["--mask-shape", "lines", "-n", "2"], "E_UNKNOWN", 2, "no mask family 'lines'; did you mean Line"),
        (["--replay", "nowhere.jsonl:3"], "E_DAMAGED", 1, "names no manifest line; expected FILE:INDEX"),
    ],
)
def test_wrong_calls_leave_no_trace(refused, tiles, tmp_path, arguments, code, exit_code, told):
    assert told in refused("synth", tiles, *arguments, "--out", tmp_path / "out", code=code, exit_code=exit_code)


def test_out_is_taken(refused, tiles, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    call = ["synth", tiles, "-n", "2", "--out"]
    assert "is a file" in refused(*call, tmp_path / "file", code="E_OUTPUT", exit_code=1)
    assert "a file stands where a folder is needed" in refused(*call, tmp_path / "file" / "x", code="E_OUTPUT", exit_code=1)
    assert "not empty" in refused(*call, tmp_path / "full", code="E_OUTPUT", exit_code=1)
    assert "not ours to replace" in refused(*call, tmp_path / "full", "--overwrite", code="E_OUTPUT", exit_code=1)
    assert "lie in one another" in refused(*call, tiles / "out", code="E_OUTPUT", exit_code=1)


def test_data_is_not_there(refused, tmp_path):
    refused("synth", tmp_path / "nothing", "-n", "2", "--out", tmp_path / "out", code="E_ROOT", exit_code=1)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_full_disk_leaves_out_alone_and_can_be_resumed(tiles, tmp_path, workers):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (7000, 7000))

    out = tmp_path / "out"
    arguments = ["synth", str(tiles), "--synth", "draem", "-n", "12", "--out", str(out), "--workers", workers]
    child = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, preexec_fn=small_files, check=False)
    assert child.returncode == 1
    assert "expected room for the result: free some space" in one_line(child.stderr, "E_OUTPUT")
    assert not out.exists()
    assert run(arguments) == 0
    assert len(list(out.rglob("image/*.png"))) == 12


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become nobody")
def test_no_permission_to_write():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        tiles = fill(root / "tiles")
        program = (
            "import os, sys; from flawsmith.cli.app import run; run(['synth', '--help']); import flawsmith.synthesis.writing, "
            "flawsmith.synthesis.draem, flawsmith.data.layouts.folder, PIL.PngImagePlugin\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(run(sys.argv[1:]))"
        )
        arguments = ["synth", str(tiles), "-n", "2", "--out", str(root / "out")]
        child = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
        assert child.returncode == 1
        assert "expected a folder you may write to" in one_line(child.stderr, "E_OUTPUT")
        assert sorted(p.name for p in root.iterdir()) == ["tiles"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_ctrl_c_can_be_resumed(tmp_path, workers):
    tiles, out = fill(tmp_path / "tiles", side=128), tmp_path / "out"
    arguments = ["synth", str(tiles), "--synth", "draem,cutpaste", "-n", "400", "--out", str(out), "--workers", workers]
    child = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True)
    manifest, deadline = tmp_path / ".out.partial" / "manifest.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and not (manifest.is_file() and manifest.read_bytes().count(b"\n") >= 10):
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "run the same command again" in one_line(stderr, "E_INTERRUPTED")
    assert not out.exists()
    made = subprocess.run([*COMMAND, *arguments, "--json"], capture_output=True, text=True, check=True)
    assert 10 <= json.loads(made.stdout)["resumed"] < 400


def test_methods_lists_everything(capsys):
    assert run(["methods"]) == 0
    told = capsys.readouterr().out
    for name in ("cutpaste_scar", "draem", "mix", "patchcore", "memseg", "needs a normal, textures (has its own)", "ICCV 2021"):
        assert name in told


def test_methods_by_pattern_as_json(capsys):
    assert run(["methods", "cut*", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = [m["name"] for m in document]
    assert names == [name for name in synthesizers.names() if name.startswith("cut")]
    assert {m["kind"] for m in document} == {"synthesizer"}
    assert document[names.index("cutpaste")]["traits"]["takes_mask"] is True


def test_methods_of_no_such_name(refused):
    assert "did you mean patchcore" in refused("methods", "patchcor", code="E_UNKNOWN", exit_code=2)


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from flawsmith.cli.app import run; run(['synth', '--help']); run(['methods', '--help']);"
        "sys.exit(bool({'torch', 'cv2', 'scipy', 'flawsmith.synthesis.draem'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "flawsmith synth tiles/ --synth draem:2,cutpaste:1 -n 500" in " ".join(child.stdout.split())


def test_listing_imports_no_method_and_no_torch():
    program = (
        "import sys; from flawsmith.cli.app import run; run(['methods']);"
        "sys.exit(bool({'torch', 'cv2', 'flawsmith.synthesis.draem', 'flawsmith.detectors.patchcore'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
