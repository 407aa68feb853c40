"""Poisson blending on rectangles: gradients of one picture, border values of another.

Pérez, Gangnet and Blake, *Poisson Image Editing*, SIGGRAPH 2003; the mixed gradients as in OpenCV's seamlessClone (BSD,
modules/photo); interpolated gradients as in PII (Tan et al., MICCAI 2021; jemtan/PII, poissonBlend.py).

What is solved for is the correction e = u - image on a rectangle, zero around it: Δe = div(guidance - ∇image), with ∇ of forward
and div of backward differences. The sine transform (DST-I) turns the five-point Laplacian into a product, so the answer is exact.
Up to `MATRIX_SIDE` unknowns along an axis the transform is a product with the sine matrix: several times faster there than an FFT
of length 2(N+1), at any N. Everything is float64, because float32 errs by 0.001 levels from about 200 pixels on, and rounding
then depends on the machine.

A mask that is no rectangle: the rectangle around it is solved, with the image's own gradients outside the mask, and the result is
kept inside (`confine`). This is not the solution with border values on the mask's outline; the step left there is halved by the
mask's outermost pixels, which change by half.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dst

from flawsmith.core.arrays import FloatArray, Image, Mask, freeze
from flawsmith.core.errors import BadParameter
from flawsmith.masks.boxes import Box, inside

Guidance = Literal["normal", "mixed", "classic"]
Rows = NDArray[np.int16]
"""Pixels of a picture in rows, three numbers each: h×3w. Differences of levels, and differences of those, fit 16 bits."""

MATRIX_SIDE = 200
"""Unknowns along an axis up to which the sine matrix is faster than the FFT."""

MATRIX_SIDE_UNLUCKY = 600
"""The same where 2(N+1) has a prime factor above 5."""

OPENCV_EROSION = 3
"""How often seamlessClone shrinks its mask by 3×3."""

SQUARE = np.ones((3, 3), np.uint8)
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)

HALF = 0.5 + 1e-6
"""Rounds halves upward even where the solution lies a millionth below: they are common, and must not depend on the machine."""


def blend(
    image: Image,
    patch: Image,
    box: Box,
    mask: Mask,
    *,
    guidance: Guidance = "normal",
    strength: float = 1.0,
    erode: int = 0,
    confine: bool = True,
) -> Image:
    """The image with a patch blended in: the patch's gradients where the mask is True, the image's values around it.

    The outermost pixels of the image never change: their values are border values. The patch's last row and column lend no
    gradient, because what follows them is unknown.

    Args:
        image: uint8 H×W×3.
        patch: uint8 h×w×3.
        box: where it comes to lie; inside the image.
        mask: bool h×w.
        guidance: `normal` takes the patch's gradients; `mixed` takes them where the difference of the two components is larger
            in size than the image's, as OpenCV does; `classic` compares each component.
        strength: share of the patch's gradients, the rest is the image's.
        erode: how often the mask is shrunk by 3×3 before its gradients are taken; 3 gives what OpenCV's seamlessClone gives.
        confine: change nothing outside the mask.

    Returns:
        uint8 H×W×3, a new array.
    """
    blended = image.copy()
    values, area = blended_values(image, patch, box, mask, guidance=guidance, strength=strength, erode=erode, confine=confine)
    blended[inside(area)] = rounded(values)
    return blended


def blended_values(
    image: Image,
    patch: Image,
    box: Box,
    mask: Mask,
    *,
    guidance: Guidance = "normal",
    strength: float = 1.0,
    erode: int = 0,
    confine: bool = True,
) -> tuple[FloatArray, Box]:
    """`blend` before clipping and rounding, where it may have changed something.

    Returns:
        float64 h×w×3, and the box of it.

    Raises:
        BadParameter: patch, box and mask do not fit each other or the image.
    """
    _check(image, patch, box, mask)
    area = solved_box(mask, box, image.shape, rim=min(erode, 1))
    if min(area[2:]) < 1:
        return np.zeros((0, 0, 3)), (area[0], area[1], 0, 0)
    own = _rows(image, area)
    foreign = _pasted_rows(own, patch, box, area)
    divergence = _divergence_of_change(own, foreign, _weights(mask, box, area, erode), guidance)
    change = solve(_planes(divergence, area[2])) * strength
    return _added(image, area, _confined(change, _framed(mask, box, area)) if confine else change), area


def interpolate(image: Image, other: Image, box: Box, weight: float, mask: Mask | None = None) -> Image:
    """The image with the gradients of two mixed inside a box, as PII does it; values around the box are the image's.

    On every edge between neighbours the guidance is (1 - weight) times the image's gradient where that is larger in size than
    weight times the other's, else weight times the other's. The outermost pixels of the image never change. The result is
    clipped to the range of each of the image's channels.

    Args:
        image: uint8 H×W×3.
        other: uint8 H×W×3.
        box: inside the image.
        weight: of the other picture, 0…1.
        mask: bool h×w, which pixels of the box; None: all, and then the solution is exact.

    Returns:
        uint8 H×W×3, a new array.
    """
    mixed = image.copy()
    values, area = interpolated_values(image, other, box, weight, mask)
    if values.size:
        low, high = zip(*(cv2.minMaxLoc(plane)[:2] for plane in cv2.split(image)), strict=True)
        mixed[inside(area)] = np.clip(rounded(values), np.uint8(low), np.uint8(high))
    return mixed


def interpolated_values(image: Image, other: Image, box: Box, weight: float, mask: Mask | None = None) -> tuple[FloatArray, Box]:
    """`interpolate` before clipping and rounding: float64 h×w×3, and its box.

    Raises:
        BadParameter: the pictures, box and mask do not fit each other.
    """
    chosen = np.ones((box[3], box[2]), bool) if mask is None else mask
    _check(image, other[inside(box)], box, chosen)
    area = solved_box(chosen, box, image.shape, grow=False)
    if min(area[2:]) < 1:
        return np.zeros((0, 0, 3)), (area[0], area[1], 0, 0)
    own, foreign = _rows(image, area), _rows(other, area)
    down = _interpolated_change(_edges_down(own), _edges_down(foreign), weight)
    right = _interpolated_change(_edges_right(own), _edges_right(foreign), weight)
    kept = _framed(chosen, box, area)
    if mask is not None:
        padded = np.repeat(np.pad(kept, 1), 3, axis=1)
        down *= (padded[:-1] | padded[1:])[:, 3:-3]
        right *= (padded[:, :-3] | padded[:, 3:])[1:-1]
    change = solve(_planes((down[1:] - down[:-1]) + (right[:, 3:] - right[:, :-3]), area[2]))
    return _added(image, area, change if mask is None else _confined(change, kept)), area


def solve(divergence: NDArray[np.floating]) -> FloatArray:
    """The field that is zero around a rectangle and whose five-point Laplacian is `divergence`.

    Args:
        divergence: C×h×w.

    Returns:
        float64 C×h×w.
    """
    height, width = divergence.shape[1:]
    spectrum = _transformed(_transformed(divergence.astype(np.float64), 1), 2)
    spectrum /= _eigenvalues(height)[:, None] + _eigenvalues(width)
    return _transformed(_transformed(spectrum, 1), 2)


def solved_box(mask: Mask, box: Box, shape: tuple[int, ...], rim: int = 0, grow: bool = True) -> Box:
    """The box whose pixels are unknowns: that of the mask's pixels, less the image's outermost pixels and a rim.

    Where it is so long that the FFT is used, it may `grow` to a length that the FFT likes, and shifts near the image's edges.
    """
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    spans = []
    for start, length, side in ((box[0] + x, w, shape[1]), (box[1] + y, h, shape[0])):
        first, last = max(1, start + rim), min(side - 1, start + length - rim)
        spans.append(_liked_span(first, last - first, side) if grow else (first, last - first))
    (left, wide), (top, high) = spans
    return left, top, wide, high


def erosion_at(shape: tuple[int, ...], times: int = OPENCV_EROSION) -> int:
    """How often to shrink a mask on an image of `shape`: `times`, proportionally fewer on pictures under 256 pixels."""
    return round(times * min(1.0, min(shape[:2]) / 256))


def rounded(values: FloatArray) -> Image:
    """As a picture: uint8, clipped to 0…255, halves upward."""
    return np.asarray(np.clip(values + HALF, 0, 255), np.uint8)


def _added(image: Image, area: Box, change: FloatArray) -> FloatArray:
    return np.asarray(cv2.merge(list(change)).reshape(area[3], area[2], 3) + image[inside(area)])


def _check(image: Image, patch: Image, box: Box, mask: Mask) -> None:
    x, y, w, h = box
    if patch.shape[:2] != (h, w) or mask.shape != (h, w):
        raise BadParameter(f"patch is {patch.shape[:2]} and mask {mask.shape}; expected the box's {(h, w)}")
    if min(x, y) < 0 or x + w > image.shape[1] or y + h > image.shape[0]:
        raise BadParameter(f"box is {box}; expected it inside the image of {image.shape[1]}×{image.shape[0]}")


def _liked_span(start: int, length: int, side: int) -> tuple[int, int]:
    """First pixel and length, grown where that makes a long FFT fast and there is room inside the image's outermost pixels."""
    if length <= MATRIX_SIDE:
        return start, length
    liked = next(n for n in range(length, 2 * length + 2) if _is_smooth(n + 1))
    if liked > side - 2:
        return start, length
    return min(max(1, start - (liked - length) // 2), side - 1 - liked), liked


def _is_smooth(number: int) -> bool:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number == 1


def _rows(picture: Image, area: Box) -> Rows:
    """The area with one pixel more all around."""
    x, y, w, h = area
    return picture[y - 1 : y + h + 1, x - 1 : x + w + 1].astype(np.int16).reshape(h + 2, -1)


def _pasted_rows(own: Rows, patch: Image, box: Box, area: Box) -> Rows:
    """The patch around the area, the image's own pixels beyond the patch."""
    rows = own.copy()
    of_area, of_patch = _overlap(box, (area[0] - 1, area[1] - 1, area[2] + 2, area[3] + 2))
    rows.reshape(area[3] + 2, -1, 3)[of_area] = patch[of_patch]
    return rows


def _overlap(box: Box, area: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a box and an area overlap: rows and columns counted in the area, and in the box."""
    spans = []
    for start, length, first, extent in ((box[1], box[3], area[1], area[3]), (box[0], box[2], area[0], area[2])):
        low, high = max(start, first), min(start + length, first + extent)
        spans.append((slice(low - first, high - first), slice(low - start, high - start)))
    return (spans[0][0], spans[1][0]), (spans[0][1], spans[1][1])


def _framed(mask: Mask, box: Box, area: Box) -> Mask:
    framed = np.zeros((area[3], area[2]), bool)
    of_area, of_box = _overlap(box, area)
    framed[of_area] = mask[of_box]
    return framed


def _weights(mask: Mask, box: Box, area: Box, erode: int) -> Mask:
    """Pixels whose forward differences are the patch's: (h+1)×(w+1), from one row above and one column left of the area."""
    chosen = mask.astype(np.uint8)
    if erode:
        cv2.erode(chosen, SQUARE, chosen, iterations=erode, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    chosen[-1], chosen[:, -1] = 0, 0
    return _framed(chosen > 0, box, (area[0] - 1, area[1] - 1, area[2] + 1, area[3] + 1))


def _divergence_of_change(own: Rows, foreign: Rows, weights: Mask, guidance: Guidance) -> Rows:
    """Divergence of the guidance less the image's own gradient, h rows of w pixels."""
    keep_right = keep_down = np.repeat(weights, 3, axis=1)
    if guidance == "mixed":  # sic: OpenCV compares the difference of the two components
        keep_right = keep_down = keep_right & (np.abs(_right(foreign) - _down(foreign)) > np.abs(_right(own) - _down(own)))
    elif guidance == "classic":
        keep_right = keep_right & (np.abs(_right(foreign)) > np.abs(_right(own)))
        keep_down = keep_down & (np.abs(_down(foreign)) > np.abs(_down(own)))
    apart = foreign - own
    right, down = _right(apart) * keep_right, _down(apart) * keep_down
    return (right[1:, 3:] - right[1:, :-3]) + (down[1:, 3:] - down[:-1, 3:])


def _right(rows: Rows) -> Rows:
    """Forward differences along a row, without the last row."""
    return rows[:-1, 3:] - rows[:-1, :-3]


def _down(rows: Rows) -> Rows:
    """Forward differences between rows, without the last column."""
    return rows[1:, :-3] - rows[:-1, :-3]


def _edges_right(rows: Rows) -> Rows:
    """Differences along rows across every edge that touches the area."""
    return rows[1:-1, 3:] - rows[1:-1, :-3]


def _edges_down(rows: Rows) -> Rows:
    """Differences between rows across every edge that touches the area."""
    return rows[1:, 3:-3] - rows[:-1, 3:-3]


def _interpolated_change(ours: Rows, theirs: Rows, weight: float) -> NDArray[np.float32]:
    """PII's guidance less the image's own gradient, from the gradients of the two pictures."""
    kept, taken = ours * np.float32(1 - weight), theirs * np.float32(weight)
    return np.asarray(np.where(np.abs(kept) > np.abs(taken), kept, taken) - ours, np.float32)


def _planes(rows: NDArray[Any], width: int) -> FloatArray:
    """Channels first, float64 3×h×w."""
    return np.array(cv2.split(rows.reshape(-1, width, 3)), np.float64)


def _confined(change: FloatArray, mask: Mask) -> FloatArray:
    """The change inside the mask, half of it on the mask's outline, none outside."""
    if mask.all():
        return change
    return np.asarray(change * ((mask.view(np.uint8) + cv2.erode(mask.view(np.uint8), CROSS)) / 2))


def _transformed(planes: FloatArray, axis: Literal[1, 2]) -> FloatArray:
    """Orthonormal DST-I along the rows' or the columns' axis; its own inverse."""
    n = planes.shape[axis]
    if n > (MATRIX_SIDE if _is_smooth(n + 1) else MATRIX_SIDE_UNLUCKY):
        return np.asarray(dst(planes, type=1, axis=axis, norm="ortho", workers=1))
    return np.asarray(_sine_matrix(n) @ planes if axis == 1 else planes @ _sine_matrix(n))


def _sine_matrix(n: int) -> FloatArray:
    return _kept_sine_matrix(n) if n <= MATRIX_SIDE else _made_sine_matrix(n)


def _made_sine_matrix(n: int) -> FloatArray:
    """Symmetric, orthonormal; n×n."""
    index = np.arange(1, n + 1)
    sines = np.sin(np.pi / (n + 1) * np.arange(2 * n + 2)) * np.sqrt(2 / (n + 1))
    return freeze(np.asarray(sines[np.outer(index, index) % (2 * n + 2)]))


_kept_sine_matrix = lru_cache(maxsize=128)(_made_sine_matrix)


@lru_cache(maxsize=512)
def _eigenvalues(n: int) -> FloatArray:
    """Of the second difference along n unknowns with zeros at both ends."""
    return freeze(np.asarray(2 * np.cos(np.pi / (n + 1) * np.arange(1, n + 1)) - 2))
