"""One table object in the forms that other programs read: CSV, Markdown, LaTeX. HTML is made by `flawsmith.report.page`.

Everything is escaped: a name is a name, whatever characters are in it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flawsmith.core.errors import OutputError
from flawsmith.core.files import refuse_overlap, write_text
from flawsmith.report.page import Cell, Table
from flawsmith.report.wording import DASH

MISSING = "-"
"""What stands where nothing was measured."""

MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~])")
LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "—": "---",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "≤": r"\ensuremath{\leq}",
    "≥": r"\ensuremath{\geq}",
    "−": r"\ensuremath{-}",
    "²": r"\ensuremath{^2}",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
}


def to_csv(table: Table) -> str:
    """CSV with one head, one record per row, for programs: nothing in it has to be taken apart.

    Numbers are in full. Beside a column X stand, where some row has them, `X low` and `X high` (interval), `X std`,
    `X certified low` and `X certified high`, and `X note`: text, such as why there is no number. A first column without a head is
    called `name`. The last column, `notes`, holds the texts of the table's notes that concern the row, parted by ` | `.
    A cell that a spreadsheet would take for a formula starts with an apostrophe.
    """
    heads = [head or ("name" if number == 0 else "") for number, head in enumerate(table.heads)]
    columns = [part for number, head in enumerate(heads) for part in _csv_parts(head, [row[number] for row in table.rows])]
    columns += _csv_notes(table)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_safe(head) for head, _ in columns])
    writer.writerows(zip(*(texts for _, texts in columns), strict=True))
    return stream.getvalue()


def _csv_parts(head: str, cells: Sequence[Cell]) -> list[tuple[str, list[str]]]:
    """A column, and those that stand beside it."""
    names = dict.fromkeys(name for cell in cells for name, _ in cell.more)
    numbers = [dict(cell.more) for cell in cells]
    notes = [_safe(cell.note if cell.told is None else cell.told) for cell in cells]
    return [
        (head, [_plain(cell) for cell in cells]),
        *((f"{head} {name}", [repr(each[name]) if name in each else "" for each in numbers]) for name in names),
        *([(f"{head} note".strip(), notes)] if any(notes) else []),
    ]


def _csv_notes(table: Table) -> list[tuple[str, list[str]]]:
    """The notes of each row: those of its cells, and those of the whole table."""
    own = [tuple(text for cell in row for text in cell.remarks) for row in table.rows]
    numbered = {text for texts in own for text in texts}
    common = [note for note in table.notes if re.sub(r"^\[\d+\] ", "", note) not in numbered]
    texts = [_safe(" | ".join(dict.fromkeys((*each, *common)))) for each in own]
    return [("notes", texts)] if any(texts) else []


def to_markdown(table: Table) -> str:
    """A pipe table; the best bold, the second underlined, published values in italics, notes in brackets."""
    heads = [_markdown(head) or " " for head in table.heads]
    rule = ["---:" if number else "---" for number in table.numbers]
    rows = [[_marked_markdown(cell) for cell in row] for row in table.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
    caption = [f"{_markdown(table.caption)}", ""] if table.caption else []
    notes = ["", *(f"{_markdown(note)}\n" for note in table.notes)] if table.notes else []
    return "\n".join([*caption, *lines, *notes]).rstrip() + "\n"


def to_latex(table: Table) -> str:
    """A `table` with a `tabular` for booktabs and xcolor; the best bold, the second underlined, published values grey."""
    columns = "".join("r" if number else "l" for number in table.numbers)
    rows = [" & ".join(_marked_latex(cell) for cell in row) + r" \\" for row in table.rows]
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage{xcolor}",
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{latex(table.caption)}}}"] if table.caption else []),
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(latex(head) for head in table.heads) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {latex(note)}" for note in table.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


FORMATS: Mapping[str, Callable[[Table], str]] = {".csv": to_csv, ".md": to_markdown, ".tex": to_latex}
"""Suffix → form."""


def refuse_table_files(paths: Sequence[Path], sources: Sequence[Path] = ()) -> None:
    """Refuse places for tables that would cost the user something.

    Args:
        paths: of the tables.
        sources: folders that are read, in which no table belongs.

    Raises:
        OutputError: a suffix is none of `FORMATS`, a path lies in one of `sources`, is taken, or is there twice.
    """
    places: dict[Path, Path] = {}
    for path in paths:
        _refuse_table_file(path, sources)
        if other := places.get(path.resolve()):
            raise OutputError(f"{other} and {path} are one table; expected each --table once: leave one out or rename it")
        places[path.resolve()] = path


def _refuse_table_file(path: Path, sources: Sequence[Path]) -> None:
    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"the table {path} has the suffix {path.suffix!r}; expected one of {', '.join(FORMATS)}: rename it")
    refuse_overlap(path, sources, "--table")
    if path.exists():
        raise OutputError(f"{path} exists; expected a new name: choose another --table or remove it")


def write_table(path: Path, table: Table) -> Path:
    """Write a table in the form that its suffix names; returns `path`.

    Raises:
        OutputError: the suffix is none of `FORMATS`, `path` is taken, or it cannot be written.
    """
    refuse_table_files([path])
    write_text(path, FORMATS[path.suffix.lower()](table))
    return path


def latex(text: str) -> str:
    """A text on one line, escaped for LaTeX."""
    return "".join(LATEX.get(sign, sign) for sign in _line(text))


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\1", _line(text))


def _line(text: str) -> str:
    return " ".join(text.split())


def _shown(cell: Cell) -> str:
    return MISSING if cell.text == DASH else cell.text


def _marked_markdown(cell: Cell) -> str:
    text = _markdown(_shown(cell))
    if cell.rank == "best":
        text = f"**{text}**"
    elif cell.rank == "second":
        text = f"<u>{text}</u>"
    elif cell.grey and text != MISSING:
        text = f"*{text}*" if text else ""
    return f"{text} ({_markdown(cell.note)})" if cell.note else text


def _marked_latex(cell: Cell) -> str:
    text = latex(_shown(cell))
    if cell.rank == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.rank == "second":
        text = rf"\underline{{{text}}}"
    text = rf"{text} {{\footnotesize ({latex(cell.note)})}}" if cell.note else text
    return rf"\textcolor{{gray}}{{{text}}}" if cell.grey and text else text


def _plain(cell: Cell) -> str:
    return _safe(_shown(cell)) if cell.value is None else repr(cell.value)


def _safe(text: str) -> str:
    line = _line(text)
    if line[:1] in ("=", "+", "@", "-") and line != MISSING and not re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", line):
        return f"'{line}"
    return line
