"""What all synthesizers that need no training share: the checks before, the label after, and provenance.

A method adds its parameters and `place`; everything drawn comes from the seed handed to it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, PrivateAttr, field_validator

from flawsmith import __version__
from flawsmith.appearance.photometry import is_grey, to_grey
from flawsmith.appearance.textures import NormalTextures
from flawsmith.core.arrays import Image, Mask, freeze
from flawsmith.core.errors import BadParameter, NeedUnmet, NotFitted, UsageError
from flawsmith.core.files import sha256_bytes
from flawsmith.core.methods import Method
from flawsmith.core.registry import synthesizers
from flawsmith.core.requests import Anomaly, Provenance, Request
from flawsmith.core.samples import GOOD, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Heritage, SynthesizerTraits
from flawsmith.masks.foreground import EVERYWHERE, foreground_mask, parse_rule
from flawsmith.synthesis.folders import PARAMETERS, heritage_of_folders


def in_order(value: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range whose ends are reversed."""
    if value[0] > value[1]:
        raise ValueError("the lower end first, as in [0.1, 0.2]")
    return value


Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Opacity = Annotated[float, Field(ge=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(in_order)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(in_order)]
OpacityRange = Annotated[tuple[Opacity, Opacity], AfterValidator(in_order)]


@dataclass(frozen=True, eq=False)
class Scene:
    """What `place` works on.

    Args:
        image: uint8 H×W×3, the normal's pixels; not to be changed.
        seed: of the request.
        foreground: bool H×W to stay inside; None: everywhere.
        mask: bool H×W, where the caller wants the defect; None: the method decides.
        normal: the sample that the pixels are of.
        defect: the kind that the caller wants; None: the method decides.
    """

    image: Image
    seed: Seed
    foreground: Mask | None
    mask: Mask | None
    normal: Sample
    defect: str | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, eq=False)
class Placed:
    """What `place` returns. An empty mask means that nothing found a place.

    Args:
        image: uint8 H×W×3, a new array.
        mask: bool H×W.
        drawn: every number drawn, JSON values.
        attempts: how many draws it took.
        soft_mask: float32 H×W, where the method has one.
        defect: its kind, where the method knows better than its own name; what the caller asked for wins.
    """

    image: Image
    mask: Mask
    drawn: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 1
    soft_mask: NDArray[np.float32] | None = None
    defect: str | None = None


class _Pool:
    """The normals of a support set, each once, to draw from in constant time.

    Args:
        normals: of the support set; those with one id count once.
    """

    def __init__(self, normals: Sequence[Sample]) -> None:
        self.samples = tuple({sample.id: sample for sample in normals}.values())
        self._places = {sample.id: place for place, sample in enumerate(self.samples)}

    def draw_other(self, own: str, rng: np.random.Generator) -> Sample | None:
        """A sample with another id than `own`, uniformly; None where there is none."""
        place = self._places.get(own, len(self.samples))
        others = len(self.samples) - (place < len(self.samples))
        if not others:
            return None
        drawn = int(rng.integers(others))
        return self.samples[drawn + (drawn >= place)]


class TrainingFree(Method):
    """Base of the synthesizers that start from a normal picture and learn nothing.

    Args:
        foreground: where the object is, to which defects are confined: `none`, `auto`, another rule, or a folder of masks.
    """

    traits: ClassVar[SynthesizerTraits]

    foreground: str = "none"
    _support: SupportSet | None = PrivateAttr(None)
    _pool: _Pool | None = PrivateAttr(None)

    @field_validator("foreground")
    @classmethod
    def _check_foreground(cls, value: str) -> str:
        parse_rule(value)
        return value

    @property
    def uses_other_normals(self) -> bool:
        """Whether `place` asks for `other_normal` with these parameters, so that `fit` can refuse a support set without one."""
        return "normals" in self.traits.needs

    def fit(self, support: SupportSet) -> Self:
        """Note the support set; returns self.

        Raises:
            NeedUnmet: the method takes from other normals and the support set holds fewer than two.
        """
        pool = _Pool(support.normals)
        if self.uses_other_normals and len(pool.samples) < 2:
            raise self._lacks_other_normal()
        self._support, self._pool = support, pool
        return self

    @property
    def heritage(self) -> Heritage:
        """The folders of textures and masks that it reads, and the state of their files."""
        return heritage_of_folders(self.model_dump(include=set(PARAMETERS)))

    def synthesize(self, requests: Sequence[Request]) -> list[Anomaly]:
        """One anomaly per request, in order; a request that nothing fits into comes back as the normal it was.

        Raises:
            NeedUnmet: a request without a normal.
            UsageError: a mask is asked of a method that takes none.
            BadParameter: the picture is too small or no uint8 RGB, or the asked mask is empty or of another size.
        """
        return [self._answer(request) for request in requests]

    @abstractmethod
    def place(self, scene: Scene) -> Placed:
        """Put one anomaly into a copy of the scene's image, inside its foreground and at its mask where they are given."""

    def other_normal(self, scene: Scene, rng: np.random.Generator) -> tuple[Image, str]:
        """Another normal of the support set than the scene's own, drawn uniformly and resized to the scene: pixels, id.

        Raises:
            NotFitted: there is no support set.
            NeedUnmet: it holds no other normal.
        """
        if self._pool is None:
            raise NotFitted(self.name)
        chosen = self._pool.draw_other(scene.normal.id, rng)
        if chosen is None:
            raise self._lacks_other_normal()
        pixels = NormalTextures((chosen,)).image(0, scene.size)
        if is_grey(scene.image) and not is_grey(pixels):  # a grey camera never sees colour
            pixels = to_grey(pixels)
        return pixels, chosen.id

    def foreground_of(self, image: Image, sample_id: str) -> Mask | None:
        """Where the object is in a picture by this method's rule: bool H×W; None: everywhere."""
        return foreground_mask(self._rule, image, sample_id, dataset=self._support.dataset if self._support else "")

    def _lacks_other_normal(self) -> NeedUnmet:
        return NeedUnmet(self.name, "a second normal", "add good pictures, or keep none of them for a test (--split none)")

    def _answer(self, request: Request) -> Anomaly:
        if request.normal is None:
            raise NeedUnmet(self.name, "a normal picture to start from", "give the request a normal")
        image = np.ascontiguousarray(request.normal.image())
        self._check_image(image, request.normal.id)
        self._check_mask(request.mask, image)
        foreground = self.foreground_of(image, request.normal.id)
        placed = self.place(Scene(image, request.seed, foreground, request.mask, request.normal, request.defect))
        if foreground is not None and foreground.all():
            placed = replace(placed, drawn={**placed.drawn, "foreground": EVERYWHERE})
        return self._labelled(request, image, placed)

    def _labelled(self, request: Request, image: Image, placed: Placed) -> Anomaly:
        found = bool(placed.mask.any())
        return Anomaly(
            image=placed.image if found else image.copy(),
            mask=placed.mask,
            defect=(request.defect or placed.defect or self.name) if found else GOOD,
            clean=freeze(image),
            twin="normal",
            soft_mask=placed.soft_mask if found else None,
            provenance=self._provenance(request, placed, found),
        )

    def _provenance(self, request: Request, placed: Placed, found: bool) -> Provenance:
        return Provenance(
            method=self.name,
            recipe=self._told_recipe,
            version=__version__,
            seed=request.seed.to_json(),
            normal_id=request.normal.id if request.normal else None,
            defect=request.defect,
            status="ok" if found else "no_placement",
            attempts=placed.attempts,
            drawn=placed.drawn,
            asked_mask_sha256=None if request.mask is None else mask_digest(request.mask),
        )

    @cached_property
    def _told_recipe(self) -> dict[str, Any]:
        return self.recipe().model_dump(mode="json")

    @cached_property
    def _rule(self) -> Any:
        return parse_rule(self.foreground)

    def _check_image(self, image: Image, name: str) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise BadParameter(f"the image of {name} is {image.shape} {image.dtype}; expected uint8 H×W×3: convert it")
        if min(image.shape[:2]) < self.traits.min_side:
            raise BadParameter(
                f"the image of {name} is {image.shape[1]}×{image.shape[0]}; {self.name} expects at least {self.traits.min_side} "
                f"pixels each way: use larger images"
            )

    def _check_mask(self, mask: Mask | None, image: Image) -> None:
        if mask is None:
            return
        if not self.traits.takes_mask:
            takers = ", ".join(name for name, entry in synthesizers.entries.items() if entry.traits.takes_mask)
            raise UsageError(f"{self.name} takes no mask, and this request has one; expected a method that does: {takers}")
        if mask.shape != image.shape[:2] or mask.dtype != np.bool_ or not mask.any():
            raise BadParameter(
                f"mask is {mask.shape} {mask.dtype} with {int(mask.sum())} pixels; expected bool {image.shape[:2]}, not empty"
            )


def mask_digest(mask: Mask) -> str:
    """SHA-256 of a mask's size and pixels."""
    return sha256_bytes(repr(mask.shape).encode() + np.packbits(mask).tobytes())
