"""Whole columns of text at once: distinct cells, repeated ones, ids, and the order of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.manifest.order import natural_texts
from flawsmith.data.tree import natural_key

Texts = Any
"""A pyarrow array of `large_string`."""

Places = NDArray[np.intp]
"""Numbers of rows."""

CHUNK = 65536


@dataclass(frozen=True)
class Names:
    """A column of names as numbers.

    Args:
        names: distinct.
        codes: the number of each row's name.
    """

    names: list[str]
    codes: NDArray[np.int32]

    @classmethod
    def joined(cls, names: Sequence[str], codes: NDArray[Any]) -> Names:
        """Numbers of names of which several may be equal."""
        distinct = list(dict.fromkeys(names))
        place = {name: number for number, name in enumerate(distinct)}
        return cls(distinct, np.array([place[name] for name in names], np.int32)[codes])

    def encoded(self) -> Any:
        """The column, dictionary-encoded."""
        import pyarrow as pa

        return pa.DictionaryArray.from_arrays(pa.array(self.codes), pa.array(self.names, pa.large_string()))

    def ranks(self, order: Sequence[str] | None = None) -> NDArray[np.int64]:
        """The place of each row's name in `order`, or in natural order."""
        ordered = sorted(self.names, key=natural_key) if order is None else order
        place = {name: number for number, name in enumerate(ordered)}
        return np.array([place[name] for name in self.names], np.int64)[self.codes]


def distinct(cells: Texts) -> tuple[list[str | None], NDArray[Any]]:
    """(the distinct cells, None among them where one is missing; the number of each row's)."""
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(cells, null_encoding="encode")
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)


def combinations(columns: Sequence[Any]) -> tuple[list[tuple[str | None, ...]], NDArray[np.int64]]:
    """(the distinct combinations of the cells of several columns, the number of each row's)."""
    import pyarrow as pa

    found: list[tuple[str | None, ...]] = [()]
    numbers: NDArray[np.int64] = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        if pa.types.is_dictionary(column.type):
            values, codes = column.dictionary.to_pylist(), column.indices.to_numpy(zero_copy_only=False)
        else:
            values, codes = distinct(column)
        pairs, numbers = np.unique(numbers * len(values) + codes, return_inverse=True)
        found = [(*found[pair // len(values)], values[pair % len(values)]) for pair in pairs.tolist()]
    return found, numbers


def places(flags: Any) -> Places:
    """The numbers of the rows that an arrow column of booleans marks."""
    return cast(Places, np.flatnonzero(flags.fill_null(False).to_numpy(zero_copy_only=False)))


def without(left_out: Places, rows: int) -> Places:
    """The numbers of all rows but some."""
    kept = np.ones(rows, bool)
    kept[left_out] = False
    return cast(Places, np.flatnonzero(kept))


def repeated(cells: Texts) -> Places:
    """Rows whose cell an earlier row has already; missing cells are passed over."""
    import pyarrow.compute as pc

    if pc.count_distinct(cells).as_py() == len(cells) - cells.null_count:
        return np.empty(0, np.intp)
    codes = pc.dictionary_encode(cells).indices.fill_null(-1).to_numpy(zero_copy_only=False)
    later = np.ones(len(cells), bool)
    later[np.unique(codes, return_index=True)[1]] = False
    return cast(Places, np.flatnonzero(later & (codes >= 0)))


def joined(parts: Any, flat: Texts, joiner: str) -> Texts:
    """The texts of a list column put together again after `flat`, its texts one after the other, was changed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.list_value_length(parts).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), pa.int64())
    texts = pc.binary_join(pa.LargeListArray.from_arrays(offsets, flat), pa.scalar(joiner, pa.large_string()))
    return pc.if_else(pc.is_null(parts), pa.scalar(None, pa.large_string()), texts)


def stems(paths: Texts) -> Texts:
    """The paths without their suffixes, or with them where two would be one; normalised, so that an id is the same everywhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = bool(pc.all(pc.string_is_ascii(paths)).as_py())
    normal = paths if plain else pc.utf8_normalize(paths, "NFC")
    short = pc.replace_substring_regex(normal, r"([^/])\.[^./]*$", r"\1")
    later = repeated(short)
    if later.size == 0:
        return short
    shared = pc.is_in(short, pc.unique(short.take(pa.array(later))))
    return pc.if_else(shared, normal, short)


def ids(columns: Mapping[str, Any]) -> Texts:
    """product/split/defect/stem of every row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = (columns[name].cast(pa.large_string()) for name in ("product", "split", "defect", "stem"))
    return pc.binary_join_element_wise(*parts, pa.scalar("/", pa.large_string()))


def data_order(names: Sequence[NDArray[np.int64]], keys: Texts) -> Places:
    """The numbers of the rows in the order of the ranks in `names`, and then in the natural order of `keys`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rank = np.zeros(len(keys), np.int64)
    for ranks in names:
        rank = rank * (int(ranks.max(initial=0)) + 1) + ranks
    chunks = (keys.slice(start, CHUNK).to_pylist() for start in range(0, len(keys), CHUNK))
    natural = pa.chunked_array([pa.array(natural_texts(chunk), pa.large_string()) for chunk in chunks], pa.large_string())
    table = pa.table({"rank": pa.array(rank), "key": natural})
    return cast(Places, pc.sort_indices(table, [("rank", "ascending"), ("key", "ascending")]).to_numpy())
