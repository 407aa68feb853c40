"""The form in which UniADC repacked MVTec-FS and WFDD (cnulab/UniADC, `datasets/dataset.py`; Hugging Face `XimiaoZhang/…`).

    samples/train_<product>.jsonl, samples/test_<product>.jsonl       one object per image
    images/…                                                          images and masks, where the lines say

A line holds `filename`, `label` (0 is normal), `label_name` and, for an anomaly, `maskname`; a mask's values are the labels. The
class `combined` must have the last id and takes no part in classification. Support sets are the first lines of each class, so
that ids begin with the number of their line.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.manifest.files import each_key_once
from flawsmith.data.manifest.labels import COMBINED, clean_name
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource, MaskEncoding
from flawsmith.data.tree import Folder, Tree, split_suffix

SAMPLES, IMAGES = "samples", "images"
SPLITS: Mapping[str, SplitName] = {"train": "train", "test": "test"}
_FILE = re.compile(r"(train|test)_(.+)\.jsonl")


@dataclass(frozen=True)
class Line:
    """One line of a list.

    Args:
        number: from 1.
        image, mask: paths as they stand there.
        label: class id; 0 is normal.
        defect: its name; `good` for a normal.
    """

    number: int
    image: str
    mask: str | None
    label: int
    defect: str


@dataclass
class Repack:
    """What the lists of one repack say.

    Args:
        samples: of all products.
        classes: product → defects in the order of their ids.
        combined: the classes that stand for several.
        problems: broken rules.
        used: images and masks that a line names.
    """

    samples: list[Sample] = field(default_factory=list)
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    combined: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)


def lists_of(tree: Tree) -> Mapping[str, Mapping[str, str]]:
    """Product → split → path of its list; empty where there is none."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for home in _homes(tree.top):
        samples = home.folders.get(SAMPLES)
        for name in samples.others if samples is not None and IMAGES in home.folders else ():
            match = _FILE.fullmatch(name)
            if match:
                found[match[2]][match[1]] = f"{home.path}/{SAMPLES}/{name}".lstrip("/")
        if found:
            break
    return found


def _homes(top: Folder) -> Iterator[Folder]:
    """The root, and a single folder that it may hold."""
    yield top
    if len(top.folders) == 1:
        yield next(iter(top.folders.values()))


def list_name(name: str) -> bool:
    """Whether a file of this name is a list of the repack."""
    return _FILE.fullmatch(name) is not None


def read_repack(tree: Tree, lists: Mapping[str, Mapping[str, str]]) -> Repack:
    """Read the lists; no image is opened.

    Raises:
        DataError: E_LABEL: a line is none, or the classes contradict one another.
    """
    repack = Repack()
    for product, paths in lists.items():
        home = next(iter(paths.values())).rpartition(f"{SAMPLES}/")[0]
        by_split = {split: list(_lines(tree.root / path)) for split, path in sorted(paths.items())}
        order = _order(tree.root / next(iter(paths.values())), [line for lines in by_split.values() for line in lines])
        repack.classes[product] = order
        repack.combined |= {COMBINED} & set(order)
        reader = _Reader(tree, home, product, order, repack)
        for split, lines in by_split.items():
            reader.read(SPLITS[split], tree.root / paths[split], lines)
    _refuse_twice(tree.root, repack)
    return repack


def _lines(path: Path) -> Iterator[Line]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, text in enumerate(stream, 1):
                if text.strip():
                    yield _line(path, number, text)
    except (OSError, UnicodeError) as error:
        raise DataError("E_LABEL", f"{path} cannot be read ({error}); expected a text file: copy it again", [path]) from error


def _line(path: Path, number: int, text: str) -> Line:
    try:
        told: dict[str, Any] = json.loads(text, object_pairs_hook=each_key_once)
        image, mask, label, name = told["filename"], told.get("maskname"), told["label"], told["label_name"]
        if not isinstance(image, str) or not isinstance(mask, str | None) or type(label) is not int or not 0 <= label < 256:
            raise TypeError("filename and maskname are paths, label is a number from 0 to 255")
        return Line(number, image, mask or None, label, GOOD if label == 0 else clean_name("label_name", str(name)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            "E_LABEL",
            f"{path}, line {number} is no image ({type(error).__name__}: {error}); expected an object with filename, label and "
            f"label_name: copy the file again",
            [path],
        ) from error


def _order(path: Path, lines: Sequence[Line]) -> tuple[str, ...]:
    """The classes of a product in the order of their labels."""
    names: dict[int, set[str]] = defaultdict(set)
    for line in lines:
        if line.label:
            names[line.label].add(line.defect)
    order = tuple(name for label in sorted(names) for name in sorted(names[label]))
    wrong = "several names for one label" if len(order) > len(names) else ""
    wrong = wrong or ("several labels for one name" if len(set(order)) < len(order) else "")
    wrong = wrong or ("a label missing among its labels" if sorted(names) != list(range(1, len(names) + 1)) else "")
    wrong = wrong or (f"{COMBINED} before other classes" if COMBINED in order[:-1] else "")
    if wrong:
        told = ", ".join(f"{label} {'/'.join(sorted(names[label]))}" for label in sorted(names))
        raise DataError(
            "E_LABEL",
            f"{path} and its sister have {wrong} ({told}); expected 1, 2, … with {COMBINED} last: copy them again",
            [path],
        )
    return order


@dataclass
class _Reader:
    tree: Tree
    home: str
    product: str
    order: tuple[str, ...]
    repack: Repack

    def __post_init__(self) -> None:
        self.there = set(self.tree.top.all_images())
        classes = {name: number for number, name in enumerate(self.order, 1) if name != COMBINED}
        declared = f"{SAMPLES}/…_{self.product}.jsonl"
        self.encoding = MaskEncoding("class_id", classes=classes, declared=declared)

    def read(self, split: SplitName, path: Path, lines: Sequence[Line]) -> None:
        """Add the samples of one list."""
        digits = len(str(len(lines)))
        for line in lines:
            image = self._found(path, line, line.image, "E_ROOT")
            mask = self._found(path, line, line.mask, "E_MISSING_MASK") if line.mask is not None else None
            if image is None:
                continue
            stem = unicodedata.normalize("NFC", split_suffix(image.rpartition("/")[2])[0])
            name = f"{self.product}/{split}/{line.defect}/{line.number:0{digits}d}-{stem}"
            masks = (mask,) if mask is not None else ()
            source = FileSource(self.tree.root, image, line.defect, masks, self.encoding)
            tags = {"line": str(line.number)}
            self.repack.samples.append(Sample(name, self.product, line.defect, split, name, source, tags=tags))
            self.repack.used.update((image, *masks))

    def _found(self, path: Path, line: Line, told: str, code: str) -> str | None:
        """The path of a file from the root; None where it is not there, which is remembered."""
        leaves = posixpath.normpath(told).startswith(("../", "/"))
        for base in () if leaves else (self.home, f"{self.home}{IMAGES}/"):
            whole = posixpath.normpath(f"{base}{told}")
            if whole in self.there:
                return whole
        what = f"leaves {self.tree.root}" if leaves else f"is not under {self.tree.root}"
        message = f"{path}, line {line.number}: {told} {what}; expected every listed file there: copy it again"
        self.repack.problems.append(Problem("E_ROOT" if leaves else code, message, (told,)))
        return None


def _refuse_twice(root: Path, repack: Repack) -> None:
    """Remember the images that two lines name."""
    owners: dict[str, list[str]] = defaultdict(list)
    for sample in repack.samples:
        owners[sample.source.location].append(sample.id)
    for location, ids in owners.items():
        if len(ids) > 1:
            told = f"{location} is listed twice, as {ids[0]} and {ids[1]}; expected each image once: copy the lists again"
            repack.problems.append(Problem("E_DUPLICATE", told, (location,)))
