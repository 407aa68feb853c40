"""From what an inspector saw to metrics: one protocol, every number with its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.inspection.looking import ImageResult, Look
from flawsmith.inspection.protocols import MVTEC, OWN, Geometry
from flawsmith.metrics import METRIC_IDS, MetricValue, per_defect, score_maps
from flawsmith.metrics.records import SPLIT
from flawsmith.metrics.steps import Floats

AUPRO = "pixel_aupro"
DIGEST_SHOWN = 12
"""Digits of a split's digest that a record holds."""


@dataclass(frozen=True, eq=False)
class Measures:
    """What was measured.

    Args:
        metrics: by id.
        per_defect: by defect and id.
        curves: points of the curves, by name.
        warnings: where labels and masks disagree, and what else a reader must know.
    """

    metrics: Mapping[str, MetricValue]
    per_defect: Mapping[str, Mapping[str, MetricValue]]
    curves: Mapping[str, tuple[Floats, Floats]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Stamp:
    """What every record says of the evaluation.

    Args:
        protocol: `honest` or `as_released`.
        digest: of the split.
        mask_rule: of the data set.
        geometry: of the evaluation.
    """

    protocol: str
    digest: str
    mask_rule: str
    geometry: Geometry

    def on(self, values: Mapping[str, MetricValue]) -> dict[str, MetricValue]:
        """The values, stamped."""
        return {name: self._stamped(value) for name, value in values.items()}

    def _stamped(self, value: MetricValue) -> MetricValue:
        record = value.record
        told = {SPLIT: self.digest[:DIGEST_SHOWN]} if self.digest else {}
        score = OWN if record.image_score == "given" else record.image_score
        details = {**record.details, **told, **self.geometry.told()}
        return replace(value, record=replace(record, protocol=self.protocol, details=details, image_score=score))


def measure(seen: Look, stamp: Stamp, metrics: Sequence[str] = METRIC_IDS) -> Measures:
    """Measure what was seen.

    Args:
        seen: predictions, maps and masks.
        stamp: protocol and geometry.
        metrics: ids of further pixel metrics; the standard ones always come along.

    Raises:
        As `flawsmith.metrics.score_maps`.
    """
    geometry, results = stamp.geometry, seen.results
    labels, warnings = labels_of(results, seen.masks, geometry)
    masks = _of_anomalies(seen.masks, labels)
    given: dict[str, Any] = {
        "scores": np.array([result.prediction.score for result in results]) if geometry.image_score == OWN else None,
        "image_score": "max" if geometry.image_score == OWN else geometry.image_score,
        "names": [result.sample.source.location for result in results],
        "resolution": geometry.resolution,
        "mask_rule": geometry.rule_of(stamp.mask_rule),
    }
    maps = [result.prediction.map for result in results]
    pro: dict[str, Any] = {} if geometry.pro == MVTEC else {"pro": geometry.pro}
    scores = score_maps(maps, masks, labels=labels, metrics=metrics, **given, **pro)
    values = dict(scores)
    if geometry.pro_mask_rule:
        values[AUPRO] = _aupro(maps, _of_anomalies(seen.pro_masks, labels), labels, stamp, {**given, **pro})
    defects = [result.sample.defect for result in results]
    rows = per_defect(maps, _of_anomalies(seen.masks, [not r.sample.is_normal for r in results]), defects, **given)
    if pro:
        rows = {defect: {name: value for name, value in row.items() if name != AUPRO} for defect, row in rows.items()}
    return Measures(
        metrics=stamp.on(values),
        per_defect={defect: stamp.on(row) for defect, row in rows.items()},
        curves=scores.curves,
        warnings=warnings,
    )


def labels_of(
    results: Sequence[ImageResult], masks: Sequence[Mask | None], geometry: Geometry
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Which images count as anomalous, and a word where the mask says otherwise than the folder."""
    known = np.array([not result.sample.is_normal for result in results])
    empty = [i for i, mask in enumerate(masks) if known[i] and mask is not None and not mask.any()]
    if not empty:
        return known, ()
    first = results[empty[0]].sample.source.location
    some = f"{len(empty)} defective image{'s have' if len(empty) > 1 else ' has'} an empty mask here ({first})"
    if geometry.labels == "mask":
        known[empty] = False
        return known, (f"{some}; by this protocol, which takes the label from the mask, they count as good",)
    return known, (f"{some}; they count for image metrics and are left out of pixel metrics",)


def _of_anomalies(masks: Sequence[Mask | None], labels: Sequence[bool] | NDArray[np.bool_]) -> list[Mask | None]:
    return [mask if label else None for mask, label in zip(masks, labels, strict=True)]


def _aupro(
    maps: Sequence[NDArray[np.float32]],
    masks: Sequence[Mask | None],
    labels: NDArray[np.bool_],
    stamp: Stamp,
    given: Mapping[str, Any],
) -> MetricValue:
    """AUPRO against masks of another rule than the other metrics have, as some released code does."""
    rule = stamp.geometry.pro_rule_of(stamp.mask_rule)
    told = {**given, "mask_rule": rule}
    return score_maps(maps, masks, labels=labels, resamples=0, **told)[AUPRO]
