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
from pathlib import Path, PurePath, PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints, ValidationError

from flawsmith.core.errors import DamagedFile, DataError
from flawsmith.core.files import read_json
from flawsmith.core.samples import GOOD
from flawsmith.data.precomputed.anomalydiffusion import pairs_in, type_folders
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair, sorted_pairs
from flawsmith.data.tree import Tree, split_suffix

FORMAT = 1
MANIFEST = "manifest.jsonl"
META = "meta.jsonl"
SPLIT = "split.json"

Name = Annotated[str, StringConstraints(max_length=255)]
FilePath = Annotated[str, StringConstraints(max_length=4096)]


class _File(BaseModel):
    path: FilePath
    sha256: str


class _Line(BaseModel):
    """What is read of a line of the manifest; `synthesis/writing.py` writes more."""

    product: Name
    defect: Name
    files: dict[str, _File]
    source: str | None = None


class _Header(BaseModel):
    """What is read of `synth.json` beside a manifest."""

    trained_on: dict[str, list[str]]
    named_sources: dict[str, list[str]] = {}
    learned_from: dict[str, list[tuple[str, str]]] = {}
    warnings: list[str] = []
    uses_real_anomalies: bool = False


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
        raise DamagedFile(f"{path} has {key} {header.get(key)!r:.80}; expected {FORMAT}: write the set again with this version")


# --- as `flawsmith synth` writes it


def _written(root: Path, header: Mapping[str, Any]) -> Listing:
    real_root = root.resolve()
    pairs = [pair for number, line in _lines(root / MANIFEST) if (pair := _pair_of(line, root, real_root, number)) is not None]
    try:
        told = _Header.model_validate(header)
    except ValidationError as error:
        raise DamagedFile(
            f"{root / HEADER} does not tell what the set was made from ({_complaint(error)}); write the set again"
        ) from error
    trained_on = {product: set(ids) for product, ids in told.trained_on.items()}
    for pair in pairs:
        if pair.product is not None and pair.source is not None:
            trained_on.setdefault(pair.product, set()).add(pair.source)
    return Listing(
        root,
        NativeLayout.name,
        sorted_pairs(pairs),
        told.uses_real_anomalies,
        tells=True,
        trained_on={product: frozenset(ids) for product, ids in trained_on.items()},
        named={product: frozenset(names) for product, names in told.named_sources.items()},
        real={product: frozenset(names) for product, names in told.learned_from.items()},
        notes=tuple(told.warnings),
    )


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects in a file, one per line; only a line feed ends a line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read ({error}); expected one JSON object per line: restore it") from error
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else ()):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedFile(f"{path} line {number} is no JSON ({error}); restore the file or make the set again") from error
        if not isinstance(value, dict):
            raise DamagedFile(f"{path} line {number} is no JSON object; restore the file or make the set again")
        yield number, value


def _pair_of(line: Mapping[str, Any], root: Path, real_root: Path, number: int) -> Pair | None:
    """The pair of one line; None of a normal."""
    if line.get("defect") == GOOD:
        return None
    try:
        told = _Line.model_validate(line)
        files = {kind: file.path for kind, file in told.files.items()}
        digests = {file.path: file.sha256 for file in told.files.values()}
        pair = Pair(told.product, told.defect, files["image"], files["mask"], files.get("clean"), told.source, digests)
    except (ValidationError, KeyError) as error:
        why = _complaint(error) if isinstance(error, ValidationError) else f"it has no {error}"
        told_why = f"{root / MANIFEST} line {number} is no line of a set ({why}); restore the file or make the set again"
        raise DamagedFile(told_why) from error
    for path in pair.files.values():
        if not _lies_inside(path, real_root):
            raise DamagedFile(f"{root / MANIFEST} line {number} names {path!r}; expected a file inside the set: restore it")
        if not _is_file(root / path):
            raise DamagedFile(f"{root / path} of {MANIFEST} line {number} is missing; copy the whole set again or make it again")
    return pair


def _lies_inside(path: str, real_root: Path) -> bool:
    """Whether a path leads to a place inside the folder, links followed; with `/` alone, so that it does on every system."""
    if "\\" in path or PurePath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return False
    try:
        return (real_root / path).resolve().is_relative_to(real_root)
    except (OSError, ValueError, RuntimeError):  # no path at all, or a link round in a circle
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


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
            return [str(stem) for stem in train]
    return []
