"""Layouts of classification data: MVTec-FS in both distributions, UniADC's repack of WFDD, and MVTec AD with folders as classes.

MVTec-FS (Lyu et al., MVREC, AAAI 2025) relabels the anomalies of MVTec AD instance by instance and halves them. UniADC's numbers
are of its own repack. Folder names as classes are a fallback that has other labels, so it has a name of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from flawsmith.core.errors import DataError
from flawsmith.core.samples import Sample, SplitName
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.layouts.mvtec import MvtecLayout
from flawsmith.data.layouts.mvtec_fs_original import products_of, read_original
from flawsmith.data.layouts.published import Sheet
from flawsmith.data.layouts.uniadc import lists_of, read_repack
from flawsmith.data.layouts.wfdd import WfddLayout
from flawsmith.data.manifest.labels import COMBINED
from flawsmith.data.problems import Problem, first_of
from flawsmith.data.tree import Tree

HALVES: Mapping[str, tuple[int, int]] = {
    "bottle": (32, 31),
    "cable": (47, 45),
    "capsule": (56, 53),
    "carpet": (47, 42),
    "grid": (30, 27),
    "hazelnut": (36, 34),
    "leather": (48, 44),
    "metal_nut": (48, 45),
    "pill": (73, 68),
    "screw": (61, 58),
    "tile": (43, 41),
    "toothbrush": (15, 15),
    "transistor": (20, 20),
    "wood": (32, 28),
    "zipper": (61, 58),
}
"""Product → anomalies in the first half, which is learned from, and in the second, which is tested."""

SIDES: tuple[tuple[str, SplitName], ...] = (("first half", "train"), ("second half", "test"))
CITATION = "Lyu et al.: MVREC (MVTec-FS), AAAI 2025; Bergmann et al.: MVTec AD, CVPR 2019"
REPACK = "UniADC's repack: masks hold class ids"
ORIGINAL = "the authors' distribution: masks are drawn from polygons; UniADC's numbers are of its own repack"


class MvtecFsLayout(Layout):
    """MVTec-FS, in the authors' distribution or UniADC's repack.

    Args:
        normals: folder of MVTec AD whose good images are trained on and tested; for the authors' distribution, which has none.
    """

    name: ClassVar[str] = "mvtec-fs"
    known: ClassVar[bool] = True

    normals: str = ""

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence where lists or polygons of products of MVTec AD are there."""
        lists = [name for name in lists_of(tree) if name in HALVES]
        if lists:
            return (f"samples/train_{lists[0]}.jsonl and images/ as in UniADC's repack of MVTec-FS",)
        products = [name for name in products_of(tree) if name in HALVES]
        return (f"{products[0]}/training and its polygons as in MVTec-FS",) if products else ()

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        return (
            "mvtec-fs wants samples/train_bottle.jsonl … beside images/ (UniADC's repack), or bottle/training/DEFECT/000.png "
            "with 000.json beside it or CONFIG/bottle_config1/train.csv (the authors')"
        )

    def read(self, tree: Tree) -> Found:
        """Read the lists or the polygons."""
        why = self.fits(tree)
        if not why:
            told = f"{tree.root} does not fit the layout mvtec-fs; {self.expects(tree)}: check the path"
            raise DataError("E_LAYOUT", told, [tree.root])
        lists = lists_of(tree)
        if lists:
            return _repacked(self, tree, lists, why[0], _sheet(self.name, REPACK), HALVES)
        original = read_original(tree, products_of(tree))
        samples, notes = [*original.samples], [ORIGINAL, *original.notes]
        if self.normals:
            samples += _normals(Path(self.normals), tuple(original.classes))
        elif not any(sample.is_normal for sample in samples):
            notes.append("it has no normals: give the folder of MVTec AD with --layout mvtec-fs:normals=FOLDER")
        dataset = replace(
            _sheet("mvtec-fs-original", ""),
            root=tree.root,
            layout=self.spelled(),
            samples=tuple(sorted(samples, key=sort_key)),
            notes=tuple(notes),
            classes=original.classes,
            combined=frozenset({COMBINED} if any(COMBINED in order for order in original.classes.values()) else ()),
        )
        used = {path for sample in samples for path in (str(getattr(sample.source, "path", "")),)}
        unmatched = tuple(path for path in tree.top.all_images() if path not in used)
        return Found(dataset, why[0], (*original.problems, *_incomplete(dataset, HALVES)), unmatched)


class WfddUniadcLayout(Layout):
    """WFDD as UniADC repacked it, with kinds of defects."""

    name: ClassVar[str] = "wfdd-uniadc"
    known: ClassVar[bool] = True

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence where lists of products of WFDD are there."""
        lists = [name for name in lists_of(tree) if name in WfddLayout.sheet.defects]
        return (f"samples/train_{lists[0]}.jsonl and images/ as in UniADC's repack of WFDD",) if lists else ()

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        return "wfdd-uniadc wants samples/train_grey_cloth.jsonl … beside images/"

    def read(self, tree: Tree) -> Found:
        """Read the lists."""
        why = self.fits(tree)
        if not why:
            told = f"{tree.root} does not fit the layout wfdd-uniadc; {self.expects(tree)}: check the path"
            raise DataError("E_LAYOUT", told, [tree.root])
        sheet = WfddLayout.sheet
        about = Dataset(self.name, tree.root, self.name, (), sheet.licence, f"{sheet.citation}; UniADC (repack)", notes=(REPACK,))
        return _repacked(self, tree, lists_of(tree), why[0], replace(about, default_split="supervised"), {})


class MvtecFoldersLayout(MvtecLayout):
    """MVTec AD with its folders as classes: a fallback, whose labels are not those of MVTec-FS."""

    name: ClassVar[str] = "mvtec-folders"
    known: ClassVar[bool] = False
    sought: ClassVar[bool] = False
    sheet: ClassVar[Sheet] = replace(
        MvtecLayout.sheet,
        notes=(
            *MvtecLayout.sheet.notes,
            "classes are the names of folders: other labels, other images than MVTec-FS, whose numbers they never stand beside",
        ),
    )


def _sheet(name: str, note: str) -> Dataset:
    """What is known of MVTec-FS before it is opened."""
    notes = (note,) if note else ()
    return Dataset(name, Path(), name, (), MvtecLayout.sheet.licence, CITATION, default_split="supervised", notes=notes)


def _repacked(
    layout: Layout,
    tree: Tree,
    lists: Mapping[str, Mapping[str, str]],
    why: str,
    about: Dataset,
    halves: Mapping[str, tuple[int, int]],
) -> Found:
    repack = read_repack(tree, lists)
    dataset = replace(
        about,
        root=tree.root,
        layout=layout.spelled(),
        samples=tuple(sorted(repack.samples, key=sort_key)),
        classes=repack.classes,
        combined=repack.combined,
    )
    unmatched = tuple(path for path in tree.top.all_images() if path not in repack.used)
    return Found(dataset, why, (*repack.problems, *_incomplete(dataset, halves)), unmatched)


def _incomplete(dataset: Dataset, halves: Mapping[str, tuple[int, int]]) -> Sequence[Problem]:
    """A warning where the halves are not those of the release; only products that are there are compared."""
    found = Counter((sample.product, sample.split) for sample in dataset.samples if not sample.is_normal)
    wrong = [
        f"{product} {side} {found[product, split]}/{count}"
        for product in dataset.products
        for (side, split), count in zip(SIDES, halves.get(product, ()), strict=False)
        if found[product, split] != count
    ]
    if not wrong:
        return ()
    told, brief = (
        f"{dataset.name} is not complete (found/expected anomalies: {named}); copy the rest to compare with others"
        for named in (", ".join(wrong), first_of(wrong))
    )
    return (Problem("W_COUNT", told, whole=True, brief=brief),)


def _normals(folder: Path, products: Sequence[str]) -> list[Sample]:
    """The good images of MVTec AD."""
    from flawsmith.data.loading import load

    data = load(folder, MvtecLayout.name)
    return [sample for sample in data.samples if sample.is_normal and sample.product in products]
