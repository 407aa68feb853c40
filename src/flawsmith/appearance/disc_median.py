"""The exact median over a disc, as a sorting network of whole pictures.

Every comparison of the network is one minimum and one maximum of two shifted pictures, so that all pixels are sorted at once;
runs of pixels and blocks of rows that several discs share are sorted once. Merging is Batcher's (Knuth, *The Art of Computer
Programming*, volume 3, section 5.3.4). Up to 256 different values are sorted as bytes. On 112×112 pixels at radius 5 this takes a
fifth of the time of scipy's rank filter, and the answer is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint16]
Ranks = NDArray[np.unsignedinteger[Any]]
Sorted = list[Ranks]
"""Pictures as flat arrays; at every pixel the first holds the least value, the last the largest."""

STRIP = 12000
"""Pixels that are sorted at once: about as many as stay in the processor's cache."""


def inner_disc_median(values: Values, radius: int = 5) -> Values:
    """Median over the disc around each pixel at least `radius` away from the edges: uint16 (H - 2·radius)×(W - 2·radius).

    With the edges repeated around them it equals `scipy.ndimage.median_filter(values, footprint=skimage.morphology.disk(radius),
    mode="nearest")`.
    """
    codes, levels = _as_bytes(values)
    height, rows = len(values) - 2 * radius, max(1, STRIP // values.shape[1])
    strips = [_median_of_strip(codes[top : top + rows + 2 * radius], radius) for top in range(0, height, rows)]
    medians = np.concatenate(strips)[:, : values.shape[1] - 2 * radius]
    return np.asarray(medians if levels is None else levels[medians], np.uint16)


def _as_bytes(values: Values) -> tuple[Ranks, Values | None]:
    """Values by the place of each among the different ones, and those; the values themselves where they are too many."""
    present = np.bincount(values.ravel()) > 0
    levels = np.flatnonzero(present).astype(np.uint16)
    if len(levels) > 256:
        return values, None
    return (np.cumsum(present) - 1).astype(np.uint8)[values], levels


def _median_of_strip(padded: Ranks, radius: int) -> Ranks:
    """Medians of all rows but `radius` at the top and at the bottom. The last 2·radius columns hold nothing of use.

    Rows lie behind each other in one flat array: a neighbour is a shift, and what wraps around ends in those columns.
    """
    height, stride = padded.shape[0] - 2 * radius, padded.shape[1]
    reaches = [isqrt(radius**2 - dy**2) for dy in range(radius + 1)]
    runs = _sorted_runs(padded.ravel(), radius, reaches)
    wanted = height * stride - 2 * radius

    def shifted(pictures: Sorted, rows: int) -> Sorted:
        return [picture[rows * stride :][:wanted] for picture in pictures]

    above, below = [], [shifted(runs[radius], radius)]
    for reach, group in groupby(range(1, radius + 1), key=lambda dy: reaches[dy]):
        offsets = list(group)
        block = _block(runs[reach], len(offsets), stride)
        above.append(shifted(block, radius - offsets[-1]))
        below.append(shifted(block, radius + offsets[0]))
    median = np.zeros(height * stride, padded.dtype)
    median[:wanted] = _middle(_merged_all(above), _merged_all(below))
    return median.reshape(height, stride)


def _sorted_runs(flat: Ranks, radius: int, reaches: Sequence[int]) -> dict[int, Sorted]:
    """For each reach the 2·reach + 1 pixels around each pixel of a row, sorted; longer runs add to shorter ones."""
    length = len(flat) - 2 * radius
    runs: dict[int, Sorted] = {}
    run: Sorted = []
    covered = -1
    for reach in sorted(set(reaches)):
        added = [flat[radius + dx :][:length] for dx in range(-reach, reach + 1) if abs(dx) > covered]
        run, covered = _merged(run, _merged_all([[picture] for picture in added])), reach
        runs[reach] = run
    return runs


def _block(run: Sorted, rows: int, stride: int) -> Sorted:
    """The runs of consecutive rows together, sorted."""
    length = len(run[0]) - (rows - 1) * stride
    return _merged_all([[picture[row * stride :][:length] for picture in run] for row in range(rows)])


def _merged_all(groups: Sequence[Sorted]) -> Sorted:
    """Merge the two shortest until one is left."""
    left = sorted(groups, key=len)
    while len(left) > 1:
        left = sorted([_merged(left[0], left[1]), *left[2:]], key=len)
    return left[0]


def _merged(one: Sorted, other: Sorted) -> Sorted:
    """Two sorted lists as one."""
    wires = one + other
    comparisons, order = _merging_network(len(one), len(other))
    for low, high in comparisons:
        a, b = wires[low], wires[high]
        wires[low], wires[high] = np.minimum(a, b), np.maximum(a, b)
    return [wires[k] for k in order]


@lru_cache(maxsize=256)
def _merging_network(one: int, other: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Which wires to compare, in order, and where the sorted wires then are, for lists of these lengths one after the other."""
    comparisons: list[tuple[int, int]] = []
    return comparisons, _odd_even_merge(list(range(one)), list(range(one, one + other)), comparisons)


def _odd_even_merge(one: list[int], other: list[int], comparisons: list[tuple[int, int]]) -> list[int]:
    """Batcher's merge on the numbers of wires: adds its comparisons, and returns the wires from least to largest."""
    if not one or not other:
        return one or other
    if len(one) == len(other) == 1:
        comparisons.append((one[0], other[0]))
        return one + other
    even = _odd_even_merge(one[::2], other[::2], comparisons)
    odd = _odd_even_merge(one[1::2], other[1::2], comparisons)
    pairs = list(zip(odd, even[1:], strict=False))
    comparisons += pairs
    return even[:1] + [wire for pair in pairs for wire in pair] + even[1 + len(pairs) :] + odd[len(pairs) :]


def _middle(one: Sorted, other: Sorted) -> Ranks:
    """The median of both together, their number being odd: the least over i of the larger of one[i-1] and other[middle-i-1]."""
    rank = (len(one) + len(other) + 1) // 2
    larger = [np.maximum(one[i - 1], other[rank - i - 1]) for i in range(max(1, rank - len(other)), min(rank - 1, len(one)) + 1)]
    larger += other[rank - 1 : rank] + one[rank - 1 : rank]  # none of one, or none of the other
    middle = larger[0]
    for candidate in larger[1:]:
        middle = np.minimum(middle, candidate)
    return middle
