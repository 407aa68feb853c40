"""DFMGAN's results: one folder of 0_img.png, 0_mask.png and perhaps 0_good.png, … (Ldhlwh/DFMGAN, generate.py).

The folder may lie in folders per type, or per product and type.
"""

from __future__ import annotations

from collections.abc import Iterator

from flawsmith.core.samples import GOOD, UNKNOWN
from flawsmith.data.precomputed.pairing import partners, stems_of
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair, sorted_pairs
from flawsmith.data.tree import Folder, Tree

IMAGE, MASK, ORIGIN = "_img", "_mask", "_good"


class DfmganLayout:
    """Image, mask and origin side by side, told apart by how their names end."""

    name = "dfmgan"

    def fits(self, tree: Tree) -> str:
        """Some folder holds `NUMBER_img` and `NUMBER_mask`."""
        if HEADER in tree.top.others:
            return ""
        found = next((folder for _, _, folder in _homes(tree) if stems_of(folder, tree.root, MASK)), None)
        return f"{found.path or 'the folder'} holds names that end in {IMAGE} and {MASK}" if found is not None else ""

    def expects(self) -> str:
        """For messages."""
        return f"0{IMAGE}.png, 0{MASK}.png and perhaps 0{ORIGIN}.png in one folder"

    def read(self, tree: Tree) -> Listing:
        """Every folder with such names."""
        pairs: list[Pair] = []
        for product, defect, folder in _homes(tree):
            if defect == GOOD:
                continue
            images = stems_of(folder, tree.root, IMAGE)
            masks = partners(images, stems_of(folder, tree.root, MASK), "mask", tree.root).of
            found = stems_of(folder, tree.root, ORIGIN)
            origins = partners(images, found, "origin", tree.root).of if found else {}
            pairs += [Pair(product, defect, image, masks[stem], origins.get(stem)) for stem, image in images.items()]
        return Listing(tree.root, self.name, sorted_pairs(pairs), uses_real_anomalies=True)


def _homes(tree: Tree) -> Iterator[tuple[str | None, str, Folder]]:
    """(product or None, type, folder) of every folder with such names, at most two levels down."""
    for folder in tree.top.walk():
        parts = folder.path.split("/") if folder.path else []
        if len(parts) <= 2 and stems_of(folder, tree.root, IMAGE):
            product = parts[0] if len(parts) == 2 else None
            yield product, parts[-1] if parts else UNKNOWN, folder
