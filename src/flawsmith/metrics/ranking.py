"""AUROC, average precision and F1-max: exact, with ties as one step.

Without positives or without negatives all three are undefined: whatever they gave would say nothing about the scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flawsmith.metrics.records import MetricValue, ProtocolRecord
from flawsmith.metrics.steps import Counts, Floats, Steps, split_by_label, steps_of

CURVES = {"auroc": "mann-whitney", "ap": "step", "f1max": "every score", "aupro": "mvtec"}
"""The rule behind each metric, for its record."""

EVERY = slice(None)


def roc_area(steps: Steps) -> float:
    """Σ (FP_k − FP_{k−1})(TP_k + TP_{k−1}) / 2PN: the chance that a positive outranks a negative, ties count one half."""
    pairs = 2 * steps.positives * steps.negatives
    # Whole numbers as long as they fit: then the quotient is the exact one, rounded once.
    kind: type[Any] = np.int64 if pairs < 2**62 else np.float64
    won = (_won(steps, block, kind) for block in steps.blocks())
    return (sum(map(int, won)) if kind is np.int64 else math.fsum(map(float, won))) / pairs


def step_precision(steps: Steps) -> float:
    """Σ (TP_k − TP_{k−1})/P · TP_k/(TP_k + FP_k), one term per distinct score; no trapezoids."""
    sums = (float(np.sum(steps.gained(block) * precision(steps, block))) for block in steps.blocks())
    return math.fsum(sums) / steps.positives


def best_f1(steps: Steps) -> tuple[float, float]:
    """Largest 2TP/(TP + FP + P) over all thresholds, and the highest threshold that gives it."""
    best = (0.0, math.nan)
    for block in steps.blocks():
        f1 = 2 * steps.hits[block] / (steps.hits[block] + steps.reached[block] + steps.positives)
        here = int(np.argmax(f1))
        if f1[here] > best[0]:
            best = (float(f1[here]), float(steps.thresholds[block][here]))
    return best


def precision(steps: Steps, chosen: slice | Counts = EVERY) -> Floats:
    """Precision at the chosen thresholds."""
    return steps.hits[chosen] / (steps.hits[chosen] + steps.reached[chosen])


def recall(steps: Steps, chosen: slice | Counts = EVERY) -> Floats:
    """Recall at the chosen thresholds."""
    return steps.hits[chosen] / steps.positives


def _won(steps: Steps, block: slice, kind: type[Any]) -> Any:
    """Twice the pairs that positives at the thresholds of a block win."""
    below = (2 * steps.negatives - steps.above[block] - steps.reached[block]).astype(kind)
    return np.sum(steps.gained(block) * below)


def auroc(scores: ArrayLike, labels: ArrayLike) -> MetricValue:
    """Area under the ROC curve.

    Args:
        scores: one finite number per sample, higher is more anomalous.
        labels: 1 for a positive, 0 for a negative.

    Raises:
        BadParameter: lengths differ, a score is not finite, a label is neither 0 nor 1.
        DataError: scores that float64 rounds, such as whole ones beyond 2^53, or masked elements (E_MODE).
    """
    return _measure("auroc", scores, labels, roc_area)


def average_precision(scores: ArrayLike, labels: ArrayLike) -> MetricValue:
    """Average precision by the step rule. Arguments and errors as in `auroc`."""
    return _measure("ap", scores, labels, step_precision)


def f1_max(scores: ArrayLike, labels: ArrayLike) -> tuple[MetricValue, float]:
    """Largest F1 and its threshold (NaN where F1 is undefined). Arguments and errors as in `auroc`."""
    steps = steps_by_label(scores, labels)
    threshold = best_f1(steps)[1] if steps.reason is None else math.nan
    return value_of(steps, lambda s: best_f1(s)[0], record_of("f1max", steps)), threshold


def steps_by_label(scores: ArrayLike, labels: ArrayLike) -> Steps:
    """The step function of labelled scores. Arguments and errors as in `auroc`."""
    positives, negatives = split_by_label(scores, labels)
    return steps_of(positives, [negatives])


def value_of(steps: Steps, compute: Callable[[Steps], float], record: ProtocolRecord) -> MetricValue:
    """`compute(steps)` with its record, or NaN with the reason."""
    if steps.reason is not None:
        return MetricValue(math.nan, steps.reason, record)
    return MetricValue(compute(steps), None, record)


def record_of(metric: str, steps: Steps, **fields: Any) -> ProtocolRecord:
    """Record of a metric over plain samples; each counts as an image."""
    counts = {"images": steps.positives + steps.negatives, "normals": steps.negatives, "anomalies": steps.positives}
    return ProtocolRecord(metric=metric, curve=CURVES[metric], image_score="given", **(counts | fields))


def _measure(metric: str, scores: ArrayLike, labels: ArrayLike, compute: Callable[[Steps], float]) -> MetricValue:
    steps = steps_by_label(scores, labels)
    return value_of(steps, compute, record_of(metric, steps))
