"""Masks that are drawn from polygons: one per instance of a defect, later ones on top.

labelme's polygons (wkentaro/labelme) and the tables of MVTec-FS (ShuaiLYU/MVTec-FS). A polygon's border belongs to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from flawsmith.core.errors import DataError, NoPixelTruth
from flawsmith.core.samples import GOOD, Region
from flawsmith.data.reading import FileSource

FARTHEST = 1_000_000
"""Coordinates beyond this are no pixels."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Instance:
    """One instance of a defect.

    Args:
        number: its place in the order of drawing.
        defect: its kind.
        points: (x, y) of its corners, pixels.
        size: (H, W) of the image it was drawn on.
    """

    number: int
    defect: str
    points: tuple[Point, ...]
    size: tuple[int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of its pixels, the last ones excluded, inside the image."""
        across, down = [x for x, _ in self.points], [y for _, y in self.points]
        height, width = self.size
        left, top = max(0, math.floor(min(across))), max(0, math.floor(min(down)))
        return left, top, min(width, math.ceil(max(across)) + 1), min(height, math.ceil(max(down)) + 1)


def parse_points(told: Any) -> tuple[Point, ...]:
    """Corners from `[[x, y], …]`, as text or as a list.

    Raises:
        ValueError: it is none.
    """
    points = json.loads(told) if isinstance(told, str) else told
    try:
        corners = tuple((float(x), float(y)) for x, y in points)
    except (TypeError, ValueError) as error:
        raise ValueError("points are no list of [x, y]") from error
    if not corners or any(not abs(value) <= FARTHEST for corner in corners for value in corner):
        raise ValueError("points are missing or are no pixels")
    return corners


def drawn(instance: Instance, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The pixels of an instance inside a box of its image, bool."""
    left, top, right, bottom = box
    canvas = Pillow.new("1", (right - left, bottom - top))
    corners = [(x - left, y - top) for x, y in instance.points]
    if len(corners) == 1:
        ImageDraw.Draw(canvas).point(corners, 1)
    else:
        ImageDraw.Draw(canvas).polygon(corners, fill=1, outline=1)
    return np.array(canvas, bool)


def in_order(instances: Sequence[Instance]) -> list[Instance]:
    """Instances as they are drawn, the first at the bottom."""
    return sorted(instances, key=lambda instance: instance.number)


def overlapped(instances: Sequence[Instance]) -> int:
    """How many pixels of an image lie in more than one instance; only boxes that meet are drawn."""
    meeting = [one for one in instances if any(other is not one and _met(one.box, other.box) is not None for other in instances)]
    if not meeting:
        return 0
    boxes = np.array([instance.box for instance in meeting])
    whole = (*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist())
    left, top, right, bottom = whole
    depth = np.zeros((bottom - top, right - left), np.uint16)
    for instance in meeting:
        depth += drawn(instance, (left, top, right, bottom))
    return int((depth > 1).sum())


def _met(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
    met = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return met if met[0] < met[2] and met[1] < met[3] else None


@dataclass(frozen=True)
class PolygonSource(FileSource):
    """An image file whose mask is drawn from polygons.

    Args:
        instances: its polygons; empty where the pixel truth is unknown.
        order: the product's defects in the order of their class ids.
    """

    instances: tuple[Instance, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def has_mask(self) -> bool:
        """Whether the pixel truth is known; True for normals."""
        return self.defect == GOOD or bool(self.instances)

    @property
    def mask_rule(self) -> str:
        """How a polygon becomes pixels."""
        return "polygons, later instances on top"

    def class_ids(self) -> NDArray[np.uint8]:
        """The class id of every pixel, uint8 H×W, 0 where there is no defect.

        Raises:
            DataError: E_SIZE: the polygons were drawn on an image of another size.
        """
        height, width = self.size()
        ids = np.zeros((height, width), np.uint8)
        for instance in in_order(self.instances):
            self._refuse_other_size(instance, (height, width))
            ids[drawn(instance, (0, 0, width, height))] = self.order.index(instance.defect) + 1
        return ids

    def regions(self) -> tuple[Region, ...]:
        """One region per class, in the order of the ids; what a later instance covers belongs to that one.

        Raises:
            NoPixelTruth: there is no polygon.
            DataError: E_SIZE, or E_EMPTY_MASK: no polygon has a pixel inside the image.
        """
        if self.defect == GOOD:
            return ()
        if not self.instances:
            told = f"{self.location} has no polygon; expected pixel ground truth: add one or use image-level metrics"
            raise NoPixelTruth(told, [self.location])
        ids = self.class_ids()
        regions = tuple(Region(self.order[value - 1], ids == value) for value in map(int, np.unique(ids)) if value)
        if not regions:
            told = f"the polygons of {self.location} lie outside of it; expected the defect marked: draw them again"
            raise DataError("E_EMPTY_MASK", told, [self.location])
        return regions

    def _refuse_other_size(self, instance: Instance, size: tuple[int, int]) -> None:
        if instance.size != size:
            raise DataError(
                "E_SIZE",
                f"{self.location} is {size[1]}×{size[0]}, its polygons were drawn on {instance.size[1]}×{instance.size[0]}; "
                f"expected equal sizes: copy the images again, as they were annotated",
                [self.location],
            )


def read_labelme(path: Path, most_bytes: int = 64 * 2**20) -> list[Instance]:
    """The polygons and rectangles of a labelme file, in its order.

    Raises:
        DataError: E_LABEL: it is no such file, or holds another shape.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise ValueError(f"it has over {most_bytes // 2**20} MiB")
        told = json.loads(path.read_text(encoding="utf-8-sig"))
        size = int(told["imageHeight"]), int(told["imageWidth"])
        return [_shape(number, shape, size) for number, shape in enumerate(told["shapes"])]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "E_LABEL",
            f"{path} is no labelme file ({type(error).__name__}: {error}); expected shapes with label and points: copy it again",
            [path],
        ) from error


def _shape(number: int, shape: Any, size: tuple[int, int]) -> Instance:
    kind, points = shape.get("shape_type", "polygon"), parse_points(shape["points"])
    if kind == "rectangle" and len(points) == 2:
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    elif kind != "polygon":
        raise ValueError(f"shape {number} is a {kind}, where polygons are expected")
    return Instance(number, str(shape["label"]), points, size)
