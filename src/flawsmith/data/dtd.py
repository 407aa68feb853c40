"""The Describable Textures Dataset: a source of textures, never a data set of parts.

`dtd-r1.0.1.tar.gz` (Oxford VGG; Cimpoi et al., Describing Textures in the Wild, CVPR 2014) holds
`images/<class>/<class>_NNNN.jpg`, 47 classes of 120 photographs, and `labels/`, which nothing here reads.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

_NAMES = """
banded blotchy braided bubbly bumpy chequered cobwebbed cracked crosshatched crystalline dotted fibrous flecked freckled
frilly gauzy grid grooved honeycombed interlaced knitted lacelike lined marbled matted meshed paisley perforated pitted
pleated polka-dotted porous potholed scaly smeared spiralled sprinkled stained stratified striped studded swirly veined
waffled woven wrinkled zigzagged
"""
CLASSES = frozenset(_NAMES.split())
PER_CLASS = 120
COUNT = len(CLASSES) * PER_CLASS
LEAST_CLASSES = 5
"""So many folders of these names, and hardly another, make a folder DTD, whole or in part."""


def is_dtd(folders: Collection[str]) -> bool:
    """Whether the names of the folders in one place are those of DTD's classes: at least 5 of them, and nine of ten of all."""
    mine = sum(name in CLASSES for name in folders)
    return mine >= LEAST_CLASSES and mine >= 0.9 * len(folders)


def dtd_images(folder: Path) -> Path | None:
    """The folder of classes, where `folder` is DTD's root or that folder itself; None where it is another one."""
    for place in (folder / "images", folder):
        if place.is_dir() and is_dtd([inner.name for inner in place.iterdir() if inner.is_dir() and inner.name[0] != "."]):
            return place
    return None


def count_note(folder: Path, found: int) -> str | None:
    """What to tell where DTD is not complete; None where it is, or where `folder` is no DTD."""
    if found == COUNT or dtd_images(folder) is None:
        return None
    return f"W_COUNT: {folder} is DTD with {found}/{COUNT} pictures: get the rest (flawsmith data get dtd)"
