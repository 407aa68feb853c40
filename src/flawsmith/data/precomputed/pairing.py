"""Which mask, and which origin, belongs to which image: by name. By position only where no name agrees, and never silently.

The loaders of ASBench sort both folders and zip them, so that one missing file shifts every later pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.errors import DataError
from flawsmith.data.tree import IMAGE_SUFFIXES, Folder, split_suffix

SHOWN = 3
"""Pairs that a note shows, and names that an error shows."""


@dataclass(frozen=True)
class Partners:
    """What belongs to the images of one folder.

    Args:
        of: stem of the image → path of its partner.
        note: how they were paired, where that must be said; else empty.
    """

    of: Mapping[str, str]
    note: str = ""


def stems_of(folder: Folder, root: Path, ending: str = "") -> dict[str, str]:
    """Stem → path of the images of one folder whose stem ends with `ending`, which is cut off, in natural order.

    Raises:
        DataError: two files have one stem (E_PAIRS).
    """
    found: dict[str, str] = {}
    for name in folder.images:
        stem = split_suffix(name)[0]
        if not stem.endswith(ending) or stem == ending:
            continue
        key = stem[: len(stem) - len(ending)]
        if key in found:
            first, second = root / found[key], name
            told = f"{first} and {second} have one name but for the suffix; expected one file per name: remove one"
            raise DataError("E_PAIRS", told, [root / found[key], root / folder.join(name)])
        found[key] = folder.join(name)
    return found


def filled(folder: Folder, root: Path) -> Folder:
    """The folder itself, if it holds images.

    Raises:
        DataError: it holds none (E_PAIRS); the message says what it holds.
    """
    if folder.images:
        return folder
    there = sorted({split_suffix(name)[1] or name for name in folder.others} | {f"{name}/" for name in folder.folders})
    held = f"it holds {', '.join(there[:SHOWN])}" if there else "it is empty"
    expected = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
    told = f"{root / folder.path} holds no image ({held}); expected files ending in {expected}: save them so, or mend the path"
    raise DataError("E_PAIRS", told, [root / folder.path])


def partners(images: Mapping[str, str], others: Mapping[str, str], what: str, root: Path) -> Partners:
    """The partner of every image: `STEM` or `STEM_mask`; by position where not one name agrees and there are equally many.

    Args:
        images: stem → path, in natural order.
        others: the same of the partners.
        what: `mask` or `origin`, for messages.
        root: the set's folder, for messages.

    Raises:
        DataError: an image without a partner, a partner without an image, or numbers that differ (E_PAIRS).
    """
    found = {stem: others[name] for stem in images for name in (stem, f"{stem}_mask") if name in others}
    if not found and images and len(images) == len(others):
        return _by_position(images, others, what)
    used = set(found.values())
    bare = [path for stem, path in images.items() if stem not in found]
    left = [path for path in others.values() if path not in used]
    if bare or left:
        raise _unpaired(bare, left, len(images), len(others), what, root)
    return Partners(found)


def _by_position(images: Mapping[str, str], others: Mapping[str, str], what: str) -> Partners:
    pairs = list(zip(images.items(), others.values(), strict=True))
    shown = ", ".join(f"{image} with {other}" for (_, image), other in pairs[:SHOWN])
    note = f"no {what} is named like its image, so they were paired by position: {shown}; check that they belong together"
    return Partners({stem: other for (stem, _), other in pairs}, note)


def _unpaired(bare: Sequence[str], left: Sequence[str], images: int, others: int, what: str, root: Path) -> DataError:
    first = f"{root / bare[0]} has no {what}" if bare else f"{root / left[0]} belongs to no image"
    more = len(bare) + len(left) - 1
    told = (
        f"{first}{f' (and {more} more files)' if more else ''}; expected one {what} per image, named like it ({images} images, "
        f"{others} {what}s): add what is missing, remove what is left over"
    )
    return DataError("E_PAIRS", told, [root / path for path in (*bare, *left)])
