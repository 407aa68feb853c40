"""A histogram of scores whose bins follow the data, and the step function that it leaves uncertain.

A bin is a run of keys (`flawsmith.metrics.keys`) with the same leading bits. It remembers its smallest and largest key, so one
that holds a single key is exact. All 32 bits are used as long as the occupied bins are few enough; then one bit after the other
is given up. The bits that remain depend on the pixels alone: merging parts in any order gives the same histogram as one pass.

Scores of 8 or 16 bits (uint8, uint16, float16) have at most 65,536 keys and stay exact. float64 scores are rounded to float32 to
find their bin, which keeps their order; a bin with a rounded score in it counts as one of several keys.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.metrics.anchored import DefectPixels, mass_of, weights_of
from flawsmith.metrics.keys import Keys, keys_of, packed, unpacked_keys, unpacked_numbers, values_of
from flawsmith.metrics.steps import Counts, Floats, Scores1D, Steps

MOST_BINS = 1 << 20
FEWEST_BINS = 1 << 10
BYTES_PER_BIN = 512
"""Peak cost of a bin: 41 bytes in the histogram, as many in the bins of each chunk, both again while they are merged, and the
steps made of them with their best and their worst case."""

BYTES_PER_FILLED_BIN = 256
"""The same without the steps."""


@dataclass(frozen=True, eq=False)
class Bins:
    """Occupied bins in ascending order; no two overlap.

    Args:
        first, last: smallest and largest key in each.
        pixels: pixels, those on a defect among them.
        hits: pixels on a defect.
        whole, part: their weight (`flawsmith.metrics.anchored.weights_of`).
        rounded: whether a score was rounded to its key.
    """

    first: Keys
    last: Keys
    pixels: Counts
    hits: Counts
    whole: Counts
    part: Counts
    rounded: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Whether the pixels of a bin may have an order that it does not tell."""
        mixed: NDArray[np.bool_] = (self.pixels > 1) & ((self.first != self.last) | self.rounded)
        return mixed

    def chosen(self, which: NDArray[Any]) -> Bins:
        """Some of the bins."""
        return Bins(*(column[which] for column in self.columns()))

    def columns(self) -> tuple[NDArray[Any], ...]:
        """All columns, in the order of the arguments."""
        return self.first, self.last, self.pixels, self.hits, self.whole, self.part, self.rounded


def no_bins() -> Bins:
    """Bins of nothing."""
    counts = np.zeros(0, np.int64)
    return Bins(np.zeros(0, np.uint32), np.zeros(0, np.uint32), counts, counts, counts, counts, np.zeros(0, bool))


def bins_of_pixels(chunk: Scores1D, shift: int, most: int) -> tuple[Bins, int]:
    """Bins of pixels in any order, and the bits given up to have `most` of them at most: `shift` or more."""
    keys, rounded = _sorted_keys(chunk)
    starts, shift = _runs(keys, shift, most)
    stops = np.append(starts[1:], len(keys))
    counts = stops - starts
    zeros = np.zeros(len(starts), np.int64)
    odd = np.zeros(len(starts), bool) if rounded is None else np.logical_or.reduceat(rounded, starts)
    return Bins(keys[starts], keys[stops - 1], counts, zeros, zeros, zeros, odd), shift


def bins_of_defects(defects: DefectPixels, shift: int, most: int) -> tuple[Bins, int]:
    """Bins of defect pixels; their pixels are counted by `bins_of_pixels` already."""
    both = packed(keys_of(narrowed(defects.scores)), defects.sizes)
    both.sort()
    keys = unpacked_keys(both)
    starts, shift = _runs(keys, shift, most)
    stops = np.append(starts[1:], len(keys))
    whole, part = weights_of(unpacked_numbers(both))
    sums = _carried(np.add.reduceat(whole, starts), np.add.reduceat(part, starts))
    zeros, hits = np.zeros(len(starts), np.int64), stops - starts
    return Bins(keys[starts], keys[stops - 1], zeros, hits, *sums, np.zeros(len(starts), bool)), shift


def join(parts: Sequence[Bins], shift: int) -> Bins:
    """Bins that share their leading bits become one."""
    columns = [np.concatenate(column) for column in zip(*(part.columns() for part in parts), strict=True)]
    order = np.argsort(columns[0], kind="stable")
    first, last, pixels, hits, whole, part, rounded = (column[order] for column in columns)
    if not len(first):
        return parts[0]
    names = first >> np.uint32(shift)
    starts = np.concatenate(([0], np.flatnonzero(names[1:] != names[:-1]) + 1))
    added = [_summed(column, starts) for column in (pixels, hits, whole, part)]
    flags = np.logical_or.reduceat(rounded, starts) if rounded.any() else np.zeros(len(starts), bool)
    return Bins(first[starts], np.maximum.reduceat(last, starts), added[0], added[1], *_carried(added[2], added[3]), flags)


class Histogram:
    """Collects pixels and defect pixels; safe to share between threads.

    Args:
        most: occupied bins at most.
    """

    def __init__(self, most: int = MOST_BINS) -> None:
        self.most, self.shift = most, 0
        # Apart until the end, because defect pixels come in few bins, and merging costs a walk over all columns that are not 0.
        self._pixels = self._defects = no_bins()
        self._lock = threading.Lock()

    @property
    def bins(self) -> Bins:
        """What has been counted."""
        with self._lock:
            return join([self._pixels, self._defects], self.shift)

    def add_pixels(self, chunk: Scores1D) -> None:
        """Count pixels, float32 or float64, in any order, those on a defect too."""
        if len(chunk):
            bins, shift = bins_of_pixels(chunk, self.shift, self.most)
            with self._lock:
                self._pixels = self._joined([self._pixels, bins], shift)

    def add_defects(self, defects: DefectPixels) -> None:
        """Count defect pixels, in any order."""
        if len(defects.scores):
            bins, shift = bins_of_defects(defects, self.shift, self.most)
            with self._lock:
                self._defects = self._joined([self._defects, bins], shift)

    def merge(self, other: Histogram) -> None:
        """Take what another histogram has counted."""
        bins, shift = other.bins, other.shift
        with self._lock:
            self._pixels = self._joined([self._pixels, bins], shift)

    def _joined(self, parts: Sequence[Bins], shift: int) -> Bins:
        self.shift = max(self.shift, shift)
        bins = join(parts, self.shift)
        while len(bins) > self.most:
            self.shift += 1
            bins = join([bins], self.shift)
        return bins


def tied_steps(bins: Bins) -> tuple[Steps, NDArray[np.bool_]]:
    """The step function with each bin as one score, and which of the steps are mixed.

    A threshold is the smallest score of its bin, or the smallest float64 that lies in it where scores were rounded: either way
    it parts the bin and those above it from those below.
    """
    with_hits = bins.hits > 0
    hits = _from_above(bins.hits)[with_hits]
    reached = _from_above(bins.pixels - bins.hits)[with_hits]
    above = reached - (bins.pixels - bins.hits)[with_hits]
    mass = mass_of(*_carried(_from_above(bins.whole), _from_above(bins.part)))[with_hits]
    positives = int(bins.hits.sum())
    steps = Steps(
        thresholds=_lower_ends(bins.first[with_hits], bins.rounded[with_hits])[::-1],
        hits=hits[::-1],
        mass=mass[::-1],
        above=above[::-1],
        reached=reached[::-1],
        positives=positives,
        negatives=int(bins.pixels.sum()) - positives,
    )
    return steps, bins.mixed[with_hits][::-1]


def _lower_ends(first: Keys, rounded: NDArray[np.bool_]) -> Scores1D:
    found = values_of(first)
    return np.where(rounded, smallest_rounded_to(found), found) if rounded.any() else found


def smallest_rounded_to(values: NDArray[np.float32]) -> Floats:
    """The smallest finite float64 that becomes each float32 when it is rounded."""
    with np.errstate(over="ignore", under="ignore"):
        below = np.nextafter(values, np.float32(-np.inf))
    # Rounding treats infinity as 2^128, the power of two after the largest float32.
    between = np.clip(np.stack([below, values]).astype(np.float64), -(2.0**128), 2.0**128).mean(axis=0)
    ends = np.where(narrowed(between) < values, np.nextafter(between, np.inf), between)
    return np.where(np.isneginf(values), np.finfo(np.float64).min, ends)


def in_order(parts: Sequence[Bins], marks: NDArray[np.bool_]) -> tuple[Bins, NDArray[np.bool_]]:
    """Bins that do not overlap, in one ascending order, and a mark of each in the same order."""
    columns = [np.concatenate(column) for column in zip(*(part.columns() for part in parts), strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Bins(*(column[order] for column in columns)), marks[order]


def narrowed(scores: NDArray[Any]) -> NDArray[np.float32]:
    """As float32; what is too large for it becomes infinite, which is above everything else, where it belongs."""
    with np.errstate(over="ignore", under="ignore"):
        return scores.astype(np.float32, copy=False)


def _from_above(counts: Counts) -> Counts:
    total: Counts = counts[::-1].cumsum()[::-1]
    return total


def _summed(column: Counts, starts: NDArray[np.intp]) -> Counts:
    return np.add.reduceat(column, starts) if column.any() else np.zeros(len(starts), np.int64)


def _carried(whole: Counts, part: Counts) -> tuple[Counts, Counts]:
    return whole + (part >> 31), part & np.int64((1 << 31) - 1)


def _sorted_keys(chunk: Scores1D) -> tuple[Keys, NDArray[np.bool_] | None]:
    """Keys ascending, and for float64 whether each score was rounded; ties of the two are in no certain order, and need none."""
    narrow = narrowed(chunk)
    keys = keys_of(narrow)
    if chunk.dtype == np.float32:
        keys.sort()
        return keys, None
    both = packed(keys, narrow.astype(np.float64) != chunk)
    both.sort()
    return unpacked_keys(both), unpacked_numbers(both).astype(bool)


def _runs(keys: Keys, shift: int, most: int) -> tuple[NDArray[np.intp], int]:
    """Where the bins start in ascending keys, and the bits given up."""
    while True:
        names = keys >> np.uint32(shift)
        starts = np.concatenate(([0], np.flatnonzero(names[1:] != names[:-1]) + 1))
        if len(starts) <= most:
            return starts, shift
        shift += 1
