"""FractalAD: cut a fractal out of a changed patch of the picture itself and paste it elsewhere.

Xia et al., FractalAD: A simple industrial anomaly segmentation method using fractal anomaly generation and backbone knowledge
distillation, 2023, section on fractal anomaly generation; original code: AIRS-CSR/FractalAD, fag.py (no licence stated), and its
copy in M-3LAB/ASBench, Fractal_Aug.py.
Departs in eight places: the light of the whole picture is the anomaly stream's to change (the original jitters it by 5 % here);
multiplied channels are clipped, they do not wrap (`wrap`); a grey picture stays grey (`match_grey`); a paste that changes nothing
is drawn again (`require_change`); the patch is turned bilinearly and never smaller than 8 pixels; `dilate` is told at 256 pixels
and scales with the image; the search for the object is bounded (`strict`); with a foreground, all that changes and the label lie
inside it. With an asked mask, the patch takes that shape: no fractal, no free corners, no dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from flawsmith.appearance.pasting import differs, paste
from flawsmith.appearance.photometry import LEVELS, colour_jitter, is_grey, look_up, to_grey
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import EmptyForeground
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside, random_box
from flawsmith.masks.estimators import by_corner
from flawsmith.masks.fractal import FEWEST_POINTS, MOST_MAPS, POINTS, SMALLEST_SIDE, fractal_mask
from flawsmith.masks.morphology import dilate, widened
from flawsmith.synthesis.training_free import Opacity, Placed, Scene, ShareRange, TrainingFree, in_order

ATTEMPTS = 10
PLACES = 200
"""Most places that are tried for one box, on the object or the foreground."""

NOMINAL = 256
"""The side of the image that the number of dilations refers to."""

OBJECT_PRODUCTS = frozenset({"capsule", "pill", "screw", "toothbrush", "zipper"})
"""The products of MVTec AD for which the original searches the object (AIRS-CSR/FractalAD, run.py)."""

JITTERS = ("colour", "light", "channels")

Angle = Annotated[float, Field(ge=0, le=180)]
AngleRange = Annotated[tuple[Angle, Angle], AfterValidator(in_order)]


class Fractal(TrainingFree):
    """Paste a fractal cut out of a changed patch of the picture.

    Args:
        side: least and largest side of the patch, as shares of the smaller side of the image.
        window: where patches are taken and pasted, along each axis.
        jitter: strength of the first of the three changes of colour; the other two are U(0, 2).
        wrap: multiplied channels wrap around at 256 as in the original, instead of being clipped.
        rotation: least and largest angle of the patch in degrees.
        points: of the chaos game.
        maps: affine maps of the iterated function system.
        dilate: how often the label grows by a pixel each way, on an image of 256 pixels.
        noise: standard deviation of the grey noise inside the label, levels.
        noise_chance: how often there is noise.
        find_object: take and paste on the object: `auto` for the products of the original's table, `always`, or `never`.
        strict: refuse a picture in which no object is found, instead of using the window.
        require_change: draw again when the picture equals the normal to within one level.
        match_grey: on a grey picture keep the patch grey.
    """

    name: ClassVar[str] = "fractal"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(coarse_label=True, takes_mask=True, area=(0.03, 0.09))
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "asbench": {"wrap": True, "find_object": "never", "require_change": False, "match_grey": False},
    }

    side: ShareRange = (0.1, 0.5)
    window: ShareRange = (0.1, 0.9)
    jitter: float = Field(default=0.2, ge=0, le=0.5)
    wrap: bool = False
    rotation: AngleRange = (15.0, 75.0)
    points: int = Field(default=POINTS, ge=FEWEST_POINTS, le=1_000_000)
    maps: int = Field(default=2, ge=2, le=MOST_MAPS)
    dilate: int = Field(default=3, ge=0, le=20)
    noise: float = Field(default=10.0, ge=0, le=100)
    noise_chance: Opacity = 0.5
    find_object: Literal["auto", "always", "never"] = "auto"
    strict: bool = False
    require_change: bool = True
    match_grey: bool = True

    def place(self, scene: Scene) -> Placed:
        """Draw boxes, patch and shape until the picture changes inside what is allowed."""
        rng, shape_rng, noise_rng = (scene.seed.numpy(stage) for stage in ("patch", "fractal", "noise"))
        found = self._object(scene)
        grey = self.match_grey and is_grey(scene.image)
        for attempt in range(1, ATTEMPTS + 1):
            boxes = self._boxes(scene, found, rng) if scene.mask is None else _boxes_at(_allowed(scene), rng)
            if boxes is None:
                continue
            source, target, fallback = boxes
            patch, told = self._patch(scene.image[inside(source)], grey, rng)
            support, shape = self._cut_out(scene, target, told["angle"], shape_rng)
            if not support.any():
                continue
            changed = paste(scene.image, patch, target, support)
            label, box = self._label(scene, support, target)
            noisy = self._add_noise(changed[inside(box)], label, noise_rng)
            if not self.require_change or differs(scene.image, changed, box):
                drawn = {"source": source, "target": target, **fallback, **told, **shape, "noisy": noisy}
                return Placed(changed, framed(label, box, scene.image.shape), drawn, attempt)
        return Placed(scene.image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    # --- where

    def _object(self, scene: Scene) -> Mask | None:
        """The object's pixels, none of them where there is no object; None where it is not searched."""
        wanted = self.find_object == "always" or (self.find_object == "auto" and scene.normal.product in OBJECT_PRODUCTS)
        return by_corner(scene.image) if wanted and scene.mask is None else None

    def _boxes(self, scene: Scene, found: Mask | None, rng: np.random.Generator) -> tuple[Box, Box, dict[str, Any]] | None:
        """Source and target, and what became of the search for the object; None where no place was found."""
        if found is not None:
            pair = self._pair(scene, found, rng) if found.any() else None
            if pair is not None:
                return *pair, {}
            if self.strict:
                raise EmptyForeground(
                    f"{self.name} finds no place on an object in {scene.normal.id}; expected one that stands out from the top "
                    f"left corner: set find_object=never or strict=false"
                )
        pair = self._pair(scene, None, rng)
        told = {} if found is None else {"fallback": "object->window"}  # departs: the original fails, or searches for ever
        return None if pair is None else (*pair, told)

    def _pair(self, scene: Scene, found: Mask | None, rng: np.random.Generator) -> tuple[Box, Box] | None:
        side = self._side(scene, found, rng)
        source = self._box(side, scene.size, found, None, rng)
        target = self._box(side, scene.size, found, scene.foreground, rng)
        return None if source is None or target is None else (source, target)

    def _side(self, scene: Scene, found: Mask | None, rng: np.random.Generator) -> int:
        """A share of the smaller side of the picture; of the object, from half the least to three times the largest share."""
        (low, high), whole = self.side, float(min(scene.size))
        if found is not None:
            low, high, whole = 0.5 * low, 3 * high, _short_side(found)
        widest = min(scene.size) if found is not None else int((self.window[1] - self.window[0]) * min(scene.size))
        side = int(whole * (low + (high - low) * rng.random()))
        return max(SMALLEST_SIDE, min(side, widest))

    def _box(
        self, side: int, size: tuple[int, int], found: Mask | None, foreground: Mask | None, rng: np.random.Generator
    ) -> Box | None:
        """A box in the window or with its centre on the object, and with a pixel of the foreground in it."""
        tries = 1 if found is None and foreground is None else PLACES  # departs: no bound in the original
        draws = rng.random((tries, 2))
        if found is None:
            corners = [_in_window(side, length, self.window, draws[:, axis]) for axis, length in enumerate(size)]
        else:
            half = side // 2
            centres = [(half + draws[:, axis] * (length - 2 * half)).astype(int) for axis, length in enumerate(size)]
            on_object = np.flatnonzero(found[centres[0], centres[1]])
            corners = [np.minimum(centre[on_object] - half, length - side) for centre, length in zip(centres, size, strict=True)]
        for y, x in zip(corners[0].tolist(), corners[1].tolist(), strict=True):
            if foreground is None or foreground[y : y + side, x : x + side].any():
                return x, y, side, side
        return None

    # --- what

    def _patch(self, patch: Image, grey: bool, rng: np.random.Generator) -> tuple[Image, dict[str, Any]]:
        """The patch after one of three changes of colour, flips and a turn; the corners that come free are mirrored."""
        kind = JITTERS[int(rng.integers(len(JITTERS)))]
        if kind == "colour":
            patch = colour_jitter(patch, rng, self.jitter)
        elif kind == "light":
            patch = colour_jitter(patch, rng, 1.0, hue=0.0, saturation=0.0)
        else:
            patch = multiply_channels(patch, rng.integers(0, 3, 2).tolist(), (2 * rng.random(2)).tolist(), self.wrap)
        if grey:  # departs: the original multiplies channels of grey pictures one by one, which colours them
            patch = to_grey(patch)
        flips = (rng.random(2) > 0.5).tolist()
        angle = float(self.rotation[0] + (self.rotation[1] - self.rotation[0]) * rng.random())
        turned = _warped(patch, _turn(patch.shape, angle) @ _flip(patch.shape, *flips), cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101)
        return turned, {"jitter": kind, "flips": flips, "angle": angle}

    def _cut_out(self, scene: Scene, target: Box, angle: float, rng: np.random.Generator) -> tuple[Mask, dict[str, Any]]:
        """The pixels of the target that are pasted: the fractal, less the corners that the turn leaves free."""
        if scene.mask is not None:
            return np.ascontiguousarray(_allowed(scene)[inside(target)]), {}
        side = target[2]
        fractal = fractal_mask(side, rng, points=self.points, maps=self.maps)
        full = np.ones((side, side), np.uint8)
        covered = _warped(full, _turn(full.shape, angle), cv2.INTER_NEAREST, cv2.BORDER_CONSTANT).view(np.bool_)
        support = fractal.mask & covered
        return (support if scene.foreground is None else support & scene.foreground[inside(target)]), dict(fractal.drawn)

    def _label(self, scene: Scene, support: Mask, target: Box) -> tuple[Mask, Box]:
        """The label, and the box that it fills: the pasted pixels, grown."""
        if self.dilate == 0 or scene.mask is not None:
            return support, target
        reach = max(1, round(self.dilate * min(scene.size) / NOMINAL))
        box = widened(target, reach, scene.image.shape)
        place = (target[0] - box[0], target[1] - box[1], target[2], target[3])
        grown = dilate(framed(support, place, (box[3], box[2])), 2 * reach + 1)
        return (grown if scene.foreground is None else grown & scene.foreground[inside(box)]), box

    def _add_noise(self, region: Image, label: Mask, rng: np.random.Generator) -> bool:
        """Add grey Gaussian noise inside the label, in place; whether there was any."""
        if rng.random() >= self.noise_chance or self.noise == 0:
            return False
        pixels = region[label]
        noise = np.rint(self.noise * rng.standard_normal(len(pixels), dtype=np.float32))
        region[label] = np.clip(pixels + noise.astype(np.int16)[:, None], 0, 255)
        return True


def _allowed(scene: Scene) -> Mask:
    """The asked pixels that are on the foreground."""
    assert scene.mask is not None
    return scene.mask if scene.foreground is None else scene.mask & scene.foreground


def _boxes_at(mask: Mask, rng: np.random.Generator) -> tuple[Box, Box, dict[str, Any]] | None:
    """A box of the mask's size to take from, and the mask's own."""
    if not mask.any():
        return None
    target = box_of(mask)
    return random_box(target[2:], mask.shape, rng), target, {}


def _short_side(found: Mask) -> float:
    """The shorter side of the smallest turned rectangle around the largest piece."""
    contours, _ = cv2.findContours(found.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return float(min(cv2.minAreaRect(max(contours, key=cv2.contourArea))[1]))


def _in_window(side: int, length: int, window: tuple[float, float], draws: NDArray[np.float64]) -> NDArray[np.intp]:
    """First pixels of a side that lies in the window of an axis; as near to it as the picture allows where it does not fit."""
    start = window[0] * length
    room = max(0.0, window[1] * length - side - start)
    return np.minimum((start + room * draws).astype(np.intp), length - side)


def multiply_channels(image: Image, channels: Sequence[int], factors: Sequence[float], wrap: bool = False) -> Image:
    """Multiply each named channel by its factor, one after the other; clipped, or cut to whole levels modulo 256."""
    table = np.repeat(LEVELS[:, None], 3, axis=1).astype(float)
    for channel, factor in zip(channels, factors, strict=True):
        product = table[:, channel] * factor
        table[:, channel] = np.floor(product) % 256 if wrap else np.clip(np.rint(product), 0, 255)
    return look_up(image, table.astype(np.uint8))


def _turn(shape: tuple[int, ...], angle: float) -> NDArray[np.float64]:
    """3×3: a turn about the centre, counter-clockwise."""
    matrix = cv2.getRotationMatrix2D(((shape[1] - 1) / 2, (shape[0] - 1) / 2), angle, 1.0)
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _flip(shape: tuple[int, ...], mirrored: bool, upside_down: bool) -> NDArray[np.float64]:
    """3×3: a flip left to right, top to bottom, both or none."""
    x, y = (-1.0 if mirrored else 1.0), (-1.0 if upside_down else 1.0)
    return np.array([[x, 0, (shape[1] - 1) * mirrored], [0, y, (shape[0] - 1) * upside_down], [0, 0, 1]])


def _warped(image: Image, matrix: NDArray[np.float64], interpolation: int, border: int) -> Image:
    height, width = image.shape[:2]
    return np.asarray(cv2.warpAffine(image, matrix[:2], (width, height), flags=interpolation, borderMode=border), np.uint8)
