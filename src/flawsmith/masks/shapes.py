"""The shape families of UniADC: rectangles, lines, polygons and ellipses of three sizes, drawn inside a foreground.

UniADC, appendix A and figure S2. Original code: cnulab/UniADC, utils/mask.py. All numbers are for a canvas of 512×512; lengths in
pixels scale with the smaller side. Departs in four places: attempts are bounded; the mask is cut to the foreground last
(`strict`); growing is an explicit dilation (`smooth`); a turned rectangle is drawn by its corners.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import BadParameter, EmptyForeground, UnknownName
from flawsmith.core.priors import Size
from flawsmith.masks.morphology import close, dilate

Smooth = Literal["dilate", "round"]
Shape = Literal["rectangle", "line", "polygon", "ellipse"]
Canvas = NDArray[np.uint8]

CANVAS = 512
CLOSING = 6
ATTEMPTS = 100
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class ShapeFamily:
    """One row of UniADC's table.

    Args:
        name: what the original calls it.
        shape: what is drawn.
        size: small, medium or large.
        area: least and largest nominal share of the image per shape.
        aspect: least and largest ratio of the short side to the long one.
        most: largest number of shapes.
        blur: pixels of the smoothing kernel at 512; 0: none.
        least: share of the foreground that the mask must cover.
    """

    name: str
    shape: Shape
    size: Size
    area: tuple[float, float]
    aspect: tuple[float, float]
    most: int
    blur: int
    least: float


FAMILIES = (
    ShapeFamily("Rectangle_Large", "rectangle", "large", (0.05, 0.10), (0.3, 1), 1, 21, 0.03),
    ShapeFamily("Rectangle_Medium", "rectangle", "medium", (0.01, 0.04), (0.3, 1), 1, 15, 0.005),
    ShapeFamily("Rectangle_Small", "rectangle", "small", (0.005, 0.01), (0.3, 1), 2, 7, 0.001),
    ShapeFamily("Line_Large", "line", "large", (0.01, 0.02), (0.05, 0.1), 1, 7, 0.005),
    ShapeFamily("Line_Medium", "line", "medium", (0.005, 0.01), (0.02, 0.05), 1, 5, 0.002),
    ShapeFamily("Line_Small", "line", "small", (0.002, 0.005), (0.01, 0.02), 2, 3, 0.001),
    ShapeFamily("Line_Long", "line", "large", (0.08, 0.15), (0.0005, 0.002), 2, 3, 0.001),
    ShapeFamily("Polygon_Large", "polygon", "large", (0.01, 0.03), (0.3, 1), 1, 21, 0.008),
    ShapeFamily("Polygon_Medium", "polygon", "medium", (0.005, 0.01), (0.3, 1), 1, 15, 0.003),
    ShapeFamily("Polygon_Small", "polygon", "small", (0.002, 0.005), (0.3, 1), 2, 7, 0.001),
    ShapeFamily("NearCircularEllipse_Large", "ellipse", "large", (0.015, 0.03), (0.5, 1), 1, 0, 0.01),
    ShapeFamily("NearCircularEllipse_Medium", "ellipse", "medium", (0.005, 0.015), (0.5, 1), 1, 0, 0.003),
    ShapeFamily("NearCircularEllipse_Small", "ellipse", "small", (0.0002, 0.001), (0.5, 1), 2, 0, 0.0001),
    ShapeFamily("EccentricEllipse_Large", "ellipse", "large", (0.01, 0.02), (0.1, 0.25), 1, 0, 0.005),
    ShapeFamily("EccentricEllipse_Medium", "ellipse", "medium", (0.005, 0.008), (0.1, 0.25), 1, 0, 0.003),
    ShapeFamily("EccentricEllipse_Small", "ellipse", "small", (0.002, 0.005), (0.1, 0.25), 2, 0, 0.001),
)


def select_families(shapes: Sequence[str] = (), sizes: Sequence[Size] = ()) -> tuple[ShapeFamily, ...]:
    """The families of some shapes and sizes; nothing named means all.

    Raises:
        UnknownName: no such shape or size.
    """
    for kind, asked, known in (
        ("mask shape", shapes, sorted({family.shape for family in FAMILIES})),
        ("mask size", sizes, ["small", "medium", "large"]),
    ):
        for name in asked:
            if name not in known:
                raise UnknownName(kind, name, known)
    return tuple(f for f in FAMILIES if (not shapes or f.shape in shapes) and (not sizes or f.size in sizes))


def find_families(text: str) -> tuple[ShapeFamily, ...]:
    """The families whose name contains `text` (the original's selectors), or matches it as a wildcard.

    Raises:
        UnknownName: none does.
    """
    found = tuple(f for f in FAMILIES if text in f.name or fnmatch.fnmatchcase(f.name, text))
    if not found:
        raise UnknownName("mask family", text, [family.name for family in FAMILIES])
    return found


def shape_mask(
    family: ShapeFamily,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    foreground: Mask | None = None,
    smooth: Smooth = "dilate",
    strict: bool = True,
    attempts: int = ATTEMPTS,
) -> Mask | None:
    """Draw one mask of a family.

    Args:
        family: of `FAMILIES`.
        shape: (H, W).
        rng: the only source of draws.
        foreground: bool H×W, where the object is; None: everywhere.
        smooth: `dilate` grows a blurred family by half its kernel, as the released pipeline does; `round` only rounds corners.
        strict: cut the final mask to the foreground; otherwise growing and closing may leave it by a few pixels.
        attempts: most draws.

    Returns:
        bool H×W, or None when nothing large enough fitted within the attempts.

    Raises:
        BadParameter: the foreground has another size.
        EmptyForeground: it has no pixel.
    """
    room = np.ones(shape, bool) if foreground is None else foreground
    if room.shape != shape:
        raise BadParameter(f"foreground is {room.shape}; expected the image's size {shape}")
    if not room.any():
        raise EmptyForeground("the foreground mask has no pixel; expected an object: check the mask or use foreground=none")
    box = cv2.boundingRect(room.view(np.uint8))
    least = max(1.0, family.least * int(room.sum()))
    for _ in range(attempts):
        drawn = (_union(family, shape, box, rng) > 0) & room
        if drawn.sum() < least:
            continue
        mask = close(_smoothed(drawn, family, shape, smooth), max(2, round(CLOSING * _scale(shape))))
        mask = mask & room if strict else mask
        if mask.any():
            return mask
    return None


def _scale(shape: tuple[int, int]) -> float:
    return min(shape) / CANVAS


def _smoothed(mask: Mask, family: ShapeFamily, shape: tuple[int, int], smooth: Smooth) -> Mask:
    if not family.blur:
        return mask
    side = max(3, 2 * round((family.blur * _scale(shape) - 1) / 2) + 1)
    if smooth == "dilate":
        return dilate(mask, side)
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (side, side), 0) >= 0.5)


def _union(family: ShapeFamily, shape: tuple[int, int], box: Sequence[int], rng: np.random.Generator) -> Canvas:
    canvas = np.zeros(shape, np.uint8)
    for _ in range(int(rng.integers(1, family.most + 1))):
        width, height = _extent(family, shape, box, rng)
        x = box[0] + int(rng.integers(0, max(1, box[2] - width + 1)))
        y = box[1] + int(rng.integers(0, max(1, box[3] - height + 1)))
        DRAW[family.shape](canvas, (x, y), (width, height), rng)
    return canvas


def _extent(family: ShapeFamily, shape: tuple[int, int], box: Sequence[int], rng: np.random.Generator) -> tuple[int, int]:
    """(width, height) of a shape; a side longer than the foreground's box is drawn anew between half the box and all of it."""
    area = rng.uniform(*family.area) * shape[0] * shape[1]
    aspect = rng.uniform(*family.aspect)
    long = int(np.sqrt(area / aspect))
    short = max(1, int(long * aspect))
    wanted = (long, short) if rng.random() < 0.5 else (short, long)
    width, height = (
        int(rng.integers(max(1, room // 2), room + 1)) if side > room else max(1, side)
        for side, room in zip(wanted, box[2:], strict=True)
    )
    return width, height


def _draw_rectangle(canvas: Canvas, at: tuple[int, int], extent: tuple[int, int], rng: np.random.Generator) -> None:
    """A box turned about the centre of the image by a whole number of degrees."""
    (x, y), (w, h) = at, (extent[0] - 1, extent[1] - 1)
    corners = np.array([[x, y, 1], [x + w, y, 1], [x + w, y + h, 1], [x, y + h, 1]], float)
    centre = ((canvas.shape[1] - 1) / 2, (canvas.shape[0] - 1) / 2)
    turned = corners @ cv2.getRotationMatrix2D(centre, float(rng.integers(0, 91)), 1.0).T
    cv2.fillConvexPoly(canvas, np.rint(turned * 2**SUBPIXEL_BITS).astype(np.int32), 1, shift=SUBPIXEL_BITS)


def _draw_polygon(canvas: Canvas, at: tuple[int, int], extent: tuple[int, int], rng: np.random.Generator) -> None:
    """10 to 21 vertices around the corner point, at sorted angles, each at its own distance."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(10, 22))))
    radius = rng.uniform(min(extent), max(extent), len(angles))
    points = np.stack([at[0] + radius * np.cos(angles), at[1] + radius * np.sin(angles)], axis=1)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)


def _draw_ellipse(canvas: Canvas, at: tuple[int, int], extent: tuple[int, int], rng: np.random.Generator) -> None:
    """Semi-axes as drawn, centred at the corner point, turned by a whole number of degrees."""
    cv2.ellipse(canvas, at, extent, float(rng.integers(0, 361)), 0, 360, 1, -1)


Draw = Callable[[Canvas, tuple[int, int], tuple[int, int], np.random.Generator], None]
DRAW: dict[Shape, Draw] = {
    "rectangle": _draw_rectangle,
    "line": _draw_rectangle,
    "polygon": _draw_polygon,
    "ellipse": _draw_ellipse,
}
