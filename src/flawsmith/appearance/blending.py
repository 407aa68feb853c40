"""Blending at some pixels of a picture only: a mask is a small part of it, so the rest is copied and never computed.

Pixels at places are uint8 1×N×3, a picture of one row, for which every function on pictures works.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask

Places = NDArray[np.intp]
"""Numbers of pixels, row by row."""

_PIXEL = np.dtype("V3")
"""Three bytes that NumPy moves as one thing."""


def places_of(mask: Mask) -> Places:
    """Where the mask is True."""
    return np.flatnonzero(mask)


def pixels_at(image: Image, places: Places) -> Image:
    """The pixels at the places; uint8 1×N×3."""
    return image.reshape(-1, 3).take(places, axis=0)[None]


def with_pixels(image: Image, places: Places, pixels: Image) -> Image:
    """A copy of the image with other pixels at the places."""
    changed = np.array(image, order="C")
    flat = changed.reshape(-1, 3).view(_PIXEL)
    flat[places] = np.ascontiguousarray(pixels[0]).view(_PIXEL)
    return changed


def blend(under: Image, over: Image, opacity: float) -> Image:
    """`opacity` of `over` on `under`, rounded once; both of one shape."""
    return np.asarray(cv2.addWeighted(over, opacity, under, 1 - opacity, 0), np.uint8)


def differ(one: Image, other: Image, tolerance: int = 1) -> bool:
    """Whether any value differs by more than `tolerance` levels."""
    return cv2.norm(one, other, cv2.NORM_INF) > tolerance
