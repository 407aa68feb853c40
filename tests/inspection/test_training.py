import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image as Pillow
from safetensors.torch import load_file

from flawsmith.core.errors import BadParameter, DataError, OutputError, UnknownName, UsageError
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import turned_digest
from flawsmith.inspection import training
from flawsmith.inspection.training import recipe_of, train
from flawsmith.learning.checkpoint import load_checkpoint, same_state

pytestmark = pytest.mark.filterwarnings("ignore:memseg stores")

SMALL = ("memseg.size=64", "memseg.backbone=tiny_cnn", "memseg.pretrained=false", "memseg.width=8")
SYNTH = "cutpaste,draem"


@pytest.fixture(scope="module")
def data(tiles: Path) -> Dataset:
    return load(tiles)


def test_training_and_test_share_nothing(data: Dataset, model: Path):
    assignment = json.loads((model / "split.json").read_text())["assignment"]
    digests = set(json.loads((model / "inspector.json").read_text())["origin"]["digests"])
    by_id = {sample.id: turned_digest(sample.image()) for sample in data.samples}
    for name, place in assignment.items():
        assert (by_id[name] in digests) == (place in ("train", "val"))


def test_no_test_image_is_opened_while_training(data: Dataset, monkeypatch: pytest.MonkeyPatch):
    from flawsmith.data import leakage
    from flawsmith.data.reading import FileSource

    read = FileSource.image

    def watched(self):
        assert "/test/" not in self.location, self.location
        return read(self)

    monkeypatch.setattr(
        "flawsmith.inspection.training.check_leakage", lambda applied, support=(): leakage.LeakageReport((), None)
    )
    monkeypatch.setattr(FileSource, "image", watched)
    train(data, "patchcore", settings=("patchcore.size=64",))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data: Dataset, tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(data, "memseg", SYNTH, settings=SMALL, steps=4, seed=seed, out=tmp_path / name)
    a, b, c = (load_file(tmp_path / name / "model.safetensors") for name in "abc")
    assert same_state(a, b)
    assert not same_state(a, c)


@pytest.mark.slow
def test_killed_half_way_and_started_again_gives_the_same_weights(data: Dataset, tiles: Path, tmp_path: Path):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = ["train", str(tiles), "--detector", "memseg", "--synth", SYNTH, "--steps", "40", *settings]
    code = (
        "import sys, time; import flawsmith.learning.loop as loop; from flawsmith.cli.app import run; "
        "settings = loop.LoopSettings.within; "
        "loop.LoopSettings.within = classmethod(lambda cls, *a, **o: settings(*a, **{**o, 'checkpoint_seconds': 0.0})); "
        "step = loop._Run._step; "
        "loop._Run._step = lambda self, *a: (step(self, *a), time.sleep(SLOW))[0]; "
        "sys.exit(run(sys.argv[1:]))"
    )
    environment = {**os.environ, "FLAWSMITH_THREADS": "1"}

    def start(out: str, slow: float) -> subprocess.Popen:
        call = [sys.executable, "-c", code.replace("SLOW", str(slow)), *command, "--out", str(tmp_path / out)]
        return subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL)

    killed = start("model", 0.2)
    checkpoint = tmp_path / ".model.partial" / "checkpoint.safetensors"
    deadline = time.monotonic() + 60
    while not (checkpoint.exists() and load_checkpoint(checkpoint).step >= 10):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "model").exists()
    assert start("model", 0).wait() == start("unbroken", 0).wait() == 0
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("model", "unbroken")]
    assert same_state(*weights)
    events = [json.loads(line) for line in (tmp_path / "model" / "training.jsonl").read_text().splitlines()]
    assert next(event["step"] for event in events if event["event"] == "resumed") >= 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "unbroken"]


def test_few_shots_hold_out_from_the_shots_alone(data: Dataset, tmp_path: Path):
    inspector = train(data, "patchcore", settings=("patchcore.size=64",), shots=4, out=tmp_path / "model")
    places = list(inspector.split.assignment.values())
    assert (places.count("train"), places.count("val")) == (3, 1)
    assert len(inspector.origin.digests) == 4


def test_one_normal_is_enough_and_the_threshold_says_so(data: Dataset):
    inspector = train(data, "patchcore", settings=("patchcore.size=64",), shots=1)
    assert "turned copies of the training normals" in inspector.threshold.source


def test_real_anomalies_leave_the_test_side_and_are_told(data: Dataset):
    inspector = train(data, "memseg", SYNTH, settings=SMALL, steps=2, defect_shots=1, real_share=0.5)
    assert inspector.origin.uses_real_anomalies
    assert list(inspector.split.assignment.values()).count("test") == 14 - 4
    assert inspector.split.counts()["dropped"] >= 4


@pytest.mark.parametrize(
    ("detector", "fields", "error", "told"),
    [
        ("patchcor", {}, UnknownName, "did you mean patchcore"),
        ("patchcore", {"settings": ["patchcore.nope=1"]}, BadParameter, "no parameter 'nope'"),
        ("patchcore", {"settings": ["draem.opacity=1"]}, UsageError, "names 'draem'"),
        ("memseg", {"synth": "draen"}, UnknownName, "did you mean draem"),
        ("memseg", {"ratio": 1.5}, BadParameter, "ratio is 1.5"),
        ("patchcore", {"product": "bottle"}, UnknownName, "no product 'bottle'"),
        ("patchcore", {"shots": 25}, DataError, "25 training normals"),
        ("patchcore", {"split": "grouppd"}, UnknownName, "did you mean grouped"),
        ("memseg", {"settings": ["memseg.size=100"]}, BadParameter, "multiple of 32"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(data: Dataset, tmp_path: Path, detector, fields, error, told: str):
    with pytest.raises(error, match=told):
        train(data, detector, out=tmp_path / "model", **fields)
    assert list(tmp_path.iterdir()) == []


def test_photographs_of_the_test_are_no_textures(data: Dataset, tmp_path: Path):
    settings = (*SMALL, f"destseg.textures={data.root}/test")
    with pytest.raises(DataError, match=r"destseg takes its textures from .*test, which overlaps the photographs"):
        train(data, "memseg", "destseg", settings=settings, out=tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_tells_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    recipe = recipe_of("memseg", "destseg", ("destseg.textures=./textures",), foreground="./masks")
    params = recipe.synth[0].method.params
    assert (params["textures"], params["foreground"]) == (str(tmp_path / "textures"), str(tmp_path / "masks"))


def test_a_foreground_is_of_every_synthesizer_that_is_not_told_another():
    recipe = recipe_of("memseg", SYNTH, ("draem.foreground=otsu",), foreground="auto")
    assert [member.method.params["foreground"] for member in recipe.synth] == ["auto", "otsu"]
    with pytest.raises(UsageError, match="foreground=auto is asked, and no synthesizer takes part"):
        recipe_of("patchcore", foreground="auto")


def test_a_changed_texture_is_another_training(data: Dataset, tmp_path: Path):
    (tmp_path / "textures").mkdir()
    for k in range(2):
        Pillow.fromarray(data.samples[k].image() // 2).save(tmp_path / "textures" / f"{k}.png")
    recipe = recipe_of("memseg", "destseg", (*SMALL, f"destseg.textures={tmp_path}/textures"))
    before = training._prepare(data, recipe).fingerprint
    assert training._prepare(data, recipe).fingerprint == before
    os.utime(tmp_path / "textures" / "1.png", (1, 1))
    assert training._prepare(data, recipe).fingerprint != before


def test_a_taken_folder_is_refused_unless_told_otherwise(data: Dataset, model: Path, tmp_path: Path):
    out = Path(shutil.copytree(model, tmp_path / "model"))
    with pytest.raises(OutputError, match="not empty"):
        train(data, "patchcore", out=out)
    assert (out / "card.md").read_bytes() == (model / "card.md").read_bytes()
    train(data, "patchcore", settings=("patchcore.size=64",), out=out, overwrite=True)
    assert (out / "card.md").read_bytes() != (model / "card.md").read_bytes()
    assert (out / "model.safetensors").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_recipe_spells_every_parameter_out():
    recipe = recipe_of("patchcore", settings=["patchcore.size=128"], seed=3)
    assert recipe.detector.params["size"] == 128
    assert recipe.detector.params["neighbours"] == 9
    assert (recipe.synth, recipe.seed) == ((), 3)


@pytest.mark.parametrize(
    ("normals", "held_out"),
    [(1000, 100), (150, 19), (24, 8), (3, 1)],
)
def test_as_many_are_held_out_as_a_threshold_takes_up_to_a_third(normals: int, held_out: int):
    from flawsmith.inspection.training import _validation_share

    assert round(normals * _validation_share(recipe_of("patchcore"), normals)) == held_out


def test_what_it_learned_from_is_told_truly(data: Dataset):
    plain = train(data, "patchcore", settings=("patchcore.size=64",))
    mixed = train(data, "memseg", SYNTH, settings=SMALL, steps=2, defect_shots=1)
    alone = train(data, "memseg", SYNTH, settings=SMALL, steps=2, defect_shots=1, real_share=0.0)
    told = [(i.origin.learned_from_anomalies, i.origin.uses_real_anomalies) for i in (plain, mixed, alone)]
    assert told == [(False, False), (True, True), (True, False)]


@pytest.mark.parametrize("fields", [{"synth": "cutpaste"}, {"defect_shots": 1}, {"ratio": 0.3}, {"seconds": 9.0}])
def test_anomalies_for_a_detector_that_uses_none_are_refused(data: Dataset, fields):
    with pytest.raises(UsageError, match="learns from normals alone"):
        train(data, "patchcore", **fields)


def test_changed_pictures_are_another_training(data: Dataset):
    import dataclasses

    from flawsmith.inspection.training import _prepare

    recipe = recipe_of("patchcore")
    darker = [s.with_pixels(s.image() // 2, ()) if s.is_normal else s for s in data.samples]
    one, two = _prepare(data, recipe), _prepare(dataclasses.replace(data, samples=tuple(darker)), recipe)
    assert one.split.digest == two.split.digest
    assert one.fingerprint != two.fingerprint


def test_leftovers_of_another_training_are_not_published(data: Dataset, tmp_path: Path):
    staging = tmp_path / ".model.partial"
    staging.mkdir()
    for name in ("training.jsonl", ".model.safetensors.1.partial", "fingerprint"):
        (staging / name).write_text("left over")
    train(data, "patchcore", settings=("patchcore.size=64",), out=tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert names == {*json.loads((tmp_path / "model" / "files.json").read_text())["sha256"], "files.json"}
    assert "training.jsonl" not in names
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("out", ["", "train", "../tiles"])
def test_the_photographs_are_never_replaced(tiles: Path, data: Dataset, out: str):
    before = sorted(path.name for path in tiles.rglob("*"))
    with pytest.raises(OutputError, match="lie in one another"):
        train(data, "patchcore", out=tiles / out, overwrite=True)
    assert sorted(path.name for path in tiles.rglob("*")) == before


def test_a_folder_that_is_no_inspector_is_never_replaced(data: Dataset, tmp_path: Path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="not ours to replace"):
        train(data, "patchcore", out=tmp_path, overwrite=True)
    assert (tmp_path / "mine").read_text() == "x"


def test_a_split_that_leaves_next_to_nothing_says_so(tiles: Path, tmp_path: Path):
    for number, file in enumerate(sorted((tiles / "train" / "good").iterdir())):
        (tmp_path / "pool" / "good").mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tmp_path / "pool" / "good" / f"{number}.png")
    inspector = train(load(tmp_path / "pool"), "patchcore", settings=("patchcore.size=64",), split="mtd-group")
    assert "the split leaves only 1 of 24 normals of pool to train on" in inspector.origin.warnings
