"""Layout `mvtec3d`: the photographs of MVTec 3D-AD (Bergmann et al., VISAPP 2022).

`PRODUCT/train/good/rgb/000.png`, `test/DEFECT/rgb/000.png` and its mask `test/DEFECT/gt/000.png`; normals of `test` have masks
too, and `flawsmith data check` verifies that they are blank. The heights under `xyz` are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from flawsmith.data.dataset import ANY_DEFECT
from flawsmith.data.layouts.folder_reader import SPLIT_NAMES
from flawsmith.data.layouts.masks import MaskHome
from flawsmith.data.layouts.published import Sheet, counted
from flawsmith.data.layouts.shelves import Shelf, images_in
from flawsmith.data.layouts.validated import ValidatedLayout
from flawsmith.data.tree import Folder, Tree

DEFECTS = {
    "bagel": ("contamination", "crack", "hole", "combined"),
    "cable_gland": ("bent", "cut", "hole", "thread"),
    "carrot": ("contamination", "crack", "cut", "hole", "combined"),
    "cookie": ("contamination", "crack", "hole", "combined"),
    "dowel": ("bent", "contamination", "cut", "combined"),
    "foam": ("color", "contamination", "cut", "combined"),
    "peach": ("contamination", "cut", "hole", "combined"),
    "potato": ("contamination", "cut", "hole", "combined"),
    "rope": ("contamination", "cut", "open"),
    "tire": ("contamination", "cut", "hole", "combined"),
}
COUNTS = counted(f"""
    bagel 244+22+22 {ANY_DEFECT} 88
    cable_gland 223+23+21 {ANY_DEFECT} 87
    carrot 286+29+27 {ANY_DEFECT} 132
    cookie 210+22+28 {ANY_DEFECT} 103
    dowel 288+34+26 {ANY_DEFECT} 104
    foam 236+27+20 {ANY_DEFECT} 80
    peach 361+42+26 {ANY_DEFECT} 106
    potato 300+33+22 {ANY_DEFECT} 92
    rope 298+33+32 {ANY_DEFECT} 69
    tire 210+29+25 {ANY_DEFECT} 87
""")
PHOTOGRAPHS, TRUTH, HEIGHTS = "rgb", "gt", "xyz"


class Mvtec3dLayout(ValidatedLayout):
    """The photographs of MVTec 3D-AD as released."""

    name: ClassVar[str] = "mvtec3d"
    form: ClassVar[str] = "train/good/rgb, test/DEFECT/rgb and test/DEFECT/gt/000.png in it"
    endings: ClassVar[tuple[str, ...]] = ("",)
    sheet: ClassVar[Sheet] = Sheet(
        "MVTec 3D-AD",
        COUNTS,
        DEFECTS,
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Bergmann et al.: The MVTec 3D-AD Dataset, VISAPP 2022",
        ("photographs only: the heights under xyz are not read",),
        frozenset({"combined"}),
    )

    def folders_of(self, product: Folder) -> Iterator[tuple[str, Folder]]:
        """The folders that hold photographs."""
        return ((split, folder) for split, folder in super().folders_of(product) if _has(folder, PHOTOGRAPHS))

    def shelves(self, product: str, folder: Folder, tree: Tree) -> Iterator[Shelf]:
        """Photographs and, in the test folder, their masks beside them."""
        for name, kind in self.folders_of(folder):
            defect = self.defect_of(product, kind.name)
            split = SPLIT_NAMES[name]
            homes = (MaskHome(kind.folders[TRUTH], self.endings),) if _has(kind, TRUTH) else ()
            if defect is not None:
                images = images_in(kind.folders[PHOTOGRAPHS])
                yield Shelf(product, split, defect, images, homes, place=self.place_of(split))

    def mask_files(self, product: Folder) -> Iterator[str]:
        """Every file of the folders of masks."""
        return self._files(product, TRUTH)

    def unread(self, product: Folder) -> Iterator[str]:
        """The heights."""
        return self._files(product, HEIGHTS)

    def _files(self, product: Folder, name: str) -> Iterator[str]:
        for _, kind in super().folders_of(product):
            if name in kind.folders:
                yield from kind.folders[name].all_images()


def _has(folder: Folder, name: str) -> bool:
    return name in folder.folders and bool(folder.folders[name].images)
