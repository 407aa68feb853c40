"""Intervals by resampling images, never pixels: pixels of one photograph are not independent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.seeding import Seed
from flawsmith.metrics.ranking import steps_by_label
from flawsmith.metrics.records import Interval
from flawsmith.metrics.steps import Steps

LEVEL = 0.95


def bootstrap(
    scores: NDArray[np.float64],
    labels: NDArray[np.int8],
    metrics: Mapping[str, Callable[[Steps], float]],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Percentile intervals of image-level metrics.

    Args:
        scores: one per image.
        labels: 1 for an anomaly.
        metrics: what to compute of each resample, by name; all see the same resamples.
        resamples: number of draws with replacement; those that miss a class are left out.
        seed: root of the draws.

    Returns:
        By name; empty where no resample had both classes.
    """
    rng = Seed(seed).numpy("bootstrap")
    drawn: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(resamples):
        chosen = rng.integers(len(scores), size=len(scores))
        steps = steps_by_label(scores[chosen], labels[chosen])
        if steps.reason is None:
            for name, compute in metrics.items():
                drawn[name].append(compute(steps))
    return {name: interval_of(values) for name, values in drawn.items() if values}


def interval_of(values: Sequence[float]) -> Interval:
    """The percentile interval of what was drawn, at least one value."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high), LEVEL, len(values))
