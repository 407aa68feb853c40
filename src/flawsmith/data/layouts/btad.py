"""Layout `btad`: beanTech's products (Mishra et al., "VT-ADL", ISIE 2021).

`BTech_Dataset_transformed/01/train/ok`, `test/ok`, `test/ko`, `ground_truth/ko/STEM.png`. Images of 01 and 03 are BMP, and so are
the masks of 03; a mask has its image's stem. What is wrong with a product is not told apart. Anybody may call folders 01, ok and
ko: `auto` wants all three products, or the released folder's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from flawsmith.core.samples import GOOD, UNKNOWN
from flawsmith.data.layouts.published import PublishedLayout, Sheet, counted, named_in
from flawsmith.data.tree import Folder, Tree

COUNTS = counted("""
    01 400+21 unknown 49
    02 399+30 unknown 200
    03 1000+400 unknown 41
""")
RELEASED = "BTech_Dataset_transformed"
FOLDERS = {"ok": GOOD, "ko": UNKNOWN}


class BtadLayout(PublishedLayout):
    """BTAD as released."""

    name: ClassVar[str] = "btad"
    form: ClassVar[str] = "train/ok, test/ok, test/ko and ground_truth/ko/0000.png in it"
    endings: ClassVar[tuple[str, ...]] = ("",)
    sheet: ClassVar[Sheet] = Sheet(
        "BTAD",
        COUNTS,
        named_in(COUNTS),
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Mishra et al.: VT-ADL, ISIE 2021",
        ("2540 images; papers repeat 2830", "kinds of defects are not told apart: all are called unknown"),
    )

    def defect_of(self, product: str, folder: str) -> str | None:
        """`ok` is good, `ko` a defect of unknown kind."""
        return FOLDERS.get(folder)

    def has_own_names(self, tree: Tree, products: Mapping[str, Folder], home: Folder | None) -> bool:
        """All three products, or the released folder around them."""
        root = tree.root.resolve()
        around = root.parent if home is None else root / home.path
        return super().has_own_names(tree, products, home) and (set(products) == set(COUNTS) or around.name == RELEASED)
