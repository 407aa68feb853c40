"""Layout `mtd`: magnetic tiles (Huang, Qiu, Yuan, "Surface defect saliency of magnetic tile", The Visual Computer 36, 2020).

`MT_<Free|Blowhole|Break|Crack|Fray|Uneven>/Imgs/exp<E>_num_<N>.jpg` is an image, the same stem with `.png` its mask. One region
of a tile was photographed under about six exposures with neighbouring numbers; such photographs form a group.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource, MaskEncoding
from flawsmith.data.tree import Folder, Tree, split_suffix

PRODUCT = "magnetic_tile"
EXPECTED = {GOOD: 952, "blowhole": 115, "break": 85, "crack": 57, "fray": 32, "uneven": 103}
BLANK_MASKS = frozenset({"exp3_num_45042", "exp4_num_124690", "exp4_num_352527", "exp4_num_45057"})
"""Images of `MT_Uneven` whose masks are blank in the release; they count for image metrics alone."""

GREATEST_GAP = 60
"""Numbers further apart than this belong to different groups."""

_NAME = re.compile(r"exp(\d+)_num_(\d+)")


class MtdLayout(Layout):
    """The official folder of the magnetic tiles."""

    name: ClassVar[str] = "mtd"
    known: ClassVar[bool] = True

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence where MT_ folders are there."""
        names = list(_class_folders(tree))
        return (f"{', '.join(f'MT_{name.title()}' for name in names)} as in the magnetic-tile data set",) if names else ()

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        return "mtd wants folders MT_Free, MT_Blowhole … with Imgs/exp1_num_2.jpg and its mask exp1_num_2.png in them"

    def read(self, tree: Tree) -> Found:
        """Read the names."""
        if not self.fits(tree):
            raise DataError("E_LAYOUT", f"{tree.root} does not fit the layout mtd; {self.expects(tree)}", [tree.root])
        problems: list[Problem] = []
        known: set[str] = set()
        images: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}
        for name, folder in _class_folders(tree).items():
            defect = GOOD if name == "free" else name
            for stem, image, masks in _paired(tree, folder, problems):
                images[defect, stem] = (image, masks)
                known.update((image, *masks))
        groups = group_by_gap({stem: int(stem.rpartition("_")[2]) for _, stem in images})
        samples = [_sample(tree, defect, stem, *files, groups[stem]) for (defect, stem), files in images.items()]
        reported = {file for problem in problems for file in problem.files}
        unmatched = tuple(path for path in tree.top.all_images() if path not in known and path not in reported)
        return Found(_dataset(tree, samples), self.fits(tree)[0], tuple(problems), unmatched)


def _dataset(tree: Tree, samples: Sequence[Sample]) -> Dataset:
    return Dataset(
        name="mtd",
        root=tree.root,
        layout="mtd",
        samples=tuple(sorted(samples, key=sort_key)),
        licence='none stated ("welcome to use, cite")',
        citation="Huang, Qiu, Yuan: Surface defect saliency of magnetic tile, The Visual Computer 36, 2020",
        default_split="mtd-group",
        notes=(
            "masks are grey and read as threshold:127",
            "blank masks of four uneven tiles are as released: expected",
            f"numbers at most {GREATEST_GAP} apart form a group: one region of a tile under about six exposures",
        ),
        expected={(PRODUCT, defect): count for defect, count in EXPECTED.items()},
        classes={PRODUCT: tuple(defect for defect in EXPECTED if defect != GOOD)},
        classes_released=True,
    )


def _class_folders(tree: Tree) -> Mapping[str, Folder]:
    """Lower-case class name → its folder."""
    names = {f"MT_{'Free' if defect == GOOD else defect.title()}": defect for defect in EXPECTED}
    found = {}
    for name, folder in tree.top.folders.items():
        images = folder.folders.get("Imgs", folder)
        if name in names and images.images:
            found[name.removeprefix("MT_").lower()] = images
    return found


def _paired(tree: Tree, folder: Folder, problems: list[Problem]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(stem, image, masks) for each image of a class; the suffix tells images from masks."""
    by_stem: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"image": [], "mask": []})
    for name in folder.images:
        stem, suffix = split_suffix(name)
        if _NAME.fullmatch(stem) and suffix in (".jpg", ".jpeg", ".png"):
            by_stem[stem]["mask" if suffix == ".png" else "image"].append(folder.join(name))
    for stem, files in by_stem.items():
        images, masks = files["image"], files["mask"]
        if not images:
            told = f"{tree.root / masks[0]} has no image {stem}.jpg beside it; expected both of one stem: add or remove one"
            problems.append(Problem("E_ORPHAN_MASK", told, tuple(masks)))
            continue
        for several in (images, masks):
            if len(several) > 1:
                told = f"{tree.root / several[0]} and {several[1]} share one stem; expected one .jpg and one .png: remove one"
                problems.append(Problem("E_AMBIGUOUS_PAIR", told, tuple(several)))
        yield stem, images[0], tuple(masks[:1])


def group_by_gap(numbers: Mapping[str, int], greatest: int = GREATEST_GAP) -> dict[str, str]:
    """Stem → group: in the order of the numbers, a gap above `greatest` opens a new group, named after its first number."""
    groups: dict[str, str] = {}
    start = last = None
    for number, stem in sorted((number, stem) for stem, number in numbers.items()):
        if last is None or number - last > greatest:
            start = number
        last = number
        groups[stem] = f"num-{start}"
    return groups


def _sample(tree: Tree, defect: str, stem: str, image: str, masks: tuple[str, ...], group: str) -> Sample:
    exposure, _, number = stem.partition("_num_")
    blank = defect == "uneven" and stem in BLANK_MASKS
    source = FileSource(tree.root, image, defect, masks, MaskEncoding("threshold", 127), blank)
    tags = {"exposure": exposure, "number": number, **({"blank_mask": "as released"} if blank else {})}
    return Sample(f"{PRODUCT}/pool/{defect}/{stem}", PRODUCT, defect, "pool", group, source, tags=tags)
