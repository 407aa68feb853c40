"""What DRAEM, DeSTSeg's generator and MemSeg share: foreign texture, blended in where Perlin noise says so.

They are this class with other numbers; each stands in its own file with its source and its departures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, field_validator

from flawsmith.appearance.blending import Places, blend, differ, pixels_at, places_of, with_pixels
from flawsmith.appearance.photometry import POOL, CornerFill, augmented, is_grey, to_grey
from flawsmith.appearance.shuffling import shuffled_places
from flawsmith.appearance.textures import check_source, open_bank
from flawsmith.core.arrays import Image, Map
from flawsmith.core.errors import NotFitted
from flawsmith.core.samples import Sample
from flawsmith.masks.perlin import OnEmpty, PerlinMask, perlin_mask
from flawsmith.synthesis.training_free import OpacityRange, Placed, Scene, TrainingFree, in_order

Exponent = Annotated[int, Field(ge=0, le=9)]
Angle = Annotated[float, Field(ge=0, le=180)]

NO_BANK = ("perlin", "structural")
"""Sources of texture that need no pictures beside the one at hand."""

CELLS = (8, 8)
ATTEMPTS = 10
"""Most textures that are tried on one mask."""


@dataclass(frozen=True, eq=False)
class Foreign:
    """What is blended in.

    Args:
        pixels: at the places of the mask, uint8 1×N×3.
        drawn: which texture, and what was done to it.
    """

    pixels: Image
    drawn: Mapping[str, Any]


class PerlinTexture(TrainingFree):
    """Blend a texture into the picture under a Perlin mask.

    Args:
        textures: `procedural`, `normals` (the support set's others), a folder of pictures such as DTD, `perlin` (the noise
            itself), or `structural` (the picture's own cells in another order).
        max_textures: so many textures at most, evenly spread over all; none: all.
        opacity: least and largest weight of the texture in the blend.
        exponents: the noise has 2 to the power of these cells per axis, both ends included.
        threshold: of the noise.
        rotation: largest angle of the noise in degrees, either way.
        on_empty: `resample` an empty mask, or `keep` it and return the normal.
        union: share of the masks to which a second noise is added.
        operators: how many operators of DRAEM's pool change each texture.
        corner_fill: what fills the corners of a turned texture: `black` or `reflect`.
        match_grey: on a grey picture use the grey of the texture.
        require_change: take another texture when the picture stays the same to within one level.
    """

    textures: str = "procedural"
    max_textures: int | None = Field(default=None, ge=1)
    opacity: OpacityRange = (0.2, 1.0)
    exponents: Annotated[tuple[Exponent, Exponent], AfterValidator(in_order)] = (0, 5)
    threshold: float = Field(default=0.5, gt=-1, lt=1)
    rotation: Angle = 90.0
    on_empty: OnEmpty = "resample"
    union: float = Field(default=0.0, ge=0, le=1)
    operators: int = Field(default=3, ge=0, le=len(POOL))
    corner_fill: CornerFill = "black"
    match_grey: bool = True
    require_change: bool = True

    @field_validator("textures")
    @classmethod
    def _check_textures(cls, value: str) -> str:
        check_source(value, NO_BANK)
        return value

    @property
    def uses_other_normals(self) -> bool:
        """With `textures` normals."""
        return self.textures == "normals"

    def place(self, scene: Scene) -> Placed:
        """M from the noise, A the texture; then I' = (1-M) I + M (β I + (1-β) A), with 1-β the opacity."""
        image, found = scene.image, self._mask(scene)
        if not found.mask.any():
            return Placed(image, found.mask, found.drawn, found.attempts)
        places = places_of(found.mask)
        normal, as_grey = pixels_at(image, places), self.match_grey and is_grey(image)
        rng, strength = scene.seed.numpy("texture"), scene.seed.numpy("blend")
        for attempt in range(ATTEMPTS):
            foreign = self._foreign(scene, places, found, rng)
            opacity = float(self.opacity[1] - (self.opacity[1] - self.opacity[0]) * strength.random())
            blended = blend(normal, to_grey(foreign.pixels) if as_grey else foreign.pixels, opacity)
            if not self.require_change or differ(normal, blended):
                told = {**found.drawn, **foreign.drawn, "opacity": opacity}
                return Placed(with_pixels(image, places, blended), found.mask, told, found.attempts + attempt)
        return Placed(image, np.zeros_like(found.mask), found.drawn, found.attempts + ATTEMPTS - 1)

    def _mask(self, scene: Scene) -> PerlinMask:
        if scene.mask is not None:
            return PerlinMask(scene.mask.copy() if scene.foreground is None else scene.mask & scene.foreground, {}, 1)
        found = self._perlin(scene, "mask")
        if self.union == 0 or scene.seed.numpy("union").random() >= self.union:
            return found
        second = self._perlin(scene, "second mask")
        told = {**found.drawn, "second": second.drawn}
        return PerlinMask(found.mask | second.mask, told, found.attempts + second.attempts, found.noise)

    def _perlin(self, scene: Scene, stream: str) -> PerlinMask:
        return perlin_mask(
            scene.size,
            scene.seed.numpy(stream),
            exponents=self.exponents,
            threshold=self.threshold,
            rotation=self.rotation,
            foreground=scene.foreground,
            on_empty=self.on_empty,
        )

    def _foreign(self, scene: Scene, places: Places, found: PerlinMask, rng: np.random.Generator) -> Foreign:
        """The texture at the places of the mask."""
        if self.textures == "structural":
            return self._structural(scene, places, rng, self.operators, CELLS)
        if self.textures == "perlin":
            noise = found.noise if found.noise is not None else self._perlin(scene, "mask").noise
            assert noise is not None
            return self._augmented(as_picture(noise), "perlin", places, rng)
        bank = open_bank(self.textures, self._other_normals(scene), self.max_textures)
        index = int(rng.integers(len(bank)))
        return self._augmented(bank.image(index, scene.size), bank.name(index), places, rng)

    def _other_normals(self, scene: Scene) -> list[Sample]:
        """What the bank `normals` holds for a scene: a picture is no foreign texture on itself."""
        if not self.uses_other_normals:
            return []
        if self._support is None:
            raise NotFitted(f"{self.name} with textures=normals")
        return [sample for sample in self._support.normals if sample.id != scene.normal.id]

    def _augmented(self, texture: Image, name: str, places: Places, rng: np.random.Generator) -> Foreign:
        picture, operators = augmented(texture, rng, self.operators, self.corner_fill)
        return Foreign(picture.pixels_at(places), {"texture": name, "operators": list(operators)})

    def _structural(
        self, scene: Scene, places: Places, rng: np.random.Generator, operators: int, cells: tuple[int, int]
    ) -> Foreign:
        """The picture itself: augmented, cut into cells, the cells in another order."""
        picture, names = augmented(scene.image, rng, operators, self.corner_fill)
        order = rng.permutation(cells[0] * cells[1])
        pixels = picture.pixels_at(shuffled_places(places, scene.size, cells, order))
        return Foreign(pixels, {"texture": "structural", "operators": list(names), "order": order.tolist()})


def as_picture(noise: Map) -> Image:
    """Noise as a grey picture, -1…1 becoming a quarter below black … three quarters of white (anomalib, perlin.py)."""
    levels = np.rint(np.clip(255 * (0.5 * noise + 0.25), 0, 255)).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)
