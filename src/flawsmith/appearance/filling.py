"""What a removed part of a picture is filled with: black, the picture's mean colour, noise, or a colour of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import cv2
import numpy as np
from pydantic import Field

from flawsmith.appearance.photometry import is_grey
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.seeding import Seed
from flawsmith.masks.boxes import Box
from flawsmith.masks.cells import disjoint_sets

Level = Annotated[int, Field(ge=0, le=255)]
Fill = Literal["black", "mean", "noise"] | tuple[Level, Level, Level]


def filling(fill: Fill, image: Image, box: Box, seed: Seed) -> Image:
    """The pixels that take the place of a box of the image: uint8 h×w×3; in a grey picture mean and noise are grey.

    Args:
        fill: `black`, the `mean` of the picture, uniform `noise`, or (red, green, blue).
        image: the whole picture.
        box: the part that goes.
        seed: only noise draws from it, in its stream `fill`.
    """
    _, _, width, height = box
    if fill == "noise":
        channels = 1 if is_grey(image) else 3
        drawn = seed.numpy("fill").integers(0, 256, (height, width, channels), np.uint8)
        return drawn if channels == 3 else np.repeat(drawn, 3, axis=2)
    if fill == "black":
        return np.zeros((height, width, 3), np.uint8)
    colour = np.rint(cv2.mean(image)[:3]) if fill == "mean" else fill
    return np.full((height, width, 3), colour, np.uint8)


def inpainting_pairs(
    image: Image, rng: np.random.Generator, cells: Sequence[int] = (2, 4, 8, 16), sets: int = 3, exact: bool = False
) -> tuple[tuple[Image, Mask], ...]:
    """RIAD's way to train a network that paints in: copies of a picture, each without one of the disjoint sets of cells.

    Args:
        image: uint8 H×W×3.
        rng: the only source of draws.
        cells: sides of a cell in pixels, one of which is drawn.
        sets: how many copies.
        exact: refuse a picture that the cells do not divide; otherwise the last row and column of cells are cut.

    Returns:
        (picture with black cells, mask of these cells) for each set; the masks cover the picture, each pixel once.

    Raises:
        BadParameter: see `flawsmith.masks.cells.disjoint_sets`.
    """
    masks = disjoint_sets(image.shape, cells, sets, rng, exact)
    return tuple((np.where(mask[..., None], np.uint8(0), image), mask) for mask in masks)
