"""CutPasteByMask: paste real defects, cut out of a few photographs by their masks, onto good ones.

UniADC (cnulab/UniADC), section 3.3 and table S2 (the baseline of that name, and the first step of its sample-guided synthesis);
original code: utils/mask.py (`FewShotMaskGen`), utils/helper.py.
Departs in eight places: the number of tries is bounded; a turned crop loses no corner (`expand`); a crop that is larger than the
picture is pasted without its surroundings; the label holds what was pasted, not what closing adds (`close_label`); what changes
nothing is drawn again; on a grey picture a defect is grey (`match_grey`); sizes in pixels, told at 512, scale with the picture;
of several kinds of references every kind is as likely, however many pieces it has (the original has a generator for each).
Blending, brightness and scale are ours, and off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from flawsmith.appearance import poisson
from flawsmith.appearance.blending import differ
from flawsmith.appearance.defect_bank import (
    CONTEXT,
    LEAST_AREA,
    Augmentation,
    DefectBank,
    DefectCrop,
    Fit,
    Patch,
    augmented,
    draw_augmentation,
    reference_canvas,
    ring,
    trimmed,
)
from flawsmith.appearance.photometry import is_grey, to_grey
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import NeedUnmet, NotFitted, UnknownName
from flawsmith.core.samples import SupportSet
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.boxes import Box, box_of, framed, inside, random_box
from flawsmith.masks.morphology import close
from flawsmith.synthesis.training_free import Placed, Scene, TrainingFree, in_order

ATTEMPTS = 100
NOMINAL = 512
"""The side of the picture that sizes in pixels refer to."""

CLOSING, RING, FEATHER = 6, 5, 4
"""Pixels at 512: the square that closes the mask, the ring whose brightness is matched, the ramp of `feather`."""

ACCEPTED = 0.5
"""Least area of the closed mask within the foreground, in units of the smallest piece within the picture."""

Scale = Annotated[float, Field(ge=0.25, le=4)]
ScaleRange = Annotated[tuple[Scale, Scale], AfterValidator(in_order)]


@dataclass(frozen=True, eq=False)
class Pasted:
    """One crop as it was pasted.

    Args:
        patch: the changed crop with its surroundings.
        mask: bool h×w: the pixels that were pasted.
        box: where.
        crop: what it was cut out as.
        how: it was changed.
    """

    patch: Patch
    mask: Mask
    box: Box
    crop: DefectCrop
    how: Augmentation

    def to_json(self) -> dict[str, Any]:
        """Where it came from and went to, for the record."""
        return {
            "id": self.crop.sample_id,
            "piece": self.crop.piece,
            "defect": self.crop.defect,
            "from": self.crop.place,
            "to": self.box,
            "transposed": self.how.transposed,
            "change": self.how.change,
            "degrees": self.how.degrees,
            "scale": self.how.scale,
        }


@dataclass(frozen=True, eq=False)
class Composition:
    """A picture with defects pasted into it.

    Args:
        image: uint8 H×W×3.
        mask: bool H×W, what was pasted.
        pieces: what was pasted, in order.
        attempts: how many draws it took.
        weight: float32 H×W of the defects, where the blending has one.
    """

    image: Image
    mask: Mask
    pieces: tuple[Pasted, ...] = field(default=())
    attempts: int = 1
    weight: NDArray[np.float32] | None = None

    def reference(self) -> tuple[Image, Mask]:
        """The crops with their surroundings on an empty canvas, and where they are: what repainting is compared with."""
        return reference_canvas(((piece.patch, piece.box) for piece in self.pieces), self.image.shape)


class CutPasteByMask(TrainingFree):
    """Paste real defects by their masks.

    Args:
        most: largest number of pieces on one picture; the number is drawn uniformly from 1.
        least_area: share of the picture that a piece of a defect must cover to be used.
        context: share of a piece's box that is cut out around it, on every side; pasted by no blending, but kept in the picture.
        resize: how references come to the picture's size: `stretch`, or `shape` at their own shape with as many pixels.
        augment: transpose, mirror, flip or turn the pieces.
        expand: a turned piece gets the canvas it needs; false: it loses its corners, as in the original.
        scale: least and largest factor of a piece's size.
        position_reserved: paste at the place in the reference and unchanged, for defects tied to a place.
        blend: `hard` pastes the very pixels, `feather` fades them in from the mask's edge, `poisson` pastes their gradients.
        match_brightness: shift a piece's levels so that the ring around it is as bright as at the new place.
        close_label: the label holds what closing adds, too, as in the original.
        require_change: draw again when the picture equals the normal to within one level.
        match_grey: on a grey picture paste the grey of the defect.
    """

    name: ClassVar[str] = "cutpaste_by_mask"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        uses_real_anomalies=True, needs=frozenset({"normal", "references"}), area=(0.005, 0.06)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "official": {},
        "uniadc": {"expand": False, "close_label": True, "require_change": False, "match_grey": False},
    }

    most: int = Field(default=1, ge=1, le=10)
    least_area: float = Field(default=LEAST_AREA, ge=0, lt=1)
    context: float = Field(default=CONTEXT, ge=0, le=2)
    resize: Fit = "stretch"
    augment: bool = True
    expand: bool = True
    scale: ScaleRange = (1.0, 1.0)
    position_reserved: bool = False
    blend: Literal["hard", "feather", "poisson"] = "hard"
    match_brightness: bool = False
    close_label: bool = False
    require_change: bool = True
    match_grey: bool = True
    _bank: DefectBank | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if self.position_reserved and self.resize != "stretch":
            raise ValueError("position_reserved needs resize=stretch: a place is that of a picture of the same shape")
        return self

    def fit(self, support: SupportSet) -> Self:
        """Note the support set and look at its real anomalies; returns self.

        Raises:
            NeedUnmet: there is none.
            DataError: one without a mask (E_MISSING_MASK), or with an empty one (E_EMPTY_MASK).
        """
        if not support.anomalies:
            remedy = "give it some with --defect-shots 1, or choose a method that needs none, such as draem"
            raise NeedUnmet(self.name, "real anomalies with masks", remedy)
        self._bank = DefectBank(support.anomalies, self.context, self.least_area, self.resize)
        return super().fit(support)

    def place(self, scene: Scene) -> Placed:
        """Paste, and name the defect as its reference does."""
        made = self.compose(scene)
        drawn = {"references": [piece.to_json() for piece in made.pieces]}
        label = _closed(made.mask, scene.foreground) if self.close_label else made.mask
        soft = None if made.weight is None or self.close_label else made.weight
        defect = made.pieces[0].crop.defect if made.pieces else None
        return Placed(made.image, label, drawn, made.attempts, soft, defect)

    def compose(self, scene: Scene) -> Composition:
        """The picture with pieces of one kind of defect, drawn once, changed and placed until they are accepted.

        Raises:
            NotFitted: before `fit`.
            UnknownName: the references show no defect of the kind that the caller wants.
            DataError: no piece, or none of that kind, is large enough on a picture of this size (E_FEW).
        """
        crops = self._draw_crops(scene)
        smallest = min(crop.area for crop in crops.of_kind) * min(1.0, self.scale[0]) ** 2
        least = ACCEPTED * smallest * (1.0 if scene.foreground is None else float(scene.foreground.mean()))
        rng = scene.seed.numpy("place")
        for attempt in range(1, ATTEMPTS + 1):  # departs: the original tries for ever
            pieces = [self._piece(crop, scene, rng) for crop in crops.chosen]
            placed = tuple(piece for piece in pieces if piece is not None)
            if len(placed) < len(pieces):
                continue
            mask = _union(placed, scene.size)
            if not _is_enough(mask, scene.foreground, least):
                continue
            image, weight = self._pasted(scene.image, placed)
            if not self.require_change or differ(scene.image, image):
                return Composition(image, mask, placed, attempt, weight)
        return Composition(scene.image, np.zeros(scene.size, bool), attempts=ATTEMPTS)

    # --- what

    def _draw_crops(self, scene: Scene) -> _Crops:
        """Pieces of the kind that the caller names, or of one drawn."""
        if self._bank is None:
            raise NotFitted(self.name)
        rng = scene.seed.numpy("reference")
        wanted = scene.defect
        if wanted is not None and wanted not in self._bank.kinds:
            raise UnknownName("defect", wanted, self._bank.kinds, f"the references show {', '.join(self._bank.kinds)}")
        of_kind = self._bank.of_drawn_kind(scene.size, rng) if wanted is None else self._bank.of_kind(wanted, scene.size)
        number = int(rng.integers(1, self.most + 1))
        return _Crops(of_kind, tuple(of_kind[k] for k in rng.integers(len(of_kind), size=number).tolist()))

    def _piece(self, crop: DefectCrop, scene: Scene, rng: np.random.Generator) -> Pasted | None:
        """The crop, changed and placed; None where it does not fit."""
        how = Augmentation() if self.position_reserved else draw_augmentation(rng, self.scale)
        how = how if self.augment else Augmentation(scale=how.scale)
        patch = trimmed(augmented(crop, how, self.expand), scene.size)
        if patch is None:
            return None
        box = crop.place if self.position_reserved else _place((patch.mask.shape[1], patch.mask.shape[0]), scene, rng)
        mask = patch.mask if scene.foreground is None else patch.mask & scene.foreground[inside(box)]
        return Pasted(patch, mask, box, crop, how)

    # --- how

    def _pasted(self, image: Image, pieces: Sequence[Pasted]) -> tuple[Image, NDArray[np.float32] | None]:
        """A copy of the image with the pieces in it, and their weight where the blending has one."""
        changed = np.array(image, order="C")
        weight = np.zeros(image.shape[:2], np.float32) if self.blend == "feather" else None
        grey = self.match_grey and is_grey(image)
        for piece in pieces:
            patch = (
                to_grey(piece.patch.image) if grey else piece.patch.image
            )  # departs: the original pastes colour into grey pictures
            if self.match_brightness:
                patch = _as_bright(patch, piece, image)
            region = changed[inside(piece.box)]
            if self.blend == "poisson":
                changed = poisson.blend(changed, patch, piece.box, piece.mask)
            elif weight is not None:
                ramp = feathered(piece.mask, max(1, _scaled(FEATHER, image.shape)))
                region[...] = np.rint(region + ramp[..., None] * (patch.astype(np.float32) - region))
                np.maximum(weight[inside(piece.box)], ramp, out=weight[inside(piece.box)])
            else:
                cv2.copyTo(patch, piece.mask.view(np.uint8), region)  # writes into the copy
        return changed, weight


@dataclass(frozen=True, eq=False)
class _Crops:
    """The crops of one kind of defect, and those drawn from them."""

    of_kind: tuple[DefectCrop, ...]
    chosen: tuple[DefectCrop, ...]


def _scaled(pixels: float, shape: Sequence[int]) -> int:
    return round(pixels * min(shape[:2]) / NOMINAL)


def _place(extent: tuple[int, int], scene: Scene, rng: np.random.Generator) -> Box:
    """A box in the foreground's box where it fits there, else anywhere in the picture."""
    x, y, w, h = (0, 0, *scene.size[::-1]) if scene.foreground is None else box_of(scene.foreground)
    if extent[0] > w or extent[1] > h:
        return random_box(extent, scene.size, rng)
    left, top, *_ = random_box(extent, (h, w), rng)
    return x + left, y + top, *extent


def _union(pieces: Sequence[Pasted], size: tuple[int, int]) -> Mask:
    mask = np.zeros(size, bool)
    for piece in pieces:
        mask |= framed(piece.mask, piece.box, size)
    return mask


def _closed(mask: Mask, foreground: Mask | None) -> Mask:
    """The mask with its gaps filled, inside the foreground."""
    closed = close(mask, max(1, _scaled(CLOSING, mask.shape)))
    return closed if foreground is None else closed & foreground


def _is_enough(mask: Mask, foreground: Mask | None, least: float) -> bool:
    """Whether the closed mask has `least` pixels, and the mask one."""
    pixels = int(np.count_nonzero(mask))
    return pixels > 0 and (pixels >= least or int(np.count_nonzero(_closed(mask, foreground))) >= least)


def feathered(mask: Mask, ramp: int) -> NDArray[np.float32]:
    """A weight that grows from the mask's edge inwards and is 1 from `ramp` pixels behind its outermost ones on; 0 outside."""
    padded = np.pad(mask.view(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray(np.minimum(depth / (ramp + 1), 1), np.float32)


def _as_bright(patch: Image, piece: Pasted, image: Image) -> Image:
    """The patch, shifted so that the ring around the defect has the mean of the picture's pixels there."""
    around = ring(piece.patch.mask, max(1, _scaled(RING, image.shape))) & piece.patch.known
    if not around.any():
        return patch
    shift = float(image[inside(piece.box)][around].mean()) - float(patch[around].mean())
    return np.asarray(np.clip(np.rint(patch + shift), 0, 255), np.uint8)
