"""What every test stands on: one thread, no network, and the real photographs where they are."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "FLAWSMITH_THREADS"):
    os.environ[_name] = "1"

import importlib.util  # noqa: E402
import socket  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import hypothesis  # noqa: E402
import pytest  # noqa: E402

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> None:
        assert self.family == socket.AF_UNIX, f"a test tried to reach the network: {address}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded pictures are kept where the tests keep everything, not in the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLAWSMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def mtd() -> Path:
    """The official folder of the magnetic tiles."""
    folder = os.environ.get("FLAWSMITH_MTD")
    if not folder or not Path(folder).is_dir():
        pytest.skip("the magnetic-tile photographs are not here: set FLAWSMITH_MTD to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def elpv() -> None:
    """The package with the photographs of solar cells."""
    if importlib.util.find_spec("elpv_dataset") is None:
        pytest.skip("the solar-cell photographs are not here: pip install elpv-dataset")


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MVTec-like folder: 24 normals to train on, 6 normals and 8 anomalies with masks to test on. Do not change it."""
    import cv2
    import numpy as np

    from flawsmith.core.seeding import Seed
    from flawsmith.testing.toy import toy_anomalies, toy_normals

    root = tmp_path_factory.mktemp("data") / "tiles"
    normals = (toy_normals(24, Seed(0), 128, "train"), toy_normals(6, Seed(0), 128, "test"))
    for sample in (*normals[0], *normals[1], *toy_anomalies(8, Seed(0), 128)):
        _, split, defect, stem = sample.id.split("/")
        image = root / split / defect / f"{stem}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), sample.image())
        if not sample.is_normal:
            mask = root / "ground_truth" / defect / f"{stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(mask), sample.mask().astype(np.uint8) * 255)
    return root


@pytest.fixture(scope="session")
def model(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small patchcore trained on `tiles`. Do not change it."""
    from flawsmith.data import load
    from flawsmith.inspection.training import train

    out = tmp_path_factory.mktemp("models") / "tiles"
    train(load(tiles), "patchcore", settings=("patchcore.size=128",), out=out)
    return out
