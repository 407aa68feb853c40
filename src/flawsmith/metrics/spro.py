"""Saturated per-region overlap (sPRO), the score of MVTec LOCO.

Bergmann et al., "Beyond Dents and Scratches", IJCV 2022, section 4. A missing part can lie anywhere in a large region, so a
region counts as found when a part of it is: its overlap is min(|region ∩ prediction|/s, 1) with a saturation area s. Regions
are the channels of the ground truth as they were annotated, not connected components; they may overlap.

The highest ⌊s⌋ scores of a region weigh 1/s each, the next one the rest, all others nothing: with these weights sPRO is a ROC as
AUPRO is, and equals it where every region is a connected component and its saturation its whole area.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import Region
from flawsmith.metrics.grids import weighted_steps
from flawsmith.metrics.overlap import check_limit, overlap_area
from flawsmith.metrics.records import MetricValue, ProtocolRecord, Reason
from flawsmith.metrics.steps import Floats, Steps
from flawsmith.metrics.testset import CheckedSet, Maps, check_set

LIMITS = (0.01, 0.05, 0.1, 0.3, 1.0)
"""Ends of the curve that LOCO reports, shares of the background."""


def spro(
    maps: Maps,
    regions: Sequence[Sequence[Region] | None],
    labels: ArrayLike | None = None,
    *,
    limits: Sequence[float] = LIMITS,
    resolution: str = "native",
    mask_rule: str = "as given",
    names: Sequence[str] | None = None,
) -> dict[str, MetricValue]:
    """Area under the sPRO curve up to each limit, divided by it; chance is not known, as it depends on the saturations.

    Args:
        maps: N maps, H×W each, raw scores, higher is more anomalous. Read twice; they may come from files.
        regions: per image its labelled regions in the size of its map; None or empty: there are none. A region's `saturation`
            is in pixels, at most its own area counts; None: its whole area. Read as often as the maps, once more without
            labels.
        labels: 1 for an anomaly; None: an image is anomalous where it has a region. An anomaly without regions is left out,
            and the record counts it.
        limits: right ends of the curve, above 0, at most 1.
        resolution, mask_rule: what the caller did to maps and masks, for the record.
        names: N names for messages.

    Returns:
        `pixel_auspro@0.05` for the limit 0.05, and so on, in the order of `limits`; NaN with a reason without a region or without
        background. The record's connectivity is None: regions are what was annotated.

    Raises:
        DataError: as `score_maps`.
        BadParameter: a limit outside its range, none at all, a saturation that is no number above 0, lists of other lengths.
    """
    if not len(limits):
        raise BadParameter(f"there are no limits; expected shares above 0 and at most 1, such as {LIMITS}")
    for limit in limits:
        check_limit(limit)
    if len(regions) != len(maps):
        raise BadParameter(f"there are regions for {len(regions)} images and {len(maps)} maps; expected one list per map")
    if labels is None:
        labels = [any(region.mask.any() for region in found or ()) for found in regions]
    data = check_set(maps, _Unions(regions), labels, names=names)
    scores, weights, found = _weighted_pixels(data, regions)
    record = _record(data, found, resolution, mask_rule)
    reason: Reason | None = "no_masks" if data.labels.any() and not data.masked.any() else None
    steps = weighted_steps(data, scores, weights)
    return {f"pixel_auspro@{limit:g}": _value(steps, reason or steps.reason, record, limit) for limit in limits}


class _Unions(Sequence[Any]):
    """The union of each image's regions, made when asked for."""

    def __init__(self, regions: Sequence[Sequence[Region] | None]) -> None:
        self.regions = regions

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, i: Any) -> Any:
        found = self.regions[i]
        if not found:
            return None  # an unknown truth or a normal: the label says which
        union = np.array(found[0].mask, bool)
        for region in found[1:]:
            if region.mask.shape != union.shape:
                raise DataError("E_SIZE", f"regions of one image are {union.shape} and {region.mask.shape}; expected one size")
            union |= region.mask
        return union


def _weighted_pixels(data: CheckedSet, regions: Sequence[Sequence[Region] | None]) -> tuple[NDArray[Any], Floats, int]:
    """Scores of the regions' pixels that weigh something, their weights, and the number of regions."""
    scores: list[NDArray[Any]] = [np.empty(0, data.dtype)]
    weights: list[Floats] = [np.empty(0)]
    for i in np.flatnonzero(data.usable & (data.labels == 1)).tolist():
        values = data.map(i)
        for region in regions[i] or ():
            inside = np.sort(values[region.mask])[::-1]
            if len(inside):
                weight = saturating_weights(len(inside), _saturation(region, len(inside), data.names[i]))
                heavy = int(np.count_nonzero(weight))  # the highest ones; between them nothing but false positives changes
                scores.append(inside[:heavy])
                weights.append(weight[:heavy])
    return np.concatenate(scores), np.concatenate(weights), len(scores) - 1


def saturating_weights(area: int, saturation: float) -> Floats:
    """What the highest, second highest … pixel of a region adds to its overlap; the sum is 1.

    Args:
        area: pixels of the region, at least 1.
        saturation: area from which it counts as found, above 0, at most `area`.
    """
    return np.diff(np.minimum(np.arange(area + 1) / saturation, 1.0))


def _saturation(region: Region, area: int, title: str) -> float:
    if region.saturation is None:
        return float(area)
    if not (math.isfinite(region.saturation) and region.saturation > 0):
        raise BadParameter(
            f"region {region.defect!r} of {title} has the saturation {region.saturation}; expected pixels above 0, or None"
        )
    return min(region.saturation, float(area))


def _record(data: CheckedSet, regions: int, resolution: str, mask_rule: str) -> ProtocolRecord:
    used = np.flatnonzero(data.usable).tolist()
    normals = sum(1 for i in used if not data.labels[i])
    return ProtocolRecord(
        metric="pixel_auspro",
        curve="spro",
        resolution=resolution,
        mask_rule=mask_rule,
        images=len(used),
        normals=normals,
        anomalies=len(used) - normals,
        pixels=sum(data.pixels(i) for i in used),
        positive_pixels=sum(data.defect_pixels(i) for i in used),
        regions=regions,
        excluded=len(data.labels) - len(used),
    )


def _value(steps: Steps, reason: Reason | None, record: ProtocolRecord, limit: float) -> MetricValue:
    value = math.nan if reason is not None else overlap_area(steps, limit)
    return MetricValue(value, reason, replace(record, metric=f"pixel_auspro@{limit:g}", fpr_limit=float(limit)))
