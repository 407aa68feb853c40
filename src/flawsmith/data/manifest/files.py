"""Reading the file of a list into columns of text; nothing is interpreted here.

CSV: UTF-8 with or without BOM, commas, RFC 4180 quoting, any line end, header required; an empty cell, quoted or not, is missing.
Everything stays text, so `007` and the label `0` survive. Parquet: row group by row group, column by column. JSON Lines: one
object per line; a whole document is taken too where it is an array of such objects or ADer's `meta.json`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.data.manifest.columns import JOINER, refused
from flawsmith.data.tree import split_suffix

MOST_ROWS = 50_000_000
"""A Parquet file that claims more rows is refused before it is unpacked."""

MOST_BYTES = 32 * 2**30
"""The same for the unpacked size that it claims."""

MOST_DOCUMENT = 2**30
"""Bytes of a JSON document that is not in lines; it has to be read whole."""

BATCH = 16384
"""Rows of JSON turned into columns at a time."""

Table = Any
"""A `pyarrow.Table` whose columns are all `large_string`, with null where a value is missing."""


def read_columns(path: Path) -> Table:
    """The rows of a list, as columns of text in the file's order.

    Raises:
        DataError: E_ROOT: it cannot be read. E_LAYOUT: it is no such file, is empty, or a row does not fit its header.
    """
    try:
        if path.stat().st_size == 0:
            raise refused(path, "is empty", "a list with one row per image", "write it again")
        table = READERS[split_suffix(path.name)[1]](path)
    except UnicodeError as error:
        raise refused(path, f"is no UTF-8 text ({error})", "UTF-8", "save it so") from error
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror or error}); expected a list you may open: check its path and permissions"
        raise DataError("E_ROOT", told, [path]) from error
    if table.num_rows == 0:
        raise refused(path, "has no row", "one row per image", "add the images")
    return table


def _read_csv(path: Path) -> Table:
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = _header(path)
    types = {name: pa.large_string() for name in names}
    options = arrow.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    try:
        read = arrow.read_csv(
            path,
            arrow.ReadOptions(column_names=names, skip_rows=1, block_size=2**24),
            arrow.ParseOptions(newlines_in_values=True),
            options,
        )
    except pa.ArrowInvalid as error:
        what = _odd_row(path, len(names)) or f"is no CSV file ({_first_line(error)})"
        raise refused(path, what, "UTF-8, commas and as many cells as the header", "mend it") from error
    return read


def _odd_row(path: Path, cells: int) -> str:
    """The first row with another number of cells than the header; empty where that is not what is wrong."""
    with suppress(csv.Error, UnicodeError), path.open(encoding="utf-8-sig", newline="") as stream:
        rows = (row for row in csv.reader(stream, strict=True) if row)
        for number, row in enumerate(islice(rows, 1, None), 1):
            if len(row) != cells:
                return f"has {len(row)} cells in row {number}, where the header has {cells}"
    return ""


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        try:
            names = next(csv.reader(stream), [])
        except csv.Error as error:
            raise refused(path, f"is no CSV file ({error})", "a header of column names", "write it again") from error
    names = [name.strip() for name in names]
    if not names or not all(names) or any("\n" in name or "\r" in name for name in names):
        raise refused(path, "has no header, or one with an empty name", "a first line of column names", "mend it")
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise refused(path, f"has the column {twice[0]!r} twice", "each once", "rename one")
    return names


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].removesuffix(".")[:200]


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _refuse_bomb(path, file.metadata)
            names = file.schema_arrow.names
            groups = [
                _as_text(path, file.read_row_group(index, use_threads=False)) for index in range(file.metadata.num_row_groups)
            ]
            return pa.concat_tables(groups) if groups else pa.table({name: pa.array([], pa.large_string()) for name in names})
    except pa.ArrowException as error:
        raise refused(path, f"is no Parquet file ({_first_line(error)})", "a whole Parquet file", "write it again") from error


def _refuse_bomb(path: Path, metadata: Any) -> None:
    size = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if metadata.num_rows > MOST_ROWS or size > MOST_BYTES:
        raise refused(
            path,
            f"claims {metadata.num_rows} rows and {size / 2**30:.1f} GiB",
            f"at most {MOST_ROWS} rows and {MOST_BYTES // 2**30} GiB",
            "split it",
        )


def _as_text(path: Path, group: Table) -> Table:
    import pyarrow as pa

    return pa.table({name: _column_as_text(path, name, group.column(name)) for name in group.schema.names})


def _column_as_text(path: Path, name: str, column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        column = pc.binary_join(column.cast(pa.list_(pa.large_string())), pa.scalar(JOINER, pa.large_string()))
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise refused(path, f"has a column {name!r} of {kind}", "text, numbers or lists of text", "leave it out")
    text = column.cast(pa.large_string())
    return pc.if_else(pc.equal(text, ""), None, text)


def _read_json(path: Path) -> Table:
    with path.open(encoding="utf-8-sig") as stream:
        first = next((line for line in stream if line.strip()), "")
    if _is_document(first):
        if path.stat().st_size > MOST_DOCUMENT:
            raise refused(path, "is one JSON document of over 1 GiB", "one object per line", "write it as JSON Lines")
        return _columns_of(_document_rows(path))
    return _columns_of(_lines(path))


def _is_document(first: str) -> bool:
    """Whether the first line is not an object of its own that describes an image."""
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        return True
    return not isinstance(value, dict) or _is_ader(value)


def _is_ader(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(part, dict) for part in value.values())


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                try:
                    value = json.loads(line, object_pairs_hook=each_key_once)
                except (ValueError, RecursionError) as error:
                    raise refused(path, f"has no JSON object at line {number} ({error})", "one per line", "mend it") from error
                yield _object(path, f"line {number}", value)


def each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, of which Python would keep the last of two equal keys without a word.

    Raises:
        ValueError: a key is there twice.
    """
    told = dict(pairs)
    if len(told) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise ValueError(f"{twice[:60]!r} is there twice")
    return told


def _object(path: Path, where: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refused(path, f"has no JSON object at {where}", "one object per line", "mend it")
    return value


def _document_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_key_once)
    except (ValueError, RecursionError) as error:
        raise refused(path, f"is no JSON ({error})", "one object per line, or one array of objects", "write it again") from error
    if isinstance(document, list):
        for index, row in enumerate(document):
            yield _object(path, f"place {index + 1}", row)
    elif _is_ader(document):
        yield from _ader_rows(path, document)
    else:
        raise refused(
            path, "is one JSON document", "one object per line, an array of objects, or ADer's meta.json", "write it so"
        )


def _ader_rows(path: Path, document: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """`{train|test: {category: [row, …]}}`, each row with its split and, where it names none, its category."""
    for split, categories in document.items():
        for category, rows in categories.items():
            if not isinstance(rows, list):
                raise refused(path, f"has no list under {split}/{category}", "{split: {category: [row, …]}}", "write it so")
            for index, row in enumerate(rows):
                told = _object(path, f"{split}/{category}, place {index + 1}", row)
                yield {"cls_name": category, **told, "split": split}


def _columns_of(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Columns of text from objects, a batch at a time, so that the objects of one batch are all that is in memory."""
    import pyarrow as pa

    rows = iter(rows)
    tables = []
    while batch := list(islice(rows, BATCH)):
        names = dict.fromkeys(name for row in batch for name in row)
        columns = {name: pa.array([_text(row.get(name)) for row in batch], pa.large_string()) for name in names}
        tables.append(pa.table(columns))
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return JOINER.join(value) or None
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


READERS: Mapping[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".json": _read_json,
}
"""Suffix of a list → what reads it."""


def is_list(name: str) -> bool:
    """Whether a file of this name is taken for a list of images."""
    return split_suffix(name)[1] in READERS
