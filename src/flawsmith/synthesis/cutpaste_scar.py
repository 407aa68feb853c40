"""CutPaste-Scar: cut a thin strip, turn it, and paste it somewhere else.

CutPaste (Li et al., CVPR 2021), section 2.3. Sizes are for a picture of 256 pixels and scale with the smaller side.
Departs in two places: the strip is pasted through its own turned outline and only those pixels are labelled (`paste_as`; ASBench
pastes and labels the whole turned box with black corners, of which about 54 % is strip); a scar that changes nothing is drawn
again.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from pydantic import Field

from flawsmith.appearance.pasting import differs, paste
from flawsmith.appearance.photometry import colour_jitter
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, framed, inside, random_box
from flawsmith.synthesis.training_free import Placed, PositiveRange, Scene, TrainingFree

ATTEMPTS = 50
OBJECT_SHARE = 0.5
REFERENCE_SIDE = 256
THINNEST = 2

Angle = Annotated[float, Field(ge=0, le=180)]


class CutPasteScar(TrainingFree):
    """Cut a thin strip, turn it and paste it elsewhere.

    Args:
        width: least and largest width of the strip, pixels at 256.
        height: least and largest height, pixels at 256.
        rotation: largest angle in degrees, either way.
        jitter: strength of the strip's change in brightness, contrast, saturation and hue; 0 pastes it as it is.
        paste_as: `pixels` pastes and labels the turned strip; `box` its whole bounding box with black corners.
        require_change: draw again when the pasted picture equals the normal to within one level.
    """

    name: ClassVar[str] = "cutpaste_scar"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(area=(0.0005, 0.01))
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": {"rotation": 30.0, "jitter": 0.0, "paste_as": "box", "require_change": False},
    }

    width: PositiveRange = (2.0, 16.0)
    height: PositiveRange = (10.0, 25.0)
    rotation: Angle = 45.0
    jitter: float = Field(default=0.1, ge=0, le=0.5)
    paste_as: Literal["pixels", "box"] = "pixels"
    require_change: bool = True

    def place(self, scene: Scene) -> Placed:
        """Paste one strip."""
        image = scene.image
        rng = scene.seed.numpy("scar")
        for attempt in range(1, ATTEMPTS + 1):
            extent = _draw_extent(image.shape, rng, self)
            source = random_box(extent, image.shape, rng)
            strip = colour_jitter(image[inside(source)], rng, self.jitter)
            angle = float(rng.uniform(-self.rotation, self.rotation))
            patch, alpha = turned_strip(strip, angle, self.paste_as)
            target = _draw_target(image.shape, alpha.shape, rng)
            label = self._pasted_label(alpha, target, scene.foreground)
            if label is None:
                continue
            changed = paste(image, patch, target, label)
            if not self.require_change or differs(image, changed, target):
                drawn = {"source": source, "target": target, "angle": angle}
                return Placed(changed, framed(label, target, image.shape), drawn, attempt)
        return Placed(image, np.zeros(image.shape[:2], bool), attempts=ATTEMPTS)

    def _pasted_label(self, alpha: Mask, target: Box, foreground: Mask | None) -> Mask | None:
        """What is pasted of the box at the target; None where less than half of it would lie on the object."""
        label = alpha if self.paste_as == "pixels" else np.ones_like(alpha)
        if foreground is None:
            return label
        kept = label & foreground[inside(target)]
        return kept if kept.sum() >= OBJECT_SHARE * label.sum() else None


def _draw_extent(shape: tuple[int, ...], rng: np.random.Generator, p: CutPasteScar) -> tuple[int, int]:
    scale = min(shape[:2]) / REFERENCE_SIDE
    w, h = (max(THINNEST, round(scale * rng.uniform(*sides))) for sides in (p.width, p.height))
    for name, side, room in (("width", w, shape[1]), ("height", h, shape[0])):
        if side > room:
            raise BadParameter(
                f"cutpaste_scar: parameter {name} gives a strip of {side} pixels; expected at most {room}: lower it"
            )
    return w, h


def _draw_target(shape: tuple[int, ...], extent: tuple[int, ...], rng: np.random.Generator) -> Box:
    height, width = extent
    if height > shape[0] or width > shape[1]:
        raise BadParameter(
            f"cutpaste_scar: parameter height gives a turned strip of {width}×{height} pixels; expected it inside the image "
            f"({shape[1]}×{shape[0]}): lower height or rotation"
        )
    return random_box((width, height), shape, rng)


def turned_strip(strip: Image, angle: float, paste_as: str) -> tuple[Image, Mask]:
    """Turn a strip on a canvas that just holds it.

    Returns:
        The canvas, uint8 h×w×3, and the strip's own pixels on it, bool h×w. With `pixels` the colours are bilinear and continue
        beyond the outline; with `box` they are nearest and everything outside is black.
    """
    h, w = strip.shape[:2]
    sine, cosine = abs(np.sin(np.radians(angle))), abs(np.cos(np.radians(angle)))
    wide, high = _canvas_side(w, w * cosine + h * sine), _canvas_side(h, w * sine + h * cosine)
    matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle, 1.0)
    matrix[:, 2] += (wide - w) / 2, (high - h) / 2
    alpha = cv2.warpAffine(np.ones((h, w), np.uint8), matrix, (wide, high), flags=cv2.INTER_NEAREST)
    soft = paste_as == "pixels"
    flags, border = (cv2.INTER_LINEAR, cv2.BORDER_REPLICATE) if soft else (cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
    canvas = cv2.warpAffine(np.ascontiguousarray(strip), matrix, (wide, high), flags=flags, borderMode=border)
    return np.asarray(canvas, np.uint8), np.asarray(alpha > 0)


def _canvas_side(side: int, extent: float) -> int:
    """Pixels that hold `extent` around the middle of a side, counted as Pillow does when it expands a turned picture."""
    return int(np.ceil((side + extent) / 2 - 1e-9) - np.floor((side - extent) / 2 + 1e-9))
