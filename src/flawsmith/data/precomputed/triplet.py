"""What ASBench's loaders are given: three folders, of images, of masks and of origins (M-3LAB/ASBench, `aug_dir`, `mask_dir`,
`origin_dir`).

They lie side by side in the set's folder and are called `image`, `mask` and `ori`, or PRODUCT, PRODUCT_mask and PRODUCT_origin,
with or without `_sort` behind, as their authors kept them.
"""

from __future__ import annotations

from collections import defaultdict

from flawsmith.core.errors import DataError
from flawsmith.core.samples import UNKNOWN
from flawsmith.data.precomputed.pairing import filled, partners, stems_of
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair, sorted_pairs
from flawsmith.data.tree import Folder, Tree, natural_key

ROLES = {
    "image": ("image", "images", "aug", "aug_dir"),
    "mask": ("mask", "masks", "mask_dir"),
    "origin": ("ori", "origin", "origin_dir"),
}
ENDINGS = {"_mask": "mask", "_origin": "origin", "_ori": "origin"}
SORTED = "_sort"


class TripletLayout:
    """Three folders side by side."""

    name = "asbench-triplet"

    def fits(self, tree: Tree) -> str:
        """There is a folder of masks beside a folder of images."""
        if HEADER in tree.top.others:
            return ""
        found = [parts for parts in _triplets(tree.top).values() if {"image", "mask"} <= parts.keys()]
        return f"{found[0]['mask'].name} lies beside {found[0]['image'].name}" if found else ""

    def expects(self) -> str:
        """For messages."""
        return "the folders image, mask and ori, or PRODUCT, PRODUCT_mask and PRODUCT_origin, side by side"

    def read(self, tree: Tree) -> Listing:
        """Every product; the folders of masks must be there, those of origins may be missing."""
        pairs: list[Pair] = []
        notes: list[str] = []
        for product, parts in sorted(_triplets(tree.top).items(), key=lambda item: natural_key(item[0])):
            for role in ("image", "mask"):
                if role not in parts:
                    there = next(iter(parts.values())).name
                    told = f"{tree.root} holds {there} and no folder of {role}s beside it; expected {self.expects()}: add it"
                    raise DataError("E_PAIRS", told, [tree.root / there])
            images = stems_of(filled(parts["image"], tree.root), tree.root)
            masks = partners(images, stems_of(filled(parts["mask"], tree.root), tree.root), "mask", tree.root)
            home = parts.get("origin")
            origins = partners(images, stems_of(filled(home, tree.root), tree.root), "origin", tree.root) if home else None
            pairs += [
                Pair(product or None, UNKNOWN, image, masks.of[stem], origins.of[stem] if origins else None)
                for stem, image in images.items()
            ]
            notes += [part.note for part in (masks, origins) if part and part.note]
        return Listing(tree.root, self.name, sorted_pairs(pairs), uses_real_anomalies=True, notes=tuple(notes))


def _triplets(top: Folder) -> dict[str, dict[str, Folder]]:
    """Product (empty where none is named) → role → folder."""
    found: dict[str, dict[str, Folder]] = defaultdict(dict)
    for folder in top.folders.values():
        if folder.images or not folder.folders:
            product, role = _told(folder.name)
            found[product].setdefault(role, folder)
    return {product: parts for product, parts in found.items() if len(parts) > 1 or any(f.images for f in parts.values())}


def _told(name: str) -> tuple[str, str]:
    """(product, role) that a folder's name tells."""
    base = name.removesuffix(SORTED)
    for role, names in ROLES.items():
        if base in names:
            return "", role
    for ending, role in ENDINGS.items():
        if base.endswith(ending):
            return base.removesuffix(ending), role
    return base, "image"
