"""RIAD: remove some cells of a grid.

RIAD (Zavrtanik et al., Reconstruction by inpainting for visual anomaly detection, Pattern Recognition 2021) removes cells to
train a network that paints them in; for that regime there is `flawsmith.appearance.filling.inpainting_pairs`. ASBench lists RIAD
among the synthesizers, as blacking out patches, but ships no code: here cells of one size are removed inside a random rectangle,
with shares of our choice. Cells of 2 pixels, the paper's smallest, are left out, because they survive no resizing.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from flawsmith.appearance.filling import Fill, filling
from flawsmith.appearance.pasting import differing, paste
from flawsmith.core.arrays import Mask
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside, random_box
from flawsmith.masks.cells import grid_of, mask_of_cells, share_of_cells
from flawsmith.synthesis.training_free import Placed, Scene, ShareRange, TrainingFree

ATTEMPTS = 50
REFERENCE_SIDE = 256
SMALLEST_CELL = 2
CELL_SHARE = 0.5
SMALLEST_SHARE = 1e-9
LOG_ASPECT = math.log(1 / 0.3)

Cell = Annotated[int, Field(ge=2, le=256)]


class Riad(TrainingFree):
    """Remove cells of a grid inside a random rectangle.

    Args:
        cells: sides of a cell, pixels at 256, one of which is drawn.
        share: least and largest share of the picture's cells that are removed, no more than the rectangle holds.
        rectangle: least and largest share of the picture that the rectangle covers.
        fill: `black`, the picture's `mean` colour, uniform `noise`, or a colour (red, green, blue).
        grid: `pad` scales the cells with the picture and cuts them at its border; `exact` takes them in pixels and refuses a
            picture that they do not divide.
        require_change: label only pixels that change by more than one level, and draw again where none does.
    """

    name: ClassVar[str] = "riad"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, area=(0.05, 0.11))
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "exact": {"grid": "exact"}}

    cells: Annotated[tuple[Cell, ...], Field(min_length=1)] = (4, 8, 16)
    share: ShareRange = (0.02, 0.15)
    rectangle: ShareRange = (0.05, 0.3)
    fill: Fill = "black"
    grid: Literal["pad", "exact"] = "pad"
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Remove the cells."""
        rng = scene.seed.numpy("cells")
        for attempt in range(1, ATTEMPTS + 1):
            cell = self._draw_cell(scene, rng)
            rectangle = None if scene.mask is not None else self._draw_rectangle(scene, rng)
            removed = self._draw_cells(scene, cell, rectangle, rng)
            if not removed.any():
                continue
            box = box_of(removed)
            label, patch = removed[inside(box)], filling(self.fill, scene.image, box, scene.seed.child(attempt))
            if self.require_change:
                label = label & differing(patch, scene.image[inside(box)])
            if label.any():
                told = {"cell": cell, "rectangle": rectangle}
                return Placed(paste(scene.image, patch, box, label), framed(label, box, scene.size), told, attempt)
        return Placed(scene.image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    def _draw_cell(self, scene: Scene, rng: np.random.Generator) -> int:
        cell = self.cells[int(rng.integers(len(self.cells)))]
        return cell if self.grid == "exact" else max(SMALLEST_CELL, round(cell * min(scene.size) / REFERENCE_SIDE))

    def _draw_rectangle(self, scene: Scene, rng: np.random.Generator) -> Box:
        height, width = scene.size
        area, ratio = rng.uniform(*self.rectangle) * height * width, math.exp(rng.uniform(-LOG_ASPECT, LOG_ASPECT))
        extent = min(max(1, round(math.sqrt(area * ratio))), width), min(max(1, round(math.sqrt(area / ratio))), height)
        return random_box(extent, scene.size, rng)

    def _draw_cells(self, scene: Scene, cell: int, rectangle: Box | None, rng: np.random.Generator) -> Mask:
        """The pixels of the cells to remove: a share of the picture's cells, among those where removal is allowed."""
        grid = grid_of(scene.size, cell, self.grid == "exact")
        room = _room(scene)
        allowed = np.ones(grid, bool) if room is None else _mostly_in(room, cell)
        if rectangle is not None:
            allowed &= _centred_in(rectangle, cell, grid)
        wanted = max(1, round(rng.uniform(*self.share) * allowed.size))
        chosen = np.zeros(allowed.size, bool)
        chosen[rng.permutation(np.flatnonzero(allowed))[:wanted]] = True
        removed = mask_of_cells(chosen.reshape(grid), cell, scene.size)
        return removed if room is None else removed & room


def _room(scene: Scene) -> Mask | None:
    """The pixels that may be removed; None: all."""
    if scene.mask is None or scene.foreground is None:
        return scene.foreground if scene.mask is None else scene.mask
    return scene.mask & scene.foreground


def _mostly_in(room: Mask, cell: int) -> Mask:
    """The cells of which at least half lies in the room; where there are none, those that hold the most of it."""
    shares = share_of_cells(room, cell)
    return np.asarray(shares >= max(SMALLEST_SHARE, min(CELL_SHARE, shares.max())))


def _centred_in(rectangle: Box, cell: int, grid: tuple[int, int]) -> Mask:
    """The cells whose centre lies in a rectangle, and the one that holds the rectangle's centre."""
    x, y, w, h = rectangle
    centred = np.zeros(grid, bool)
    centred[(y + h // 2) // cell, (x + w // 2) // cell] = True
    top, bottom, left, right = (math.ceil(end / cell - 0.5) for end in (y, y + h, x, x + w))
    centred[top:bottom, left:right] = True
    return centred
