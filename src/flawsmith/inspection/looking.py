"""An inspector looks at test images once: predictions and masks, kept in bounded memory and read back as often as needed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.detector import Prediction
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.resize import mask_as, resize_image
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.protocols import DEFAULT, Geometry
from flawsmith.inspection.spool import BUDGET, Spool


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One test image and what the inspector said of it."""

    sample: Sample
    prediction: Prediction


@dataclass(frozen=True, eq=False)
class Look:
    """Everything that was seen.

    Args:
        results: one per image; the maps are those that are measured.
        masks: the masks that they are measured against; None for normals and where the pixel truth is unknown.
        pro_masks: the same for AUPRO, where it has a rule of its own.
        milliseconds: per image, reading it included.
    """

    results: tuple[ImageResult, ...]
    masks: tuple[Mask | None, ...]
    pro_masks: tuple[Mask | None, ...]
    milliseconds: float


def look(inspector: Inspector, samples: Sequence[Sample], geometry: Geometry, memory: int = BUDGET) -> Look:
    """Predict every sample. Each image and each mask is read once; beyond `memory` bytes maps and masks go to a temporary file.

    Raises:
        OutputError: the temporary folder is full.
        DataError: an image or a mask cannot be read, or a score is not finite.
    """
    began = time.monotonic()
    with Spool(memory) as spool:
        told = inspector.predict(_images(samples, geometry))
        tracked = track(told, "looking at test images", total=len(samples))
        seen = [_put(spool, sample, prediction, geometry) for sample, prediction in zip(samples, tracked, strict=True)]
        milliseconds = 1000 * (time.monotonic() - began) / len(samples)
        results = tuple(ImageResult(sample, one.prediction(spool)) for sample, one in zip(samples, seen, strict=True))
        masks = tuple(_got(spool, one.mask) for one in seen)
        pro_masks = tuple(_got(spool, one.pro_mask) for one in seen)
    return Look(results, masks, pro_masks, milliseconds)


@dataclass(frozen=True, eq=False)
class _Put:
    """What is known of an image before anything is read back: the prediction without its arrays, and their numbers."""

    bare: Prediction
    map: int
    labels: int | None
    mask: int | None
    pro_mask: int | None

    def prediction(self, spool: Spool) -> Prediction:
        return replace(self.bare, map=spool[self.map], label_map=_got(spool, self.labels))


def _put(spool: Spool, sample: Sample, prediction: Prediction, geometry: Geometry) -> _Put:
    size = prediction.map.shape
    mask = _kept(spool, _mask(sample, geometry.mask_rule, size))
    rule = geometry.pro_mask_rule
    return _Put(
        bare=replace(prediction, map=np.zeros((0, 0), np.float32), label_map=None),
        map=spool.put(prediction.map),
        labels=_kept(spool, prediction.label_map),
        mask=mask,
        pro_mask=_kept(spool, _mask(sample, rule, size)) if rule else mask,
    )


def _kept(spool: Spool, array: NDArray[Any] | None) -> int | None:
    return None if array is None else spool.put(array)


def _got(spool: Spool, number: int | None) -> NDArray[Any] | None:
    return None if number is None else spool[number]


def _images(samples: Sequence[Sample], geometry: Geometry) -> Iterator[Image]:
    side = geometry.side
    return (sample.image() if side is None else resize_image(sample.image(), (side, side)) for sample in samples)


def _mask(sample: Sample, rule: str, size: tuple[int, ...]) -> Mask | None:
    """The mask of an anomaly under a rule, at the size of its map."""
    if sample.is_normal or not sample.has_mask:
        return None
    if rule == DEFAULT and sample.source.size() == size:
        return sample.mask()
    return mask_as(sample, (size[0], size[1]), "area" if rule == DEFAULT else rule)
