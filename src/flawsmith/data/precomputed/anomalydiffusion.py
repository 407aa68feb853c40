"""AnomalyDiffusion's results: PRODUCT/TYPE/{image,mask,ori,recon,image-mask}/0.jpg, 1.jpg, … (sjtuplayer/anomalydiffusion).

`ori` is the resized normal that went in. `recon` is its way through the VAE and back, no defect-free twin of `image`, and
`image-mask` a preview; both are left aside. ASBench keeps other sets in the same form, with `ko` or `Anomaly` as the type.
"""

from __future__ import annotations

from collections.abc import Iterator

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD
from flawsmith.data.precomputed.pairing import filled, partners, stems_of
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair, sorted_pairs
from flawsmith.data.tree import Folder, Tree

IMAGE, MASK = "image", "mask"
ORIGINS = ("ori", "origin", "clean")


class AnomalyDiffusionLayout:
    """Folders per product and type, or per type alone, with `image` and `mask` in each."""

    name = "anomalydiffusion"

    def fits(self, tree: Tree) -> str:
        """Some type folder holds both `image` and `mask`."""
        if HEADER in tree.top.others:
            return ""
        found = [folder for _, _, folder in type_folders(tree.top) if MASK in folder.folders]
        return f"{found[0].path} holds the folders {IMAGE} and {MASK}" if found else ""

    def expects(self) -> str:
        """For messages."""
        return f"PRODUCT/TYPE/{IMAGE} and {MASK}, perhaps {ORIGINS[0]}"

    def read(self, tree: Tree) -> Listing:
        """Every type folder."""
        pairs: list[Pair] = []
        notes: list[str] = []
        for product, defect, folder in type_folders(tree.top):
            if defect != GOOD:
                more, told = pairs_in(folder, product, defect, tree)
                pairs += more
                notes += told
        return Listing(tree.root, self.name, sorted_pairs(pairs), uses_real_anomalies=True, notes=tuple(notes))


def type_folders(top: Folder) -> Iterator[tuple[str | None, str, Folder]]:
    """(product or None, type, folder) of every folder at depth one or two that holds a folder `image`."""
    for first in top.folders.values():
        if IMAGE in first.folders:
            yield None, first.name, first
            continue
        for second in first.folders.values():
            if IMAGE in second.folders:
                yield first.name, second.name, second


def pairs_in(folder: Folder, product: str | None, defect: str, tree: Tree) -> tuple[list[Pair], list[str]]:
    """The pairs of one type folder, and what must be said of them.

    Raises:
        DataError: `mask` is missing, a folder holds no image, or they do not pair (E_PAIRS).
    """
    if MASK not in folder.folders:
        told = f"{tree.root / folder.path} holds {IMAGE} and no {MASK}; expected both: add the masks, or blend them as textures"
        raise DataError("E_PAIRS", told, [tree.root / folder.path])
    images = stems_of(filled(folder.folders[IMAGE], tree.root), tree.root)
    masks = partners(images, stems_of(filled(folder.folders[MASK], tree.root), tree.root), "mask", tree.root)
    home = next((folder.folders[name] for name in ORIGINS if name in folder.folders), None)
    origins = partners(images, stems_of(filled(home, tree.root), tree.root), "origin", tree.root) if home else None
    pairs = [
        Pair(product, defect, image, masks.of[stem], origins.of[stem] if origins else None) for stem, image in images.items()
    ]
    return pairs, [part.note for part in (masks, origins) if part and part.note]
