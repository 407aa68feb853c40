"""Reads shelves: the images of one folder that share product, split and defect, and the folders in which their masks lie.

A layout says what a shelf holds; how images become samples, how masks are paired and what is told of the rest is here, once.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.layouts.masks import MaskFinder, MaskHome
from flawsmith.data.problems import Problem
from flawsmith.data.reading import BINARY, FileSource, MaskEncoding
from flawsmith.data.tree import Folder, Tree, split_suffix


@dataclass(frozen=True)
class Shelf:
    """Images that share product, split and defect.

    Args:
        product, split, defect: what they are; the split is the one of their folder, and part of their ids.
        images: (key, path) of each; the key is the path inside the folder, without suffix.
        homes: where their masks may lie.
        encoding: how their masks are read.
        prefix: what comes before the key in ids, where two folders hold the same kind.
        place: the split they are put into; None: that of their folder.
    """

    product: str
    split: SplitName
    defect: str
    images: Sequence[tuple[str, str]]
    homes: Sequence[MaskHome] = ()
    encoding: MaskEncoding = BINARY
    prefix: str = ""
    place: SplitName | None = None


def images_in(folder: Folder) -> list[tuple[str, str]]:
    """(stem, path) of each image directly in a folder."""
    return [(split_suffix(name)[0], folder.join(name)) for name in folder.images]


@dataclass
class ShelfReader:
    """Turns shelves into samples, and keeps account of problems and of what was used.

    Args:
        tree: what is read.
    """

    tree: Tree
    problems: list[Problem] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._finder = MaskFinder(self.tree.root)

    def samples(self, shelf: Shelf) -> Iterator[Sample]:
        """One sample per image of a shelf, with its masks."""
        by_key: dict[str, list[str]] = defaultdict(list)
        for key, path in shelf.images:
            by_key[unicodedata.normalize("NFC", key)].append(path)
        product = unicodedata.normalize("NFC", shelf.product)
        for key, paths in by_key.items():
            self._used.update(paths)
            if len(paths) > 1:
                self._report_twins(paths)
            good = shelf.defect == GOOD
            trained = shelf.split == "train" and not good
            masks = self._finder.find(paths[0], key, shelf.homes, only_free=good, trained=trained)
            source = FileSource(self.tree.root, paths[0], shelf.defect, masks, shelf.encoding)
            name = f"{product}/{shelf.split}/{shelf.defect}/{shelf.prefix}{key}"
            yield Sample(name, product, shelf.defect, shelf.place or shelf.split, name, source)

    def _report_twins(self, images: list[str]) -> None:
        told = (
            f"{self.tree.root / images[0]} and {images[1].rpartition('/')[2]} share one stem; expected one image per stem: "
            f"remove or rename one (a mask belongs under masks/)"
        )
        self.problems.append(Problem("E_AMBIGUOUS_PAIR", told, tuple(images)))

    def all_problems(self, masks: Sequence[str]) -> tuple[Problem, ...]:
        """What was broken, with the files of mask folders that belong to no image.

        Args:
            masks: every file of the mask folders.
        """
        return (*self.problems, *self._finder.problems, *self._finder.orphans(masks))

    def unmatched(self, masks: Iterable[str]) -> tuple[str, ...]:
        """Image files that are neither an image nor a mask, nor among `masks`."""
        known = self._used | self._finder.taken | set(masks)
        return tuple(path for path in self.tree.top.all_images() if path not in known)
