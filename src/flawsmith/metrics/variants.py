"""Variants of AUPRO that released code computes: for comparison with its published numbers, never as our own score.

Each does what the table of `docs/metrics.md` says of it, in float64 unless float32 is the variant. The reference is `mvtec`
in `flawsmith.metrics.overlap`. All stream over the images but `mvtec3d-100` and `anomalib<2.3`, which sort the whole
background and take 4 bytes per pixel (8 for float64 maps).

Sources: MVTec 3D-AD evaluation code (`au_pro_util`, copied by DRAEM and AnomalyDiffusion); UniADC `utils/metrics.py`; ADer
and the SPADE and CFlow lineage; GLASS `metrics.py`; anomalib `metrics/aupro.py` before and from 2.3; MemSeg.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import OverBudget, UnknownName
from flawsmith.metrics.counting import MEMORY_BUDGET, size_text
from flawsmith.metrics.grids import background_of, counts_above, span_of, used_images, weighted_steps
from flawsmith.metrics.overlap import check_connectivity, check_limit, label_regions, overlap_area
from flawsmith.metrics.records import Reason
from flawsmith.metrics.steps import Floats, Steps, area_up_to
from flawsmith.metrics.testset import CheckedSet

RANKS = 100
"""Thresholds of `mvtec3d-100`."""

LEVELS = 200
"""Thresholds of the `uniform-200` variants and of `dilated`."""

BYTES_PER_POINT = 100
"""Peak cost of a point of the curve in `anomalib<2.3`."""

DILATION = 5
"""Side of the square by which `dilated` grows a prediction."""

VARIANTS: Mapping[str, str] = {
    "mvtec3d-100": "100 thresholds, equidistant in rank of background scores: 0.3 to 1.5 points too low",
    "uniform-200/max": "200 thresholds, equidistant in score, cut without interpolation: too low, unstable where maps saturate",
    "uniform-200/minmax": "as uniform-200/max, divided by the span of the false-positive rates that are left",
    "anomalib>=2.3": "the reference in float32",
    "anomalib<2.3": "each region's ROC resampled to one index, divided by the mean last false-positive rate: can exceed 1",
    "full": "the whole curve, whatever the limit: 10 to 20 points too high, chance is 0.5",
    "dilated": "predictions grown by 5×5 for the overlap and not for the false-positive rate: too high",
}
"""Id → caution, one line, for the head of a column."""

Measured = tuple[float, Reason | None]


@dataclass(frozen=True, eq=False)
class _Case:
    data: CheckedSet
    connectivity: int
    limit: float
    memory: int


def variant_area(name: str, data: CheckedSet, *, connectivity: int = 8, limit: float = 0.3, memory: int = MEMORY_BUDGET) -> float:
    """AUPRO as some released code computes it.

    Args:
        name: id of a variant, one of `VARIANTS`.
        data: the checked test set.
        connectivity: 8 or 4 neighbours join pixels to a region; all variants were released with 8.
        limit: end of the curve, share of the background; `full` has none.
        memory: bytes that sorting the background may take.

    Returns:
        The area; `anomalib<2.3` may give more than 1. NaN where it is undefined (see `variant_with_reason`).

    Raises:
        UnknownName: no such variant.
        BadParameter: connectivity or limit is outside its range.
        OverBudget: the variant sorts the background, which does not fit `memory`.
    """
    return variant_with_reason(name, data, connectivity=connectivity, limit=limit, memory=memory)[0]


def variant_with_reason(
    name: str, data: CheckedSet, *, connectivity: int = 8, limit: float = 0.3, memory: int = MEMORY_BUDGET
) -> Measured:
    """`variant_area`, and why it is NaN: no region, no background, constant maps, too few points below the limit."""
    if name not in VARIANTS:
        raise UnknownName("AUPRO variant", name, ("mvtec", *VARIANTS))
    check_connectivity(connectivity)
    check_limit(limit)
    case = _Case(data, connectivity, limit, memory)
    reason = _undefined(case)
    if reason is not None:
        return math.nan, reason
    _refuse_over_budget(name, case)
    return _COMPUTE[name](case)


def _refuse_over_budget(name: str, case: _Case) -> None:
    each = {"mvtec3d-100": 0.0, "anomalib<2.3": BYTES_PER_POINT * case.limit}
    if name not in each:
        return
    count = sum(case.data.pixels(i) - case.data.defect_pixels(i) for i in np.flatnonzero(case.data.usable).tolist())
    need = int(count * (case.data.dtype.itemsize + each[name]))
    if need > case.memory:
        raise OverBudget(
            f"AUPRO {name} sorts {count:,} background pixels, which takes {size_text(need)}, and the budget is "
            f"{size_text(case.memory)}; raise memory=, or take pro=mvtec"
        )


def _undefined(case: _Case) -> Reason | None:
    data = case.data
    if data.labels.any() and not data.masked.any():
        return "no_masks"
    used = np.flatnonzero(data.usable).tolist()
    positives = sum(data.defect_pixels(i) for i in used)
    negatives = sum(data.pixels(i) for i in used) - positives
    if positives and negatives:
        return None
    if not positives and not negatives:
        return "too_few_samples"
    return "no_negative" if positives else "no_positive"


# Thresholds equidistant in score


def _uniform_max(case: _Case) -> Measured:
    return _uniform_area(case, lambda rate: rate / rate.max())


def _uniform_minmax(case: _Case) -> Measured:
    return _uniform_area(case, lambda rate: (rate - rate.min()) / (rate.max() - rate.min()))


def _dilated(case: _Case) -> Measured:
    return _uniform_area(case, lambda rate: (rate - rate.min()) / (rate.max() - rate.min()), grow=DILATION)


def _uniform_area(case: _Case, scale: Callable[[Floats], Floats], grow: int = 1) -> Measured:
    """Points of the curve below the limit, their false-positive rates scaled, integrated by trapezoids."""
    low, high = span_of(case.data)
    if low == high:
        return math.nan, "constant"
    rate, overlap = _uniform_curve(case, np.linspace(low, high, LEVELS, endpoint=False), grow)
    kept = rate < case.limit
    x, y = rate[kept][::-1], overlap[kept][::-1]
    if len(x) < 2 or x[-1] == x[0]:
        return math.nan, "no_curve"
    x = scale(x)
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2), None


def _uniform_curve(case: _Case, thresholds: Floats, grow: int) -> tuple[Floats, Floats]:
    """Share of the background above each threshold, and mean overlap of the regions; strictly above counts."""
    above = np.zeros(len(thresholds), np.int64)
    covered, regions, background = np.zeros(len(thresholds)), 0, 0
    for values, mask in used_images(case.data):
        outside = background_of(values, mask)
        above += counts_above(outside, thresholds)
        background += len(outside)
        if mask is not None:
            for scores in _scores_by_region(_grown(values, grow), mask, case.connectivity):
                covered += counts_above(scores, thresholds) / len(scores)
                regions += 1
    return above / background, covered / regions


def _grown(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Maximum over a square: thresholding it is growing the thresholded map."""
    return values if side == 1 else cv2.dilate(np.ascontiguousarray(values), np.ones((side, side), np.uint8))


# Thresholds equidistant in rank


def _ranked(case: _Case) -> Measured:
    """100 positions among the sorted background scores; the rate is the rank, ties or not; overlap is strictly above."""
    background = _sorted_background(case)
    places = np.linspace(0, len(background) - 1, RANKS, dtype=np.int64)
    thresholds = background[places]
    covered, regions = np.zeros(RANKS), 0
    for scores in _region_scores(case):
        covered += (len(scores) - np.searchsorted(scores, thresholds, "right")) / len(scores)
        regions += 1
    rate = np.append(1.0 - (places[::-1] + 1) / len(background), 1.0)
    overlap = np.append(covered[::-1] / regions, 1.0)
    return area_up_to(rate, overlap, limit=case.limit), None


def _sorted_background(case: _Case) -> NDArray[Any]:
    """Scores of all pixels outside every region, ascending, copied once."""
    data = case.data
    used = np.flatnonzero(data.usable).tolist()
    scores = np.empty(sum(data.pixels(i) - data.defect_pixels(i) for i in used), data.dtype)
    filled = 0
    for values, mask in used_images(case.data):
        outside = background_of(values, mask)
        scores[filled : filled + len(outside)] = outside
        filled += len(outside)
    scores.sort()
    return scores


def _region_scores(case: _Case) -> Iterator[NDArray[Any]]:
    """Scores of each region, ascending."""
    for values, mask in used_images(case.data):
        if mask is not None:
            yield from _scores_by_region(values, mask, case.connectivity)


def _scores_by_region(values: NDArray[Any], mask: Mask, connectivity: int) -> list[NDArray[Any]]:
    labels, count = label_regions(mask, connectivity)
    inside, scores = labels[mask], values[mask]
    ends = np.cumsum(np.bincount(inside, minlength=count + 1)[1:])
    return np.split(scores[np.lexsort((scores, inside))], ends[:-1])


# All distinct scores as thresholds


def _whole(case: _Case) -> Measured:
    return overlap_area(_steps(case), 1.0), None


def _single_precision(case: _Case) -> Measured:
    """Scores, false-positive rates and overlaps in float32. The curve always reaches the limit, so that is its last rate."""
    steps = _steps(case, np.float32)
    rate, overlap = (part.astype(np.float32).astype(np.float64) for part in steps.curve(steps.mass))
    return area_up_to(rate, overlap, limit=float(np.float32(case.limit))), None


def _steps(case: _Case, dtype: Any = None) -> Steps:
    regions = [scores.astype(dtype or case.data.dtype, copy=False) for scores in _region_scores(case)]
    weights = np.concatenate([np.full(len(scores), 1.0 / len(scores)) for scores in regions])
    return weighted_steps(case.data, np.concatenate(regions), weights)


# One ROC per region, resampled


def _resampled(case: _Case) -> Measured:
    """Before 2.3 anomalib averaged over regions at equal indices into each region's ROC, not at equal rates.

    The index runs over the points of the ROC of all pixels that lie within the limit. A region's ROC (its pixels against the
    background) is cut at the limit, its points are spread over that index, and rates and overlaps are interpolated there;
    the last sample is put where the rate is the limit. Rates and overlaps are averaged, the points sorted by rate, and the
    area is divided by the last sample's rate. Where samples before the last lie beyond the limit, as with coarse scores,
    the area can exceed 1. torchmetrics' sigmoid on maps outside 0…1 is not applied.

    Every region costs a walk through the background within the limit.
    """
    background = _sorted_background(case)
    regions = list(_region_scores(case))
    ground = _Ground.of(background, case.limit)
    size = int(np.count_nonzero(ground.roc(np.sort(np.concatenate(regions)))[0] <= case.limit))
    if size < 2:
        return math.nan, "no_curve"
    rates, overlaps = np.zeros(size), np.zeros(size)
    for scores in regions:
        rate, overlap = _resampled_roc(*ground.roc(scores), size, case.limit)
        rates += rate
        overlaps += overlap
    rates, overlaps = rates / len(regions), overlaps / len(regions)
    order = np.argsort(rates, kind="stable")
    return float(np.trapezoid(overlaps[order], rates[order]) / rates[-1]), None


@dataclass(frozen=True, eq=False)
class _Ground:
    """The background as far as the curve up to the limit needs it: to the first rate beyond.

    Args:
        levels: the highest distinct scores, ascending.
        rates: share of the background that reaches each.
        floor: the next lower score; -inf where there is none.
    """

    levels: NDArray[Any]
    rates: Floats
    floor: float

    @classmethod
    def of(cls, background: NDArray[Any], limit: float) -> _Ground:
        kept = min(len(background), int(limit * len(background)) + 2)
        first = int(np.searchsorted(background, background[len(background) - kept], "left"))
        levels, places = np.unique(background[first:], return_index=True)
        floor = float(background[first - 1]) if first else -math.inf
        return cls(levels, (len(background) - first - places) / len(background), floor)

    def roc(self, positives: NDArray[Any]) -> tuple[Floats, Floats]:
        """False and true-positive rates from (0, 0), a point per distinct score above the floor; `positives` ascend."""
        scores, counts = np.unique(positives[np.searchsorted(positives, self.floor, "right") :], return_counts=True)
        places = np.searchsorted(self.levels, scores, "left")
        new = self.levels[np.minimum(places, len(self.levels) - 1)] != scores
        between = places[new]  # scores of the region alone become points between two levels
        rate = np.insert(self.rates, between, np.append(self.rates, 0.0)[between])
        gained = np.zeros(len(rate))
        gained[between + np.arange(len(between))] = counts[new]
        gained[places[~new] + np.searchsorted(between, places[~new], "right")] = counts[~new]
        found = np.cumsum(gained[::-1]) / len(positives)
        return np.append(0.0, rate[::-1]), np.append(0.0, found)


def _resampled_roc(rate: Floats, found: Floats, size: int, limit: float) -> tuple[Floats, Floats]:
    end = int(np.searchsorted(rate, limit, "right"))  # points within the limit
    samples = np.arange(size, dtype=np.float64)
    if rate[end - 1] == 0:
        # Nothing lies between 0 and the limit: all points of the first rate beyond it come along.
        end = int(np.searchsorted(rate, rate[end], "right"))
    elif not np.isclose(rate[end - 1], limit):
        # One point beyond the limit comes along, and the last sample is moved to where the rate is the limit.
        step = (size - 1) / end
        samples[-1] = size - 1 - step + step * (limit - rate[end - 1]) / (rate[end] - rate[end - 1])
        end += 1
    places = np.linspace(0, size - 1, end)
    return np.interp(samples, places, rate[:end]), np.interp(samples, places, found[:end])


_COMPUTE: Mapping[str, Callable[[_Case], Measured]] = {
    "mvtec3d-100": _ranked,
    "uniform-200/max": _uniform_max,
    "uniform-200/minmax": _uniform_minmax,
    "anomalib>=2.3": _single_precision,
    "anomalib<2.3": _resampled,
    "full": _whole,
    "dilated": _dilated,
}
