"""Pixel metrics beyond the standard ones, by name: `score_maps(…, metrics=["pixel_iou_max"])`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flawsmith.core.errors import UnknownName
from flawsmith.metrics.ranking import best_f1
from flawsmith.metrics.records import MetricValue, ProtocolRecord
from flawsmith.metrics.steps import Steps
from flawsmith.metrics.testset import CheckedSet


@dataclass(frozen=True, eq=False)
class Measured:
    """What an extra metric may look at.

    Args:
        metric: its full id, `pixel_iou@0.5` for instance.
        data: the checked test set.
        pixels: the pixels' step function; None where there are anomalies and not one has a mask.
        connectivity, fpr_limit: as asked.
        record: the protocol record with its counts; a metric replaces what is its own (curve, details).
    """

    metric: str
    data: CheckedSet
    pixels: Steps | None
    connectivity: int
    fpr_limit: float
    record: ProtocolRecord


def _iou_max(measured: Measured) -> float:
    """The largest pooled IoU over all thresholds: F1max/(2 − F1max)."""
    assert measured.pixels is not None
    f1 = best_f1(measured.pixels)[0]
    return f1 / (2 - f1)


EXTRA: Mapping[str, Callable[[Measured], float]] = {"pixel_iou_max": _iou_max}
"""Id → how to compute it where it is defined; what follows `@` in an id is its parameter."""


def refuse_unknown(metric: str, standard: tuple[str, ...]) -> None:
    """Refuse an id that is neither standard nor extra.

    Raises:
        UnknownName: naming the nearest.
    """
    if metric not in standard and metric.partition("@")[0] not in EXTRA:
        raise UnknownName("metric", metric, (*standard, *EXTRA))


def measure_extra(measured: Measured) -> MetricValue:
    """One extra metric, or NaN with the reason."""
    reason = "no_masks" if measured.pixels is None else measured.pixels.reason
    if reason is not None:
        return MetricValue(float("nan"), reason, measured.record)
    return MetricValue(EXTRA[measured.metric.partition("@")[0]](measured), None, measured.record)
