"""The pixels of a group of pictures as the metrics take them, read once where memory allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import DataError
from flawsmith.data.resize import resize_mask_nearest
from flawsmith.encoders.perceptual import PerceptualNet, as_bytes, signed
from flawsmith.inspection.quality.sides import Group, Picture

T = TypeVar("T")

PICTURE_BYTES, VECTOR_BYTES, SIDE_BYTES = 128 << 20, 512 << 20, 128 << 20
"""What is held at most of pictures, of LPIPS vectors, and of local moments, on each side."""

Resize = Literal["bilinear", "nearest"]


class Held(Generic[T]):
    """Values by number, made when asked for; the first ones that fit the budget are kept, and the last one.

    Args:
        make: makes one.
        count: how many there are.
        budget: bytes that may be kept.
        size: bytes of one.
    """

    def __init__(self, make: Callable[[int], T], count: int, budget: int, size: Callable[[T], int]) -> None:
        self._make, self._count, self._budget, self._size = make, count, budget, size
        self._left = budget
        self._kept: dict[int, T] = {}
        self._last: tuple[int, T] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int, /) -> T:
        if index in self._kept:
            return self._kept[index]
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        value = self._make(index)
        self._last = (index, value)
        if (size := self._size(value)) <= self._left:
            self._left -= size
            self._kept[index] = value
        return value

    def clear(self) -> None:
        """Forget what was kept."""
        self._kept.clear()
        self._last, self._left = None, self._budget


def resized(image: Image, side: int, rule: Resize = "bilinear") -> Image:
    """uint8 side×side×3, without antialias."""
    if image.shape[:2] == (side, side):
        return image
    if rule == "nearest":
        return np.array(Pillow.fromarray(image).resize((side, side), Pillow.Resampling.NEAREST), np.uint8)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def pictures_at(pictures: Sequence[Picture], side: int, rule: Resize = "bilinear") -> Held[Image]:
    """Pictures as squares."""
    return Held(lambda i: resized(pictures[i].image(), side, rule), len(pictures), PICTURE_BYTES, lambda image: image.nbytes)


def sources_at(pictures: Sequence[Picture], side: int) -> Held[Image]:
    """What the pictures were made from, as squares.

    Raises:
        DataError: a picture's source is not known (E_PAIRS).
    """
    for picture in pictures:
        if picture.source is None:
            raise DataError(
                "E_PAIRS",
                f"{picture.name} does not tell what it was made from; expected that with --pairing source: write the set with "
                "`flawsmith synth --clean`, or choose another pairing",
                [picture.name],
            )

    def read(index: int) -> Image:
        source = pictures[index].source
        assert source is not None
        return resized(source(), side)

    return Held(read, len(pictures), PICTURE_BYTES, lambda image: image.nbytes)


def vectors_of(net: PerceptualNet, images: Held[Image], *, bytes_as_is: bool = False) -> Held[NDArray[np.float32]]:
    """LPIPS vectors of pictures of one size.

    Args:
        net: the network.
        images: the pictures.
        bytes_as_is: hand over 0…255 where −1…1 is expected, as some released code does.
    """

    def make(index: int) -> NDArray[np.float32]:
        one = [images[index]]
        values = as_bytes(one) if bytes_as_is else signed(one)
        (vector,) = net.vectors(values, check_range=not bytes_as_is)
        return np.asarray(vector, np.float32)

    return Held(make, len(images), VECTOR_BYTES, lambda vector: vector.nbytes)


class Squares:
    """A group's pictures as squares, and their vectors: made once for all metrics.

    Args:
        group: whose.
        net: makes the vectors.
        side: of the squares.
    """

    def __init__(self, group: Group, net: PerceptualNet, side: int) -> None:
        self.generated, self.real = pictures_at(group.generated, side), pictures_at(group.real, side)
        self.generated_vectors, self.real_vectors = vectors_of(net, self.generated), vectors_of(net, self.real)

    def clear(self) -> None:
        """Forget what was kept."""
        for held in (self.generated, self.real):
            held.clear()
        for vectors in (self.generated_vectors, self.real_vectors):
            vectors.clear()


def regions_at(pictures: Sequence[Picture], side: int, rule: Resize = "bilinear") -> tuple[Held[Image], list[float], int]:
    """(pictures that are black outside their masks, share of each that its mask covers, number of pictures left out).

    A picture without a mask, or whose mask is empty at this size, is left out.
    """
    masks = [(picture, mask) for picture in pictures if (mask := _mask_at(picture, side)) is not None]

    def read(index: int) -> Image:
        picture, mask = masks[index]
        return np.where(mask[..., None], resized(picture.image(), side, rule), np.uint8(0))

    held = Held(read, len(masks), PICTURE_BYTES, lambda image: image.nbytes)
    return held, [float(mask.mean()) for _, mask in masks], len(pictures) - len(masks)


def _mask_at(picture: Picture, side: int) -> Mask | None:
    if picture.mask is None:
        return None
    try:
        mask = resize_mask_nearest(picture.mask(), (side, side))
    except DataError as error:
        if error.code in ("E_EMPTY_MASK", "E_NO_PIXEL_GT"):
            return None
        raise
    return mask if mask.any() else None
