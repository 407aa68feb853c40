"""Reads the folders that layout `folder` recognised: samples, their masks, and what matched nothing."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found
from flawsmith.data.layouts.masks import MaskHome
from flawsmith.data.layouts.shelves import Shelf, ShelfReader
from flawsmith.data.layouts.small_files import path_in, read_small
from flawsmith.data.reading import MaskEncoding
from flawsmith.data.tree import Folder, Tree

if TYPE_CHECKING:
    from flawsmith.data.layouts.folder import FolderLayout

SPLIT_NAMES: dict[str, SplitName] = {"train": "train", "validation": "val", "val": "val", "test": "test"}
CLASSES = "classes.json"

Form = Literal["split", "pool", "images", "named"]


@dataclass(frozen=True)
class Reading:
    """One way to understand the root: which folders are products, in which form."""

    products: tuple[tuple[str, Folder, Form], ...]
    why: str


@dataclass(frozen=True)
class Batch:
    """Images of one folder that share product, split and defect.

    Args:
        product, split, defect: what they are.
        folder: where they lie.
        mask_roots: mask folders of the product and of the split.
        direct: whether only the images of the folder itself count.
    """

    product: str
    split: SplitName
    defect: str
    folder: Folder
    mask_roots: tuple[Folder, ...]
    direct: bool = False


class FolderReader:
    """Reads one root under one reading."""

    def __init__(self, layout: FolderLayout, tree: Tree) -> None:
        self.layout, self.tree = layout, tree
        self.shelves = ShelfReader(tree)

    def read(self, reading: Reading) -> Found:
        """Every sample, what was broken, and what matched nothing."""
        batches = [
            batch for name, folder, form in reading.products for batch in self.layout.batches(name, folder, form, self.tree)
        ]
        homes = {name: folder.path for name, folder, _ in reading.products}
        sources = Counter((batch.product, batch.split, batch.defect) for batch in batches)
        prefixed = {key for key, count in sources.items() if count > 1}
        reserved = frozenset(batch.folder.name for batch in batches)
        samples: list[Sample] = []
        for batch in sorted(batches, key=lambda batch: batch.defect == GOOD):
            inside = batch.folder.path.removeprefix(homes[batch.product]).strip("/")
            prefix = f"{inside}/" if (batch.product, batch.split, batch.defect) in prefixed else ""
            samples.extend(self.shelves.samples(self._shelf(batch, prefix, reserved)))
        masks = [path for folder in self.layout.mask_folders(self.tree.top) for path in folder.all_images()]
        dataset = Dataset(
            unicodedata.normalize("NFC", self.tree.root.resolve().name or "data"),
            self.tree.root,
            self.layout.spelled(),
            tuple(sorted(samples, key=sort_key)),
            classes=self._declared(homes),
        )
        return Found(dataset, reading.why, self.shelves.all_problems(masks), self.shelves.unmatched(masks))

    def _shelf(self, batch: Batch, prefix: str, reserved: frozenset[str]) -> Shelf:
        images = [(key, folder.join(name)) for key, folder, name in self.layout.images_of(batch)]
        homes = self._homes(batch, reserved)
        return Shelf(batch.product, batch.split, batch.defect, images, homes, self._encoding(batch), prefix)

    def _homes(self, batch: Batch, reserved: frozenset[str]) -> list[MaskHome]:
        homes = [MaskHome(batch.folder, ("_mask", "_gt"))]
        for root in batch.mask_roots:
            at_split = next((child for name, child in root.folders.items() if SPLIT_NAMES.get(name.lower()) == batch.split), None)
            for base in (base for base in (root, at_split) if base is not None):
                if batch.folder.name in base.folders:
                    homes.append(MaskHome(base.folders[batch.folder.name]))
                homes.append(MaskHome(base, reserved=reserved))
        homes.extend(MaskHome(child) for name, child in batch.folder.folders.items() if self.layout.is_mask(name))
        return homes

    def _encoding(self, batch: Batch) -> MaskEncoding:
        if self.layout.encoding != "binary":
            return MaskEncoding.parse(self.layout.encoding)
        classes = self._classes(batch.product)
        return MaskEncoding("class_id", classes=classes) if classes else MaskEncoding.parse("binary")

    def _classes(self, product: str) -> dict[str, int]:
        own = self.tree.top.folders.get(product)
        for folder in (own, self.tree.top):
            path = path_in(self.tree.root, folder, CLASSES) if folder else None
            if path is not None:
                return _read_classes(path)
        return {}

    def _declared(self, products: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """Product → its defects in the order of their ids, where classes.json declares them."""
        tables = {unicodedata.normalize("NFC", product): self._classes(product) for product in products}
        return {product: tuple(sorted(table, key=lambda name: table[name])) for product, table in tables.items() if table}


def _read_classes(path: Path) -> dict[str, int]:
    try:
        classes = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError("E_LABEL", f"{path} is no JSON ({error}); expected {{name: id}}: mend or remove it", [path]) from error
    good = isinstance(classes, dict) and all(type(value) is int and 0 <= value <= 255 for value in classes.values())
    if not good or len(set(classes.values())) != len(classes):
        raise DataError(
            "E_LABEL", f"{path} is no table of classes; expected {{name: id}} with distinct ids 0…255: mend it", [path]
        )
    return {name: value for name, value in classes.items() if value}
