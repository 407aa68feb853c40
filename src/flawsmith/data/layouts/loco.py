"""Layout `loco`: MVTec LOCO AD (Bergmann et al., "Beyond dents and scratches", IJCV 130, 2022).

`test/logical_anomalies` and `test/structural_anomalies` are its two kinds of image. The mask of an image is a folder,
`ground_truth/KIND/000/`, with one file per region. Its grey value is looked up in the product's `defects_config.json`: the name
of the defect, and the area from which the region counts as found (sPRO). The mask is the union of all files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from flawsmith.core.errors import DataError
from flawsmith.data.layouts.published import Located, Sheet, counted, named_in
from flawsmith.data.layouts.shelves import Shelf
from flawsmith.data.layouts.small_files import path_in, read_small
from flawsmith.data.layouts.validated import ValidatedLayout
from flawsmith.data.reading import Code, MaskEncoding
from flawsmith.data.tree import Folder, Tree

CONFIG = "defects_config.json"
MOST_PIXELS = 2**31
COUNTS = counted("""
    breakfast_box 351+62+102 structural_anomalies 90, logical_anomalies 83
    juice_bottle 335+54+94 structural_anomalies 94, logical_anomalies 142
    pushpins 372+69+138 structural_anomalies 81, logical_anomalies 91
    screw_bag 360+60+122 structural_anomalies 82, logical_anomalies 137
    splicing_connectors 354+59+119 structural_anomalies 85, logical_anomalies 108
""")


class LocoLayout(ValidatedLayout):
    """MVTec LOCO AD as released."""

    name: ClassVar[str] = "loco"
    form: ClassVar[str] = f"{CONFIG}, train/good, test/logical_anomalies and ground_truth/logical_anomalies/000/000.png in it"
    endings: ClassVar[tuple[str, ...]] = ("",)
    sheet: ClassVar[Sheet] = Sheet(
        "MVTec LOCO AD",
        COUNTS,
        named_in(COUNTS),
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Bergmann et al.: Beyond Dents and Scratches (MVTec LOCO AD), IJCV 130, 2022",
        ("images are not square; a detector that wants squares stretches them",),
    )

    def encoding_of(self, product: str, folder: Folder, tree: Tree) -> MaskEncoding:
        """Grey values by the product's table."""
        path = path_in(tree.root, folder, CONFIG)
        if path is None:
            raise _unread(tree.root / folder.join(CONFIG), "it is not there")
        return MaskEncoding("coded", codes=_read_codes(path), declared=CONFIG)

    def shelves(self, product: str, folder: Folder, tree: Tree) -> Iterator[Shelf]:
        """Validation stays validation."""
        for shelf in super().shelves(product, folder, tree):
            yield replace(shelf, place=self.place_of(shelf.split))

    def classes(self, located: Located) -> Mapping[str, tuple[str, ...]]:
        """None: the kinds of images are not those of their regions."""
        return {}


def _read_codes(path: Path) -> dict[int, Code]:
    try:
        rows = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError) as error:
        raise _unread(path, str(getattr(error, "strerror", None) or error)) from error
    codes: dict[int, Code] = {}
    for row in rows if isinstance(rows, list) else [None]:
        value, code = _code(path, row)
        if value in codes:
            raise _no_table(path, f"names the value {value} twice")
        codes[value] = code
    return codes


def _unread(path: Path, why: str) -> DataError:
    return DataError(
        "E_LABEL",
        f"{path} cannot be read ({why}); expected the release's table of defects: copy it again, or read the folder with "
        f"--layout folder:encoding=threshold:0",
        [path],
    )


def _code(path: Path, row: Any) -> tuple[int, Code]:
    if not isinstance(row, dict):
        raise _no_table(path, "is no list of defects")
    match (row.get("defect_name"), row.get("pixel_value"), row.get("saturation_threshold"), row.get("relative_saturation")):
        case (str() as name, int() as value, int() | float() as saturation, bool() as relative):
            greatest = 1 if relative else MOST_PIXELS
            if name and not isinstance(value, bool) and 0 < value < 256 and 0 < saturation <= greatest:
                return value, Code(name, float(saturation), relative)
    raise _no_table(path, f"holds the row {str(row)[:120]!r}")


def _no_table(path: Path, what: str) -> DataError:
    return DataError(
        "E_LABEL",
        f"{path} {what}; expected rows of defect_name, pixel_value of 1…255, saturation_threshold above 0 (a share where "
        f"relative_saturation is true): copy it again",
        [path],
    )
