"""Between which ends a ranking metric lies when the order of the pixels within some bins is unknown.

In a mixed bin the best that can happen is that all its positives share a score above its negatives, the worst that all its
negatives come first. AUROC, AUPRO and F1-max follow from these two step functions. Average precision is largest in the first too,
and smallest where the positives come last one by one: a tie would lift them to the precision of the last.

Sums are rounded in the last digits, so ends of what is uncertain are moved outwards by `ROUNDING`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.ranking import precision, step_precision
from flawsmith.metrics.steps import Counts, Floats, Steps

ROUNDING = 1e-12

Bounds = tuple[float, float]


def bounds_of(steps: Steps, mixed: NDArray[np.bool_], compute: Callable[[Steps], float]) -> Bounds:
    """Certified ends of a metric.

    Args:
        steps: with each bin as one score.
        mixed: which of the steps are mixed bins.
        compute: a metric that grows when a positive overtakes a negative.
    """
    if not mixed.any():
        value = compute(steps)
        return value, value
    worst = least_precision(steps, mixed) if compute is step_precision else compute(unluckiest(steps, mixed))
    return max(0.0, worst - ROUNDING), min(1.0, compute(luckiest(steps, mixed)) + ROUNDING)


def luckiest(steps: Steps, mixed: NDArray[np.bool_]) -> Steps:
    """In every mixed bin the positives share a score above the negatives."""
    return replace(steps, reached=np.where(mixed, steps.above, steps.reached))


def unluckiest(steps: Steps, mixed: NDArray[np.bool_]) -> Steps:
    """In every mixed bin the negatives come first."""
    return replace(steps, above=np.where(mixed, steps.reached, steps.above))


def least_precision(steps: Steps, mixed: NDArray[np.bool_]) -> float:
    """Lower end of average precision."""
    return math.fsum(float(np.sum(_least_gain(steps, mixed, block))) for block in steps.blocks()) / steps.positives


def _least_gain(steps: Steps, mixed: NDArray[np.bool_], block: slice) -> Floats:
    """What each step adds to average precision at least, times the number of positives."""
    gained = steps.gained(block)
    before, reached = steps.hits[block] - gained, steps.reached[block]
    least: Floats = np.where(mixed[block], one_by_one(before, reached, gained), gained * precision(steps, block))
    return least


def one_by_one(hits: Counts, alarms: Counts, gained: Counts) -> Floats:
    """At most Σ_{j=1…gained} (hits + j)/(hits + alarms + j), and nearly as much.

    The terms are concave in j, so their mean is at least that of the first and the last. Written as gained − alarms·Σ 1/(hits +
    alarms + j), with 1/x convex, the sum is at least what the logarithm gives. Rounding takes gained·4e-16 at most, however
    large the counts are; a difference of digamma functions (the exact closed form) loses digits with them.
    """
    total = hits + alarms
    ends = gained * ((hits + 1) / (total + 1) + (hits + gained) / (total + gained)) / 2
    least: Floats = np.maximum(ends, gained - alarms * np.log1p(gained / (total + 0.5)))
    return least
