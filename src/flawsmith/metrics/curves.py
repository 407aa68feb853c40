"""Points of the curves behind ranking metrics, few enough to draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flawsmith.metrics.ranking import precision, recall
from flawsmith.metrics.steps import Floats, Steps

Points = tuple[Floats, Floats]

DRAWN = 1000
"""Points of a curve at most, but for its ends."""

LOOKED_AT = 1 << 15
"""Thresholds that are looked at to choose them."""


def curves_of(level: str, steps: Steps | None) -> dict[str, Points]:
    """`<level>_roc`, `<level>_pr` and for pixels `pixel_pro`; empty where they are undefined."""
    if steps is None or steps.reason is not None:
        return {}
    few = fewer(steps)
    curves = {f"{level}_roc": few.curve(few.hits), f"{level}_pr": (recall(few), precision(few))}
    if level == "pixel":
        curves["pixel_pro"] = few.curve(few.mass)
    return {name: thinned(*points) for name, points in curves.items()}


def fewer(steps: Steps, most: int = LOOKED_AT) -> Steps:
    """At most `most` of the thresholds, evenly along hits, mass and alarms together; the first and the last are among them."""
    if len(steps.hits) <= most:
        return steps
    along = steps.hits / steps.positives
    along += steps.mass / steps.mass[-1]
    along += steps.reached / max(1, steps.reached[-1])
    chosen = _evenly(along, most)
    columns = ("thresholds", "hits", "mass", "above", "reached")
    return replace(steps, **{name: getattr(steps, name)[chosen] for name in columns})


def thinned(x: Floats, y: Floats, most: int = DRAWN) -> Points:
    """At most `most` points of a curve: those nearest to equal steps along it, both ends among them."""
    if len(x) <= most:
        return x, y
    length = np.concatenate(([0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))))
    chosen = _evenly(length, most)
    return x[chosen], y[chosen]


def _evenly(along: Floats, most: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    wanted = np.linspace(along[0], along[-1], most)
    found = np.minimum(np.searchsorted(along, wanted), len(along) - 1)
    return np.unique(np.append(found, [0, len(along) - 1]))
