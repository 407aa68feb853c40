"""CutPaste: cut a rectangle out of the picture and paste it somewhere else.

CutPaste (Li et al., CVPR 2021), section 2.2. No original code was released; numbers as in the common re-implementations and in
M-3LAB/ASBench, cutpaste.py.
Departs in four places: height and width are not swapped on pictures that are not square; a paste that changes nothing is drawn
again (`require_change`); with a foreground both boxes lie at least half on the object, and only its pixels change; the patch may
come from another normal (`source`).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from flawsmith.appearance.pasting import differing, differs, paste
from flawsmith.appearance.photometry import colour_jitter
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside, random_box, share_in
from flawsmith.synthesis.training_free import Placed, PositiveRange, Scene, ShareRange, TrainingFree

ATTEMPTS = 50
OBJECT_SHARE = 0.5


class CutPaste(TrainingFree):
    """Cut a rectangle and paste it elsewhere.

    Args:
        area: least and largest share of the image that the patch covers.
        aspect: least and largest ratio of its width to its height.
        source: where the patch is cut: the picture's `own`, or another of the `normals`.
        aspect_draw: `log_uniform`, or `coin` for the paper's fair coin between an upright and a flat patch.
        jitter: strength of the patch's change in brightness, contrast, saturation and hue; 0 pastes it as it is.
        require_change: draw again when the pasted picture equals the normal to within one level.
        mask_from_diff: paste and label only the pixels that change by more than one level, instead of the whole patch.
    """

    name: ClassVar[str] = "cutpaste"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, area=(0.05, 0.12))
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "asbench": {"jitter": 0.0, "require_change": False}}

    area: ShareRange = (0.02, 0.15)
    aspect: PositiveRange = (0.3, 1 / 0.3)
    aspect_draw: Literal["log_uniform", "coin"] = "log_uniform"
    source: Literal["own", "normals"] = "own"
    jitter: float = Field(default=0.1, ge=0, le=0.5)
    require_change: bool = True
    mask_from_diff: bool = False

    @model_validator(mode="after")
    def _check_coin(self) -> Self:
        if self.aspect_draw == "coin" and not self.aspect[0] <= 1 <= self.aspect[1]:
            raise ValueError(f"aspect_draw=coin needs an aspect on both sides of 1, as in [0.3, 3.3], not {list(self.aspect)}")
        return self

    @property
    def uses_other_normals(self) -> bool:
        """With `source` normals."""
        return self.source == "normals"

    def place(self, scene: Scene) -> Placed:
        """Paste one patch."""
        image, foreground, mask = scene.image, scene.foreground, scene.mask
        origin, object_of_origin, drawn = self._origin(scene)
        rng = scene.seed.numpy("patch")
        for attempt in range(1, ATTEMPTS + 1):
            target = _draw_target(image.shape, rng, self) if mask is None else box_of(mask)
            source = random_box(target[2:], image.shape, rng)
            asked = None if mask is None else mask[inside(target)]
            if share_in(object_of_origin, source, asked) < OBJECT_SHARE or (
                asked is None and share_in(foreground, target) < OBJECT_SHARE
            ):
                continue
            support = _support(target, foreground, asked)
            if support is not None and not support.any():
                continue
            patch = colour_jitter(origin[inside(source)], rng, self.jitter)
            if self.mask_from_diff:
                apart = differing(patch, image[inside(target)])
                support = apart if support is None else apart & support
            changed = paste(image, patch, target, support)
            if not self.require_change or differs(image, changed, target):
                told = {"source": source, "target": target, **drawn}
                return Placed(changed, framed(support, target, image.shape), told, attempt)
        return Placed(image, np.zeros(image.shape[:2], bool), attempts=ATTEMPTS)

    def _origin(self, scene: Scene) -> tuple[Image, Mask | None, dict[str, str]]:
        """The picture that the patch is cut from, its foreground, and what provenance tells of it."""
        if self.source == "own":
            return scene.image, scene.foreground, {}
        other, name = self.other_normal(scene, scene.seed.numpy("pool"))
        return other, self.foreground_of(other, name), {"from": name}


def _draw_target(shape: tuple[int, ...], rng: np.random.Generator, p: CutPaste) -> Box:
    """A box of random area and aspect, anywhere in the image."""
    height, width = shape[:2]
    area, ratio = rng.uniform(*p.area) * height * width, _draw_aspect(rng, p)
    w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return random_box((min(max(w, 1), width), min(max(h, 1), height)), shape, rng)


def _draw_aspect(rng: np.random.Generator, p: CutPaste) -> float:
    low, high = p.aspect
    if p.aspect_draw == "log_uniform":
        return math.exp(rng.uniform(math.log(low), math.log(high)))
    return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))


def _support(target: Box, foreground: Mask | None, asked: Mask | None) -> Mask | None:
    """The pixels of the target box that may change; None: all of them."""
    if foreground is None:
        return asked
    on_object = foreground[inside(target)]
    return on_object if asked is None else asked & on_object
