"""Make docs/images/masks.png, four masks of every family, and docs/images/foregrounds.png, what `auto` finds.

python docs/make.py masks
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import skimage.data

from flawsmith.appearance.surfaces import surface
from flawsmith.core.arrays import Image, Mask
from flawsmith.core.files import write_bytes
from flawsmith.core.seeding import Seed
from flawsmith.masks.families import FAMILIES, MaskFamily, find_families
from flawsmith.masks.foreground import foreground_mask, parse_rule
from flawsmith.masks.shapes import draw_mask

IMAGES = Path(__file__).parent / "images"
SEED = Seed(0, ("docs", "masks"))
CANVAS = 512
TILE = 84
SIDE = 112
GAP = 4
PER_FAMILY = 4
COLUMNS = 3
TITLE = 18
WHITE, GREY, INK = 255, 225, 60
SURFACES = ("brick", "grass", "gravel", "weave", "brushed_metal", "machined_part")


def main() -> None:
    write_picture(IMAGES / "masks.png", families())
    write_picture(IMAGES / "foregrounds.png", foregrounds())


def write_picture(path: Path, image: Image) -> None:
    write_bytes(path, cv2.imencode(".png", image[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
    print(path)


def families() -> Image:
    """One row for each kind of shape: large, medium, small; the three that have no such sizes are last."""
    sized = [family for family in FAMILIES if family.size in ("large", "medium", "small")]
    rest = [family for family in FAMILIES if family not in sized]
    strips = [strip_of(family) for family in (*sized, *rest)]
    rows = [np.concatenate(strips[first : first + COLUMNS], axis=1) for first in range(0, len(strips), COLUMNS)]
    return coloured(np.concatenate(rows))


def strip_of(family: MaskFamily) -> Image:
    """Some masks of a family under its name, grey."""
    part = surface("machined_part", SEED, (CANVAS, CANVAS)).foreground if family.shape == "foreground" else None
    tiles = []
    for number in range(PER_FAMILY):
        found = draw_mask(find_families(family.name), (CANVAS, CANVAS), SEED.numpy(family.name, number), foreground=part)
        assert found is not None
        tiles.append(tile_of(found.mask))
    strip = np.concatenate(tiles, axis=1)
    return np.concatenate([title(family.name, strip.shape[1]), strip])


def tile_of(mask: Mask) -> Image:
    """Black on white, reduced by area, in a grey frame."""
    small = cv2.resize(np.where(mask, 0, WHITE).astype(np.uint8), (TILE, TILE), interpolation=cv2.INTER_AREA)
    return np.pad(np.pad(small, 1, constant_values=GREY), GAP, constant_values=WHITE)


def title(text: str, width: int) -> Image:
    bar = np.full((TITLE, width), WHITE, np.uint8)
    cv2.putText(bar, text, (GAP, TITLE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
    return bar


def coloured(grey: Image) -> Image:
    return np.repeat(grey[:, :, None], 3, axis=2)


def foregrounds() -> Image:
    """Above the picture, below it what `auto` takes for the object: the rest is darkened."""
    pictures = [picture_of(name) for name in SURFACES]
    columns = []
    for picture in pictures:
        mask = foreground_mask(parse_rule("auto"), picture, "docs/train/good/0")
        assert mask is not None
        shown = np.where(mask[:, :, None], picture, picture // 4)
        columns.append(np.concatenate([framed(picture), framed(shown)]))
    return np.concatenate(columns, axis=1)


def framed(picture: Image) -> Image:
    return np.pad(picture, ((3, 3), (3, 3), (0, 0)), constant_values=WHITE)


def picture_of(name: str) -> Image:
    if hasattr(skimage.data, name):
        return coloured(getattr(skimage.data, name)()[:SIDE, :SIDE])
    return surface(name, SEED, (SIDE, SIDE)).image


if __name__ == "__main__":
    main()
