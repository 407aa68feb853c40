"""Metrics of anybody's anomaly maps: one call, every number with its protocol record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.samples import GOOD
from flawsmith.metrics.bootstrap import bootstrap
from flawsmith.metrics.counting import MEMORY_BUDGET, TOLERANCE, Counted, Plan
from flawsmith.metrics.curves import curves_of
from flawsmith.metrics.extra import Measured, measure_extra, refuse_unknown
from flawsmith.metrics.overlap import FPR_LIMIT, check_connectivity, check_limit, overlap_area
from flawsmith.metrics.parameters import length, whole
from flawsmith.metrics.pixels import Tally, pixels_in_advance
from flawsmith.metrics.ranking import CURVES, best_f1, roc_area, step_precision, steps_by_label, value_of
from flawsmith.metrics.records import MetricValue, ProtocolRecord
from flawsmith.metrics.steps import Floats, Steps
from flawsmith.metrics.testset import CheckedSet, Gathering, Maps, Masks, check_set

IMAGE_METRICS: dict[str, Callable[[Steps], float]] = {
    "auroc": roc_area,
    "ap": step_precision,
    "f1max": lambda steps: best_f1(steps)[0],
}
PIXEL_KINDS = ("auroc", "ap", "f1max", "aupro")
MVTEC = "mvtec"
"""The reference among the variants of AUPRO (`flawsmith.metrics.variants` has the others)."""

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
    pro: str = MVTEC

    def __post_init__(self) -> None:
        object.__setattr__(self, "fpr_limit", check_limit(self.fpr_limit))
        object.__setattr__(self, "connectivity", check_connectivity(self.connectivity))
        if self.pro != MVTEC:
            from flawsmith.metrics.variants import VARIANTS

            if self.pro not in VARIANTS:
                raise UnknownName("AUPRO variant", self.pro, (MVTEC, *VARIANTS))

    def record(self, metric: str, **fields: Any) -> ProtocolRecord:
        kind = metric.partition("_")[2]
        overlap = kind == "aupro"
        return ProtocolRecord(
            metric=metric,
            curve=self.pro if overlap else CURVES.get(kind, ""),
            resolution=self.resolution,
            mask_rule=self.mask_rule if metric.startswith("pixel") else None,
            connectivity=self.connectivity if overlap else None,
            fpr_limit=self.fpr_limit if overlap and self.pro != "full" else None,
            **fields,
        )


def score_maps(
    maps: Maps,
    masks: Masks | None = None,
    labels: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    fpr_limit: float = FPR_LIMIT,
    connectivity: int = 8,
    pro: str = MVTEC,
    image_score: str = "max",
    resolution: str = "native",
    mask_rule: str = "as given",
    names: Sequence[str] | None = None,
    require_pixels: bool = False,
    metrics: Sequence[str] = METRIC_IDS,
    resamples: int = 1000,
    pixel_resamples: int = 0,
    seed: int = 0,
    engine: str = "auto",
    memory: int = MEMORY_BUDGET,
    workers: int | None = None,
    tolerance: float = TOLERANCE,
) -> Scores:
    """Image and pixel metrics of a test set: exact, or where memory forbids it with a certified interval.

    An anomaly whose mask is missing or empty counts at image level and is left out of pixel metrics; the record says how many.
    Pixels of normals count whether or not they come with a mask.

    Args:
        maps: N maps, H×W each, sizes may differ; raw scores, higher is more anomalous. Arrays, memory maps, or a sequence that
            reads a map when asked for it: one image is held at a time.
        masks: N masks of the size of their maps, boolean, 0/1 or 0/255; None for an image without; None: no image has one. They
            may be a sequence that reads files too.
        labels: N labels, 1 for an anomaly; None: an image is anomalous where its mask is not empty.
        scores: N image scores; None: made of the maps by `image_score`.
        fpr_limit: right end of the AUPRO curve, above 0, at most 1.
        connectivity: 8 or 4 neighbours join pixels to a region.
        pro: which AUPRO: `mvtec`, or one of `flawsmith.metrics.variants.VARIANTS`, as released code computes it.
        image_score: `max`, `top100` (mean of the 100 highest pixels), or another of `flawsmith.metrics.reduction`.
        resolution, mask_rule: what the caller did to maps and masks, for the record.
        names: N names for messages.
        require_pixels: refuse anomalies without a mask.
        metrics: ids of further metrics of docs/metrics.md, such as `pixel_iou_max`; the standard ones always come along.
        resamples: bootstrap draws behind the 95 % intervals of image metrics; 0: none.
        pixel_resamples: the same for pixel metrics, of whole images too; maps and masks are read twice more.
        seed: root of those draws.
        engine: how pixels are counted: `sort` (all of them kept, one reading), `anchored` (two readings), `histogram` (one
            reading, a certified interval), or `auto`: the first that suits the number of pixels and the memory (docs/metrics.md).
        memory: bytes that counting pixels may take beside the maps, within a sixth and 2 MiB (docs/metrics.md).
        workers: threads; None: `FLAWSMITH_THREADS`, else the cores. No number depends on it.
        tolerance: `histogram` reads the maps again to split its bins until no interval is wider than this; 1: never.

    Raises:
        DataError: a map or score is not finite (E_NOT_FINITE), has masked elements or numbers that float64 rounds, such as whole
            ones beyond 2^53 (E_MODE); a mask differs in size (E_SIZE), has other values (E_MASK_VALUES) or marks a normal
            (E_MASK_ON_NORMAL); a label is neither 0 nor 1 (E_LABEL); a map or mask was another one when it was read again
            (E_CHANGED).
        NoPixelTruth: `require_pixels`, and an anomaly has no mask.
        OverBudget: the engine needs more than `memory`.
        BadParameter: a parameter is outside its range, or lists differ in length.
        UnknownName: no such metric, engine or variant.
    """
    if isinstance(metrics, str):
        raise BadParameter(f"metrics is {metrics!r}; expected a list of ids, such as [{metrics!r}]")
    for metric in metrics:
        refuse_unknown(metric, METRIC_IDS)
    resamples, pixel_resamples = (
        whole("resamples", resamples, 0, example=1000),
        whole("pixel_resamples", pixel_resamples, 0, example=1000),
    )
    seed = whole("seed", seed, example=0)
    protocol = _Protocol(fpr_limit, connectivity, resolution, mask_rule, pro)
    plan = Plan(engine, memory, workers, protocol.connectivity, protocol.fpr_limit, tolerance)
    with Tally(plan, known_pixels=pixels_in_advance(maps)) as tally:
        data = check_set(
            maps, masks, labels, scores, image_score=image_score, names=names, require_pixels=require_pixels, see=tally.see
        )
        pixels = None if _no_masks(data.labels, data.masked) else tally.finish(data, data.dtype)[0]
    found = _scores(data.scores, data.labels, data.image_score, pixels, data.usable, protocol, resamples, seed)
    values = dict(found.metrics)
    if pro != MVTEC:
        values["pixel_aupro"] = _variant(pro, data, values["pixel_aupro"].record, protocol, plan.memory)
    for metric in dict.fromkeys(each for each in metrics if each not in METRIC_IDS):
        values[metric] = _extra(metric, data, pixels, protocol)
    if pixel_resamples:
        values |= _pixel_intervals(values, data, protocol, pixel_resamples, seed)
    return replace(found, metrics=values)


def score_stream(
    images: Iterable[tuple[Any, Any, Any]],
    *,
    fpr_limit: float = FPR_LIMIT,
    connectivity: int = 8,
    image_score: str = "max",
    resolution: str = "native",
    mask_rule: str = "as given",
    resamples: int = 1000,
    seed: int = 0,
    engine: str = "auto",
    memory: int = MEMORY_BUDGET,
    workers: int | None = None,
) -> Scores:
    """`score_maps` of images that can be looked at only once, such as predictions as they are made.

    All pixels are kept, and the numbers are exact, as long as they leave room in `memory` for a histogram: half of it, 256 MiB at
    most. Then they are put into that, and each pixel metric comes with a certified interval (`bounds`).

    Args:
        images: (map, mask, label) of each image; the mask may be None, and so may the label where there is a mask.
        engine: `sort`, `histogram` or `auto`, as told above.
        fpr_limit, …: as in `score_maps`.

    Raises:
        As `score_maps`; messages call the images `image 0`, `image 1`, ….
    """
    resamples, seed = whole("resamples", resamples, 0, example=1000), whole("seed", seed, example=0)
    protocol = _Protocol(fpr_limit, connectivity, resolution, mask_rule)
    with Tally(Plan(engine, memory, workers, protocol.connectivity, protocol.fpr_limit), again=False) as tally:
        gathering = Gathering(image_score, tally.see)
        for i, image in enumerate(images):
            gathering.look(f"image {i}", *_map_mask_and_label(i, image), None)
        found = gathering.finish()
        if not len(found["labels"]):
            raise BadParameter("there are no images; expected at least one (map, mask, label)")
        pixels = None if _no_masks(found["labels"], found["masked"]) else tally.finish(None, found["dtype"])[0]
    usable = (found["labels"] == 0) | (found["defects"] > 0)
    return _scores(found["scores"], found["labels"], image_score, pixels, usable, protocol, resamples, seed)


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
    engine: str = "auto",
    memory: int = MEMORY_BUDGET,
    workers: int | None = None,
    tolerance: float = TOLERANCE,
) -> dict[str, dict[str, MetricValue]]:
    """Metrics of each defect's anomalies against all normals; all defects share the readings of the maps.

    Args:
        defects: N names, `good` for a normal.
        maps, masks, scores, …: as in `score_maps`.

    Returns:
        By defect, in the order of names: `image_auroc pixel_auroc pixel_ap pixel_aupro`; the records hold the number of images.

    Raises:
        As `score_maps`.
    """
    protocol = _Protocol(fpr_limit, connectivity, resolution, mask_rule)
    length("defects", defects, length("maps", maps))
    kinds = np.array(defects, object)
    found = [GOOD, *sorted({*defects} - {GOOD})]
    number = {name: i for i, name in enumerate(found)}
    plan = Plan(engine, memory, workers, protocol.connectivity, protocol.fpr_limit, tolerance)
    questions = [(0, i) for i in range(1, len(found))]
    with Tally(plan, questions, [number[name] for name in defects], known_pixels=pixels_in_advance(maps)) as tally:
        data = check_set(
            maps, masks, (kinds != GOOD).astype(np.int8), scores, image_score=image_score, names=names, see=tally.see
        )
        counted = tally.finish(data, data.dtype)
    return {name: _one_defect(data, kinds, name, each, protocol) for name, each in zip(found[1:], counted, strict=True)}


def _map_mask_and_label(i: int, image: Any) -> tuple[Any, Any, Any]:
    try:
        values, mask, label = image
    except (TypeError, ValueError):
        told = f"has {len(image)} items" if hasattr(image, "__len__") else f"is a {type(image).__name__}"
        raise BadParameter(
            f"image {i} {told}; expected (map, mask, label), with None for a mask or label that there is not"
        ) from None
    return values, mask, label


def _one_defect(
    data: CheckedSet, kinds: NDArray[Any], name: str, counted: Counted, protocol: _Protocol
) -> dict[str, MetricValue]:
    chosen, part = kinds == name, np.isin(kinds, (GOOD, name))
    anomalies, images = int(chosen.sum()), int(part.sum())
    counts = {"images": images, "normals": images - anomalies, "anomalies": anomalies}
    record = protocol.record("image_auroc", image_score=data.image_score, **counts)
    value = value_of(steps_by_label(data.scores[part], data.labels[part]), roc_area, record)
    excluded = int((~data.usable[chosen]).sum())
    pixels = counted if data.masked[chosen].any() else None
    return {"image_auroc": value} | _pixel_metrics(pixels, _pixel_counts(counted, excluded), protocol, ("auroc", "ap", "aupro"))


def _scores(
    scores: Floats,
    labels: NDArray[np.int8],
    image_score: str,
    pixels: Counted | None,
    usable: NDArray[np.bool_],
    protocol: _Protocol,
    resamples: int,
    seed: int,
) -> Scores:
    images = steps_by_label(scores, labels)
    values = _image_metrics(images, image_score, protocol)
    if resamples and images.reason is None:
        intervals = bootstrap(scores, labels, IMAGE_METRICS, resamples=resamples, seed=seed)
        values = {key: replace(value, interval=intervals.get(key.removeprefix("image_"))) for key, value in values.items()}
    values |= _pixel_metrics(pixels, _pixel_counts(pixels, int((~usable).sum())), protocol)
    steps = None if pixels is None else pixels.steps
    return Scores(
        metrics=values,
        thresholds={"image_f1max": _threshold(images), "pixel_f1max": _threshold(steps)},
        prevalence={"image": values["image_ap"].record.prevalence, "pixel": values["pixel_ap"].record.prevalence},
        curves=curves_of("image", images) | curves_of("pixel", steps),
    )


def _image_metrics(steps: Steps, image_score: str, protocol: _Protocol) -> dict[str, MetricValue]:
    total = steps.positives + steps.negatives
    counts = {"images": total, "normals": steps.negatives, "anomalies": steps.positives, "image_score": image_score}
    return {
        f"image_{kind}": value_of(steps, compute, protocol.record(f"image_{kind}", **counts))
        for kind, compute in IMAGE_METRICS.items()
    }


def _no_masks(labels: NDArray[np.int8], masked: NDArray[np.bool_]) -> bool:
    """Whether there are anomalies and not one has a mask."""
    return bool(labels.any()) and not masked.any()


def _pixel_counts(pixels: Counted | None, excluded: int) -> dict[str, Any]:
    """Fields of the record of a pixel metric that tell how much was counted, and by which engine."""
    if pixels is None:
        return {"excluded": excluded}
    counts = pixels.counts
    return {
        "images": counts.images,
        "normals": counts.normals,
        "anomalies": counts.images - counts.normals,
        "pixels": counts.pixels,
        "positive_pixels": counts.hits,
        "regions": counts.regions,
        "excluded": excluded,
        "engine": pixels.engine,
    }


def _pixel_metrics(
    pixels: Counted | None, fields: Mapping[str, Any], protocol: _Protocol, kinds: Sequence[str] = PIXEL_KINDS
) -> dict[str, MetricValue]:
    computes = {**IMAGE_METRICS, "aupro": lambda s: overlap_area(s, protocol.fpr_limit)}
    values = {}
    for kind in kinds:
        record = protocol.record(f"pixel_{kind}", **fields)
        if pixels is None:
            value = MetricValue(math.nan, "no_masks", record)
        else:
            value = value_of(pixels.steps, computes[kind], record)
            value = replace(value, bounds=pixels.bounds(computes[kind])) if value.defined else value
        values[f"pixel_{kind}"] = value
    return values


def _pixel_intervals(
    values: Mapping[str, MetricValue], data: CheckedSet, protocol: _Protocol, resamples: int, seed: int
) -> dict[str, MetricValue]:
    """Defined pixel metrics with intervals over images; a variant of AUPRO has none."""
    from flawsmith.metrics.pixel_bootstrap import KINDS, bootstrap_pixels

    asked = [key for key in KINDS if key in values and values[key].defined and (key != "pixel_aupro" or protocol.pro == MVTEC)]
    numbers = {key: values[key].value for key in asked}
    if not asked:
        return {}
    intervals = bootstrap_pixels(
        data, numbers, connectivity=protocol.connectivity, limit=protocol.fpr_limit, resamples=resamples, seed=seed
    )
    return {key: replace(values[key], interval=intervals.get(key)) for key in asked}


def _variant(name: str, data: CheckedSet, record: ProtocolRecord, protocol: _Protocol, memory: int) -> MetricValue:
    """AUPRO of a variant, which reads the maps by itself, whatever the engine."""
    from flawsmith.metrics.variants import variant_with_reason

    options = {"connectivity": protocol.connectivity, "memory": memory}
    value, reason = variant_with_reason(name, data, limit=protocol.fpr_limit, **options)
    return MetricValue(value, reason, replace(record, engine=None))


def _extra(metric: str, data: CheckedSet, pixels: Counted | None, protocol: _Protocol) -> MetricValue:
    """A metric of `flawsmith.metrics.extra`, with bounds where its step function is uncertain."""
    record = protocol.record(metric, **_pixel_counts(pixels, int((~data.usable).sum())))
    return measure_extra(Measured(metric, data, pixels, protocol.connectivity, protocol.fpr_limit, record))


def _threshold(steps: Steps | None) -> float:
    return math.nan if steps is None or steps.reason is not None else best_f1(steps)[1]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
