"""Layout `wfdd`: woven fabric (Chen et al., "A unified anomaly synthesis strategy with gradient ascent", ECCV 2024).

Repository cqylunlun/GLASS; MVTec AD's form. Masks are antialiased and read as `threshold:127`. How many images each product has
is not published, only the sums; defects have whatever names their folders have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from flawsmith.core.samples import Sample
from flawsmith.data.layouts.published import Located, PublishedLayout, Sheet
from flawsmith.data.problems import Problem
from flawsmith.data.reading import MaskEncoding
from flawsmith.data.tree import Folder, Tree

PRODUCTS = ("grey_cloth", "grid_cloth", "pink_flower", "yellow_cloth")
TOTALS = {"train": 3657, "test": 444}


class WfddLayout(PublishedLayout):
    """WFDD as released."""

    name: ClassVar[str] = "wfdd"
    endings: ClassVar[tuple[str, ...]] = ("_mask", "")
    sheet: ClassVar[Sheet] = Sheet(
        "WFDD",
        {},
        dict.fromkeys(PRODUCTS, ()),
        "MIT (of the repository)",
        "Chen et al.: A unified anomaly synthesis strategy with gradient ascent (GLASS), ECCV 2024",
        ("masks are antialiased and read as threshold:127",),
    )

    def defect_of(self, product: str, folder: str) -> str | None:
        """Every folder's name is its defect."""
        return folder

    def encoding_of(self, product: str, folder: Folder, tree: Tree) -> MaskEncoding:
        """Grey edges belong to neither side."""
        return MaskEncoding("threshold", 127)

    def classes(self, located: Located) -> Mapping[str, tuple[str, ...]]:
        """None is declared."""
        return {}

    def finished(self, tree: Tree, located: Located, samples: list[Sample]) -> tuple[list[Sample], list[Problem], list[str]]:
        """The sums are compared."""
        found = Counter[str](sample.split for sample in samples)
        wrong = [f"{split} {found[split]}/{count}" for split, count in TOTALS.items() if found[split] != count]
        told = f"{self.name} is not complete (found/expected: {', '.join(wrong)}); copy the rest to compare with others"
        return samples, [Problem("W_COUNT", told, whole=True)] if wrong else [], []
