"""Printed averages, taken again from their printed parts: one that differs by more than rounding is told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from flawsmith.metrics.aggregation import differs_by_more_than_rounding
from flawsmith.report.published import PublishedValue, library

OBJECTS_AND_TEXTURES: Mapping[str, tuple[str, str]] = {
    "Patchcore": ("6", "7"),
    "Cflow": ("8", "9"),
    "Reverse-distillation": ("10", "11"),
    "Efficient-AD": ("12", "13"),
}
"""TGVIG: the tables of the ten objects and the five textures behind table 5."""

SEGMENTERS = ("BiSeNet V2", "UPerNet", "LFD")


def doubt_of(value: PublishedValue) -> str:
    """What is wrong with a printed average; empty where it agrees with its parts, or where these are not printed."""
    found = parts_of(value)
    if not found:
        return ""
    parts, weights, unit = found
    if not differs_by_more_than_rounding(value.printed, parts, unit, weights):
        return ""
    mean = float(np.average(parts, weights=weights))
    return f"printed as {value.printed:g}, but its parts average {mean:.4g}"


def parts_of(value: PublishedValue) -> tuple[list[float], list[float], float] | None:
    """The printed parts of an average, their weights, and the unit of the last digit; None where there are none."""
    if value.source == "TGVIG-supp" and value.table == "5":
        return _objects_and_textures(value)
    if value.source == "SeaS-supp" and value.table == "8" and "segmenter=Average" in value.setting:
        names = [value.setting.replace("segmenter=Average", f"segmenter={name}") for name in SEGMENTERS]
        return _of([_at(value, setting=name) for name in names], [1, 1, 1], 0.01)
    if value.source == "SeaS-README" and value.method.startswith("Average"):
        mine = [each for each in library().values if _same_column(each, value)]
        return _of(mine, [1] * len(mine), 0.01)
    return None


def _objects_and_textures(value: PublishedValue) -> tuple[list[float], list[float], float] | None:
    objects, textures = OBJECTS_AND_TEXTURES[value.method]
    parts = [
        _at(value, table=objects, setting=f"{value.setting};object_classes"),
        _at(value, table=textures, setting=f"{value.setting};texture_classes"),
    ]
    return _of(parts, [10, 5], 0.1)


def _of(
    parts: list[PublishedValue] | list[PublishedValue | None], weights: list[float] | list[int], unit: float
) -> tuple[list[float], list[float], float] | None:
    printed = [each.printed for each in parts if each is not None]
    return (printed, [float(weight) for weight in weights], unit) if len(printed) == len(weights) and printed else None


def _same_column(part: PublishedValue, average: PublishedValue) -> bool:
    alike = all(
        getattr(part, field) == getattr(average, field) for field in ("source", "table", "dataset", "setting", "metric", "stat")
    )
    return alike and not part.method.startswith("Average") and ("SeaS" in part.method) == ("SeaS" in average.method)


def _at(value: PublishedValue, *, table: str = "", setting: str = "") -> PublishedValue | None:
    place = (value.source, table or value.table, value.dataset, setting or value.setting, value.method, value.metric, value.stat)
    return _by_place().get(place)


@cache
def _by_place() -> Mapping[tuple[str, ...], PublishedValue]:
    return {
        (each.source, each.table, each.dataset, each.setting, each.method, each.metric, each.stat): each
        for each in library().values
    }
