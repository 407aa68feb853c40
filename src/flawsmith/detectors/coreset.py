"""Greedy k-centre selection: a few rows that leave no other row far away.

Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach" (ICLR 2018), algorithm 1, as used by
PatchCore (algorithm 1 there). The result is that of the plain algorithm; only the work is less. A row x whose centre is a can
move to the new centre c only if d(c, a) < 2 d(x, a) (triangle inequality), so most rows are never looked at (Elkan, ICML 2003).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from flawsmith.core.progress import track

DISTORTION = 0.9
"""Relative error of distances that the random projection may cause (PatchCore's)."""

ROUNDING = 1e-4
"""Slack of the triangle test, relative, above the rounding of float32 distances."""


def greedy_k_centre(rows: Tensor, size: int, first: int, label: str = "choosing the memory") -> Tensor:
    """Indices of `size` rows: `first`, then again and again the row that is farthest from all chosen ones.

    Fewer come back where the rest are copies of chosen rows. Ties go to the lowest index. Memory beside `rows` is O(N).

    Args:
        rows: float32 N×D.
        size: 1…N.
        first: index of the first centre.
        label: of the progress bar.
    """
    rows = rows - rows.mean(0)
    norms = rows.square().sum(1)
    chosen = torch.empty(size, dtype=torch.int64)
    chosen[0] = first
    distance = squared_distances(rows, norms, first)
    distance[first] = -1.0
    owner = torch.zeros(len(rows), dtype=torch.int64)
    for count in track(range(1, size), label):
        new = int(distance.numpy().argmax())  # NumPy scans a vector several times faster than torch
        if distance[new] <= 0:
            return chosen[:count]
        chosen[count] = new
        _move_to(new, count, rows, norms, chosen, distance, owner)
    return chosen


def _move_to(new: int, count: int, rows: Tensor, norms: Tensor, chosen: Tensor, distance: Tensor, owner: Tensor) -> None:
    """Give centre number `count` the rows that are nearer to it than to their own; squared distances throughout."""
    between = squared_distances(rows, norms, new, chosen[:count])
    may_move = between.index_select(0, owner) < (4 + ROUNDING) * distance
    near = torch.from_numpy(np.flatnonzero(may_move.numpy()))
    if 3 * len(near) > len(rows):  # cheaper to look at every row than to gather so many
        to_new = squared_distances(rows, norms, new).index_select(0, near)
    else:
        to_new = squared_distances(rows, norms, new, near)
    closer = to_new < distance.index_select(0, near)
    moved = near[closer]
    distance[moved] = to_new[closer]
    owner[moved] = count
    distance[new] = -1.0


def squared_distances(rows: Tensor, norms: Tensor, centre: int, among: Tensor | None = None) -> Tensor:
    """Squared Euclidean distance of row `centre` to the rows `among` (all where None), never below 0."""
    some, their_norms = (rows, norms) if among is None else (rows.index_select(0, among), norms.index_select(0, among))
    return torch.addmv(their_norms + norms[centre], some, rows[centre], alpha=-2).clamp_(min=0)


def projected(rows: Tensor, generator: torch.Generator) -> Tensor:
    """Rows in fewer dimensions for quicker distances (sparse random projection), or `rows` where that saves nothing.

    Johnson-Lindenstrauss: d' = 4 ln N / (ε²/2 - ε³/3) with ε = 0.9, density 1/√D (Li, Hastie and Church, KDD 2006).
    """
    n, width = rows.shape
    target = math.floor(4 * math.log(max(n, 2)) / (DISTORTION**2 / 2 - DISTORTION**3 / 3))
    if target >= width:
        return rows
    density = 1 / math.sqrt(width)
    kept = torch.rand(width, target, generator=generator) < density
    sign = torch.randint(0, 2, (width, target), generator=generator) * 2 - 1
    return rows @ (kept * sign * math.sqrt(1 / density) / math.sqrt(target)).to(rows.dtype)
