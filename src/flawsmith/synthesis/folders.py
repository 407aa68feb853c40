"""The folders that a method's parameters name: where they are from any working directory, and the state of their files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.core.files import canonical_json, sha256_bytes
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.synthesizer import Heritage
from flawsmith.data.copies import copies_of
from flawsmith.data.dataset import Dataset
from flawsmith.data.dtd import count_note
from flawsmith.data.tree import IMAGE_SUFFIXES
from flawsmith.masks.foreground import is_path

PARAMETERS = ("textures", "foreground", "objects", "folder")
"""Those that may name a folder."""

PREFIX = "model:"
"""What stands before the folder of a saliency network."""


def folder_named(parameter: str, value: Any) -> Path | None:
    """The folder that the value of a parameter names, absolute; None where it is a word or no such parameter."""
    if parameter not in PARAMETERS or not isinstance(value, str):
        return None
    place = value.removeprefix(PREFIX)
    always = parameter == "folder" or place != value  # what else may be a word needs a slash to be a folder
    return Path(place).expanduser().absolute() if place and (always or is_path(place)) else None


def with_absolute_folders(recipe: MethodRecipe) -> MethodRecipe:
    """The same method from any working directory, so that a line of a manifest makes its image again from anywhere."""
    return MethodRecipe(name=recipe.name, params={name: _absolute(name, value) for name, value in recipe.params.items()})


def _absolute(name: str, value: Any) -> Any:
    if name == "members":
        return [{**member, "method": _member(member["method"])} for member in value]
    folder = folder_named(name, value)
    if folder is None:
        return value
    return f"{PREFIX}{folder}" if value.startswith(PREFIX) else str(folder)


def _member(method: Mapping[str, Any]) -> dict[str, Any]:
    return with_absolute_folders(MethodRecipe.model_validate(method)).model_dump(mode="json")


def state_of(folders: Iterable[Path]) -> str:
    """Digest of names, sizes and times of every file in the folders; empty where there is no folder."""
    told = [[str(folder), sorted([name, s.st_size, s.st_mtime_ns] for name, s in _files(folder))] for folder in folders]
    return sha256_bytes(canonical_json(told).encode()) if told else ""


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What is there and not hidden, by name relative to the folder; links are followed, and those that lead nowhere left out."""
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            file = Path(place) / name
            if not name.startswith(".") and file.exists():
                yield str(file.relative_to(folder)), file.stat()


def refuse_textures_from(data: Dataset, heritages: Mapping[str, Heritage]) -> None:
    """Refuse textures that are the photographs, those to be tested on among them: their folder, links to them, or copies of them.

    A copy is known by its decoded pixels, in any lossless format, turned or mirrored; one that was compressed or resized is not.

    Args:
        data: the photographs.
        heritages: by the method's name.

    Raises:
        DataError: E_SYNTHETIC; it names the folder.
    """
    whole = Path(data.root).resolve()
    for name, heritage in heritages.items():
        for folder in heritage.textures:
            if _overlap(folder.resolve(), whole) or _share_a_file(folder, data):
                raise DataError(
                    "E_SYNTHETIC",
                    f"{name} takes its textures from {folder}, which overlaps the photographs in {data.root}, those of the "
                    f"test among them; expected other pictures: move it out, or set {name}.textures=normals for good parts",
                    [folder],
                )
        _refuse_copies(name, heritage.textures, data)


def _refuse_copies(name: str, folders: Iterable[Path], data: Dataset) -> None:
    for folder in folders:
        pictures = sorted(_pictures(folder))
        found = copies_of(pictures, data.samples)
        if found:
            copy, photograph = found[0]
            more = f" ({len(found)} such pictures)" if len(found) > 1 else ""
            raise DataError(
                "E_SYNTHETIC",
                f"{name} takes its textures from {folder}, where {copy.relative_to(folder)} is a copy of the photograph "
                f"{photograph.source.location}{more}; expected other pictures, the test's are among the photographs: "
                f"remove it, or set {name}.textures=normals for good parts",
                [copy for copy, _ in found],
            )


def _pictures(folder: Path) -> list[Path]:
    return [folder / name for name, _ in _files(folder) if Path(name).suffix.lower() in IMAGE_SUFFIXES]


def _overlap(one: Path, other: Path) -> bool:
    parts = (one.parts, other.parts)
    shortest = min(map(len, parts))
    return parts[0][:shortest] == parts[1][:shortest]


def _share_a_file(folder: Path, data: Dataset) -> bool:
    """Whether a picture of the folder is, by a link of either kind, one of the photographs."""
    there = {(status.st_dev, status.st_ino) for _, status in _files(folder)}
    photographs = (Path(sample.source.location) for sample in data.samples if there)
    found = (photograph.stat() for photograph in photographs if photograph.is_file())
    return any((status.st_dev, status.st_ino) in there for status in found)


def heritage_of_folders(parameters: Mapping[str, Any]) -> Heritage:
    """What the folders among a method's parameters bring into a run."""
    named = {name: folder for name, value in parameters.items() if (folder := folder_named(name, value)) is not None}
    folders: Sequence[Path] = tuple(dict.fromkeys(named.values()))
    textures = (named["textures"],) if "textures" in named else ()
    notes = (count_note(folder, len(_pictures(folder))) for folder in textures if folder.is_dir())
    warnings = tuple(note for note in notes if note is not None)
    return Heritage(folders=tuple(folders), textures=textures, state=state_of(folders), warnings=warnings)
