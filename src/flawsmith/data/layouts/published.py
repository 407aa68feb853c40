"""What layouts of published data sets share: the form of MVTec AD, products and defects by name, and the counts of the release.

    HOME/PRODUCT/train/good/000.png
    HOME/PRODUCT/validation/good/000.png                 where there is one
    HOME/PRODUCT/test/good/000.png, test/DEFECT/000.png
    HOME/PRODUCT/ground_truth/DEFECT/000_mask.png

The root is HOME, one PRODUCT, or a folder that holds nothing but HOME. A tree is a data set's own where each of its products and
defects has a name of that data set; names are compared whole.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.layouts.folder_reader import SPLIT_NAMES
from flawsmith.data.layouts.masks import MaskHome
from flawsmith.data.layouts.shelves import Shelf, ShelfReader, images_in
from flawsmith.data.problems import Problem
from flawsmith.data.reading import BINARY, MaskEncoding
from flawsmith.data.tree import Folder, Tree

DEEPEST_HOME = 2
"""So many folders may lie around a data set's own, each holding nothing else."""

MASKS = "ground_truth"


@dataclass(frozen=True)
class Sheet:
    """What is known of a data set before it is opened.

    Args:
        title: its name in prose.
        counts: product → normals of train, validation and test together (`good`) and images of each defect, or those of all
            defects together (`ANY_DEFECT`) where no more is published.
        defects: product → its defects in the order of the class ids 1, 2, …
        licence, citation: for every result made from it.
        notes: what a reader of the data should know.
        combined: defects that stand for several at once.
    """

    title: str
    counts: Mapping[str, Mapping[str, int]]
    defects: Mapping[str, tuple[str, ...]]
    licence: str
    citation: str
    notes: tuple[str, ...] = ()
    combined: frozenset[str] = frozenset()


def counted(text: str) -> dict[str, dict[str, int]]:
    """Read counts, a product per line: `tile 230+33 crack 17, glue_strip 18`; the first sum is of its normals."""
    table = {}
    for line in (line.split(maxsplit=2) for line in text.strip().splitlines()):
        defects = (item.rsplit(maxsplit=1) for item in line[2].split(","))
        table[line[0]] = {GOOD: sum(map(int, line[1].split("+"))), **{name.strip(): int(count) for name, count in defects}}
    return table


def named_in(counts: Mapping[str, Mapping[str, int]]) -> dict[str, tuple[str, ...]]:
    """Product → its defects, in the order of the counts."""
    return {product: tuple(name for name in row if name != GOOD) for product, row in counts.items()}


@dataclass(frozen=True)
class Located:
    """Where a data set's products lie in a tree, or why they do not.

    Args:
        products: name → folder; empty where the tree is not this data set.
        home: the folder that holds them; None where the root is a product.
        refusal: what is against it.
        own_names: whether a defect's name tells the data set from another of the same form.
    """

    products: Mapping[str, Folder] = field(default_factory=dict)
    home: Folder | None = None
    refusal: str = ""
    own_names: bool = False


class PublishedLayout(Layout, ABC):
    """A published data set in the form of MVTec AD."""

    known: ClassVar[bool] = True
    sheet: ClassVar[Sheet]
    form: ClassVar[str] = "train/good, test/DEFECT and ground_truth/DEFECT/000_mask.png in it"
    endings: ClassVar[tuple[str, ...]] = ("_mask",)
    """What follows the image's stem in the name of its mask."""

    # What a data set may do in its own way

    def defect_of(self, product: str, folder: str) -> str | None:
        """The defect that a folder's name stands for, `good` for normals; None where the data set has no such folder."""
        return folder if folder == GOOD or folder in self.sheet.defects[product] else None

    def folders_of(self, product: Folder) -> Iterator[tuple[str, Folder]]:
        """(name of its split, folder) of each folder of images."""
        for name, child in product.folders.items():
            if name in SPLIT_NAMES:
                yield from ((name, folder) for folder in child.folders.values() if folder.has_images)

    def is_product(self, folder: Folder) -> bool:
        """Whether a folder has the form of a product, whatever its name."""
        return any(True for _ in self.folders_of(folder))

    def encoding_of(self, product: str, folder: Folder, tree: Tree) -> MaskEncoding:
        """How the masks of a product are read."""
        return BINARY

    def shelves(self, product: str, folder: Folder, tree: Tree) -> Iterator[Shelf]:
        """The folders of images of one product, with their masks."""
        encoding = self.encoding_of(product, folder, tree)
        for split, images in self.folders_of(folder):
            defect = self.defect_of(product, images.name)
            if defect is not None:
                masks = folder.at(f"{MASKS}/{images.name}")
                homes = (MaskHome(masks, self.endings),) if masks and split == "test" else ()
                yield Shelf(product, SPLIT_NAMES[split], defect, images_in(images), homes, encoding)

    def mask_files(self, product: Folder) -> Iterator[str]:
        """Every file of a product's mask folders."""
        masks = product.folders.get(MASKS)
        return masks.all_images() if masks else iter(())

    def unread(self, product: Folder) -> Iterator[str]:
        """Image files of a product that the layout leaves alone on purpose."""
        return iter(())

    def finished(self, tree: Tree, located: Located, samples: list[Sample]) -> tuple[list[Sample], list[Problem], list[str]]:
        """(samples, further problems, further notes), once all names are read."""
        return samples, [], []

    def classes(self, located: Located) -> Mapping[str, tuple[str, ...]]:
        """Product → its defects in the order of their class ids."""
        return self.sheet.defects

    def homes(self, top: Folder) -> Iterator[Folder]:
        """The folders that may hold the products: the root, then what it holds where that is a single folder."""
        home = top
        for _ in range(DEEPEST_HOME + 1):
            yield home
            inside = [child for child in home.folders.values() if child.has_images]
            if home.images or len(inside) != 1:
                return
            home = inside[0]

    # What they share

    def located(self, tree: Tree) -> Located:
        """The products in a tree."""
        own = tree.root.resolve().name
        refusals = []
        for home in self.homes(tree.top):
            found = {name: child for name, child in home.folders.items() if self.is_product(child)}
            if found:
                refusal = self._refusal(found)
                if not refusal:
                    return Located(found, home, own_names=self.has_own_names(tree, found, home))
                refusals.append(refusal)
        if self.is_product(tree.top):
            refusal = self._refusal({own: tree.top})
            if not refusal:
                return Located({own: tree.top}, own_names=self.has_own_names(tree, {own: tree.top}, None))
            refusals.append(refusal)
        return Located(refusal=refusals[0] if refusals else "it has no such folder")

    def _refusal(self, products: Mapping[str, Folder]) -> str:
        """The first name that is not of this data set; empty where all are."""
        for product, folder in products.items():
            if product not in self.sheet.defects:
                return f"{product} is none of its products"
            for split, images in self.folders_of(folder):
                defect = self.defect_of(product, images.name)
                if defect is None:
                    return f"{images.path or images.name} is no defect of its {product}"
                if defect != GOOD and not self.may_hold(split, defect):
                    return f"{images.path or images.name} is a defect outside test"
        return ""

    def may_hold(self, split: str, defect: str) -> bool:
        """Whether a split may hold a defect."""
        return SPLIT_NAMES[split] == "test"

    def has_own_names(self, tree: Tree, products: Mapping[str, Folder], home: Folder | None) -> bool:
        """Whether names tell the data set from another of the same form: here, that of any defect.

        Args:
            tree: what is read.
            products, home: as in `Located`.
        """
        return any(
            self.defect_of(product, images.name) != GOOD
            for product, folder in products.items()
            for _, images in self.folders_of(folder)
        )

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence where products and defects have the data set's names, and at least one defect is there."""
        found = self.located(tree)
        return (self._why(found),) if found.own_names else ()

    def _why(self, found: Located) -> str:
        names = list(found.products)
        shown = f"{', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
        within = f" in {found.home.path}/" if found.home is not None and found.home.path else ""
        return f"{shown}{within}, named and laid out as in {self.sheet.title}"

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        names = list(self.sheet.defects)
        shown = f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
        return f"{self.name} wants {shown} with {self.form}, or one of them ({self.located(tree).refusal}{_inside(tree, names)})"

    def read(self, tree: Tree) -> Found:
        """Read the names."""
        located = self.located(tree)
        if not located.products:
            raise DataError(
                "E_LAYOUT", f"{tree.root} does not fit the layout {self.name}; {self.expects(tree)}: check the path", [tree.root]
            )
        reader = ShelfReader(tree)
        samples = [
            sample
            for product, folder in located.products.items()
            for shelf in self.shelves(product, folder, tree)
            for sample in reader.samples(shelf)
        ]
        samples, problems, notes = self.finished(tree, located, samples)
        folders = located.products.values()
        masks = [path for folder in folders for path in self.mask_files(folder)]
        aside = [path for folder in folders for path in self.unread(folder)]
        dataset = Dataset(
            name=self.name,
            root=tree.root,
            layout=self.spelled(),
            samples=tuple(sorted(samples, key=sort_key)),
            licence=self.sheet.licence,
            citation=self.sheet.citation,
            notes=(*self.sheet.notes, *notes),
            expected={(name, defect): count for name, row in self.sheet.counts.items() for defect, count in row.items()},
            classes=self.classes(located),
            combined=self.sheet.combined,
            classes_released=True,
        )
        unmatched = reader.unmatched([*masks, *aside])
        return Found(dataset, self._why(located), (*problems, *reader.all_problems(masks)), unmatched)


def _inside(tree: Tree, products: list[str]) -> str:
    """Where the root lies inside a product: which folder to give instead."""
    real = tree.root.resolve()
    for folder in list(real.parents)[:3]:
        if folder.name in products:
            return f"; the root lies inside the product {folder.name}: give {folder} or what holds it"
    return ""
