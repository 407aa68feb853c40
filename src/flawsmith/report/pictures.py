"""Photographs as a report shows them: outlines of the truth, coloured maps on one scale, contact sheets, data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from flawsmith.core.arrays import Image, Map, Mask
from flawsmith.core.errors import BadParameter
from flawsmith.data.resize import resize_image, resize_map

SIDE = 256
"""Longer side of a picture in a report, pixels."""

OUTLINE = (0, 229, 255)
"""Colour of the truth: a cyan that no grey photograph and no colour of the map has."""

COLOURS = "inferno"
"""Matplotlib's name of the colours; even steps for every kind of colour vision, and in grey print."""

JPEG_QUALITY = 85


@dataclass(frozen=True)
class Scale:
    """Which map values get colour: none up to `low`, full from `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise BadParameter(f"the colour scale runs from {self.low} to {self.high}; expected low < high")

    def unit(self, anomaly_map: Map) -> NDArray[np.float32]:
        """The map in 0…1."""
        share = (anomaly_map.astype(np.float64) - self.low) / (self.high - self.low)
        return np.asarray(np.clip(share, 0, 1), np.float32)


def scale_of(maps: Iterable[Map], threshold: float | None = None) -> Scale:
    """One scale for a whole report: from what an ordinary pixel has to what the strongest images reach.

    Args:
        maps: at least one.
        threshold: of the image score; the scale ends no lower, so that pictures far below it stay grey.
    """
    middles, tops = np.array([(np.median(m), m.max()) for m in maps], np.float64).T
    low, high = float(np.median(middles)), float(np.quantile(tops, 0.9))
    if threshold is not None:
        high = max(high, threshold)
    return Scale(low, high) if high > low else Scale(low, low + max(abs(low), 1.0) * 1e-6)


def overlay(
    image: Image, anomaly_map: Map, threshold: float | None = None, mask: Mask | None = None, *, scale: Scale | None = None
) -> Image:
    """The photograph with its anomaly map in colour.

    Args:
        image: uint8 H×W×3.
        anomaly_map: H×W, raw.
        threshold: of the image score, for the scale where none is given.
        mask: bool H×W, outlined where given.
        scale: one for all pictures of a report; None: from this map and the threshold.

    Returns:
        uint8 H×W×3.
    """
    if anomaly_map.shape != image.shape[:2]:
        raise BadParameter(f"the map is {anomaly_map.shape}, its image {image.shape[:2]}; expected equal sizes: resize the map")
    strength = (scale or scale_of([anomaly_map], threshold)).unit(anomaly_map)
    colours = _colour_table()[np.round(strength * 255).astype(np.uint8)]
    alpha = np.minimum(strength * 1.6, 0.85)[:, :, None]
    blended = np.round(image * (1 - alpha) + colours * alpha).astype(np.uint8)
    return blended if mask is None else outline(blended, mask)


def outline(image: Image, mask: Mask, colour: tuple[int, int, int] = OUTLINE) -> Image:
    """The image with a line around each region, at a little distance, so that a thin scratch stays in view."""
    drawn = np.ascontiguousarray(image).copy()
    distance = max(5, round(max(mask.shape) / 40))
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance + 1, 2 * distance + 1))
    grown = cv2.dilate(np.pad(mask.astype(np.uint8), distance), ring)[distance:-distance, distance:-distance]
    lines, _ = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    halo = cv2.polylines(drawn.copy(), lines, True, (0, 0, 0), 4, cv2.LINE_AA)
    softened = cv2.addWeighted(drawn, 0.5, halo, 0.5, 0)
    return np.asarray(cv2.polylines(softened, lines, True, colour, 2, cv2.LINE_AA), np.uint8)


@dataclass(frozen=True, eq=False)
class Views:
    """One test image, ready to be shown at `SIDE`.

    Args:
        image: as it is.
        truth: with the defect outlined; None where there is no mask, or nothing in it.
        coloured: with its map.
    """

    image: Image
    truth: Image | None
    coloured: Image


def views(image: Image, anomaly_map: Map, mask: Mask | None, scale: Scale, side: int = SIDE) -> Views:
    """Bring an image, its map and its mask to the size of the report and colour them."""
    size = fitted(image.shape[:2], side)
    small = resize_image(image, size)
    shown = None if mask is None or not mask.any() else enlarged_mask(mask, size)
    return Views(
        image=small,
        truth=None if shown is None else outline(small, shown),
        coloured=overlay(small, resize_map(anomaly_map, size), mask=shown, scale=scale),
    )


def fitted(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(H, W) with the longer side at `side` and the proportions kept."""
    factor = side / max(shape[:2])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def peak_is_near(mask: Mask, anomaly_map: Map, tolerance: float = 0.02) -> bool:
    """Whether the strongest response lies on the defect, or within `tolerance` of the image's longer side beside it."""
    if not mask.any():
        return True
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return bool(distance.flat[int(np.argmax(anomaly_map))] <= tolerance * max(mask.shape) + 1)


def contact_sheet(images: Sequence[Image], columns: int = 6, side: int = 128, gap: int = 4) -> Image:
    """Many pictures as one, row by row on white, each fitted into a square of `side`.

    Args:
        images: at least one, uint8 H×W×3 of any size.
        columns: pictures in a row.
        side: of each square, pixels.
        gap: between squares, pixels.
    """
    if not images or columns < 1:
        raise BadParameter(f"{len(images)} pictures in {columns} columns; expected at least one picture and one column")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, np.uint8)
    for i, image in enumerate(images):
        h, w = fitted(image.shape, side)
        y, x = (i // columns) * (side + gap) + (side - h) // 2, (i % columns) * (side + gap) + (side - w) // 2
        sheet[y : y + h, x : x + w] = resize_image(image, (h, w))
    return sheet


def jpeg_uri(image: Image) -> str:
    """A photograph as a data URI."""
    buffer = io.BytesIO()
    PillowImage.fromarray(np.ascontiguousarray(image)).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def colour_steps(count: int = 9) -> tuple[str, ...]:
    """Colours of the scale from low to high as `#rrggbb`, for a legend."""
    return tuple("#" + bytes(_colour_table()[i]).hex() for i in np.linspace(0, 255, count).astype(int))


def enlarged_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """Bring a mask to (H, W) for the eye: a scratch of one pixel must not vanish."""
    if size[0] * size[1] >= mask.size:
        return cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
    return cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA) > 0


@cache
def _colour_table() -> NDArray[np.uint8]:
    from matplotlib import colormaps

    table = np.asarray(colormaps[COLOURS](np.linspace(0.15, 1.0, 256)))[:, :3]
    return np.round(table * 255).astype(np.uint8)
