"""Resizing at the borders: one rule for images, one for masks, one for maps; and the mask rules of released code, for parity.

Sizes are (H, W) everywhere. An array that already has the wanted size comes back as a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from flawsmith.core.arrays import Image, Map, Mask
from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.samples import GOOD, Sample


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Resize uint8 H×W×3: by area along sides that shrink, bilinearly along sides that grow."""
    return image.copy() if image.shape[:2] == tuple(size) else _area_then_linear(image, size)


def resize_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize bool H×W: a pixel is True where at least half of what it stands for is."""
    if mask.shape == tuple(size):
        return mask.copy()
    rounding = 1e-6
    return _area_then_linear(mask.astype(np.float32), size) >= 0.5 - rounding


def resize_mask_nearest(mask: Mask, size: tuple[int, int]) -> Mask:
    """Resize bool H×W by nearest pixel, for labels that other tools made: each pixel says what the one at its centre said."""
    if mask.shape == tuple(size):
        return mask.copy()
    rows, columns = (_centres(old, new) for old, new in zip(mask.shape, size, strict=True))
    return np.asarray(mask[np.ix_(rows, columns)], np.bool_)


def _centres(old: int, new: int) -> NDArray[np.int64]:
    """For each of `new` pixels the one of `old` pixels that its centre lies in."""
    return np.asarray((2 * np.arange(new) + 1) * old // (2 * new), np.int64)


def resize_map(anomaly_map: Map, size: tuple[int, int]) -> Map:
    """Resize float32 H×W bilinearly, pixel centres at half positions (`align_corners=False`)."""
    if anomaly_map.shape == tuple(size):
        return anomaly_map.astype(np.float32, copy=True)
    return cv2.resize(anomaly_map.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def _area_then_linear(values: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    smaller = (min(size[0], values.shape[0]), min(size[1], values.shape[1]))
    if smaller != values.shape[:2]:
        values = cv2.resize(values, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != tuple(size):
        values = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    return values


Values = NDArray[np.uint8]


def resize_mask_as(values: Values, size: tuple[int, int], rule: str = "area") -> Mask:
    """Resize a mask as one of the released programs does, to compare with the numbers it printed.

    Every rule takes the values of the mask's file: only those tell `truncate` from `any` where a mask is grey. A mask in memory
    is 255 × mask. A mask of 0 and 1 counts as the program would take it: for `truncate` and `half`, 1/255 is no defect.

    Args:
        values: uint8 H×W, 0…255.
        size: (H, W), each at least 1.
        rule: one of `MASK_RULES`.

    Returns:
        bool H×W of `size`.

    Raises:
        UnknownName: no such rule.
        BadParameter: `values` is no uint8 H×W, or a side is below 1.
    """
    if rule not in _RULES:
        raise UnknownName("mask rule", rule, _RULES)
    if values.dtype != np.uint8 or values.ndim != 2:
        raise BadParameter(f"mask values are {values.dtype} of shape {values.shape}; expected uint8 H×W, as in the file")
    if min(size) < 1 or min(values.shape) < 1:
        raise BadParameter(f"a mask of {values.shape} cannot be resized to {tuple(size)}; expected sides of at least 1")
    return _RULES[rule][0](np.ascontiguousarray(values), (int(size[0]), int(size[1])))


def mask_as(sample: Sample, size: tuple[int, int], rule: str = "area") -> Mask:
    """The mask of a sample at `size` under a rule of `MASK_RULES`; bool H×W.

    `area` starts from the mask as the data set defines it (`Sample.mask`), every other rule from the values in the file, where
    there is one.

    Raises:
        NoPixelTruth: the source knows no pixels of this anomaly.
        DataError: the mask cannot be read.
        UnknownName: no such rule.
    """
    source = sample.source
    if rule == "area" or sample.defect == GOOD or not isinstance(source, HasMaskValues):
        return resize_mask_as(sample.mask().astype(np.uint8) * 255, size, rule)
    return resize_mask_as(source.mask_values(), size, rule)


@runtime_checkable
class HasMaskValues(Protocol):
    """A source whose masks are files with values of their own."""

    def mask_values(self) -> Values:
        """uint8 H×W, as in the file."""
        ...


def _area(values: Values, size: tuple[int, int]) -> Mask:
    return resize_mask(values > 0, size)


def _opencv(values: Values, size: tuple[int, int]) -> Values:
    return np.asarray(cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _pillow(values: Values, size: tuple[int, int], filter_: Pillow.Resampling) -> Values:
    return np.asarray(Pillow.fromarray(values).resize(size[::-1], filter_), np.uint8)


def _torch_bilinear(values: Values, size: tuple[int, int]) -> NDArray[np.float32]:
    import torch

    batch = torch.from_numpy(values.astype(np.float32) / np.float32(255))[None, None]
    resized = torch.nn.functional.interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)
    return np.asarray(resized[0, 0].numpy(), np.float32)


def _torch_nearest(values: Values, size: tuple[int, int]) -> Values:
    import torch

    return np.asarray(torch.nn.functional.interpolate(torch.from_numpy(values)[None, None], size=size)[0, 0].numpy(), np.uint8)


_RULES: Mapping[str, tuple[Callable[[Values, tuple[int, int]], Mask], str]] = {
    "area": (_area, "> 0 at native size, by area, at least half; the default, and MVTec's own at native size"),
    "truncate": (lambda v, s: _opencv(v, s) == 255, "OpenCV bilinear, only 255 stays; DRAEM, AnomalyDiffusion, ASBench's copies"),
    "truncate-bicubic": (
        lambda v, s: _pillow(v, s, Pillow.Resampling.BICUBIC) == 255,
        "Pillow bicubic, only 255 stays; MemSeg's AUROC and AP (ASBench)",
    ),
    "any": (lambda v, s: _opencv(v, s) > 0, "OpenCV bilinear, all but 0; AnomalyDiffusion's PRO"),
    "any-bicubic": (
        lambda v, s: _pillow(v, s, Pillow.Resampling.BICUBIC) > 0,
        "Pillow bicubic, all but 0; MemSeg's PRO (ASBench)",
    ),
    "any-bilinear": (lambda v, s: _pillow(v, s, Pillow.Resampling.BILINEAR) > 0, "Pillow bilinear, all but 0; LFD (SeaS)"),
    "half": (lambda v, s: _torch_bilinear(v, s) >= 0.5, "torch bilinear with antialias, at least 0.5; DeSTSeg"),
    "half-bilinear": (
        lambda v, s: _pillow((v > 0).astype(np.uint8) * 255, s, Pillow.Resampling.BILINEAR) > 127,
        "> 0 at native size, Pillow bilinear, above 0.5; ADer with the threshold of its trainers",
    ),
    "nearest": (lambda v, s: _pillow(v, s, Pillow.Resampling.NEAREST) != 0, "Pillow nearest, all but 0; UniADC"),
    "nearest-torch": (
        lambda v, s: _torch_nearest((v > 0).astype(np.uint8), s) != 0,
        "> 0 at native size, torch nearest; anomalib",
    ),
}

MASK_RULES: Mapping[str, str] = MappingProxyType({name: told for name, (_, told) in _RULES.items()})
"""Name → what it does, and whose it is. Read in M-3LAB/ASBench (DRAEM/data_loader.py, MemSeg/data/dataset.py, MemSeg/train.py),
apple/ml-destseg (data/mvtec_dataset.py), HUST-SLOW/LFD (datasets/mvtec_ad.py), cnulab/UniADC (datasets/dataset.py), zhangzjn/ADer
(data/ad_dataset.py, configs/__base__/cfg_dataset_default.py) and open-edge-platform/anomalib (data/utils/image.py)."""
