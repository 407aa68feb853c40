"""Means of metric values: over categories, over data sets, over runs, over ratios of anomalies.

A mean is taken only of values that were measured alike. What has no number is left out and named, never counted as 0.

Sources: metrics' specification, sections 0 and 8; ASBench, eq. 1 and tables VII and VIII.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.records import COUNTS, SPLIT, MetricValue, ProtocolRecord

ASBENCH_CATEGORIES: Mapping[str, int] = {"MVTec AD": 15, "BTAD": 3, "VisA": 12, "MPDD": 6, "MTD": 1}
"""Number of categories of ASBench's data sets, the N of its eq. 1."""

COUNTED = ("images", "normals", "anomalies", "pixels", "positive_pixels", "regions", "excluded")
MEAN = "mean"
"""The detail that says what a mean is over."""


def macro_mean(values: Mapping[str, MetricValue], *, allow: Collection[str] = ()) -> MetricValue:
    """The mean over categories, all of one weight.

    Args:
        values: by category, one metric, measured alike.
        allow: names of fields that may differ all the same; the record says so.

    Returns:
        The mean of the categories that have a finite number. Its record lists them, and those left out, and adds up the counts.

    Raises:
        BadParameter: no category, or two that were measured differently.
    """
    return _mean(values, dict.fromkeys(values, 1.0), "macro", allow)


def across_datasets(
    values: Mapping[str, MetricValue], sizes: Mapping[str, int] = ASBENCH_CATEGORIES, *, allow: Collection[str] = ()
) -> MetricValue:
    """ASBench's eq. 1: the mean over data sets, each weighted by its number of categories.

    Equal to the mean over all categories of all data sets.

    Args:
        values: by data set, the mean over its categories.
        sizes: data set → number of categories.
        allow: names of fields that may differ all the same; what the means are over differs anyway.

    Raises:
        BadParameter: no data set, one without a size, or two that were measured differently.
    """
    for name in values:
        if (size := sizes.get(name, 0)) < 1:
            raise BadParameter(f"the number of categories of {name!r} is {size}; expected at least 1: give it in sizes")
    return _mean(values, {name: float(sizes[name]) for name in values}, "by number of categories", {*allow, "categories"})


def over_runs(values: Sequence[MetricValue], *, allow: Collection[str] = ()) -> MetricValue:
    """Mean ± std (ddof 1) over runs that differ in their seed, and so in their split; one run has no ±.

    Raises:
        BadParameter: no run, or two that were measured differently.
    """
    named = {f"run {number}": value for number, value in enumerate(values)}
    kept = [value.value for value in values if _counts(value)]
    mean = _mean(named, dict.fromkeys(named, 1.0), "", {*allow, SPLIT})
    record = replace(mean.record, categories=_common(value.record.categories for value in values), runs=len(kept))
    return replace(mean, record=record, std=float(np.std(kept, ddof=1)) if len(kept) > 1 else None)


@dataclass(frozen=True)
class Stability:
    """How a metric moves with the share of anomalies in training (ASBench, tables VII and VIII).

    Args:
        mean, variance, max, min: over the ratios; the variance with ddof 1, NaN of a single one.
        range: max − min.
        n: number of ratios with a number.
        left_out: those without.
    """

    mean: float
    variance: float
    max: float
    min: float
    range: float
    n: int
    left_out: tuple[float, ...] = ()


def ratio_stability(values: Mapping[float, float]) -> Stability:
    """Mean, variance, maximum, minimum and range of a metric over ratios.

    Args:
        values: ratio → value; NaN where there is none.

    Raises:
        BadParameter: no ratio.
    """
    if not values:
        raise BadParameter("there are no ratios; expected at least one")
    kept = [value for value in values.values() if math.isfinite(value)]
    left_out = tuple(ratio for ratio, value in values.items() if not math.isfinite(value))
    if not kept:
        return Stability(math.nan, math.nan, math.nan, math.nan, math.nan, 0, left_out)
    variance = float(np.var(kept, ddof=1)) if len(kept) > 1 else math.nan
    return Stability(float(np.mean(kept)), variance, max(kept), min(kept), max(kept) - min(kept), len(kept), left_out)


def differs_by_more_than_rounding(printed: float, parts: Sequence[float], unit: float, weights: Sequence[float] = ()) -> bool:
    """Whether a printed average cannot be that of the printed parts.

    Both are rounded to multiples of `unit`, so the average of the rounded parts may lie up to one unit away.

    Args:
        printed: the average as printed.
        parts: what it is the average of, as printed.
        unit: of the last digit, 0.01 for two decimals.
        weights: one per part; empty: all alike.
    """
    return bool(abs(printed - np.average(parts, weights=weights or None)) > unit * (1 + 1e-9))


def joined_record(
    records: Mapping[str, ProtocolRecord], kind: str, left_out: Collection[str] = (), allow: Collection[str] = ()
) -> ProtocolRecord:
    """The record of a mean: what all agree in, the counts added up, the names of the parts.

    Args:
        records: by part.
        kind: what the mean is over; empty: not said.
        left_out: parts without a number.
        allow: fields that may differ; the split, which always belongs to one category, is among them where the parts are.

    Raises:
        BadParameter: they differ in a field that is not allowed.
    """
    names = list(records)
    first = records[names[0]]
    differing: set[str] = set()
    for name in names[1:]:
        found = set(first.differences(records[name]))
        if forbidden := found - {*allow, SPLIT}:
            raise BadParameter(
                f"{first.metric} of {names[0]!r} and of {name!r} differ in {', '.join(sorted(forbidden))}; expected one protocol "
                "in a mean: measure them alike"
            )
        differing |= found
    details = {key: _joined(key, records) for key in first.details}
    if kind:
        details[MEAN] = kind
    if told := sorted(differing & set(allow) - {SPLIT, "categories"} - COUNTS):
        details["mixed"] = ", ".join(told)
    counts = {name: sum(getattr(record, name) for record in records.values()) for name in COUNTED}
    return replace(first, details=details, categories=tuple(names), left_out=tuple(left_out), **counts)


def _joined(key: str, records: Mapping[str, ProtocolRecord]) -> str:
    """A detail that all share, or for splits the digest of the digests."""
    told = {name: record.details.get(key, "") for name, record in records.items()}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest() if key == SPLIT else "differs"


def _mean(values: Mapping[str, MetricValue], weights: Mapping[str, float], kind: str, allow: Collection[str]) -> MetricValue:
    if not values:
        raise BadParameter("there are no values; expected at least one to take the mean of")
    kept = {name: value for name, value in values.items() if _counts(value)}
    left_out = [name for name in values if name not in kept]
    if not kept:
        return _undefined(values, kind, allow)
    record = joined_record({name: value.record for name, value in kept.items()}, kind, left_out, allow)
    shares = [weights[name] for name in kept]
    mean = float(np.average([value.value for value in kept.values()], weights=shares))
    return MetricValue(mean, None, replace(record, engine=_engines(kept)), bounds=_mean_bounds(kept, shares))


def _engines(values: Mapping[str, MetricValue]) -> str | None:
    """The engines behind the parts, each once."""
    return ", ".join(dict.fromkeys(value.record.engine for value in values.values() if value.record.engine)) or None


def _mean_bounds(values: Mapping[str, MetricValue], weights: Sequence[float]) -> tuple[float, float] | None:
    """Certified ends of a mean, those of an exact part being its value; None where all parts are exact."""
    if all(value.bounds is None for value in values.values()):
        return None
    ends = [value.bounds or (value.value, value.value) for value in values.values()]
    low, high = np.average(ends, axis=0, weights=weights).tolist()
    return low, high


def _bounds(values: Sequence[MetricValue], weights: Sequence[float]) -> tuple[float, float] | None:
    """Certified ends of a mean; an exact value is its own ends."""
    if not any(value.bounds for value in values):
        return None
    ends = [value.bounds or (value.value, value.value) for value in values]
    low, high = np.average(ends, axis=0, weights=weights)
    return float(low), float(high)


def _undefined(values: Mapping[str, MetricValue], kind: str, allow: Collection[str]) -> MetricValue:
    """NaN with the commonest reason; records of what has no number need not agree."""
    reasons = Counter(value.reason for value in values.values() if value.reason)
    reason = reasons.most_common(1)[0][0] if reasons else "too_few_samples"
    records = {name: value.record for name, value in values.items()}
    record = joined_record(records, kind, list(values), {*allow, *_everything(values)})
    return MetricValue(math.nan, reason, replace(record, categories=()))


def _counts(value: MetricValue) -> bool:
    """An infinite PSNR is left out of means like a missing number."""
    return value.defined and math.isfinite(value.value)


def _everything(values: Mapping[str, MetricValue]) -> set[str]:
    return {key for value in values.values() for key in value.record.decisive()}


def _common(categories: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return next(iter(categories))
