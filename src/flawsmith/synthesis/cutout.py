"""CutOut: blank a square of the picture.

Cutout (DeVries and Taylor, 2017), there a regulariser of classifiers; as a synthesizer of anomalies in ASBench (M-3LAB/ASBench,
CutOut.py): a square of side 2·floor(L/2), L of 20 to 50 pixels at 256, centred on any pixel, cut at the border and black.
Departs in three places: sizes scale with the picture, where the original resizes it to 256; pixels that were black already are
not labelled, and a hole of nothing else is drawn again (`require_change`); with a foreground the centre lies on the object.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator, Field

from flawsmith.appearance.filling import Fill, filling
from flawsmith.appearance.pasting import differing, paste
from flawsmith.core.arrays import Mask
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_around, box_of, framed, random_pixel
from flawsmith.masks.boxes import inside as pixels_of
from flawsmith.synthesis.training_free import Placed, Scene, TrainingFree, in_order

ATTEMPTS = 50
REFERENCE_SIDE = 256

Length = Annotated[int, Field(ge=1)]


class CutOut(TrainingFree):
    """Blank one or more squares of the picture.

    Args:
        side: least and largest side of the square, pixels at 256.
        n_holes: how many squares.
        fill: `black`, the picture's `mean` colour, uniform `noise`, or a colour (red, green, blue).
        inside: keep each square wholly inside the picture instead of cutting it at the border.
        require_change: label only pixels that change by more than one level, and draw again where none does.
    """

    name: ClassVar[str] = "cutout"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, area=(0.01, 0.03))
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "asbench": {"require_change": False}}

    side: Annotated[tuple[Length, Length], AfterValidator(in_order)] = (20, 50)
    n_holes: int = Field(default=1, ge=1, le=64)
    fill: Fill = "black"
    inside: bool = False
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Blank the holes, or the mask that was asked for."""
        rng = scene.seed.numpy("holes")
        attempts = ATTEMPTS if scene.mask is None else 1
        for attempt in range(1, attempts + 1):
            holes = [] if scene.mask is not None else [self._draw_hole(scene, rng) for _ in range(self.n_holes)]
            room = _room(scene, holes)
            if not room.any():
                continue
            box = box_of(room)
            label, patch = room[pixels_of(box)], filling(self.fill, scene.image, box, scene.seed.child(attempt))
            if self.require_change:
                label = label & differing(patch, scene.image[pixels_of(box)])
            if label.any():
                return Placed(paste(scene.image, patch, box, label), framed(label, box, scene.size), {"holes": holes}, attempt)
        return Placed(scene.image, np.zeros(scene.size, bool), attempts=attempts)

    def _draw_hole(self, scene: Scene, rng: np.random.Generator) -> Box:
        scale = min(scene.size) / REFERENCE_SIDE
        least, largest = (round(side * scale) for side in self.side)
        half = max(1, int(rng.integers(least, largest + 1)) // 2)
        ends = [(min(half, side // 2), max(side - half, side // 2)) if self.inside else (0, side - 1) for side in scene.size]
        (top, bottom), (left, right) = ends
        on_object = None if scene.foreground is None else random_pixel(scene.foreground, rng)
        if on_object is None:
            centre = int(rng.integers(top, bottom + 1)), int(rng.integers(left, right + 1))
        else:
            centre = min(max(top, on_object[0]), bottom), min(max(left, on_object[1]), right)
        return box_around(centre, half, scene.size)


def _room(scene: Scene, holes: Sequence[Box]) -> Mask:
    """The pixels that may be blanked."""
    if scene.mask is not None:
        room = scene.mask.copy()
    else:
        room = np.zeros(scene.size, bool)
        for hole in holes:
            room[pixels_of(hole)] = True
    return room if scene.foreground is None else room & scene.foreground
