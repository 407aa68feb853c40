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
    """CSV with one head; numbers in full; a column of notes beside each column that has some; the table's notes as last lines.

    A cell that a spreadsheet would take for a formula starts with an apostrophe.
    """
    noted = [any(row[column].note for row in table.rows) for column in range(len(table.heads))]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([name for head, extra in zip(table.heads, noted, strict=True) for name in _with_note(head, extra)])
    for row in table.rows:
        pairs = zip(row, noted, strict=True)
        writer.writerow([text for cell, extra in pairs for text in (_plain(cell), *([_safe(cell.note)] if extra else []))])
    for note in table.notes:
        writer.writerow([f"# {note}"])
    return stream.getvalue()


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


def _with_note(head: str, noted: bool) -> Sequence[str]:
    return (_safe(head), _safe(f"{head} (note)".strip())) if noted else (_safe(head),)


def _plain(cell: Cell) -> str:
    return _safe(_shown(cell)) if cell.value is None else repr(cell.value)


def _safe(text: str) -> str:
    line = _line(text)
    if line[:1] in ("=", "+", "@", "-") and line != MISSING and not re.fullmatch(r"[+-]?[\d.,]+(e[+-]?\d+)?", line):
        return f"'{line}"
    return line
