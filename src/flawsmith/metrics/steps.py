"""The step function behind every ranking metric.

Only scores of positives matter as thresholds: between two of them nothing but false positives changes. So positives are sorted
with their weights, and two binary searches say how many negatives lie above and at each threshold. Counts are int64 (float32 sums
stop at 2^24). Equal multisets of (score, weight) give equal bits, in any order. Sums run over blocks of thresholds, so that a
metric of 10⁷ of them takes no second copy of the curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.parameters import listed_scores, plain_array
from flawsmith.metrics.records import Reason

Scores1D = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

BLOCK = 1 << 15
"""Thresholds that are worked on at a time."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Cumulative counts at the distinct scores of positives, from high to low.

    Args:
        thresholds: the distinct scores.
        hits: positives that reach each threshold, int64.
        mass: weight of those positives, float64.
        above: negatives strictly above each threshold, int64.
        reached: negatives that reach it, int64.
        positives, negatives: totals.
    """

    thresholds: Scores1D
    hits: Counts
    mass: Floats
    above: Counts
    reached: Counts
    positives: int
    negatives: int

    @property
    def reason(self) -> Reason | None:
        """Why ranking metrics are undefined; None where they are defined."""
        if self.positives and self.negatives:
            return None
        if not self.positives and not self.negatives:
            return "too_few_samples"
        return "no_negative" if self.positives else "no_positive"

    def blocks(self) -> Iterator[slice]:
        """The thresholds in order, a block at a time."""
        return (slice(start, start + BLOCK) for start in range(0, len(self.hits), BLOCK))

    def gained(self, block: slice) -> Counts:
        """Positives at each threshold of a block."""
        before = self.hits[block.start - 1] if block.start else 0
        return np.diff(self.hits[block], prepend=before)

    def pieces(self, heights: NDArray[Any]) -> Iterator[tuple[Floats, Floats]]:
        """The corners of `curve`, a block at a time; each piece starts where the one before it ends."""
        x_end = y_end = 0.0
        for block in self.blocks():
            after = heights[block]
            before = np.concatenate(([heights[block.start - 1] if block.start else 0], after[:-1]))
            x = np.stack([self.above[block], self.reached[block]], 1).ravel() / self.negatives
            y = np.stack([before, after], 1).ravel() / heights[-1]
            yield np.concatenate(([x_end], x)), np.concatenate(([y_end], y))
            x_end, y_end = x[-1], y[-1]
        yield np.array([x_end, 1.0]), np.array([y_end, 1.0])

    def curve(self, heights: NDArray[Any]) -> tuple[Floats, Floats]:
        """Corners of the curve (share of negatives reached, share of `heights`), from (0, 0) to (1, 1).

        `heights` are cumulative at the thresholds: `hits` makes it the ROC, `mass` of 1/|region| the PRO curve.
        """
        xs, ys = zip(*self.pieces(heights), strict=True)
        return np.concatenate([xs[0], *(x[1:] for x in xs[1:])]), np.concatenate([ys[0], *(y[1:] for y in ys[1:])])

    def area(self, heights: NDArray[Any], limit: float) -> float:
        """Area under `curve(heights)` up to `limit`, divided by it."""
        pieces = (area_between(x, y, limit) for x, y in self.pieces(heights) if x[0] < limit)
        return min(math.fsum(pieces) / limit, 1.0)


def steps_of(positives: Scores1D, sorted_negatives: Sequence[Scores1D], weights: Floats | None = None) -> Steps:
    """Count.

    Args:
        positives: scores of positives, finite, any order.
        sorted_negatives: blocks of scores of negatives, each ascending, same dtype as `positives`.
        weights: weight of each positive; None: 1.
    """
    order = np.argsort(positives) if weights is None else np.lexsort((weights, positives))
    ranked = positives[order[::-1]] + positives.dtype.type(0)
    last = last_of_each(ranked)
    hits = last.astype(np.int64) + 1
    mass = hits.astype(np.float64) if weights is None else np.cumsum(weights[order[::-1]], dtype=np.float64)[last]
    thresholds = ranked[last]
    above, reached = np.zeros(len(last), np.int64), np.zeros(len(last), np.int64)
    for block in sorted_negatives:
        above += len(block) - np.searchsorted(block, thresholds, "right")
        reached += len(block) - np.searchsorted(block, thresholds, "left")
    negatives = sum(len(block) for block in sorted_negatives)
    return Steps(thresholds, hits, mass, above, reached, len(positives), negatives)


def last_of_each(ranked: NDArray[Any]) -> NDArray[np.intp]:
    """Where each run of equal values ends."""
    return np.flatnonzero(np.append(ranked[1:] != ranked[:-1], len(ranked) > 0))


def split_by_label(scores: ArrayLike, labels: ArrayLike) -> tuple[Scores1D, Scores1D]:
    """Scores of positives, and scores of negatives sorted.

    Raises:
        BadParameter: lengths differ, a score is not finite, or a label is neither 0 nor 1.
        DataError: scores that float64 rounds, or masked elements (E_MODE).
    """
    values, truth = listed_scores(scores), plain_array("the list of labels", labels)
    if values.shape != truth.shape:
        raise BadParameter(f"scores have shape {values.shape}, labels {truth.shape}; expected two lists of one length")
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values))[0])
        raise BadParameter(f"score {place} is {values[place]}; expected finite scores: leave that sample out or repair it")
    if not np.isin(truth, (0, 1)).all():
        place = int(np.flatnonzero(~np.isin(truth, (0, 1)))[0])
        raise BadParameter(f"label {place} is {truth[place]}; expected 0 (good) or 1 (defect): give 1 for defects of every kind")
    positive = truth.astype(bool)
    return values[positive], np.sort(values[~positive])


def area_up_to(x: Floats, y: Floats, limit: float) -> float:
    """`area_between` divided by `limit`; 1 at most."""
    return min(area_between(x, y, limit) / limit, 1.0)


def area_between(x: Floats, y: Floats, limit: float) -> float:
    """Area under the line through (x, y) for x ≤ `limit`; the ordinate at the limit is interpolated.

    Args:
        x: ascending, 0…1.
        y: 0…1.
        limit: above 0, at most 1.
    """
    left, right = x[:-1], x[1:]
    width = np.minimum(right, limit) - np.minimum(left, limit)
    run = np.where(right > left, right - left, 1.0)
    end = y[:-1] + (y[1:] - y[:-1]) * np.minimum(width / run, 1.0)
    return float(np.sum(width * (y[:-1] + end)) / 2)
