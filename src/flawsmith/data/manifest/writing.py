"""Writing the records of a data set as a list. What is written is read back and compared before it takes its place."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from flawsmith.core.errors import BadParameter, DataError, OutputError
from flawsmith.core.files import PARTIAL, output_errors
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.dataset import Dataset, SampleTable, sort_key
from flawsmith.data.manifest.columns import ABOUT, JOINER, RELEASE, RESERVED
from flawsmith.data.manifest.encodings import NONE, spell_encoding
from flawsmith.data.manifest.listing import read_listing
from flawsmith.data.manifest.rows import ListedSource
from flawsmith.data.reading import BINARY, FileSource
from flawsmith.data.tree import split_suffix

ALWAYS = (
    "image_path",
    "category",
    "split",
    "label",
    "class_name",
    "mask_path",
    "mask_encoding",
    "group_id",
    "weight",
    "origin",
    "sample_id",
)
"""Columns that every written list has, filled or not, so that no column to be carried through is taken for one of them."""

SOMETIMES = ("class_id", "classes", "combined", "sha256", *ABOUT)
"""Columns that are written where they say something."""

BATCH = 16384
Row = Mapping[str, str]


def write_list(dataset: Dataset, out: Path, *, hashes: bool = False, overwrite: bool = False) -> int:
    """Write a data set's records to `out`, whose suffix says in which form, and make sure that they can be read back.

    Args:
        dataset: the records; images are opened only for `hashes`.
        out: `.csv`, `.parquet`, `.jsonl`.
        hashes: note the SHA-256 of the pixels of every image.
        overwrite: replace a file at `out`.

    Returns:
        The number of rows.

    Raises:
        BadParameter: another suffix.
        DataError: E_EXPORT: a record that a list cannot carry, with every such image.
        OutputError: `out` is taken or cannot be written.
    """
    suffix = split_suffix(out.name)[1]
    if suffix not in WRITERS:
        raise BadParameter(f"{out} ends in {suffix or 'no suffix'}; expected {', '.join(WRITERS)}, as in --out list.csv")
    if out.is_dir() or (out.exists() and not overwrite):
        raise OutputError(f"{out} is there already; expected a new file: choose another --out, or add --overwrite")
    _refuse_unlistable(dataset)
    with _aside(out, suffix) as aside:
        rows = (_row(dataset, sample, hashes) for sample in track(dataset.samples, "writing the list", total=len(dataset)))
        WRITERS[suffix](aside, _columns(dataset, hashes), rows)
        _refuse_unlike(dataset, aside)
    return len(dataset)


@contextmanager
def _aside(out: Path, suffix: str) -> Iterator[Path]:
    """A file beside `out` that takes its place when the block ends well, and vanishes when it does not."""
    aside = out.with_name(f".{out.name}.{os.getpid()}{PARTIAL}{suffix}")
    with output_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            aside.replace(out)
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)


def _columns(dataset: Dataset, hashes: bool) -> tuple[str, ...]:
    about = _about(dataset)
    told = {
        "class_id": bool(dataset.classes),
        "classes": bool(dataset.classes),
        "combined": bool(dataset.combined),
        "sha256": hashes or any(isinstance(sample.source, ListedSource) for sample in dataset.samples),
        **{name: name in about for name in ABOUT},
    }
    carried = dict.fromkeys(name for sample in dataset.samples for name in sample.tags)
    return (*ALWAYS, *(name for name in SOMETIMES if told[name]), *carried)


def _about(dataset: Dataset) -> dict[str, str]:
    scales = {str(getattr(sample.source, "scale", None) or "") for sample in islice(dataset.samples, 1)}
    told = {
        "dataset": dataset.name,
        "licence": dataset.licence if dataset.licence != "not stated" else "",
        "citation": dataset.citation,
        "default_split": dataset.default_split if dataset.default_split != "grouped" else "",
        "image_scale": scales.pop() if scales else "",
        "classes_of": RELEASE if dataset.classes_released else "",
    }
    return {name: text for name, text in told.items() if text}


def _row(dataset: Dataset, sample: Sample, hashes: bool) -> Row:
    source = sample.source
    assert isinstance(source, FileSource)
    order = dataset.classes.get(sample.product, ())
    listed = source.sha256 if isinstance(source, ListedSource) else ""
    told = {
        "image_path": _inside(dataset, source, source.path),
        "category": sample.product,
        "split": sample.split,
        "label": "normal" if sample.is_normal else "anomalous",
        "class_name": sample.defect,
        "mask_path": JOINER.join(_inside(dataset, source, mask) for mask in source.masks),
        "mask_encoding": _encoding(dataset, source),
        "group_id": sample.group if sample.group != sample.id else "",
        "weight": "" if sample.weight == 1 else repr(float(sample.weight)),
        "origin": sample.origin,
        "sample_id": sample.id,
        "class_id": _class_id(sample, order),
        "classes": JOINER.join(order),
        "combined": JOINER.join(sorted(dataset.combined)),
        "sha256": sample.digest() if hashes else listed,
        **_about(dataset),
        **sample.tags,
    }
    return {name: text for name, text in told.items() if text}


def _class_id(sample: Sample, order: Sequence[str]) -> str:
    if not order:
        return ""
    return "0" if sample.is_normal else str(order.index(sample.defect) + 1) if sample.defect in order else ""


def _inside(dataset: Dataset, source: FileSource, path: str) -> str:
    """A path of a source from the data set's root."""
    return (
        path if source.root == dataset.root else (source.root / path).absolute().relative_to(dataset.root.absolute()).as_posix()
    )


def _encoding(dataset: Dataset, source: FileSource) -> str:
    if source.encoding != BINARY or source.encoding.classes or source.encoding.codes:
        return spell_encoding(source.encoding)
    return "" if dataset.pixel_truth else NONE


def _refuse_unlistable(dataset: Dataset) -> None:
    """Refuse what has no place in a list.

    Raises:
        DataError: E_EXPORT: one such thing, with every image it concerns.
    """
    found: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        for what in _unlistable(dataset, sample):
            found.setdefault(what, []).append(sample)
    for what, samples in found.items():
        files = [sample.source.location for sample in samples]
        raise DataError(
            "E_EXPORT",
            f"{files[0]} {what}, which a list cannot carry ({len(files)} such images); expected images, masks and names that a "
            f"cell can hold: use the folder itself with --layout {dataset.layout}",
            files,
        )


def _unlistable(dataset: Dataset, sample: Sample) -> Iterator[str]:
    source = sample.source
    if type(source) not in (FileSource, ListedSource):
        yield "is read from more than image and mask files (polygons, or pixels in memory)"
        return
    assert isinstance(source, FileSource)
    if source.root != dataset.root and not (source.root / source.path).absolute().is_relative_to(dataset.root.absolute()):
        yield f"lies outside {dataset.root}"
        return
    if any(JOINER in mask for mask in source.masks):
        yield f"has a mask with {JOINER!r} in its path"
    if any(ord(letter) < 32 for text in (source.path, *source.masks, *sample.tags.values()) for letter in text):
        yield "has a name that is no printable text"
    names = {sample.defect, *dataset.combined, *dataset.classes.get(sample.product, ())}
    if dataset.classes and any(JOINER in name for name in names):
        yield f"has a class with {JOINER!r} in its name"
    taken = sorted(RESERVED & sample.tags.keys())
    if taken:
        yield f"has the tag {taken[0]!r}, the name of a column of its own,"
    if "" in sample.tags.values():
        yield "has a tag without a value"
    if source.blank and "blank_mask" not in sample.tags:
        yield "has a mask that is known to be blank without being tagged blank_mask"


def _refuse_unlike(dataset: Dataset, path: Path) -> None:
    """Read a written list back.

    Raises:
        DataError: E_EXPORT: a record is not the same.
    """
    try:
        listing = read_listing(path, dataset.root)
    except DataError as error:
        told_so = str(error).removeprefix(f"{path}, ")
        raise DataError("E_EXPORT", f"{told_so}; a list cannot carry that: use the folder itself", error.files) from error
    told = (dict(listing.classes), listing.combined, len(listing.samples))
    wanted = {product: tuple(names) for product in dataset.products if (names := dataset.classes.get(product, ()))}
    unlike = "" if told == (wanted, dataset.combined, len(dataset)) else "the classes or the number of records"
    files = []
    ordered = dataset.samples if isinstance(dataset.samples, SampleTable) else sorted(dataset.samples, key=sort_key)
    for mine, theirs in zip(ordered, listing.samples, strict=False):
        if not unlike and (what := _difference(mine, theirs)):
            unlike, files = f"{what} of {mine.source.location}", [mine.source.location]
    if unlike or listing.problems:
        told_so = unlike or listing.problems[0].message
        raise DataError(
            "E_EXPORT", f"a list cannot carry {told_so}; expected records that read back the same: use the folder itself", files
        )


def _difference(mine: Sample, theirs: Sample) -> str:
    """The first thing in which two records differ; empty where in none."""
    if mine != theirs:
        return f"the record {mine.id} ({theirs.id})"
    if dict(mine.tags) != dict(theirs.tags):
        return "the tags"
    first, second = mine.source, theirs.source
    assert isinstance(first, FileSource)
    assert isinstance(second, FileSource)
    if (first.root / first.path).absolute() != (second.root / second.path).absolute():
        return "the path"
    if [(first.root / mask).absolute() for mask in first.masks] != [(second.root / mask).absolute() for mask in second.masks]:
        return "the masks"
    if replace(first.encoding, declared="") != replace(second.encoding, declared="") or first.blank != second.blank:
        return "how the masks are read"
    same = dict(first.encoding.classes) == dict(second.encoding.classes) and dict(first.encoding.codes) == dict(
        second.encoding.codes
    )
    return "" if same else "the classes of the masks"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_jsonl(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps({name: row[name] for name in columns if name in row}, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = iter(rows)
    schema = pa.schema([(name, pa.string()) for name in columns])
    with pq.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            arrays = [pa.array([row.get(name) for row in batch], pa.string()) for name in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


WRITERS: Mapping[str, Callable[[Path, Sequence[str], Iterable[Row]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".jsonl": _write_jsonl,
}
"""Suffix → what writes a list of that form."""
