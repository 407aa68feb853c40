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
from flawsmith.metrics import METRIC_IDS, MetricValue, Scores, per_defect, score_maps
from flawsmith.metrics.records import SPLIT
from flawsmith.metrics.steps import Floats

Labels = NDArray[np.bool_]

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
    scored = _Scored(seen, stamp, metrics)
    scores = scored.of(labels, seen.masks)
    values, curves = dict(scores), dict(scores.curves)
    of_pixels = _without_blank(labels, results, seen.masks, geometry)
    if (of_pixels != labels).any():
        pixels = scored.of(of_pixels, seen.masks)
        values |= {name: value for name, value in pixels.items() if name.startswith("pixel")}
        curves |= {name: curve for name, curve in pixels.curves.items() if name.startswith("pixel")}
    if geometry.pro_mask_rule:
        of_regions = _without_blank(labels, results, seen.pro_masks, geometry)
        values[AUPRO] = scored.of(of_regions, seen.pro_masks, geometry.pro_rule_of(stamp.mask_rule))[AUPRO]
    rows = {defect: stamp.on(row) for defect, row in scored.by_defect().items()}
    return Measures(stamp.on(values), rows, curves, warnings)


class _Scored:
    """The metrics of what was seen, for labels and masks that protocols choose."""

    def __init__(self, seen: Look, stamp: Stamp, metrics: Sequence[str]) -> None:
        self.seen, self.stamp, self.metrics = seen, stamp, metrics
        self.maps = [result.prediction.map for result in seen.results]

    def of(self, labels: Labels, masks: Sequence[Mask | None], mask_rule: str | None = None) -> Scores:
        """`score_maps` under the geometry."""
        pro = self.stamp.geometry.pro
        truth = _of_anomalies(masks, labels)
        return score_maps(self.maps, truth, labels=labels, metrics=self.metrics, pro=pro, **self._given(mask_rule))

    def by_defect(self) -> dict[str, dict[str, MetricValue]]:
        """`per_defect` under the geometry; it knows one AUPRO, so that there is none where the geometry wants another."""
        results, pro = self.seen.results, self.stamp.geometry.pro
        truth = _of_anomalies(self.seen.masks, [not result.sample.is_normal for result in results])
        rows = per_defect(self.maps, truth, [result.sample.defect for result in results], **self._given())
        if pro == MVTEC:
            return rows
        return {defect: {name: value for name, value in row.items() if name != AUPRO} for defect, row in rows.items()}

    def _given(self, mask_rule: str | None = None) -> dict[str, Any]:
        geometry, results = self.stamp.geometry, self.seen.results
        own = geometry.image_score == OWN
        return {
            "scores": np.array([result.prediction.score for result in results]) if own else None,
            "image_score": "max" if own else geometry.image_score,
            "names": [result.sample.source.location for result in results],
            "resolution": geometry.resolution,
            "mask_rule": mask_rule or geometry.rule_of(self.stamp.mask_rule),
        }


def labels_of(results: Sequence[ImageResult], masks: Sequence[Mask | None], geometry: Geometry) -> tuple[Labels, tuple[str, ...]]:
    """Which images count as anomalous, and a word where the mask says otherwise than the folder."""
    known = np.array([not result.sample.is_normal for result in results])
    blank = known & _blank(results, masks)
    count = int(blank.sum())
    if not count:
        return known, ()
    first = results[int(np.argmax(blank))].sample.source.location
    some = f"{count} defective image{'s have' if count > 1 else ' has'} an empty mask here ({first})"
    if geometry.labels == "mask":
        return known & ~blank, (f"{some}; by this protocol, which takes the label from the mask, they count as good",)
    pixels = "left out of pixel metrics" if geometry.blank == "left out" else "all background for pixel metrics"
    return known, (f"{some}; they count for image metrics and are {pixels}",)


def _without_blank(labels: Labels, results: Sequence[ImageResult], masks: Sequence[Mask | None], geometry: Geometry) -> Labels:
    """Labels for pixel metrics: where empty masks are background, their images count as good ones."""
    return labels & ~_blank(results, masks) if geometry.blank == "background" else labels


def _blank(results: Sequence[ImageResult], masks: Sequence[Mask | None]) -> Labels:
    """Which images have a mask that is known, and empty at the size of the map."""
    return np.array(
        [
            "blank_mask" in result.sample.tags if mask is None else not mask.any()
            for result, mask in zip(results, masks, strict=True)
        ],
        bool,
    )


def _of_anomalies(masks: Sequence[Mask | None], labels: Sequence[bool] | Labels) -> list[Mask | None]:
    return [mask if label else None for mask, label in zip(masks, labels, strict=True)]
