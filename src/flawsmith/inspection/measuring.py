"""From what an inspector saw to metrics: one protocol, every number with its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.samples import GOOD
from flawsmith.inspection.looking import ImageResult, Look
from flawsmith.inspection.protocols import MVTEC, OWN, Geometry
from flawsmith.metrics import METRIC_IDS, MetricValue, Scores, per_defect, score_maps
from flawsmith.metrics.records import SPLIT
from flawsmith.metrics.steps import Floats

Labels = NDArray[np.bool_]

AUPRO = "pixel_aupro"
RESAMPLES = 1000
MOST_PIXELS = 50_000_000
"""So many pixels come with intervals unasked: up to here they take less time than the predictions."""

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


def measure(seen: Look, stamp: Stamp, metrics: Sequence[str] = METRIC_IDS, pixel_resamples: int = 0) -> Measures:
    """Measure what was seen.

    Args:
        seen: predictions, maps and masks.
        stamp: protocol and geometry.
        metrics: ids of further pixel metrics; the standard ones always come along.
        pixel_resamples: bootstrap draws behind the intervals of pixel metrics.

    Raises:
        As `flawsmith.metrics.score_maps`.
    """
    geometry, results = stamp.geometry, seen.results
    labels, warnings = labels_of(results, seen.masks, geometry)
    scored = _Scored(seen, stamp, metrics)
    of_pixels = _without_blank(labels, results, seen.masks, geometry)
    alike = bool((of_pixels == labels).all())
    scores = scored.of(labels, seen.masks, pixel_resamples=pixel_resamples if alike else 0)
    values, curves = dict(scores), dict(scores.curves)
    if not alike:
        pixels = scored.of(of_pixels, seen.masks, pixel_resamples=pixel_resamples)
        values |= {name: value for name, value in pixels.items() if name.startswith("pixel")}
        curves |= {name: curve for name, curve in pixels.curves.items() if name.startswith("pixel")}
    if geometry.pro_mask_rule:
        of_regions = _without_blank(labels, results, seen.pro_masks, geometry)
        rule = geometry.pro_rule_of(stamp.mask_rule)
        values[AUPRO] = scored.of(of_regions, seen.pro_masks, rule, pixel_resamples=pixel_resamples)[AUPRO]
    rows = {defect: stamp.on(row) for defect, row in scored.by_defect(labels, of_pixels).items()}
    return Measures(stamp.on(values), rows, curves, warnings)


def pixel_resamples_of(seen: Look, asked: int | None) -> int:
    """Draws behind the intervals of pixel metrics: as asked for, else `RESAMPLES` up to `MOST_PIXELS` and none beyond."""
    if asked is not None:
        return asked
    return RESAMPLES if sum(result.prediction.map.size for result in seen.results) <= MOST_PIXELS else 0


class _Scored:
    """The metrics of what was seen, for labels and masks that protocols choose."""

    def __init__(self, seen: Look, stamp: Stamp, metrics: Sequence[str]) -> None:
        self.seen, self.stamp, self.metrics = seen, stamp, metrics
        self.maps = [result.prediction.map for result in seen.results]

    def of(self, labels: Labels, masks: Sequence[Mask | None], mask_rule: str | None = None, **options: Any) -> Scores:
        """`score_maps` under the geometry, with further options."""
        told = {"metrics": self.metrics, "pro": self.stamp.geometry.pro, **self._given(mask_rule), **options}
        return score_maps(self.maps, _of_anomalies(masks, labels), labels=labels, **told)

    def by_defect(self, labels: Labels, of_pixels: Labels) -> dict[str, dict[str, MetricValue]]:
        """`per_defect` under the geometry; it knows one AUPRO, so that there is none where the geometry wants another.

        Args:
            labels: whether an image is anomalous; one that is not counts as good in every row.
            of_pixels: the same for pixel metrics: an anomaly that is none here is background in the row of its defect.
        """
        names = [result.sample.defect if label else GOOD for result, label in zip(self.seen.results, labels, strict=True)]
        rows = per_defect(self.maps, _of_anomalies(self.seen.masks, labels), names, **self._given())
        defects = np.array(names, object)
        for defect in dict.fromkeys(defects[labels & ~of_pixels].tolist()):
            part = np.flatnonzero(~labels | (defects == defect)).tolist()
            masks = [self.seen.masks[image] for image in part]
            pixels = self._part(part).of(of_pixels[part], masks, metrics=METRIC_IDS, pro=MVTEC, resamples=0)
            rows[defect] |= {name: pixels[name] for name in rows[defect] if name.startswith("pixel")}
        geometry = self.stamp.geometry
        if geometry.pro == MVTEC and not geometry.pro_mask_rule:
            return rows
        return {defect: {name: value for name, value in row.items() if name != AUPRO} for defect, row in rows.items()}

    def _part(self, images: Sequence[int]) -> _Scored:
        results = tuple(self.seen.results[image] for image in images)
        return _Scored(replace(self.seen, results=results), self.stamp, self.metrics)

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
