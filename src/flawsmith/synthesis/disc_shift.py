"""Disc shift: add a constant to a disc.

What ASBench calls FPI (M-3LAB/ASBench, FPI_generation.py); it is the test-time outlier "uniform additive noise" of jemtan/FPI
(synthetic/example_synthesizing_outliers_mood.ipynb) in two dimensions, not foreign patch interpolation, for which see `fpi`.
Departs in four places: values are clipped, where the original wraps round at 256 (`wrap`); the shift is rounded once, where the
original cuts fractions off; a disc that changes nothing is drawn again (`require_change`); sizes follow the smaller side of a
picture that is not square, and with a foreground the centre lies on the object.
"""

from __future__ import annotations

from typing import Any, ClassVar

import cv2
import numpy as np

from flawsmith.appearance.pasting import differs, paste
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_around, box_of, framed, in_core, inside, middle, random_pixel
from flawsmith.synthesis.training_free import Placed, Scene, Share, ShareRange, TrainingFree

ATTEMPTS = 50


class DiscShift(TrainingFree):
    """Add a constant to all channels of a disc.

    Args:
        radius: least and largest radius, shares of the smaller side of the picture.
        amplitude: least and largest shift, shares of the picture's range of values; its sign is a fair coin.
        core: share of each axis, in its middle, that holds the centre.
        wrap: let values run over from 255 to 0 and back instead of clipping them.
        require_change: draw again when no pixel changes by more than one level.
    """

    name: ClassVar[str] = "disc_shift"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, area=(0.01, 0.03))
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "asbench": {"wrap": True, "require_change": False}}

    radius: ShareRange = (0.05, 0.1)
    amplitude: ShareRange = (0.2, 0.3)
    core: Share = 0.5
    wrap: bool = False
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Shift one disc, or the mask that was asked for."""
        image, rng = scene.image, scene.seed.numpy("disc")
        low, high, _, _ = cv2.minMaxLoc(image.reshape(scene.size[0], -1))
        centres = None if scene.foreground is None else in_core(scene.foreground, self.core)
        for attempt in range(1, ATTEMPTS + 1):
            shift = self._draw_shift(high - low, rng)
            disc, box, told = self._draw_disc(scene, centres, rng) if scene.mask is None else _asked(scene.mask)
            if scene.foreground is not None:
                disc = disc & scene.foreground[inside(box)]
            changed = paste(image, shifted(image[inside(box)], shift, self.wrap), box, disc)
            if disc.any() and (not self.require_change or differs(image, changed, box)):
                return Placed(changed, framed(disc, box, scene.size), {**told, "shift": shift}, attempt)
        return Placed(image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    def _draw_shift(self, span: float, rng: np.random.Generator) -> int:
        strength, sign = rng.random(2).tolist()
        amplitude: float = span * (self.amplitude[0] + strength * (self.amplitude[1] - self.amplitude[0]))
        return round(amplitude if sign < 0.5 else -amplitude)

    def _draw_disc(self, scene: Scene, centres: Mask | None, rng: np.random.Generator) -> tuple[Mask, Box, dict[str, Any]]:
        """The disc's pixels in its box, the box, and what provenance tells of it."""
        least, beyond = (round(share * min(scene.size)) for share in self.radius)
        radius = int(rng.integers(max(1, least), max(1, least, beyond - 1) + 1))
        on_object = None if centres is None else random_pixel(centres, rng)
        height, width = scene.size
        if on_object is None:
            row, column = int(rng.integers(*middle(height, self.core))), int(rng.integers(*middle(width, self.core)))
        else:
            row, column = on_object
        box = box_around((row, column), radius, scene.size)
        rows, columns = (np.arange(part.start, part.stop) - at for part, at in zip(inside(box), (row, column), strict=True))
        return rows[:, None] ** 2 + columns**2 < radius**2, box, {"centre": [row, column], "radius": radius}


def shifted(image: Image, shift: int, wrap: bool = False) -> Image:
    """The image with every value moved by `shift`, clipped to 0…255 or wrapped round at its ends."""
    values = np.arange(256) + shift
    return np.asarray(cv2.LUT(image, (values % 256 if wrap else values.clip(0, 255)).astype(np.uint8)), np.uint8)


def _asked(mask: Mask) -> tuple[Mask, Box, dict[str, Any]]:
    box = box_of(mask)
    return mask[inside(box)], box, {}
