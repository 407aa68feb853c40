"""Textures that are computed: band-limited noise, marble, stripes, cells, scratches and fractals.

Ours; they stand in for DTD where there is no folder of photographs. Patterns scale with the smaller side, and each has a colour
map of its own. Fractals are those of Anderson and Farrell (WACV 2022), in their colours: the hue is the density of the points.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from flawsmith import __version__
from flawsmith.core import seeding
from flawsmith.core.arrays import FloatArray, Image
from flawsmith.core.files import sha256_bytes, sha256_file
from flawsmith.core.seeding import Seed
from flawsmith.masks import perlin
from flawsmith.masks.fractal import FEWEST_POINTS, chaos_game, draw_choices, probabilities, sample_system
from flawsmith.masks.perlin import perlin_noise

POINTS_PER_PIXEL = 2
LARGEST = 512
"""Pixels of the longer side up to which computing a texture is worth its time; larger ones are enlarged from there."""


def computed_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a texture for `size` is worth computing: at most `LARGEST` on the longer side."""
    shrink = min(1.0, LARGEST / max(size))
    return max(8, round(size[0] * shrink)), max(8, round(size[1] * shrink))


@lru_cache(maxsize=1)
def state_of_code() -> str:
    """Changes with whatever could change a computed texture: this module, noise, fractals, seeds, the libraries below."""
    packages = (Path(perlin.__file__).parent, Path(seeding.__file__).parent)
    files = [Path(__file__), *sorted(file for package in packages for file in package.glob("*.py"))]
    told = [sha256_file(file) for file in files if file.is_file()]
    return sha256_bytes(repr([told, __version__, np.__version__, cv2.__version__, platform.machine()]).encode())


def render(seed: Seed, size: tuple[int, int], kind: str) -> Image:
    """One texture of a kind: uint8 H×W×3. The same seed and size give the same picture.

    Args:
        seed: of the texture.
        size: (H, W).
        kind: of `KINDS`.
    """
    if kind == "fractal":
        return fractal(seed.numpy("pattern"), size)
    return _coloured(_PATTERNS[kind](seed.numpy("pattern"), size), seed.numpy("colours"))


def _coloured(field: FloatArray, rng: np.random.Generator) -> Image:
    """Map a field, stretched between its 1st and 99th percentile, through a gradient of three to five related colours."""
    low, high = np.percentile(field, (1, 99))
    levels = np.clip((field - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
    stops = _palette(rng, int(rng.integers(3, 6)))
    at = np.linspace(0, 255, len(stops))
    table = np.stack([np.interp(np.arange(256), at, stops[:, c]) for c in range(3)], axis=1)
    return np.asarray(np.rint(table).astype(np.uint8)[levels])


def _palette(rng: np.random.Generator, count: int) -> FloatArray:
    """Colours of a material: neighbouring hues, mostly dull, of any lightness; count×3 in 0…255."""
    hue = rng.random() + rng.normal(0, 0.06, count)
    saturation = np.clip(rng.beta(1.5, 3.0) + rng.normal(0, 0.08, count), 0, 1)
    value = rng.uniform(0.1, 1.0, count)
    hsv = np.stack([360 * (hue % 1), saturation, value], axis=1).astype(np.float32)
    return np.asarray(255 * cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0], np.float64)


def _fitting(side: int, cells: int) -> int:
    return max(1, min(cells, side))


def _octaves(rng: np.random.Generator, size: tuple[int, int], base: int, count: int) -> FloatArray:
    """Perlin noise summed over octaves, each twice as fine and half as strong."""
    total = np.zeros(size)
    for octave in range(count):
        cells = base * 2**octave
        total += perlin_noise(size, (_fitting(size[0], cells), _fitting(size[1], cells)), rng) / 2**octave
    return total


def noise(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """White noise between two blurs: grain of one width, stretched along one axis in half of the draws."""
    width = min(size) * float(np.exp(rng.uniform(np.log(0.004), np.log(0.05))))
    stretch = float(rng.uniform(1, 6)) if rng.random() < 0.5 else 1.0
    white = rng.standard_normal(size).astype(np.float32)
    fine = cv2.GaussianBlur(white, (0, 0), sigmaX=width * stretch, sigmaY=width)
    return np.asarray(fine - cv2.GaussianBlur(white, (0, 0), sigmaX=2 * width * stretch, sigmaY=2 * width), np.float64)


def marble(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """A sine whose phase Perlin noise bends."""
    y, x = _grid(size)
    angle, waves = rng.uniform(0, np.pi), rng.uniform(1, 8)
    ramp = 2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle))
    return np.asarray(np.sin(ramp + rng.uniform(2, 10) * _octaves(rng, size, int(2 ** rng.integers(1, 4)), 4)))


def stripes(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """One or two gratings, slightly bent, with grain."""
    y, x = _grid(size)
    bend = rng.uniform(0, 1.5) * _octaves(rng, size, 2, 2)
    total = 0.15 * rng.standard_normal(size)
    for _ in range(int(rng.integers(1, 3))):
        angle, waves = rng.uniform(0, np.pi), float(np.exp(rng.uniform(np.log(4), np.log(40))))
        wave = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + bend)
        total = total + (np.sign(wave) if rng.random() < 0.3 else wave)
    return np.asarray(total)


def cells(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """Voronoi cells, filled by number, by distance, or by both."""
    canvas = np.full(size, 255, np.uint8)
    count = int(np.exp(rng.uniform(np.log(12), np.log(250))))
    canvas[rng.integers(0, size[0], count), rng.integers(0, size[1], count)] = 0
    distance, label = cv2.distanceTransformWithLabels(canvas, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    by_number = rng.random(count + 1)[np.minimum(label, count)]
    share = float(rng.choice([0.0, 0.5, 1.0]))
    return np.asarray(share * by_number + (1 - share) * distance / max(float(np.max(distance)), 1e-9))


def scratches(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """Random walks over grain, bright and dark."""
    canvas = (rng.uniform(0.05, 0.4) * noise(rng, size)).astype(np.float32)
    canvas = canvas / max(float(canvas.std()), 1e-9) * 0.2
    side = min(size)
    for _ in range(int(rng.integers(10, 60))):
        steps = rng.standard_normal((int(rng.integers(3, 20)), 2)) * side * 0.04 + rng.uniform(-0.05, 0.05, 2) * side
        path = np.cumsum(np.vstack([rng.uniform(0, 1, 2) * size[::-1], steps]), axis=0)
        thickness = max(1, round(side * float(rng.uniform(0.002, 0.015))))
        points = [np.rint(path * 8).astype(np.int32)]
        cv2.polylines(canvas, points, False, float(rng.choice([-1, 1]) * rng.uniform(0.4, 1)), thickness, cv2.LINE_8, shift=3)
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), max(0.5, side * 0.002)), np.float64)


def fractal(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """An iterated function system whose hue is the density of its points, in one saturation and one brightness."""
    system = sample_system(int(rng.integers(2, 6)), rng)
    choices, shifts = draw_choices(probabilities(system), max(FEWEST_POINTS, round(POINTS_PER_PIXEL * size[0] * size[1])), rng)
    density = _density(*chaos_game(system, choices, shifts), size)
    hue = 360 * ((density + rng.random()) % 1)
    saturation, value = rng.uniform(0.3, 1), rng.uniform(0.5, 1)
    hsv = np.stack([hue, np.full(size, saturation), np.full(size, value)], axis=2).astype(np.float32)
    return np.asarray(np.rint(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)), np.uint8)


def _density(xs: FloatArray, ys: FloatArray, size: tuple[int, int]) -> FloatArray:
    """How close the points lie, on a scale of logarithms from 0 for none to 1; their bounding box fills the picture."""
    rows, columns = (
        ((values - values.min()) * ((side - 1) / max(float(np.ptp(values)), 1e-6))).astype(np.intp)
        for values, side in ((xs.reshape(-1), size[0]), (ys.reshape(-1), size[1]))
    )
    counts = np.bincount(rows * size[1] + columns, minlength=size[0] * size[1]).reshape(size)
    close = np.log1p(cv2.GaussianBlur(counts.astype(np.float64), (0, 0), max(0.6, min(size) * 0.004)))
    return np.asarray(close / max(float(close.max()), 1e-9))


def _grid(size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Row and column positions in units of the smaller side."""
    return np.arange(size[0])[:, None] / min(size), np.arange(size[1])[None, :] / min(size)


_PATTERNS: dict[str, Callable[[np.random.Generator, tuple[int, int]], FloatArray]] = {
    "noise": noise,
    "marble": marble,
    "stripes": stripes,
    "cells": cells,
    "scratches": scratches,
}
KINDS = (*_PATTERNS, "fractal")
