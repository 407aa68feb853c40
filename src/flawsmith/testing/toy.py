"""The toy texture: a woven pattern with four kinds of defect that no working detector can miss.

Recipe of the built-in smoke benchmark: two sine gratings with jittered phase, slow shading, sensor noise; defects are scratch,
spot, smear and stain in the middle two thirds. The mask is the drawn shape.
"""

from __future__ import annotations

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray, Image, Mask
from flawsmith.core.samples import GOOD, ArraySource, Region, Sample, SplitName
from flawsmith.core.seeding import Seed

DEFECTS = ("scratch", "spot", "smear", "stain")


def toy_texture(seed: Seed, size: int = 128) -> Image:
    """A normal picture, uint8 size×size×3 with three equal channels."""
    return _to_image(_gratings(seed.numpy("texture"), size))


def toy_defect(seed: Seed, size: int = 128, defect: str = "scratch") -> tuple[Image, Mask]:
    """An anomaly of one of `DEFECTS`, and its mask."""
    surface = _gratings(seed.numpy("texture"), size)
    rng = seed.numpy("defect")
    mask = _line(rng, size) if defect == "scratch" else _ellipse(rng, size)
    return _to_image(np.where(mask, _changed(surface, rng, defect), surface)), mask


def _changed(surface: FloatArray, rng: np.random.Generator, defect: str) -> FloatArray:
    if defect == "scratch":
        return surface * 0.35
    if defect == "spot":
        return np.full(surface.shape, rng.uniform(0.85, 0.95))
    if defect == "smear":
        return np.asarray(cv2.GaussianBlur(surface, (0, 0), 4))
    return surface + float(rng.choice([-0.18, 0.18]))


def toy_normals(n: int, seed: Seed, size: int = 128, split: SplitName = "train") -> list[Sample]:
    """`n` normal samples of the product `toy`."""
    return [
        Sample(
            f"toy/{split}/{GOOD}/{i:03d}",
            "toy",
            GOOD,
            split,
            f"{split}-{i}",
            _source(toy_texture(seed.child(split, i), size), ()),
        )
        for i in range(n)
    ]


def toy_anomalies(n: int, seed: Seed, size: int = 128, split: SplitName = "test") -> list[Sample]:
    """`n` anomalies of the product `toy`, the four kinds in turn."""
    samples = []
    for i in range(n):
        defect = DEFECTS[i % len(DEFECTS)]
        image, mask = toy_defect(seed.child(split, defect, i), size, defect)
        source = _source(image, (Region(defect, mask),))
        samples.append(Sample(f"toy/{split}/{defect}/{i:03d}", "toy", defect, split, f"{split}-{defect}-{i}", source))
    return samples


def _source(image: Image, regions: tuple[Region, ...]) -> ArraySource:
    return ArraySource(image, regions, "toy texture")


def _gratings(rng: np.random.Generator, size: int) -> FloatArray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    a, b = rng.uniform(0, 2 * np.pi, 2)
    jitter = 2 * _upsampled(rng, 5, size)
    surface = 0.5 + 0.18 * np.sin(2 * np.pi * x / 8 + a + 0.15 * jitter) + 0.18 * np.sin(2 * np.pi * y / 8 + b + 0.15 * jitter)
    return np.asarray(surface + 0.06 * _upsampled(rng, 3, size) + rng.normal(0, 0.03, (size, size)), np.float64)


def _upsampled(rng: np.random.Generator, cells: int, size: int) -> FloatArray:
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _to_image(surface: FloatArray) -> Image:
    grey = np.round(np.clip(surface, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _centre(rng: np.random.Generator, size: int) -> tuple[float, float]:
    x, y = rng.uniform(size / 6, size * 5 / 6, 2)
    return float(x), float(y)


def _line(rng: np.random.Generator, size: int) -> Mask:
    (x, y), angle, length = _centre(rng, size), rng.uniform(0, np.pi), rng.uniform(size / 6, size / 2)
    dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
    canvas = np.zeros((size, size), np.uint8)
    cv2.line(canvas, (round(x - dx), round(y - dy)), (round(x + dx), round(y + dy)), 1, int(rng.integers(1, 4)))
    return canvas > 0


def _ellipse(rng: np.random.Generator, size: int) -> Mask:
    (x, y), axes = _centre(rng, size), rng.uniform(size / 25, size / 8, 2)
    canvas = np.zeros((size, size), np.uint8)
    half = (max(1, round(axes[0])), max(1, round(axes[1])))
    cv2.ellipse(canvas, (round(x), round(y)), half, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas > 0
