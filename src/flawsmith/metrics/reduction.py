"""How a map becomes the score of its image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import UnknownName

TOP = 100
"""Pixels averaged by `top100`."""


def _top100(values: NDArray[Any]) -> float:
    flat = np.sort(values, axis=None)
    return float(flat[-TOP:].mean(dtype=np.float64))


REDUCTIONS: dict[str, Callable[[NDArray[Any]], float]] = {"max": lambda values: float(values.max()), "top100": _top100}
"""`max`: the highest pixel. `top100`: mean of the 100 highest, or of all where there are fewer."""


def image_score_of(values: NDArray[Any], how: str) -> float:
    """Reduce a map to one score.

    Raises:
        UnknownName: no such reduction.
    """
    if how not in REDUCTIONS:
        raise UnknownName("image score", how, REDUCTIONS)
    return REDUCTIONS[how](values)
