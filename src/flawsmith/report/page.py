"""A page of sections of blocks, rendered into one HTML file that opens offline.

Blocks hold plain text; everything is escaped when rendered, so hostile names stay names. Only `Figure.svg`, which our own drawing
makes, goes in as it is. Equal pages give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import jinja2
from markupsafe import Markup

from flawsmith.core.errors import OutputError
from flawsmith.core.files import write_text

T = TypeVar("T")
TEMPLATES = Path(__file__).parent / "templates"
MOST_BYTES = 6 * 10**6
"""Largest page that is written."""

Tone = Literal["plain", "verdict", "warning", "note"]


@dataclass(frozen=True)
class Text:
    """A paragraph. `verdict` is large, `warning` stands out, `note` is small."""

    text: str
    tone: Tone = "plain"
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Warnings:
    """What a reader must know before believing a number."""

    items: tuple[str, ...]
    kind: ClassVar[str] = "warnings"


@dataclass(frozen=True)
class Fact:
    """One key figure: what it is, its value, and a line of explanation."""

    label: str
    value: str
    note: str = ""
    tone: Literal["plain", "good", "defect"] = "plain"


@dataclass(frozen=True)
class Facts:
    """Key figures side by side."""

    items: tuple[Fact, ...]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Args:
        text: what it says.
        note: below it, in small print.
        rank: `best` is bold, `second` underlined.
        grey: somebody else's value, beside ours.
        value: the number in full; this and what follows is for files that are read by programs.
        more: numbers that the text or the note tells too, by name: `low`, `high`, `std`.
        told: the note without these and without the numbers of notes; None: the note as it is.
        remarks: the table's notes that concern this cell, in full.
    """

    text: str
    note: str = ""
    rank: Literal["", "best", "second"] = ""
    grey: bool = False
    value: float | None = None
    more: tuple[tuple[str, float], ...] = ()
    told: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A head and what stands below it: one object, so that they cannot part.

    Args:
        head: its name.
        cell: from a row's item to the text, or to a `Cell`.
        number: aligned right, digits of equal width.
    """

    head: str
    cell: Callable[[Any], Cell | str]
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Heads and rows. Usually made with `Table.of`.

    Args:
        heads: one per column.
        rows: one cell per column.
        numbers: whether a column is aligned right.
        caption: above it.
        notes: below it.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: tuple[bool, ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "table"

    @classmethod
    def of(cls, items: Sequence[Any], columns: Sequence[Column], caption: str = "", notes: Sequence[str] = ()) -> Table:
        """One row per item, one column per `Column`."""
        rows = tuple(tuple(_as_cell(column.cell(item)) for column in columns) for item in items)
        return cls(tuple(c.head for c in columns), rows, tuple(c.number for c in columns), caption, tuple(notes))

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[str, str]], heads: tuple[str, str] = ("", "")) -> Table:
        """Two columns: names and values."""
        return cls.of(pairs, (Column(heads[0], lambda pair: pair[0]), Column(heads[1], lambda pair: pair[1])))


@dataclass(frozen=True)
class Panel:
    """One image: a data URI, what it shows in a word, and a longer text for those who cannot see it."""

    uri: str
    label: str
    alt: str


@dataclass(frozen=True)
class Picture:
    """Panels side by side that belong together.

    Args:
        panels: left to right.
        title: whose picture it is.
        caption: a line below.
        name: of the file or sample, in small print.
        tag: a word on a coloured ground.
        tone: colour of the tag.
        aspect: width of its panels over their height.
    """

    panels: tuple[Panel, ...]
    title: str = ""
    caption: str = ""
    name: str = ""
    tag: str = ""
    tone: Literal["plain", "good", "defect"] = "plain"
    aspect: float = 1.0


@dataclass(frozen=True)
class Legend:
    """The colours of the maps, from `low` to `high`."""

    colours: tuple[str, ...]
    low: str
    high: str
    text: str = ""


@dataclass(frozen=True)
class Gallery:
    """Pictures in a grid, or each over the whole width."""

    pictures: tuple[Picture, ...]
    heading: str = ""
    caption: str = ""
    legend: Legend | None = None
    wide: bool = False
    kind: ClassVar[str] = "gallery"

    @property
    def panels(self) -> int:
        """Largest number of panels in one picture."""
        return max((len(picture.panels) for picture in self.pictures), default=1)

    @property
    def aspect(self) -> float:
        """Width over height of every frame, from the pictures' median, so that cards line up."""
        aspects = sorted(picture.aspect for picture in self.pictures)
        return round(min(max(aspects[len(aspects) // 2], 0.6), 2.5), 3) if aspects else 1.0


@dataclass(frozen=True)
class Figure:
    """A chart as inline SVG from `flawsmith.report.figures`."""

    svg: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Figures:
    """Charts side by side."""

    items: tuple[Figure, ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Code:
    """Text to copy."""

    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Details:
    """Blocks that unfold on a click; printed unfolded."""

    summary: str
    blocks: tuple[Block, ...]
    kind: ClassVar[str] = "details"


Block = Text | Warnings | Facts | Table | Gallery | Figures | Code | Details


@dataclass(frozen=True)
class Section:
    """A heading and its blocks."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def anchor(self) -> str:
        """Its id on the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Page:
    """A whole report.

    Args:
        title: of the window and the page.
        subtitle: a line below.
        opening: blocks before the first heading; the verdict.
        sections: in order.
        footer: a line at the end.
    """

    title: str
    subtitle: str = ""
    opening: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = field(default=())
    footer: str = ""


def render(page: Page) -> str:
    """The page as HTML; it refers to nothing outside itself."""
    anchors: dict[str, int] = {}
    numbered = []
    for section in page.sections:
        anchors[section.anchor] = anchors.get(section.anchor, 0) + 1
        count = anchors[section.anchor]
        numbered.append((section.anchor if count == 1 else f"{section.anchor}-{count}", section))
    style = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))
    return _environment().get_template("page.html").render(page=page, sections=numbered, style=style)


def write_page(path: Path, page: Page) -> Path:
    """Render and write, aside and renamed; returns `path`.

    Raises:
        OutputError: it cannot be written, or would exceed `MOST_BYTES`.
    """
    text = render(page)
    if len(text.encode()) > MOST_BYTES:
        size, most = len(text.encode()) / 1e6, MOST_BYTES / 1e6
        raise OutputError(f"the report {path} would have {size:.1f} MB; expected at most {most:.0f} MB: show fewer pictures")
    write_text(path, text)
    return path


def _as_cell(value: Cell | str) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
