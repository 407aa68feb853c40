"""Layout `elpv`: photographs of solar cells (Buerhop-Lutz et al., PVSC 2018; Deitsch et al., Solar Energy 185, 2019).

Read from the installed package `elpv-dataset` where the root is the word `elpv`, or from a checkout of zae-bayern/elpv-dataset.
There are no masks. Consecutive cells were cut from one module; blocks of 60 form a group.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from flawsmith.core.errors import DataError
from flawsmith.core.samples import GOOD, UNKNOWN, Sample
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.problems import Problem
from flawsmith.data.reading import FileSource
from flawsmith.data.tree import Tree, split_suffix

LABELS = "labels.csv"
HOMES = ("", "data", "src/elpv_dataset/data", "elpv_dataset/data")
BLOCK = 60
"""Cells per group, in the order of the labels."""

PROBABILITIES = (0.0, 1 / 3, 2 / 3, 1.0)
TOLERANCE = 0.01
COUNTS = {"mono": (588, 117, 56, 313), "poly": (920, 178, 50, 402)}
"""Module type → images of each probability."""


@dataclass(frozen=True)
class Row:
    """One line of the labels: path, index of the probability in `PROBABILITIES`, module type, group."""

    path: str
    level: int
    product: str
    group: str


class ElpvLayout(Layout):
    """Solar cells.

    Args:
        uncertain: what becomes of the probabilities 1/3 and 2/3: `drop` them, `binarise` at 1/2, or do so and keep the certainty
            as the sample's weight (`soft`), which neither training nor metrics use yet.
    """

    name: ClassVar[str] = "elpv"
    known: ClassVar[bool] = True

    uncertain: Literal["drop", "binarise", "soft"] = "drop"

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """One sentence where the labels and images are there."""
        home = _home(tree)
        return (f"{home}{LABELS} beside {home}images/cell… as in elpv-dataset",) if home is not None else ()

    def expects(self, tree: Tree) -> str:
        """What is missing."""
        return "elpv wants labels.csv beside images/cell0001.png …, or the word elpv for the installed package elpv-dataset"

    def read(self, tree: Tree) -> Found:
        """Read the labels."""
        home = _home(tree)
        if home is None:
            raise DataError("E_LAYOUT", f"{tree.root} does not fit the layout elpv; {self.expects(tree)}", [tree.root])
        rows, problems = _rows(tree.root / home / LABELS, home)
        images = set(tree.top.all_images())
        gone = tuple(row.path for row in rows if row.path not in images)
        problems += [_gone(tree, home, gone)] if gone else []
        samples = [self._sample(tree, row) for row in rows if row.path in images and self._keeps(row)]
        labelled = {row.path for row in rows}
        unmatched = tuple(path for path in tree.top.all_images() if path not in labelled)
        return Found(self._dataset(tree, samples, rows), self.fits(tree)[0], tuple(problems), unmatched)

    def _keeps(self, row: Row) -> bool:
        return self.uncertain != "drop" or row.level in (0, 3)

    def _sample(self, tree: Tree, row: Row) -> Sample:
        probability = PROBABILITIES[row.level]
        defect = GOOD if probability < 0.5 else UNKNOWN
        weight = max(probability, 1 - probability) if self.uncertain == "soft" else 1.0
        name = f"{row.product}/pool/{defect}/{split_suffix(row.path.rpartition('/')[2])[0]}"
        tags = {"probability": f"{probability:.2f}", "module": row.product}
        return Sample(name, row.product, defect, "pool", row.group, FileSource(tree.root, row.path, defect), weight, tags=tags)

    def _dataset(self, tree: Tree, samples: list[Sample], rows: list[Row]) -> Dataset:
        uncertain = sum(row.level in (1, 2) for row in rows)
        told = {
            "drop": "left out",
            "binarise": "labelled at 1/2",
            "soft": "labelled at 1/2; their certainty is kept as a weight that neither training nor metrics use yet",
        }[self.uncertain]
        return Dataset(
            name="elpv",
            root=tree.root,
            layout=self.spelled(),
            samples=tuple(sorted(samples, key=sort_key)),
            licence="images CC BY-NC-SA 4.0 (no commercial use)",
            citation="Buerhop-Lutz et al., EU PVSEC 2018; Deitsch et al., Solar Energy 185, 2019 (elpv-dataset)",
            default_split="elpv-blocks",
            notes=(f"{uncertain} images of uncertain label are {told}", "there are no masks: image-level metrics only"),
            pixel_truth=False,
            expected=self._expected(),
        )

    def _expected(self) -> dict[tuple[str, str], int]:
        kept = (0, 3) if self.uncertain == "drop" else (0, 1, 2, 3)
        return {
            (product, defect): sum(counts[level] for level in kept if (PROBABILITIES[level] < 0.5) == (defect == GOOD))
            for product, counts in COUNTS.items()
            for defect in (GOOD, UNKNOWN)
        }


def package_folder() -> Path:
    """The data folder inside the installed package `elpv-dataset`; the package is not imported.

    Raises:
        DataError: E_ROOT: it is not installed.
    """
    spec = importlib.util.find_spec("elpv_dataset")
    for location in spec.submodule_search_locations or () if spec else ():
        if (Path(location) / "data" / LABELS).is_file():
            return Path(location) / "data"
    raise DataError(
        "E_ROOT",
        "elpv is no folder, and the package elpv-dataset is not installed; expected one of them: pip install 'flawsmith[demo]'",
    )


def _home(tree: Tree) -> str | None:
    """Path prefix of the folder that holds labels and images; None where there is none."""
    for home in HOMES:
        folder = tree.top.at(home)
        if folder is not None and LABELS in folder.others and "images" in folder.folders:
            return f"{home}/" if home else ""
    return None


def _gone(tree: Tree, home: str, gone: tuple[str, ...]) -> Problem:
    told = f"{tree.root / home / LABELS} names {gone[0]}, not there; expected every image of the list: copy it again"
    return Problem("E_LABEL", told, gone)


def _rows(path: Path, home: str) -> tuple[list[Row], list[Problem]]:
    """The lines of the labels, and what is wrong with others; a group counts both."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError("E_LABEL", f"{path} cannot be read ({error}); expected a text file: copy it again", [path]) from error
    rows: dict[str, Row] = {}
    problems = []
    for index, (number, fields) in enumerate((number, line.split()) for number, line in enumerate(lines, 1) if line.strip()):
        code, told = _flaw(fields, rows)
        if code:
            problems.append(Problem(code, f"{path}, line {number}: {told}", (f"{path}:{number}",)))
        else:
            level = _level(fields[1])
            assert level is not None
            rows[fields[0]] = Row(f"{home}{fields[0]}", level, fields[2], f"block-{index // BLOCK:02d}")
    return list(rows.values()), problems


def _flaw(fields: Sequence[str], before: Container[str]) -> tuple[str, str]:
    """(code, what is wrong with a line); empty where nothing is."""
    if len(fields) != 3 or fields[2] not in COUNTS or _level(fields[1]) is None:
        return "E_LABEL", (
            f"{' '.join(fields)[:80]!r} is no label; expected PATH PROBABILITY TYPE with a probability of 0, 1/3, 2/3 or 1 and a "
            f"type mono or poly: copy the file again"
        )
    name = fields[0]
    if name.startswith("/") or ".." in name.split("/") or not re.fullmatch(r"[\w./-]+", name):
        return "E_ROOT", f"{name!r} leaves the folder; expected a path inside it: mend it"
    if name in before:
        return "E_DUPLICATE", f"{name!r} is there twice; expected each once: remove one"
    return "", ""


def _level(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    near = [index for index, known in enumerate(PROBABILITIES) if math.isclose(value, known, abs_tol=TOLERANCE)]
    return near[0] if near else None
