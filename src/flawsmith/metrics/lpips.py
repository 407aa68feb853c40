"""LPIPS as a distance of vectors.

Zhang et al. (CVPR 2018): features of five layers, of unit length over channels; squared difference, weighted by channel, mean
over positions, sum over layers. With each feature multiplied by √(weight / positions) this is the squared Euclidean distance of
one long vector per picture. `flawsmith.encoders.perceptual` makes these vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.progress import track

Vector = NDArray[np.floating[Any]]

ROUNDING = 1e-5
"""Share of the lengths by which a distance from float32 products may err: what lies so near to the least is measured again."""

BLOCK = 1 << 30
"""Bytes of references that are looked at together."""

ROWS = 16
"""Vectors that are compared with a block at once."""


class Vectors(Protocol):
    """One vector per picture, made or held by whoever has the network."""

    def __len__(self) -> int:
        """Number of pictures."""
        ...

    def __getitem__(self, index: int, /) -> Vector:
        """The vector of one picture, 1-D."""
        ...


def distance(one: Vector, other: Vector) -> float:
    """The squared Euclidean distance of two vectors, in float64: their LPIPS.

    Raises:
        BadParameter: vectors of different pictures' sizes or networks.
        DataError: not finite (E_NOT_FINITE).
    """
    if one.shape != other.shape or one.ndim != 1:
        raise BadParameter(f"vectors have the shapes {one.shape} and {other.shape}; expected one network and one picture size")
    found = float(((one.astype(np.float64) - other) ** 2).sum())
    if not np.isfinite(found):
        raise DataError("E_NOT_FINITE", "a picture's LPIPS vector is not finite; expected finite numbers: check the pictures")
    return found


def nearest(vectors: Vectors, references: Vectors, label: str = "nearest") -> NDArray[np.int64]:
    """For each vector the reference at the least distance; the first of equals.

    Args:
        vectors: n of them, read once for each block of references that fits 1 GiB.
        references: at least one.
        label: what to call it where progress is shown.

    Raises:
        BadParameter: no references.
    """
    if not len(references):
        raise BadParameter("there are no references; expected at least one real picture")
    best = np.full(len(vectors), np.inf)
    found = np.zeros(len(vectors), np.int64)
    size = max(1, BLOCK // max(references[0].nbytes, 1))
    rows = max(1, min(size, ROWS))
    starts = [(start, first) for start in range(0, len(references), size) for first in range(0, len(vectors), rows)]
    block, lengths = np.zeros((0, 0)), np.zeros(0)
    for start, first in track(starts, label):
        if first == 0:
            block = np.stack([references[i] for i in range(start, min(start + size, len(references)))])
            lengths = np.einsum("ij,ij->i", block, block)
        batch = np.stack([vectors[i] for i in range(first, min(first + rows, len(vectors)))])
        for row, (place, value) in enumerate(_nearest_of_each(batch, block, lengths), first):
            if value < best[row]:
                best[row], found[row] = value, start + place
    return found


def _nearest_of_each(batch: NDArray[Any], block: NDArray[Any], lengths: NDArray[Any]) -> Iterator[tuple[int, float]]:
    """(place in the block, distance) of each vector's nearest: float32 products find the candidates, float64 decides."""
    rough = lengths - 2 * (batch @ block.T)
    slack = ROUNDING * (np.einsum("ij,ij->i", batch, batch) + lengths.max())
    for vector, row, wide in zip(batch, rough, slack, strict=True):
        close = np.flatnonzero(row <= row.min() + wide)
        exact = [distance(vector, block[i]) for i in close]
        first = int(np.argmin(exact))
        yield int(close[first]), exact[first]
