"""FPI: mix a square of another normal into the picture.

Foreign patch interpolation (Tan et al., Detecting Outliers with Foreign Patch Interpolation, MELBA 2022), section 3.
Original code: jemtan/FPI (self_sup_task.py, patch_ex). What ASBench calls FPI is another method, see `disc_shift`.
Departs in three places: a patch that changes nothing is drawn again (`require_change`); pixels that the tolerance counts as equal
stay as they are, so that nothing changes outside the label; with a foreground the centre of the patch lies on the object and only
the object's pixels change.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from pydantic import AfterValidator, Field

from flawsmith.appearance.change import apart
from flawsmith.appearance.pasting import differs, paste
from flawsmith.core.arrays import Image
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside
from flawsmith.masks.patches import square_patch
from flawsmith.synthesis.training_free import Placed, Scene, Share, ShareRange, TrainingFree, in_order

ATTEMPTS = 50

HalfWidth = Annotated[float, Field(gt=0, le=0.5)]


class Fpi(TrainingFree):
    """Mix a square of another normal into the picture; the soft mask is the other's weight.

    Args:
        half_width: least and largest half of the square's side, shares of the smaller side of the picture.
        core: share of each axis, in its middle, that holds the square's centre.
        weight: least and largest weight of the other normal.
        levels: 0 draws the weight from all of the range; K from the K levels 1/K, 2/K … 1, as in the original with K + 1 classes.
        tolerance: levels of grey that count as one when the label compares both pictures; 1 compares exactly.
        require_change: draw again when no pixel changes by more than one level.
    """

    name: ClassVar[str] = "fpi"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.03, 0.12)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}}

    half_width: Annotated[tuple[HalfWidth, HalfWidth], AfterValidator(in_order)] = (0.05, 0.2)
    core: Share = 0.8
    weight: ShareRange = (0.05, 0.95)
    levels: int = Field(default=0, ge=0, le=256)
    tolerance: int = Field(default=1, ge=1, le=255)
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Mix one patch, or the mask that was asked for."""
        other, name = self.other_normal(scene, scene.seed.numpy("pool"))
        rng = scene.seed.numpy("patch")
        for attempt in range(1, ATTEMPTS + 1):
            box = self._draw_patch(scene, rng) if scene.mask is None else box_of(scene.mask)
            weight = self._draw_weight(rng)
            own, foreign = scene.image[inside(box)], other[inside(box)]
            label = apart(own, foreign, self.tolerance)
            for limit in (scene.mask, scene.foreground):
                label = label if limit is None else label & limit[inside(box)]
            changed = paste(scene.image, mixed(own, foreign, weight), box, label)
            if label.any() and (not self.require_change or differs(scene.image, changed, box)):
                mask = framed(label, box, scene.size)
                told = {"patch": box, "weight": weight, "from": name}
                return Placed(changed, mask, told, attempt, soft_mask=mask * np.float32(weight))
        return Placed(scene.image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    def _draw_patch(self, scene: Scene, rng: np.random.Generator) -> Box:
        return square_patch(scene.size, rng, self.half_width, self.core, foreground=scene.foreground)

    def _draw_weight(self, rng: np.random.Generator) -> float:
        if self.levels:
            return float(rng.integers(1, self.levels + 1)) / self.levels
        return float(rng.uniform(*self.weight))


def mixed(one: Image, other: Image, weight: float) -> Image:
    """One half of a swap: the picture with `weight` of the other mixed in, rounded once.

    With both exchanged it is the other half, and the two sum to the sum of the pictures.
    """
    return np.asarray(cv2.addWeighted(one, 1 - weight, other, weight, 0), np.uint8)
