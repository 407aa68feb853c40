"""MVTec-FS as its authors distribute it (ShuaiLYU/MVTec-FS; Lyu et al., MVREC, AAAI 2025).

    <product>/training/<defect>/NNN.png, testing/…            NNN.json beside an image: its polygons, by labelme
    CONFIG/<product>_config1/{train,valid}.csv                one row per polygon, which counts where it is there

An image whose polygons are of one class is of that class, whatever its folder; one with several is `combined`, the last class.
The normals are those of MVTec AD and not part of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.layouts.polygons import Instance, PolygonSource, overlapped, parse_points, read_labelme
from flawsmith.data.manifest.files import read_columns
from flawsmith.data.manifest.labels import COMBINED, clean_name
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource
from flawsmith.data.tree import Folder, Tree, split_suffix

SIDES: Mapping[str, SplitName] = {"training": "train", "testing": "test"}
TABLES = ("train.csv", "valid.csv")
COLUMNS = ("img_rel_path", "id", "label", "points", "imageHeight", "imageWidth")
DEEPEST = 3
"""So many folders may lie around the products."""

MOST_PIXELS = 2**26
"""A larger image is none of MVTec's."""

_CONFIG = re.compile(r"(.+)_config\d*")


@dataclass
class Original:
    """What is read of the distribution.

    Args:
        samples: anomalies, and normals where folders called `good` hold some.
        classes: product → defects in the order of their ids.
        problems: broken rules.
        notes: what a reader should know.
    """

    samples: list[Sample] = field(default_factory=list)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def products_of(tree: Tree) -> Mapping[str, Folder]:
    """Name → folder of each product, which holds `training` or `testing`, and whose images are annotated."""
    found = {folder.name: folder for folder in _down(tree.top, DEEPEST) if _is_product(folder) and folder.path}
    tables = tables_of(tree)
    return {name: folder for name, folder in found.items() if name in tables or _has_labelme(folder)}


def _down(folder: Folder, levels: int) -> Iterator[Folder]:
    yield folder
    if levels:
        for child in folder.folders.values():
            yield from _down(child, levels - 1)


def _is_product(folder: Folder) -> bool:
    return any(name in SIDES and child.has_images for name, child in folder.folders.items())


def _has_labelme(folder: Folder) -> bool:
    return any(name.lower().endswith(".json") for below in folder.walk() for name in below.others)


def tables_of(tree: Tree) -> Mapping[str, tuple[str, ...]]:
    """Product → paths of its tables of polygons."""
    found: dict[str, tuple[str, ...]] = {}
    for folder in _down(tree.top, DEEPEST):
        match = _CONFIG.fullmatch(folder.name)
        tables = tuple(folder.join(name) for name in TABLES if name in folder.others)
        if match and tables:
            found.setdefault(match[1], tables)
    return found


def read_original(tree: Tree, products: Mapping[str, Folder]) -> Original:
    """Read names, tables and labelme files; no image is opened.

    Raises:
        DataError: E_LABEL: a table or a labelme file is none.
    """
    original, tables = Original(), tables_of(tree)
    hidden = images = 0
    for product, folder in products.items():
        polygons = (
            _from_tables(tree.root, folder, tables[product], original) if product in tables else _from_labelme(tree.root, folder)
        )
        names = {instance.defect for of_image in polygons.values() for instance in of_image}
        several = any(len({instance.defect for instance in of_image}) > 1 for of_image in polygons.values())
        order = (*sorted(names - {COMBINED}), *([COMBINED] if several else []))
        original.classes[product] = order
        original.samples.extend(_samples(tree, product, folder, polygons, order))
        shared = [count for of_image in polygons.values() if (count := overlapped(of_image))]
        hidden, images = hidden + sum(shared), images + len(shared)
    original.notes.append(f"{hidden} pixels of {images} images lie in several polygons; the later polygon counts")
    return original


def _samples(
    tree: Tree, product: str, folder: Folder, polygons: Mapping[str, Sequence[Instance]], order: tuple[str, ...]
) -> Iterator[Sample]:
    for side, split in SIDES.items():
        below = folder.folders.get(side)
        for kind in below.folders.values() if below else ():
            for name in kind.images:
                path = kind.join(name)
                instances = tuple(polygons.get(path, ()))
                classes = {instance.defect for instance in instances}
                defect = COMBINED if len(classes) > 1 else next(iter(classes), unicodedata.normalize("NFC", kind.name))
                if kind.name == GOOD:
                    source, defect = FileSource(tree.root, path, GOOD), GOOD
                else:
                    source = PolygonSource(tree.root, path, defect, instances=instances, order=order)
                own = f"{product}/{split}/{defect}/{unicodedata.normalize('NFC', f'{kind.name}/{split_suffix(name)[0]}')}"
                yield Sample(own, product, defect, split, own, source, tags={"folder": kind.name})


def _from_labelme(root: Path, folder: Folder) -> dict[str, list[Instance]]:
    """Image → its polygons, from the labelme files beside the images."""
    found = {}
    for below in folder.walk():
        notes = {split_suffix(name)[0]: name for name in below.others if split_suffix(name)[1] == ".json"}
        for name in below.images:
            if split_suffix(name)[0] in notes:
                path = root / below.join(notes[split_suffix(name)[0]])
                found[below.join(name)] = [_checked(path, instance) for instance in read_labelme(path)]
    return found


def _from_tables(root: Path, folder: Folder, tables: Sequence[str], original: Original) -> dict[str, list[Instance]]:
    """Image → its polygons, from the tables of a product."""
    found: dict[str, list[Instance]] = defaultdict(list)
    images = set(folder.all_images())
    for table in tables:
        for number, (relative, instance) in enumerate(_rows(root / table), 1):
            path = f"{folder.path}/{relative}"
            if path not in images:
                where = f"{root / table}, row {number}"
                told = f"{where}: {relative} is not under {root / folder.path}; expected every listed image: copy it"
                original.problems.append(Problem("E_ROOT", told, (path,)))
                continue
            found[path].append(instance)
    return found


def _rows(path: Path) -> Iterator[tuple[str, Instance]]:
    table = read_columns(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise DataError("E_LABEL", f"{path} has no column {missing[0]}; expected a table of MVTec-FS: copy it again", [path])
    for number, row in enumerate(table.select(COLUMNS).to_pylist(), 1):
        try:
            size = int(float(row["imageHeight"])), int(float(row["imageWidth"]))
            points = parse_points(row["points"])
            instance = Instance(int(row["id"]), str(row["label"]), points, size)
            relative = str(row["img_rel_path"]).replace("\\", "/")
        except (TypeError, ValueError, RecursionError) as error:
            told = f"{path}, row {number} is no polygon ({error}); expected id, label, size and points: copy it again"
            raise DataError("E_LABEL", told, [path]) from error
        yield relative, _checked(path, instance)


def _checked(path: Path, instance: Instance) -> Instance:
    """An instance with a clean name and a size that an image can have.

    Raises:
        DataError: E_LABEL: it has neither.
    """
    height, width = instance.size
    try:
        if not (height > 0 and width > 0 and height * width <= MOST_PIXELS):
            raise ValueError(f"has the size {width}×{height}")
        return Instance(instance.number, clean_name("label", instance.defect), instance.points, instance.size)
    except ValueError as error:
        told = f"{path} {error} (polygon {instance.number}); expected an image of MVTec AD: copy it again"
        raise DataError("E_LABEL", told, [path]) from error
