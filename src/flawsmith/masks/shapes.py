"""Draws masks of UniADC's families: rectangles, lines, polygons, ellipses, outlines, brushes, Perlin noise, the foreground.

UniADC, appendix A and figure S2. Original code: cnulab/UniADC, utils/mask.py. Sizes in pixels are for a canvas of 512×512 and
scale with the smaller side. Departs in four places: attempts are bounded; the mask is cut to the foreground last (`strict`);
growing is an explicit dilation (`smooth`); a turned rectangle is drawn by its corners. Everything after the outline happens in
its bounding box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray, Mask, freeze
from flawsmith.core.errors import BadParameter, EmptyForeground
from flawsmith.masks.boxes import Box, box_of, inside
from flawsmith.masks.brush import SUBPIXEL_BITS, draw_stroke, stroke
from flawsmith.masks.families import MaskFamily, Shape
from flawsmith.masks.morphology import Bits, close, dilate, widened
from flawsmith.masks.perlin import draw_noise

Smooth = Literal["dilate", "round"]

CANVAS = 512
CLOSING = 6
ATTEMPTS = 100
TURN = 90.0
THRESHOLD = 0.5


class DrawnMask(NamedTuple):
    """A mask and the name of the family it is of.

    Args:
        mask: bool H×W.
        family: as in `families.FAMILIES`.
    """

    mask: Mask
    family: str


@dataclass(frozen=True)
class _Room:
    """Where shapes may lie: the image's size, the foreground's box, area and pixels (None: everywhere)."""

    shape: tuple[int, int]
    box: Box
    area: int
    mask: Mask | None
    parity: bool

    @property
    def scale(self) -> float:
        return min(self.shape) / CANVAS


def draw_mask(
    families: Sequence[MaskFamily],
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    foreground: Mask | None = None,
    smooth: Smooth = "dilate",
    attempts: int = ATTEMPTS,
) -> DrawnMask | None:
    """Draw one of the families, all alike likely, and then a mask of it; None when that found no place.

    Args:
        families: from `select_families`, `parse_families` or `families_of_prior`.
        shape: (H, W).
        rng: the only source of draws.
        foreground: bool H×W, where the object is; None: everywhere.
        smooth: see `shape_mask`.
        attempts: most draws of the mask.

    Raises:
        BadParameter: no family, or the foreground has another size or is asked for and missing.
        EmptyForeground: it has no pixel.
    """
    if not families:
        raise BadParameter("families is empty; expected at least one mask family: select some, as in parse_families('any')")
    if foreground is None:
        for family in families:
            _need_foreground(family)
    family = families[int(rng.integers(len(families)))]
    mask = shape_mask(family, shape, rng, foreground=foreground, smooth=smooth, attempts=attempts)
    return None if mask is None else DrawnMask(mask, family.name)


def shape_mask(
    family: MaskFamily,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    foreground: Mask | None = None,
    smooth: Smooth = "dilate",
    strict: bool = True,
    parity: bool = False,
    attempts: int = ATTEMPTS,
) -> Mask | None:
    """Draw one mask of a family.

    Args:
        family: of `families.FAMILIES`.
        shape: (H, W).
        rng: the only source of draws.
        foreground: bool H×W, where the object is; None: everywhere.
        smooth: `dilate` grows a blurred family by half its kernel, as the released pipeline does; `round` only rounds corners, as
            the original does with 8-bit masks.
        strict: cut the final mask to the foreground; otherwise growing and closing may leave it by a few pixels.
        parity: let brush strokes drift to the right, as the original does.
        attempts: most draws.

    Returns:
        bool H×W, or None when nothing large enough fitted within the attempts.

    Raises:
        BadParameter: the foreground has another size, or the family is the foreground and there is none.
        EmptyForeground: it has no pixel.
    """
    if foreground is None:
        _need_foreground(family)
    room = _room(shape, foreground, parity)
    if family.shape == "foreground" and foreground is not None:
        return foreground.copy()
    least = max(1.0, family.least * room.area)
    for _ in range(attempts):
        canvas = np.zeros(shape, np.uint8)
        for _ in range(_count(family, rng)):
            DRAW[family.shape](canvas, family, room, rng)
        mask = _finished(canvas, family, room, least, smooth, strict)
        if mask is not None:
            return mask
    return None


def _need_foreground(family: MaskFamily) -> None:
    if family.shape == "foreground":
        raise BadParameter(f"{family.name} is the foreground itself, and there is none; give one or choose other families")


def _room(shape: tuple[int, int], foreground: Mask | None, parity: bool) -> _Room:
    if foreground is None:
        return _Room(shape, (0, 0, shape[1], shape[0]), shape[0] * shape[1], None, parity)
    if foreground.shape != shape or foreground.dtype != np.bool_:
        raise BadParameter(f"foreground is {foreground.shape} {foreground.dtype}; expected bool {shape}, the image's size")
    pixels = np.ascontiguousarray(foreground)
    area = cv2.countNonZero(pixels.view(np.uint8))
    if not area:
        raise EmptyForeground("the foreground mask has no pixel; expected an object: check the mask or use foreground=none")
    return _Room(shape, box_of(pixels), area, pixels, parity)


def _count(family: MaskFamily, rng: np.random.Generator) -> int:
    """How many shapes; a brush may draw none, which is then drawn again."""
    if family.shape == "brush":
        return int(rng.integers(family.most + 1))
    return 1 if family.most == 1 else int(rng.integers(1, family.most + 1))


def _finished(canvas: Bits, family: MaskFamily, room: _Room, least: float, smooth: Smooth, strict: bool) -> Mask | None:
    """Cut to the foreground, refuse what is too small, smooth, close; all within the bounding box."""
    side = _odd(family.blur * room.scale) if family.blur else 0
    closing = max(2, round(CLOSING * room.scale))
    x, y, w, h = cv2.boundingRect(canvas)
    if w * h < least:
        return None
    within = inside(widened((x, y, w, h), side + closing, room.shape))
    drawn = np.ascontiguousarray(canvas[within])
    if room.mask is not None:
        drawn &= room.mask[within]
    if cv2.countNonZero(drawn) < least:
        return None
    part = close(_smoothed(drawn, side, smooth), closing)
    if strict and room.mask is not None:
        part &= room.mask[within]
    if not part.any():
        return None
    canvas[within] = part
    return canvas.view(np.bool_)


def _odd(pixels: float) -> int:
    return max(3, 2 * round((pixels - 1) / 2) + 1)


def _smoothed(drawn: Bits, side: int, smooth: Smooth) -> Mask:
    if not side:
        return drawn.view(np.bool_)
    if smooth == "dilate":
        return dilate(drawn.view(np.bool_), side)
    kernel = _gaussian(side)
    return np.asarray(cv2.sepFilter2D(drawn, cv2.CV_32F, kernel, kernel) >= 0.5)


@lru_cache(maxsize=32)
def _gaussian(side: int) -> FloatArray:
    """OpenCV's blur kernel of that side; a plain separable filter is several times faster than its own blur of bytes."""
    return freeze(np.asarray(cv2.getGaussianKernel(side, 0, cv2.CV_32F), np.float32))


def _placed(family: MaskFamily, room: _Room, rng: np.random.Generator) -> tuple[Box, float]:
    """The box of a shape, and one more number in [0, 1) for its angle.

    A side longer than the foreground's box is drawn anew between half the box and all of it.
    """
    area, aspect, coin, again_x, again_y, x, y, angle = rng.random(8).tolist()
    pixels = _between(family.area, area) * room.shape[0] * room.shape[1]
    ratio = _between(family.aspect, aspect)
    long = int((pixels / ratio) ** 0.5)
    short = max(1, int(long * ratio))
    width, height = (long, short) if coin < 0.5 else (short, long)
    left, top, most_x, most_y = room.box
    width, height = _fitting(width, most_x, again_x), _fitting(height, most_y, again_y)
    return (left + int(x * (most_x - width + 1)), top + int(y * (most_y - height + 1)), width, height), angle


def _between(ends: tuple[float, float], u: float) -> float:
    return ends[0] + u * (ends[1] - ends[0])


def _fitting(side: int, most: int, u: float) -> int:
    if side <= most:
        return max(1, side)
    half = max(1, most // 2)
    return half + int(u * (most - half + 1))


def _draw_turned(canvas: Bits, family: MaskFamily, room: _Room, rng: np.random.Generator) -> None:
    """A box turned about the centre of the image by a whole number of degrees."""
    (x, y, w, h), u = _placed(family, room, rng)
    corners = np.array([[x, y, 1], [x + w - 1, y, 1], [x + w - 1, y + h - 1, 1], [x, y + h - 1, 1]], float)
    centre = ((room.shape[1] - 1) / 2, (room.shape[0] - 1) / 2)
    turned = corners @ cv2.getRotationMatrix2D(centre, float(int(u * 91)), 1.0).T
    cv2.fillConvexPoly(canvas, np.rint(turned * 2**SUBPIXEL_BITS).astype(np.int32), 1, shift=SUBPIXEL_BITS)


def _draw_polygon(canvas: Bits, family: MaskFamily, room: _Room, rng: np.random.Generator) -> None:
    """Corners around the corner of the box, at sorted angles, each at its own distance."""
    (x, y, w, h), _ = _placed(family, room, rng)
    count = int(rng.integers(family.bends[0], family.bends[1] + 1))
    u = rng.random((2, count))
    angles, radius = np.sort(u[0]) * (2 * np.pi), min(w, h) + u[1] * abs(w - h)
    points = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)


def _draw_ellipse(canvas: Bits, family: MaskFamily, room: _Room, rng: np.random.Generator) -> None:
    """Semi-axes as drawn, centred at the corner of the box, turned by a whole number of degrees; filled, or its outline alone."""
    (x, y, w, h), u = _placed(family, room, rng)
    thickness = _pen(family, room, rng) if family.shape == "hollow_ellipse" else -1
    cv2.ellipse(canvas, (x, y), (w, h), float(int(u * 361)), 0, 360, 1, thickness)


def _pen(family: MaskFamily, room: _Room, rng: np.random.Generator) -> int:
    """The thickness of an outline, a whole number between both ends."""
    return max(1, round(int(rng.integers(family.pen[0], family.pen[1] + 1)) * room.scale))


def _draw_brush(canvas: Bits, family: MaskFamily, room: _Room, rng: np.random.Generator) -> None:
    corners = stroke(room.shape, family.bends, rng, parity=room.parity)
    draw_stroke(canvas, corners, max(1, int(rng.uniform(*family.pen) * room.scale)), room.box)


def _draw_perlin(canvas: Bits, family: MaskFamily, room: _Room, rng: np.random.Generator) -> None:
    """Where turned noise exceeds one half."""
    noise = draw_noise(room.shape, rng, family.exponents, TURN, room.box, above=THRESHOLD)
    if noise is not None:
        canvas[inside(room.box)] = noise.field > THRESHOLD


Draw = Callable[[Bits, MaskFamily, _Room, np.random.Generator], None]
DRAW: dict[Shape, Draw] = {
    "rectangle": _draw_turned,
    "line": _draw_turned,
    "polygon": _draw_polygon,
    "ellipse": _draw_ellipse,
    "hollow_ellipse": _draw_ellipse,
    "brush": _draw_brush,
    "perlin": _draw_perlin,
}
