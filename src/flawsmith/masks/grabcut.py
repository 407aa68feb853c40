"""Where the object is, by GrabCut: the offline stand-in for a saliency network.

GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) as in OpenCV, started from the picture without a margin of 5 %. Ours is what
surrounds it: a picture that its border's colours explain has no object; pieces under 1 % are dropped and holes filled. It works
on the picture reduced to 256 pixels, since its time grows with their number.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.data.resize import resize_mask

SIDE = 256
BORDER = 4
EXPLAINED = 0.85
"""Of the pixels; a picture whose border explains more has no object."""
WITHIN = 11.345
"""Squared Mahalanobis distance that 99 % of a normal distribution in three dimensions keep."""
VARIANCE_FLOOR = 1.0
MARGIN = 0.05
ITERATIONS = 5
SMALLEST_PIECE = 0.01


def by_grabcut(image: Image) -> Mask:
    """The object's pixels, bool H×W; everywhere where the border explains the picture or nothing is left."""
    small = _reduced(image)
    if explained_by_border(small) > EXPLAINED:
        return np.ones(image.shape[:2], bool)
    found = _filled(_large_pieces(_cut(small)))
    if not found.any():
        return np.ones(image.shape[:2], bool)
    return resize_mask(found, (image.shape[0], image.shape[1]))


def explained_by_border(image: Image) -> float:
    """Share of the pixels whose Lab colour lies within the normal distribution of the 4-pixel border's."""
    lab = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2LAB).astype(np.float64)
    edge = np.ones(lab.shape[:2], bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    border = lab[edge]
    off = lab.reshape(-1, 3) - border.mean(axis=0)
    inverse = np.linalg.inv(np.cov(border.T) + VARIANCE_FLOOR * np.eye(3))
    return float(np.mean(np.einsum("ni,ij,nj->n", off, inverse, off) <= WITHIN))


def _reduced(image: Image) -> Image:
    factor = SIDE / min(image.shape[:2])
    if factor >= 1:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _cut(image: Image) -> NDArray[np.uint8]:
    """0 and 1. OpenCV starts from colours drawn by a generator of its own, which is set, so that a picture has one answer."""
    height, width = image.shape[:2]
    left, top = max(1, round(MARGIN * width)), max(1, round(MARGIN * height))
    labels = np.zeros((height, width), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(image, labels, (left, top, width - 2 * left, height - 2 * top), *models, ITERATIONS, cv2.GC_INIT_WITH_RECT)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)


def _large_pieces(found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, labels, told, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    large = [piece for piece in range(1, count) if told[piece, cv2.CC_STAT_AREA] >= SMALLEST_PIECE * found.size]
    return np.isin(labels, large).astype(np.uint8)


def _filled(found: NDArray[np.uint8]) -> Mask:
    outlines = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    return np.asarray(cv2.drawContours(np.zeros_like(found), outlines, -1, 1, cv2.FILLED), np.uint8).view(np.bool_)
