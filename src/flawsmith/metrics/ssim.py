"""Structural similarity of two pictures.

Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment" (IEEE TIP 2004): Gaussian window 11×11 with σ 1.5, K₁ 0.01, K₂ 0.03,
population covariance, mean over the interior where the window fits whole, and over the channels. It is scikit-image's
`structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=…, channel_axis=…)`; that
function's defaults are another metric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.image_pairs import Floats, check_data_range, check_image, gaussian, refuse_unequal, windowed

TAPS, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
LEAST = TAPS
"""Shortest side."""

WINDOW = gaussian(TAPS, SIGMA)


class SsimSide:
    """One picture with its local moments, for many comparisons with others.

    Args:
        pixels: H×W or H×W×C, sides of at least 11.

    Raises:
        DataError: E_SIZE, E_NOT_FINITE.
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        self.pixels = check_image(pixels, LEAST, "ssim")
        self.mean: Floats = windowed(self.pixels, WINDOW)
        self.variance: Floats = windowed(self.pixels**2, WINDOW) - self.mean**2

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return self.pixels.nbytes + self.mean.nbytes + self.variance.nbytes


def ssim_of(one: SsimSide, other: SsimSide, data_range: float = 255.0) -> float:
    """SSIM of two prepared pictures; arguments and errors as in `ssim`."""
    check_data_range(data_range)
    refuse_unequal(one.pixels.shape, other.pixels.shape, "ssim")
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    means = one.mean * other.mean
    covariance = windowed(one.pixels * other.pixels, WINDOW) - means
    above = (2 * means + c1) * (2 * covariance + c2)
    below = (one.mean**2 + other.mean**2 + c1) * (one.variance + other.variance + c2)
    return float(np.mean(above / below))


def ssim(one: NDArray[Any], other: NDArray[Any], data_range: float = 255.0) -> float:
    """Structural similarity of two pictures of one shape, at most 1, and 1 of a picture with itself; symmetric.

    Args:
        one, other: H×W or H×W×C, sides of at least 11.
        data_range: span of the pixels, 255 for uint8. It is never guessed.

    Raises:
        DataError: the shapes differ or a side is too short (E_SIZE); pixels are not finite (E_NOT_FINITE).
        BadParameter: a range that is not above 0.
    """
    return ssim_of(SsimSide(one), SsimSide(other), data_range)
