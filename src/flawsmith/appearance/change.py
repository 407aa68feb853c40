"""How much a picture changed, and the label that NSA reads from it.

NSA (Schlüter, Tan, Hou and Kainz, ECCV 2022), section 3.2. Original code: hmsch/natural-synthetic-anomalies, self_sup_tasks.py.
Changes are sums over the three channels, that is, three times the mean: whole numbers up to 765.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.appearance.disc_median import inner_disc_median
from flawsmith.core.arrays import Image, Mask
from flawsmith.masks.boxes import Box
from flawsmith.masks.morphology import majority

Changes = NDArray[np.uint16]
"""H×W sums of absolute differences over the channels."""

GRAIN = 5
"""Side of the median filter that removes specks from a label."""

RADIUS = 5
"""Of the disc whose median smooths the intensity."""


def changes_between(one: Image, other: Image) -> Changes:
    """The sum over channels of the absolute differences of two pictures."""
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.add(cv2.add(red, green, dtype=cv2.CV_16U), blue, dtype=cv2.CV_16U), np.uint16)


def changed_pixels(changes: Changes, tolerance: float, grain: int = GRAIN) -> Mask:
    """The pixels that changed by more than `tolerance` levels on the mean of the channels; True H×W.

    Args:
        changes: of `changes_between`; surrounded by at least two pixels without a change, or by the image's edge.
        tolerance: levels.
        grain: side of the median filter that removes specks and fills holes; 1: none.
    """
    return majority(np.asarray(changes > 3 * tolerance), grain)


def intensity(changes: Changes, label: Mask, places: Sequence[Box]) -> NDArray[np.float32]:
    """The mean change of the channels inside the label, smoothed by the median over a disc.

    Args:
        changes: H×W.
        label: bool H×W.
        places: boxes outside which the answer is not wanted.

    Returns:
        float32 H×W in levels; 0 outside the places.
    """
    inner = cv2.copyMakeBorder(changes * label, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REPLICATE)
    crops = [inner[y : y + h + 2 * RADIUS, x : x + w + 2 * RADIUS] for x, y, w, h in places]
    stack = np.zeros((sum(len(crop) for crop in crops), max(crop.shape[1] for crop in crops)), np.uint16)
    bottoms = np.cumsum([len(crop) for crop in crops])
    for crop, bottom in zip(crops, bottoms, strict=True):
        stack[bottom - len(crop) : bottom, : crop.shape[1]] = crop
    medians = inner_disc_median(stack, RADIUS)
    levels = np.zeros(changes.shape, np.float32)
    for (x, y, w, h), bottom in zip(places, bottoms, strict=True):
        first = bottom - h - 2 * RADIUS
        levels[y : y + h, x : x + w] = medians[first : first + h, :w] / np.float32(3)
    return levels


def apart(one: Image, other: Image, tolerance: int = 1) -> Mask:
    """The pixels where two pictures lie in different steps of `tolerance` levels in any channel; 1 compares exactly."""
    steps = (np.arange(256) // tolerance).astype(np.uint8)
    difference = cv2.absdiff(one, other) if tolerance == 1 else cv2.absdiff(cv2.LUT(one, steps), cv2.LUT(other, steps))
    red, green, blue = cv2.split(difference)
    return np.asarray(cv2.bitwise_or(cv2.bitwise_or(red, green), blue) > 0)
