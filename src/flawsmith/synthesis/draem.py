"""DRAEM: blend a foreign texture into the picture where Perlin noise says so.

DRAEM (Zavrtanik et al., ICCV 2021), section 3.2 and figure 4; original code: VitjanZ/DRAEM (MIT), data_loader.py.
Departs in four places: the anomaly stream turns the normal, not the synthesizer; an empty mask is drawn again (`on_empty`); a
grey picture gets a grey texture, because a grey camera never sees colour (`match_grey`); without a folder of photographs the
textures are computed (`textures`). Preset `asbench` keeps empty masks and colours.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import cv2
import numpy as np
from pydantic import AfterValidator, Field, field_validator

from flawsmith.appearance.photometry import POOL, CornerFill, augment, is_grey, to_grey
from flawsmith.appearance.textures import check_source, open_bank
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import NotFitted
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.masks.perlin import OnEmpty, PerlinMask, perlin_mask
from flawsmith.synthesis.training_free import OpacityRange, Placed, Scene, TrainingFree, in_order

Exponent = Annotated[int, Field(ge=0, le=9)]
Angle = Annotated[float, Field(ge=0, le=180)]


class Draem(TrainingFree):
    """Blend an augmented texture into the picture under a Perlin mask.

    Args:
        textures: `procedural`, `normals` (the support set's), or a folder of pictures such as DTD.
        opacity: least and largest weight of the texture in the blend.
        exponents: the noise has 2 to the power of these cells per axis, both ends included.
        threshold: of the noise.
        rotation: largest angle of the noise in degrees, either way.
        on_empty: `resample` an empty mask, or `keep` it and return the normal.
        operators: how many operators of the pool change each texture.
        corner_fill: what fills the corners of a turned texture: `black` or `reflect`.
        match_grey: on a grey picture use the grey of the texture.
    """

    name: ClassVar[str] = "draem"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(
        needs=frozenset({"normal", "textures"}), takes_mask=True, nonempty=0.9, area=(0.02, 0.1)
    )
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}, "asbench": {"on_empty": "keep", "match_grey": False}}

    textures: str = "procedural"
    opacity: OpacityRange = (0.2, 1.0)
    exponents: Annotated[tuple[Exponent, Exponent], AfterValidator(in_order)] = (0, 5)
    threshold: float = Field(default=0.5, gt=-1, lt=1)
    rotation: Angle = 90.0
    on_empty: OnEmpty = "resample"
    operators: int = Field(default=3, ge=0, le=len(POOL))
    corner_fill: CornerFill = "black"
    match_grey: bool = True

    @field_validator("textures")
    @classmethod
    def _check_textures(cls, value: str) -> str:
        check_source(value)
        return value

    def place(self, scene: Scene) -> Placed:
        """M from the noise, A from the bank; then I' = (1-M) I + M (β I + (1-β) A), with 1-β the opacity."""
        image = scene.image
        found = self._mask(scene)
        if not found.mask.any():
            return Placed(image, found.mask, found.drawn, found.attempts)
        rng = scene.seed.numpy("texture")
        texture, told = self._texture(image, rng)
        opacity = float(self.opacity[1] - (self.opacity[1] - self.opacity[0]) * rng.random())
        blended = blend(image, texture, found.mask, opacity)
        return Placed(blended, found.mask, {**found.drawn, **told, "opacity": opacity}, found.attempts)

    def _mask(self, scene: Scene) -> PerlinMask:
        if scene.mask is not None:
            return PerlinMask(scene.mask.copy() if scene.foreground is None else scene.mask & scene.foreground, {}, 1)
        return perlin_mask(
            scene.size,
            scene.seed.numpy("mask"),
            exponents=self.exponents,
            threshold=self.threshold,
            rotation=self.rotation,
            foreground=scene.foreground,
            on_empty=self.on_empty,
        )

    def _texture(self, image: Image, rng: np.random.Generator) -> tuple[Image, dict[str, Any]]:
        if self.textures == "normals" and self._support is None:
            raise NotFitted(f"{self.name} with textures=normals")
        bank = open_bank(self.textures, self._support.normals if self._support else ())
        index = int(rng.integers(len(bank)))
        texture = bank.image(index, (image.shape[0], image.shape[1]))
        texture, operators = augment(texture, rng, self.operators, self.corner_fill)
        if self.match_grey and is_grey(image):  # departs: the original pastes colour into grey pictures
            texture = to_grey(texture)
        return texture, {"texture": bank.name(index), "operators": list(operators)}


def blend(image: Image, texture: Image, mask: Mask, opacity: float) -> Image:
    """`opacity` of the texture over the image where the mask is True, rounded once; the image elsewhere. A new array."""
    mixed = cv2.addWeighted(texture, opacity, image, 1 - opacity, 0)
    return np.asarray(cv2.copyTo(mixed, mask.view(np.uint8), image.copy()), np.uint8)
