"""Pictures and requests that the tests of synthesizers share."""

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
