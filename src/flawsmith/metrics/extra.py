"""Metrics beyond the standard ones, by name: `score_maps(…, metrics=["pixel_iou_max", "pixel_iou@0.5"])`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.metrics.counting import Counted
from flawsmith.metrics.grids import exact_steps
from flawsmith.metrics.iou import best_f1_over_grid, best_iou, iou_at, mean_iou_over_grid, oracle_iou
from flawsmith.metrics.ranking import steps_by_label
from flawsmith.metrics.records import MetricValue, ProtocolRecord, Reason
from flawsmith.metrics.testset import CheckedSet
from flawsmith.metrics.trapezoid import trapezoid_precision

MIN_MAX = {"scale": "min-max over the test set", "positive": "strictly above the threshold"}


@dataclass(frozen=True, eq=False)
class Measured:
    """What an extra metric may look at.

    Args:
        metric: its full id, `pixel_iou@0.5` for instance.
        data: the checked test set.
        pixels: the pixels as counted; None where there are anomalies and not one has a mask.
        connectivity, fpr_limit: as asked.
        record: the protocol record with its counts; a metric replaces what is its own (curve, details).
    """

    metric: str
    data: CheckedSet
    pixels: Counted | None
    connectivity: int
    fpr_limit: float
    record: ProtocolRecord

    @property
    def parameter(self) -> str:
        """What follows `@` in the id."""
        return self.metric.partition("@")[2]

    @property
    def counted(self) -> Counted:
        """The pixels where the metric is defined."""
        assert self.pixels is not None
        return self.pixels


def _iou_at(measured: Measured) -> MetricValue:
    value = iou_at(measured.data, float(measured.parameter))
    return MetricValue(value, None, replace(measured.record, curve="one threshold", engine=None))


def _iou_max(measured: Measured) -> MetricValue:
    record = replace(measured.record, curve="every score")
    return MetricValue(best_iou(measured.counted.steps), None, record, bounds=measured.counted.bounds(best_iou))


def _iou_oracle(measured: Measured) -> MetricValue:
    data = measured.data
    used = [i for i in range(len(data.labels)) if data.usable[i] and data.labels[i]]
    record = replace(
        measured.record,
        curve="every score of each image",
        images=len(used),
        normals=0,
        anomalies=len(used),
        pixels=sum(data.pixels(i) for i in used),
        engine=None,
    )
    return MetricValue(oracle_iou(data), None, record)


def _mean_iou(measured: Measured) -> MetricValue:
    return _scaled(measured, mean_iou_over_grid(measured.data), "0.2…0.8 step 0.1")


def _f1_grid(measured: Measured) -> MetricValue:
    return _scaled(measured, best_f1_over_grid(measured.data), "0…1 step 0.05")


def _scaled(measured: Measured, value: float, curve: str) -> MetricValue:
    record = replace(measured.record, curve=curve, engine=None, details={**measured.record.details, **MIN_MAX})
    return MetricValue(value, "constant" if math.isnan(value) else None, record)


def _pixel_trapezoid(measured: Measured) -> MetricValue:
    """Ties flatter it, so where bins tie several scores the maps are read again: 12 bytes per defect pixel and a chunk."""
    steps, mixed = measured.counted.steps, measured.counted.mixed
    record = replace(measured.record, curve="trapezoid")
    if mixed is not None and mixed.any():
        steps, record = exact_steps(measured.data), replace(record, engine=None)
    return MetricValue(trapezoid_precision(steps), None, record)


def _image_trapezoid(measured: Measured) -> MetricValue:
    data = measured.data
    steps = steps_by_label(data.scores, data.labels)
    record = replace(
        measured.record,
        curve="trapezoid",
        mask_rule=None,
        image_score=data.image_score,
        images=len(data.labels),
        normals=steps.negatives,
        anomalies=steps.positives,
        pixels=0,
        positive_pixels=0,
        regions=0,
        excluded=0,
        engine=None,
    )
    if steps.reason is not None:
        return MetricValue(math.nan, steps.reason, record)
    return MetricValue(trapezoid_precision(steps), None, record)


EXTRA: Mapping[str, Callable[[Measured], MetricValue]] = {
    "pixel_iou": _iou_at,
    "pixel_iou_max": _iou_max,
    "pixel_iou_oracle": _iou_oracle,
    "pixel_miou_.2_.8": _mean_iou,
    "pixel_f1max_grid": _f1_grid,
    "pixel_aupr_trapezoid": _pixel_trapezoid,
    "image_aupr_trapezoid": _image_trapezoid,
}
"""Id → how to compute it; what follows `@` in an id is its parameter. Those of pixels are called where they are defined.

All but `pixel_iou_max` read the maps themselves where the counted pixels do not settle them, so every engine gives the same."""

ANY_BACKGROUND = frozenset({"pixel_iou"})
"""Metrics of pixels that say something without a single background pixel."""


def refuse_unknown(metric: str, standard: tuple[str, ...]) -> None:
    """Refuse an id that is neither standard nor extra.

    Raises:
        UnknownName: naming the nearest.
        BadParameter: `pixel_iou` without a threshold, or a parameter where none belongs.
    """
    name, at, parameter = metric.partition("@")
    if metric in standard:
        return
    if name not in EXTRA and name not in standard:
        raise UnknownName("metric", metric, (*standard, *EXTRA))
    if name != "pixel_iou" and at:
        raise BadParameter(f"metric {metric!r} has a parameter; expected {name!r}")
    if name == "pixel_iou" and not _is_number(parameter):
        raise BadParameter(f"metric {metric!r} has no threshold; expected a finite number after @, such as pixel_iou@0.5")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def measure_extra(measured: Measured) -> MetricValue:
    """One extra metric, or NaN with the reason."""
    name = measured.metric.partition("@")[0]
    reason = None if name.startswith("image") else _undefined(measured, name)
    return EXTRA[name](measured) if reason is None else MetricValue(math.nan, reason, measured.record)


def _undefined(measured: Measured, name: str) -> Reason | None:
    reason: Reason | None = "no_masks" if measured.pixels is None else measured.pixels.steps.reason
    return None if reason == "no_negative" and name in ANY_BACKGROUND else reason
