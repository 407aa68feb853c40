"""Means of metric values: over categories, over data sets, over runs, over ratios of anomalies.

A mean is taken only of values that were measured alike. What has no number is left out and named, never counted as 0.

Sources: metrics' specification, sections 0 and 8; ASBench, eq. 1 and tables VII and VIII.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.records import COUNTS, SPLIT, MetricValue, ProtocolRecord

ASBENCH_CATEGORIES: Mapping[str, int] = {"MVTec AD": 15, "BTAD": 3, "VisA": 12, "MPDD": 6, "MTD": 1}
"""Number of categories of ASBench's data sets, the N of its eq. 1."""

COUNTED = ("images", "normals", "anomalies", "pixels", "positive_pixels", "regions", "excluded")
MEAN = "mean"
"""The detail that says what a mean is over."""

OF_A_CATEGORY = frozenset({SPLIT, "classes"})
"""Details that every category has of its own; a mean over categories holds one digest of them all."""


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
    return _mean(values, dict.fromkeys(values, 1.0), "macro", allow, OF_A_CATEGORY)


def across_datasets(
    values: Mapping[str, MetricValue], sizes: Mapping[str, int] = ASBENCH_CATEGORIES, *, allow: Collection[str] = ()
) -> MetricValue:
    """ASBench's eq. 1: the mean over data sets, each weighted by its number of categories.

    Equal to the mean over all categories of all data sets, where no category was left out; a data set that lacks some keeps its
    weight, and they are named.

    Args:
        values: by data set, the mean over its categories, or the value of its only one.
        sizes: data set → number of categories.
        allow: names of fields that may differ all the same; what the means are over differs anyway.

    Raises:
        BadParameter: no data set, one without a size, or two that were measured differently.
    """
    for name in values:
        if (size := sizes.get(name, 0)) < 1:
            raise BadParameter(f"the number of categories of {name!r} is {size}; expected at least 1: give it in sizes")
    weights = {name: float(sizes[name]) for name in values}
    return _mean(values, weights, "by number of categories", allow, {*OF_A_CATEGORY, "categories", MEAN})


def over_runs(values: Sequence[MetricValue], *, allow: Collection[str] = ()) -> MetricValue:
    """Mean ± std (ddof 1) over runs that differ in their seed, and so in their split; one run has no ±.

    Raises:
        BadParameter: no run, or two that were measured differently.
    """
    named = {f"run {number}": value for number, value in enumerate(values)}
    kept = [value.value for value in values if _counts(value)]
    mean = _mean(named, dict.fromkeys(named, 1.0), "", allow, {SPLIT})
    categories = next((value.record.categories for value in values if _counts(value)), ())
    record = replace(mean.record, categories=categories, runs=len(kept))
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


def _joined_record(
    records: Mapping[str, ProtocolRecord], kind: str, left_out: Collection[str], allow: Collection[str], natural: Collection[str]
) -> ProtocolRecord:
    """The record of a mean: what all agree in, the counts added up, the names of the parts.

    Args:
        records: by part.
        kind: what the mean is over; empty: not said.
        left_out: what has no number.
        allow: fields that may differ; the record says so.
        natural: fields that differ between the parts by their nature.

    Raises:
        BadParameter: they differ in a field that is neither allowed nor natural.
    """
    names = list(records)
    first = records[names[0]]
    differing: set[str] = set()
    for name in names[1:]:
        found = set(first.differences(records[name]))
        if forbidden := found - {*allow, *natural}:
            raise BadParameter(
                f"{first.metric} of {names[0]!r} and of {name!r} differ in {', '.join(sorted(forbidden))}; expected one protocol "
                "in a mean: measure them alike"
            )
        differing |= found
    keys = dict.fromkeys(key for record in records.values() for key in record.details)
    details = {key: _joined(key, records) for key in keys}
    if kind:
        details[MEAN] = kind
    if told := sorted(differing & set(allow) - set(natural) - COUNTS):
        details["mixed"] = ", ".join(told)
    counts = {name: sum(getattr(record, name) for record in records.values()) for name in COUNTED}
    return replace(first, details=details, categories=tuple(names), left_out=tuple(left_out), **counts)


def _joined(key: str, records: Mapping[str, ProtocolRecord]) -> str:
    """A detail that all share, or one digest of what each category has of its own."""
    told = {name: record.details.get(key, "") for name, record in records.items()}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest() if key in OF_A_CATEGORY else "differs"


def _mean(
    values: Mapping[str, MetricValue], weights: Mapping[str, float], kind: str, allow: Collection[str], natural: Collection[str]
) -> MetricValue:
    if not values:
        raise BadParameter("there are no values; expected at least one to take the mean of")
    kept = {name: value for name, value in values.items() if _counts(value)}
    if not kept:
        return _undefined(values, kind, allow, natural)
    record = _joined_record({name: value.record for name, value in kept.items()}, kind, _left_out(values), allow, natural)
    shares = [weights[name] for name in kept]
    mean = float(np.average([value.value for value in kept.values()], weights=shares))
    return MetricValue(mean, None, replace(record, engine=_engines(kept)), bounds=_mean_bounds(kept, shares))


def _left_out(values: Mapping[str, MetricValue]) -> list[str]:
    """The parts without a number, and what the others left out themselves, as `BTAD/02`."""
    inner = {name: [f"{name}/{part}" for part in value.record.left_out] for name, value in values.items()}
    return [told for name, value in values.items() for told in (inner[name] if _counts(value) else [name])]


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


def _undefined(values: Mapping[str, MetricValue], kind: str, allow: Collection[str], natural: Collection[str]) -> MetricValue:
    """NaN with the commonest reason; records of what has no number need not agree."""
    reasons = Counter(value.reason for value in values.values() if value.reason)
    reason = reasons.most_common(1)[0][0] if reasons else "too_few_samples"
    records = {name: value.record for name, value in values.items()}
    record = _joined_record(records, kind, list(values), {*allow, *_everything(values), *COUNTS}, natural)
    return MetricValue(math.nan, reason, replace(record, categories=()))


def _counts(value: MetricValue) -> bool:
    """An infinite PSNR is left out of means like a missing number."""
    return value.defined and math.isfinite(value.value)


def _everything(values: Mapping[str, MetricValue]) -> set[str]:
    return {key for value in values.values() for key in value.record.decisive()}
