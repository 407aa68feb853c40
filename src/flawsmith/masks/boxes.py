"""Boxes on an image: where they lie, and the masks they frame."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from flawsmith.core.arrays import Mask

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""

ROUNDING = 1e-9


def inside(box: Box) -> tuple[slice, slice]:
    """The rows and columns of a box."""
    x, y, w, h = box
    return slice(y, y + h), slice(x, x + w)


def random_box(extent: tuple[int, int], shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    """A box of `extent` = (width, height) wholly inside an image of `shape`, uniform over all positions."""
    w, h = extent
    return int(rng.integers(shape[1] - w + 1)), int(rng.integers(shape[0] - h + 1)), w, h


def box_around(centre: tuple[int, int], half: int, shape: tuple[int, ...]) -> Box:
    """The square of side 2 · `half` around a (row, column), cut at the image's borders."""
    top, left = (max(0, at - half) for at in centre)
    bottom, right = (min(side, at + half) for at, side in zip(centre, shape, strict=False))
    return left, top, right - left, bottom - top


def random_pixel(room: Mask, rng: np.random.Generator) -> tuple[int, int] | None:
    """(row, column) of a True pixel, uniform over all of them; None where there is none."""
    places = np.flatnonzero(room)
    if not len(places):
        return None
    row, column = divmod(int(places[int(rng.integers(len(places)))]), room.shape[1])
    return row, column


def middle(side: int, core: float) -> tuple[int, int]:
    """First and one past the last of the pixels that lie wholly in the middle share of an axis; at least one, or two."""
    first = min(ceil(side * (1 - core) / 2 - ROUNDING), (side - 1) // 2)
    return first, side - first


def in_core(room: Mask, core: float) -> Mask:
    """A mask's pixels in the middle share of both axes; where it has none there, all of them."""
    rows, columns = (slice(*middle(side, core)) for side in room.shape)
    kept = np.zeros_like(room)
    kept[rows, columns] = room[rows, columns]
    return kept if kept.any() else room


def box_of(mask: Mask) -> Box:
    """The bounding box of a mask's pixels."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return x, y, w, h


def share_in(mask: Mask | None, box: Box, part: Mask | None = None) -> float:
    """Share of the box's pixels, or of a part of them, that are True; 1 where there is no mask."""
    if mask is None:
        return 1.0
    pixels = mask[inside(box)]
    return float((pixels if part is None else pixels[part]).mean())


def framed(part: Mask | None, box: Box, shape: tuple[int, ...]) -> Mask:
    """A mask of the image's size that holds `part` at the box; None: all of it."""
    mask = np.zeros(shape[:2], bool)
    mask[inside(box)] = True if part is None else part
    return mask
