"""Intervals of pixel metrics by resampling images; pixels of one photograph are not independent and are never resampled.

A resample weighs each image by how often it was drawn, so nothing is sorted again. Scores of defect pixels serve as
thresholds, and each image is counted once into the slots that they make: pixels at a threshold, and pixels between two. A
resample's counts are then a product of its weights with the images' counts, and its metrics follow from cumulative sums over
a few thousand slots. All products are of whole numbers, so no order of summation changes a bit.

Where there are no more distinct scores of defect pixels than thresholds, every resample is exact. Else the thresholds are
quantiles of them, closer at the top, where average precision is decided; a slot is then a tie (AUROC, AUPRO), its precision
the mean of its ends (AP), and its ends the thresholds (F1). The difference that this makes for the set itself is known and is
taken off both ends of the interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.seeding import Seed
from flawsmith.metrics.anchored import PART, weights_of
from flawsmith.metrics.bootstrap import interval_of
from flawsmith.metrics.grids import background_of
from flawsmith.metrics.overlap import FPR_LIMIT, region_sizes
from flawsmith.metrics.records import Interval
from flawsmith.metrics.steps import Floats, Scores1D
from flawsmith.metrics.testset import CheckedSet

MEMORY = 256 * 2**20
"""Bytes that the images' counts may take unless told otherwise."""

MOST_THRESHOLDS = 2048
FEWEST_THRESHOLDS = 64
MOST_SAMPLED = 1 << 22
"""Scores of defect pixels that thresholds are chosen from."""

AT_ONCE = 32
"""Resamples that are counted together."""

KINDS = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro", "pixel_iou_max")


def bootstrap_pixels(
    data: CheckedSet,
    values: Mapping[str, float],
    *,
    connectivity: int = 8,
    limit: float = FPR_LIMIT,
    resamples: int = 1000,
    seed: int = 0,
    memory: int = MEMORY,
) -> dict[str, Interval]:
    """95 % percentile intervals of pixel metrics over images.

    Reads maps and masks twice more. The draws are those of the image metrics: with one seed both see the same resamples.

    Args:
        data: the checked test set.
        values: the metrics of the set itself, of those in `KINDS`; the others are not computed.
        connectivity, limit: of `pixel_aupro`.
        resamples: draws with replacement; those without defect or without background pixels are left out.
        seed: root of the draws.
        memory: bytes that the images' counts may take.

    Returns:
        By id; empty where no resample had both kinds of pixels.
    """
    counts = SlotCounts.of(data, chosen_thresholds(data, _thresholds_within(data, memory)), connectivity)
    whole = counts.measure(np.ones((1, len(data.labels))), limit)
    drawn: dict[str, list[float]] = {key: [] for key in KINDS if key in values}
    for weights in _draws(len(data.labels), resamples, seed):
        found = counts.measure(weights, limit)
        for key, numbers in drawn.items():
            numbers += found[key].tolist()
    return {key: _moved(interval_of(numbers), values[key] - float(whole[key][0])) for key, numbers in drawn.items() if numbers}


def chosen_thresholds(data: CheckedSet, most: int) -> Scores1D:
    """At most `most` scores of defect pixels, ascending: all distinct ones where they are so few, else quantiles."""
    marked = [i for i in np.flatnonzero(data.usable).tolist() if data.labels[i]]
    share = MOST_SAMPLED // max(1, len(marked))
    found = [np.empty(0, data.dtype), *(_spread(_defect_scores(data, i), share) for i in marked)]
    scores = np.sort(np.concatenate(found)) + data.dtype.type(0)
    distinct = np.unique(scores)
    if len(distinct) <= most:
        return distinct
    evenly = np.linspace(0, len(scores) - 1, most - most // 4)
    from_top = len(scores) - np.geomspace(1, len(scores), most // 4)
    return np.unique(scores[np.concatenate((evenly, from_top)).astype(np.int64)])


def _defect_scores(data: CheckedSet, i: int) -> NDArray[Any]:
    scores: NDArray[Any] = data.map(i)[data.mask(i)]
    return scores


def _spread(scores: NDArray[Any], most: int) -> NDArray[Any]:
    """At most `most` of the scores, at equal ranks."""
    if len(scores) <= most:
        return scores
    return np.sort(scores)[np.linspace(0, len(scores) - 1, most).astype(np.int64)]


def _thresholds_within(data: CheckedSet, memory: int) -> int:
    anomalies = int((data.usable & (data.labels == 1)).sum())
    row = 8 * 2 * (len(data.labels) + 3 * anomalies)  # float64, two slots per threshold
    return int(np.clip(memory // max(1, row), FEWEST_THRESHOLDS, MOST_THRESHOLDS))


@dataclass(frozen=True, eq=False)
class SlotCounts:
    """Pixels of each image by slot, from the highest scores down; every other slot, the second first, is a single score.

    Args:
        background: images × slots.
        defect: anomalies × slots.
        whole, part: likewise, the sums of 1/|region| of defect pixels as whole·2^−31 + part·2^−62; all numbers are whole.
        anomalies: which images these are.
    """

    background: Floats
    defect: Floats
    whole: Floats
    part: Floats
    anomalies: NDArray[np.intp]

    @classmethod
    def of(cls, data: CheckedSet, thresholds: Scores1D, connectivity: int) -> SlotCounts:
        """Count; images whose pixels do not count have none."""
        slots = 2 * len(thresholds) + 1
        anomalies = np.flatnonzero(data.usable & (data.labels == 1))
        row_of = {int(i): row for row, i in enumerate(anomalies)}
        background = np.zeros((len(data.labels), slots))
        defect, whole, part = (np.zeros((len(anomalies), slots)) for _ in range(3))
        for i in np.flatnonzero(data.usable).tolist():
            values, mask = data.map(i), data.mask(i)
            background[i] = np.bincount(_slots(background_of(values, mask), thresholds), minlength=slots)
            if mask is not None:
                places = _slots(values[mask], thresholds)
                row, columns = row_of[i], weights_of(region_sizes(mask, connectivity)[0])
                defect[row] = np.bincount(places, minlength=slots)
                whole[row], part[row] = (np.bincount(places, column, minlength=slots) for column in columns)
                carried, part[row] = np.divmod(part[row], 1 << PART)
                whole[row] += carried
        return cls(background[:, ::-1], defect[:, ::-1], whole[:, ::-1], part[:, ::-1], anomalies)

    def measure(self, weights: Floats, limit: float) -> dict[str, Floats]:
        """Each of `KINDS` for each row of weights that has both kinds of pixels.

        Args:
            weights: resamples × images, how often each was drawn.
            limit: right end of the PRO curve.
        """
        alarms = np.cumsum(weights @ self.background, axis=1)
        hits = np.cumsum(weights[:, self.anomalies] @ self.defect, axis=1)
        both = (alarms[:, -1] > 0) & (hits[:, -1] > 0)
        alarms, hits, weights = alarms[both], hits[both], weights[both][:, self.anomalies]
        whole, part = np.cumsum(weights @ self.whole, axis=1), np.cumsum(weights @ self.part, axis=1)
        mass = np.ldexp(whole, -PART) + np.ldexp(part, -2 * PART)
        rate = alarms / alarms[:, -1:]
        f1 = (2 * hits / (hits + alarms + hits[:, -1:])).max(axis=1, initial=0.0)
        return {
            "pixel_auroc": _area(rate, hits / hits[:, -1:], 1.0),
            "pixel_ap": _average_precision(hits, alarms),
            "pixel_f1max": f1,
            "pixel_aupro": _area(rate, mass / mass[:, -1:], limit),
            "pixel_iou_max": f1 / (2 - f1),
        }


def _slots(values: NDArray[Any], thresholds: Scores1D) -> NDArray[np.intp]:
    """2j + 1 where a value equals threshold j, 2j where it lies below it and above the one before."""
    flat = values.ravel()
    below = np.searchsorted(thresholds, flat, "left")
    equal = np.append(thresholds, np.inf)[below] == flat
    slots: NDArray[np.intp] = 2 * below + equal
    return slots


def _area(x: Floats, y: Floats, limit: float) -> Floats:
    """Area under each row's line from (0, 0) up to `limit`, divided by it."""
    left, low = np.pad(x[:, :-1], ((0, 0), (1, 0))), np.pad(y[:, :-1], ((0, 0), (1, 0)))
    width = np.minimum(x, limit) - np.minimum(left, limit)
    run = np.where(x > left, x - left, 1.0)
    end = low + (y - low) * np.minimum(width / run, 1.0)
    area: Floats = np.minimum((width * (low + end)).sum(axis=1) / 2 / limit, 1.0)
    return area


def _average_precision(hits: Floats, alarms: Floats) -> Floats:
    """By the step rule at single scores; between two scores, where only the quantiles are known, by the mean of both ends."""
    reached = hits + alarms
    precision = np.divide(hits, reached, out=np.zeros_like(hits), where=reached > 0)
    # Before anything is reached the precision is that of what comes first.
    start = np.where(np.pad(reached[:, :-1], ((0, 0), (1, 0))) > 0, np.pad(precision[:, :-1], ((0, 0), (1, 0))), precision)
    height = precision.copy()
    height[:, ::2] = (precision[:, ::2] + start[:, ::2]) / 2
    gained = np.diff(hits, axis=1, prepend=0.0)
    found: Floats = (gained * height).sum(axis=1) / hits[:, -1]
    return found


def _draws(count: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each image was drawn, some resamples at a time."""
    rng = Seed(seed).numpy("bootstrap")
    for start in range(0, resamples, AT_ONCE):
        chosen = [rng.integers(count, size=count) for _ in range(min(AT_ONCE, resamples - start))]
        yield np.stack([np.bincount(each, minlength=count) for each in chosen]).astype(np.float64)


def _moved(interval: Interval, by: float) -> Interval:
    low, high = (float(np.clip(end + by, 0.0, 1.0)) for end in (interval.low, interval.high))
    return Interval(low, high, interval.level, interval.resamples)
