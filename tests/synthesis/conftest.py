"""Pictures and requests that the tests of synthesizers share."""

import cv2
import numpy as np
import pytest

from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed


def _noise(height=96, width=128, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _normal(pixels, name="0"):
    return Sample(f"p/train/good/{name}", "p", "good", "train", name, ArraySource(pixels))


def _made(method, pixels, seed=0, **fields):
    return method.synthesize([Request(_normal(pixels), Seed(seed), **fields)])[0]


@pytest.fixture(scope="session")
def noise():
    """noise(height, width, seed): a picture of white noise."""
    return _noise


@pytest.fixture(scope="session")
def normal():
    """normal(pixels, name): a sample."""
    return _normal


@pytest.fixture(scope="session")
def made():
    """made(method, pixels, seed, **request fields): one anomaly."""
    return _made


@pytest.fixture
def tiles(tmp_path):
    """A folder with six normals in train, one in test and one scratched; loaded."""
    from flawsmith.data import load
    from flawsmith.testing.toy import toy_defect, toy_texture

    for i in range(6):
        write_png(tmp_path / "tiles" / "train" / "good" / f"{i}.png", toy_texture(Seed(5, (i,)), 64))
    write_png(tmp_path / "tiles" / "test" / "good" / "t.png", toy_texture(Seed(5, ("t",)), 64))
    image, mask = toy_defect(Seed(6), 64)
    write_png(tmp_path / "tiles" / "test" / "scratch" / "a.png", image)
    write_png(tmp_path / "tiles" / "ground_truth" / "scratch" / "a_mask.png", mask.astype(np.uint8) * 255)
    return load(tmp_path / "tiles")


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
