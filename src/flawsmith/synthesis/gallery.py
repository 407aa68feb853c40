"""A contact sheet: normal | anomaly | mask | difference, one row per anomaly, as one picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.requests import Anomaly
from flawsmith.data.resize import resize_image
from flawsmith.masks.boxes import box_of

TILE = 160
GAP = 6
CAPTION = 18
TITLES = ("normal", "anomaly", "mask", "difference")
PAPER, INK = 255, 40
SMALL = 0.4
"""A defect is enlarged until it spans this share of the tile."""

MOST_ENLARGED = 4
FAINTEST_PEAK = 32
"""Levels of difference that are drawn in full brightness where nothing differs more."""


def contact_sheet(
    anomalies: Iterable[Anomaly], tile: int = TILE, columns: int | None = None, captions: Iterable[str] | None = None
) -> Image:
    """Draw anomalies beside their normals, masks and differences.

    Args:
        anomalies: at least one; only one of them is held at a time.
        tile: side of each small picture, pixels.
        columns: anomalies side by side; None: one up to four anomalies, else two.
        captions: what to write under each; None: its defect.

    Returns:
        uint8 H×W×3.
    """
    if captions is None:
        strips = [_strip(anomaly, tile, anomaly.defect) for anomaly in anomalies]
    else:
        strips = [_strip(anomaly, tile, caption) for anomaly, caption in zip(anomalies, captions, strict=True)]
    columns = columns or (1 if len(strips) <= 4 else 2)
    blank = np.full_like(strips[0], PAPER)
    strips += [blank] * (-len(strips) % columns)
    rows = [_beside(strips[k : k + columns], 4 * GAP) for k in range(0, len(strips), columns)]
    sheet = np.concatenate([_beside([_titles(tile)] * columns, 4 * GAP), *rows])
    return np.pad(sheet, ((GAP, GAP), (GAP, GAP), (0, 0)), constant_values=PAPER)


def _strip(anomaly: Anomaly, tile: int, caption: str) -> Image:
    clean = anomaly.clean if anomaly.clean is not None else np.full_like(anomaly.image, PAPER)
    mask = np.repeat(anomaly.mask[:, :, None], 3, axis=2).astype(np.uint8) * 255
    window, enlarged = _window(anomaly.mask)
    pictures = (clean, anomaly.image, mask, difference_picture(clean, anomaly.image))
    tiles = _beside([_fitted(picture[window], tile) for picture in pictures], GAP)
    told = f"{caption}, enlarged x{enlarged}" if enlarged > 1 else caption
    return np.concatenate([tiles, _text(told, tiles.shape[1]), np.full((GAP, *tiles.shape[1:]), PAPER, np.uint8)])


def _window(mask: Mask) -> tuple[tuple[slice, slice], int]:
    """The part of the picture to show, and how much it is enlarged: all of it, or the surroundings of a small defect."""
    x, y, w, h = box_of(mask)
    enlarged = min(MOST_ENLARGED, int(SMALL * min(mask.shape) / max(w, h, 1)))
    if not mask.any() or enlarged <= 1:
        return (slice(None), slice(None)), 1
    spans = []
    for start, extent, side in ((y, h, mask.shape[0]), (x, w, mask.shape[1])):
        shown = side // enlarged
        first = min(max(0, start + extent // 2 - shown // 2), side - shown)
        spans.append(slice(first, first + shown))
    return (spans[0], spans[1]), enlarged


def difference_picture(clean: Image, image: Image) -> Image:
    """The largest difference over the channels as colours, dark where nothing changed; uint8 H×W×3."""
    apart = cv2.absdiff(np.ascontiguousarray(clean), image).max(axis=2).astype(np.float32)
    levels = np.rint(apart * (255 / max(FAINTEST_PEAK, float(apart.max())))).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB), np.uint8)


def _fitted(picture: Image, tile: int) -> Image:
    """The picture inside a tile, its shape kept, centred."""
    height, width = picture.shape[:2]
    scale = tile / max(height, width)
    small = resize_image(picture, (max(1, round(height * scale)), max(1, round(width * scale))))
    framed = np.full((tile, tile, 3), PAPER, np.uint8)
    top, left = (tile - small.shape[0]) // 2, (tile - small.shape[1]) // 2
    framed[top : top + small.shape[0], left : left + small.shape[1]] = small
    return framed


def _beside(pictures: Sequence[Image], gap: int) -> Image:
    between = np.full((pictures[0].shape[0], gap, 3), PAPER, np.uint8)
    parts = [part for picture in pictures for part in (between, picture)]
    return np.concatenate(parts[1:], axis=1)


def _titles(tile: int) -> Image:
    return _beside([_text(title, tile) for title in TITLES], GAP)


def _text(text: str, width: int) -> Image:
    """One line of text; what the built-in letters lack becomes a question mark."""
    line = np.full((CAPTION, width, 3), PAPER, np.uint8)
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(line, plain, (2, CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (INK, INK, INK), 1, cv2.LINE_AA)
    return line
