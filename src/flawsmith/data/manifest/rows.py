"""The samples of a list, kept as columns: a `Sample` is built when it is asked for, so a million rows cost no million objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, overload

import numpy as np

from flawsmith.core.arrays import Image
from flawsmith.core.errors import DataError
from flawsmith.core.files import sha256_file
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.dataset import SampleTable
from flawsmith.data.manifest.columns import BLANK_MASK, JOINER
from flawsmith.data.reading import BINARY, FileSource, MaskEncoding

CHUNK = 4096
"""Rows turned into samples at a time while all are walked through."""

CARRIED = "carried:"
"""Before the name of a column that is carried through."""

COLUMNS = ("product", "split", "defect", "stem", "id", "path", "mask", "encoding", "group", "weight", "origin", "sha256")
"""What a table of rows has before the columns that are carried through."""


@dataclass(frozen=True)
class ListedSource(FileSource):
    """The files of a row whose pixels were hashed when the list was written.

    Args:
        sha256: of the decoded pixels (`Sample.digest`), or of the file.
    """

    sha256: str = ""

    def image(self) -> Image:
        """uint8 H×W×3, after a look at the hash.

        Raises:
            DataError: E_CORRUPT, also where neither the pixels nor the file have the listed SHA-256.
        """
        pixels = super().image()
        found = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
        if self.sha256 not in (found, sha256_file(self.root / self.path) if found != self.sha256 else found):
            raise DataError(
                "E_CORRUPT",
                f"{self.location} is not the listed image (SHA-256 of its pixels {found[:12]}…, listed {self.sha256[:12]}…); "
                f"expected it unchanged: copy it again, or write the list again",
                [self.location],
            )
        return pixels


@dataclass(frozen=True, eq=False)
class ListedSamples(SampleTable):
    """The rows of a list, in the order of a data set.

    Args:
        root: the folder that the paths start from.
        table: `pyarrow.Table` with `COLUMNS` and the columns that are carried through.
        encodings: (product, cell of the mask encoding) → how such masks are read.
    """

    root: Path
    table: Any = field(repr=False)
    encodings: Mapping[tuple[str, str | None], MaskEncoding] = field(repr=False)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            rows = range(len(self))[index]
            if rows.step == 1:
                return ListedSamples(self.root, self.table.slice(rows.start, len(rows)), self.encodings)
            return ListedSamples(self.root, self.table.take(list(rows)), self.encodings)
        place = range(len(self))[index]
        return next(self._samples(self.table.slice(place, 1)))

    def __iter__(self) -> Iterator[Sample]:
        for start in range(0, len(self), CHUNK):
            yield from self._samples(self.table.slice(start, CHUNK))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self.root, len(self)))

    def _samples(self, part: Any) -> Iterator[Sample]:
        columns = part.to_pydict()
        carried = {name.removeprefix(CARRIED): cells for name, cells in columns.items() if name.startswith(CARRIED)}
        cells: Iterator[tuple[Any, ...]] = zip(*(columns[name] for name in COLUMNS), strict=True)
        for row, told in enumerate(cells):
            tags = {name: values[row] for name, values in carried.items() if values[row] is not None}
            yield self._sample(dict(zip(COLUMNS, told, strict=True)), tags)

    def _sample(self, row: Mapping[str, Any], tags: Mapping[str, str]) -> Sample:
        product, split, defect = row["product"], row["split"], row["defect"]
        masks = tuple(row["mask"].split(JOINER)) if row["mask"] is not None else ()
        reading = self.encodings.get((product, row["encoding"]), BINARY)
        source = FileSource(self.root, row["path"], defect, masks, reading, blank=BLANK_MASK in tags)
        if row["sha256"] is not None:
            source = ListedSource(**{**vars(source), "sha256": row["sha256"]})
        own = row["id"] if row["id"] is not None else f"{product}/{split}/{defect}/{row['stem']}"
        group = row["group"] if row["group"] is not None else own
        return Sample(own, product, defect, split, group, source, row["weight"], row["origin"], tags)

    def counts(self) -> dict[tuple[str, SplitName, str], int]:
        """(product, split, defect) → number of samples, in the order of the samples."""
        grouped = self.table.select(["product", "split", "defect"]).group_by(["product", "split", "defect"], use_threads=False)
        found = grouped.aggregate([([], "count_all")]).to_pydict()
        keys = zip(found["product"], found["split"], found["defect"], strict=True)
        return dict(zip(keys, found["count_all"], strict=True))

    def of(self, product: str | None, split: SplitName | None) -> ListedSamples:
        """The part that belongs to a product, to a split, or to both."""
        import pyarrow.compute as pc

        table = self.table
        for column, value in (("product", product), ("split", split)):
            if value is not None:
                table = table.filter(pc.equal(table.column(column).cast("large_string"), value))
        return self if table is self.table else ListedSamples(self.root, table, self.encodings)

    @property
    def synthetic(self) -> int:
        """How many of them a synthesizer made."""
        import pyarrow.compute as pc

        return int(pc.sum(pc.equal(self.table.column("origin").cast("large_string"), "synthetic")).as_py() or 0)

    def mask_rules(self) -> set[str]:
        """How the masks of the anomalies are read; empty where no anomaly has one."""
        import pyarrow.compute as pc

        known = pc.and_(
            pc.is_valid(self.table.column("mask")), pc.not_equal(self.table.column("defect").cast("large_string"), GOOD)
        )
        if CARRIED + BLANK_MASK in self.table.column_names:
            known = pc.and_(known, pc.is_null(self.table.column(CARRIED + BLANK_MASK)))
        pairs = self.table.filter(known).group_by(["product", "encoding"], use_threads=False).aggregate([]).to_pydict()
        keys = cast(Iterator[tuple[str, str | None]], zip(pairs["product"], pairs["encoding"], strict=True))
        return {str(self.encodings.get(key, BINARY)) for key in keys}
