"""Counts above a few fixed thresholds: one pass over the images, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.metrics.steps import Counts, Floats
from flawsmith.metrics.testset import CheckedSet


def used_images(data: CheckedSet) -> Iterator[tuple[NDArray[Any], Mask | None]]:
    """Map and mask of each image whose pixels count; no mask: no defect."""
    for i in np.flatnonzero(data.usable).tolist():
        yield data.map(i), data.mask(i)


def background_of(values: NDArray[Any], mask: Mask | None) -> NDArray[Any]:
    """Scores outside the mask, flat."""
    return values.ravel() if mask is None else values[~mask]


def span_of(data: CheckedSet) -> tuple[float, float]:
    """Smallest and largest score of the images whose pixels count; there is at least one."""
    ends = [(float(values.min()), float(values.max())) for values, _ in used_images(data)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def counts_above(values: NDArray[Any], thresholds: Floats) -> Counts:
    """How many values lie strictly above each threshold.

    Args:
        values: any order.
        thresholds: ascending.
    """
    passed = np.searchsorted(thresholds, values.astype(np.float64, copy=False), "left")  # thresholds below each value
    reached = np.bincount(passed, minlength=len(thresholds) + 1)
    return (len(values) - np.cumsum(reached)[:-1]).astype(np.int64)


def hits_and_alarms(data: CheckedSet, thresholds: Floats, low: float, high: float) -> tuple[Counts, Counts]:
    """Defect pixels and background pixels above each threshold, after scaling [`low`, `high`] to [0, 1]."""
    hits, alarms = np.zeros(len(thresholds), np.int64), np.zeros(len(thresholds), np.int64)
    for values, mask in used_images(data):
        scaled = (values.astype(np.float64) - low) / (high - low)
        alarms += counts_above(background_of(scaled, mask), thresholds)
        if mask is not None:
            hits += counts_above(scaled[mask], thresholds)
    return hits, alarms
