"""Layout `visa`: VisA (Zou et al., "SPot-the-Difference", ECCV 2022), as released and as others convert it.

* raw: `PRODUCT/Data/Images/{Normal,Anomaly}/0000.JPG`, `PRODUCT/Data/Masks/Anomaly/000.png`, `split_csv/1cls.csv`. The value of a
  mask's pixel is a class id (`visa_raw`); an image with several ids is `combined`.
* converted: MVTec AD's form with `bad` (spot-diff's script, anomalib's `visa_pytorch`), with `ok` and `ko` (RealNet, ASBench), or
  with one folder per defect (SeaS). Masks are binary and have their image's stem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from flawsmith.core import wording
from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, UNKNOWN, Sample
from flawsmith.data.dataset import ANY_DEFECT
from flawsmith.data.layouts.folder_reader import SPLIT_NAMES
from flawsmith.data.layouts.known_areas import KnownAreas
from flawsmith.data.layouts.masks import MaskHome
from flawsmith.data.layouts.published import MASKS, Located, PublishedLayout, Sheet, counted
from flawsmith.data.layouts.shelves import Shelf, images_in
from flawsmith.data.layouts.small_files import path_in
from flawsmith.data.layouts.visa_raw import CLASSES, COMBINED, Table, ids_of, read_table, with_kinds
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource
from flawsmith.data.tree import Folder, Tree, split_suffix

COUNTS = counted(f"""
    candle 900+100 {ANY_DEFECT} 100
    capsules 542+60 {ANY_DEFECT} 100
    cashew 450+50 {ANY_DEFECT} 100
    chewinggum 453+50 {ANY_DEFECT} 100
    fryum 450+50 {ANY_DEFECT} 100
    macaroni1 900+100 {ANY_DEFECT} 100
    macaroni2 900+100 {ANY_DEFECT} 100
    pcb1 904+100 {ANY_DEFECT} 100
    pcb2 901+100 {ANY_DEFECT} 100
    pcb3 905+101 {ANY_DEFECT} 100
    pcb4 904+101 {ANY_DEFECT} 100
    pipe_fryum 450+50 {ANY_DEFECT} 100
""")
FOLDERS = {"Normal": GOOD, "Anomaly": UNKNOWN, "good": GOOD, "ok": GOOD, "bad": UNKNOWN, "ko": UNKNOWN, COMBINED: COMBINED}
KINDS = frozenset(kind for kinds in CLASSES.values() for kind in kinds)
IMAGES, TRUTH = "Data/Images", "Data/Masks"
SPLIT_FOLDER = "split_csv"


class VisaLayout(PublishedLayout):
    """VisA, raw or converted.

    Args:
        protocol: which table of `split_csv` says who is trained on; 2cls_… also trains on anomalies.
        kinds: whether raw masks are opened to see which defect each anomaly shows (`ids`), or all are called unknown (`none`).
        several: what an image with several ids is called: `combined`, or as the `largest` of its regions.
    """

    name: ClassVar[str] = "visa"
    form: ClassVar[str] = "Data/Images/Normal, Data/Images/Anomaly and Data/Masks/Anomaly/000.png in it (or train/good, test/bad)"
    endings: ClassVar[tuple[str, ...]] = ("", "_mask")
    sheet: ClassVar[Sheet] = Sheet(
        "VisA",
        COUNTS,
        CLASSES,
        "CC BY 4.0",
        "Zou et al.: SPot-the-Difference Self-supervised Pre-training (VisA), ECCV 2022",
        combined=frozenset({COMBINED}),
    )

    protocol: Literal["1cls", "2cls_fewshot", "2cls_highshot"] = "1cls"
    kinds: Literal["ids", "none"] = "ids"
    several: Literal["combined", "largest"] = "combined"

    def homes(self, top: Folder) -> Iterator[Folder]:
        """The usual places, then the folder that spot-diff's script names after the protocol."""
        for home in super().homes(top):
            yield home
            if self.protocol in home.folders:
                yield home.folders[self.protocol]

    def defect_of(self, product: str, folder: str) -> str | None:
        """Names of the raw and of the converted forms."""
        kind = re.sub(r"[^a-z0-9]+", "_", folder.lower())
        return FOLDERS.get(folder) or (kind if kind in KINDS else None)

    def folders_of(self, product: Folder) -> Iterator[tuple[str, Folder]]:
        """The folders of either form."""
        raw = product.at(IMAGES)
        if raw is None:
            yield from super().folders_of(product)
        else:
            yield from (("pool", folder) for folder in raw.folders.values() if folder.has_images)

    def may_hold(self, split: str, defect: str) -> bool:
        """The protocols 2cls_… train on anomalies too."""
        return True

    def shelves(self, product: str, folder: Folder, tree: Tree) -> Iterator[Shelf]:
        """Converted forms; the raw one is read in `finished`."""
        for split, images in self.folders_of(folder):
            if split in SPLIT_NAMES:
                masks = folder.at(f"{MASKS}/{images.name}"), folder.at(f"{MASKS}/{split}/{images.name}")
                homes = [MaskHome(home, self.endings) for home in masks if home]
                yield Shelf(
                    product, SPLIT_NAMES[split], self.defect_of(product, images.name) or UNKNOWN, images_in(images), homes
                )
            else:
                yield from self._raw(product, images, folder)

    def _raw(self, product: str, images: Folder, folder: Folder) -> Iterator[Shelf]:
        masks = folder.at(f"{TRUTH}/{images.name}")
        homes = (MaskHome(masks, ("",)),) if masks else ()
        defect = self.defect_of(product, images.name) or UNKNOWN
        yield Shelf(product, "pool", defect, images_in(images), homes, ids_of(product))

    def mask_files(self, product: Folder) -> Iterator[str]:
        """Every file of the mask folders of either form."""
        masks = product.at(TRUTH) or product.at(MASKS)
        return masks.all_images() if masks else iter(())

    def classes(self, located: Located) -> Mapping[str, tuple[str, ...]]:
        """Those of `id2class`, where the form tells them apart."""
        for product, folder in located.products.items():
            kinds = (self.defect_of(product, images.name) in KINDS for _, images in self.folders_of(folder))
            if folder.at(IMAGES) or any(kinds):
                return CLASSES
        return {}

    def finished(self, tree: Tree, located: Located, samples: list[Sample]) -> tuple[list[Sample], list[Problem], list[str]]:
        """Raw images are put into their splits, and named after the ids in their masks."""
        raw = [sample for sample in samples if sample.split == "pool"]
        if not raw:
            self._refuse_protocol(tree, located)
            return samples, [], ["converted by others: masks are binary"]
        table = self._table(tree, located)
        notes = [f"protocol {self.protocol}"]
        if table is None:
            table = Table()
            notes = [f"{SPLIT_FOLDER}/{self.protocol}.csv is not there: no image is assigned to a split"]
        else:
            raw, left, gone = _placed(raw, table, located)
            name = f"{SPLIT_FOLDER}/{self.protocol}.csv"
            notes += [f"{wording.counted(left, 'image is', 'images are')} not in {name} and left out"] if left else []
            rows = wording.counted(len(gone), f"row of {name} names an image that is", f"rows of {name} name images that are")
            notes += [f"{rows} not there, such as {gone[0]}"] if gone else []
        if self.kinds == "ids":
            raw = with_kinds(raw, self.several, KnownAreas(tree.root))
        return [*(sample for sample in samples if sample.split != "pool"), *raw], table.problems, notes

    def _table(self, tree: Tree, located: Located) -> Table | None:
        tables = located.home.at(SPLIT_FOLDER) if located.home else None
        path = path_in(tree.root, tables, f"{self.protocol}.csv") if tables else None
        if path is not None:
            return read_table(path)
        above = tree.root.resolve().parent
        if located.home is None and (above / SPLIT_FOLDER).is_dir():
            told = f"{tree.root} is one product of VisA, whose {SPLIT_FOLDER} lies in {above}; expected that folder: give it"
            raise DataError("E_LAYOUT", f"{told}, with --product {tree.root.resolve().name}", [tree.root])
        if "protocol" in self.model_fields_set:
            told = (
                f"{tree.root} has no {SPLIT_FOLDER}/{self.protocol}.csv; expected the table of the protocol: copy {SPLIT_FOLDER}"
            )
            raise DataError("E_LAYOUT", told, [tree.root])
        return None

    def _refuse_protocol(self, tree: Tree, located: Located) -> None:
        named = located.home is not None and located.home.name in (self.protocol, "") and self.protocol in tree.top.folders
        if "protocol" in self.model_fields_set and not named and tree.root.resolve().name != self.protocol:
            raise DataError(
                "E_LAYOUT",
                f"{tree.root} is a converted VisA, split already; expected the raw one, or a folder {self.protocol}, for "
                f"protocol={self.protocol}: leave the option out",
                [tree.root],
            )


def _placed(samples: list[Sample], table: Table, located: Located) -> tuple[list[Sample], int, list[str]]:
    """(samples in the splits of the table, number of those that it does not name, its images of these products that are gone)."""
    home = located.home.path if located.home else ""
    placed, gone = [], dict.fromkeys(image for image in table.splits if image.partition("/")[0] in located.products)
    for sample in samples:
        assert isinstance(sample.source, FileSource)
        inside = sample.source.path.removeprefix(f"{home}/") if home else sample.source.path
        split = table.splits.get(split_suffix(inside)[0])
        if split is not None:
            name = "/".join((sample.product, split, *sample.id.split("/")[2:]))
            placed.append(replace(sample, id=name, group=name, split=split))
            gone.pop(split_suffix(inside)[0], None)
    return placed, len(samples) - len(placed), list(gone)
