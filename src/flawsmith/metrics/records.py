"""A number, why it may be missing, and the protocol under which it was measured.

Undefined is NaN with a reason, never 0, 0.5 or 1. Two numbers may stand beside each other only if their protocols agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Reason = Literal["no_positive", "no_negative", "too_few_samples", "no_masks", "constant", "no_curve"]

REASONS: dict[str, str] = {
    "no_positive": "no defect in the test set",
    "no_negative": "no good part in the test set",
    "too_few_samples": "too few images",
    "no_masks": "no masks",
    "constant": "the input is constant",
    "no_curve": "too few points of the curve within the limit",
}
"""Each reason in words."""

COUNTS = frozenset({"images", "normals", "anomalies", "pixels", "positive_pixels", "regions", "excluded", "left_out", "runs"})
"""Fields of a record that say how much was measured, not how."""

NOT_DECISIVE = COUNTS | {"engine"}
"""Fields of a record that two numbers may differ in and still be compared: every engine measures the same thing."""

SPLIT = "split"
"""The detail that holds the digest of the split: values of other test images are not compared unless someone asks for it."""

MOST_IMAGES_APART = 1.2
"""Inception Scores of more images than this times the other's are not compared: the score grows with their number."""


@dataclass(frozen=True)
class ProtocolRecord:
    """How a number came about; a number without it is worth nothing.

    Args:
        metric: id of the metric.
        curve: the rule that makes a number of the curve: `mann-whitney`, `step`, `every score`, `mvtec`.
        resolution: where maps and masks met; `native` is the own size of the mask; None: no maps in it.
        mask_rule: what made the masks boolean; None: not at pixel level.
        connectivity: neighbours that join pixels to a region, 4 or 8; None: no regions in it.
        fpr_limit: right end of the curve, share of the background; None: the whole curve.
        image_score: how a map became a score; None: not at image level.
        feature_extractor: network behind an image-quality metric; None: there is none.
        protocol: `honest`, or `as_released`: what the original code did, to compare with its published numbers.
        details: whatever else decides the number, by name (pairing, resize, subset size, …); values are short texts.
        categories: for a mean over categories (or data sets), those that took part; their order decides nothing; empty: of one.
        images, normals, anomalies: number of images that took part.
        pixels, positive_pixels, regions: number of pixels, of those on a defect, and of regions; 0 at image level.
        excluded: anomalous images left out because their mask is missing or empty.
        left_out: categories, classes or runs that a mean left out because they have no number; those of its parts as `BTAD/02`.
        runs: how many trainings a mean is over.
        engine: how pixels were counted, exactly or with a certified interval (`MetricValue.bounds`); None: no pixels in it.
    """

    metric: str
    curve: str = ""
    resolution: str | None = None
    mask_rule: str | None = None
    connectivity: int | None = None
    fpr_limit: float | None = None
    image_score: str | None = None
    feature_extractor: str | None = None
    protocol: str = "honest"
    details: Mapping[str, str] = field(default_factory=dict, hash=False)
    categories: tuple[str, ...] = ()
    images: int = 0
    normals: int = 0
    anomalies: int = 0
    pixels: int = 0
    positive_pixels: int = 0
    regions: int = 0
    excluded: int = 0
    left_out: tuple[str, ...] = ()
    runs: int = 1
    engine: str | None = None

    @property
    def prevalence(self) -> float:
        """Share of positives, the chance level of AP; NaN where nothing was counted."""
        found, of = (self.positive_pixels, self.pixels) if self.image_score is None else (self.anomalies, self.images)
        return found / of if of else math.nan

    def decisive(self) -> dict[str, Any]:
        """What must agree before two numbers are compared: the fields, and each of the details by its own name.

        A detail that has the name of a field hides none: it is called `details.NAME`.
        """
        everything = asdict(self)
        details: dict[str, Any] = everything.pop("details")
        values = {key: value for key, value in everything.items() if key not in NOT_DECISIVE}
        values["categories"] = tuple(sorted(self.categories))
        return {**values, **{f"details.{key}" if key in everything else key: text for key, text in details.items()}}

    def differences(self, other: ProtocolRecord) -> tuple[str, ...]:
        """Names of the fields and details that forbid a comparison with `other`; empty where it is fair.

        Counts forbid none, but for the Inception Score: the number of images may not differ by more than 20 %.
        """
        mine, theirs = self.decisive(), other.decisive()
        found = tuple(key for key in dict.fromkeys((*mine, *theirs)) if mine.get(key) != theirs.get(key))
        return (*found, "images") if self._counts_images_of_its_own() and _far_apart(self.images, other.images) else found

    def _counts_images_of_its_own(self) -> bool:
        return self.metric.partition("@")[0] == "inception_score"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ProtocolRecord:
        """The inverse of `to_json`."""
        known = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        known |= {name: tuple(known[name]) for name in ("categories", "left_out") if name in known}
        return cls(**known)


def _far_apart(one: int, other: int) -> bool:
    return max(one, other) > MOST_IMAGES_APART * min(one, other)


@dataclass(frozen=True)
class Interval:
    """Bootstrap interval of a metric.

    Args:
        low, high: its ends.
        level: share of the resamples between them.
        resamples: number of draws that had both classes.
    """

    low: float
    high: float
    level: float = 0.95
    resamples: int = 1000


@dataclass(frozen=True)
class MetricValue:
    """One number with its protocol record.

    Args:
        value: a fraction in 0…1, or NaN.
        reason: why it is NaN; None where it is not.
        record: how it was measured.
        interval: bootstrap interval over images, where one was asked for.
        std: spread over runs, subsets or resamples (ddof 1), where there are several; the record says of what.
        bounds: certified ends, where the pixels were counted by histogram: the exact value lies between them; None: exact.
    """

    value: float
    reason: Reason | None
    record: ProtocolRecord
    interval: Interval | None = None
    std: float | None = None
    bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.value) != (self.reason is not None) or self.reason not in (None, *get_args(Reason)):
            raise ValueError(f"{self.value} with reason {self.reason!r}; expected NaN with a reason, or a number without one")

    def __float__(self) -> float:
        return self.value

    @property
    def defined(self) -> bool:
        """Whether there is a number."""
        return self.reason is None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; an undefined one has the value null."""
        return {
            "value": self.value if self.defined else None,
            "reason": self.reason,
            "interval": asdict(self.interval) if self.interval else None,
            "std": self.std,
            "bounds": list(self.bounds) if self.bounds else None,
            "record": self.record.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> MetricValue:
        """The inverse of `to_json`."""
        number = math.nan if value["value"] is None else float(value["value"])
        interval = Interval(**value["interval"]) if value.get("interval") else None
        low_high = value.get("bounds")
        bounds = (float(low_high[0]), float(low_high[1])) if low_high else None
        return cls(number, value["reason"], ProtocolRecord.from_json(value["record"]), interval, value.get("std"), bounds)
