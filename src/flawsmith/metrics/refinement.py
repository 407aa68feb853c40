"""Which bins of a histogram make an interval wide, and what they hold when one looks again.

A mixed bin with p of P positives, n of N negatives and region mass w of K adds p·n/PN to the width of AUROC, at most w·n/KN
divided by the limit to that of AUPRO, and what its best and worst order differ by to that of average precision. F1-max depends
only on bins whose best case beats the best that is certain. The bins that add most are split by the bits that were given up, from
a second reading of the maps; the others are left as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.anchored import DefectPixels
from flawsmith.metrics.bounds import one_by_one
from flawsmith.metrics.histogram import Bins, in_order, narrowed, tied_steps
from flawsmith.metrics.keys import Keys, keys_of
from flawsmith.metrics.ranking import best_f1
from flawsmith.metrics.steps import Floats, Scores1D, Steps

MOST_READINGS = 4
"""Readings that are spent on splitting bins."""


def worth_splitting(bins: Bins, fresh: NDArray[np.bool_], limit: float, allowed: float, most: int) -> NDArray[np.bool_]:
    """The fewest bins without which no interval is wider than `allowed`.

    Args:
        bins: of a set with both classes.
        fresh: bins that may be chosen: those that have the same bits as each other.
        limit: right end of the AUPRO curve.
        allowed: width that may remain.
        most: how many may be chosen.
    """
    rows = np.flatnonzero(bins.hits > 0)[::-1]
    steps, mixed = tied_steps(bins)
    chosen = np.zeros(len(rows), bool)
    for width in widths(steps, mixed, limit):
        chosen |= _largest(width, fresh[rows], allowed)
    chosen |= fresh[rows] & mixed & (_best_case(steps) > best_f1(steps)[0] + allowed)
    found = np.zeros(len(bins), bool)
    found[rows[np.flatnonzero(chosen)[:most]]] = True
    return found


def widths(steps: Steps, mixed: NDArray[np.bool_], limit: float) -> tuple[Floats, Floats, Floats]:
    """What each step adds to the width of AUROC, of AUPRO up to `limit`, and of average precision."""
    gained = np.diff(steps.hits, prepend=0)
    mass = np.diff(steps.mass, prepend=0) / steps.mass[-1]
    share = (steps.reached - steps.above) / steps.negatives
    end = limit * steps.negatives
    inside = (np.minimum(steps.reached, end) - np.minimum(steps.above, end)) / end
    best = gained * (steps.hits / (steps.hits + steps.above))
    worst = one_by_one(steps.hits - gained, steps.reached, gained)
    alone = (gained / steps.positives * share, mass * inside, (best - worst) / steps.positives)
    return tuple(np.where(mixed, width, 0.0) for width in alone)  # type: ignore[return-value]


def split(bins: Bins, chosen: NDArray[np.bool_], finer: Bins) -> tuple[Bins, NDArray[np.bool_]]:
    """The bins with the chosen ones replaced, and which are new."""
    kept = bins.chosen(~chosen)
    return in_order([kept, finer], np.repeat([False, True], [len(kept), len(finer)]))


def pixels_within(chunk: Scores1D, chosen: Bins) -> Scores1D:
    """The pixels of a chunk that lie in the chosen bins."""
    return chunk[_within(keys_of(narrowed(chunk)), chosen)]


def defects_within(defects: DefectPixels, chosen: Bins) -> DefectPixels:
    """The defect pixels that lie in the chosen bins."""
    inside = _within(keys_of(narrowed(defects.scores)), chosen)
    return DefectPixels(defects.scores[inside], defects.sizes[inside])


def _within(keys: Keys, chosen: Bins) -> NDArray[np.bool_]:
    place = np.searchsorted(chosen.first, keys, "right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (keys <= chosen.last[place])
    return inside


def _best_case(steps: Steps) -> Floats:
    """F1 at each step if its positives came before its negatives."""
    best: Floats = 2 * steps.hits / (steps.hits + steps.above + steps.positives)
    return best


def _largest(width: Floats, eligible: NDArray[np.bool_], allowed: float) -> NDArray[np.bool_]:
    """The fewest eligible steps whose removal leaves no more than `allowed`."""
    found = np.zeros(len(width), bool)
    order = np.argsort(np.where(eligible, -width, 0.0), kind="stable")
    rest = float(width.sum()) - np.cumsum(width[order])
    enough = 0 if width.sum() <= allowed else int(np.searchsorted(-rest, -allowed)) + 1
    found[order[:enough]] = True
    return found & eligible & (width > 0)
