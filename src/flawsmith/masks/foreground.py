"""Where the object is: rules that need no training, and a user's own masks.

A rule is written as one word with arguments: `none`, `auto`, `otsu`, `otsu:bright`, `triangle:dark,blue,c8,o3`, `threshold:100`,
`threshold:100,bright`, `corner`, `nsa:200,60`, `grabcut`, `table:memseg`, `table:realnet,auto`, `model:FOLDER`, or a folder of
mask files (with a slash, as in `./masks`) named like the images. UniADC's rule ends every estimate: under 5 % of the picture it
counts as failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter, DataError, EmptyForeground, NeedUnmet, UnknownName
from flawsmith.data.reading import read_mask_values
from flawsmith.data.resize import resize_mask
from flawsmith.masks.estimators import (
    CHANNELS,
    POLARITIES,
    ThresholdOptions,
    by_background,
    by_corner,
    by_itself,
    by_level,
    by_otsu,
    by_triangle,
)
from flawsmith.masks.foreground_tables import AUTO, TABLES, word_for
from flawsmith.masks.grabcut import by_grabcut
from flawsmith.masks.saliency import Segmenter, open_segmenter

SMALLEST_SHARE = 0.05
LARGEST_SQUARE = 255
EVERYWHERE = "everywhere"
"""What provenance tells of a foreground that is the whole picture, because the estimate failed or found nothing else."""

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")

Estimate = Callable[[Image], Mask]


@dataclass(frozen=True)
class ForegroundRule:
    """A rule that was read from its word.

    Args:
        name: of the estimator, `none`, `folder`, `model` or `table`.
        arguments: what stood after the colon; for a folder its path.
    """

    name: str
    arguments: tuple[str, ...] = ()


def parse_rule(text: str) -> ForegroundRule:
    """Read a rule's word; nothing is opened.

    Raises:
        UnknownName: no such rule or table.
        BadParameter: its arguments do not fit.
    """
    name, colon, rest = text.partition(":")
    if name not in RULES:
        if is_path(text):
            return ForegroundRule("folder", (text,))
        raise UnknownName("foreground rule", text, list(RULES), "a folder of masks needs a slash, as in ./masks")
    if name == "model":
        return ForegroundRule("model", (rest,) if rest else ())
    arguments = tuple(part.strip() for part in rest.split(",")) if colon else ()
    try:
        RULES[name].read(arguments)
    except ValueError as error:
        raise BadParameter(f"foreground is {text}; expected {RULES[name].expected}") from error
    return ForegroundRule(name, arguments)


def is_path(text: str) -> bool:
    """Whether a parameter means a place on disk: it holds a slash or begins with a dot or a tilde."""
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def foreground_mask(
    rule: ForegroundRule, image: Image, sample_id: str, *, dataset: str = "", segmenter: Segmenter | None = None
) -> Mask | None:
    """The object's pixels in `image`: bool H×W, or None where it is everywhere by rule.

    An estimate under 5 % of the image counts as failed and becomes the whole image. A mask file stands for the whole picture,
    whatever its size, and is resized to the image.

    Args:
        rule: what `parse_rule` read.
        image: uint8 H×W×3.
        sample_id: product/split/defect/stem; a folder is searched by product and stem, a table by product.
        dataset: the data set's name, where it is known; tables have a part for each.
        segmenter: what `model` without a folder asks.

    Raises:
        DataError: the folder has no mask for this sample (E_MISSING_MASK), or it cannot be read.
        EmptyForeground: the user's mask has no pixel.
        UnknownName: the table does not know the product.
        NeedUnmet: `model` without a folder, and no segmenter.
        BadParameter: the segmenter's answer is no mask of the image's size, or its file is missing.
    """
    rule = for_product(rule, sample_id, dataset)
    if rule.name == "none":
        return None
    if rule.name == "folder":
        return _from_folder(rule.arguments[0], image.shape[:2], sample_id)
    estimate = RULES[rule.name].read(rule.arguments) if rule.name != "model" else None
    mask = _from_model(rule, image, segmenter) if estimate is None else estimate(image)
    return mask if mask.mean() >= SMALLEST_SHARE else np.ones_like(mask)


def for_product(rule: ForegroundRule, sample_id: str, dataset: str = "") -> ForegroundRule:
    """The rule itself, or the one that its table has for the sample's product.

    Raises:
        UnknownName: the table does not know the product.
    """
    if rule.name != "table":
        return rule
    word = word_for(rule.arguments[0], sample_id.partition("/")[0], dataset, otherwise_auto=AUTO in rule.arguments[1:])
    return parse_rule(word)


def _from_model(rule: ForegroundRule, image: Image, segmenter: Segmenter | None) -> Mask:
    if rule.arguments:
        segmenter = open_segmenter(rule.arguments[0])
    if segmenter is None:
        raise NeedUnmet("foreground=model", "a segmenter", "hand one to foreground_mask, or write model:FOLDER")
    mask = segmenter.segment(image)
    if mask.shape != image.shape[:2] or mask.dtype != np.bool_:
        raise BadParameter(f"the segmenter answered {mask.shape} {mask.dtype}; expected bool {image.shape[:2]}, the image's size")
    return mask


def _from_folder(folder: str, shape: Sequence[int], sample_id: str) -> Mask:
    files = _mask_files(folder)
    product, stem = sample_id.partition("/")[0], sample_id.rpartition("/")[2]
    file = files.get(f"{product}/{stem}") or files.get(stem)
    if file is None:
        raise DataError(
            "E_MISSING_MASK", f"{folder} has no mask for {sample_id}; expected a file named {stem}{SUFFIXES[0]}: add it", [folder]
        )
    values = read_mask_values(file)
    mask = resize_mask(values > values.max(initial=0) // 2, (shape[0], shape[1]))
    if not mask.any():
        raise EmptyForeground(f"{file} has no pixel of the object; expected white where the object is: mend or remove it", [file])
    return mask


@lru_cache(maxsize=16)
def _mask_files(folder: str) -> dict[str, Path]:
    """Mask files by stem where they lie in the folder itself, and by product/stem where a subfolder is named like the product."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise BadParameter(f"foreground is {folder}, which is no folder; expected a folder of masks: check the path")
    found: dict[str, Path] = {}
    for path in sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES):
        parents = path.relative_to(root).parts[:-1]
        found.update({f"{parent}/{path.stem}": path for parent in parents} if parents else {path.stem: path})
    return found


@dataclass(frozen=True)
class _Kind:
    """How a rule's arguments are read, and how they are told to whoever gets them wrong."""

    read: Callable[[tuple[str, ...]], Estimate | None]
    expected: str


def _alone(estimate: Estimate | None) -> Callable[[tuple[str, ...]], Estimate | None]:
    def read(arguments: tuple[str, ...]) -> Estimate | None:
        if arguments:
            raise ValueError(arguments)
        return estimate

    return read


def _thresholded(estimate: Callable[[Image, ThresholdOptions], Mask]) -> Callable[[tuple[str, ...]], Estimate]:
    def read(arguments: tuple[str, ...]) -> Estimate:
        options = _options(arguments)
        return lambda image: estimate(image, options)

    return read


def _options(arguments: tuple[str, ...]) -> ThresholdOptions:
    """Polarity, channel, closing and opening, each at most once, in any order."""
    fields: dict[str, Any] = {}
    for word in arguments:
        field, value = _option(word)
        if field in fields:
            raise ValueError(word)
        fields[field] = value
    return ThresholdOptions(**fields)


def _option(word: str) -> tuple[str, str | int]:
    if word in POLARITIES:
        return "polarity", word
    if word in CHANNELS:
        return "channel", word
    field = {"c": "closing", "o": "opening"}.get(word[:1])
    if field is None or not word[1:].isdecimal() or int(word[1:]) > LARGEST_SQUARE:
        raise ValueError(word)
    return field, int(word[1:])


def _level(arguments: tuple[str, ...]) -> Estimate:
    if len(arguments) not in (1, 2) or not set(arguments[1:]) <= {"bright", "dark"}:
        raise ValueError(arguments)
    level, bright = _number(arguments[0]), "bright" in arguments
    return lambda image: by_level(image, level, bright)


def _pairs(arguments: tuple[str, ...]) -> Estimate:
    numbers = [_number(argument) for argument in arguments]
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if not pairs:
        raise ValueError(arguments)
    return lambda image: by_background(image, pairs)


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 255:
        raise ValueError(text)
    return number


def _table(arguments: tuple[str, ...]) -> None:
    if not arguments or not set(arguments[1:]) <= {AUTO} or len(arguments) > 2:
        raise ValueError(arguments)
    if arguments[0] not in TABLES:
        raise UnknownName("foreground table", arguments[0], list(TABLES))


OPTIONS = "perhaps with a channel and the sides of closing and opening, as in triangle:bright,blue,c8,o3"
RULES: dict[str, _Kind] = {
    "none": _Kind(_alone(None), "none, with nothing behind it"),
    "auto": _Kind(_alone(by_itself), "auto, with nothing behind it"),
    "otsu": _Kind(_thresholded(by_otsu), f"otsu, otsu:bright or otsu:dark, {OPTIONS}"),
    "triangle": _Kind(_thresholded(by_triangle), f"triangle, triangle:bright or triangle:dark, {OPTIONS}"),
    "threshold": _Kind(_level, "threshold:LEVEL for objects darker than LEVEL (0…255), or threshold:LEVEL,bright"),
    "corner": _Kind(_alone(by_corner), "corner, with nothing behind it"),
    "nsa": _Kind(_pairs, "nsa:BACKGROUND,TOLERANCE, as in nsa:200,60, or several such pairs"),
    "grabcut": _Kind(_alone(by_grabcut), "grabcut, with nothing behind it"),
    "table": _Kind(_table, "table:memseg or table:realnet, perhaps with auto for other products, as in table:memseg,auto"),
    "model": _Kind(_alone(None), "model:FOLDER with a saliency network in it"),
}
