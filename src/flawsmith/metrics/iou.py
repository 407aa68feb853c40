"""Intersection over union in its several readings; TP/(TP + FP + FN) of pixels.

* at one threshold, pooled over the test set;
* the best over all thresholds, pooled: F1max/(2 − F1max);
* the best of each anomalous image, averaged (SeaS: HUST-SLOW/LFD `models/_LFD.py`, `utils/utils.py`): it flatters methods whose
  scale varies between images, and can exceed the pooled best;
* averaged over thresholds 0.2…0.8 after min-max over the test set (ADer `util/metric.py`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.metrics.grids import background_of, hits_and_alarms, span_of, used_images
from flawsmith.metrics.ranking import best_f1
from flawsmith.metrics.steps import Floats, Steps, steps_of
from flawsmith.metrics.testset import CheckedSet

MIDDLE = np.arange(2, 9) / 10
"""Thresholds of ADer's mean IoU: 0.2, 0.3 … 0.8."""

GRID = np.arange(21) / 20
"""Thresholds of the F1 grids of ADer and AnomalyDiffusion: 0, 0.05 … 1."""


def iou_at(data: CheckedSet, threshold: float) -> float:
    """Pooled IoU of the pixels that reach a threshold; there is at least one defect pixel.

    The threshold is rounded to the maps' own type: a float32 map of 0.7 reaches 0.7.
    """
    with np.errstate(over="ignore"):  # beyond the type's range is infinite, and reached by nothing or by all
        level = data.dtype.type(threshold)
    hits = found = defect = 0
    for values, mask in used_images(data):
        marked = values >= level
        found += int(np.count_nonzero(marked))
        if mask is not None:
            hits += int(np.count_nonzero(marked & mask))
            defect += int(np.count_nonzero(mask))
    return hits / (found + defect - hits)


def best_iou(steps: Steps) -> float:
    """Largest pooled IoU over all thresholds: F1max/(2 − F1max)."""
    f1 = best_f1(steps)[0]
    return f1 / (2 - f1)


def oracle_iou(data: CheckedSet) -> float:
    """Mean over anomalous images of the best IoU over all thresholds of that image; normals are ignored.

    There is at least one anomalous image with a mask.
    """
    best = [_best_of_image(values, mask) for values, mask in used_images(data) if mask is not None]
    return math.fsum(best) / len(best)


def _best_of_image(values: NDArray[Any], mask: Mask) -> float:
    background = np.sort(background_of(values, mask))
    return best_iou(steps_of(values[mask], [background]))


def mean_iou_over_grid(data: CheckedSet, thresholds: Floats = MIDDLE) -> float:
    """Mean of the pooled IoU strictly above each threshold, scores scaled to 0…1 by the set's span; NaN for a constant set."""
    low, high = span_of(data)
    if low == high:
        return float("nan")
    hits, alarms = hits_and_alarms(data, thresholds, low, high)
    return float(np.mean(hits / (_defect_pixels(data) + alarms)))


def best_f1_over_grid(data: CheckedSet, thresholds: Floats = GRID) -> float:
    """Largest F1 strictly above a threshold of the grid, scaled as in `mean_iou_over_grid`: a lower bound of F1-max."""
    low, high = span_of(data)
    if low == high:
        return float("nan")
    hits, alarms = hits_and_alarms(data, thresholds, low, high)
    return float(np.max(2 * hits / (hits + alarms + _defect_pixels(data))))


def _defect_pixels(data: CheckedSet) -> int:
    return sum(int(np.count_nonzero(mask)) for _, mask in used_images(data) if mask is not None)
