"""train, evaluate, predict as a user types them: what they write, and what they say when something is wrong."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from flawsmith.cli.app import run
from flawsmith.learning.checkpoint import load_checkpoint

SMALL = ["--set", "patchcore.size=64"]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Run a command that must fail; give back its one line."""

    def call(*arguments: object, code: str, exit_code: int) -> str:
        assert run([str(argument) for argument in arguments]) == exit_code
        told = capsys.readouterr()
        lines = told.err.splitlines()
        assert len(lines) == 1, told.err
        assert lines[0].startswith(f"flawsmith: {code}: ")
        assert "Traceback" not in told.err
        return lines[0]

    return call


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_main_job(tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    model, report, findings = tmp_path / "model", tmp_path / "report.html", tmp_path / "findings"
    assert run(["train", str(tiles), "--out", str(model), "--set", "patchcore.size=128"]) == 0
    assert f"flawsmith evaluate {model} {tiles}" in capsys.readouterr().out
    assert run(["evaluate", str(model), str(tiles), "--report", str(report), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["image_auroc"]["value"] > 0.9
    assert "<html" in report.read_text()
    assert run(["predict", str(model), str(tiles / "test"), "--out", str(findings)]) == 0
    rows = list(csv.DictReader((findings / "scores.csv").read_text().splitlines()))
    assert len(rows) == 14
    for row in rows:
        image = cv2.imread(row["image"])
        assert np.load(findings / row["map"], allow_pickle=False).shape == image.shape[:2]
        assert cv2.imread(str(findings / row["overlay"])).shape == image.shape
        assert row["verdict"] == ("defect" if float(row["score"]) > float(row["threshold"]) else "good")


def test_one_json_document_and_nothing_else(tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["train", str(tiles), "--out", str(tmp_path / "model"), *SMALL, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["threshold"]["n"] >= 1
    assert told.err == ""


def test_a_chosen_metric_is_shown_alone(model: Path, tiles: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["evaluate", str(model), str(tiles), "--metric", "image_auroc"]) == 0
    out = capsys.readouterr().out
    assert "image_auroc" in out
    assert "pixel_ap" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code", "told"),
    [
        (["--detector", "patchcor"], "E_UNKNOWN", 2, "did you mean patchcore"),
        (["--set", "patchcore.coreset=1"], "E_PARAMETER", 2, "did you mean coreset_ratio"),
        (["--set", "patchcore.coreset_ratio=2"], "E_PARAMETER", 2, "coreset_ratio is 2"),
        (["--detector", "memseg", "--synth", "dream"], "E_UNKNOWN", 2, "did you mean draem"),
        (["--detector", "memseg", "--ratio", "1.5"], "E_PARAMETER", 2, "ratio is 1.5"),
        (["--ratio", "half"], "E_USAGE", 2, "--ratio"),
        (["--ratio-mode", "coin"], "E_PARAMETER", 2, "ratio_mode is 'coin'"),
        (["--rotation", "spin"], "E_PARAMETER", 2, "rotation is 'spin'"),
        (["--layout", "foldr"], "E_UNKNOWN", 2, "did you mean folder"),
        (["--split", "grupped"], "E_UNKNOWN", 2, "did you mean grouped"),
        (["--shots", "100"], "E_FEW", 1, "100 training normals"),
        (["--detector", "memseg", "--defect-shots", "9"], "E_FEW", 1, "9 anomalies"),
        (["--product", "bottle"], "E_UNKNOWN", 2, "no product 'bottle'"),
        (["--nope"], "E_USAGE", 2, "--nope"),
        (["--steps", "5"], "E_USAGE", 2, "so steps would do nothing"),
        (["--detector", "memseg", "--real-share", "0.5"], "E_USAGE", 2, "expected --defect-shots"),
    ],
)
def test_wrong_calls_leave_no_trace(refused, tiles: Path, tmp_path: Path, arguments, code, exit_code, told: str):
    line = refused("train", tiles, "--out", tmp_path / "model", *arguments, code=code, exit_code=exit_code)
    assert told in line
    assert list(tmp_path.iterdir()) == []


def test_a_defect_folder_without_masks_where_masks_are_asked_for(refused, tiles: Path, tmp_path: Path, model: Path):
    shutil.copytree(tiles / "test", tmp_path / "tiles" / "test")
    line = refused("evaluate", model, tmp_path / "tiles", "--metric", "pixel_aupro", code="E_NO_PIXEL_GT", exit_code=1)
    assert "pixel_aupro was asked" in line


@pytest.mark.elpv
def test_pixel_metrics_of_data_without_masks(refused, elpv: None, model: Path, tmp_path: Path):
    report = tmp_path / "r.html"
    line = refused(
        "evaluate",
        model,
        "elpv",
        "--product",
        "mono",
        "--metric",
        "pixel_ap",
        "--report",
        report,
        code="E_NO_PIXEL_GT",
        exit_code=1,
    )
    assert "image-level" in line
    assert not report.exists()


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_inspector(refused, model: Path, tiles: Path, tmp_path: Path, damage: str):
    copy = shutil.copytree(model, tmp_path / "model")
    weights = copy / "model.safetensors"
    weights.unlink() if damage == "missing" else weights.write_bytes(weights.read_bytes()[:-1])
    out = tmp_path / "out"
    line = refused("predict", copy, tiles / "test" / "good", "--out", out, code="E_DAMAGED", exit_code=1)
    assert f"model.safetensors {'is missing' if damage == 'missing' else 'was changed'}" in line
    assert not out.exists()


def test_no_inspector_there(refused, tiles: Path, tmp_path: Path):
    assert "no inspector" in refused("evaluate", tmp_path, tiles, code="E_USAGE", exit_code=2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("broken.png", b"\x89PNG\r\n\x1a\n half"), ("empty.jpg", b""), ("page.png", b"<html>not found</html>")],
)
def test_an_unreadable_image_writes_nothing(refused, model: Path, tiles: Path, tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    good = tiles / "test" / "good" / "000.png"
    line = refused("predict", model, good, tmp_path / name, "--out", tmp_path / "out", code="E_CORRUPT", exit_code=1)
    assert name in line
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_an_unreadable_training_image_writes_nothing(refused, tiles: Path, tmp_path: Path):
    copy = shutil.copytree(tiles, tmp_path / "tiles")
    (copy / "train" / "good" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n half")
    line = refused("train", copy, "--out", tmp_path / "model", *SMALL, code="E_CORRUPT", exit_code=1)
    assert "bad.png" in line
    assert [file.name for file in tmp_path.iterdir()] == ["tiles"]


def test_a_path_without_images(refused, model: Path, tmp_path: Path):
    assert "does not exist" in refused("predict", model, tmp_path / "no.png", "--out", tmp_path / "o", code="E_ROOT", exit_code=1)
    assert "no image" in refused("predict", model, tmp_path, "--out", tmp_path / "o", code="E_ROOT", exit_code=1)


@pytest.mark.parametrize("command", ["train", "predict"])
def test_a_taken_out_stays_as_it_is(refused, model: Path, tiles: Path, tmp_path: Path, command: str):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    before = snapshot(tmp_path)
    arguments = [command, tiles] if command == "train" else [command, model, tiles / "test"]
    assert "not empty" in refused(*arguments, "--out", out, code="E_OUTPUT", exit_code=1)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("command", ["train", "predict"])
def test_overwrite_never_takes_what_is_not_ours(refused, model: Path, tiles: Path, tmp_path: Path, command: str):
    photos = Path(shutil.copytree(tiles, tmp_path / "tiles"))
    before = snapshot(tmp_path)
    arguments = [command, photos] if command == "train" else [command, model, photos / "test"]
    assert "lie in one another" in refused(*arguments, "--out", photos, "--overwrite", code="E_OUTPUT", exit_code=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    before["mine/thesis.txt"] = b"x"
    assert "not ours" in refused(*arguments, "--out", tmp_path / "mine", "--overwrite", code="E_OUTPUT", exit_code=1)
    assert snapshot(tmp_path) == before


def test_overwrite_replaces_our_own(model: Path, tiles: Path, tmp_path: Path):
    for extra in ([], ["--overwrite"]):
        assert run(["predict", str(model), str(tiles / "test" / "good"), "--out", str(tmp_path / "out"), *extra]) == 0
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_a_file_where_a_folder_is_needed(refused, model: Path, tiles: Path, tmp_path: Path, command: str):
    (tmp_path / "file").write_text("x")
    arguments = {
        "train": ["train", tiles, *SMALL, "--out", tmp_path / "file" / "model"],
        "predict": ["predict", model, tiles / "test" / "good", "--out", tmp_path / "file" / "out"],
        "evaluate": ["evaluate", model, tiles, "--report", tmp_path / "file" / "r.html"],
    }[command]
    assert "file stands where a folder is needed" in refused(*arguments, code="E_OUTPUT", exit_code=1)
    assert snapshot(tmp_path) == {"file": b"x"}


@pytest.mark.parametrize(
    ("name", "extra", "told"),
    [
        ("r.html", [], "exists"),
        ("r.html", ["--overwrite"], "no report of ours"),
        ("photo.png", ["--overwrite"], "expected .html"),
    ],
)
def test_a_report_never_costs_a_file(refused, model: Path, tiles: Path, tmp_path: Path, name: str, extra, told: str):
    (tmp_path / name).write_text("mine")
    assert told in refused("evaluate", model, tiles, "--report", tmp_path / name, *extra, code="E_OUTPUT", exit_code=1)
    assert (tmp_path / name).read_text() == "mine"


def test_a_report_of_ours_is_replaced_when_asked(model: Path, tiles: Path, tmp_path: Path):
    for extra in ([], ["--overwrite"]):
        assert run(["evaluate", str(model), str(tiles), "--report", str(tmp_path / "r.html"), *extra]) == 0


def test_a_report_is_kept_out_of_the_inspector(refused, model: Path, tiles: Path):
    assert "lie in one another" in refused("evaluate", model, tiles, "--report", model / "r.html", code="E_OUTPUT", exit_code=1)


def test_masks_are_not_taken_for_photographs(model: Path, tiles: Path, tmp_path: Path):
    assert run(["predict", str(model), str(tiles), "--out", str(tmp_path / "out")]) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text().splitlines()))
    assert len(rows) == 24 + 6 + 8


def test_a_synthetic_set_is_not_taken_for_photographs(refused, tiles: Path, tmp_path: Path):
    assert run(["synth", str(tiles), "-n", "2", "--out", str(tmp_path / "set")]) == 0
    line = refused("train", tmp_path / "set", "--out", tmp_path / "model", code="E_LAYOUT", exit_code=1)
    assert "synthetic defects" in line


def test_a_warning_follows_success_and_an_error_stands_alone(tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--set", "memseg.size=64", "--set", "memseg.backbone=tiny_cnn", "--set", "memseg.pretrained=false", "--steps", "2"]
    call = ["train", str(tiles), "--detector", "memseg", "--synth", "cutpaste", *small, "--out", str(tmp_path / "model")]
    assert run(call) == 0
    assert capsys.readouterr().err == "flawsmith: warning: memseg stores 16 normals, not 30: there are no more\n"
    assert run(call) == 1
    assert capsys.readouterr().err.startswith("flawsmith: E_OUTPUT: ")


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_a_full_disk_leaves_nothing_half_written(model: Path, tiles: Path, tmp_path: Path, command: str):
    arguments = {
        "train": ["train", tiles, *SMALL, "--out", tmp_path / "model"],
        "predict": ["predict", model, tiles / "test", "--out", tmp_path / "out"],
        "evaluate": ["evaluate", model, tiles, "--report", tmp_path / "r.html"],
    }[command]
    code = (
        "import resource, sys; from flawsmith.cli.app import run; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY)); sys.exit(run(sys.argv[1:]))"
    )
    call = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("flawsmith: E_OUTPUT: ")
    assert "free some space" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == []


def test_no_permission_to_write(model: Path, tiles: Path, tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o755)
    code = (
        "import os, sys; from flawsmith.cli.app import run; import flawsmith.report.findings, flawsmith.detectors.patchcore; "
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(run(sys.argv[1:]))"
    )
    if os.getuid() != 0:
        closed.chmod(0o555)
        code = "import sys; from flawsmith.cli.app import run; sys.exit(run(sys.argv[1:]))"
    for folder in (*tiles.parents, *model.parents, *tmp_path.parents, tmp_path):
        if "pytest" in str(folder):
            folder.chmod(0o755)
    call = [sys.executable, "-c", code, "predict", model, tiles / "test" / "good", "--out", closed / "out"]
    done = subprocess.run([*map(str, call)], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "expected a folder you may write to" in done.stderr
    assert list(closed.iterdir()) == []


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(tiles: Path, tmp_path: Path):
    memseg = ["memseg.size=64", "memseg.backbone=tiny_cnn", "memseg.pretrained=false", "memseg.width=8", "memseg.memory=4"]
    settings = [part for setting in memseg for part in ("--set", setting)]
    out = tmp_path / "model"
    call = ["train", str(tiles), "--detector", "memseg", "--synth", "cutpaste", "--steps", "4000", *settings, "--out", str(out)]
    code = (
        "import sys; import flawsmith.learning.loop as loop; from flawsmith.cli.app import run; "
        "within = loop.LoopSettings.within; "
        "loop.LoopSettings.within = classmethod(lambda cls, *a, **o: within(*a, **{**o, 'checkpoint_seconds': 0.0})); "
        "sys.exit(run(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, *call], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    checkpoint = tmp_path / ".model.partial" / "checkpoint.safetensors"
    deadline = time.monotonic() + 60
    while not checkpoint.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.splitlines() == ["flawsmith: E_INTERRUPTED: interrupted; run the same command again to go on where it stopped"], (
        told
    )
    assert not out.exists()
    stopped = load_checkpoint(checkpoint).step
    again = subprocess.Popen([sys.executable, "-c", code, *call], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    log = tmp_path / ".model.partial" / "training.jsonl"
    while '"resumed"' not in log.read_text():
        assert again.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert next(event["step"] for event in events if event["event"] == "resumed") == stopped


def test_help_answers_before_torch_is_loaded():
    code = "import sys; from flawsmith.cli.app import run; run(['--help']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("command", [["data", "check"], ["methods"], ["synth"], ["train"], ["predict"], ["evaluate"], ["demo"]])
def test_every_command_has_help_with_an_example(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*command, "--help"]) == 0
    assert "Example: flawsmith" in " ".join(capsys.readouterr().out.split())
