"""The ten operators of DRAEM's augmenter pool, and a colour jitter for pasted patches, all on uint8 RGB.

DRAEM's pool (VitjanZ/DRAEM, data_loader.py) with the definitions of aleju/imgaug 0.4, whose Pillow-like operators equal Pillow's
own. Consecutive operators that work value by value are composed into one look-up table, and their histograms are carried through
it; those that work pixel by pixel wait until it is known which pixels are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.appearance.blending import Places, pixels_at
from flawsmith.core.arrays import Image

CornerFill = Literal["black", "reflect"]
Table = NDArray[np.uint8]
"""256×3: what each value of each channel becomes."""

Histogram = NDArray[np.float64]
"""256×3 counts."""

LEVELS = np.arange(256)
LUMA = (0.299, 0.587, 0.114)
IDENTITY = np.eye(3)
TO_LUMA = np.tile(LUMA, (3, 1))
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
BRIGHTNESS_SPACES = (
    (cv2.COLOR_RGB2YCrCb, cv2.COLOR_YCrCb2RGB, 0),
    (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB, 2),
    (cv2.COLOR_RGB2HLS, cv2.COLOR_HLS2RGB, 1),
    (cv2.COLOR_RGB2Lab, cv2.COLOR_Lab2RGB, 0),
    (cv2.COLOR_RGB2Luv, cv2.COLOR_Luv2RGB, 0),
    (cv2.COLOR_RGB2YUV, cv2.COLOR_YUV2RGB, 0),
)


class Picture:
    """A picture with changes that were not applied yet, because each works on a pixel by itself.

    Tables are composed; a change of whole colours waits beside them. So a picture is gone through as late as possible, and where
    only some of its pixels are wanted, only those are changed.
    """

    def __init__(self, image: Image) -> None:
        self._image = image
        self._changes: list[Callable[[Image], Image]] = []
        self._table: Table | None = None

    def histogram(self) -> Histogram:
        """Counts of every value, per channel, as if everything had been applied."""
        if self._changes:
            self.replace(lambda image: image)
        counts = np.stack([cv2.calcHist([self._image], [c], None, [256], [0, 256]).ravel() for c in range(3)], axis=1).astype(
            float
        )
        if self._table is None:
            return counts
        moved = [np.bincount(self._table[:, c], counts[:, c], 256) for c in range(3)]
        return np.stack(moved, axis=1)

    def map(self, table: Table) -> None:
        """Look values up in `table`, later."""
        self._table = table if self._table is None else np.take_along_axis(table, self._table.astype(np.intp), axis=0)

    def recolour(self, change: Callable[[Image], Image]) -> None:
        """Change each colour by itself, later."""
        self._changes = [*self._pending(), change]
        self._table = None

    def replace(self, change: Callable[[Image], Image]) -> None:
        """Apply what is pending, then change the picture as a whole."""
        self._image, self._changes, self._table = change(self.pixels()), [], None

    def pixels(self) -> Image:
        """The picture with everything applied, uint8 H×W×3."""
        return self._applied(self._image)

    def pixels_at(self, places: Places) -> Image:
        """Some of its pixels with everything applied, uint8 1×N×3."""
        return self._applied(pixels_at(self._image, places))

    def _pending(self) -> list[Callable[[Image], Image]]:
        return self._changes if self._table is None else [*self._changes, partial(look_up, table=self._table)]

    def _applied(self, image: Image) -> Image:
        for change in self._pending():
            image = change(image)
        return image


def look_up(image: Image, table: Table) -> Image:
    """Replace every value of every channel by the table's."""
    return np.asarray(cv2.LUT(image, np.ascontiguousarray(table[None])), np.uint8)


def augmented(
    image: Image, rng: np.random.Generator, count: int = 3, corner_fill: CornerFill = "black"
) -> tuple[Picture, tuple[str, ...]]:
    """Apply `count` distinct operators of the pool, drawn uniformly, in the order drawn.

    Returns:
        The changed picture, and the operators' names.
    """
    names = tuple(POOL[k] for k in rng.permutation(len(POOL))[:count])
    picture = Picture(image)
    for name in names:
        if name == "rotate":
            _rotate(picture, rng, corner_fill)
        else:
            OPERATORS[name](picture, rng)
    return picture, names


def _clip(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _same_for_all(values: NDArray[np.uint8]) -> Table:
    return np.repeat(values[:, None], 3, axis=1)


def gamma(picture: Picture, rng: np.random.Generator) -> None:
    """Each channel to its own power, 0.5…2."""
    picture.map(_clip(255 * (LEVELS[:, None] / 255.0) ** rng.uniform(0.5, 2.0, 3)))


def brightness(picture: Picture, rng: np.random.Generator) -> None:
    """In a colour space drawn from six, multiply the luma by 0.8…1.2 and add -30…30, in either order."""
    there, back, channel = BRIGHTNESS_SPACES[int(rng.integers(len(BRIGHTNESS_SPACES)))]
    factor, offset, multiply_first = rng.uniform(0.8, 1.2), float(rng.integers(-30, 31)), rng.random() < 0.5
    once = np.clip(LEVELS * factor if multiply_first else LEVELS + offset, 0, 255)
    table = _same_for_all(LEVELS.astype(np.uint8))
    table[:, channel] = _clip(once + offset if multiply_first else once * factor)
    picture.recolour(lambda image: _through(image, there, table, back))


def _through(image: Image, there: int, table: Table, back: int) -> Image:
    """Look values up in another colour space."""
    return np.asarray(cv2.cvtColor(look_up(np.asarray(cv2.cvtColor(image, there), np.uint8), table), back), np.uint8)


def sharpness(picture: Picture, rng: np.random.Generator) -> None:
    """Blend with a smoothed copy: 0 is smooth, 1 unchanged, 2 sharpened; the border keeps its values."""
    factor = float(rng.uniform(0, 2))
    kernel = (1 - factor) * SMOOTH
    kernel[1, 1] += factor
    picture.replace(lambda image: _keep_border(image, np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)))


def _keep_border(image: Image, changed: Image) -> Image:
    for edge in (np.s_[:1], np.s_[-1:], np.s_[:, :1], np.s_[:, -1:]):
        changed[edge] = image[edge]
    return changed


def hue_and_saturation(picture: Picture, rng: np.random.Generator) -> None:
    """Add -50…50 to the hue, on a circle of 256, and to the saturation."""
    shift, more = (int(v) for v in rng.integers(-50, 51, 2))
    table = np.stack([(LEVELS + shift) % 256, np.clip(LEVELS + more, 0, 255), LEVELS], axis=1).astype(np.uint8)
    picture.recolour(lambda image: _through(image, cv2.COLOR_RGB2HSV_FULL, table, cv2.COLOR_HSV2RGB_FULL))


def solarize(picture: Picture, rng: np.random.Generator) -> None:
    """With probability one half, invert the values from a limit of 32…128 upwards."""
    act, limit = rng.random() < 0.5, int(rng.integers(32, 129))
    if act:
        picture.map(_same_for_all(np.where(limit <= LEVELS, 255 - LEVELS, LEVELS).astype(np.uint8)))


def posterize(picture: Picture, rng: np.random.Generator) -> None:
    """Keep the top 1…8 bits."""
    mask = 256 - 2 ** (8 - int(rng.integers(1, 9)))
    picture.map(_same_for_all((LEVELS & mask).astype(np.uint8)))


def invert(picture: Picture, rng: np.random.Generator) -> None:
    """255 minus the value."""
    picture.map(_same_for_all((255 - LEVELS).astype(np.uint8)))


def autocontrast(picture: Picture, rng: np.random.Generator) -> None:
    """Cut 0…20 % of the pixels at both ends of each channel's histogram and stretch the rest to 0…255, as Pillow does."""
    picture.map(autocontrast_table(picture.histogram(), int(rng.integers(0, 21))))


def autocontrast_table(histogram: Histogram, cutoff: int) -> Table:
    """Pillow's `ImageOps.autocontrast` as a table."""
    table = _same_for_all(LEVELS.astype(np.uint8))
    for c in range(3):
        counts = histogram[:, c]
        cut = counts.sum() * cutoff // 100
        low = int(np.argmax(np.cumsum(counts) > cut))
        high = 255 - int(np.argmax(np.cumsum(counts[::-1]) > cut))
        if high > low:
            scale = 255.0 / (high - low)
            table[:, c] = np.clip((LEVELS * scale - low * scale).astype(int), 0, 255)
    return table


def equalize(picture: Picture, rng: np.random.Generator) -> None:
    """Flatten each channel's histogram, as Pillow does."""
    picture.map(equalize_table(picture.histogram()))


def equalize_table(histogram: Histogram) -> Table:
    """Pillow's `ImageOps.equalize` as a table."""
    table = _same_for_all(LEVELS.astype(np.uint8))
    for c in range(3):
        counts = histogram[:, c].astype(np.int64)
        used = np.flatnonzero(counts)
        step = int(counts.sum() - counts[used[-1]]) // 255
        if len(used) > 1 and step > 0:
            below = np.concatenate([[0], np.cumsum(counts)[:-1]])
            table[:, c] = np.clip((step // 2 + below) // step, 0, 255)
    return table


def _rotate(picture: Picture, rng: np.random.Generator, corner_fill: CornerFill) -> None:
    """Turn by -45…45 degrees, bilinear; the corners that come free are black, or mirrored."""
    angle = float(rng.uniform(-45, 45))
    border = cv2.BORDER_CONSTANT if corner_fill == "black" else cv2.BORDER_REFLECT_101

    def turned(image: Image) -> Image:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)

    picture.replace(turned)


OPERATORS: dict[str, Callable[[Picture, np.random.Generator], None]] = {
    "gamma": gamma,
    "brightness": brightness,
    "sharpness": sharpness,
    "hue_and_saturation": hue_and_saturation,
    "solarize": solarize,
    "posterize": posterize,
    "invert": invert,
    "autocontrast": autocontrast,
    "equalize": equalize,
}
POOL = (*OPERATORS, "rotate")


def colour_jitter(
    image: Image, rng: np.random.Generator, strength: float, hue: float | None = None, saturation: float | None = None
) -> Image:
    """Change brightness, contrast and saturation by factors of 1 ± `strength` and turn the hue by ± `hue`, in random order.

    Args:
        image: uint8 H×W×3.
        rng: the only source of draws.
        strength: 0 changes nothing.
        hue: share of a full turn; None: as `strength`.
        saturation: strength of its change; None: as `strength`.

    Returns:
        A changed copy, uint8 H×W×3.
    """
    turn = strength if hue is None else hue
    spread = strength if saturation is None else saturation
    if strength == 0 and turn == 0 and spread == 0:
        return image.copy()
    draws = zip((strength, strength, spread), rng.uniform(-1, 1, 3).tolist(), strict=True)
    brightness, contrast, colour = (max(0.0, 1 + most * draw) for most, draw in draws)
    shift = round(256 * turn * rng.uniform(-1, 1))
    colourful = not is_grey(image)  # a grey picture has no saturation and no hue to change
    for step in rng.permutation(4).tolist():
        if step == 0:
            image = _scaled(image, brightness, 0.0)
        elif step == 1:
            image = _scaled(image, contrast, (1 - contrast) * _mean_luma(image))
        elif step == 2 and colourful and spread:
            image = _saturated(image, colour)
        elif step == 3 and colourful and turn:
            image = _turned_hue(image, shift)
    return image


def _mean_luma(image: Image) -> float:
    red, green, blue, _ = cv2.mean(image)
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def _saturated(image: Image, factor: float) -> Image:
    return np.asarray(cv2.transform(image, factor * IDENTITY + (1 - factor) * TO_LUMA), np.uint8)


def _turned_hue(image: Image, shift: int) -> Image:
    """Move the hue by `shift` 256ths of a full turn."""
    coloured = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    coloured[..., 0] += np.uint8(shift % 256)  # wraps, as a circle does
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def _scaled(image: Image, factor: float, offset: float) -> Image:
    return np.asarray(cv2.addWeighted(image, factor, image, 0, offset), np.uint8)


def is_grey(image: Image) -> bool:
    """Whether the three channels are equal; a sparse look answers first for pictures in colour."""
    sparse = image[::16, ::16]
    if (sparse[..., 0] != sparse[..., 1]).any():
        return False
    red, green, blue = cv2.split(image)
    return bool(np.array_equal(red, green) and np.array_equal(red, blue))


def to_grey(image: Image) -> Image:
    """Luma in three equal channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
