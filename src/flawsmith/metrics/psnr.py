"""Peak signal-to-noise ratio of two pictures: 10·log₁₀(L²/MSE), the mean square over all pixels and channels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.image_pairs import check_data_range, check_image, refuse_unequal


def psnr(one: NDArray[Any], other: NDArray[Any], data_range: float = 255.0) -> float:
    """PSNR in decibels; infinity of identical pictures.

    Args:
        one, other: H×W or H×W×C, of one shape.
        data_range: L, the span of the pixels: 255 for uint8, 1 for [0, 1].

    Raises:
        DataError: the shapes differ (E_SIZE), or pixels are not finite (E_NOT_FINITE).
        BadParameter: a range that is not above 0.
    """
    check_data_range(data_range)
    a, b = check_image(one, 1, "psnr"), check_image(other, 1, "psnr")
    refuse_unequal(a.shape, b.shape, "psnr")
    error = float(np.mean((a - b) ** 2))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)


def mean_psnr(values: Iterable[float]) -> tuple[float, int]:
    """(mean of the finite ones, number of infinite ones); infinity where there are no others, NaN of none at all."""
    found = list(values)
    finite = [value for value in found if math.isfinite(value)]
    infinite = len(found) - len(finite)
    if finite:
        return math.fsum(finite) / len(finite), infinite
    return (math.inf if infinite else math.nan), infinite
