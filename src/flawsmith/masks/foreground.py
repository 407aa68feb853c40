"""Where the object is: estimators that need no training, and a user's own masks.

A rule is written as one word with arguments: `none`, `auto`, `otsu`, `otsu:bright`, `triangle:dark`, `threshold:100`,
`threshold:100,bright`, `corner`, `nsa:200,60`, or a folder of mask files (with a slash, as in `./masks`) named like the images.

Sources: RealNet (Otsu, triangle; cnulab/RealNet), MemSeg (threshold; TooTouch/MemSeg), NSA (background and tolerance;
hmsch/natural-synthetic-anomalies), FractalAD (corner; AIRS-CSR/FractalAD), UniADC (the 5 % rule). `auto` is ours: Otsu whose
polarity the image's border decides, and everywhere where the border shows no ground, as on a surface that fills the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter, DataError, EmptyForeground, UnknownName
from flawsmith.data.reading import read_mask_values
from flawsmith.data.resize import resize_mask
from flawsmith.masks.morphology import close, open_up

SMALLEST_SHARE = 0.05
BORDER = 4
GROUND_SHARE = 0.9
"""Least share of the border that a ground holds: textures have up to 0.86, objects on a plain ground above 0.95."""

SMOOTHING = 6
SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class ForegroundRule:
    """A rule that was read from its word.

    Args:
        name: of the estimator, or `folder`.
        arguments: what stood after the colon; for a folder its path.
    """

    name: str
    arguments: tuple[str, ...] = ()


def parse_rule(text: str) -> ForegroundRule:
    """Read a rule's word; nothing is opened.

    Raises:
        UnknownName: no such rule.
        BadParameter: its arguments do not fit.
    """
    if is_path(text):
        return ForegroundRule("folder", (text,))
    name, _, rest = text.partition(":")
    if name != "none" and name not in ESTIMATORS:
        raise UnknownName("foreground rule", text, ["none", *ESTIMATORS], "a folder of masks needs a slash, as in ./masks")
    rule = ForegroundRule(name, tuple(part.strip() for part in rest.split(",") if part.strip()))
    _check_arguments(rule)
    return rule


def is_path(text: str) -> bool:
    """Whether a parameter means a place on disk: it holds a slash or begins with a dot or a tilde."""
    return "/" in text or "\\" in text or text.startswith((".", "~"))


def _check_arguments(rule: ForegroundRule) -> None:
    numbers, words = ARGUMENTS.get(rule.name, (0, ()))
    given = rule.arguments
    try:
        [float(number) for number in given[:numbers]]
        fits = len(given) >= numbers and len(given) <= numbers + bool(words) and all(word in words for word in given[numbers:])
    except ValueError:
        fits = False
    if not fits:
        raise BadParameter(f"foreground is {rule.name}:{','.join(given)}; expected {EXPECTED.get(rule.name, rule.name)}")


def foreground_mask(rule: ForegroundRule, image: Image, sample_id: str) -> Mask | None:
    """The object's pixels in `image`: bool H×W, or None for `none`.

    An estimate under 5 % of the image counts as failed and becomes the whole image. A mask file stands for the whole picture,
    whatever its size, and is resized to the image.

    Raises:
        DataError: the folder has no mask for this sample (E_MISSING_MASK), or it cannot be read.
        EmptyForeground: the user's mask has no pixel.
    """
    if rule.name == "none":
        return None
    if rule.name == "folder":
        return _from_folder(rule.arguments[0], image.shape[:2], sample_id)
    mask = ESTIMATORS[rule.name](image, rule.arguments)
    return mask if mask.mean() >= SMALLEST_SHARE else np.ones_like(mask)


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


def _grey(image: Image) -> Grey:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY), np.uint8)


def _polarised(bright: Mask, polarity: str) -> Mask:
    """The bright or the dark class; `auto` takes the one that holds less of the border."""
    if polarity == "auto":
        polarity = "dark" if _share_of_border(bright) > 0.5 else "bright"
    return bright if polarity == "bright" else ~bright


def _share_of_border(mask: Mask) -> float:
    sides = (mask[:BORDER], mask[-BORDER:], mask[BORDER:-BORDER, :BORDER], mask[BORDER:-BORDER, -BORDER:])
    return float(sum(np.count_nonzero(side) for side in sides) / sum(side.size for side in sides))


def _bright_by_histogram(image: Image, flag: int) -> Mask:
    grey = _grey(image)
    limit, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + flag)
    return np.asarray(grey > limit)


def _by_histogram(image: Image, arguments: Sequence[str], flag: int) -> Mask:
    mask = _polarised(_bright_by_histogram(image, flag), arguments[0] if arguments else "auto")
    return open_up(close(mask, SMOOTHING), SMOOTHING)


def _auto(image: Image, arguments: Sequence[str]) -> Mask:
    bright = _bright_by_histogram(image, cv2.THRESH_OTSU)
    share = _share_of_border(bright)
    if 1 - GROUND_SHARE < share < GROUND_SHARE:
        return np.ones_like(bright)
    return open_up(close(~bright if share > 0.5 else bright, SMOOTHING), SMOOTHING)


def _otsu(image: Image, arguments: Sequence[str]) -> Mask:
    return _by_histogram(image, arguments, cv2.THRESH_OTSU)


def _triangle(image: Image, arguments: Sequence[str]) -> Mask:
    return _by_histogram(image, arguments, cv2.THRESH_TRIANGLE)


def _threshold(image: Image, arguments: Sequence[str]) -> Mask:
    bright = _grey(image) > float(arguments[0])
    return bright if "bright" in arguments[1:] else ~bright


def _corner(image: Image, arguments: Sequence[str]) -> Mask:
    """FractalAD: brighter or darker than the top left corner, judged at 256×256."""
    small = cv2.blur(cv2.resize(_grey(image), (256, 256), interpolation=cv2.INTER_LINEAR), (5, 5))
    level = float(small[:20, :20].mean())
    found = small <= level - 50 if level > 128 else small > level + 10
    return resize_mask(cv2.medianBlur(found.astype(np.uint8), 5) > 0, (image.shape[0], image.shape[1]))


def _nsa(image: Image, arguments: Sequence[str]) -> Mask:
    background, tolerance = float(arguments[0]), float(arguments[1])
    apart = np.abs(image.mean(axis=2) - background) > tolerance
    return np.asarray(cv2.medianBlur(apart.astype(np.uint8), 7) > 0)


ESTIMATORS: dict[str, Callable[[Image, Sequence[str]], Mask]] = {
    "auto": _auto,
    "otsu": _otsu,
    "triangle": _triangle,
    "threshold": _threshold,
    "corner": _corner,
    "nsa": _nsa,
}
ARGUMENTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "otsu": (0, ("auto", "bright", "dark")),
    "triangle": (0, ("auto", "bright", "dark")),
    "threshold": (1, ("bright", "dark")),
    "nsa": (2, ()),
}
EXPECTED = {
    "otsu": "otsu, otsu:bright or otsu:dark",
    "triangle": "triangle, triangle:bright or triangle:dark",
    "threshold": "threshold:LEVEL for objects darker than LEVEL, or threshold:LEVEL,bright",
    "nsa": "nsa:BACKGROUND,TOLERANCE, as in nsa:200,60",
}
