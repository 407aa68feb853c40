"""Where the object is, from grey values alone: thresholds, corners, and whether there is an object at all.

RealNet (Otsu and triangle thresholds, channel, closing, opening; cnulab/RealNet, realnet_dataset.py), MemSeg (threshold;
TooTouch/MemSeg, dataset.py), NSA (background and tolerance; hmsch/natural-synthetic-anomalies, self_sup_tasks.py), FractalAD
(corner; AIRS-CSR/FractalAD). Sizes in pixels are for a smaller side of 256 and scale with it.

`auto` is ours: Otsu's threshold on the picture reduced to 128 pixels, the class that holds less of the border, and everywhere
where that class is no object. It is none where it lies at the border about as much as elsewhere (a pattern), where both classes
meet softly (light that falls off), or where they meet all over the picture (the grain of a texture).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.data.resize import resize_mask
from flawsmith.masks.morphology import close, majority, open_up

SIDE = 256
BORDER = 4
SMOOTHING = 6
MEDIAN = 7
REDUCED = 128
AT_BORDER = 2 / 3
SOFTEST_EDGE = 0.16
LONGEST_CONTOUR = 0.16

Grey = NDArray[np.uint8]
Polarity = Literal["auto", "bright", "dark"]
Channel = Literal["grey", "red", "green", "blue"]
POLARITIES: tuple[str, ...] = get_args(Polarity)
CHANNELS: tuple[str, ...] = get_args(Channel)


@dataclass(frozen=True)
class ThresholdOptions:
    """How RealNet's thresholds are used.

    Args:
        polarity: which class is the object; `auto`: the one that holds less of the border.
        channel: what is thresholded.
        closing: side of the closing square, at 256; 0: none.
        opening: side of the opening square after it, at 256; 0: none.
    """

    polarity: Polarity = "auto"
    channel: Channel = "grey"
    closing: int = SMOOTHING
    opening: int = SMOOTHING


def by_otsu(image: Image, options: ThresholdOptions) -> Mask:
    """Otsu's threshold."""
    return _by_histogram(image, options, cv2.THRESH_OTSU)


def by_triangle(image: Image, options: ThresholdOptions) -> Mask:
    """The triangle threshold."""
    return _by_histogram(image, options, cv2.THRESH_TRIANGLE)


def by_level(image: Image, level: float, bright: bool) -> Mask:
    """MemSeg: brighter than a level, or not brighter."""
    above = grey(image) > level
    return above if bright else ~above


def by_background(image: Image, pairs: tuple[tuple[float, float], ...]) -> Mask:
    """NSA: apart from every background level by more than its tolerance, then a 7×7 median."""
    red, green, blue = cv2.split(image)
    total = cv2.add(cv2.add(red, green, dtype=cv2.CV_32F), blue, dtype=cv2.CV_32F)
    apart = np.logical_and.reduce([np.abs(total - 3 * level) > 3 * tolerance for level, tolerance in pairs])
    return majority(apart, max(3, 2 * round((scaled(MEDIAN, apart.shape) - 1) / 2) + 1))


def by_corner(image: Image) -> Mask:
    """FractalAD: brighter or darker than the top left corner, judged at 256×256."""
    small = cv2.blur(cv2.resize(grey(image), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), (5, 5))
    level = float(small[:20, :20].mean())
    found = small <= level - 50 if level > 128 else small > level + 10
    return resize_mask(cv2.medianBlur(found.astype(np.uint8), 5) > 0, (image.shape[0], image.shape[1]))


def by_itself(image: Image) -> Mask:
    """The class of Otsu's threshold that holds less of the border, or everywhere where that is no object."""
    levels = grey(image)
    small = _reduced(levels)
    limit, above = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright, at_border = _less_at_border(above.view(np.bool_))
    found = above if bright else 1 - above
    if not _is_object(small, np.asarray(found, np.uint8), at_border):
        return np.ones(levels.shape, bool)
    return _smoothed(levels > limit if bright else levels <= limit, ThresholdOptions())


def grey(image: Image) -> Grey:
    """H×W, by luma."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def scaled(pixels: int, shape: tuple[int, ...]) -> int:
    """Pixels at a smaller side of 256 as pixels of an image of `shape`; at least 1 where there were any."""
    return max(1, round(pixels * min(shape[:2]) / SIDE)) if pixels else 0


def _by_histogram(image: Image, options: ThresholdOptions, flag: int) -> Mask:
    index = CHANNELS.index(options.channel)
    levels = grey(image) if index == 0 else np.ascontiguousarray(image[:, :, index - 1])
    limit, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + flag)
    above = levels > limit
    bright = _less_at_border(above)[0] if options.polarity == "auto" else options.polarity == "bright"
    return _smoothed(above if bright else ~above, options)


def _smoothed(mask: Mask, options: ThresholdOptions) -> Mask:
    closing, opening = scaled(options.closing, mask.shape), scaled(options.opening, mask.shape)
    mask = close(mask, closing) if closing > 1 else mask
    return open_up(mask, opening) if opening > 1 else mask


def _less_at_border(bright: Mask) -> tuple[bool, float]:
    """Whether the bright class holds less of the border than the dark one, and the share that the lesser holds."""
    width = scaled(BORDER, bright.shape)
    strips = (bright[:width], bright[-width:], bright[width:-width, :width], bright[width:-width, -width:])
    share = sum(int(np.count_nonzero(strip)) for strip in strips) / max(1, sum(strip.size for strip in strips))
    return share <= 0.5, min(share, 1 - share)


def _reduced(levels: Grey) -> Grey:
    """The smaller side 128, slightly blurred, so that noise makes no edges."""
    factor = REDUCED / min(levels.shape)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.blur(cv2.resize(levels, None, fx=factor, fy=factor, interpolation=how), (3, 3)), np.uint8)


def _is_object(small: Grey, found: Grey, at_border: float) -> bool:
    """Whether a class is rarer at the border than in the picture, and meets the other sharply and along few of the pixels.

    Args:
        small: the reduced picture.
        found: 1 on the class, else 0.
        at_border: share of the border that it holds.
    """
    contour = cv2.morphologyEx(found, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    length, pixels = cv2.countNonZero(contour), cv2.countNonZero(found)
    if at_border * found.size > AT_BORDER * pixels or not 0 < length <= LONGEST_CONTOUR * found.size:
        return False
    along_x, along_y = (part[contour.view(np.bool_)].astype(np.float32) / 8 for part in cv2.spatialGradient(small))
    inside, total = cv2.mean(small, found)[0], cv2.sumElems(small)[0]
    contrast = abs(inside - (total - inside * pixels) / (found.size - pixels))
    sharper = np.count_nonzero(np.hypot(along_x, along_y) >= SOFTEST_EDGE * contrast)
    return 2 * int(sharper) >= length
