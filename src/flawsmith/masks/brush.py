"""The random brush of UniADC: zig-zag strokes with round joints.

UniADC, appendix A; a descendant of the brush of DeepFill v2 (Yu et al. 2019). Original code: cnulab/UniADC, utils/mask.py.
Departs in one place: the strokes are mirrored at random, where the original mirrors a copy and drops it, so that all its strokes
drift to the right (`parity`).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray
from flawsmith.masks.boxes import Box
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
    back, ahead, right, down, flip_x, flip_y = u[:6].tolist()
    angles = DIRECTION - back * LEAN + u[6:] * ((back + ahead) * LEAN)
    angles[::2] *= -1
    mean = np.hypot(height, width) / LENGTHS_PER_DIAGONAL
    lengths = np.minimum(np.maximum(rng.normal(mean, mean // 2, count), 0), 2 * mean)
    x, y = int(right * width), int(down * height)
    corners = [(x, y)]
    for dx, dy in zip((lengths * np.cos(angles)).tolist(), (lengths * np.sin(angles)).tolist(), strict=True):
        x, y = int(min(max(x + dx, 0), width)), int(min(max(y + dy, 0), height))
        corners.append((x, y))
    drawn = np.array(corners, float)
    if not parity and flip_x < 0.5:
        drawn[:, 0] = width - 1 - drawn[:, 0]
    if not parity and flip_y < 0.5:
        drawn[:, 1] = height - 1 - drawn[:, 1]
    return drawn


def draw_stroke(canvas: Bits, corners: FloatArray, width: int, room: Box | None = None) -> None:
    """Draw a stroke `width` pixels wide, with a disc of that diameter at every corner.

    Args:
        canvas: 0 and 1, drawn into.
        corners: n×2 as (x, y), whole pixels.
        width: of the brush.
        room: what does not reach this box is left out; None: everything is drawn.
    """
    if room is not None:
        for part in _parts_near(corners, width, room):
            draw_stroke(canvas, part, width)
        return
    along = np.diff(corners, axis=0)
    length = np.hypot(along[:, 0], along[:, 1])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(length, 1)[:, None] * ((width - 1) / 2)
    start, end = corners[:-1], corners[1:]
    quads = np.stack([start + across, end + across, end - across, start - across], axis=1)
    for quad in np.rint(quads * 2**SUBPIXEL_BITS).astype(np.int32):
        cv2.fillConvexPoly(canvas, quad, 1, shift=SUBPIXEL_BITS)
    for x, y in corners.astype(int).tolist():
        cv2.circle(canvas, (x, y), width // 2, 1, -1)


def _parts_near(corners: FloatArray, width: int, room: Box) -> Iterator[FloatArray]:
    """The runs of segments whose pixels may lie in the room."""
    low, high = np.array(room[:2]) - width, np.array(room[:2]) + room[2:] + width
    start, end = corners[:-1], corners[1:]
    near = ((np.maximum(start, end) >= low) & (np.minimum(start, end) <= high)).all(axis=1)
    edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
    for first, last in edges.reshape(-1, 2):
        yield corners[first : last + 1]
