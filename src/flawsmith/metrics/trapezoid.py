"""Area under the precision-recall curve by trapezoids, which other code calls AUPR.

anomalib `AUPR` and spot-diff `metrics.py` join the points of the curve by straight lines. No threshold reaches the points between
them, and the area differs from average precision by several points on small sets (Davis and Goadrich, ICML 2006).
"""

from __future__ import annotations

import math

import numpy as np

from flawsmith.metrics.steps import Steps


def trapezoid_precision(steps: Steps) -> float:
    """Area under the line through (recall, precision) of every distinct score, from recall 0.

    The line starts at precision 1, or at 0 where a negative outranks all positives.
    """
    pieces = []
    for block in steps.blocks():
        hits, reached, above = steps.hits[block], steps.reached[block], steps.above[block]
        gained = steps.gained(block)
        before = hits - gained
        # Negatives between two positives lower the precision at the recall reached: the line drops, then rises to the next point.
        left = np.divide(before, before + above, out=np.ones(len(hits)), where=before + above > 0)
        pieces.append(float(np.sum(gained * (left + hits / (hits + reached)))))
    return math.fsum(pieces) / (2 * steps.positives)
