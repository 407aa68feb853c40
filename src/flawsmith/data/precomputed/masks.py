"""Masks of synthetic sets: looser than those of real data, because other tools save them as JPEG, grey or with a palette."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import DataError
from flawsmith.data.headers import LOSSY, Header, read_header
from flawsmith.data.reading import read_image, read_mask_values

LOSSY_MASKS = LOSSY | {"WEBP"}
TINT = 24
"""Levels by which the channels of a lossy grey mask may differ."""


def read_set_mask(path: Path, threshold: float) -> tuple[Mask, Header]:
    """A mask as bool H×W, and the header of its file.

    Lossless masks whose values are 0 and 1 count as 0 and 255. Of a mask with a palette every index but 0 is defect.

    Args:
        path: the file.
        threshold: share of full white above which a pixel is defect.

    Raises:
        DataError: E_CORRUPT, or E_MODE for 16-bit, partly transparent or coloured masks.
    """
    header = read_header(path)
    if header.mode == "P":
        return read_mask_values(path, palette=True) > 0, header
    if header.format in LOSSY_MASKS:
        return _grey(path) > threshold * 255, header
    values = read_mask_values(path)
    white = 1 if values.max(initial=0) <= 1 else 255
    return values > threshold * white, header


def _grey(path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    pixels = read_image(path)
    if int((pixels.max(axis=2) - pixels.min(axis=2)).max(initial=0)) > TINT:
        raise DataError("E_MODE", f"{path} is coloured; expected a grey mask: save it again as a grey PNG", [path])
    return np.asarray(pixels.mean(axis=2))
