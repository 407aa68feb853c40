"""A picture's own cells in another order: the structural source of MemSeg."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from flawsmith.appearance.blending import Places

Order = NDArray[np.intp]
"""For each cell, row by row, the cell whose content it gets."""


def shuffled_places(places: Places, size: tuple[int, int], cells: tuple[int, int], order: Order) -> Places:
    """Where the pixels at `places` come from when the cells of a grid over the picture are put into another order.

    A side that the grid does not divide is thought to go on mirrored until it does; what then lies outside is not asked for.

    Args:
        places: in the shuffled picture.
        size: (H, W) of the picture.
        cells: of the grid, down and across.
        order: a permutation of all cells.
    """
    high, wide = -(-size[0] // cells[0]), -(-size[1] // cells[1])
    y, x = places // size[1], places % size[1]
    row, column = y // high, x // wide
    source = order[row * cells[1] + column]
    source_row = source // cells[1]
    from_y = y + (source_row - row) * high
    from_x = x + (source - source_row * cells[1] - column) * wide
    return _mirrored(from_y, size[0]) * size[1] + _mirrored(from_x, size[1])


def _mirrored(positions: Places, side: int) -> Places:
    """Positions past the end, counted back from it; the last pixel itself is not repeated."""
    return np.minimum(positions, 2 * (side - 1) - positions)
