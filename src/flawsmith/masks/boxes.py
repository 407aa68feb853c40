"""Boxes on an image: where they lie, and the masks they frame."""

from __future__ import annotations

import cv2
import numpy as np

from flawsmith.core.arrays import Mask

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""


def inside(box: Box) -> tuple[slice, slice]:
    """The rows and columns of a box."""
    x, y, w, h = box
    return slice(y, y + h), slice(x, x + w)


def random_box(extent: tuple[int, int], shape: tuple[int, ...], rng: np.random.Generator) -> Box:
    """A box of `extent` = (width, height) wholly inside an image of `shape`, uniform over all positions."""
    w, h = extent
    return int(rng.integers(shape[1] - w + 1)), int(rng.integers(shape[0] - h + 1)), w, h


def box_of(mask: Mask) -> Box:
    """The bounding box of a mask's pixels."""
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    return x, y, w, h


def share_in(mask: Mask | None, box: Box) -> float:
    """Share of the box's pixels that are True; 1 where there is no mask."""
    return 1.0 if mask is None else float(mask[inside(box)].mean())


def framed(part: Mask | None, box: Box, shape: tuple[int, ...]) -> Mask:
    """A mask of the image's size that holds `part` at the box; None: all of it."""
    mask = np.zeros(shape[:2], bool)
    mask[inside(box)] = True if part is None else part
    return mask
