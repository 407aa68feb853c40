"""Rectangles as NSA draws them: each axis has its own half-width, and the border cuts what leaves the image.

NSA (Schlüter, Tan, Hou and Kainz, ECCV 2022), section 3.1. Original code: hmsch/natural-synthetic-anomalies, self_sup_tasks.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flawsmith.core.errors import BadParameter
from flawsmith.masks.boxes import Box

Bounds = tuple[float, float]
"""Least and largest half-width, shares of the axis."""

Pixels = tuple[int, int]
"""The same in whole pixels."""

Gamma = tuple[float, float, float]
"""Shape, scale and offset of a half-width, the latter two shares of the axis."""


@dataclass(frozen=True)
class HalfWidths:
    """How half-widths are drawn.

    Args:
        height: bounds along y.
        width: bounds along x.
        gamma: offset + Gamma(shape, scale), cut to the bounds; None: uniform over the bounds' whole pixels, without the last.
    """

    height: Bounds
    width: Bounds
    gamma: Gamma | None

    def pixels(self, shape: tuple[int, ...]) -> tuple[Pixels, Pixels]:
        """The bounds in whole pixels of an image of `shape`: (least, largest) along y and along x.

        Raises:
            BadParameter: a least half-width rounds to 0.
        """
        found = []
        for axis, bounds, side in zip(("height", "width"), (self.height, self.width), shape, strict=False):
            low, high = (round(share * side) for share in bounds)
            if low < 1:
                raise BadParameter(
                    f"parameter {axis} has a half-width of {bounds[0]}, which rounds to 0 of {side} pixels; expected 1: raise it"
                )
            found.append((low, high))
        return found[0], found[1]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[int, int]:
        """Half-widths in pixels along y and x."""
        height, width = (self._along(side, bounds, rng) for side, bounds in zip(shape, self.pixels(shape), strict=False))
        return height, width

    def _along(self, side: int, bounds: Pixels, rng: np.random.Generator) -> int:
        low, high = bounds
        if self.gamma is None:
            return int(rng.integers(low, max(low + 1, high)))
        form, scale, offset = self.gamma
        return int(min(max((offset + rng.gamma(form, scale)) * side, low), high))

    def box(self, half: tuple[int, int], shape: tuple[int, ...], rng: np.random.Generator) -> Box:
        """A box of half-widths around a centre that lies at least the least half-width inside the image; the border cuts it."""
        spans = []
        for extent, (low, _), side in zip(half, self.pixels(shape), shape, strict=False):
            centre = int(rng.integers(low, max(low + 1, side - low)))
            spans.append((max(0, centre - extent), min(side, centre + extent)))
        (top, bottom), (left, right) = spans
        return left, top, right - left, bottom - top
