"""Perlin noise as matrix products, and the masks that DRAEM cuts from it.

DRAEM (Zavrtanik et al. 2021), section 3.2; Perlin (2002) for the fade curve. Original code: VitjanZ/DRAEM (MIT). The noise equals
its dense four-corner form, works at any height and width, and costs two orders of magnitude less.
Departs in three places: an empty draw is repeated (`on_empty`); a cell never gets smaller than 4 pixels, so that images under 128
pixels have masks at all; the noise is float64 until it is turned, so that the number of threads cannot move a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import FloatArray, Map, Mask, freeze
from flawsmith.core.errors import BadParameter
from flawsmith.masks.boxes import Box, inside

OnEmpty = Literal["resample", "keep"]
SMALLEST_CELL = 4
STRIP_CELLS = 4
CACHED = 1 << 16
FALLBACK_QUANTILE = 0.95


@dataclass(frozen=True, eq=False)
class PerlinMask:
    """One mask and how it was drawn.

    Args:
        mask: bool H×W.
        drawn: exponents, angle and threshold of the accepted draw.
        attempts: number of draws.
        noise: float32 H×W that the mask was cut from, turned.
    """

    mask: Mask
    drawn: Mapping[str, Any]
    attempts: int
    noise: Map | None = None


def perlin_noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Perlin noise of `shape` over `cells` = (along y, along x) lattice cells: float64 H×W, within (-1, 1).

    Raises:
        BadParameter: no cell, or more cells than pixels.
    """
    for axis, side, count in zip("yx", shape, cells, strict=True):
        if not 1 <= count <= side:
            raise BadParameter(f"cells along {axis} is {count}; expected 1…{side} for {side} pixels")
    return noise_of_angles(shape, rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1)))


def noise_of_angles(
    shape: tuple[int, int], angles: FloatArray, window: Box | None = None, dtype: type[np.floating[Any]] = np.float64
) -> FloatArray:
    """The noise of given gradient angles at the lattice corners: sqrt(2)·(R_y G_y V_xᵀ + V_y G_x R_xᵀ), strip by strip.

    Args:
        shape: (H, W).
        angles: (cells along y + 1)×(cells along x + 1), radians.
        window: the part wanted; None: all of it.
        dtype: of the result; the sums are float64.
    """
    height, width = _axis(shape[0], angles.shape[0] - 1), _axis(shape[1], angles.shape[1] - 1)
    x, _, w, h = window = window or (0, 0, shape[1], shape[0])
    rows = inside(window)[0]
    left = np.empty((h, 2 * angles.shape[1]))
    np.matmul(height.ramp[rows], np.cos(angles), out=left[:, ::2])
    np.matmul(height.value[rows], np.sin(angles), out=left[:, 1::2])
    noise = np.empty((h, w), dtype)
    for strip in width.strips:
        start, stop = max(strip.start, x), min(strip.stop, x + w)
        if start < stop:
            weights = strip.weights[:, start - strip.start : stop - strip.start]
            for part in _parts(h, stop - start):
                noise[part, start - x : stop - x] = left[part, strip.corners] @ weights
    return noise


def _parts(height: int, width: int) -> Iterator[slice]:
    """Rows in parts whose product stays in the processor's cache."""
    rows = max(1, CACHED // width)
    return (slice(first, first + rows) for first in range(0, height, rows))


class _Strip(NamedTuple):
    """Pixels from `start` to `stop` along x, the columns of the left side that reach them, sqrt(2)·(V R)ᵀ of those corners."""

    start: int
    stop: int
    corners: slice
    weights: FloatArray


class _Axis(NamedTuple):
    """Along one axis, pixels×corners: the faded weight of each lattice corner (V), and that weight times the distance to it (R).
    For the right side of the product both are kept by strips of a few cells, since a pixel feels two corners only."""

    value: FloatArray
    ramp: FloatArray
    strips: tuple[_Strip, ...]


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
    both = np.sqrt(2) * np.stack([value, ramp], axis=2).reshape(side, -1)
    return _Axis(freeze(value), freeze(ramp), tuple(_strips(both, cell, cells)))


def _strips(both: FloatArray, cell: NDArray[np.intp], cells: int) -> Iterator[_Strip]:
    for first in range(0, cells, STRIP_CELLS):
        last = min(first + STRIP_CELLS, cells)
        start, stop = (int(end) for end in np.searchsorted(cell, (first, last)))
        corners = slice(2 * first, 2 * last + 2)
        yield _Strip(start, stop, corners, freeze(np.ascontiguousarray(both[start:stop, corners].T)))


class Noise(NamedTuple):
    """Turned Perlin noise over a window of an image.

    Args:
        field: float32 h×w.
        exponents: along y and x; cells are two to their power.
        angle: degrees.
    """

    field: Map
    exponents: tuple[int, int]
    angle: float


def draw_noise(
    shape: tuple[int, int],
    rng: np.random.Generator,
    exponents: tuple[int, int],
    rotation: float,
    window: Box | None = None,
    *,
    above: float | None = None,
) -> Noise | None:
    """Draw Perlin noise and turn it about the image's centre, bilinear, zero outside; only what the window sees is computed.

    Args:
        shape: (H, W).
        rng: the only source of draws.
        exponents: cells per axis are 2 to the power of a whole number drawn from this range, both ends included.
        rotation: largest angle in degrees, either way.
        window: the part wanted; None: all of it.
        above: return None where no pixel exceeds this (turning raises no maximum, so that it need not be done); None: never.
    """
    ranges = [_exponents_for(side, exponents) for side in shape]
    ey, ex = (int(rng.integers(low, high + 1)) for low, high in ranges)
    angles = rng.uniform(0, 2 * np.pi, (2**ey + 1, 2**ex + 1))
    turn = float(rng.uniform(-rotation, rotation))
    wanted = window or (0, 0, shape[1], shape[0])
    seen, to_source = _source_of(wanted, shape, turn)
    if min(seen[2:]) < 1:
        return None if above is not None else Noise(np.zeros((wanted[3], wanted[2]), np.float32), (ey, ex), turn)
    field = noise_of_angles(shape, angles, seen, np.float32)
    if above is not None and field.max() <= above:
        return None
    if turn != 0:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        field = np.asarray(cv2.warpAffine(field, to_source, wanted[2:], flags=flags), np.float32)
    return Noise(field, (ey, ex), turn)


def _source_of(window: Box, shape: tuple[int, int], degrees: float) -> tuple[Box, FloatArray]:
    """The part of the unturned image that a window of the turned one sees, and the map from the window to that part."""
    if degrees == 0:
        return window, np.eye(2, 3)
    x, y, w, h = window
    centre = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    back: NDArray[np.float64] = np.asarray(cv2.getRotationMatrix2D(centre, -degrees, 1.0), np.float64)
    back[:, 2] += back[:, :2] @ (x, y)
    corners = back @ np.array([[0, w - 1, 0, w - 1], [0, 0, h - 1, h - 1], [1, 1, 1, 1]], np.float64)
    low, high = np.floor(corners.min(axis=1)) - 1, np.ceil(corners.max(axis=1)) + 2
    left, top = (max(0, int(end)) for end in low)
    right, bottom = (min(side, int(end)) for side, end in zip((shape[1], shape[0]), high, strict=True))
    back[:, 2] -= (left, top)
    return (left, top, right - left, bottom - top), back


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
        may_skip = on_empty == "resample" and attempt < attempts
        noise = draw_noise(shape, rng, exponents, rotation, above=threshold if may_skip else None)
        if noise is None:
            continue
        mask = _inside(noise.field > threshold, foreground)
        if on_empty == "keep" or mask.any():
            return _told(mask, noise, threshold, attempt)
    assert noise is not None, "the last attempt skips nothing"
    lowered = float(np.quantile(noise.field if foreground is None else noise.field[foreground], FALLBACK_QUANTILE))
    return _told(_inside(noise.field > lowered, foreground), noise, lowered, attempts)


def _told(mask: Mask, noise: Noise, threshold: float, attempts: int) -> PerlinMask:
    drawn = {"exponents": list(noise.exponents), "angle": noise.angle, "threshold": threshold}
    return PerlinMask(mask, drawn, attempts, noise.field)


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
