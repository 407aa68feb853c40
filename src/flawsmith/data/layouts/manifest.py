"""Layout `manifest`: a list of images, as a CSV, Parquet or JSON Lines file (docs/manifest.md)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from flawsmith.core.errors import DataError
from flawsmith.data.dataset import Dataset
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.manifest.columns import RELEASE
from flawsmith.data.manifest.files import READERS, is_list
from flawsmith.data.manifest.listing import Listing, read_listing
from flawsmith.data.policies import POLICIES
from flawsmith.data.tree import Tree, split_suffix


class ManifestLayout(Layout):
    """A list of images.

    Args:
        file: the list, relative to the folder that its paths start from, or absolute; empty: the only one in that folder.
    """

    name: ClassVar[str] = "manifest"
    scans: ClassVar[bool] = False
    sought: ClassVar[bool] = False

    file: str = ""

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """Never: a folder is no list, even if one lies in it."""
        return ()

    def expects(self, tree: Tree) -> str:
        """What a list is."""
        return f"manifest wants a list ({', '.join(sorted(READERS))}) in place of a folder"

    def read(self, tree: Tree) -> Found:
        """Read the list; that its files are there is looked at, and none is opened."""
        path = self._path(tree.root)
        listing = read_listing(path, tree.root)
        dataset = _dataset(path, tree.root, listing)
        if "image_scale" in listing.about:
            from flawsmith.data.scales import scaled

            dataset = scaled(dataset, listing.about["image_scale"])
        return Found(dataset, f"the list {path.name}", listing.problems)

    def _path(self, root: Path) -> Path:
        if self.file:
            return root / self.file
        lists = [name for name in _names(root) if is_list(name)]
        if len(lists) != 1:
            told = f"{len(lists)} lists ({', '.join(lists[:5])})" if lists else "no list"
            raise DataError(
                "E_LAYOUT",
                f"{root} holds {told}; expected one ending in {', '.join(sorted(READERS))}: name it with --layout "
                f"manifest:file=NAME",
                [root],
            )
        return root / lists[0]


def _names(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if entry.is_file() and not entry.name.startswith("."))


def _dataset(path: Path, root: Path, listing: Listing) -> Dataset:
    about = listing.about
    synthetic = listing.samples.synthetic
    notes = [*listing.notes, *([f"{synthetic} images are synthetic"] if synthetic else [])]
    policy = about.get("default_split", "grouped")
    own = path.parent.absolute() == root.absolute()
    return Dataset(
        name=about.get("dataset", split_suffix(path.name)[0]),
        root=root,
        layout=f"manifest:file={path.name if own else path}",
        samples=listing.samples,
        licence=about.get("licence", "not stated"),
        citation=about.get("citation", ""),
        default_split=policy if policy in POLICIES else "grouped",
        notes=tuple(notes),
        pixel_truth=listing.pixel_truth,
        classes=listing.classes,
        combined=listing.combined,
        classes_released=about.get("classes_of") == RELEASE,
    )
