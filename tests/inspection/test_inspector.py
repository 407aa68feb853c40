import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from flawsmith.core.errors import DamagedFile, OutputError, UsageError
from flawsmith.core.files import sha256_file
from flawsmith.data import load
from flawsmith.inspection.inspector import FILES, Inspector


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "model"))


def test_the_folder_holds_only_data_and_every_file_is_listed(model: Path):
    names = {file.name for file in model.iterdir()}
    assert {Path(name).suffix for name in names} <= {".safetensors", ".json", ".yaml", ".md", ".jsonl"}
    assert set(json.loads((model / FILES).read_text())["sha256"]) == names - {FILES}


def test_verdicts_follow_the_threshold_and_say_where_it_came_from(model: Path, tiles: Path):
    inspector = Inspector.load(model)
    samples = load(tiles).of(split="test").samples
    for prediction in inspector.predict(sample.image() for sample in samples):
        assert prediction.verdict == ("defect" if prediction.score > prediction.threshold else "good")
        assert prediction.defect == ("good" if prediction.verdict == "good" else "defect")
        assert "held-out normals" in prediction.threshold_source


def test_the_same_predictions_after_a_move_in_a_new_process(model: Path, copy: Path, tiles: Path):
    code = (
        "import sys; from pathlib import Path; from flawsmith.data import load; "
        "from flawsmith.inspection.inspector import Inspector; "
        "samples = load(sys.argv[2]).of(split='test').samples; "
        "print([p.score for p in Inspector.load(Path(sys.argv[1])).predict(s.image() for s in samples)])"
    )
    told = subprocess.run([sys.executable, "-c", code, copy, tiles], capture_output=True, text=True, check=True).stdout
    samples = load(tiles).of(split="test").samples
    assert json.loads(told) == [p.score for p in Inspector.load(model).predict(s.image() for s in samples)]


def test_load_and_save_again_is_identity(model: Path, tmp_path: Path):
    Inspector.load(model).save(tmp_path / "again")
    for file in model.iterdir():
        if file.name not in (FILES, "training.jsonl"):
            assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.yaml", "split.json", "inspector.json", "card.md"])
def test_a_missing_file_is_named(copy: Path, name: str):
    (copy / name).unlink()
    with pytest.raises(DamagedFile, match=rf"{name} is missing"):
        Inspector.load(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.yaml", "inspector.json"])
def test_a_changed_file_is_named(copy: Path, name: str):
    data = bytearray((copy / name).read_bytes())
    data[-3] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(DamagedFile, match=rf"{name} was changed"):
        Inspector.load(copy)


def test_a_list_of_files_that_leads_elsewhere_is_refused(copy: Path):
    listed = json.loads((copy / FILES).read_text())
    listed["sha256"]["../secret"] = "0"
    (copy / FILES).write_text(json.dumps(listed))
    with pytest.raises(DamagedFile, match="plain file names"):
        Inspector.load(copy)


def test_a_folder_that_is_no_inspector_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="no inspector"):
        Inspector.load(tmp_path)


def test_a_taken_folder_is_refused(model: Path, tiles: Path):
    with pytest.raises(OutputError, match="not empty"):
        Inspector.load(model).save(tiles)


def test_maps_have_the_size_of_the_image(model: Path):
    image = np.full((61, 97, 3), 128, np.uint8)
    (prediction,) = Inspector.load(model).predict([image])
    assert prediction.map.shape == (61, 97)


def rewritten(folder: Path, name: str, change) -> None:
    told = json.loads((folder / name).read_text())
    change(told)
    (folder / name).write_text(json.dumps(told))
    listed = json.loads((folder / FILES).read_text())
    listed["sha256"][name] = sha256_file(folder / name)
    (folder / FILES).write_text(json.dumps(listed))


@pytest.mark.parametrize("listed", ["{}", "[]", '{"sha256": []}', '{"sha256": {"card.md": "0"}}'])
def test_a_list_of_files_that_lists_too_little_is_refused(copy: Path, listed: str):
    (copy / FILES).write_text(listed)
    with pytest.raises(DamagedFile, match="expected all"):
        Inspector.load(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("threshold"),
        lambda told: told.pop("format"),
        lambda told: told["origin"].pop("digests"),
        lambda told: told["threshold"].update(value=float("nan")),
        lambda told: told["threshold"].update(more=1),
    ],
)
def test_an_incomplete_inspector_is_named(copy: Path, change):
    rewritten(copy, "inspector.json", change)
    with pytest.raises(DamagedFile, match=r"inspector\.json"):
        Inspector.load(copy)
