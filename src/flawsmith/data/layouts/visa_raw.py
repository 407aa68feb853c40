"""The raw form of VisA: its class ids, the tables that split it, and the kind of each anomaly from the values of its mask.

Ids are those of `id2class` in amazon-science/spot-diff, names in lower case with underscores, spelled as there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import UNKNOWN, Sample, SplitName
from flawsmith.data.layouts.known_areas import KnownAreas
from flawsmith.data.layouts.small_files import read_small
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource, MaskEncoding
from flawsmith.data.tree import split_suffix

COMBINED = "combined"
LABELS = {"normal": "Normal", "anomaly": "Anomaly"}
"""Label in a table → folder of its images."""

SPLITS: dict[str, SplitName] = {"train": "train", "test": "test"}
COLUMNS = ("object", "split", "label", "image", "mask")

_BOARD = "bent melt scratch missing"
_IDS = {
    "candle": "chunk_of_wax_missing damaged_corner_of_packaging weird_candle_wick different_colour_spot extra_wax_in_candle "
    "foreign_particals_on_candle wax_melded_out_of_the_candle other",
    "capsules": "bubble discolor scratch leak misshape",
    "cashew": "burnt corner_or_edge_breakage different_colour_spot middle_breakage small_holes small_scratches stuck_together "
    "same_colour_spot other",
    "chewinggum": "chunk_of_gum_missing corner_missing scratches similar_colour_spot small_cracks other",
    "fryum": "burnt corner_or_edge_breakage different_colour_spot fryum_stuck_together middle_breakage similar_colour_spot "
    "small_scratches other",
    "macaroni1": "chip_around_edge_and_corner different_colour_spot middle_breakage similar_colour_spot small_cracks "
    "small_scratches other",
    "macaroni2": "breakage_down_the_middle color_spot_similar_to_the_object different_color_spot small_chip_around_edge "
    "small_cracks small_scratches other",
    "pcb1": _BOARD,
    "pcb2": _BOARD,
    "pcb3": _BOARD,
    "pcb4": "burnt scratch missing damage extra wrong_place dirt",
    "pipe_fryum": "burnt corner_and_edge_breakage different_colour_spot middle_breakage similar_colour_spot small_scratches "
    "stuck_together small_cracks other",
}
CLASSES: dict[str, tuple[str, ...]] = {product: tuple(kinds.split()) for product, kinds in _IDS.items()}
"""Product → the kinds of class id 1, 2, …"""


def ids_of(product: str) -> MaskEncoding:
    """How the raw masks of a product are read."""
    classes = {kind: number for number, kind in enumerate(CLASSES[product], start=1)}
    return MaskEncoding("class_id", classes=classes, declared="VisA's id2class")


@dataclass
class Table:
    """A table of `split_csv`.

    Args:
        splits: image without its suffix, relative to the data set → its split.
        problems: rows that cannot be used.
    """

    splits: dict[str, SplitName] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_table(path: Path) -> Table:
    """Read `object,split,label,image,mask`.

    Raises:
        DataError: E_LABEL: no such table can be read from the file.
    """
    table = Table()
    for number, row in enumerate(_rows(path), start=2):
        problem = _flaw(path, number, row, table)
        if problem is not None:
            table.problems.append(problem)
        else:
            table.splits[split_suffix(row["image"])[0]] = SPLITS[row["split"]]
    return table


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(read_small(path), newline=""), strict=True)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"it has no column {missing[0]}")
        yield from ({name: row[name] or "" for name in COLUMNS} for row in reader)
    except (OSError, ValueError, csv.Error) as error:
        told = getattr(error, "strerror", None) or error
        raise DataError(
            "E_LABEL", f"{path} cannot be read ({told}); expected the columns {', '.join(COLUMNS)}: copy it again", [path]
        ) from error


def _flaw(path: Path, number: int, row: Mapping[str, str], table: Table) -> Problem | None:
    """What is wrong with a row."""
    image = row["image"]
    at = f"{path}, line {number}:"
    if image.startswith("/") or "\\" in image or ".." in image.split("/"):
        return Problem("E_ROOT", f"{at} {image[:80]!r} is no path inside the folder; expected one, with /: mend it", (str(path),))
    if row["label"] not in LABELS or row["split"] not in SPLITS:
        told = f"{at} {row['label'][:40]!r} in {row['split'][:40]!r}; expected normal or anomaly in train or test: copy it again"
        return Problem("E_LABEL", told, (image or str(path),))
    folder = image.rpartition("/")[0].rpartition("/")[2]
    if folder != LABELS[row["label"]]:
        told = f"{at} {image[:80]!r} is called {row['label']}; expected a file of {LABELS[row['label']]}/: copy the table again"
        return Problem("E_LABEL", told, (image,))
    told = _disagreement(row)
    if told:
        return Problem("E_LABEL", f"{at} {image[:80]!r} {told}: copy the table again", (image,))
    if split_suffix(image)[0] in table.splits:
        return Problem("E_DUPLICATE", f"{at} {image[:80]!r} is there twice; expected each once: remove one", (image,))
    return None


def _disagreement(row: Mapping[str, str]) -> str:
    """Where a row's columns speak of two images; empty where they agree."""
    image, mask = row["image"], row["mask"]
    if row["object"] != image.partition("/")[0]:
        return f"is called {row['object'][:40]!r}; expected the product of its path"
    if mask and _product_and_stem(mask) != _product_and_stem(image):
        return f"has the mask {mask[:80]!r}; expected one of its own product and stem"
    return ""


def _product_and_stem(path: str) -> tuple[str, str]:
    return path.partition("/")[0], split_suffix(path.rpartition("/")[2])[0]


def with_kinds(samples: Sequence[Sample], several: str, known: KnownAreas) -> list[Sample]:
    """Anomalies named after the ids in their masks; one without a mask that can be read stays `unknown`, for the check to tell.

    Args:
        samples: of the raw form.
        several: what becomes of an image with several ids: `combined`, or the `largest` of its regions.
        known: reads the masks.
    """
    named = [_with_kind(sample, several, known) for sample in track(samples, "reading class ids")]
    known.keep()
    return named


def _with_kind(sample: Sample, several: str, known: KnownAreas) -> Sample:
    source = sample.source
    assert isinstance(source, FileSource)
    if sample.defect != UNKNOWN or not source.masks:
        return sample
    names = {number: kind for kind, number in source.encoding.classes.items()}
    found = known.of(source.masks[0])
    areas = {names[number]: area for number, area in found.items()} if all(number in names for number in found) else {}
    if not areas:
        return sample
    largest = max(areas, key=lambda kind: (areas[kind], kind))
    defect = largest if len(areas) == 1 or several == "largest" else COMBINED
    tags = {"kinds": "+".join(areas), "largest": largest} if len(areas) > 1 else {}
    name = "/".join((sample.product, sample.id.split("/")[1], defect, sample.id.split("/", 3)[3]))
    return replace(
        sample, id=name, group=name, defect=defect, source=replace(source, defect=defect), tags={**sample.tags, **tags}
    )
