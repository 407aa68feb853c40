"""How sure a share is that was counted on few images."""

from __future__ import annotations

import math

from scipy import special

from flawsmith.metrics.records import Interval

LEVEL = 0.95


def wilson(hits: int, total: int, level: float = LEVEL) -> Interval:
    """Score interval of the share hits/total (Wilson, "Probable Inference", JASA 1927); NaN for a total of 0.

    Args:
        hits: 0…total.
        total: number counted.
        level: 0 < level < 1.
    """
    if total == 0:
        return Interval(math.nan, math.nan, level, 0)
    z = float(special.ndtri((1 + level) / 2))
    share, shrink = hits / total, 1 + z**2 / total
    centre = (share + z**2 / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(0.0 if hits == 0 else low, 1.0 if hits == total else high, level, 0)
