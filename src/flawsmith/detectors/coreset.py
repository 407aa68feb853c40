"""Greedy k-centre selection: a few rows that leave no other row far away.

Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach" (ICLR 2018), algorithm 1, as used by
PatchCore (algorithm 1 there). The result is that of the plain algorithm up to rounding; only the order of work differs. The next
centre is the row with the largest distance, and distances only fall; so as long as the largest distance among the few farthest
rows stays above that of every other row, the next centres can be found among those few alone. All rows then hear of these centres
at once, in one matrix product instead of a pass over memory for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from flawsmith.core.progress import track

DISTORTION = 0.9
"""Relative error of distances that the random projection may cause (PatchCore's)."""

FEW = 4096
"""How many of the farthest rows are searched on their own; small enough to stay in the processor's cache."""

ROWS_AT_ONCE = 8192


def greedy_k_centre(rows: Tensor, size: int, first: int, label: str = "choosing the memory") -> Tensor:
    """Indices of `size` rows: `first`, then again and again the row that is farthest from all chosen ones.

    Fewer come back where the rest are copies of chosen rows, but for rounding. Ties go to the lowest index. Memory beside a
    centred copy of `rows` is O(N).

    Args:
        rows: float32 N×D.
        size: 1…N.
        first: index of the first centre.
        label: of the progress bar.
    """
    rows = rows - rows.mean(0)
    norms = rows.square().sum(1)
    distance = torch.full((len(rows),), torch.inf)
    found = _rounds(rows, norms, distance, size, first)
    return torch.tensor(list(track(found, label, total=size)), dtype=torch.int64)


def _rounds(rows: Tensor, norms: Tensor, distance: Tensor, size: int, first: int) -> Iterator[int]:
    centres, count = [first], 0
    while centres:
        yield from centres
        count += len(centres)
        if count == size:
            return
        _draw_near(rows, norms, distance, torch.tensor(centres))
        centres = _next_centres(rows, norms, distance, size - count)


def _draw_near(rows: Tensor, norms: Tensor, distance: Tensor, centres: Tensor) -> None:
    """Lower each row's squared distance to that of the nearest of the new `centres`; theirs become -1."""
    picked, lengths = rows[centres].T, norms[centres]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        nearest = torch.addmm(lengths[None], rows[some], picked, alpha=-2).amin(1).add_(norms[some]).clamp_(min=0)
        torch.minimum(distance[some], nearest, out=distance[some])
    distance[centres] = -1.0


def _next_centres(rows: Tensor, norms: Tensor, distance: Tensor, most: int) -> list[int]:
    """The centres that certainly come next: at least one unless no row is left, at most `most`."""
    farthest = int(distance.numpy().argmax())  # NumPy scans a vector several times faster than torch, and takes the lowest index
    if distance[farthest] <= 0:
        return []
    few, others = _farthest_few(distance)
    local, lengths, near = rows[few], norms[few], distance[few]
    centres: list[int] = []
    while len(centres) < most:
        place = int(near.numpy().argmax())
        if near[place] <= max(others, 0.0):
            break
        centres.append(int(few[place]))
        to_new = torch.addmv(lengths + lengths[place], local, local[place], alpha=-2).clamp_(min=0)
        torch.minimum(near, to_new, out=near)
        near[place] = -1.0
    return centres or [farthest]


def _farthest_few(distance: Tensor) -> tuple[Tensor, float]:
    """Indices of the few farthest rows in ascending order, and the largest distance of all others."""
    if len(distance) <= FEW:
        return torch.arange(len(distance)), -1.0
    values, indices = distance.topk(FEW + 1)
    return indices[:FEW].sort().values, float(values[FEW])


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
