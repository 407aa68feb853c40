"""Pixels of a checked test set, counted in one pass over its images, whatever their number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.metrics.steps import BLOCK, Counts, Floats, Scores1D, Steps, steps_of
from flawsmith.metrics.testset import CheckedSet

CHUNK = 1 << 22
"""Background pixels that are sorted at a time."""


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


def exact_steps(data: CheckedSet) -> Steps:
    """The step function of all pixels; defect pixels weigh 1."""
    found = [np.empty(0, data.dtype), *(values[mask] for values, mask in used_images(data) if mask is not None)]
    positives = np.concatenate(found)
    return weighted_steps(data, positives, np.ones(len(positives)))


def weighted_steps(data: CheckedSet, positives: Scores1D, weights: Floats) -> Steps:
    """The step function of weighted positives against the background, which is counted in chunks and never held as a whole.

    Args:
        positives: scores of defect pixels, any order; a pixel may come more than once.
        weights: weight of each, the mass of the steps.
    """
    steps = steps_of(positives, [], weights)
    above, reached, negatives = steps.above.copy(), steps.reached.copy(), 0
    for chunk in _sorted_chunks(data, positives.dtype):
        negatives += len(chunk)
        for start in range(0, len(above), BLOCK):
            block = slice(start, start + BLOCK)
            above[block] += len(chunk) - np.searchsorted(chunk, steps.thresholds[block], "right")
            reached[block] += len(chunk) - np.searchsorted(chunk, steps.thresholds[block], "left")
    return replace(steps, above=above, reached=reached, negatives=negatives)


def _sorted_chunks(data: CheckedSet, dtype: Any) -> Iterator[Scores1D]:
    waiting: list[NDArray[Any]] = []
    for values, mask in used_images(data):
        waiting.append(background_of(values, mask).astype(dtype, copy=False))
        if sum(map(len, waiting)) >= CHUNK:
            yield np.sort(np.concatenate(waiting))
            waiting = []
    if waiting:
        yield np.sort(np.concatenate(waiting))
