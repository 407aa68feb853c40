"""What SSIM, PSNR and VIF share: two pictures that fit each other, and Gaussian windows without a border.

A window is laid only where it fits whole, so that no value depends on how a border is filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError

Floats = NDArray[np.float64]


def check_image(pixels: NDArray[Any], least: int, metric: str) -> Floats:
    """A picture as float64 H×W×C.

    Args:
        pixels: H×W or H×W×C, any numbers.
        least: shortest side that the metric can take.
        metric: its name, for messages.

    Raises:
        DataError: another shape, or a side below `least` (E_SIZE); a pixel that is not finite (E_NOT_FINITE).
    """
    values = np.asarray(pixels)
    if values.ndim not in (2, 3) or values.size == 0 or values.dtype.kind not in "fiu":
        raise DataError("E_SIZE", f"{metric} got {values.dtype} of shape {values.shape}; expected a picture H×W or H×W×channels")
    if min(values.shape[:2]) < least:
        size = f"{values.shape[1]}×{values.shape[0]}"
        raise DataError("E_SIZE", f"{metric} got a picture of {size} pixels; expected sides of at least {least}: use larger ones")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("E_NOT_FINITE", f"{metric} got pixels that are NaN or infinite; expected finite numbers: check it")
    return np.ascontiguousarray(values.reshape(*values.shape[:2], -1), np.float64)


def refuse_unequal(one: Sequence[int], other: Sequence[int], metric: str) -> None:
    """Refuse a pair of two shapes.

    Raises:
        DataError: E_SIZE.
    """
    if tuple(one) != tuple(other):
        told = " and ".join("×".join(map(str, shape)) for shape in (one, other))
        raise DataError("E_SIZE", f"{metric} got pictures of {told} (height×width×channels); expected equal ones: resize one")


def check_data_range(data_range: float) -> None:
    """Refuse a range that no pixel can span.

    Raises:
        BadParameter: not a finite number above 0.
    """
    if not (np.isfinite(data_range) and data_range > 0):
        raise BadParameter(f"data_range is {data_range}; expected the span of the pixels, above 0: 255 for uint8, 1 for [0, 1]")


def gaussian(taps: int, sigma: float) -> Floats:
    """A Gaussian of `taps` (odd) values that add up to 1."""
    x = np.arange(taps, dtype=np.float64) - taps // 2
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    return np.asarray(kernel / kernel.sum())


def windowed(values: Floats, kernel: Floats) -> Floats:
    """Weighted means of H×W×C under a separable window, where it fits whole: (H−k+1)×(W−k+1)×C."""
    pad = len(kernel) // 2
    filtered = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    whole = filtered.reshape(values.shape)
    return np.asarray(whole[pad : values.shape[0] - pad, pad : values.shape[1] - pad], np.float64)
