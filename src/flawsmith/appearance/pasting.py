"""Pasting a patch into a copy of an image, and what that changed."""

from __future__ import annotations

import cv2
import numpy as np

from flawsmith.core.arrays import Image, Mask
from flawsmith.masks.boxes import Box, inside

TOLERANCE = 1
"""Levels up to which two pixels count as equal."""


def paste(image: Image, patch: Image, target: Box, support: Mask | None = None) -> Image:
    """A copy of the image with the patch at the target box, where the box's `support` is True; None: all of it."""
    changed = image.copy()
    region = changed[inside(target)]
    if support is None:
        region[...] = patch
    else:
        cv2.copyTo(patch, support.view(np.uint8), region)  # writes into the copy
    return changed


def differs(image: Image, changed: Image, box: Box) -> bool:
    """Whether any pixel of the box differs by more than one level in a channel."""
    return bool(_apart(image, changed, box).max() > TOLERANCE)


def differing(one: Image, other: Image) -> Mask:
    """The pixels of two pictures of one size that differ by more than one level in a channel."""
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.max(cv2.max(red, green), blue) > TOLERANCE)


def _apart(image: Image, changed: Image, box: Box) -> Image:
    return np.asarray(cv2.absdiff(image[inside(box)], changed[inside(box)]), np.uint8)
