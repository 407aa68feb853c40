"""The columns of a list of images, and what other tools call them.

Aliases: anomalib's `Tabular` (`label_index`), RealNet and UniADC (`filename, label, label_name, clsname, maskname`), ADer's
`meta.json` (`img_path, mask_path, cls_name, specie_name, anomaly`) and VisA's CSV (`object, split, label, image, mask`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError

ALIASES: Mapping[str, tuple[str, ...]] = {
    "image_path": ("image_path", "filename", "img_path", "image"),
    "category": ("category", "clsname", "cls_name", "object"),
    "split": ("split",),
    "label": ("label", "label_index", "anomaly"),
    "class_name": ("class_name", "label_name", "specie_name"),
    "class_id": ("class_id",),
    "mask_path": ("mask_path", "maskname", "mask"),
    "mask_encoding": ("mask_encoding",),
    "group_id": ("group_id",),
    "weight": ("weight",),
    "origin": ("origin",),
    "sha256": ("sha256",),
    "sample_id": ("sample_id",),
    "classes": ("classes",),
    "combined": ("combined",),
}
"""Column → the names by which it is known, the first one that is there counts; every other column is carried through."""

ABOUT = ("dataset", "licence", "citation", "default_split", "image_scale", "classes_of")
"""Columns that tell of the whole list, where every row says the same."""

RELEASE = "release"
"""In the column `classes_of`: the classes are those of a published release, of which the list may be a part."""

SECOND_LABEL = "label_index"
"""anomalib's own label, which may stand beside `label` and must then agree with it."""

BLANK_MASK = "blank_mask"
"""A column that is carried through, and says of a row that its mask is known to be blank."""

RESERVED = frozenset({*ALIASES, *ABOUT, SECOND_LABEL})
"""Names that a column to be carried through cannot have."""

SYNTHETIC = (
    "generator",
    "generator_version",
    "config_hash",
    "seed",
    "source_sha256",
    "reference_sha256",
    "texture_sha256",
)
"""What a synthetic record tells besides its `origin`; carried through like any other column."""

ALL = "all"
"""The product of a list without categories."""

JOINER = ";"
"""Between the parts of one cell: several masks, the classes in their order."""


@dataclass(frozen=True)
class Form:
    """Which column of a file stands for which of ours.

    Args:
        found: our column → the file's.
        carried: columns of the file that are carried through untouched, in their order.
    """

    found: Mapping[str, str]
    carried: tuple[str, ...]

    @property
    def is_visa(self) -> bool:
        """Whether the masks are those of VisA, whose values are class ids that the list does not name."""
        return self.found.get("mask_path") == "mask" and self.found.get("category") == "object"


def form_of(names: Sequence[str], path: Path) -> Form:
    """Find our columns among those of a file.

    Raises:
        DataError: E_LAYOUT: a column is there twice, or no column names the image or what it shows.
    """
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise refused(path, f"has the column {twice[0]!r} twice", "each once", "rename one")
    there = {column: next((name for name in known if name in names), None) for column, known in ALIASES.items()}
    found = {column: name for column, name in there.items() if name is not None}
    if "image_path" not in found:
        raise refused(path, f"has no column image_path ({_told(names)})", "one row per image with its path", "name that column")
    if "label" not in found and "class_name" not in found:
        raise refused(path, f"has neither a column label nor class_name ({_told(names)})", "one of them", "add it")
    return Form(found, tuple(name for name in names if name not in found.values()))


def _told(names: Sequence[str]) -> str:
    only = f"its only column is {names[0][:60]!r}: are its values separated by commas?" if len(names) == 1 else ""
    return only or f"it has {', '.join(map(repr, names[:8]))}{' …' if len(names) > 8 else ''}"


def refused(path: Path, what: str, expected: str, remedy: str, files: Sequence[Any] = ()) -> DataError:
    """The error of a file that is no list of images (E_LAYOUT)."""
    return DataError("E_LAYOUT", f"{path} {what}; expected {expected}: {remedy}", files or [path])
