"""Numbers and verdicts in words."""

from __future__ import annotations

import math

from flawsmith.core.samples import UNKNOWN
from flawsmith.metrics.records import REASONS, Interval, MetricValue

DASH = "–"

TITLES: dict[str, str] = {
    "image_auroc": "Image AUROC",
    "image_ap": "Image AP",
    "image_f1max": "Image F1-max",
    "pixel_auroc": "Pixel AUROC",
    "pixel_ap": "Pixel AP",
    "pixel_f1max": "Pixel F1-max",
    "pixel_aupro": "AUPRO",
}
"""Heads of metric columns."""


def decimal(value: float) -> str:
    """Three decimals, `inf` for an infinite one (PSNR of equal pictures); a dash where there is no number."""
    return DASH if math.isnan(value) else f"{value:.3f}"


def percent(part: int, whole: int) -> str:
    """`3 of 4 (75%)`, or a dash of nothing."""
    return f"{part} of {whole} ({part / whole:.0%})" if whole else DASH


def significant(value: float) -> str:
    """Four significant digits, for raw scores of any scale."""
    return f"{value:.4g}" if math.isfinite(value) else DASH


def interval_of(interval: Interval | None) -> str:
    """`0.912–0.987`, or nothing."""
    return f"{decimal(interval.low)}{DASH}{decimal(interval.high)}" if interval else ""


def why(value: MetricValue) -> str:
    """The reason of an undefined metric in words; nothing where it is defined."""
    return REASONS[value.reason] if value.reason else ""


def kind_of(defect: str) -> str:
    """What to call a defective part: its defect, or that its kind is not known."""
    return "defective part" if defect == UNKNOWN else defect


def title_of(metric: str) -> str:
    """The head of a metric's column."""
    return TITLES.get(metric, metric)


def parts(count: int, kind: str) -> str:
    """`1 good part`, `7 good parts`."""
    return f"{count} {kind} part{'' if count == 1 else 's'}"
