"""What NSA knows of each product, and what it finds out about one that it does not know.

The table is that of hmsch/natural-synthetic-anomalies (train_mvtec.py, and the chest X-rays' settings). The authors chose its
numbers by hand; `fitted` reads the same numbers off a few normals, by rules that come close to the table's: the largest
half-width is half of the object's extent, the share of object is the largest of the table's that patches reach often enough, and
the label is one half at the median change that patches make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.masks.boxes import box_of
from flawsmith.masks.estimators import by_background, by_itself
from flawsmith.masks.foreground import ForegroundRule, foreground_mask
from flawsmith.masks.gamma_boxes import Bounds, Gamma

Gradients = Literal["normal", "mixed"]


@dataclass(frozen=True)
class Product:
    """NSA's parameters for one product.

    Args:
        height: bounds of half-widths along y, shares of the height.
        width: bounds along x, shares of the width.
        patches: most patches; each after the first with probability one half.
        logistic: k and x0 of the label.
        objects: rule for the object that patches must hit; `none`: patches go anywhere.
        min_object: least share of a patch that is object.
        min_overlap: least share of the object in a patch that lies on the object of the picture.
        resize: least and largest factor of a patch's size.
        gradients: of the Poisson blend.
        gamma: shape, scale and offset of the half-widths.
    """

    height: Bounds = (0.03, 0.4)
    width: Bounds = (0.03, 0.4)
    patches: int = 4
    logistic: tuple[float, float] = (1 / 6, 20.0)
    objects: str = "none"
    min_object: float = 0.25
    min_overlap: float = 0.25
    resize: tuple[float, float] = (0.5, 2.0)
    gradients: Gradients = "mixed"
    gamma: Gamma = (2.0, 0.05, 0.03)

    def told(self) -> dict[str, Any]:
        """As JSON values."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


TEXTURE = Product()
"""A surface that fills the picture, of which nothing else is known."""

OBJECT = Product(patches=3, objects="auto", min_object=0.7, resize=(0.7, 1.3), gradients="normal")
"""An object on a background, of which nothing else is known."""

FREE = replace(OBJECT, objects="none", min_object=0.25)
BRIGHT = replace(OBJECT, objects="nsa:200,60")
DARK = replace(OBJECT, objects="nsa:20,20")

PRODUCTS: Mapping[str, Product] = {
    "bottle": replace(BRIGHT, logistic=(1 / 12, 24)),
    "cable": replace(FREE, height=(0.05, 0.4), width=(0.05, 0.4), logistic=(1 / 12, 24)),
    "capsule": replace(BRIGHT, height=(0.03, 0.15), logistic=(1 / 2, 4)),
    "hazelnut": replace(DARK, height=(0.03, 0.35), width=(0.03, 0.35), logistic=(1 / 12, 24)),
    "metal_nut": replace(DARK, logistic=(1 / 3, 7), min_object=0.5),
    "pill": replace(DARK, height=(0.03, 0.2), logistic=(1 / 3, 7)),
    "screw": replace(BRIGHT, height=(0.03, 0.12), width=(0.03, 0.12), patches=4, logistic=(1, 3), min_object=0.5),
    "toothbrush": replace(DARK, width=(0.03, 0.2), logistic=(1 / 6, 15), min_object=0.25),
    "transistor": replace(FREE, logistic=(1 / 6, 15)),
    "zipper": replace(BRIGHT, width=(0.03, 0.2), patches=4, logistic=(1 / 6, 15)),
    "carpet": replace(TEXTURE, logistic=(1 / 3, 7)),
    "grid": replace(TEXTURE, logistic=(1 / 3, 7)),
    "leather": replace(TEXTURE, logistic=(1 / 3, 7)),
    "tile": replace(TEXTURE, logistic=(1 / 3, 7)),
    "wood": replace(TEXTURE, logistic=(1 / 6, 15)),
    "chest_xray": replace(
        OBJECT, objects="nsa:0,20", logistic=(1 / 2, 4), min_overlap=0.7, gradients="mixed", gamma=(2.0, 0.03, 0.05)
    ),
}
"""MVTec AD's fifteen, and chest X-rays."""

LOOKED_AT = 16
"""Normals that are fitted on, evenly spaced over the support set."""

FIT_SIDE = 256
"""Smaller side that pictures are brought down to before fitting."""

OBJECT_SHARES = (0.05, 0.8)
"""Share of the picture that an object covers, by the rule `auto`."""

MIN_OBJECTS = (0.7, 0.5, 0.25)
REACHED = 0.2
"""Share of places at which a typical patch must hold enough of the object."""

GRID = 24
LARGEST_HALF = 0.4
X0_BOUNDS = (3.0, 24.0)
K_TIMES_X0 = 7 / 3
"""The bounds of x0, and the middle of k·x0, in the table."""


def object_mask(rule: ForegroundRule, image: Image, sample_id: str, dataset: str = "") -> Mask | None:
    """The object by a rule: bool H×W, perhaps empty; None where the rule is `none`.

    Unlike a foreground, what NSA's own rule finds may be next to nothing: there is no object then to put a patch on.
    """
    if rule.name != "nsa":
        return foreground_mask(rule, image, sample_id, dataset=dataset)
    numbers = [float(number) for number in rule.arguments]
    return by_background(image, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def fitted(images: Sequence[Image], changes: Callable[[Product], NDArray[np.floating[Any]]]) -> tuple[Product, str]:
    """The parameters for a product that the table does not know, and what it was taken for: `object` or `texture`.

    Args:
        images: some normals.
        changes: the smoothed changes, in levels, that patches of given parameters make on them.
    """
    masks = [by_itself(image) for image in images]
    low, high = OBJECT_SHARES
    kind = "object" if low <= float(np.median([mask.mean() for mask in masks])) <= high else "texture"
    product = _fitted_to_object(masks) if kind == "object" else TEXTURE
    return replace(product, logistic=_fitted_logistic(changes(product))), kind


def _fitted_to_object(masks: Sequence[Mask]) -> Product:
    found = [mask for mask in masks if mask.any()]
    boxes = np.array([box_of(mask) for mask in found], float)
    sides = np.array([mask.shape for mask in found], float)
    height, width = (_half_width(boxes[:, 3 - axis] / sides[:, axis]) for axis in (0, 1))
    product = replace(OBJECT, height=height, width=width)
    for least in MIN_OBJECTS:
        product = replace(product, min_object=least)
        if np.mean([_reached(mask, product) for mask in found]) >= REACHED:
            break
    return product


def _half_width(extents: NDArray[np.floating[Any]]) -> Bounds:
    low = OBJECT.height[0]
    return low, round(float(np.clip(np.median(extents) / 2, 2 * low, LARGEST_HALF)), 2)


def _reached(mask: Mask, product: Product) -> float:
    """Share of places in the picture at which a patch of mean size holds enough of the object."""
    form, scale, offset = product.gamma
    typical = offset + form * scale
    most = product.height[1], product.width[1]
    half = [max(1, round(min(typical, share) * side)) for share, side in zip(most, mask.shape, strict=True)]
    shares = cv2.blur(mask.astype(np.float32), (2 * half[1] + 1, 2 * half[0] + 1), borderType=cv2.BORDER_REPLICATE)
    rows, columns = (np.linspace(h, side - 1 - h, GRID).astype(int) for h, side in zip(half, mask.shape, strict=True))
    return float((shares[np.ix_(rows, columns)] > product.min_object).mean())


def _fitted_logistic(changes: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """(k, x0): one half at the median change, within the table's bounds; the unknown product's where nothing changed."""
    if not changes.size:
        return TEXTURE.logistic
    x0 = round(float(np.clip(np.median(changes), *X0_BOUNDS)), 1)
    return round(K_TIMES_X0 / x0, 4), x0
