"""The records of a set that `flawsmith synth` wrote: where each picture came from, as columns of a list.

`origin=synthetic`, `generator`, `generator_version`, `config_hash`, `seed`, `source_id`; and, where the photographs it was made
from still lie where they lay, `source_sha256` (the normal) and `reference_sha256` (the real defects it was pasted from), by which
a picture made from a tested photograph is found. A texture is told by its name, as `texture`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DamagedFile, DataError
from flawsmith.core.files import canonical_json, read_json, sha256_bytes
from flawsmith.core.samples import Sample
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.loading import SYNTHETIC, load
from flawsmith.data.manifest.columns import JOINER
from flawsmith.data.reading import FileSource
from flawsmith.data.tree import split_suffix

LINES = "manifest.jsonl"


def is_synthetic_set(folder: Path) -> bool:
    """Whether `flawsmith synth` wrote the folder."""
    return (folder / SYNTHETIC).is_file() and (folder / LINES).is_file()


def load_synthetic_set(folder: Path) -> Dataset:
    """The pictures of a set as records of the pool; the photographs it was made from are opened, for their SHA-256.

    Raises:
        DamagedFile: a line or the header is not what `flawsmith synth` writes.
    """
    header = read_json(folder / SYNTHETIC)
    try:
        about, originals = header["data"], _Originals(header)
        samples = [_sample(folder, line, originals) for line in _lines(folder / LINES)]
        named = str(about["name"]), str(about.get("licence", "not stated")), str(about.get("citation", ""))
    except (KeyError, TypeError, AttributeError) as error:
        told = f"{folder} is no whole synthetic set ({error!r}); expected one that flawsmith synth wrote: make it again"
        raise DamagedFile(told) from error
    samples.sort(key=sort_key)
    name, licence, citation = named
    return Dataset(f"synthetic {name}", folder, "native", tuple(samples), licence, citation, notes=originals.notes)


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DamagedFile(f"{path}, line {number} is no JSON ({error}); expected the file as it was written") from error


def _sample(folder: Path, line: Mapping[str, Any], originals: _Originals) -> Sample:
    provenance, image = line["provenance"], str(line["files"]["image"]["path"])
    product, defect, source = str(line["product"]), str(line["defect"]), line.get("source")
    mask = (str(line["files"]["mask"]["path"]),)
    name = f"{product}/pool/{defect}/{split_suffix(image.rpartition('/')[2])[0]}"
    drawn = provenance.get("drawn", {})
    references = [str(piece["id"]) for piece in drawn.get("references", ()) if isinstance(piece, dict) and "id" in piece]
    tags = {
        "generator": str(provenance.get("component") or provenance["method"]),
        "generator_version": str(provenance["version"]),
        "config_hash": sha256_bytes(canonical_json(provenance["recipe"]).encode()),
        "seed": canonical_json(provenance["seed"]),
        "source_id": str(source or ""),
        "source_sha256": originals.digests([source] if source else []),
        "reference_sha256": originals.digests(references),
        "texture": str(drawn.get("texture", "")),
    }
    told = {tag: text for tag, text in tags.items() if text}
    group = originals.group_of(source) or name
    return Sample(name, product, defect, "pool", group, FileSource(folder, image, defect, mask), origin="synthetic", tags=told)


class _Originals:
    """The photographs a set was made from, where they are still there.

    Args:
        header: of the set.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self.samples: dict[str, Sample] = {}
        self.known: dict[str, str] = {}
        self.notes: tuple[str, ...] = ()
        root, layout = str(header["data"]["root"]), str(header["recipe"].get("layout", "auto"))
        try:
            self.samples = {sample.id: sample for sample in load(root, layout).samples}
        except DataError as error:
            self.notes = (f"the photographs it was made from cannot be read ({error.code}), so their SHA-256 is not told",)

    def digests(self, names: list[str]) -> str:
        """SHA-256 of the pixels of photographs, joined; empty where one is not there any more."""
        if not names or any(name not in self.samples for name in names):
            return ""
        return JOINER.join(dict.fromkeys(self._digest(name) for name in names))

    def _digest(self, name: str) -> str:
        if name not in self.known:
            self.known[name] = self.samples[name].digest()
        return self.known[name]

    def group_of(self, name: str | None) -> str:
        """The group of a photograph, which what was made from it belongs to."""
        return self.samples[name].group if name in self.samples else name or ""
