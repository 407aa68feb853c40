"""Metrics that only some data or some detectors have: logical and structural defects, saturated regions, classification."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.samples import GOOD, Region
from flawsmith.data.dataset import Dataset
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.looking import ImageResult, Look
from flawsmith.inspection.measuring import Measures, Stamp
from flawsmith.metrics.classification import class_map, score_classes
from flawsmith.metrics.records import MetricValue
from flawsmith.metrics.spro import LIMITS, spro

LOGICAL, STRUCTURAL = "logical_anomalies", "structural_anomalies"
"""The two kinds of MVTec LOCO AD."""

DERIVED: Mapping[str, str] = {
    "image_auroc_logical": "expected a test set with the defect logical_anomalies, as in MVTec LOCO AD",
    "image_auroc_structural": "expected a test set with the defect structural_anomalies, as in MVTec LOCO AD",
    "image_auroc_mean": "expected a test set with logical_anomalies and structural_anomalies, as in MVTec LOCO AD",
    **dict.fromkeys(("cls_acc", "cls_miou", "cls_acc_anomalous"), "expected a detector that names the defect"),
    **{f"pixel_auspro@{limit:g}": "expected regions with saturations, as in MVTec LOCO AD, at native size" for limit in LIMITS},
}
"""Id → what it needs."""


def measure_kinds(inspector: Inspector, data: Dataset, seen: Look, measures: Measures, stamp: Stamp) -> dict[str, MetricValue]:
    """Those of the `DERIVED` metrics that these data and this detector give, stamped.

    Classification and sPRO take labels from the folder or list and leave an anomaly without marked pixels out of pixels, whatever
    the protocol does elsewhere, and their records claim nothing else.
    """
    own = replace(stamp, geometry=replace(stamp.geometry, labels="folder", blank="left out"))
    classes = classified(seen, data, stamp) if inspector.detector.traits.classifies else {}
    return {**logical_and_structural(measures.per_defect), **own.on(saturated(seen, stamp)), **own.on(classes)}


def classified(seen: Look, data: Dataset, stamp: Stamp) -> dict[str, MetricValue]:
    """Accuracy and mean IoU of defect classes, from the class maps of a detector that names the defect.

    The ids of a class map are those of the names in `defect_probabilities`, in their order, `good` first; where there are none,
    those that the data set declares, or its defects in natural order. A defect that the detector does not know comes after them.

    Raises:
        DataError: as `flawsmith.metrics.classification.score_classes`.
    """
    maps = [result.prediction.label_map for result in seen.results]
    given = [each for each in maps if each is not None]
    if len(given) < len(maps):
        return {}
    scores = score_classes(
        given,
        Truths(seen, native=stamp.geometry.side is None, classes=_classes(seen, data)),
        [result.sample.defect for result in seen.results],
        classes=_classes(seen, data),
        combined=data.combined,
        absent_counts_zero=stamp.geometry.absent_counts_zero,
        resolution=stamp.geometry.resolution,
        mask_rule=stamp.geometry.rule_of(stamp.mask_rule),
        names=[result.sample.source.location for result in seen.results],
    )
    return dict(scores.metrics)


def _classes(seen: Look, data: Dataset) -> tuple[str, ...]:
    first = seen.results[0]
    told = tuple(first.prediction.defect_probabilities or ()) or data.classes.get(first.sample.product) or data.defects()
    met = (result.sample.defect for result in seen.results)
    return tuple(name for name in dict.fromkeys((*told, *met)) if name != GOOD and name not in data.combined)


class Truths(Sequence[NDArray[Any] | None]):
    """The class ids of each image's pixels at native size; elsewhere its mask, whose pixels are of the image's own defect.

    Where an image's regions are all of its own defect, its mask says as much and is taken.
    """

    def __init__(self, seen: Look, *, native: bool, classes: Sequence[str]) -> None:
        self._seen, self._native, self._classes = seen, native, classes

    def __len__(self) -> int:
        return len(self._seen.results)

    def __getitem__(self, index: Any) -> Any:
        sample, mask = self._seen.results[index].sample, self._seen.masks[index]
        if mask is None or not self._native:
            return mask
        regions = sample.source.regions()
        if all(region.defect == sample.defect or region.defect not in self._classes for region in regions):
            return mask
        return class_map([region for region in regions if region.defect in self._classes], mask.shape, self._classes)


class Regions(Sequence[tuple[Region, ...] | None]):
    """The regions of each result's image, read when asked for; None where the pixel truth is unknown."""

    def __init__(self, results: Sequence[ImageResult]) -> None:
        self._samples = tuple(result.sample for result in results)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> Any:
        sample = self._samples[index]
        return sample.source.regions() if sample.has_mask and not sample.is_normal else None


def saturated(seen: Look, stamp: Stamp) -> dict[str, MetricValue]:
    """sPRO at its limits where regions carry saturations; these are areas of the original images, so only at native size."""
    regions = Regions(seen.results)
    first = next((found for found in regions if found), ())
    if stamp.geometry.side is not None or not any(region.saturation is not None for region in first):
        return {}
    return spro(
        [result.prediction.map for result in seen.results],
        regions,
        np.array([not result.sample.is_normal for result in seen.results]),
        resolution=stamp.geometry.resolution,
        mask_rule=stamp.mask_rule,
        names=[result.sample.source.location for result in seen.results],
    )


def logical_and_structural(per_defect: Mapping[str, Mapping[str, MetricValue]]) -> dict[str, MetricValue]:
    """LOCO's overview: image AUROC of logical and of structural defects against all good images, and the mean of the two."""
    if not {LOGICAL, STRUCTURAL} <= per_defect.keys():
        return {}
    both = {kind: per_defect[kind]["image_auroc"] for kind in (LOGICAL, STRUCTURAL)}
    named = {
        name: replace(both[kind], record=replace(both[kind].record, metric=name))
        for name, kind in (("image_auroc_logical", LOGICAL), ("image_auroc_structural", STRUCTURAL))
    }
    return {**named, "image_auroc_mean": _mean_of_both(list(both.values()))}


def _mean_of_both(values: Sequence[MetricValue]) -> MetricValue:
    first = values[0].record
    record = replace(
        first,
        metric="image_auroc_mean",
        details={**first.details, "mean": "of logical and structural"},
        images=sum(value.record.images for value in values) - first.normals,
        anomalies=sum(value.record.anomalies for value in values),
    )
    missing = next((value.reason for value in values if value.reason), None)
    return MetricValue(math.nan if missing else sum(value.value for value in values) / len(values), missing, record)
