"""Perlin noise as matrix products, and the masks that DRAEM cuts from it.

DRAEM (Zavrtanik et al. 2021), section 3.2; Perlin (2002) for the fade curve. Original code: VitjanZ/DRAEM (MIT). The noise equals
its dense four-corner form, works at any height and width, and costs two orders of magnitude less.
Departs in three places: an empty draw is repeated (`on_empty`); a cell never gets smaller than 4 pixels, so that images under 128
pixels have masks at all; the noise is float64 until it is turned, so that the number of threads cannot move a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray, Map, Mask
from flawsmith.core.errors import BadParameter

OnEmpty = Literal["resample", "keep"]
SMALLEST_CELL = 4
FALLBACK_QUANTILE = 0.95


@dataclass(frozen=True, eq=False)
class PerlinMask:
    """One mask and how it was drawn.

    Args:
        mask: bool H×W.
        drawn: exponents, angle and threshold of the accepted draw.
        attempts: number of draws.
    """

    mask: Mask
    drawn: Mapping[str, Any]
    attempts: int


def perlin_noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Perlin noise of `shape` over `cells` = (along y, along x) lattice cells: float64 H×W, within (-1, 1).

    Raises:
        BadParameter: no cell, or more cells than pixels.
    """
    for axis, side, count in zip("yx", shape, cells, strict=True):
        if not 1 <= count <= side:
            raise BadParameter(f"cells along {axis} is {count}; expected 1…{side} for {side} pixels")
    return noise_of_angles(shape, rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1)))


def noise_of_angles(shape: tuple[int, int], angles: FloatArray) -> FloatArray:
    """The noise of given gradient angles at the lattice corners: sqrt(2)·(R_y G_y V_xᵀ + V_y G_x R_xᵀ), as one product."""
    height, width = _axis(shape[0], angles.shape[0] - 1), _axis(shape[1], angles.shape[1] - 1)
    rows = np.hstack([height.ramp @ np.cos(angles), height.value @ np.sin(angles)])
    return np.asarray(rows @ width.stacked)


class _Axis(NamedTuple):
    """Along one axis, pixels×corners: the faded weight of each lattice corner (V), that weight times the distance to the corner
    (R), and sqrt(2)·[V R]ᵀ for the right side of the product."""

    value: FloatArray
    ramp: FloatArray
    stacked: FloatArray


@lru_cache(maxsize=64)
def _axis(side: int, cells: int) -> _Axis:
    position = np.arange(side) * (cells / side)
    cell = np.minimum(position.astype(int), cells - 1)
    u = position - cell
    fade = ((6 * u - 15) * u + 10) * u**3
    value, ramp = np.zeros((side, cells + 1)), np.zeros((side, cells + 1))
    pixel = np.arange(side)
    value[pixel, cell], value[pixel, cell + 1] = 1 - fade, fade
    ramp[pixel, cell], ramp[pixel, cell + 1] = (1 - fade) * u, fade * (u - 1)
    return _Axis(value, ramp, np.ascontiguousarray(np.sqrt(2) * np.hstack([value, ramp]).T))


def turned(noise: FloatArray, degrees: float) -> Map:
    """Rotate a field about its centre, bilinear, zero outside; float32 H×W."""
    height, width = noise.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(noise.astype(np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)


def perlin_mask(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    exponents: tuple[int, int] = (0, 5),
    threshold: float = 0.5,
    rotation: float = 90.0,
    foreground: Mask | None = None,
    on_empty: OnEmpty = "resample",
    attempts: int = 10,
) -> PerlinMask:
    """The mask of DRAEM: where turned Perlin noise exceeds a threshold, inside the foreground.

    Args:
        shape: (H, W).
        rng: the only source of draws.
        exponents: cells per axis are 2 to the power of a whole number drawn from this range, both ends included.
        threshold: of the noise, within (-1, 1).
        rotation: largest angle in degrees, either way.
        foreground: bool H×W to stay inside.
        on_empty: draw everything again up to `attempts` times and then lower the threshold to the noise's 95th percentile, or
            keep the empty mask as the original does.
        attempts: most draws.

    Raises:
        BadParameter: a range that is reversed or negative, or a threshold outside (-1, 1).
    """
    _check(exponents, threshold)
    for attempt in range(1, attempts + 1):
        ranges = [_exponents_for(side, exponents) for side in shape]
        drawn = [int(rng.integers(low, high + 1)) for low, high in ranges]
        noise = perlin_noise(shape, (2 ** drawn[0], 2 ** drawn[1]), rng)
        angle = float(rng.uniform(-rotation, rotation))
        told = {"exponents": drawn, "angle": angle, "threshold": threshold}
        if noise.max() <= threshold and on_empty == "resample" and attempt < attempts:
            continue
        field = turned(noise, angle)
        mask = _inside(field > threshold, foreground)
        if on_empty == "keep" or mask.any():
            return PerlinMask(mask, told, attempt)
    lowered = float(np.quantile(field if foreground is None else field[foreground], FALLBACK_QUANTILE))
    return PerlinMask(_inside(field > lowered, foreground), {**told, "threshold": lowered}, attempts)


def _check(exponents: tuple[int, int], threshold: float) -> None:
    low, high = exponents
    if not 0 <= low <= high:
        raise BadParameter(f"exponents is {tuple(exponents)}; expected 0 ≤ low ≤ high, as in (0, 5)")
    if not -1 < threshold < 1:
        raise BadParameter(f"threshold is {threshold}; expected a number between -1 and 1, as in 0.5")


def _exponents_for(side: int, exponents: tuple[int, int]) -> tuple[int, int]:
    finest = max(0, (side // SMALLEST_CELL).bit_length() - 1)
    return min(exponents[0], finest), min(exponents[1], finest)


def _inside(mask: Mask, foreground: Mask | None) -> Mask:
    return mask if foreground is None else mask & foreground
