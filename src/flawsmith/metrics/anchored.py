"""Anchors: the distinct scores of defect pixels, and how many of all pixels lie above and at each of them.

Only at these scores can a ranking metric change by more than false positives, so they are all that has to be kept. Everything
else is counted against them in sorted chunks of pixels, by two binary searches for each anchor. Every pixel is counted, those on
a defect too, and these are taken off at the end: no mask has to be read twice.

Region weights 1/|R| are added as whole numbers, ⌊2^62/|R|⌋ in two parts of 31 bits: their sums are exact, so no order of pixels,
images or workers changes a bit, and a region of 10⁷ pixels still sums to 1 within 10⁻¹¹.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.keys import keys_of, packed, unpacked_keys, unpacked_numbers, values_of
from flawsmith.metrics.steps import BLOCK, Counts, Floats, Scores1D, Steps, last_of_each

PART = 31
"""Bits of each part of a weight."""

BYTES_PER_DEFECT_PIXEL = 64
"""Peak cost of a defect pixel in `Anchors` and the `Steps` made of them: its score with its region's size, their sorted copy, and
five columns of at most one row each."""


@dataclass(frozen=True, eq=False)
class DefectPixels:
    """Defect pixels of some images.

    Args:
        scores: in the type of the maps, any order.
        sizes: pixels of the region that each belongs to.
    """

    scores: NDArray[Any]
    sizes: NDArray[np.uint32]


def weights_of(sizes: NDArray[Any]) -> tuple[Counts, Counts]:
    """⌊2^62/size⌋ as (whole, part): whole·2^31 + part."""
    weights = np.int64(1 << 2 * PART) // sizes.astype(np.int64)
    return weights >> PART, weights & np.int64((1 << PART) - 1)


def mass_of(whole: Counts, part: Counts) -> Floats:
    """Sums of weights as floats that depend on the sums alone, not on how they were reached."""
    carried = whole + (part >> PART)
    return np.ldexp(carried.astype(np.float64), -PART) + np.ldexp(
        (part & np.int64((1 << PART) - 1)).astype(np.float64), -2 * PART
    )


class Anchors:
    """The distinct scores of defect pixels, ready to count all pixels against them; safe to share between threads.

    Args:
        pixels: all defect pixels, in any order.
        dtype: float32 or float64, the type in which maps are compared.
    """

    def __init__(self, pixels: Sequence[DefectPixels], dtype: np.dtype[Any]) -> None:
        scores, sizes = _sorted_pixels(pixels, dtype)
        last = last_of_each(scores)
        self.scores = scores[last]
        self.positives = len(scores)
        below = np.concatenate(([0], last[:-1] + 1)).astype(np.int64) if len(last) else np.zeros(0, np.int64)
        self.hits = len(scores) - below
        self.mass = _mass_from_above(sizes, last)
        self.above = np.zeros(len(last), np.int64)
        self.reached = np.zeros(len(last), np.int64)
        self.counted = 0
        self._lock = threading.Lock()

    def count(self, chunk: Scores1D) -> None:
        """Count a chunk of pixels, ascending."""
        chunk = chunk.astype(self.scores.dtype, copy=False)
        with self._lock:
            self.counted += len(chunk)
        for start in range(0, len(self.scores), BLOCK):
            block = slice(start, start + BLOCK)
            below, not_above = _ranks(chunk, self.scores[block])
            with self._lock:
                self.reached[block] += len(chunk) - below
                self.above[block] += len(chunk) - not_above

    def steps(self) -> Steps:
        """The step function, once every pixel has been counted; uses the anchors up."""
        self.above[:-1] -= self.hits[1:]
        self.reached -= self.hits
        return Steps(
            thresholds=self.scores[::-1],
            hits=self.hits[::-1],
            mass=self.mass[::-1],
            above=self.above[::-1],
            reached=self.reached[::-1],
            positives=self.positives,
            negatives=self.counted - self.positives,
        )


def _ranks(chunk: Scores1D, scores: Scores1D) -> tuple[Counts, Counts]:
    """How many of the chunk lie below each score, and how many not above it."""
    below = np.searchsorted(chunk, scores, "left")
    not_above = below.copy()
    if len(chunk):
        ties = np.flatnonzero(chunk[np.minimum(below, len(chunk) - 1)] == scores)
        not_above[ties] = np.searchsorted(chunk, scores[ties], "right")
    return below, not_above


def _sorted_pixels(pixels: Sequence[DefectPixels], dtype: np.dtype[Any]) -> tuple[Scores1D, NDArray[Any]]:
    """Scores ascending, −0 as +0, with their sizes."""
    if dtype == np.float32:
        both = np.concatenate([np.empty(0, np.uint64), *(packed(keys_of(p.scores.astype(np.float32)), p.sizes) for p in pixels)])
        both.sort()
        return values_of(unpacked_keys(both)), unpacked_numbers(both)
    scores = np.concatenate([np.empty(0, dtype), *(p.scores.astype(dtype, copy=False) for p in pixels)])
    sizes = np.concatenate([np.empty(0, np.uint32), *(p.sizes for p in pixels)])
    order = np.argsort(scores)
    return scores[order] + dtype.type(0), sizes[order]


def _mass_from_above(sizes: NDArray[Any], last: NDArray[np.intp]) -> Floats:
    """Weight of the pixels at each distinct score and above it, a block at a time."""
    mass = np.empty(len(last), np.float64)
    first = np.concatenate(([0], last[:-1] + 1)) if len(last) else last
    whole_above = part_above = 0
    stop = len(last)
    while stop:
        start = max(0, stop - BLOCK)
        whole, part = weights_of(sizes[first[start] : last[stop - 1] + 1])
        at = first[start:stop] - first[start]
        whole, part = (np.add.reduceat(column, at)[::-1].cumsum()[::-1] for column in (whole, part))
        mass[start:stop] = mass_of(whole + whole_above, part + part_above)
        carry, part_above = divmod(part_above + int(part[0]), 1 << PART)
        whole_above += int(whole[0]) + carry
        stop = start
    return mass
