"""Closing and opening of boolean masks by a square of any side, even ones among them.

OpenCV's own closing by an even square shifts the mask by a pixel; with the two anchors below it equals scikit-image's, borders
included.
"""

from __future__ import annotations

import cv2
import numpy as np

from flawsmith.core.arrays import Mask


def close(mask: Mask, side: int) -> Mask:
    """Fill gaps narrower than `side` pixels: dilate, then erode."""
    return _eroded(_dilated(mask.astype(np.uint8), side), side) > 0


def open_up(mask: Mask, side: int) -> Mask:
    """Remove specks narrower than `side` pixels: erode, then dilate."""
    return _dilated(_eroded(mask.astype(np.uint8), side), side) > 0


def dilate(mask: Mask, side: int) -> Mask:
    """Grow by a square of `side` pixels."""
    return _dilated(mask.astype(np.uint8), side) > 0


def _dilated(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    anchor = (side - 1) // 2
    return np.asarray(cv2.dilate(mask, np.ones((side, side), np.uint8), anchor=(anchor, anchor)), np.uint8)


def _eroded(mask: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], side: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    anchor = side // 2
    return np.asarray(cv2.erode(mask, np.ones((side, side), np.uint8), anchor=(anchor, anchor)), np.uint8)
