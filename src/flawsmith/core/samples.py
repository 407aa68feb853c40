"""One photograph of the world, and where its pixels come from.

A `Sample` is cheap: pixels are read when asked for. `ImageSource` is what a data layout implements; `ArraySource` holds pixels
that are already in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from flawsmith.core.arrays import Image, Mask, freeze
from flawsmith.core.errors import DataError, NoPixelTruth
from flawsmith.core.priors import Prior

GOOD = "good"
"""The defect name of a normal."""

UNKNOWN = "unknown"
"""The defect name of an anomaly whose kind the source does not tell."""

SplitName = Literal["train", "val", "test", "pool"]
Origin = Literal["real", "synthetic"]


@dataclass(frozen=True)
class Region:
    """One labelled part of an anomaly.

    Args:
        defect: its kind.
        mask: bool H×W, True on the region.
        saturation: area in pixels from which it counts as found (sPRO); None: its whole area.
    """

    defect: str
    mask: Mask
    saturation: float | None = None


class ImageSource(Protocol):
    """Where a sample's pixels come from."""

    @property
    def location(self) -> str:
        """Path or description, for messages."""
        ...

    @property
    def has_mask(self) -> bool:
        """Whether the pixel truth is known. True for normals: they have no defect anywhere."""
        ...

    @property
    def mask_rule(self) -> str:
        """How a mask value becomes a defect pixel, for the record of a pixel metric."""
        ...

    def size(self) -> tuple[int, int]:
        """(H, W), from the header where there is a file."""
        ...

    def image(self) -> Image:
        """uint8 H×W×3."""
        ...

    def regions(self) -> tuple[Region, ...]:
        """The labelled regions; empty for a normal. Raises `NoPixelTruth` where `has_mask` is False."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Pixels already in memory.

    Args:
        pixels: uint8 H×W×3.
        labelled: the regions; None where the pixel truth is unknown.
        location: what to call it in messages.
    """

    pixels: Image
    labelled: tuple[Region, ...] | None = ()
    location: str = "memory"

    @property
    def has_mask(self) -> bool:
        """Whether the pixel truth is known."""
        return self.labelled is not None

    @property
    def mask_rule(self) -> str:
        """Masks in memory are taken as they are."""
        return "as given"

    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def image(self) -> Image:
        """The pixels, read-only."""
        return freeze(self.pixels)

    def regions(self) -> tuple[Region, ...]:
        """The labelled regions."""
        if self.labelled is None:
            raise NoPixelTruth(f"{self.location} has no mask; expected pixel ground truth: use image-level metrics")
        return self.labelled


@dataclass(frozen=True)
class Sample:
    """One photograph.

    Args:
        id: stable across machines: product/split/defect/stem, with the split it had in its folder.
        product: the object or surface class.
        defect: the kind of anomaly; `good` for a normal.
        split: where it belongs now.
        group: photographs of the same piece share it; a group is never on both sides of a split.
        source: where the pixels are.
        weight: 1.0 unless the label is uncertain.
        origin: whether the world or a synthesizer made it.
        tags: what else the source tells (module type, exposure …), carried through.
    """

    id: str
    product: str
    defect: str
    split: SplitName
    group: str
    source: ImageSource = field(repr=False, compare=False)
    weight: float = 1.0
    origin: Origin = "real"
    tags: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_normal(self) -> bool:
        """Whether this is a picture without a defect."""
        return self.defect == GOOD

    @property
    def has_mask(self) -> bool:
        """Whether the pixel truth is known."""
        return self.source.has_mask

    def image(self) -> Image:
        """uint8 H×W×3."""
        return self.source.image()

    def mask(self) -> Mask:
        """The union of the regions, bool H×W; all False for a normal.

        Raises:
            NoPixelTruth: the source knows no pixels of this anomaly.
            DataError: a region's size differs from the image's (E_SIZE).
        """
        union = np.zeros(self.source.size(), bool)
        for region in self.source.regions():
            if region.mask.shape != union.shape:
                raise DataError(
                    "E_SIZE",
                    f"the mask of {self.source.location} is {region.mask.shape[1]}×{region.mask.shape[0]}, its image "
                    f"{union.shape[1]}×{union.shape[0]}; expected equal sizes: export the mask again",
                    [self.source.location],
                )
            union |= region.mask
        return union

    def digest(self) -> str:
        """SHA-256 of the decoded pixels with their size, so that PNG and BMP copies of one picture match."""
        pixels = self.image()
        return hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()

    def moved_to(self, split: SplitName) -> Sample:
        """The same photograph in another split."""
        return replace(self, split=split)

    def with_pixels(self, pixels: Image, regions: tuple[Region, ...] = ()) -> Sample:
        """The same photograph after its pixels were resized or turned."""
        return replace(self, source=ArraySource(pixels, regions, self.source.location))


@dataclass(frozen=True)
class SupportSet:
    """What a method may learn from: some normals, perhaps a few real anomalies, perhaps words about them.

    Args:
        normals: normal samples of one product.
        anomalies: real anomalies (few or none).
        priors: what is known of each defect before seeing one.
        product: the product's name.
        dataset: the data set's name; rotation rules are keyed by (dataset, product).
    """

    normals: tuple[Sample, ...]
    anomalies: tuple[Sample, ...] = ()
    priors: tuple[Prior, ...] = ()
    product: str = "product"
    dataset: str = ""

    @property
    def ids(self) -> frozenset[str]:
        """Every sample id that a method fitted on this has seen."""
        return frozenset(sample.id for sample in (*self.normals, *self.anomalies))
