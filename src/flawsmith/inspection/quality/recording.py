"""Values of quality with their records, means of them, and their JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flawsmith.core.samples import GOOD
from flawsmith.inspection.quality.sides import Group, Picture
from flawsmith.metrics.aggregation import macro_mean
from flawsmith.metrics.records import MetricValue, ProtocolRecord, Reason

Counts = Mapping[str, Any]
"""What else was counted behind a value: pairs, clusters, pictures left out."""

Measured = tuple[dict[str, MetricValue], dict[str, Counts]]
"""Values and counts by id, with the suffix of the network behind it."""

MAY_DIFFER = ("images", "real", "references", "subset", "flag", "generated_format", "real_format", "categories", "mixed", "mean")
"""What kinds and products may differ in and still be averaged; the record of the mean names it."""


class Network(Protocol):
    """Whoever looked at the pictures."""

    label: str
    suffix: str


def record_of(
    metric: str,
    group: Group,
    details: Mapping[str, str],
    net: Network | None = None,
    *,
    as_released: bool = False,
    excluded: int = 0,
    alone: bool = False,
) -> ProtocolRecord:
    """The record of one value.

    Args:
        metric: its id.
        group: what was measured; its numbers of generated and of real pictures become `images` and `normals` or `anomalies`.
        details: what decides the number, by name.
        net: the network behind it, whose suffix the id takes; None: there is none.
        as_released: as some released code counts.
        excluded: pictures left out because they have no mask.
        alone: the real pictures have no part in it.
    """
    real = 0 if alone else len(group.real)
    normals = group.defect == GOOD
    return ProtocolRecord(
        metric=f"{metric}@{net.suffix}" if net is not None and net.suffix else metric,
        feature_extractor=None if net is None else net.label,
        protocol="as_released" if as_released else "honest",
        details=dict(details),
        images=len(group.generated),
        normals=real if normals else 0,
        anomalies=0 if normals else real,
        excluded=excluded,
    )


def value_of(
    number: float, record: ProtocolRecord, std: float | None = None, reason: Reason = "too_few_samples"
) -> dict[str, MetricValue]:
    """One value by its id; NaN takes the reason."""
    undefined = math.isnan(number)
    return {record.metric: MetricValue(number, reason if undefined else None, record, std=None if undefined else std)}


def formats_of(pictures: Sequence[Picture]) -> str:
    """Formats of the files, `PNG` or `JPEG+PNG`."""
    return "+".join(sorted({picture.format() for picture in pictures})) or "none"


def means_of(values: Mapping[str, Mapping[str, MetricValue]]) -> dict[str, MetricValue]:
    """The mean over the parts, for each id that they have; infinite where every part is.

    Args:
        values: part → id → value.
    """
    ids = dict.fromkeys(name for metrics in values.values() for name in metrics)
    return {name: _mean({part: metrics[name] for part, metrics in values.items() if name in metrics}) for name in ids}


def _mean(values: Mapping[str, MetricValue]) -> MetricValue:
    mean = macro_mean(values, allow=MAY_DIFFER)
    endless = all(math.isinf(value.value) for value in values.values())
    return MetricValue(math.inf, None, mean.record) if endless else mean


def metrics_to_json(metrics: Mapping[str, MetricValue]) -> dict[str, Any]:
    """As JSON values; infinity, which JSON has not, is the text `inf`."""
    told = {name: value.to_json() for name, value in metrics.items()}
    return {name: {**value, "value": "inf"} if value["value"] == math.inf else value for name, value in told.items()}
