"""Resizing at the borders: one rule for images, one for masks, one for maps.

Sizes are (H, W) everywhere. An array that already has the wanted size comes back as a copy.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Map, Mask


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Resize uint8 H×W×3: by area along sides that shrink, bilinearly along sides that grow."""
    return image.copy() if image.shape[:2] == tuple(size) else _area_then_linear(image, size)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize bool H×W: a pixel is True where at least half of what it stands for is."""
    if mask.shape == tuple(size):
        return mask.copy()
    rounding = 1e-6
    return _area_then_linear(mask.astype(np.float32), size) >= 0.5 - rounding


def resize_mask_nearest(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize bool H×W by nearest pixel, for labels that other tools made: each pixel says what the one at its centre said."""
    if mask.shape == tuple(size):
        return mask.copy()
    rows, columns = (_centres(old, new) for old, new in zip(mask.shape, size, strict=True))
    return np.asarray(mask[np.ix_(rows, columns)], np.bool_)


def _centres(old: int, new: int) -> NDArray[np.int64]:
    """For each of `new` pixels the one of `old` pixels that its centre lies in."""
    return np.asarray((2 * np.arange(new) + 1) * old // (2 * new), np.int64)


def resize_map(anomaly_map: Map, size: tuple[int, int]) -> Map:
    """Resize float32 H×W bilinearly, pixel centres at half positions (`align_corners=False`)."""
    if anomaly_map.shape == tuple(size):
        return anomaly_map.astype(np.float32, copy=True)
    return cv2.resize(anomaly_map.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _area_then_linear(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    smaller = (min(size[0], values.shape[0]), min(size[1], values.shape[1]))
    if smaller != values.shape[:2]:
        values = cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != tuple(size):
        values = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    return values
