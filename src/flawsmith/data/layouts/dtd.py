"""DTD, recognised so that nobody takes textures for parts: it is read by no command but as `textures=`."""

from __future__ import annotations

from typing import ClassVar

from flawsmith.core.errors import DataError
from flawsmith.data.dtd import COUNT, is_dtd
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.tree import Tree


class DtdLayout(Layout):
    """Says what the folder is, and how it is used."""

    name: ClassVar[str] = "dtd"
    known: ClassVar[bool] = True

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """Where the folders are named as DTD's classes."""
        places = [place for place in (tree.top.folders.get("images"), tree.top) if place is not None and is_dtd(place.folders)]
        return (f"{len(places[0].folders)} folders with the names of DTD's classes",) if places else ()

    def expects(self, tree: Tree) -> str:
        """What DTD looks like."""
        return "dtd expects images/banded … images/zigzagged, which are textures and no parts"

    def read(self, tree: Tree) -> Found:
        """Refuse, always.

        Raises:
            DataError: E_LAYOUT; the message says how to use the folder.
        """
        told = f"with {count}/{COUNT} pictures" if (count := sum(1 for _ in tree.top.all_images())) != COUNT else "whole"
        shown = tree.root if tree.root.is_absolute() or str(tree.root).startswith(".") else f"./{tree.root}"
        raise DataError(
            "E_LAYOUT",
            f"{tree.root} is DTD, {told}: a source of textures, not pictures of parts; expected beside your own images: "
            f"flawsmith synth DIR --synth draem --set draem.textures={shown} -n 100 --out runs/synthetic",
            [tree.root],
        )
