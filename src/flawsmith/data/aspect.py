"""Three ways from a picture of any shape to square ones, and from their maps back to the picture's own pixels.

| spelled | pictures | what is lost |
|---|---|---|
| `stretch` | one, squashed or drawn out, as the papers do | the aspect |
| `pad` | one, scaled by its longer side; the rest repeats the border | resolution, where the sides differ |
| `tile:SIZE,OVERLAP` | as many as it takes, at native resolution; small pictures are padded | the view of the whole |

A mark of one pixel comes back within one pixel of the coarser of the two grids (`datasets.md`, section 15.9).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Map, Mask
from flawsmith.core.errors import BadParameter
from flawsmith.data.resize import resize_image, resize_map, resize_mask, resize_mask_nearest

Box = tuple[int, int, int, int]
"""Top, left, height, width."""


def parse_aspect(text: str, size: int) -> Aspect:
    """Read `stretch`, `pad`, or `tile:SIZE,OVERLAP`.

    Args:
        text: as above.
        size: side of the squares of `stretch` and `pad`; tiles have their own.

    Raises:
        BadParameter: none of them, a size below 1, or an overlap that leaves no step between tiles.
    """
    kind, _, rest = text.partition(":")
    if kind in ("stretch", "pad") and not rest and size >= 1:
        return Stretch(size) if kind == "stretch" else Pad(size)
    numbers = rest.split(",")
    if kind == "tile" and len(numbers) == 2 and all(number.strip().isdecimal() for number in numbers):
        side, overlap = (int(number) for number in numbers)
        if 0 <= overlap < side:
            return Tile(side, overlap)
    raise BadParameter(
        f"aspect {text!r} at size {size} is unknown; expected stretch, pad or tile:SIZE,OVERLAP with OVERLAP below SIZE, as in "
        f"tile:512,64"
    )


@dataclass(frozen=True)
class Aspect(ABC):
    """A way to squares and back.

    Args:
        size: side of every square.
    """

    size: int

    @abstractmethod
    def images(self, image: Image) -> list[Image]:
        """The squares of a picture, at least one: uint8 SIZE×SIZE×3."""

    @abstractmethod
    def masks(self, mask: Mask) -> list[Mask]:
        """The squares of its mask, in the same order: bool SIZE×SIZE; what was added is not marked."""

    @abstractmethod
    def whole(self, maps: Sequence[Map], size: tuple[int, int]) -> Map:
        """The map of the picture from those of its squares.

        Args:
            maps: float32 SIZE×SIZE, in the order of `images`.
            size: (H, W) of the picture.

        Returns:
            float32 H×W; what was added to the picture is left out.

        Raises:
            ValueError: another number of maps, or maps of another size.
        """

    def _refuse(self, maps: Sequence[Map], count: int) -> None:
        shapes = {anomaly_map.shape for anomaly_map in maps}
        if len(maps) != count or shapes != {(self.size, self.size)}:
            raise ValueError(f"{len(maps)} maps of {sorted(shapes)}; expected {count} of {self.size}×{self.size}")


def _mask_of(mask: Mask, size: tuple[int, int]) -> Mask:
    """Interpolated while growing, a mark of one pixel would fall below one half everywhere; so it grows by nearest pixels."""
    shrunk = resize_mask(mask, (min(size[0], mask.shape[0]), min(size[1], mask.shape[1])))
    return resize_mask_nearest(shrunk, size)


@dataclass(frozen=True)
class Stretch(Aspect):
    """One square, whatever the shape."""

    def images(self, image: Image) -> list[Image]:
        """By area where it shrinks, bilinearly where it grows."""
        return [resize_image(image, (self.size, self.size))]

    def masks(self, mask: Mask) -> list[Mask]:
        """A pixel that shrinks is marked where at least half of what it stands for is; one that grows stays what it is."""
        return [_mask_of(mask, (self.size, self.size))]

    def whole(self, maps: Sequence[Map], size: tuple[int, int]) -> Map:
        """Bilinearly."""
        self._refuse(maps, 1)
        return resize_map(maps[0], size)


@dataclass(frozen=True)
class Pad(Aspect):
    """One square that holds the picture with its aspect, in the middle; its border is repeated outwards."""

    def images(self, image: Image) -> list[Image]:
        """By area where it shrinks, bilinearly where it grows."""
        box = self.box(image.shape[:2])
        inner = resize_image(image, box[2:])
        return [np.asarray(cv2.copyMakeBorder(inner, *self._rim(box), cv2.BORDER_REPLICATE), np.uint8)]

    def masks(self, mask: Mask) -> list[Mask]:
        """A pixel that shrinks is marked where at least half of what it stands for is; one that grows stays what it is."""
        top, left, height, width = self.box(mask.shape)
        square = np.zeros((self.size, self.size), np.bool_)
        square[top : top + height, left : left + width] = _mask_of(mask, (height, width))
        return [square]

    def whole(self, maps: Sequence[Map], size: tuple[int, int]) -> Map:
        """The picture's part of the map, bilinearly."""
        self._refuse(maps, 1)
        top, left, height, width = self.box(size)
        return resize_map(np.ascontiguousarray(maps[0][top : top + height, left : left + width]), size)

    def box(self, size: tuple[int, ...]) -> Box:
        """Where the picture lies in the square."""
        longer = max(size)
        height, width = (max(1, round(side * self.size / longer)) for side in size)
        return (self.size - height) // 2, (self.size - width) // 2, height, width

    def _rim(self, box: Box) -> tuple[int, int, int, int]:
        top, left, height, width = box
        return top, self.size - top - height, left, self.size - left - width


@dataclass(frozen=True)
class Tile(Aspect):
    """Squares cut out at native resolution, row by row; neighbours share `overlap` pixels or, the last ones of a row, more.

    Args:
        overlap: pixels that neighbours share at least, below `size`. Where squares overlap, the map is their mean, each weighted
            by its distance from its own border, since a network sees least there.
    """

    overlap: int = 0

    def images(self, image: Image) -> list[Image]:
        """Cut out; where the picture is smaller than a tile, its border is repeated."""
        return [np.ascontiguousarray(tile) for tile in self._cut(self._grown(image, cv2.BORDER_REPLICATE), image.shape[:2])]

    def masks(self, mask: Mask) -> list[Mask]:
        """Cut out."""
        grown = self._grown(mask.astype(np.uint8), cv2.BORDER_CONSTANT)
        return [tile.astype(np.bool_) for tile in self._cut(grown, mask.shape)]

    def whole(self, maps: Sequence[Map], size: tuple[int, int]) -> Map:
        """The weighted mean of the tiles at every pixel."""
        corners = self.corners(size)
        self._refuse(maps, len(corners))
        weight = self._weight()
        shape = (max(size[0], self.size), max(size[1], self.size))
        total, weights = np.zeros(shape, np.float64), np.zeros(shape, np.float64)
        for anomaly_map, (top, left) in zip(maps, corners, strict=True):
            place = np.s_[top : top + self.size, left : left + self.size]
            total[place] += weight * anomaly_map
            weights[place] += weight
        return (total / weights)[: size[0], : size[1]].astype(np.float32)

    def corners(self, size: tuple[int, ...]) -> list[tuple[int, int]]:
        """(top, left) of every tile of a picture of (H, W)."""
        return [(top, left) for top in self._starts(size[0]) for left in self._starts(size[1])]

    def _starts(self, side: int) -> list[int]:
        last = max(side - self.size, 0)
        return [*range(0, last, self.size - self.overlap), last]

    def _cut(self, grown: NDArray[Any], size: tuple[int, ...]) -> list[NDArray[Any]]:
        return [grown[top : top + self.size, left : left + self.size] for top, left in self.corners(size)]

    def _grown(self, pixels: NDArray[Any], border: int) -> NDArray[Any]:
        bottom, right = (max(self.size - side, 0) for side in pixels.shape[:2])
        return pixels if not (bottom or right) else np.asarray(cv2.copyMakeBorder(pixels, 0, bottom, 0, right, border))

    def _weight(self) -> NDArray[np.float64]:
        ramp = np.minimum(np.arange(1, self.size + 1), np.arange(self.size, 0, -1)).astype(np.float64)
        return np.outer(ramp, ramp)
