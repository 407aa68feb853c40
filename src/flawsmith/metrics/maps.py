"""Metrics of anybody's anomaly maps: one call, every number with its protocol record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from flawsmith.core.errors import BadParameter
from flawsmith.core.samples import GOOD
from flawsmith.metrics.bootstrap import bootstrap
from flawsmith.metrics.extra import Measured, measure_extra, refuse_unknown
from flawsmith.metrics.overlap import FPR_LIMIT, check_connectivity, check_limit, overlap_area
from flawsmith.metrics.pixels import MEMORY_BUDGET, Block, collect, count_pixels, refuse_over_budget
from flawsmith.metrics.ranking import CURVES, best_f1, precision, recall, roc_area, step_precision, steps_by_label, value_of
from flawsmith.metrics.records import MetricValue, ProtocolRecord
from flawsmith.metrics.steps import Floats, Steps
from flawsmith.metrics.testset import CheckedSet, Maps, Masks, check_set

IMAGE_METRICS: dict[str, Callable[[Steps], float]] = {
    "auroc": roc_area,
    "ap": step_precision,
    "f1max": lambda steps: best_f1(steps)[0],
}
METRIC_IDS = ("image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro")
"""Ids of what `score_maps` gives unless told otherwise, in the order of tables."""


@dataclass(frozen=True, eq=False)
class Scores(Mapping[str, MetricValue]):
    """Metrics by id, in the order of `METRIC_IDS`.

    Args:
        metrics: each number with its record.
        thresholds: where `image_f1max` and `pixel_f1max` are reached; NaN where they are undefined.
        prevalence: share of anomalous images (`image`) and of defect pixels (`pixel`), the chance level of AP.
        curves: points of `image_roc`, `image_pr`, `pixel_roc`, `pixel_pr` and `pixel_pro` as (x, y); only those that are defined.
    """

    metrics: Mapping[str, MetricValue]
    thresholds: Mapping[str, float]
    prevalence: Mapping[str, float]
    curves: Mapping[str, tuple[Floats, Floats]] = field(repr=False)

    def __getitem__(self, key: str) -> MetricValue:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; undefined is null with a reason. Curves stay out."""
        return {
            "metrics": {key: value.to_json() for key, value in self.metrics.items()},
            "thresholds": {key: _or_none(value) for key, value in self.thresholds.items()},
            "prevalence": {key: _or_none(value) for key, value in self.prevalence.items()},
        }


@dataclass(frozen=True)
class _Protocol:
    fpr_limit: float
    connectivity: int
    resolution: str
    mask_rule: str

    def record(self, metric: str, **counts: Any) -> ProtocolRecord:
        kind = metric.partition("_")[2]
        return ProtocolRecord(
            metric=metric,
            curve=CURVES.get(kind, ""),
            resolution=self.resolution,
            mask_rule=self.mask_rule if metric.startswith("pixel") else None,
            connectivity=self.connectivity if kind == "aupro" else None,
            fpr_limit=self.fpr_limit if kind == "aupro" else None,
            **counts,
        )


def score_maps(
    maps: Maps,
    masks: Masks | None = None,
    labels: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    fpr_limit: float = FPR_LIMIT,
    connectivity: int = 8,
    image_score: str = "max",
    resolution: str = "native",
    mask_rule: str = "as given",
    names: Sequence[str] | None = None,
    require_pixels: bool = False,
    metrics: Sequence[str] = METRIC_IDS,
    resamples: int = 1000,
    seed: int = 0,
    memory: int = MEMORY_BUDGET,
) -> Scores:
    """Image and pixel metrics of a test set, exact.

    An anomaly whose mask is missing or empty counts at image level and is left out of pixel metrics; the record says how many.
    Pixels of normals count whether or not they come with a mask.

    Args:
        maps: N maps, H×W each, sizes may differ; raw scores, higher is more anomalous.
        masks: N masks of the size of their maps, boolean, 0/1 or 0/255; None for an image without; None: no image has one.
        labels: N labels, 1 for an anomaly; None: an image is anomalous where its mask is not empty.
        scores: N image scores; None: made of the maps by `image_score`.
        fpr_limit: right end of the AUPRO curve, above 0, at most 1.
        connectivity: 8 or 4 neighbours join pixels to a region.
        image_score: `max`, or `top100` (mean of the 100 highest pixels).
        resolution, mask_rule: what the caller did to maps and masks, for the record.
        names: N names for messages.
        require_pixels: refuse anomalies without a mask.
        metrics: ids of further metrics of docs/metrics.md, such as `pixel_iou_max`; the standard ones always come along.
        resamples: bootstrap draws behind the 95 % intervals of image metrics; 0: none.
        seed: root of those draws.
        memory: bytes that counting pixels may take beside the maps.

    Raises:
        DataError: a map or score is not finite (E_NOT_FINITE); a mask differs in size (E_SIZE), has other values
            (E_MASK_VALUES) or marks a normal (E_MASK_ON_NORMAL); a label is neither 0 nor 1 (E_LABEL).
        NoPixelTruth: `require_pixels`, and an anomaly has no mask.
        OverBudget: the pixels do not fit `memory`.
        BadParameter: a parameter is outside its range, or lists differ in length.
        UnknownName: no such metric.
    """
    for metric in metrics:
        refuse_unknown(metric, METRIC_IDS)
    protocol = _protocol(fpr_limit, connectivity, resolution, mask_rule)
    data = check_set(maps, masks, labels, scores, image_score=image_score, names=names, require_pixels=require_pixels)
    images = steps_by_label(data.scores, data.labels)
    values = _image_metrics(images, data, protocol)
    if resamples and images.reason is None:
        intervals = bootstrap(data.scores, data.labels, IMAGE_METRICS, resamples=resamples, seed=seed)
        values = {key: replace(value, interval=intervals.get(key.removeprefix("image_"))) for key, value in values.items()}
    pixels, counts = _pixel_steps(data, connectivity, memory)
    values |= _pixel_metrics(pixels, counts, protocol)
    for metric in dict.fromkeys(each for each in metrics if each not in METRIC_IDS):
        record = protocol.record(metric, **counts)
        values[metric] = measure_extra(Measured(metric, data, pixels, connectivity, fpr_limit, record))
    return Scores(
        metrics=values,
        thresholds={"image_f1max": _threshold(images), "pixel_f1max": _threshold(pixels)},
        prevalence={"image": values["image_ap"].record.prevalence, "pixel": values["pixel_ap"].record.prevalence},
        curves=_curves("image", images) | _curves("pixel", pixels),
    )


def per_defect(
    maps: Maps,
    masks: Masks | None,
    defects: Sequence[str],
    scores: ArrayLike | None = None,
    *,
    fpr_limit: float = FPR_LIMIT,
    connectivity: int = 8,
    image_score: str = "max",
    resolution: str = "native",
    mask_rule: str = "as given",
    names: Sequence[str] | None = None,
    memory: int = MEMORY_BUDGET,
) -> dict[str, dict[str, MetricValue]]:
    """Metrics of each defect's anomalies against all normals.

    Args:
        defects: N names, `good` for a normal.
        maps, masks, scores, …: as in `score_maps`.

    Returns:
        By defect, in the order of names: `image_auroc pixel_auroc pixel_ap pixel_aupro`; the records hold the number of images.

    Raises:
        As `score_maps`.
    """
    protocol = _protocol(fpr_limit, connectivity, resolution, mask_rule)
    if len(defects) != len(maps):
        raise BadParameter(f"there are {len(defects)} defects for {len(maps)} maps; expected one per map")
    labels = np.array([name != GOOD for name in defects], np.int8)
    data = check_set(maps, masks, labels, scores, image_score=image_score, names=names)
    refuse_over_budget(data, memory)
    rows = {name: [i for i, each in enumerate(defects) if each == name] for name in sorted({*defects, GOOD})}
    normals = rows.pop(GOOD)
    ground = collect(data, normals, connectivity)
    return {
        name: _one_defect(data, normals, chosen, [ground, collect(data, chosen, connectivity)], protocol)
        for name, chosen in rows.items()
    }


def _one_defect(
    data: CheckedSet, normals: Sequence[int], chosen: Sequence[int], blocks: Sequence[Block], protocol: _Protocol
) -> dict[str, MetricValue]:
    part = [*normals, *chosen]
    record = protocol.record(
        "image_auroc", image_score=data.image_score, images=len(part), normals=len(normals), anomalies=len(chosen)
    )
    value = value_of(steps_by_label(data.scores[part], data.labels[part]), roc_area, record)
    counts = _pixel_counts(blocks, excluded=len(chosen) - blocks[-1].images)
    pixels = count_pixels(blocks) if data.masked[chosen].any() else None
    return {"image_auroc": value} | _pixel_metrics(pixels, counts, protocol, ("auroc", "ap", "aupro"))


def _protocol(fpr_limit: float, connectivity: int, resolution: str, mask_rule: str) -> _Protocol:
    check_limit(fpr_limit)
    check_connectivity(connectivity)
    return _Protocol(fpr_limit, connectivity, resolution, mask_rule)


def _image_metrics(steps: Steps, data: CheckedSet, protocol: _Protocol) -> dict[str, MetricValue]:
    total, anomalies = len(data.labels), int(data.labels.sum())
    counts = {"images": total, "normals": total - anomalies, "anomalies": anomalies, "image_score": data.image_score}
    return {
        f"image_{kind}": value_of(steps, compute, protocol.record(f"image_{kind}", **counts))
        for kind, compute in IMAGE_METRICS.items()
    }


def _pixel_steps(data: CheckedSet, connectivity: int, memory: int) -> tuple[Steps | None, dict[str, int]]:
    """The pixels' step function; None where there are anomalies and not one has a mask."""
    excluded = int((~data.usable).sum())
    if data.labels.any() and not data.masked.any():
        return None, {"excluded": excluded}
    refuse_over_budget(data, memory)
    block = collect(data, range(len(data.labels)), connectivity)
    return count_pixels([block]), _pixel_counts([block], excluded)


def _pixel_counts(blocks: Sequence[Block], excluded: int) -> dict[str, int]:
    positives = sum(len(block.positives) for block in blocks)
    images, normals = sum(block.images for block in blocks), sum(block.normals for block in blocks)
    return {
        "images": images,
        "normals": normals,
        "anomalies": images - normals,
        "pixels": positives + sum(len(block.background) for block in blocks),
        "positive_pixels": positives,
        "regions": sum(block.regions for block in blocks),
        "excluded": excluded,
    }


def _pixel_metrics(
    steps: Steps | None, counts: Mapping[str, int], protocol: _Protocol, kinds: Sequence[str] = ("auroc", "ap", "f1max", "aupro")
) -> dict[str, MetricValue]:
    computes = {**IMAGE_METRICS, "aupro": lambda s: overlap_area(s, protocol.fpr_limit)}
    values = {}
    for kind in kinds:
        record = protocol.record(f"pixel_{kind}", **counts)
        missing = MetricValue(math.nan, "no_masks", record)
        values[f"pixel_{kind}"] = missing if steps is None else value_of(steps, computes[kind], record)
    return values


def _threshold(steps: Steps | None) -> float:
    return math.nan if steps is None or steps.reason is not None else best_f1(steps)[1]


def _curves(level: str, steps: Steps | None) -> dict[str, tuple[Floats, Floats]]:
    if steps is None or steps.reason is not None:
        return {}
    curves = {f"{level}_roc": steps.curve(steps.hits), f"{level}_pr": (recall(steps), precision(steps))}
    if level == "pixel":
        curves["pixel_pro"] = steps.curve(steps.mass)
    return {name: _thinned(*points) for name, points in curves.items()}


def _thinned(x: Floats, y: Floats, most: int = 1000) -> tuple[Floats, Floats]:
    """At most `most` points of a curve, for plots: those nearest to equal steps along it, both ends among them."""
    if len(x) <= most:
        return x, y
    length = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    wanted = np.linspace(0, length[-1], most)
    chosen = np.unique(np.append(np.minimum(np.searchsorted(length, wanted), len(x) - 1), [0, len(x) - 1]))
    return x[chosen], y[chosen]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
