"""Square patches as foreign patch interpolation draws them: any place in the core of the image, cut at its borders.

FPI (Tan et al., MELBA 2022) and PII (Tan et al., MICCAI 2021). Original code: jemtan/FPI, self_sup_task.py. Fractions are of the
smaller side, so that patches stay square on pictures that are not.
"""

from __future__ import annotations

import numpy as np

from flawsmith.core.errors import BadParameter
from flawsmith.masks.boxes import Box

HALF_WIDTHS = (0.05, 0.2)
CORE = 0.8


def square_patch(
    shape: tuple[int, ...], rng: np.random.Generator, half_widths: tuple[float, float] = HALF_WIDTHS, core: float = CORE
) -> Box:
    """A square of side 2s, cut at the borders, with s uniform over the whole numbers of [round(low·D), round(high·D)).

    Args:
        shape: (H, W) of the image, and whatever follows.
        rng: the only source of draws.
        half_widths: low and high, fractions of D = min(H, W).
        core: the centre is uniform over this middle share of each axis.

    Raises:
        BadParameter: the half-width rounds to 0.
    """
    s = half_width(min(shape[:2]), half_widths, rng)
    spans = []
    for side in shape[:2]:
        margin = (1 - core) / 2 * side
        centre = int(rng.integers(int(margin), max(int(margin) + 1, int(margin + core * side))))
        spans.append((max(0, centre - s), min(side, centre + s)))
    (top, bottom), (left, right) = spans
    return left, top, right - left, bottom - top


def half_width(side: int, fractions: tuple[float, float], rng: np.random.Generator) -> int:
    """Half of a patch's side: uniform over the whole numbers of [round(low·side), round(high·side)), at least the first.

    Raises:
        BadParameter: the lower end rounds to 0.
    """
    low, high = (round(fraction * side) for fraction in fractions)
    if low < 1:
        raise BadParameter(
            f"a half-width of {fractions[0]} of {side} pixels rounds to 0; expected 1 pixel or more: raise it or use larger images"
        )
    return int(rng.integers(low, max(low + 1, high)))
