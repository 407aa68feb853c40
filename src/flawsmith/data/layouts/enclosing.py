"""A root that is a part of a data set: which folder to give instead.

Read alone, such a part would lose its other side, its masks and its licence. Names of folders above the root are compared whole,
and count only where what lies beside the root bears them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from flawsmith.core.errors import DataError
from flawsmith.data.layouts.base import Layout
from flawsmith.data.layouts.folder import MASK_NAMES, FolderLayout
from flawsmith.data.layouts.folder_reader import SPLIT_NAMES
from flawsmith.data.layouts.published import MASKS, PublishedLayout
from flawsmith.data.layouts.uniadc import IMAGES, SAMPLES, list_name
from flawsmith.data.tree import Tree, scan

DEEPEST_PART = 3
"""A part lies at most so many folders below its product, as in bagel/test/good/rgb."""

PARTS = frozenset({*SPLIT_NAMES, MASKS, "Data"})
"""Folders right below a published product."""


def refuse_part_of_published(tree: Tree, layouts: Sequence[Layout]) -> None:
    """Refuse a root inside a product of a published data set, or inside the images of one of UniADC's repacks.

    Raises:
        DataError: E_LAYOUT, naming the folder to give.
    """
    real = tree.root.resolve()
    for whole, what in (*_products(real, layouts), *_repacks(real, layouts)):
        raise DataError(
            "E_LAYOUT",
            f"{tree.root} is a part of {what}, whose splits and masks belong together; expected the whole: give {whole} or what "
            f"holds it, or insist with --layout folder",
            [tree.root],
        )


def _products(real: Path, layouts: Sequence[Layout]) -> Iterator[tuple[Path, str]]:
    published = [layout for layout in layouts if isinstance(layout, PublishedLayout)]
    part = real
    for whole in list(real.parents)[:DEEPEST_PART]:
        named = [layout for layout in published if whole.name in layout.sheet.defects] if part.name in PARTS else []
        above = scan(whole) if named else None
        for layout in named:
            if above is not None and layout.fits(above):
                yield whole, f"{whole.name}, a product of {layout.sheet.title}"
        part = whole


def _repacks(real: Path, layouts: Sequence[Layout]) -> Iterator[tuple[Path, str]]:
    for images in (real, *list(real.parents)[:DEEPEST_PART]):
        whole = images.parent
        if images.name == IMAGES and any(list_name(path.name) for path in (whole / SAMPLES).glob("*.jsonl")):
            above = scan(whole)
            yield from ((whole, f"{layout.name}, listed in {whole / SAMPLES}") for layout in layouts if layout.fits(above))


def refuse_part_of_folder(tree: Tree, layout: FolderLayout) -> None:
    """Refuse a root called `train`, `test`, … that would be read as a product, where another side or the masks lie beside it.

    Raises:
        DataError: E_LAYOUT, naming the folder to give.
    """
    real = tree.root.resolve()
    own = any(folder is tree.top for reading in layout.readings(tree) for _, folder, _ in reading.products)
    if not own or real.name.lower() not in SPLIT_NAMES:
        return
    kin = {*SPLIT_NAMES, *MASK_NAMES} - {real.name.lower()}
    beside = sorted(path.name for path in real.parent.iterdir() if path.name.lower() in kin and path.is_dir())
    if beside:
        raise DataError(
            "E_LAYOUT",
            f"{tree.root} is one side of a data set, beside {', '.join(beside)}; expected the whole: give {real.parent}, "
            f"or insist with --layout folder",
            [tree.root],
        )
