"""Grids of square cells over a picture: some of them as a mask, and all of them dealt into disjoint sets.

RIAD (Zavrtanik et al., Pattern Recognition 2021); re-implementation: plutoyuxie/Reconstruction-by-inpainting-for-visual-anomaly-
detection (utils/gen_mask.py). The grid begins at the top left corner; where the cells do not divide the picture, the last row and
column are cut at its border, which is what padding to the grid and cropping would give. `exact` refuses such a picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import BadParameter


def grid_of(shape: tuple[int, ...], cell: int, exact: bool = False) -> tuple[int, int]:
    """Rows and columns of cells of `cell` pixels that cover a picture.

    Raises:
        BadParameter: the cell is no pixel, or `exact` and it does not divide both sides.
    """
    if cell < 1:
        raise BadParameter(f"cell is {cell} pixels; expected at least 1")
    if exact and (shape[0] % cell or shape[1] % cell):
        raise BadParameter(
            f"cells of {cell} pixels do not divide a picture of {shape[1]}×{shape[0]}; expected a multiple of {cell} each way: "
            f"resize it or choose other cells"
        )
    return -(-shape[0] // cell), -(-shape[1] // cell)


def mask_of_cells(chosen: Mask, cell: int, shape: tuple[int, ...]) -> Mask:
    """The pixels of the chosen cells: rows×columns of cells become H×W."""
    rows, columns = chosen.shape
    whole = cv2.resize(chosen.view(np.uint8), (columns * cell, rows * cell), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(whole[: shape[0], : shape[1]]) > 0


def share_of_cells(room: Mask, cell: int) -> NDArray[np.float64]:
    """How much of each cell is True, of the part of it that lies on the picture."""
    height, width = room.shape
    top, left = np.arange(0, height, cell), np.arange(0, width, cell)
    counts = np.add.reduceat(np.add.reduceat(room, left, axis=1, dtype=np.int64), top, axis=0)
    areas = np.outer(np.diff([*top, height]), np.diff([*left, width]))
    return np.asarray(counts / areas)


def disjoint_sets(
    shape: tuple[int, ...], cells: Sequence[int], sets: int, rng: np.random.Generator, exact: bool = False
) -> tuple[Mask, ...]:
    """Deal the cells of a grid, at random, into `sets` masks that cover the picture, for training a network to paint in.

    Args:
        shape: (H, W) of the picture.
        cells: sides of a cell in pixels, one of which is drawn.
        sets: how many; their numbers of cells differ by one at most.
        rng: the only source of draws.
        exact: refuse a picture that the cells do not divide; otherwise the last row and column of cells are cut.

    Raises:
        BadParameter: no cell sizes, fewer than two sets or more than cells, or `exact` and the cells do not divide the picture.
    """
    if not cells:
        raise BadParameter("cells is empty; expected at least one size in pixels, such as (4, 8, 16)")
    cell = int(cells[int(rng.integers(len(cells)))])
    rows, columns = grid_of(shape, cell, exact)
    if not 2 <= sets <= rows * columns:
        raise BadParameter(
            f"sets is {sets}; expected at least 2 and at most {rows * columns}, the cells of {cell} pixels in a picture of "
            f"{shape[1]}×{shape[0]}"
        )
    dealt = np.empty(rows * columns, np.int64)
    dealt[rng.permutation(rows * columns)] = np.arange(rows * columns) % sets
    return tuple(mask_of_cells((dealt == k).reshape(rows, columns), cell, shape) for k in range(sets))
