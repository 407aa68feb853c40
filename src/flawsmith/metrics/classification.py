"""Naming the defect: accuracy over images and mean IoU over classes, as UniADC defines them (sections 3.4, 4.1; `test.py`).

A pixel is of class 0 (good) where its anomaly probability is below τ, else of the class whose logit is largest. An image is of
the class that most of its other pixels have. Where paper and code part, the default is what needs nothing of other test images,
and a flag gives the rest for comparison with published numbers:

* `global_minmax`: the code scales probabilities over the whole test set before τ; then an image's class depends on the others;
* `average`: the code averages the class logits and takes the sigmoid of the mean (default); the paper averages the sigmoids;
* `absent_counts_zero`: a class neither there nor predicted counts 0 in the code's mean IoU; here it is left out and named.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import GOOD, Region
from flawsmith.core.seeding import Seed
from flawsmith.data.problems import Problem, raise_errors
from flawsmith.metrics.bootstrap import interval_of
from flawsmith.metrics.records import Interval, MetricValue, ProtocolRecord, Reason
from flawsmith.metrics.steps import Counts, Floats

Average = Literal["logits", "probabilities"]
ClassMap = NDArray[np.integer[Any]]

THRESHOLD = 0.5
"""τ: anomaly probability from which a pixel is of a defect class."""

AT_ONCE = 64
"""Resamples that are counted together."""


def anomaly_probability(logits: NDArray[Any], average: Average = "logits") -> Floats:
    """Anomaly probability of each pixel.

    Args:
        logits: Y×H×W, one map per defect class.
        average: `logits`: sigmoid of their mean; `probabilities`: mean of their sigmoids.

    Returns:
        float64 H×W, 0…1.
    """
    from scipy.special import expit

    values = logits.astype(np.float64)
    found: Floats = expit(values.mean(axis=0)) if average == "logits" else expit(values).mean(axis=0)
    return found


def pixel_classes(
    probability: NDArray[Any],
    class_scores: NDArray[Any],
    threshold: float = THRESHOLD,
    span: tuple[float, float] | None = None,
) -> NDArray[np.int64]:
    """Class of each pixel: 0 below the threshold, else 1 + the place of the largest score (the first of equals).

    Args:
        probability: H×W.
        class_scores: Y×H×W, in any monotone scale.
        threshold: from here on a pixel is of a defect class.
        span: what becomes 0 and 1 before the threshold; None: nothing is scaled.
    """
    values = probability.astype(np.float64, copy=False)
    if span is not None:
        values = (values - span[0]) / (span[1] - span[0])
    return np.where(values >= threshold, np.argmax(class_scores, axis=0) + 1, 0).astype(np.int64)


def image_class(classes: ClassMap, min_area: int = 1) -> int:
    """The most frequent class of an image's pixels beside 0, the smallest of equals; 0 where none has `min_area` pixels."""
    counts = np.bincount(np.ravel(classes), minlength=2)[1:]
    return int(np.argmax(counts)) + 1 if counts.max() >= min_area else 0


def class_map(regions: Sequence[Region], size: tuple[int, int], classes: Sequence[str]) -> NDArray[np.int64]:
    """Class ids of an image's pixels from its labelled regions; where regions overlap, the last one counts.

    Raises:
        DataError: a region is of none of the classes (E_LABEL), or of another size (E_SIZE).
    """
    found = np.zeros(size, np.int64)
    for region in regions:
        if region.defect not in classes:
            raise DataError("E_LABEL", f"a region is of the class {region.defect!r}; expected one of {', '.join(classes)}")
        if region.mask.shape != size:
            raise DataError("E_SIZE", f"a region is {region.mask.shape}, its image {size} (height, width); expected equal sizes")
        found[region.mask] = classes.index(region.defect) + 1
    return found


@dataclass(frozen=True, eq=False)
class ClassScores(Mapping[str, MetricValue]):
    """Classification of a test set.

    Args:
        metrics: `cls_acc`, `cls_miou`, `cls_acc_anomalous`.
        classes: `good` and the defects, in the order of their ids.
        images: confusion of images, int64 (Y+1)×(Y+1), rows are the truth.
        pixels: confusion of pixels, likewise.
        iou: IoU of each class over all pixels; NaN for an absent one.
        absent: classes that are neither there nor predicted.
        combined: images of several classes, which were left out.
        without_masks: anomalies without pixel truth, which `cls_miou` leaves out.
    """

    metrics: Mapping[str, MetricValue]
    classes: tuple[str, ...]
    images: Counts = field(repr=False)
    pixels: Counts = field(repr=False)
    iou: Mapping[str, float]
    absent: tuple[str, ...]
    combined: int
    without_masks: int

    def __getitem__(self, key: str) -> MetricValue:
        return self.metrics[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)


@dataclass(frozen=True)
class _Rules:
    threshold: float
    average: Average
    global_minmax: bool
    min_area: int
    absent_counts_zero: bool

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise BadParameter(f"threshold is {self.threshold}; expected a probability in 0…1, such as {THRESHOLD}")
        if self.average not in ("logits", "probabilities"):
            raise BadParameter(f"average is {self.average!r}; expected 'logits' (the code) or 'probabilities' (the paper)")
        if self.min_area < 1:
            raise BadParameter(f"min_area is {self.min_area}; expected at least 1 pixel")

    def details(self, classes: Sequence[str], given: bool) -> dict[str, str]:
        """For the record. What class maps were made with is theirs to know."""
        made = {
            "threshold": f"{self.threshold:g}",
            "scale": "min-max over the test set" if self.global_minmax else "none",
            "average": self.average,
        }
        return {"classes": ", ".join(classes), "min_area": str(self.min_area), **({"class_maps": "given"} if given else made)}


@dataclass(frozen=True, eq=False)
class _Counted:
    """Of each image that is not combined: classes, and confusion of its pixels (zeros where their truth is unknown)."""

    truth: Counts
    predicted: Counts
    pixels: Counts
    known: NDArray[np.bool_]


def score_classes(
    predictions: Sequence[NDArray[Any]],
    truth: Sequence[NDArray[Any] | None] | None,
    defects: Sequence[str],
    *,
    classes: Sequence[str],
    combined: Collection[str] = (),
    threshold: float = THRESHOLD,
    average: Average = "logits",
    global_minmax: bool = False,
    min_area: int = 1,
    absent_counts_zero: bool = False,
    resolution: str = "native",
    mask_rule: str = "as given",
    names: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> ClassScores:
    """Accuracy and mean IoU of defect classes; one image is held at a time.

    Args:
        predictions: per image its class map, int H×W of 0…Y, or the logits of its classes, float Y×H×W. They may be a
            sequence that makes an item when asked for it, and are read once (twice with `global_minmax`).
        truth: per image its class ids, int H×W of 0…Y; a bool mask marks pixels of the image's own defect; None for a normal,
            or where the truth is unknown. None: it is unknown everywhere.
        defects: per image its defect, `good` for a normal.
        classes: the defects in the order of their ids 1…Y.
        combined: defects that stand for several at once: such images are left out and counted.
        threshold, average, global_minmax: how logits become class maps; refused with class maps.
        min_area: pixels of its class that make an image anomalous.
        absent_counts_zero: an absent class counts 0 in `cls_miou` instead of being left out.
        resolution, mask_rule: what the caller did to maps and masks, for the record.
        names: N names for messages.
        resamples: bootstrap draws over images behind the 95 % intervals; 0: none.
        seed: root of those draws.

    Returns:
        `cls_acc`: share of images with the right class, normals included; undefined without normals or without anomalies.
        `cls_miou`: unweighted mean over good and the defects of the IoU of all pixels together.
        `cls_acc_anomalous`: share of anomalies with the right class (one taken for good is wrong). AnomalyDiffusion's number,
        of a classifier that knows no good, is of this kind.

    Raises:
        DataError: parts of an image differ in size (E_SIZE); a class id is outside 0…Y (E_LABEL where predicted, E_MASK_VALUES
            in the truth); a normal's truth marks pixels (E_MASK_ON_NORMAL); a logit is not finite (E_NOT_FINITE); a defect is
            unknown (E_LABEL).
        BadParameter: a parameter outside its range, or lists that differ in length.
    """
    rules = _Rules(threshold, average, global_minmax, min_area, absent_counts_zero)
    count = len(predictions)
    titles = tuple(names) if names is not None else tuple(f"image {i}" for i in range(count))
    known = (None,) * count if truth is None else truth
    _check_lengths(count, {"truth maps": len(known), "defects": len(defects), "names": len(titles)})
    ids = _class_ids(defects, classes, combined, titles)
    given = count > 0 and np.ndim(predictions[0]) == 2
    if given and (threshold, average, global_minmax) != (THRESHOLD, "logits", False):
        raise BadParameter("predictions are class maps, which need no threshold, average or global_minmax; expected logits Y×H×W")
    span = _span(predictions, rules) if global_minmax else None
    counted = _count(predictions, known, ids, titles, len(classes), rules, span)
    everything = (GOOD, *classes)
    left_out = int((ids < 0).sum())
    record = ProtocolRecord(
        metric="cls",
        resolution=resolution,
        mask_rule=mask_rule,
        protocol="as_released" if global_minmax else "honest",
        details=rules.details(everything, given),
    )
    constant = span is not None and span[0] == span[1]
    return _scores(counted, everything, record, rules, left_out, constant, resamples, seed)


def _check_lengths(count: int, lengths: Mapping[str, int]) -> None:
    for what, length in lengths.items():
        if length != count:
            raise BadParameter(f"there are {length} {what} for {count} predictions; expected one per prediction")


def _class_ids(defects: Sequence[str], classes: Sequence[str], combined: Collection[str], titles: Sequence[str]) -> Counts:
    """Class id of each image; −1 for a combined one."""
    if GOOD in classes or len(set(classes)) < len(classes) or not classes:
        raise BadParameter(f"classes are {tuple(classes)}; expected different defects, at least one, without {GOOD!r}")
    number = {GOOD: 0, **{name: i + 1 for i, name in enumerate(classes)}, **dict.fromkeys(combined, -1)}
    strange = [(title, name) for title, name in zip(titles, defects, strict=True) if name not in number]
    if strange:
        raise DataError(
            "E_LABEL",
            f"{len(strange)} images are of no known class ({strange[0][0]}: {strange[0][1]!r}); expected {', '.join(number)}",
            [title for title, _ in strange],
        )
    return np.array([number[name] for name in defects], np.int64)


def _span(predictions: Sequence[NDArray[Any]], rules: _Rules) -> tuple[float, float]:
    """Smallest and largest anomaly probability of the whole test set, combined images too."""
    low, high = math.inf, -math.inf
    for logits in predictions:
        if np.ndim(logits) == 3:
            values = anomaly_probability(np.asarray(logits), rules.average)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return low, high


def _count(
    predictions: Sequence[NDArray[Any]],
    truth: Sequence[NDArray[Any] | None],
    ids: Counts,
    titles: Sequence[str],
    defects: int,
    rules: _Rules,
    span: tuple[float, float] | None,
) -> _Counted:
    side = defects + 1
    used = np.flatnonzero(ids >= 0)
    predicted = np.zeros(len(used), np.int64)
    pixels, known = np.zeros((len(used), side, side), np.int64), np.zeros(len(used), bool)
    problems: list[Problem] = []
    for row, i in enumerate(used.tolist()):
        try:
            classes = _predicted_map(np.asarray(predictions[i]), titles[i], defects, rules, span)
            real = _true_map(truth[i], classes.shape, int(ids[i]), titles[i], defects)
        except DataError as error:
            problems.append(Problem(error.code, str(error), error.files))
            continue
        predicted[row] = image_class(classes, rules.min_area)
        if real is not None:
            known[row] = True
            pixels[row] = np.bincount((real * side + classes).ravel(), minlength=side * side).reshape(side, side)
    raise_errors(problems)
    return _Counted(ids[used], predicted, pixels, known)


def _predicted_map(
    values: NDArray[Any], title: str, defects: int, rules: _Rules, span: tuple[float, float] | None
) -> NDArray[np.int64]:
    if values.ndim == 2 and values.dtype.kind in "iu":
        return _checked_ids(values, defects, "E_LABEL", f"the class map predicted for {title}", title)
    if values.ndim != 3 or values.shape[0] != defects or values.dtype.kind not in "fiu":
        raise DataError(
            "E_SIZE",
            f"the prediction for {title} is {values.dtype} of shape {values.shape}; expected whole numbers of shape "
            f"height×width, or logits of shape {defects}×height×width",
            [title],
        )
    if not np.isfinite(values).all():
        raise DataError(
            "E_NOT_FINITE", f"the logits of {title} are not all finite; expected finite numbers: repair them", [title]
        )
    if span is not None and span[0] == span[1]:
        return np.zeros(values.shape[1:], np.int64)  # nothing can be scaled; the metrics will be undefined
    return pixel_classes(anomaly_probability(values, rules.average), values, rules.threshold, span)


def _true_map(truth: NDArray[Any] | None, shape: tuple[int, ...], own: int, title: str, defects: int) -> NDArray[np.int64] | None:
    """Class ids of the pixels; None for an anomaly whose pixel truth is missing or empty."""
    if truth is None:
        return np.zeros(shape, np.int64) if own == 0 else None
    values = np.asarray(truth)
    if values.shape != shape:
        raise DataError(
            "E_SIZE", f"the truth of {title} is {values.shape}, its prediction {shape}; expected equal sizes", [title]
        )
    if values.dtype == bool:
        values = values * np.int64(max(own, 1))
    elif values.dtype.kind not in "iu":
        raise DataError("E_MASK_VALUES", f"the truth of {title} is {values.dtype}; expected class ids or booleans", [title])
    ids = _checked_ids(values, defects, "E_MASK_VALUES", f"the truth of {title}", title)
    if own == 0 and ids.any():
        raise DataError(
            "E_MASK_ON_NORMAL",
            f"{title} is good, and its truth marks {np.count_nonzero(ids)} pixels; expected a normal's truth to be 0 everywhere: "
            "repair the truth or the label",
            [title],
        )
    return ids if own == 0 or ids.any() else None


def _checked_ids(values: NDArray[Any], defects: int, code: str, what: str, title: str) -> NDArray[np.int64]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > defects:
        raise DataError(code, f"{what} holds the class {low if low < 0 else high}; expected 0 (good) to {defects}", [title])
    return values.astype(np.int64)


def _scores(
    counted: _Counted,
    classes: tuple[str, ...],
    record: ProtocolRecord,
    rules: _Rules,
    combined: int,
    constant: bool,
    resamples: int,
    seed: int,
) -> ClassScores:
    anomalous = counted.truth > 0
    bare = int((~counted.known).sum())
    pixels: Counts = counted.pixels.sum(axis=0)
    iou, absent = _iou(pixels)
    gone = tuple(name for name, flag in zip(classes, absent, strict=True) if flag)
    images = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(images, (counted.truth, counted.predicted), 1)
    right = counted.truth == counted.predicted
    reasons = _reasons(counted, constant)
    values = {
        "cls_acc": (_mean(right), _counts(anomalous, combined)),
        "cls_miou": (
            float(_mean_iou(pixels[None], rules.absent_counts_zero)[0]),
            {
                **_counts(anomalous[counted.known], combined + bare),
                "pixels": int(pixels.sum()),
                "positive_pixels": int(pixels[1:].sum()),
                "left_out": () if rules.absent_counts_zero else gone,
                "details": {**record.details, "absent": "0" if rules.absent_counts_zero else "left out"},
                "protocol": "as_released" if rules.absent_counts_zero else record.protocol,
            },
        ),
        "cls_acc_anomalous": (_mean(right[anomalous]), {**_counts(anomalous[anomalous], combined)}),
    }
    intervals = _bootstrap(counted, rules, resamples, seed) if not constant else {}
    metrics = {
        key: MetricValue(
            math.nan if reasons[key] else value,
            reasons[key],
            replace(record, metric=key, mask_rule=record.mask_rule if key == "cls_miou" else None, **fields),
            interval=None if reasons[key] else intervals.get(key),
        )
        for key, (value, fields) in values.items()
    }
    return ClassScores(metrics, classes, images, pixels, dict(zip(classes, iou.tolist(), strict=True)), gone, combined, bare)


def _counts(anomalous: NDArray[np.bool_], left_out: int) -> dict[str, Any]:
    total, anomalies = len(anomalous), int(anomalous.sum())
    return {"images": total, "normals": total - anomalies, "anomalies": anomalies, "excluded": left_out}


def _mean(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else math.nan


def _reasons(counted: _Counted, constant: bool) -> dict[str, Reason | None]:
    anomalous = counted.truth > 0
    if not len(anomalous) or constant:
        return dict.fromkeys(("cls_acc", "cls_miou", "cls_acc_anomalous"), "constant" if len(anomalous) else "too_few_samples")
    if not anomalous.any():
        return dict.fromkeys(("cls_acc", "cls_miou", "cls_acc_anomalous"), "no_positive")
    return {
        "cls_acc": "no_negative" if anomalous.all() else None,
        "cls_miou": None if counted.known[anomalous].any() else "no_masks",
        "cls_acc_anomalous": None,
    }


def _iou(pixels: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """IoU of each class, NaN where it is absent, and which are; of one confusion or of a stack."""
    hits = np.diagonal(pixels, axis1=-2, axis2=-1).astype(np.float64)
    union = pixels.sum(axis=-1) + pixels.sum(axis=-2) - hits
    absent = union == 0
    return np.divide(hits, union, out=np.full(hits.shape, np.nan), where=~absent), absent


def _mean_iou(pixels: NDArray[Any], absent_counts_zero: bool) -> Floats:
    """Mean over the classes of each confusion of a stack; NaN where all are absent."""
    iou, absent = _iou(pixels)
    present = np.full(len(iou), iou.shape[1]) if absent_counts_zero else (~absent).sum(axis=1)
    means: Floats = np.divide(np.nansum(iou, axis=1), present, out=np.full(len(iou), np.nan), where=present > 0)
    return means


def _bootstrap(counted: _Counted, rules: _Rules, resamples: int, seed: int) -> dict[str, Interval]:
    """Intervals over images; a draw that lacks what a metric needs is left out of it."""
    count, side = len(counted.truth), counted.pixels.shape[1]
    if not resamples or not count:
        return {}
    rng = Seed(seed).numpy("bootstrap")
    right, anomalous = counted.truth == counted.predicted, counted.truth > 0
    confusions = counted.pixels.reshape(count, -1).astype(np.float64)
    drawn: dict[str, list[float]] = {"cls_acc": [], "cls_miou": [], "cls_acc_anomalous": []}
    for start in range(0, resamples, AT_ONCE):
        chosen = [rng.integers(count, size=count) for _ in range(min(AT_ONCE, resamples - start))]
        weights = np.stack([np.bincount(each, minlength=count) for each in chosen]).astype(np.float64)
        found, marked = weights @ anomalous, weights @ (anomalous & counted.known)
        both = (found > 0) & (found < count)
        drawn["cls_acc"] += (weights[both] @ right / count).tolist()
        drawn["cls_acc_anomalous"] += (weights[found > 0] @ (right & anomalous) / found[found > 0]).tolist()
        stack = (weights[marked > 0] @ confusions).reshape(-1, side, side)
        drawn["cls_miou"] += _mean_iou(stack, rules.absent_counts_zero).tolist()
    return {key: interval_of(values) for key, values in drawn.items() if values}
