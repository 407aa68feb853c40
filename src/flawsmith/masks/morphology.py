"""Growing, closing and opening of boolean masks by a square of any side, even ones among them.

OpenCV's own closing by an even square shifts the mask by a pixel; with the two anchors below it equals scikit-image's, borders
included.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask, freeze
from flawsmith.masks.boxes import Box

Bits = NDArray[np.uint8]
"""H×W of zeros and ones."""


def close(mask: Mask, side: int) -> Mask:
    """Fill gaps narrower than `side` pixels: dilate, then erode."""
    return _eroded(_dilated(mask.view(np.uint8), side), side).view(np.bool_)


def open_up(mask: Mask, side: int) -> Mask:
    """Remove specks narrower than `side` pixels: erode, then dilate."""
    return _dilated(_eroded(mask.view(np.uint8), side), side).view(np.bool_)


def dilate(mask: Mask, side: int) -> Mask:
    """Grow by a square of `side` pixels."""
    return _dilated(mask.view(np.uint8), side).view(np.bool_)


def majority(mask: Mask, side: int) -> Mask:
    """The median over a square of odd `side`, edges repeated: what most pixels around are. A count is faster than a median."""
    counts = cv2.boxFilter(mask.view(np.uint8), cv2.CV_16U, (side, side), normalize=False, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(counts > side * side // 2)


def widened(box: Box, margin: int, shape: tuple[int, ...]) -> Box:
    """The box with a margin on every side, cut to an image of `shape`."""
    left, top = max(0, box[0] - margin), max(0, box[1] - margin)
    right, bottom = min(shape[1], box[0] + box[2] + margin), min(shape[0], box[1] + box[3] + margin)
    return left, top, right - left, bottom - top


def _dilated(mask: Bits, side: int) -> Bits:
    anchor = (side - 1) // 2
    return np.asarray(cv2.dilate(mask, _square(side), anchor=(anchor, anchor)), np.uint8)


def _eroded(mask: Bits, side: int) -> Bits:
    anchor = side // 2
    return np.asarray(cv2.erode(mask, _square(side), anchor=(anchor, anchor)), np.uint8)


@lru_cache(maxsize=64)
def _square(side: int) -> Bits:
    return freeze(np.ones((side, side), np.uint8))
