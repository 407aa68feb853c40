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


@pytest.fixture(scope="session")
def stored():
    """stored(root, layout, pairs, product, defect, suffix): write (image, mask, origin or None) in the way of a tool; the root.

    Layouts: native (v1), anomalydiffusion, dfmgan, asbench-triplet. Masks are bool.
    """
    import json

    import cv2
    import numpy as np

    def put(path: Path, pixels) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
        assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)

    def write(root: Path, layout: str, pairs, product="tiles", defect="dent", suffix=".png", pad=0) -> Path:
        names = {
            "native": (f"{product}/{defect}/image/", f"{product}/{defect}/mask/", f"{product}/{defect}/origin/"),
            "anomalydiffusion": (f"{product}/{defect}/image/", f"{product}/{defect}/mask/", f"{product}/{defect}/ori/"),
            "asbench-triplet": (f"{product}_sort/", f"{product}_mask_sort/", f"{product}_origin_sort/"),
        }
        for number, parts in enumerate(pairs):
            stem = f"{number:0{pad}d}"
            for k, pixels in enumerate(parts):
                if pixels is not None and layout == "dfmgan":
                    put(root / product / defect / f"{stem}_{('img', 'mask', 'good')[k]}{suffix}", pixels)
                elif pixels is not None:
                    put(root / f"{names[layout][k]}{stem}{suffix}", pixels)
        if layout == "native":
            (root / "synth.json").write_text(json.dumps({"schema_version": 1, "method": "test"}))
        return root

    return write


@pytest.fixture(scope="session")
def drawn_pairs():
    """drawn_pairs(n, side): n of (image, mask, origin): a square of each pair's own place and colour on noise."""
    import numpy as np

    def draw(n: int, side: int = 48):
        pairs = []
        for number in range(n):
            rng = np.random.default_rng(number)
            origin = rng.integers(60, 120, (side, side, 3), dtype=np.uint8)
            mask = np.zeros((side, side), bool)
            y, x = rng.integers(0, side - 12, 2)
            mask[y : y + 12, x : x + 12] = True
            image = np.where(mask[..., None], np.array([200, 10 * number % 250, 40], np.uint8), origin)
            pairs.append((image, mask, origin))
        return pairs

    return draw
