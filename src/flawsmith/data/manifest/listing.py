"""From columns of text to the samples of a data set: every rule of a list, whole columns at a time.

Problems of one kind are collected, with every image they concern. A row that has no meaning stops the reading; a row whose image
is not there, lies outside the root or was there before is told and left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.data.manifest.cells import (
    Names,
    Places,
    Texts,
    combinations,
    data_order,
    distinct,
    ids,
    joined,
    places,
    repeated,
    stems,
    without,
)
from flawsmith.data.manifest.columns import ABOUT, ALL, JOINER, SECOND_LABEL, Form, form_of
from flawsmith.data.manifest.encodings import NONE, parse_encoding
from flawsmith.data.manifest.files import read_columns
from flawsmith.data.manifest.labels import (
    TEST_LABEL,
    ClassOrder,
    Disagreement,
    Told,
    class_orders,
    clean_name,
    meaning,
)
from flawsmith.data.manifest.places import Folders, inside
from flawsmith.data.manifest.rows import CARRIED, ListedSamples
from flawsmith.data.problems import Problem, raise_errors
from flawsmith.data.reading import MaskEncoding

SPLITS: Mapping[str, str] = {
    "": "pool",
    "pool": "pool",
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""What a cell of the column `split` may say → our word."""

VISA_ENCODING = "threshold:0"
"""VisA's masks hold class ids that its CSV does not name; above 0 is a defect."""


STRANGE_ID = r"^/|(^|/)\.{0,2}(/|$)|[[:cntrl:]]|^.{1000}"
"""Ids become names of files elsewhere: no step up, no root, no sign that is not printed, no endless text."""


@dataclass(frozen=True)
class Listing:
    """What a list says.

    Args:
        samples: its rows, in the order of a data set.
        about: what it tells of the whole data set, such as its licence.
        classes: product → defects in the order of their ids.
        combined: defects that stand for several.
        pixel_truth: whether such data can have masks.
        notes: what a reader should know.
        problems: broken rules.
    """

    samples: ListedSamples
    about: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]]
    combined: frozenset[str]
    pixel_truth: bool
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_listing(path: Path, root: Path) -> Listing:
    """Read a list whose paths start from `root`; no image is opened, but every listed file must be there.

    Raises:
        DataError: E_ROOT, E_LAYOUT: it cannot be read, or is no list. E_LABEL: a row's label, split, weight or encoding has no
            meaning, with every such image.
    """
    return _Reader(path, root, read_columns(path)).read()


@dataclass
class _Reader:
    path: Path
    root: Path
    raw: Any
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[Places] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.form: Form = form_of(self.raw.column_names, self.path)
        self.rows: int = self.raw.num_rows
        self.folders = Folders(self.root)

    def read(self) -> Listing:
        self.paths = self._paths()
        product = self._names("category", lambda text: ALL if text is None else clean_name("category", text))
        split = self._names("split", _split)
        defect, orders = self._meaning(product)
        classes, combined = self._classes(product, orders)
        encodings, encoding, pixel_truth = self._encodings(product, classes, combined)
        about = self._about()
        columns = {
            "product": product.encoded(),
            "split": split.encoded(),
            "defect": defect.encoded(),
            "stem": stems(self.paths),
            "id": self._ids(),
            "path": self.paths,
            "mask": self._masks(),
            "encoding": encoding.dictionary_encode(),
            "group": self._cells("group_id"),
            "weight": self._read_as("weight", _weight).cast("float64"),
            "origin": self._read_as("origin", _origin).dictionary_encode(),
            "sha256": self._read_as("sha256", _sha256),
            **{CARRIED + name: self._column(name) for name in self.form.carried if name not in about},
        }
        raise_errors([problem for problem in self.problems if problem.code == "E_LABEL"])
        self.raw = None
        order = self._order(columns, product, split, defect)
        samples = ListedSamples(self.root, _taken(columns, order), encodings)
        return Listing(samples, about, classes, combined, pixel_truth, tuple(self.notes), tuple(self.problems))

    def _order(self, columns: Mapping[str, Any], product: Names, split: Names, defect: Names) -> Places:
        """The rows that stay, in their order."""
        import pyarrow.compute as pc

        named = columns["id"].null_count < self.rows
        keys = pc.coalesce(columns["id"], ids(columns)) if named else columns["stem"]
        order = data_order((product.ranks(), split.ranks(sorted(set(SPLITS.values()))), defect.ranks()), keys)
        stays = np.ones(self.rows, bool)
        for rows in self.left_out:
            stays[rows] = False
        if not stays.any():
            raise_errors(self.problems)
        return order[stays[order]]

    def _cells(self, column: str) -> Texts:
        """The cells of one of our columns; all missing where the file has none of its names."""
        import pyarrow as pa

        name = self.form.found.get(column)
        return pa.nulls(self.rows, pa.large_string()) if name is None else self._column(name)

    def _column(self, name: str) -> Texts:
        """The cells of one of the file's columns."""
        import pyarrow as pa

        column = self.raw.column(name)
        return pa.concat_arrays(column.chunks) if column.num_chunks != 1 else column.chunk(0)

    def _note(self, code: str, what: str, expected: str, rows: Places) -> None:
        """Remember a broken rule and the images it concerns; `what` is told of the first."""
        first = int(rows[0])
        files = tuple(str(self.root / self.paths[int(row)].as_py()) for row in dict.fromkeys(rows.tolist()))
        told = f"{self.path}, row {first + 1}: {self.paths[first].as_py()} {what}; expected {expected}"
        self.problems.append(Problem(code, told, files))

    def _leave_out(self, code: str, what: str, expected: str, rows: Places) -> None:
        """Remember a broken rule, and pass over the rows that break it."""
        if rows.size:
            self._note(code, what, expected, rows)
            self.left_out.append(rows)

    def _paths(self) -> Texts:
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = self._cells("image_path")
        missing = places(pc.is_null(cells))
        if missing.size:
            raise DataError(
                "E_LAYOUT",
                f"{self.path}, row {int(missing[0]) + 1} has no {self.form.found['image_path']} ({missing.size} such rows); "
                f"expected the path of an image in every row: add it or remove the row",
                [self.path],
            )
        self.paths, leaving = inside(cells, self.root)
        self._leave_out("E_ROOT", f"leaves {self.root}", "a path inside it: copy the image there", leaving)
        self._leave_out("E_DUPLICATE", "is there twice", "each image once: remove the other row", repeated(self.paths))
        kept = without(leaving, self.rows)
        gone, astray = self.folders.absent(self.paths.take(pa.array(kept)))
        there = f"the image under {self.root}: copy it there, or name the folder it is in with DIR --layout manifest:file=LIST"
        self._leave_out("E_ROOT", "is not there", there, kept[gone])
        self._leave_out("E_ROOT", f"is a link that leaves {self.root}", "an image inside it: copy it there", kept[astray])
        return self.paths

    def _names(self, column: str, read: Callable[[str | None], str]) -> Names:
        """A column as numbers of the names that `read` makes of its cells."""
        texts, codes = distinct(self._cells(column))
        return Names.joined(self._each(column, texts, codes, read), codes)

    def _read_as(self, column: str, read: Callable[[str | None], str | None]) -> Texts:
        """A column whose cells were turned into other texts; None where one is missing."""
        import pyarrow as pa

        texts, codes = distinct(self._cells(column))
        found = [text or None for text in self._each(column, texts, codes, read)]
        return pa.array(found, pa.large_string()).take(pa.array(codes))

    def _each(self, column: str, texts: list[Any], codes: Any, read: Callable[[Any], Any]) -> list[Any]:
        """`read` of every distinct value; what it refuses is remembered with the rows that have it, and becomes an empty text."""
        found = []
        for code, text in enumerate(texts):
            try:
                found.append(read(text))
            except (Disagreement, BadParameter) as error:
                what, _, expected = str(error).partition("; expected ")
                expected = expected or f"a {column} as docs/manifest.md tells: mend it"
                self._note("E_LABEL", what, expected, np.flatnonzero(codes == code))
                found.append("")
        return found

    def _meaning(self, product: Names) -> tuple[Names, Mapping[str, ClassOrder]]:
        """The defect of every row, and what the rows say of class ids; each distinct combination of cells is looked at once."""
        import pyarrow as pa

        nothing = pa.nulls(self.rows, pa.large_string())
        second = self._column(SECOND_LABEL) if SECOND_LABEL in self.form.carried else nothing
        cells = (self._cells("label"), second, self._cells("class_name"), self._cells("class_id"), self._cells("split"))
        values, codes = combinations([product.encoded(), *cells])
        rows = [(str(name), Told(*told)) for name, *told in values]
        read = [found or ("", None) for found in self._each("label", rows, codes, lambda row: meaning(row[1]))]
        hinted = sum(int((codes == code).sum()) for code, (_, told) in enumerate(rows) if told.label == TEST_LABEL)
        if hinted and "split" not in self.form.found:
            self.notes.append(f"{hinted} images are labelled {TEST_LABEL}, and there is no column split: all are in the pool")
        names = Names.joined([defect for defect, _ in read], codes)
        told = [(name, defect, number, row) for (name, row), (defect, number) in zip(rows, read, strict=True) if defect]
        return names, self._ordered(lambda: class_orders(told))

    def _ordered(self, read: Callable[[], Any]) -> Any:
        """What `read` says of the order of the classes.

        Raises:
            DataError: E_LABEL: it contradicts itself.
        """
        try:
            return read()
        except Disagreement as error:
            told = f"{self.path} {error}; expected one id per class, 1, 2, … without a gap: mend it"
            raise DataError("E_LABEL", told, [self.path]) from error

    def _classes(self, product: Names, orders: Mapping[str, ClassOrder]) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
        found = self._ordered(lambda: self._declared(product, orders))
        combined = frozenset(defect for order in orders.values() for defect in order.standing_for_several())
        return {name: names for name, names in found.items() if names}, combined

    def _declared(self, product: Names, orders: Mapping[str, ClassOrder]) -> dict[str, tuple[str, ...]]:
        """Product → its defects in the order of their ids, as the rows or the columns `classes` and `combined` declare it."""
        for column in ("classes", "combined"):
            for name, text in combinations([product.encoded(), self._cells(column)])[0]:
                if text is not None and name is not None and name in orders:
                    orders[name].tell(column, tuple(unicodedata.normalize("NFC", part) for part in text.split(JOINER)))
        return {name: order.names() for name, order in orders.items()}

    def _encodings(
        self, product: Names, classes: Mapping[str, tuple[str, ...]], combined: frozenset[str]
    ) -> tuple[dict[tuple[str, str | None], MaskEncoding], Texts, bool]:
        """(product and cell → encoding, the cells, whether the data can have masks)."""
        cells = self._cells("mask_encoding")
        if "mask_encoding" not in self.form.found:
            cells = self._implied_encodings(product, classes)
        values, codes = combinations([product.encoded(), cells])

        def read(value: tuple[str, str | None]) -> MaskEncoding | None:
            name, text = value
            own = {defect: number for number, defect in enumerate(classes.get(name, ()), 1) if defect not in combined}
            return None if text is None else parse_encoding(text, own, self.path.name)

        read_as = self._each("mask_encoding", values, codes, read)
        found = {(str(name), text): encoding for (name, text), encoding in zip(values, read_as, strict=True) if encoding}
        return found, cells, {text for _, text in values} != {NONE}

    def _implied_encodings(self, product: Names, classes: Mapping[str, tuple[str, ...]]) -> Texts:
        """How masks are read where the list does not say: VisA's and UniADC's hold class ids."""
        import pyarrow as pa

        if self.form.is_visa:
            self.notes.append("masks are read as VisA's: every value above 0 is a defect")
            return pa.array([VISA_ENCODING] * self.rows, pa.large_string())
        by_label = "class_id" not in self.form.found and "classes" not in self.form.found
        named = ["class_id" if by_label and name in classes else None for name in product.names]
        if any(named) and "mask_path" in self.form.found:
            self.notes.append("masks are read as class ids, as the labels are")
        return pa.array(named, pa.large_string()).take(pa.array(product.codes))

    def _ids(self) -> Texts:
        cells = self._cells("sample_id")
        if cells.null_count < self.rows:
            import pyarrow.compute as pc

            strange = places(pc.match_substring_regex(cells, STRANGE_ID))
            if strange.size:
                self._note("E_LABEL", "has a sample_id that is no id", "product/split/defect/name, as exported: mend it", strange)
            remedy = "one id per image: mend it"
            self._leave_out("E_DUPLICATE", "has the sample_id of another row", remedy, repeated(cells))
        return cells

    def _masks(self) -> Texts:
        """The masks of every row, None where one is missing; each of their files must be there."""
        import pyarrow as pa
        import pyarrow.compute as pc

        cells = self._cells("mask_path")
        if cells.null_count == self.rows:
            return cells
        parts = pc.split_pattern(cells, JOINER)
        owners = pc.list_parent_indices(parts).to_numpy(zero_copy_only=False)
        flat, leaving = inside(pc.list_flatten(parts), self.root)
        kept = without(leaving, len(flat))
        gone, astray = self.folders.absent(flat.take(pa.array(kept)))
        remedy = f"masks inside {self.root}: copy it there"
        lost = np.zeros(self.rows, bool)
        for code, rows, what in (
            ("E_ROOT", leaving, f"leaves {self.root}"),
            ("E_MISSING_MASK", kept[gone], "is not there"),
            ("E_ROOT", kept[astray], f"is a link that leaves {self.root}"),
        ):
            if rows.size:
                self._note(code, f"has the mask {flat[int(rows[0])].as_py()}, which {what}", remedy, owners[rows])
                lost[owners[rows]] = True
        return pc.if_else(pa.array(lost), pa.scalar(None, pa.large_string()), joined(parts, flat, JOINER))

    def _about(self) -> dict[str, str]:
        """What every row says alike of the whole list."""
        import pyarrow.compute as pc

        found = {}
        for name in (name for name in ABOUT if name in self.form.carried):
            values = pc.unique(self._column(name)).to_pylist()
            if len(values) == 1 and values[0] is not None:
                found[name] = values[0]
        return found


def _taken(columns: Mapping[str, Any], order: Places) -> Any:
    import pyarrow as pa

    rows = pa.array(order)
    return pa.table({name: column.take(rows) for name, column in columns.items()})


def _split(text: str | None) -> str:
    split = SPLITS.get((text or "").strip().casefold())
    if split is None:
        raise Disagreement(f"has the split {text!r}; expected train, val, test or pool: mend it")
    return split


def _origin(text: str | None) -> str:
    origin = (text or "real").strip().casefold()
    if origin not in ("real", "synthetic"):
        raise Disagreement(f"has the origin {text!r}; expected real or synthetic: mend it")
    return origin


def _weight(text: str | None) -> str:
    try:
        value = 1.0 if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise Disagreement(f"has the weight {text!r}; expected a number in 0…1: mend it")
    return repr(value)


def _sha256(text: str | None) -> str | None:
    if text is None:
        return None
    digest = text.strip().casefold()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise Disagreement(f"has the sha256 {text[:70]!r}; expected 64 hexadecimal digits: mend it")
    return digest
