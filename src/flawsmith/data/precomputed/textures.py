"""SDAS (RealNet): PRODUCT/rank0_17.jpg, …, pictures without masks. They are textures for a blending method, and no pairs."""

from __future__ import annotations

from flawsmith.core.errors import DataError
from flawsmith.data.precomputed.pairs import HEADER, Listing
from flawsmith.data.tree import Tree


class SdasLayout:
    """Folders of pictures, one per product."""

    name = "sdas"

    def fits(self, tree: Tree) -> str:
        """There are pictures in folders, and nothing is called a mask."""
        names = [name.lower() for folder in tree.top.walk() for name in (*folder.folders, *folder.images)]
        if HEADER in tree.top.others or any("mask" in name for name in names):
            return ""
        return "it holds pictures, and nothing is called a mask" if tree.top.has_images else ""

    def expects(self) -> str:
        """For messages."""
        return "PRODUCT/NAME.jpg without masks, which serve as textures"

    def read(self, tree: Tree) -> Listing:
        """There is nothing to list.

        Raises:
            DataError: always (E_PAIRS): pictures without masks are no pairs; the message says what to do with them.
        """
        home = next((folder.path for folder in tree.top.walk() if folder.images), "")
        told = (
            f"{tree.root} holds pictures without masks; expected image and mask of each: blend these as textures, with --synth "
            f"memseg --set memseg.preset=realnet --set memseg.textures={tree.root / home}/"
        )
        raise DataError("E_PAIRS", told, [tree.root])
