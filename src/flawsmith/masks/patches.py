"""The square of foreign patch interpolation, which FPI and PII share.

Tan et al., Detecting Outliers with Foreign Patch Interpolation, 2020; original code: jemtan/FPI (self_sup_task.py, patch_ex). Its
half-width is a share of the image's side, its centre lies in the core of the image, and the border cuts it. Departs in one place:
the core lies exactly in the middle (the original rounds both its ends down).
"""

from __future__ import annotations

import numpy as np

from flawsmith.core.arrays import Mask
from flawsmith.masks.boxes import Box, in_core, middle, random_pixel

HALF_WIDTH = (0.05, 0.2)
CORE = 0.8


def square_patch(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    half_width: tuple[float, float] = HALF_WIDTH,
    core: float = CORE,
    margin: int = 0,
    foreground: Mask | None = None,
) -> Box:
    """A square, cut at the image's border.

    Args:
        shape: of the image, (H, W, …).
        rng: the only source of draws.
        half_width: least and largest half of the square's side, as shares of the smaller side of the image; whole pixels from
            the least up to, but without, the largest, and at least one.
        core: share of each axis, in its middle, that holds the centre.
        margin: pixels at the border that stay outside.
        foreground: bool H×W; the centre lies on it, in the core where it has a pixel there.
    """
    height, width = shape[:2]
    across, down, size = rng.random(3).tolist()
    low, high = (round(share * min(height, width)) for share in half_width)
    low = max(1, low)
    half = low + int(size * max(1, high - low))
    on_object = None if foreground is None else random_pixel(in_core(foreground, core), rng)
    row, column = on_object or (_in_core(down, height, core), _in_core(across, width, core))
    left, right = _cut(column, half, width, margin)
    top, bottom = _cut(row, half, height, margin)
    return left, top, right - left, bottom - top


def _in_core(draw: float, side: int, core: float) -> int:
    """The place that `draw` in [0, 1) picks from the core of an axis: an edge of a pixel, both ends of the core included."""
    first, beyond = middle(side, core)
    return first + int(draw * (beyond - first + 1))


def _cut(centre: int, half: int, side: int, margin: int) -> tuple[int, int]:
    """The ends of a stretch around a centre, inside the margin."""
    centre = min(max(margin, centre), side - margin)
    return max(margin, centre - half), min(side - margin, centre + half)
