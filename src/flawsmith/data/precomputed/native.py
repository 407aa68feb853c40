"""Our own sets: those that `flawsmith synth` writes (synthesis/writing.py), and the native exchange layout, version 1.

| | written by `flawsmith synth` | native layout v1 |
|---|---|---|
| known by | `synth.json` with `format`, and `manifest.jsonl` | `synth.json` with `schema_version` |
| pairs | the lines of the manifest | PRODUCT/TYPE/{image,mask,origin}/NAME.png |
| made from | `trained_on`, and `source` in each line | `source_normal` in the `meta.jsonl` of a type |
| learned from | `learned_from` | `split.train` in `synth.json`, or `train` in the `split.json` of a type |
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from flawsmith.core.errors import DamagedFile, DataError
from flawsmith.core.files import read_json
from flawsmith.core.samples import GOOD
from flawsmith.data.precomputed.anomalydiffusion import pairs_in, type_folders
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair, sorted_pairs
from flawsmith.data.tree import Tree, natural_key, split_suffix

FORMAT = 1
MANIFEST = "manifest.jsonl"
META = "meta.jsonl"
SPLIT = "split.json"


class NativeLayout:
    """A folder with `synth.json`."""

    name = "native"

    def fits(self, tree: Tree) -> str:
        """`synth.json` is there."""
        return f"{HEADER} is there" if HEADER in tree.top.others else ""

    def expects(self) -> str:
        """For messages."""
        return f"{HEADER} beside PRODUCT/DEFECT/image and mask, as `flawsmith synth` writes them"

    def read(self, tree: Tree) -> Listing:
        """By the manifest where there is one, else by the folders."""
        header = read_json(tree.root / HEADER) if HEADER in tree.top.others else None
        if not isinstance(header, dict):
            raise DataError("E_LAYOUT", f"{tree.root} holds no {HEADER}; expected {self.expects()}: choose another layout")
        if MANIFEST in tree.top.others:
            _check_version(tree.root / HEADER, header, "format")
            return _written(tree.root, header)
        _check_version(tree.root / HEADER, header, "schema_version")
        return _exchanged(tree, header)


def _check_version(path: Path, header: Mapping[str, Any], key: str) -> None:
    if header.get(key) != FORMAT:
        raise DamagedFile(f"{path} has {key} {header.get(key)!r}; expected {FORMAT}: write the set again with this version")


# --- as `flawsmith synth` writes it


def _written(root: Path, header: Mapping[str, Any]) -> Listing:
    pairs = [_pair_of(line, root, number) for number, line in _lines(root / MANIFEST) if line.get("defect") != GOOD]
    try:
        trained_on = {str(product): set(map(str, ids)) for product, ids in header["trained_on"].items()}
        named = {str(product): frozenset(map(str, names)) for product, names in header.get("named_sources", {}).items()}
        real = {str(product): _stems(names) for product, names in header.get("learned_from", {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedFile(f"{root / HEADER} does not tell what the set was made from ({error}); write the set again") from error
    for pair in pairs:
        if pair.product is not None and pair.source is not None:
            trained_on.setdefault(pair.product, set()).add(pair.source)
    notes = tuple(str(note) for note in header.get("warnings", ()))
    used = bool(header.get("uses_real_anomalies", False))
    seen = {product: frozenset(ids) for product, ids in trained_on.items()}
    return Listing(root, NativeLayout.name, sorted_pairs(pairs), used, True, seen, named, real, notes)


def _stems(names: Any) -> frozenset[tuple[str, str]]:
    return frozenset((str(defect), str(stem)) for defect, stem in names)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}); expected one JSON object per line: restore it") from error
    for number, line in enumerate(text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DamagedFile(f"{path} line {number} is no JSON ({error}); restore the file or make the set again") from error
        if not isinstance(value, dict):
            raise DamagedFile(f"{path} line {number} is no JSON object; restore the file or make the set again")
        yield number, value


def _pair_of(line: Mapping[str, Any], root: Path, number: int) -> Pair:
    try:
        files = {str(kind): str(file["path"]) for kind, file in line["files"].items()}
        digests = {str(file["path"]): str(file["sha256"]) for file in line["files"].values()}
        source = line.get("source")
        pair = Pair(
            str(line["product"]),
            str(line["defect"]),
            files["image"],
            files["mask"],
            files.get("clean"),
            None if source is None else str(source),
            digests,
        )
    except (KeyError, TypeError, AttributeError) as error:
        told = f"{root / MANIFEST} line {number} is no line of a set ({error}); restore the file or make the set again"
        raise DamagedFile(told) from error
    _refuse_missing(pair, root, number)
    return pair


def _refuse_missing(pair: Pair, root: Path, number: int) -> None:
    for path in pair.files.values():
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts:
            raise DamagedFile(f"{root / MANIFEST} line {number} names {path!r}; expected a file inside the set: restore it")
        if not (root / path).is_file():
            raise DamagedFile(f"{root / path} of {MANIFEST} line {number} is missing; copy the whole set again or make it again")


# --- native layout v1


def _exchanged(tree: Tree, header: Mapping[str, Any]) -> Listing:
    pairs: list[Pair] = []
    notes: list[str] = []
    named: dict[str, frozenset[str]] = {}
    real: dict[str, frozenset[tuple[str, str]]] = {}
    for product, defect, folder in type_folders(tree.top):
        if product is None or defect == GOOD:
            continue
        sources = _sources(tree.root / folder.path / META) if META in folder.others else {}
        found, told = pairs_in(folder, product, defect, tree)
        pairs += [_with_source(pair, sources) for pair in found]
        notes += told
        named[product] = named.get(product, frozenset()) | set(sources.values())
        real[product] = real.get(product, frozenset()) | {
            (defect, stem) for stem in _trained_stems(tree, header, product, defect, SPLIT in folder.others)
        }
    tells = any(named.values()) or any(real.values())
    used = any(real.values()) or header.get("split") is not None
    return Listing(tree.root, NativeLayout.name, sorted_pairs(pairs), used, tells, {}, named, real, tuple(notes))


def _with_source(pair: Pair, sources: Mapping[str, str]) -> Pair:
    stem = split_suffix(PurePosixPath(pair.image).name)[0]
    return Pair(pair.product, pair.defect, pair.image, pair.mask, pair.origin, sources.get(stem))


def _sources(path: Path) -> dict[str, str]:
    """Stem of the picture → the normal it was made from, from `meta.jsonl`."""
    found = {}
    for number, line in _lines(path):
        if "id" not in line:
            raise DamagedFile(f"{path} line {number} has no id; expected id, seed, source_normal, …: restore the file")
        if line.get("source_normal") is not None:
            found[str(line["id"])] = str(line["source_normal"])
    return found


def _trained_stems(tree: Tree, header: Mapping[str, Any], product: str, defect: str, own: bool) -> list[str]:
    """Stems of the real anomalies that a type's generator learned from."""
    told: list[Any] = []
    if own:
        told.append(read_json(tree.root / product / defect / SPLIT))
    told.append(header.get("split"))
    for split in told:
        train = split.get("train") if isinstance(split, dict) else None
        if isinstance(train, dict):
            train = train.get(product, train)
            train = train.get(defect) if isinstance(train, dict) else train
        if isinstance(train, list):
            return sorted(map(str, train), key=natural_key)
    return []
