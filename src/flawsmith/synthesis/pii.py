"""PII: merge a square of another normal into the picture so that no edge shows where it was put.

Poisson image interpolation (Tan, Hou, Day, Simpson, Rueckert, Kainz: Detecting Outliers with Poisson Image Interpolation, MICCAI
2021), section 2. Original code: jemtan/PII (self_sup_task_poisson.py, poissonBlend.py). Variant `opencv` is what the NSA
repository calls FPI-Poisson (hmsch/natural-synthetic-anomalies, train_mvtec.py): a rectangle of gamma half-widths, OpenCV's mixed
clone at partial strength. ASBench lists PII in its Table II and has no implementation of it, so there is no preset `asbench`.
Departs in five places: the system is solved on the patch alone, by a sine transform, where the original factorises a matrix of
the whole picture; a patch that changes nothing is drawn again (`require_change`); pixels outside the label stay as they are; with
a foreground the centre of the patch lies on the object and only its pixels change; `opencv` draws one rectangle, and on pictures
under 256 pixels shrinks its mask by fewer than OpenCV's 3 pixels.
"""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from flawsmith.appearance.change import apart, changed_pixels, changes_between
from flawsmith.appearance.pasting import differs, paste
from flawsmith.appearance.poisson import blend, erosion_at, interpolate
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside
from flawsmith.masks.gamma_boxes import HalfWidths
from flawsmith.masks.morphology import widened
from flawsmith.masks.patches import square_patch
from flawsmith.synthesis.training_free import Placed, Scene, Share, ShareRange, TrainingFree, in_order

ATTEMPTS = 50
THINNEST = 3
GAMMA = (2.0, 0.05, 0.03)
WIDTHS = {"dst": (0.05, 0.2), "opencv": (0.03, 0.4)}

HalfWidth = Annotated[float, Field(gt=0, le=0.5)]
Variant = Literal["dst", "opencv"]


class Pii(TrainingFree):
    """Merge a square of another normal by interpolated gradients; the soft mask is the other's weight.

    Args:
        variant: `dst` is the paper's; `opencv` the NSA repository's, a rectangle cloned with OpenCV's mixed gradients.
        half_width: least and largest half of the patch's side, shares of the smaller side of the picture (`opencv`: of each
            side); None: [0.05, 0.2], and [0.03, 0.4] for `opencv`.
        core: share of each axis, in its middle, that holds the square's centre; not used by `opencv`.
        weight: least and largest weight of the other normal's gradients.
        levels: 0 draws the weight from all of the range; K from the K levels 1/K, 2/K … 1, as in the original with K + 1 classes.
        tolerance: levels that count as one when the label compares result and picture; 1 compares exactly. For `opencv`: largest
            mean change of the channels that is no label.
        require_change: draw again when no pixel changes by more than one level.
    """

    name: ClassVar[str] = "pii"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "normals"}), takes_mask=True, area=(0.03, 0.12)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "nsa": {"variant": "opencv"}}

    variant: Variant = "dst"
    half_width: Annotated[tuple[HalfWidth, HalfWidth], AfterValidator(in_order)] | None = None
    core: Share = 0.8
    weight: ShareRange = (0.05, 0.95)
    levels: int = Field(default=0, ge=0, le=256)
    tolerance: int = Field(default=1, ge=1, le=255)
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Merge one patch, or the mask that was asked for."""
        other, name = self.other_normal(scene, scene.seed.numpy("pool"))
        rng = scene.seed.numpy("patch")
        for attempt in range(1, ATTEMPTS + 1):
            box = self._draw_box(scene, rng) if scene.mask is None else box_of(scene.mask)
            weight = self._draw_weight(rng)
            if scene.mask is None and min(box[2:]) < THINNEST:
                continue
            support = _support(box, scene.mask, scene.foreground)
            merged = merge(scene.image, other, box, weight, self.variant, support)
            label = changed(scene.image, merged, box, self.variant, self.tolerance)
            changed_image = paste(scene.image, merged[inside(box)], box, label)
            if label.any() and (not self.require_change or differs(scene.image, changed_image, box)):
                mask = framed(label, box, scene.size)
                told = {"patch": box, "weight": weight, "from": name}
                return Placed(changed_image, mask, told, attempt, soft_mask=mask * np.float32(weight))
        return Placed(scene.image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    def _draw_box(self, scene: Scene, rng: np.random.Generator) -> Box:
        size, bounds = scene.size, self.half_width or WIDTHS[self.variant]
        if 2 * round(bounds[1] * min(size)) < THINNEST:
            raise BadParameter(
                f"pii: parameter half_width is {list(bounds)}, patches of {2 * round(bounds[1] * min(size))} pixels at most; "
                f"expected {THINNEST} or more: raise it or use larger images"
            )
        if self.variant == "dst":
            return square_patch(size, rng, bounds, self.core, margin=1, foreground=scene.foreground)
        return self._draw_rectangle(size, bounds, scene.foreground, rng)

    def _draw_rectangle(
        self, size: tuple[int, int], bounds: tuple[float, float], foreground: Mask | None, rng: np.random.Generator
    ) -> Box:
        """A rectangle of gamma half-widths; with a foreground its centre lies on it where `ATTEMPTS` draws find one."""
        widths = HalfWidths(bounds, bounds, GAMMA)
        half = widths.draw(size, rng)
        for _ in range(ATTEMPTS):
            x, y, w, h = widths.box(half, size, rng)
            if foreground is None or foreground[y + h // 2, x + w // 2]:
                break
        return x, y, w, h

    def _draw_weight(self, rng: np.random.Generator) -> float:
        if self.levels:
            return float(rng.integers(1, self.levels + 1)) / self.levels
        return float(rng.uniform(*self.weight))


def merge(image: Image, other: Image, box: Box, weight: float, variant: Variant = "dst", support: Mask | None = None) -> Image:
    """The image with the other's patch merged into a box.

    Args:
        image: uint8 H×W×3.
        other: uint8 H×W×3.
        box: the patch.
        weight: of the other's gradients, 0…1.
        variant: see `Pii`.
        support: bool h×w, which pixels of the box may change; None: all.
    """
    if variant == "dst":
        return interpolate(image, other, box, weight, support)
    chosen = np.ones((box[3], box[2]), bool) if support is None else support.copy()
    chosen[0], chosen[-1], chosen[:, 0], chosen[:, -1] = False, False, False, False
    strength = ceil(255 * weight) / 255
    erode = erosion_at(image.shape)
    return blend(image, other[inside(box)], box, chosen, guidance="mixed", strength=strength, erode=erode)


def changed(image: Image, merged: Image, box: Box, variant: Variant = "dst", tolerance: int = 1) -> Mask:
    """The label: the pixels of the box that changed, bool h×w."""
    if variant == "dst":
        return apart(image[inside(box)], merged[inside(box)], tolerance)
    around = widened(box, 2, image.shape)
    found = changed_pixels(changes_between(image[inside(around)], merged[inside(around)]), tolerance)
    x, y = box[0] - around[0], box[1] - around[1]
    return found[inside((x, y, box[2], box[3]))]


Half = tuple[Image, NDArray[np.float32]]


def swapped(one: Image, other: Image, box: Box, weight: float, variant: Variant = "dst", tolerance: int = 1) -> tuple[Half, Half]:
    """Both halves of a swap, each with its soft mask: `weight`, the foreign weight of either, where the half changed.

    Args:
        one: uint8 H×W×3.
        other: uint8 H×W×3.
        box: the patch.
        weight: of the foreign gradients in each half.
        variant: see `Pii`.
        tolerance: see `Pii`.

    Returns:
        (image, soft mask) of each: uint8 H×W×3 and float32 H×W.
    """
    return _half(one, other, box, weight, variant, tolerance), _half(other, one, box, weight, variant, tolerance)


def _half(one: Image, other: Image, box: Box, weight: float, variant: Variant, tolerance: int) -> Half:
    merged = merge(one, other, box, weight, variant)
    label = changed(one, merged, box, variant, tolerance)
    return paste(one, merged[inside(box)], box, label), framed(label, box, one.shape) * np.float32(weight)


def _support(box: Box, *limits: Mask | None) -> Mask | None:
    """The pixels of the box that every limit allows; None: all."""
    support: Mask | None = None
    for limit in limits:
        if limit is not None:
            part = limit[inside(box)]
            support = part if support is None else support & part
    return support
