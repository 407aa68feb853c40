"""The random brush of UniADC: zig-zag strokes with round joints.

UniADC, appendix A; a descendant of the brush of DeepFill v2 (Yu et al. 2019). Original code: cnulab/UniADC, utils/mask.py.
Departs in one place: the strokes are mirrored at random, where the original mirrors a copy and drops it, so that all its strokes
drift to the right (`parity`).
"""

from __future__ import annotations

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray
from flawsmith.masks.morphology import Bits

DIRECTION = 2 * np.pi / 5
LEAN = 2 * np.pi / 15
LENGTHS_PER_DIAGONAL = 8
SUBPIXEL_BITS = 4


def stroke(shape: tuple[int, int], segments: tuple[int, int], rng: np.random.Generator, *, parity: bool = False) -> FloatArray:
    """The corners of one stroke, whole pixels, n×2 as (x, y), clipped to the image.

    Args:
        shape: (H, W) of the image.
        segments: least and largest number of segments.
        rng: the only source of draws.
        parity: leave out the mirroring, as the original does.
    """
    height, width = shape
    count = int(rng.integers(segments[0], segments[1] + 1))
    u = rng.random(count + 6)
    angles = DIRECTION - u[0] * LEAN + u[6:] * (u[0] + u[1]) * LEAN
    angles[::2] *= -1
    mean = np.hypot(height, width) / LENGTHS_PER_DIAGONAL
    lengths = np.clip(rng.normal(mean, mean // 2, count), 0, 2 * mean)
    corners = np.empty((count + 1, 2))
    x, y = float(int(u[2] * width)), float(int(u[3] * height))
    corners[0] = x, y
    for i, (dx, dy) in enumerate(np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None], start=1):
        x, y = float(int(min(max(x + dx, 0), width))), float(int(min(max(y + dy, 0), height)))
        corners[i] = x, y
    if not parity:
        mirrored = u[4:6] < 0.5
        corners = np.where(mirrored, (width - 1, height - 1) - corners, corners)
    return corners


def draw_stroke(canvas: Bits, corners: FloatArray, width: int) -> None:
    """Draw a stroke `width` pixels wide, with a disc of that diameter at every corner."""
    along = np.diff(corners, axis=0)
    length = np.hypot(along[:, 0], along[:, 1])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1)[:, None] * ((width - 1) / 2)
    start, end = corners[:-1], corners[1:]
    quads = np.stack([start + across, end + across, end - across, start - across], axis=1)
    for quad in np.rint(quads * 2**SUBPIXEL_BITS).astype(np.int32):
        cv2.fillConvexPoly(canvas, quad, 1, shift=SUBPIXEL_BITS)
    for x, y in corners.astype(int).tolist():
        cv2.circle(canvas, (x, y), width // 2, 1, -1)
