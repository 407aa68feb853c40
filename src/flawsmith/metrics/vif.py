"""Visual information fidelity of a picture with respect to a reference, in the pixel domain.

Sheikh and Bovik, "Image Information and Visual Quality" (IEEE TIP 2006), the pixel-domain version that its authors published:
luminance in 0…255, four scales with Gaussian windows of 17, 9, 5 and 3 taps (σ = taps/5), valid filtering; before the second and
each later scale the picture is filtered and every second pixel kept. Variance of the visual noise 2.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.image_pairs import Floats, check_image, gaussian, refuse_unequal, windowed

LEAST = 41
"""Shortest side that leaves a pixel at the coarsest scale."""

NOISE, EPSILON = 2.0, 1e-10
WINDOWS = tuple(gaussian(taps, taps / 5) for taps in (17, 9, 5, 3))
LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""


class VifSide:
    """One picture at four scales with its local moments, for many comparisons with others.

    Args:
        pixels: H×W luminance or H×W×3 RGB in 0…255, sides of at least 41.

    Raises:
        DataError: E_SIZE, E_NOT_FINITE.
    """

    def __init__(self, pixels: NDArray[Any]) -> None:
        values = check_image(pixels, LEAST, "vif")
        luminance = values @ LUMA if values.shape[2] == 3 else values.mean(axis=2)
        self.constant = bool(luminance.max() == luminance.min())
        self.scales: list[Floats] = []
        self.means: list[Floats] = []
        self.variances: list[Floats] = []
        for number, window in enumerate(WINDOWS):
            luminance = luminance if number == 0 else _filtered(luminance, window)[::2, ::2]
            mean = _filtered(luminance, window)
            self.scales.append(np.ascontiguousarray(luminance))
            self.means.append(mean)
            self.variances.append(np.maximum(_filtered(luminance**2, window) - mean**2, 0))

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(part.nbytes for part in (*self.scales, *self.means, *self.variances))


def vif_of(reference: VifSide, image: VifSide) -> float:
    """VIF of two prepared pictures; arguments and errors as in `vif`."""
    refuse_unequal(reference.scales[0].shape, image.scales[0].shape, "vif")
    if reference.constant:
        return math.nan
    kept = told = 0.0
    for number, window in enumerate(WINDOWS):
        covariance = _filtered(reference.scales[number] * image.scales[number], window)
        covariance -= reference.means[number] * image.means[number]
        gain, noise, variance = _channel(reference.variances[number], image.variances[number], covariance)
        kept += float(np.log1p(gain**2 * variance / (noise + NOISE)).sum())
        told += float(np.log1p(variance / NOISE).sum())
    return kept / told if told > 0 else math.nan


def vif(reference: NDArray[Any], image: NDArray[Any]) -> float:
    """VIF; 1 of a picture with itself, above 1 where contrast was gained, not symmetric.

    Args:
        reference: H×W luminance or H×W×3 RGB in 0…255, sides of at least 41.
        image: what became of it, of the same shape.

    Returns:
        The ratio, or NaN of a constant reference.

    Raises:
        DataError: the shapes differ or a side is too short (E_SIZE); pixels are not finite (E_NOT_FINITE).
    """
    return vif_of(VifSide(reference), VifSide(image))


def _filtered(values: Floats, window: Floats) -> Floats:
    return windowed(np.ascontiguousarray(values)[..., None], window)[..., 0]


def _channel(variance: Floats, other: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
    """(gain, variance of the channel's own noise, variance of the reference) with the guards of the authors' program."""
    gain = covariance / (variance + EPSILON)
    noise = other - gain * covariance
    flat = variance < EPSILON
    gain, noise, variance = np.where(flat, 0, gain), np.where(flat, other, noise), np.where(flat, 0, variance)
    lost = other < EPSILON
    gain, noise = np.where(lost, 0, gain), np.where(lost, 0, noise)
    inverted = gain < 0
    gain, noise = np.where(inverted, 0, gain), np.where(inverted, other, noise)
    return gain, np.maximum(noise, EPSILON), variance
