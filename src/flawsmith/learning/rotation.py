"""Rotation of clean images before synthesis, and global photometry after it.

Both belong to the stream, so that every synthesizer and detector sees the same policy. Policies: `draem` (VitjanZ/DRAEM,
data_loader.py: probability 0.3, ±90°, black fill), `slight` and `full` (apple/ml-destseg: ±5°, after a random quarter turn for
`full`, fill 114), `none`.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.recipes import Rotation

FILL = {"draem": 0, "slight": 114, "full": 114}


def draw_angle(policy: Rotation, rng: np.random.Generator) -> float:
    """The angle in degrees that `policy` gives this item; 0 leaves the image as it is."""
    if policy == "draem":
        turned, angle = rng.random(), rng.uniform(-90, 90)
        return float(angle) if turned < 0.3 else 0.0
    if policy == "slight":
        return float(rng.uniform(-5, 5))
    if policy == "full":
        return float(rng.choice([0, 90, 180, 270]) + rng.uniform(-5, 5))
    return 0.0


def rotate_image(image: Image, angle: float, fill: int) -> Image:
    """Rotate uint8 H×W×3 by `angle` degrees about its centre, bilinear; corners become `fill`."""
    if angle == 0:
        return image
    return _warp(image, angle, cv2.INTER_LINEAR, (fill, fill, fill))


def rotate_mask(mask: Mask, angle: float) -> Mask:
    """Rotate bool H×W by `angle` degrees about its centre, nearest; corners become False."""
    if angle == 0:
        return mask
    return _warp(mask.astype(np.uint8), angle, cv2.INTER_NEAREST, 0).astype(bool)


def _warp(pixels: NDArray[np.uint8], angle: float, flags: int, fill: int | tuple[int, ...]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    border = fill if isinstance(fill, tuple) else (fill,)
    warped = cv2.warpAffine(pixels, turn, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=border)
    return np.asarray(warped, np.uint8)


def draw_tone_curve(strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A look-up table of 256 values: contrast about mid-grey and brightness, each factor in 1 ± `strength`."""
    contrast, brightness = rng.uniform(1 - strength, 1 + strength, 2)
    levels = np.arange(256, dtype=np.float64)
    curve: NDArray[np.uint8] = np.clip(np.round(((levels - 127.5) * contrast + 127.5) * brightness), 0, 255).astype(np.uint8)
    return curve
