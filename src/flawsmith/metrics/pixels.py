"""Pixels of many maps as one step function: engine `sort`.

Background is copied once into one array and sorted in place; defect pixels carry 1/|region|. Sets that would not fit the memory
budget are refused before anything is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import OverBudget
from flawsmith.metrics.overlap import region_weights
from flawsmith.metrics.steps import Floats, Scores1D, Steps, steps_of
from flawsmith.metrics.testset import CheckedSet

MEMORY_BUDGET = 4 * 2**30
"""Bytes that counting may take beside the maps, unless told otherwise."""

BYTES_PER_POSITIVE = 128
"""Peak cost of a defect pixel: score, weight, order and the curve's corners."""


@dataclass(frozen=True, eq=False)
class Block:
    """Pixels of some images.

    Args:
        positives: scores of defect pixels.
        weights: 1/|region| of each.
        background: scores of all others, ascending.
        regions: number of regions.
        images, normals: number of images, and of those without a defect.
    """

    positives: Scores1D
    weights: Floats
    background: Scores1D
    regions: int
    images: int
    normals: int


def collect(data: CheckedSet, indices: Sequence[int], connectivity: int) -> Block:
    """Gather the pixels of the usable images among `indices`, in whatever order they come."""
    used = [i for i in indices if data.usable[i]]
    background = np.empty(sum(data.pixels(i) - data.defect_pixels(i) for i in used), data.dtype)
    found: list[NDArray[Any]] = [np.empty(0, data.dtype)]
    weights: list[Floats] = [np.empty(0, np.float64)]
    filled = regions = 0
    for i in used:
        values, mask = data.map(i), data.masks[i]
        outside = values.ravel() if mask is None else values[~mask]
        background[filled : filled + len(outside)] = outside
        filled += len(outside)
        if mask is not None:
            weight, count = region_weights(mask, connectivity)
            found.append(values[mask])
            weights.append(weight)
            regions += count
    background.sort()
    normals = sum(1 for i in used if not data.labels[i])
    return Block(np.concatenate(found), np.concatenate(weights), background, regions, len(used), normals)


def count_pixels(blocks: Sequence[Block]) -> Steps:
    """The step function of all blocks together; its mass is the PRO mass."""
    positives = np.concatenate([block.positives for block in blocks])
    weights = np.concatenate([block.weights for block in blocks])
    return steps_of(positives, [block.background for block in blocks], weights)


def refuse_over_budget(data: CheckedSet, budget: int) -> None:
    """Refuse a set whose pixels do not fit `budget` bytes.

    Raises:
        OverBudget: naming need and budget.
    """
    used = np.flatnonzero(data.usable).tolist()
    pixels = sum(data.pixels(i) for i in used)
    need = pixels * data.dtype.itemsize + BYTES_PER_POSITIVE * sum(data.defect_pixels(i) for i in used)
    if need > budget:
        raise OverBudget(
            f"pixel metrics of {pixels:,} pixels need {_gib(need)} of memory, and the budget is {_gib(budget)}; "
            "raise memory=, or give fewer or smaller maps"
        )


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
