"""One table, four forms; every name is a name."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import pytest

from flawsmith.core.errors import OutputError
from flawsmith.report.page import Cell, Table
from flawsmith.report.table_formats import latex, refuse_table_files, to_csv, to_latex, to_markdown, write_table

NASTY = r"a|b_c*d <i> 50% & $x$ #1 \n {k} ~^"
TABLE = Table(
    ("", "AUROC", "Where"),
    (
        (
            Cell("ours"),
            Cell(
                "0.912", "0.90–0.93; 1 left out", "best", value=0.91234567, more=(("low", 0.9), ("high", 0.93)), told="1 left out"
            ),
            Cell("here"),
        ),
        (Cell(NASTY), Cell("0.800 ± 0.010", rank="second", value=0.8), Cell("=1+1")),
        (
            Cell("paper", "table IV [1]", grey=True, told="table IV", remarks=("their split leaks",)),
            Cell("–", "kept out: other", grey=True),
            Cell(""),
        ),
    ),
    (False, True, False),
    "Two of us",
    ("[1] their split leaks", "All on request."),
)


def test_csv_has_numbers_in_full_intervals_apart_and_the_texts_of_notes() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(TABLE))))
    assert len(rows) == 3
    assert rows[0] == {
        "name": "ours",
        "name note": "",
        "AUROC": "0.91234567",
        "AUROC low": "0.9",
        "AUROC high": "0.93",
        "AUROC note": "1 left out",
        "Where": "here",
        "notes": "All on request.",
    }
    last = rows[2]
    assert [last[name] for name in ("name", "name note", "notes")] == ["paper", "table IV", "their split leaks | All on request."]
    assert [last[name] for name in ("AUROC", "AUROC low", "AUROC note")] == ["-", "", "kept out: other"]


def test_csv_keeps_hostile_names_and_defuses_formulas() -> None:
    row = list(csv.DictReader(io.StringIO(to_csv(TABLE))))[1]
    assert row["name"] == NASTY
    assert row["Where"] == "'=1+1"
    plain = Table(("x",), ((Cell("-0.5"),), (Cell("-"),), (Cell("-cmd"),)), (True,))
    assert to_csv(plain).splitlines() == ["x", "-0.5", "-", "'-cmd"]


def test_markdown_marks_ranks_and_escapes() -> None:
    lines = to_markdown(TABLE).splitlines()
    assert lines[0] == "Two of us"
    assert lines[3] == "| --- | ---: | --- |"
    assert "| **0.912** (0.90–0.93; 1 left out) |" in lines[4]
    assert "| <u>0.800 ± 0.010</u> |" in lines[5]
    assert r"a\|b\_c\*d \<i\>" in lines[5]
    assert "| *paper* (table IV \\[1\\]) | - (kept out: other) |  |" in lines[6]
    assert all(line.count("|") - line.count(r"\|") == 4 for line in lines[2:7])
    assert lines[-3:] == [r"\[1\] their split leaks", "", "All on request."]


def test_latex_marks_ranks_and_escapes() -> None:
    text = to_latex(TABLE)
    assert r"\begin{tabular}{lrl}" in text
    assert r"\textbf{0.912}" in text
    assert r"\underline{0.800 \ensuremath{\pm} 0.010}" in text
    assert r"\textcolor{gray}{paper {\footnotesize (table IV [1])}}" in text
    assert r"a\textbar{}b\_c*d \textless{}i\textgreater{} 50\% \& \$x\$ \#1 \textbackslash{}n \{k\} \textasciitilde{}" in text
    assert r"\par\footnotesize [1] their split leaks" in text
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_latex_of_a_text_is_one_line() -> None:
    assert latex("a\n b\t–") == "a b --"


def test_latex_compiles(tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    document = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,xcolor}\begin{document}%s\end{document}"
    (tmp_path / "t.tex").write_text(document % to_latex(TABLE))
    subprocess.run([program, "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("suffix", "start"), [(".csv", "name,name note,AUROC,AUROC low"), (".md", "Two of us"), (".TEX", "% needs")]
)
def test_the_suffix_names_the_form(tmp_path: Path, suffix: str, start: str) -> None:
    path = write_table(tmp_path / f"t{suffix}", TABLE)
    assert path.read_text(encoding="utf-8").startswith(start)
    with pytest.raises(OutputError, match="exists; expected a new name"):
        write_table(path, TABLE)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"suffix '\.xls'; expected one of \.csv, \.md, \.tex"):
        write_table(tmp_path / "t.xls", TABLE)


def test_places_of_tables_are_refused_before_any_work(tmp_path: Path) -> None:
    refuse_table_files([tmp_path / "x.csv", tmp_path / "x.md"], [tmp_path / "data"])
    with pytest.raises(OutputError, match=r"x\.csv are one table; expected each --table once"):
        refuse_table_files([tmp_path / "x.csv", tmp_path / "other" / ".." / "x.csv"])
    with pytest.raises(OutputError, match="choose another --table"):
        refuse_table_files([tmp_path / "data" / "x.csv"], [tmp_path / "data"])
