import re
from pathlib import Path

import numpy as np
import pytest

from flawsmith.core.detector import TrainingTask
from flawsmith.core.errors import DamagedFile, DataError
from flawsmith.core.files import read_json, write_json
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.detectors.base import prepare
from flawsmith.detectors.patchcore import PatchCore
from flawsmith.testing.toy import toy_normals


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    normals = toy_normals(1, Seed(0), size=64)
    detector = PatchCore.from_params({"size": 64, "backbone": "tiny_cnn", "pretrained": False})
    detector.fit(TrainingTask(None, normals, SupportSet(tuple(normals)))).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"params": {"size": 64}}, "does not fit its tensors"),
        ({"state": {}}, "does not fit its tensors"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(saved: Path, changes: dict[str, object], complaint: str) -> None:
    write_json(saved / "detector.json", {**read_json(saved / "detector.json"), **changes})
    with pytest.raises(DamagedFile, match=complaint):
        PatchCore.load(saved)


def test_images_are_brought_to_the_working_size() -> None:
    found = prepare(np.full((61, 97, 3), 51, np.uint8), 32)
    assert found.shape == (1, 3, 32, 32)
    np.testing.assert_allclose(found.numpy(), 0.2, atol=1e-7)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((8, 8), np.uint8), "uint8 (8, 8)"),
        (np.zeros((8, 8, 1), np.uint8), "uint8 (8, 8, 1)"),
        (np.zeros((8, 8, 3), np.float32), "float32 (8, 8, 3)"),
        ("image.png", "str"),
    ],
)
def test_what_is_no_image_is_named(image: object, told: str) -> None:
    with pytest.raises(DataError, match=re.escape(told)):
        prepare(image, 32)  # type: ignore[arg-type]


def test_predictions_come_one_by_one(saved: Path) -> None:
    taken = []
    images = (taken.append(i) or toy_normals(1, Seed(i), size=64)[0].image() for i in range(3))  # type: ignore[func-returns-value]
    found = PatchCore.load(saved).predict(images)
    next(found)
    assert taken == [0]
