import json
from pathlib import Path

import pytest
import torch

from flawsmith.core.errors import DamagedFile, OutputError
from flawsmith.detectors.storage import StoredDetector, read_detector, write_detector

STORED = StoredDetector("mine", {"size": 64}, {"rows": 3}, {"rows": torch.arange(6.0).reshape(3, 2), "step": torch.tensor(7)})


def edit(folder: Path, **fields: object) -> None:
    told = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps({**told, **fields}))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_detector(tmp_path / "new" / "folder", STORED)
    found = read_detector(tmp_path / "new" / "folder", "mine")
    assert (found.name, found.params, found.state) == ("mine", {"size": 64}, {"rows": 3})
    assert found.tensors.keys() == STORED.tensors.keys()
    assert all(torch.equal(value, STORED.tensors[key]) for key, value in found.tensors.items())


def test_equal_detectors_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_detector(tmp_path / name, STORED)
    for name in ("model.safetensors", "detector.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_transposed_view_is_stored_as_it_looks(tmp_path: Path) -> None:
    view = torch.arange(6.0).reshape(3, 2).T
    write_detector(tmp_path, StoredDetector("mine", {}, {}, {"a": view, "b": view}))
    assert torch.equal(read_detector(tmp_path, "mine").tensors["a"], view)


def test_another_detector_is_refused_by_name(tmp_path: Path) -> None:
    write_detector(tmp_path, STORED)
    with pytest.raises(DamagedFile, match=r"'mine'; expected 'yours'"):
        read_detector(tmp_path, "yours")


@pytest.mark.parametrize("fields", [{"format": 2}, {"tensors_sha256": "0" * 64}])
def test_other_formats_and_mixed_pairs_are_refused(tmp_path: Path, fields: dict[str, object]) -> None:
    write_detector(tmp_path, STORED)
    edit(tmp_path, **fields)
    with pytest.raises(DamagedFile, match=r"expected .*(train|restore)"):
        read_detector(tmp_path, "mine")


@pytest.mark.parametrize("text", ["[]", "{}", "{", ""])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    write_detector(tmp_path, STORED)
    (tmp_path / "detector.json").write_text(text)
    with pytest.raises(DamagedFile, match=r"detector\.json"):
        read_detector(tmp_path, "mine")


@pytest.mark.parametrize("name", ["model.safetensors", "detector.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write_detector(tmp_path, STORED)
    (tmp_path / name).unlink()
    with pytest.raises(DamagedFile, match=name):
        read_detector(tmp_path, "mine")


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("mine")
    with pytest.raises(OutputError):
        write_detector(tmp_path / "model", STORED)
    assert (tmp_path / "model").read_text() == "mine"
