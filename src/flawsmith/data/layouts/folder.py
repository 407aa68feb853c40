"""Layout `folder`: the user's own images, in folders called as people call them.

Three forms are read, and recognised by names alone:

* split: PRODUCT/train/good, PRODUCT/test/good, PRODUCT/test/DEFECT, perhaps PRODUCT/validation/good (MVTec AD);
* pool: PRODUCT/good beside PRODUCT/DEFECT…, not yet split;
* images: a folder that holds nothing but images, all of them good.

The root is the product, or holds several products in the first or second form. Masks lie under ground_truth/, masks/ or mask/.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import field_validator

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, SplitName
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.layouts.folder_reader import SPLIT_NAMES, Batch, FolderReader, Form, Reading
from flawsmith.data.reading import MaskEncoding
from flawsmith.data.tree import Folder, Tree, split_suffix

NORMAL_NAMES = ("good", "ok", "normal", "free")
MASK_NAMES = ("ground_truth", "masks", "mask")


class FolderLayout(Layout):
    """The user's own folders.

    Args:
        normal: names of the folders of good images, or their paths from the root; empty: good, ok, normal, free in any case.
        anomalous: the same for defects; empty: every other folder with images.
        masks: names of the mask folders, or their paths; empty: ground_truth, masks, mask.
        encoding: `binary` or `threshold:T`.
    """

    name: ClassVar[str] = "folder"

    normal: tuple[str, ...] = ()
    anomalous: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    encoding: str = "binary"

    @field_validator("normal", "anomalous", "masks", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        names = value.split("+") if isinstance(value, str) else value
        return tuple(str(name).strip("/") or "." for name in names)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        MaskEncoding.parse(value)
        return value

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence per possible reading."""
        return tuple(reading.why for reading in self.readings(tree))

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        names = [name for name, folder in tree.top.folders.items() if folder.has_images]
        wanted = f"one named {', '.join(self.normal)}" if self.normal else "one named good, ok, normal or free"
        seen = f"it holds images in {', '.join(names[:5])}{' …' if len(names) > 5 else ''}" if names else "it holds images only"
        return f"folder wants {wanted} ({seen}): say which holds good parts, and only those, with --layout folder:normal=NAME"

    def readings(self, tree: Tree) -> tuple[Reading, ...]:
        """Every way in which the root can be understood."""
        top = tree.top
        own = tree.root.resolve().name or "product"
        if any("/" in name or name == "." for name in (*self.normal, *self.anomalous)):
            return (Reading(((own, top, "named"),), f"the folders named by --layout {self.spelled()}"),)
        found = [Reading(((own, top, form),), self._reason(top, form)) for form in self._forms(top)]
        candidates = {name: child for name, child in top.folders.items() if not self._has_meaning(name)}
        products = [(name, child, form) for name, child in candidates.items() for form in self._forms(child) if form != "images"]
        if products:
            told = ", ".join(f"{name} ({self._reason(child, form)})" for name, child, form in products[:3])
            found.append(Reading(tuple(products), f"the root holds products: {told}{' …' if len(products) > 3 else ''}"))
        return tuple(found)

    def _forms(self, folder: Folder) -> Iterator[Form]:
        holding = {name for name, child in folder.folders.items() if child.has_images}
        if any(name.lower() in SPLIT_NAMES for name in holding):
            yield "split"
        if any(self._is_normal(name) for name in holding):
            yield "pool"
        if folder.images and not holding:
            yield "images"

    def _reason(self, folder: Folder, form: Form) -> str:
        holding = [name for name, child in folder.folders.items() if child.has_images]
        if form == "split":
            return f"{', '.join(f'{name}/' for name in holding if name.lower() in SPLIT_NAMES)} as in MVTec AD"
        if form == "pool":
            return f"{', '.join(f'{name}/' for name in holding if self._is_normal(name))} beside one folder per defect"
        return f"{len(folder.images)} images without folders, all taken as good"

    def _is_normal(self, name: str) -> bool:
        return name in self.normal if self.normal else name.lower() in NORMAL_NAMES

    def is_mask(self, name: str) -> bool:
        """Whether a folder of this name holds masks."""
        return name in self.masks if self.masks else name.lower() in MASK_NAMES

    def _has_meaning(self, name: str) -> bool:
        return self._is_normal(name) or self.is_mask(name) or name.lower() in SPLIT_NAMES

    def read(self, tree: Tree) -> Found:
        """Read the names."""
        readings = self.readings(tree)
        if not readings:
            raise DataError("E_LAYOUT", f"{tree.root} does not fit the layout folder; {self.expects(tree)}", [tree.root])
        if len(readings) > 1:
            told = "; or ".join(reading.why for reading in readings)
            raise DataError(
                "E_LAYOUT",
                f"{tree.root} can be read in {len(readings)} ways: {told}; expected one: move the folders that do not belong, or "
                f"point at the product itself",
                [tree.root],
            )
        return FolderReader(self, tree).read(readings[0])

    def batches(self, name: str, folder: Folder, form: Form, tree: Tree) -> Iterator[Batch]:
        """The folders of one product that hold its images."""
        if form == "named":
            yield from self._named_batches(name, tree)
            return
        roots = self._mask_roots(folder, tree)
        if form == "images":
            yield Batch(name, "pool", GOOD, folder, roots, direct=True)
        elif form == "pool":
            yield from self._children(name, "pool", folder, roots)
        else:
            for child in folder.folders.values():
                split = SPLIT_NAMES.get(child.name.lower())
                if split:
                    yield from self._of_split(name, split, child, (*roots, *self._mask_roots(child, tree)))

    def _of_split(self, product: str, split: SplitName, folder: Folder, roots: tuple[Folder, ...]) -> Iterator[Batch]:
        if folder.images and split != "test" and not any(self._is_normal(name) for name in folder.folders):
            yield Batch(product, split, GOOD, folder, roots, direct=True)
        yield from self._children(product, split, folder, roots)

    def _children(self, product: str, split: SplitName, folder: Folder, roots: tuple[Folder, ...]) -> Iterator[Batch]:
        for name, child in folder.folders.items():
            if self.is_mask(name) or not child.has_images:
                continue
            if self._is_normal(name):
                yield Batch(product, split, GOOD, child, roots)
            elif not self.anomalous or name in self.anomalous:
                yield Batch(product, split, unicodedata.normalize("NFC", name), child, roots)

    def _named_batches(self, product: str, tree: Tree) -> Iterator[Batch]:
        roots = self._mask_roots(tree.top, tree)
        for names, defect in ((self.normal, lambda _: GOOD), (self.anomalous, lambda folder: folder.name)):
            for name in names:
                folder = _named(tree, name)
                yield Batch(product, "pool", unicodedata.normalize("NFC", defect(folder)), folder, roots, direct=name == ".")

    def _mask_roots(self, folder: Folder, tree: Tree) -> tuple[Folder, ...]:
        inside = tuple(child for name, child in folder.folders.items() if self.is_mask(name))
        paths = tuple(_named(tree, name) for name in self.masks if "/" in name) if folder is tree.top else ()
        return (*inside, *paths)

    def images_of(self, batch: Batch) -> Iterator[tuple[str, Folder, str]]:
        """(key, folder, name) of each image of a batch; files that are masks of a neighbour are left out."""
        for folder in self._searched(batch):
            stems = {split_suffix(name)[0] for name in folder.images}
            inside = folder.path.removeprefix(batch.folder.path).strip("/")
            for name in folder.images:
                stem = split_suffix(name)[0]
                if not any(stem.endswith(ending) and stem.removesuffix(ending) in stems for ending in ("_mask", "_gt")):
                    yield f"{inside}/{stem}" if inside else stem, folder, name

    def _searched(self, batch: Batch) -> Iterator[Folder]:
        if batch.direct:
            yield batch.folder
            return
        pending = [batch.folder]
        while pending:
            folder = pending.pop(0)
            yield folder
            pending.extend(child for name, child in folder.folders.items() if not self.is_mask(name))

    def mask_folders(self, folder: Folder) -> Iterator[Folder]:
        """Every mask folder at or below `folder`."""
        for name, child in folder.folders.items():
            if self.is_mask(name) or child.path in self.masks:
                yield child
            else:
                yield from self.mask_folders(child)


def _named(tree: Tree, name: str) -> Folder:
    folder = tree.top.at(name)
    if folder is None or not folder.has_images:
        raise DataError(
            "E_LAYOUT", f"{tree.root / name} holds no image; expected the folder that --layout names: check the name", [tree.root]
        )
    return folder
