"""Real defects cut out of photographs with some of their surroundings, and changed alike in picture and mask.

UniADC (cnulab/UniADC), section 3.3; original code: utils/helper.py (`get_connect_areas`) and utils/mask.py (`FewShotMaskGen`).
Departs in three places: masks are resized as everywhere here, a pixel being True where at least half of what it stands for is
(the original's bicubic masks grow); a turned crop gets a larger canvas, so that no corner of the defect is lost; the reference
canvas comes with a mask of what is known in it, because black is a colour.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.appearance.picture_cache import CACHE
from flawsmith.core.arrays import Image, Mask, freeze
from flawsmith.core.errors import DataError
from flawsmith.core.samples import Sample
from flawsmith.data.resize import resize_image, resize_mask
from flawsmith.masks.boxes import Box, box_of, inside

CONTEXT = 0.25
"""Share of a defect's box that is cut out around it, on every side."""

LEAST_AREA = 1 / 1024
"""Share of the picture that a piece of a defect must cover: 256 pixels at 512×512."""

KEPT = 16
"""Kinds at a size whose crops are kept; those longest unused make room."""

Fit = Literal["stretch", "shape"]
"""How a photograph comes to the size of another: as a whole, or at its own shape and with as many pixels."""

Change = Literal["none", "mirror", "flip", "turn"]
CHANGES: tuple[Change, ...] = ("none", "mirror", "flip", "turn")
LARGEST_TURN = 90


@dataclass(frozen=True, eq=False)
class DefectCrop:
    """One piece of a real defect with its surroundings.

    Args:
        image: uint8 h×w×3, read-only.
        mask: bool h×w, read-only; neighbouring pieces of the same kind are in it too.
        place: where it lies in its photograph, at the size that it was cut out at.
        area: pixels of the piece itself.
        defect: its kind.
        sample_id: of the photograph.
        piece: its number among the photograph's pieces of this kind, the small ones counted.
    """

    image: Image
    mask: Mask
    place: Box
    area: int
    defect: str
    sample_id: str
    piece: int


@dataclass(frozen=True, eq=False)
class _Kind:
    """The crops of one kind of defect, and the pixels of all of its pieces."""

    crops: tuple[DefectCrop, ...]
    areas: tuple[int, ...]


class DefectBank:
    """The pieces of the defects on some photographs, cut out at any size.

    Args:
        anomalies: photographs with masks.
        context: share of a piece's box that is cut out around it, on every side.
        least_area: share of the picture that a piece must cover.
        fit: how photographs come to the asked size.

    Attributes:
        kinds: by the name of a defect, the photographs with it.

    Raises:
        DataError: a photograph without a mask (E_MISSING_MASK), or with an empty one (E_EMPTY_MASK).
    """

    def __init__(
        self, anomalies: Sequence[Sample], context: float = CONTEXT, least_area: float = LEAST_AREA, fit: Fit = "stretch"
    ) -> None:
        self.anomalies, self.context, self.least_area, self.fit = tuple(anomalies), context, least_area, fit
        self._held: OrderedDict[tuple[str, tuple[int, int]], _Kind] = OrderedDict()
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.anomalies:
            for defect in _kinds_on(sample):
                found[defect].append(sample)
        self.kinds = {defect: tuple(samples) for defect, samples in sorted(found.items())}

    def of_kind(self, defect: str, size: tuple[int, int]) -> tuple[DefectCrop, ...]:
        """The crops of one kind of defect for pictures of `size` = (H, W).

        Raises:
            DataError: no piece of it is large enough; tells the areas (E_FEW).
        """
        kind = self._found(defect, size)
        if not kind.crops:
            raise self._too_small(defect, kind.areas, size)
        return kind.crops

    def of_drawn_kind(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[DefectCrop, ...]:
        """The crops of a kind drawn uniformly from those with a piece that is large enough.

        Raises:
            DataError: there is none; tells the areas (E_FEW).
        """
        areas: list[int] = []
        kinds = tuple(self.kinds)
        for k in rng.permutation(len(kinds)).tolist():
            kind = self._found(kinds[k], size)
            if kind.crops:
                return kind.crops
            areas += kind.areas
        raise self._too_small("a defect", areas, size)

    def _found(self, defect: str, size: tuple[int, int]) -> _Kind:
        key = defect, size
        if key not in self._held:
            self._held[key] = self._cut_out(defect, size)
            if len(self._held) > KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(key)
        return self._held[key]

    def _cut_out(self, defect: str, size: tuple[int, int]) -> _Kind:
        crops: list[DefectCrop] = []
        areas: list[int] = []
        for sample in self.kinds.get(defect, ()):
            pieces, seen = crops_of(sample, defect, self._own_size(sample, size), self.context, self._least(size))
            crops += pieces
            areas += seen
        return _Kind(tuple(crops), tuple(areas))

    def _least(self, size: tuple[int, int]) -> float:
        return self.least_area * size[0] * size[1]

    def _too_small(self, what: str, areas: Sequence[int], size: tuple[int, int]) -> DataError:
        told = ", ".join(map(str, sorted(areas, reverse=True)[:10])) + (", …" if len(areas) > 10 else "")
        return DataError(
            "E_FEW",
            f"no piece of {what} covers {self._least(size):.0f} pixels at {size[1]}×{size[0]} (there are pieces of {told or 0} "
            f"pixels); expected larger ones: lower least_area, or use a larger size",
            [sample.source.location for sample in self.anomalies],
        )

    def _own_size(self, sample: Sample, size: tuple[int, int]) -> tuple[int, int]:
        if self.fit == "stretch":
            return size
        height, width = sample.source.size()
        scale = (size[0] * size[1] / (height * width)) ** 0.5
        return max(1, round(height * scale)), max(1, round(width * scale))


def _kinds_on(sample: Sample) -> list[str]:
    """The kinds of defects that a photograph shows.

    Raises:
        DataError: it has no mask (E_MISSING_MASK), or an empty one (E_EMPTY_MASK).
    """
    place = sample.source.location
    if not sample.has_mask:
        raise DataError(
            "E_MISSING_MASK",
            f"{place} has no mask; expected one for every real anomaly that is pasted: add it, or leave the photograph out",
            [place],
        )
    kinds = sorted({region.defect for region in sample.source.regions() if region.mask.any()})
    if not kinds:
        raise DataError(
            "E_EMPTY_MASK",
            f"the mask of {place} is empty; expected the defect's pixels: mend it or leave the photograph out",
            [place],
        )
    return kinds


def crops_of(
    sample: Sample, defect: str, size: tuple[int, int], context: float = CONTEXT, least: float = 0.0
) -> tuple[list[DefectCrop], list[int]]:
    """The 8-connected pieces of a kind of defect on a photograph, cut out with their context after resizing to `size` = (H, W).

    Returns:
        The crops of pieces of at least `least` pixels, and the pixels of every piece.
    """
    source = sample.source
    whole = CACHE.get((id(source), "reference"), source.image, owner=source)
    bits = CACHE.get((id(source), "reference", defect), lambda: _bits_of(sample, defect), owner=source)
    image, mask = resize_image(whole, size), resize_mask(bits.view(np.bool_), size)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    pieces = stats[1:].tolist()
    crops = [
        _crop(image, mask, _with_context((x, y, w, h), context, size), area, defect, sample.id, number)
        for number, (x, y, w, h, area) in enumerate(pieces)
        if area >= least
    ]
    return crops, [piece[-1] for piece in pieces]


def _crop(image: Image, mask: Mask, place: Box, area: int, defect: str, sample_id: str, piece: int) -> DefectCrop:
    pixels, where = freeze(image[inside(place)].copy()), freeze(mask[inside(place)].copy())
    return DefectCrop(pixels, where, place, area, defect, sample_id, piece)


def _bits_of(sample: Sample, defect: str) -> NDArray[np.uint8]:
    """The union of the regions of one kind, as zeros and ones."""
    union = np.zeros(sample.source.size(), bool)
    for region in sample.source.regions():
        if region.defect == defect:
            union |= region.mask
    return union.view(np.uint8)


def _with_context(box: Box, context: float, size: tuple[int, int]) -> Box:
    x, y, w, h = box
    left, top = int(max(x - context * w, 0)), int(max(y - context * h, 0))
    right, bottom = int(min(x + w + context * w, size[1])), int(min(y + h + context * h, size[0]))
    return left, top, right - left, bottom - top


# --- changing a crop


@dataclass(frozen=True)
class Augmentation:
    """How a crop and its mask are changed: transposed or not, then one change, then scaled.

    Args:
        transposed: rows and columns exchanged.
        change: left-right mirror, up-down flip, turn about the centre, or none.
        degrees: of the turn, counter-clockwise.
        scale: 1 keeps the size.
    """

    transposed: bool = False
    change: Change = "none"
    degrees: int = 0
    scale: float = 1.0


def draw_augmentation(rng: np.random.Generator, scale: tuple[float, float] = (1.0, 1.0)) -> Augmentation:
    """Transposed in half of the draws, one of the four changes, a turn by 0…90 whole degrees, a scale from the range."""
    coin, share = rng.random(2).tolist()
    change = CHANGES[int(rng.integers(len(CHANGES)))]
    degrees = int(rng.integers(LARGEST_TURN + 1))
    return Augmentation(coin < 0.5, change, degrees if change == "turn" else 0, scale[0] + (scale[1] - scale[0]) * share)


class Patch(NamedTuple):
    """A crop ready to paste.

    Args:
        image: uint8 h×w×3, read-only where it is the crop's own; mirrored where a turn left it free.
        mask: bool h×w, the defect.
        known: bool h×w, what comes from the photograph.
    """

    image: Image
    mask: Mask
    known: Mask

    def part(self, box: Box) -> Patch:
        """What is inside a box."""
        return Patch(self.image[inside(box)].copy(), self.mask[inside(box)].copy(), self.known[inside(box)].copy())


def augmented(crop: DefectCrop, how: Augmentation, expand: bool = True) -> Patch:
    """The crop's picture and mask, changed alike: flips keep every pixel, turns and scales interpolate the picture.

    Args:
        crop: stays as it is.
        how: to change it.
        expand: a turn gets as large a canvas as it needs; False: the canvas stays and corners are lost, as in the original.
    """
    image, mask = crop.image, crop.mask
    if how.transposed:
        image, mask = image.transpose(1, 0, 2), mask.T
    if how.change in ("mirror", "flip"):
        axis = 1 if how.change == "mirror" else 0
        image, mask = np.flip(image, axis), np.flip(mask, axis)
    patch = Patch(np.ascontiguousarray(image), np.ascontiguousarray(mask), np.ones(mask.shape, bool))
    return patch if how.degrees == 0 and how.scale == 1 else _warped(patch, how.degrees, how.scale, expand)


def _warped(patch: Patch, degrees: float, scale: float, expand: bool) -> Patch:
    height, width = patch.mask.shape
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, scale)
    cos, sin = np.abs(matrix[0, :2])
    turned = (width * cos + height * sin, width * sin + height * cos) if expand else (width * scale, height * scale)
    size = (max(1, int(np.ceil(turned[0] - 1e-6))), max(1, int(np.ceil(turned[1] - 1e-6))))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    picture = cv2.warpAffine(patch.image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    told = patch.known.view(np.uint8) + patch.mask.view(np.uint8)
    told = np.asarray(cv2.warpAffine(told, matrix, size, flags=cv2.INTER_NEAREST), np.uint8)
    return Patch(np.asarray(picture, np.uint8), told == 2, told > 0)


def trimmed(patch: Patch, size: tuple[int, int]) -> Patch | None:
    """The patch if it fits into (H, W), without its surroundings if it does not, None where its defect is too large or empty."""
    if not patch.mask.any():
        return None
    if patch.mask.shape[0] <= size[0] and patch.mask.shape[1] <= size[1]:
        return patch
    box = box_of(patch.mask)
    return None if box[3] > size[0] or box[2] > size[1] else patch.part(box)


def reference_canvas(pasted: Iterable[tuple[Patch, Box]], shape: Sequence[int]) -> tuple[Image, Mask]:
    """Where and how the pasted crops looked with all of their surroundings: uint8 H×W×3, and bool H×W where it is known.

    What generative repainting is compared with (UniADC, section 3.3): the surroundings tell whether a repainted picture suits.
    """
    canvas, known = np.zeros((*shape[:2], 3), np.uint8), np.zeros(shape[:2], bool)
    for patch, box in pasted:
        cv2.copyTo(patch.image, patch.known.view(np.uint8), canvas[inside(box)])  # writes into the canvas
        known[inside(box)] |= patch.known
    return canvas, known


def ring(mask: NDArray[np.bool_], width: int) -> Mask:
    """The pixels up to `width` pixels away from a mask, without it."""
    grown = cv2.dilate(mask.view(np.uint8), np.ones((2 * width + 1, 2 * width + 1), np.uint8))
    return np.asarray(grown, np.uint8).view(np.bool_) & ~mask
