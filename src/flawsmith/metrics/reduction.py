"""How a map becomes the score of its image.

`max`: VLAD, LFD, ADer. `top100`: DeSTSeg and MemSeg at 256², UniADC at 512². `topk_fraction`: the same share of the pixels at any
resolution. `smooth21_max`: DRAEM and AnomalyDiffusion, whose 21×21 mean counts the zeros beyond the border, so that the border is
damped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, UnknownName

TOP = 100
"""Pixels averaged by `top100`."""

FRACTION = TOP / 256**2
"""Share of the pixels averaged by `topk_fraction` unless told otherwise: 100 at 256²."""

WINDOW = 21
"""Side of the mean filter of `smooth21_max`."""


def mean_of_highest(values: NDArray[Any], count: int) -> float:
    """Mean of the `count` highest pixels, or of all where there are fewer."""
    flat = np.ravel(values)
    count = min(count, len(flat))
    # Sorted before they are added up, so that the sum does not depend on where the pixels lie.
    return float(np.sort(np.partition(flat, len(flat) - count)[len(flat) - count :]).mean(dtype=np.float64))


def mean_of_fraction(values: NDArray[Any], fraction: float = FRACTION) -> float:
    """Mean of the highest `fraction` of the pixels, rounded to a number of pixels, at least one.

    Raises:
        BadParameter: the fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise BadParameter(f"the fraction of topk_fraction is {fraction}; expected above 0 and at most 1, such as {FRACTION:.6f}")
    return mean_of_highest(values, max(1, round(values.size * fraction)))


def smoothed_maximum(values: NDArray[Any], window: int = WINDOW) -> float:
    """Maximum of the mean-filtered map, stride 1; pixels beyond the border are zeros and count."""
    from scipy.ndimage import uniform_filter

    return float(uniform_filter(values.astype(np.float64), window, mode="constant", cval=0.0).max())


REDUCTIONS: dict[str, Callable[[NDArray[Any]], float]] = {
    "max": lambda values: float(values.max()),
    "top100": lambda values: mean_of_highest(values, TOP),
    "topk_fraction": mean_of_fraction,
    "smooth21_max": smoothed_maximum,
}
"""`max`: the highest pixel. `top100`: mean of the 100 highest, or of all where there are fewer. `topk_fraction`: mean of
the highest 100/256² of the pixels; `topk_fraction@0.01`: of the highest hundredth. `smooth21_max`: maximum after a 21×21
mean filter."""


def image_score_of(values: NDArray[Any], how: str) -> float:
    """Reduce a map to one score.

    Args:
        values: H×W, finite.
        how: a name of `REDUCTIONS`; `topk_fraction` may carry its fraction after `@`.

    Raises:
        UnknownName: no such reduction.
        BadParameter: its parameter is no number in range, or it takes none.
    """
    name, at, text = how.partition("@")
    if name not in REDUCTIONS:
        raise UnknownName("image score", how, REDUCTIONS)
    if not at:
        return REDUCTIONS[name](values)
    if name != "topk_fraction":
        raise BadParameter(f"image score {how!r} has a parameter; expected {name!r}: only topk_fraction takes one")
    return mean_of_fraction(values, _number(text, how))


def _number(text: str, how: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadParameter(f"image score {how!r} ends in {text!r}; expected a fraction, such as topk_fraction@0.01") from None
